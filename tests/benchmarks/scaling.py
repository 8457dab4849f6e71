"""How much faster are trainings side by side with more cores? ``python -m tests.benchmarks.scaling --help``

A list of eight trainings is given to `helpers.train.side_by_side`, and notebooks to the report command, with 1, 2, … of
this machine's cores, in turns; best of two rounds. The processes of the list have begun before.
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

from helpers import ROOT, models, train
from helpers.data import ImageData, Source
from tests.command import start

TRAININGS, IMAGES = 8, 5_120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--notebooks", nargs="*", default=["02"], help="as the report command takes them; default: 02")
    parser.add_argument("--profile", default="quick")
    options = parser.parse_args()
    ways = {f"{TRAININGS} trainings": _list}
    if options.notebooks:
        ways[f"notebooks {' '.join(options.notebooks)}"] = lambda: _report(options.notebooks, options.profile)
    all_cores = sorted(os.sched_getaffinity(0))
    for way, measure in ways.items():
        seconds: dict[int, list[float]] = {cores: [] for cores in options.cores}
        for cores in 2 * options.cores:
            os.sched_setaffinity(0, all_cores[:cores])  # what this process starts has no more either
            seconds[cores].append(measure())
            print(f"{way}, {cores} cores: {seconds[cores][-1]:.1f} s", flush=True)
        for cores in options.cores[1:]:
            print(f"{way}: {min(seconds[options.cores[0]]) / min(seconds[cores]):.2f} times as fast with {cores} cores")


def _list() -> float:
    code = "from tests.benchmarks import scaling; scaling.train_list()"
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=-1, text=True, check=True, env=environment)
    return json.loads(run.stdout)


def train_list() -> None:
    """In a process: trains a list of networks, after a short one that starts all processes; prints the seconds."""
    for number in (256, IMAGES):
        trainings = [_training(number, seed) for seed in range(TRAININGS)]
        started = time.perf_counter()
        train.side_by_side(trainings)
    print(time.perf_counter() - started)


def _training(number: int, seed: int) -> partial[train.Result]:
    """Of the network of 05, on random pixels in ten classes."""
    pixels = torch.randint(0, 256, (number, 3, 32, 32), dtype=torch.uint8)
    source = Source("random", "Random pixels", "made for a benchmark")
    images = ImageData(pixels, torch.arange(number) % 10, tuple("abcdefghij"), "train", source)
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
            sys.exit(f"the report command failed:\n{said[-4000:]}")
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
