"""What happens in the midst of a training."""

import os
import signal

import pytest
import torch

from helpers import train


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


@pytest.fixture
def press_ctrl_c(at_step, monkeypatch):
    """Presses Ctrl-C in a training step of a network, counted from 1, and returns what the stopped training leaves."""

    def press(network, step, *data, **options):
        at_step(step, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(train.TrainingStopped) as stopped:
            train.fit(network, *data, **options)
        monkeypatch.undo()
        return stopped.value

    return press
