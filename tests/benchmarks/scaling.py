"""How much faster are eight trainings side by side with more cores? ``python -m tests.benchmarks.scaling 1 2``

`helpers.train.side_by_side` trains them with so many of this machine's cores, in turns; best of two rounds. Its
processes have begun before.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial

import torch

from helpers import ROOT, models, train
from helpers.data import ImageData, Source

TRAININGS, IMAGES = 8, 5_120


def main(counts: list[int]) -> None:
    all_cores, seconds = sorted(os.sched_getaffinity(0)), {}
    for cores in 2 * counts:
        os.sched_setaffinity(0, all_cores[:cores])  # what this process starts has no more either
        code = "from tests.benchmarks import scaling; scaling.train_list()"
        environment = {**os.environ, "TQDM_DISABLE": "1"}
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=-1, text=True, check=True, env=environment)
        seconds.setdefault(cores, []).append(json.loads(run.stdout))
        print(f"{cores} cores: {seconds[cores][-1]:.1f} s", flush=True)
    for cores in counts[1:]:
        print(f"{min(seconds[counts[0]]) / min(seconds[cores]):.2f} times as fast with {cores} cores")


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


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [1, 2])
