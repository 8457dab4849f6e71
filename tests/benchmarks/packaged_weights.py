"""Are the weights out of packages worth what they should be, on real photographs?

A linear classifier learns from the frozen features of a network: with its ImageNet weights, with random ones, and with
its ImageNet weights but images normalised in another way. Measured with 200 images a class of CIFAR-10 at 96 px, on
1,000 test images: 68 to 70 % as it should be, depending on the images drawn; 64 and 65 % with the other network's mean
and standard deviation, 38 % with images from 0 to 255, 24 and 26 % with random weights.
"""

import argparse
from collections.abc import Sequence

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers import data, models
from helpers.models.packaged import PACKAGED
from helpers.train import predict

OTHER_NORMALISATIONS = {
    "mean and std of ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mean and std 0.5": ((0.5,) * 3, (0.5,) * 3),
    "images from 0 to 255": ((0.0,) * 3, (1 / 255,) * 3),
}
LEAST_GAIN = 0.25
"""How much better than random weights, as a share of the test images, ImageNet's must be at least."""


def main(argv: Sequence[str]) -> int:
    """Prints a table; the exit status is 1 if a network's weights gain too little over random ones."""
    options = _parser().parse_args(argv)
    splits = data.load(
        options.data,
        own="cifar10",
        image_size=options.size,
        train_per_class=options.train_per_class,
        test_per_class=options.test_per_class,
        seed=options.seed,
    )
    print(f"{splits.source.title} ({splits.source.where}): {splits.counts}")
    failed = False
    for name in PACKAGED:
        right = models.backbone(name, weights="imagenet")
        accuracy = _report(f"{name}, {right.origin}", right.body, splits)
        random = _report(f"{name}, random", models.backbone(name, weights="random", seed=options.seed).body, splits)
        for words, (mean, std) in OTHER_NORMALISATIONS.items():
            other = models.Normalize(mean, std)
            if not other.mean.equal(right.body.normalize.mean):
                _report(f"{name}, {words}", nn.Sequential(other, right.body[1:]), splits)
        failed |= accuracy - random < LEAST_GAIN
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks packaged_weights", description=__doc__)
    parser.add_argument("--data", default="cifar10", help="as DATASET in the notebooks: cifar10, folder:<path> …")
    parser.add_argument("--size", type=int, default=96, help="pixels (default: %(default)s)")
    parser.add_argument("--train-per-class", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--test-per-class", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _report(title: str, body: nn.Module, splits: data.Splits) -> float:
    classifier = _classifier().fit(predict(body, splits.train).numpy(), splits.train.labels.numpy())
    accuracy = classifier.score(predict(body, splits.test).numpy(), splits.test.labels.numpy())
    print(f"{accuracy:6.1%}  {title}", flush=True)
    return accuracy


def _classifier() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
