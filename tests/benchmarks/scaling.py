"""How much faster are trainings side by side with more cores?

A list of trainings is given to `helpers.train.side_by_side`, and notebooks to the report command, with 1, 2, … of this
machine's cores, in turns; best of the rounds. The processes of the list have begun before.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from helpers import ROOT, WorkbookError, models, train
from helpers.data import ImageData, Source
from tests.command import start

GOAL = 0.85
"""Of the number of cores, on the list."""
QUIET = {**os.environ, "TQDM_DISABLE": "1"}
"""The environment of processes without progress bars."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks scaling", description=__doc__)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--trainings", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=5_120, help="of each training (default: %(default)s)")
    parser.add_argument("--notebooks", nargs="*", default=["02"], help="as the report command takes them; default: 02")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args(argv)
    ways = {f"{options.trainings} trainings": lambda: _seconds(options.trainings, options.images)}
    if options.notebooks:
        ways[f"notebooks {' '.join(options.notebooks)}"] = lambda: _report(options.notebooks, options.profile)
    all_cores = sorted(os.sched_getaffinity(0))
    for way, measure in ways.items():
        seconds: dict[int, list[float]] = {cores: [] for cores in options.cores}
        for _ in range(options.rounds):
            for cores in options.cores:
                os.sched_setaffinity(0, all_cores[:cores])  # what this process starts has no more either
                seconds[cores].append(measure())
                print(f"{way}, {cores} cores: {seconds[cores][-1]:.1f} s", flush=True)
        for cores in options.cores[1:]:
            times = min(seconds[options.cores[0]]) / min(seconds[cores])
            share = times * options.cores[0] / cores
            print(f"{way}: {times:.2f} times as fast with {cores} cores, {share:.2f} × the cores (goal: {GOAL})")
    return 0


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


def _seconds(trainings: int, images: int) -> float:
    code = f"from tests.benchmarks import scaling; scaling.train_list({trainings}, {images})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=-1, text=True, check=True, env=QUIET)
    return json.loads(run.stdout)


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


def train_list(number: int, images: int) -> None:
    """In a process: trains a list of networks, after a short one that starts all processes; prints the seconds."""
    train.side_by_side([make_training(256, seed) for seed in range(number)])
    trainings = [make_training(images, seed) for seed in range(number)]
    started = time.perf_counter()
    train.side_by_side(trainings)
    print(time.perf_counter() - started)
