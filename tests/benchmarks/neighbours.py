"""What is left of a training's speed beside other programs? The network of 05 on random images of 32 px.

Trained alone, beside one program that keeps a core busy, and two at once, in turns; medians of the rounds. Each
training is a process of its own, as two notebooks are.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence

from helpers import ROOT
from tests.benchmarks.scaling import QUIET, make_training


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks neighbours", description=__doc__)
    parser.add_argument("--images", type=int, default=10_240, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args(argv)
    ways = ["alone", "beside a busy program", "two at once"]
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            rates[way].append(_rate(options.images, way))
            print(f"{way}: {rates[way][-1]:,.0f} images/s", flush=True)
    alone, busy, two = (statistics.median(rates[way]) for way in ways)
    print(f"beside a busy program {busy / alone:.2f} of its speed alone; two at once together {two / alone:.2f} of one")
    return 0


def _rate(num_images: int, way: str) -> float:
    """Images a second, of all trainings together."""
    code = f"from tests.benchmarks import neighbours; neighbours.train({num_images})"
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])] if way.startswith("beside") else []
    try:
        call = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "env": QUIET}
        number = 2 if way == "two at once" else 1
        started = [subprocess.Popen([sys.executable, "-c", code], **call) for _ in range(number)]
        return sum(json.loads(process.communicate()[0]) for process in started)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def train(num_images: int) -> None:
    """In a process: warms up, trains and prints images a second."""
    make_training(1280)()
    print(num_images / make_training(num_images)().history["seconds"].sum())
