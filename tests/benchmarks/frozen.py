"""What does it save to run a frozen network once, and not in every epoch?

A linear head learns on a frozen ImageNet network, by `helpers.train.fit`, from random images of --size pixels, and
again with an augmentation that changes nothing: with one, all layers run in every epoch.
"""

import time

import torch

from helpers import models, train, transfer
from tests.benchmarks.scaling import random_images


def main(network: str = "tf_efficientnet_lite0", size: int = 64, images: int = 1000, epochs: int = 10) -> None:
    compute, body = train.choose_compute(), models.backbone(network, weights="random")
    pictures = random_images(images, size)
    seconds = []
    for augment in (None, lambda batch: batch):
        with_head = body.with_head(pictures.num_classes, seed=0)
        transfer.freeze_body(with_head)
        started = time.perf_counter()
        val = pictures.subset(torch.arange(images // 5))
        train.fit(with_head, pictures, val, epochs=epochs, augment=augment, compute=compute)
        seconds.append(time.perf_counter() - started)
    once, again = seconds
    print(f"{compute.description}: once {once:.1f} s, in every epoch {again:.1f} s: {again / once:.1f} times as fast")
