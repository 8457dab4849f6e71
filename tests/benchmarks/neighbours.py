"""What is left of a training's speed beside other programs? The network of 05 on random images of 32 px.

Trained alone, beside one program that keeps a core busy, and two at once, in turns; medians of the rounds. Each
training is a process of its own, as two notebooks are.
"""

import statistics
import subprocess
import sys

from tests.benchmarks import in_processes
from tests.benchmarks.scaling import make_training


def main(images: int = 10_240, rounds: int = 3) -> None:
    rates: dict[str, list[float]] = {"alone": [], "beside a busy program": [], "two at once": []}
    for _ in range(rounds):
        for way, measured in rates.items():
            busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])] if "busy" in way else []
            try:
                measured.append(sum(in_processes(2 if "two" in way else 1, rate, images)))
            finally:
                for process in busy:
                    process.kill()
                    process.wait()
            print(f"{way}: {measured[-1]:,.0f} images/s", flush=True)
    alone, busy, two = map(statistics.median, rates.values())
    print(f"beside a busy program {busy / alone:.2f} of its speed alone; two at once together {two / alone:.2f} of one")


def rate(num_images: int) -> float:
    """In a process: warms up and trains; images a second."""
    make_training(1280)()
    return num_images / make_training(num_images)().history["seconds"].sum()
