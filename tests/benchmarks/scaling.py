"""How much faster are trainings side by side with more cores?

A list of --trainings is given to `helpers.train.side_by_side`, and --notebooks, as it takes them, to the report
command, with 1, 2, … of this machine's cores, in turns; best of the rounds. The processes of the list have begun
before.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from helpers import ROOT, WorkbookError, models, train
from helpers.data import ImageData, Source
from tests.benchmarks import in_processes
from tests.command import start

GOAL = 0.85
"""Of the number of cores, on the list."""


def main(
    cores: Sequence[int] = (1, 2),
    trainings: int = 8,
    images: int = 5_120,
    notebooks: Sequence[str] = ("02",),
    profile: str = "quick",
    rounds: int = 2,
) -> None:
    ways = {f"{trainings} trainings": lambda: in_processes(1, train_list, trainings, images)[0]}
    if notebooks:
        ways[f"notebooks {' '.join(notebooks)}"] = lambda: _report(notebooks, profile)
    all_cores = sorted(os.sched_getaffinity(0))
    for way, measure in ways.items():
        seconds: dict[int, list[float]] = {number: [] for number in cores}
        for _ in range(rounds):
            for number in cores:
                os.sched_setaffinity(0, all_cores[:number])  # what this process starts has no more either
                seconds[number].append(measure())
                print(f"{way}, {number} cores: {seconds[number][-1]:.1f} s", flush=True)
        for number in cores[1:]:
            times = min(seconds[cores[0]]) / min(seconds[number])
            share = times * cores[0] / number
            print(f"{way}: {times:.2f} times as fast with {number} cores, {share:.2f} × the cores (goal: {GOAL})")


def random_images(number: int, size: int = 32) -> ImageData:
    """Random pixels, in ten classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (number, 3, size, size), generator=generator, dtype=torch.uint8)
    source = Source("random", "Random pixels", "made for a benchmark")
    return ImageData(pixels, torch.arange(number) % 10, tuple("abcdefghij"), "train", source)


def make_training(num_images: int, seed: int = 0) -> partial[train.Result]:
    """A training of the network of 05, on random images."""
    images = random_images(num_images)
    network = models.resolution_cnn(10, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=32, seed=seed)
    options = {"epochs": 1, "batch_size": 128, "optimizer": "sgd", "compute": train.choose_compute()}
    return partial(train.fit, network, images, images.subset(torch.arange(256)), seed=seed, **options)


def _report(notebooks: Sequence[str], profile: str) -> float:
    """Seconds that the report command takes in a workbook of its own: on drawn images, without earlier checkpoints."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as name:
        shutil.copytree(ROOT / "notebooks", Path(name, "notebooks"))
        started = time.perf_counter()
        run = start(name, *notebooks, "--profile", profile, env={**os.environ, "WORKBOOK_DATA": name})
        said = "".join(run.communicate())
        if run.returncode:
            raise WorkbookError(f"the report command failed:\n{said[-4000:]}")
        return time.perf_counter() - started


def train_list(number: int, images: int) -> float:
    """In a process: trains a list of networks, after a short one that starts all processes; the seconds."""
    train.side_by_side([make_training(256, seed) for seed in range(number)])
    trainings = [make_training(images, seed) for seed in range(number)]
    started = time.perf_counter()
    train.side_by_side(trainings)
    return time.perf_counter() - started
