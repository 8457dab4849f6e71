"""What happens in the midst of a training."""

import pytest
import torch


@pytest.fixture
def at_step(monkeypatch):
    """Has something done in a training step, counted from 1; neither network nor augmentation know of it."""

    def at(step, action):
        backward, steps = torch.autograd.backward, []

        def counted(*arguments, **options):
            steps.append(1)
            if len(steps) == step:
                action()
            return backward(*arguments, **options)

        monkeypatch.setattr(torch.autograd, "backward", counted)
        return steps

    return at
