"""What the comparisons `loop` and `frozen` share: trainings in processes of their own, timed and measured alike."""
