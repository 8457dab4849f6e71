"""Small data and networks that many tests share. No test needs the internet, a GPU or data that is not drawn here."""

import signal
from collections.abc import Callable

import matplotlib
import pytest
import torch

from helpers.data import ImageData, Source
from helpers.train import Compute, choose_compute

matplotlib.use("agg")  # no windows, whatever the machine prefers
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so does what it starts; some tests send one.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SOURCE = Source(name="random", title="Random colours", where="made by a test")


@pytest.fixture
def make_images() -> Callable[..., ImageData]:
    """Makes images whose mean colour tells the class, with noise: learnable in a few steps."""

    def make(
        per_class: int = 8, num_classes: int = 4, size: int = 8, *, channels: int = 3, seed: int = 0, split="train"
    ):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(num_classes).repeat(per_class)
        levels = torch.rand(num_classes, channels, generator=torch.Generator().manual_seed(7))
        noise = torch.rand(len(labels), channels, size, size, generator=generator)
        images = (levels[labels][:, :, None, None] * 0.7 + noise * 0.3) * 255
        names = tuple(f"class {number}" for number in range(num_classes))
        return ImageData(images.to(torch.uint8), labels, names, split, SOURCE)

    return make


@pytest.fixture
def cpu() -> Compute:
    """The processor in float32: the same on every machine, bit for bit between two runs on one."""
    return choose_compute("cpu", "float32")
