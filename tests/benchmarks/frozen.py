"""What does it save to run a frozen network once, and not in every epoch?

A linear head learns on a frozen ImageNet network, by `helpers.train.fit`, and again with an augmentation that changes
nothing: with one, all layers run in every epoch.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from helpers import models, train, transfer
from tests.benchmarks.scaling import random_images


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks frozen", description=__doc__)
    parser.add_argument("--network", default="tf_efficientnet_lite0", help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="pixels (default: %(default)s)")
    parser.add_argument("--images", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    options = parser.parse_args(argv)
    compute, body = train.choose_compute(), models.backbone(options.network, weights="random")
    images = random_images(options.images, options.size)
    seconds = []
    for augment in (None, lambda batch: batch):
        network = body.with_head(images.num_classes, seed=0)
        transfer.freeze_body(network)
        started = time.perf_counter()
        val = images.subset(torch.arange(options.images // 5))
        train.fit(network, images, val, epochs=options.epochs, augment=augment, compute=compute)
        seconds.append(time.perf_counter() - started)
    once, again = seconds
    print(f"{compute.description}: once {once:.1f} s, in every epoch {again:.1f} s: {again / once:.1f} times as fast")
    return 0
