"""Images that a data set holds more than once: accuracy on what a network has learned by heart says nothing."""

import hashlib
from collections import defaultdict

from helpers.data.structures import ImageData

_IN_WORDS = {"train": "training", "val": "validation", "test": "test"}


def describe(train: ImageData, val: ImageData, test: ImageData) -> str:
    """Which images are in two splits, twice in one, or in two classes, pixel for pixel; "" if none is."""
    labels, hashes = defaultdict(set), {}
    for part in (test, val, train):
        pixels = part.images.flatten(1).numpy()
        hashes[part.split] = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
        for digest, label in zip(hashes[part.split], part.labels.tolist(), strict=True):
            labels[digest].add(label)
    found = []
    for split, other in (("test", "train"), ("test", "val"), ("val", "train")):
        learned = set(hashes[other])
        if number := sum(digest in learned for digest in hashes[split]):
            are = "is" if number == 1 else "are"
            all_images = f"{len(hashes[split]):,} {_IN_WORDS[split]} images"
            found.append(f"{number:,} of {all_images} {are} among the {_IN_WORDS[other]} images")
    for split, digests in hashes.items():
        if number := len(digests) - len(set(digests)):
            found.append(f"{number:,} {'copy' if number == 1 else 'copies'} within the {_IN_WORDS[split]} images")
    if number := sum(len(classes) > 1 for classes in labels.values()):
        found.append(f"{number:,} {'image' if number == 1 else 'images'} in several classes")
    return "; ".join(found)
