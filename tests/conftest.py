"""Small data and networks that many tests share. No test needs the internet, a GPU or data that is not drawn here."""

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest
import torch

from helpers.data import ImageData, Source
from helpers.train import Compute, choose_compute

# One thread: on networks as small as these two wait for each other longer than they compute, and a command's number of
# threads, which belongs to its results, is the same whatever --jobs.
os.environ["OMP_NUM_THREADS"] = "1"
# Trainings side by side happen here, one after the other: the tests themselves run side by side, and watch trainings.
os.environ["LOKY_MAX_CPU_COUNT"] = "1"
torch.set_num_threads(1)
matplotlib.use("agg")  # no windows, whatever the machine prefers
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so does what it starts; some tests send one.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: the quick ones fill the gaps between the processes at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def malicious(tmp_path: Path) -> Iterator[Malicious]:
    """What no reader of files may unpickle: whoever does leaves a mark, and its test fails."""
    thing = Malicious(tmp_path / "was here")
    pickle.loads(pickle.dumps(thing))
    thing.mark.unlink()  # it does work where it is let
    yield thing
    assert not thing.mark.exists()
