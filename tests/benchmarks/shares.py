"""What goes with training, as a share of it: augmentation of the step, evaluation of a forward pass; and the metrics.

Augmentation is measured on experiment 07's network at 64 px, batch 32: flip, rotation, zoom and normalisation. Metrics
are those of a report: summary, per class, confusion matrix and ROC of 10,000 images and 100 classes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from helpers import evaluate, models
from helpers.data import ImageData, Source
from helpers.train import RandomAffine, choose_compute, predict

SOURCE = Source("random", "Random pixels", "made by the benchmark")


def main(argv: Sequence[str]) -> int:
    """Prints the shares; the exit status is 1 if augmentation and normalisation take 15 % of a step or more."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks shares", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns; medians count (%(default)s)")
    options = parser.parse_args(argv)
    compute = choose_compute("cpu")
    print(f"{compute.description}, torch {torch.__version__}, {compute.precision_description}")
    share = _augmentation(options.rounds)
    _evaluation(options.rounds)
    _metrics()
    return int(share >= 0.15)


def _augmentation(rounds: int) -> float:
    compute, network = choose_compute("cpu"), models.cnn_model(10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    augment = RandomAffine(flip=0.5, degrees=20, zoom=(0.8, 1.2))
    images, labels = torch.randint(0, 256, (32, 3, 64, 64), dtype=torch.uint8), torch.randint(0, 10, (32,))

    def augmented() -> torch.Tensor:
        return network.normalize(augment(images)).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with compute.autocast():
            logits = network(augment(images).contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    seconds = _in_turns([augmented, step], rounds)
    print(f"augmentation and normalisation: {seconds[0] * 1e3:.1f} ms of a step's {seconds[1] * 1e3:.1f} ms", end="")
    print(f", {seconds[0] / seconds[1]:.0%}")
    return seconds[0] / seconds[1]


def _evaluation(rounds: int) -> None:
    compute, network = choose_compute("cpu"), models.cnn_model(10).requires_grad_(False)
    images, labels = torch.randint(0, 256, (2048, 3, 64, 64), dtype=torch.uint8), torch.randint(0, 10, (2048,))
    data = ImageData(images, labels, tuple("0123456789"), "test", SOURCE)
    network.to(memory_format=torch.channels_last).eval()

    def forward() -> None:
        with torch.inference_mode(), compute.autocast():
            for batch in images.split(256):
                network(batch.contiguous(memory_format=torch.channels_last))

    def evaluated() -> None:
        evaluate.accuracy(predict(network, data, compute=compute), labels)

    seconds = _in_turns([forward, evaluated], max(3, rounds // 5))
    print(f"predict and accuracy on 2,048 images of 64 px: {seconds[1] / seconds[0]:.2f} times the forward pass alone")


def _metrics() -> None:
    logits, labels = torch.randn(10_000, 100), torch.randint(0, 100, (10_000,))
    names = [str(label) for label in range(100)]
    evaluate.roc(logits[:100], labels[:100])  # imports what it needs
    started = time.perf_counter()
    evaluate.summary(logits, labels)
    evaluate.per_class(logits, labels, names)
    evaluate.worst_confusions(evaluate.confusion(logits, labels), names)
    evaluate.roc(logits, labels)
    print(f"metrics, confusion matrix and ROC of 10,000 x 100 logits: {time.perf_counter() - started:.2f} s")


def _in_turns(functions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each, all of them run in turns after one round that warms up."""
    seconds = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, times in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
    return [statistics.median(times[1:]) for times in seconds]
