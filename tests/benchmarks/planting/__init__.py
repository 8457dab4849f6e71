"""What the benchmark `planted_faults` plants, and how."""
