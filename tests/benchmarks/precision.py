"""Is the rule for precision and memory format right on this machine?

Every network of the experiments is trained, and run as a frozen one, with every precision and memory format, in turns;
beside the images a second stands what the rule of `helpers.train.choose_compute` takes, and how near that comes to the
best. The rule itself never times anything: two runs on one machine must compute alike.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers import models
from helpers.train import choose_compute

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int, int]] = {
    # name: how to build it, batch size, channels, pixels
    "01 cnn_on_a": (lambda: models.cnn_on_a(80, width=32), 128, 3, 32),
    "05 resolution_cnn": (lambda: models.resolution_cnn(10), 128, 3, 32),
    "06 arc2": (lambda: models.arc2(), 128, 1, 28),
    "07 cnn_model": (lambda: models.cnn_model(10), 32, 3, 64),
    **{
        name: (lambda name=name: models.backbone(name, weights="random").with_head(10), 32, 3, 64)
        for name in ("resnet18", "resnet50", "vgg16", "mobilenet_v2", "tf_efficientnet_lite0")
    },
}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass
class Case:
    """A network that is trained or run."""

    network: nn.Module
    images: Tensor
    labels: Tensor
    trains: bool

    def images_per_second(self, precision: str, memory_format: str, seconds: float) -> float:
        """Measured over as many steps as begin in this time, after one that warms up."""
        self.network.to(memory_format=FORMATS[memory_format])
        optimizer = torch.optim.SGD(self.network.parameters(), 1e-3, fused=True)
        self._step(optimizer, precision, memory_format)
        steps, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            self._step(optimizer, precision, memory_format)
            steps += 1
        return steps * len(self.images) / (time.perf_counter() - started)

    def _step(self, optimizer: torch.optim.Optimizer, precision: str, memory_format: str) -> None:
        images = self.images.contiguous(memory_format=FORMATS[memory_format])
        enabled = precision == "bfloat16"
        with torch.set_grad_enabled(self.trains), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = self.network(images)
        if self.trains:
            optimizer.zero_grad()
            F.cross_entropy(logits.float(), self.labels).backward()
            optimizer.step()


def main(argv: Sequence[str]) -> int:
    """Prints a table; the exit status is 1 if somewhere the rule's choice has under two thirds of the best rate."""
    options = _parser().parse_args(argv)
    rule = choose_compute("cpu")
    print(f"{rule.description}, torch {torch.__version__}; the rule: {rule.precision_description}, channels_last\n")
    rows = []
    for name in options.networks:
        for trains in (True, False):
            case = _case(name, trains)
            rates = _in_turns(case, options.rounds, options.seconds)
            chosen = rule.for_network(case.network).precision
            share = rates[chosen, "channels_last"] / max(rates.values())
            rows.append([name, "trained" if trains else "frozen", *rates.values(), chosen, share])
            print(".", end="", flush=True)
    columns = ["network", "", *(" ".join(variant) for variant in _variants()), "the rule", "of the best"]
    table = pd.DataFrame(rows, columns=columns)
    rates = dict.fromkeys(columns[2:6], "{:,.0f}".format)
    print("\n\nimages/s\n" + table.to_string(index=False, formatters={**rates, "of the best": "{:.0%}".format}))
    return int((table["of the best"] < 2 / 3).any())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks precision", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all variants; medians count (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="that a turn lasts (%(default)s)")
    return parser


def _variants() -> list[tuple[str, str]]:
    return list(itertools.product(("float32", "bfloat16"), FORMATS))


def _case(name: str, trains: bool) -> Case:
    build, batch_size, channels, size = NETWORKS[name]
    torch.manual_seed(0)
    network = build().requires_grad_(trains).train(trains)
    images = torch.randint(0, 256, (batch_size, channels, size, size), dtype=torch.uint8)
    return Case(network, images, torch.randint(0, 10, (batch_size,)), trains)


def _in_turns(case: Case, rounds: int, seconds: float) -> dict[tuple[str, str], float]:
    measured = {variant: [] for variant in _variants()}
    for _ in range(rounds):
        for variant, rates in measured.items():
            rates.append(case.images_per_second(*variant, seconds))
    return {variant: statistics.median(rates) for variant, rates in measured.items()}
