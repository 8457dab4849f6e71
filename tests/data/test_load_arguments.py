"""Every argument of `load` does what it says, and nothing else: the drawn stand-in and a folder of images."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data

SIZES = {"image_size": 16, "train_per_class": 8, "test_per_class": 3}


def stand_in(**options):
    return data.load("shapes", **{"own": "cifar10", **SIZES, **options})


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [80, 20, 30]),
        ({"train_per_class": 4}, [40, 10, 30]),
        ({"test_per_class": 5}, [80, 20, 50]),
        ({"val_fraction": 0.5}, [80, 80, 30]),
        ({"num_classes": 3}, [24, 6, 9]),
        ({"own": "cifar100"}, [800, 200, 300]),
    ],
)
def test_how_many_images_of_the_stand_in(options, counts):
    splits = stand_in(**options)
    assert [len(split) for split in splits.all] == counts
    for split in splits.all:
        assert len(set(split.class_counts().tolist())) == 1, "as many of each class"


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of images without two of one colour: the class is in the blue channel, the split in no pixel."""

    def make(counts: dict[str, dict[str, int]]):
        number = 0
        for split, classes in counts.items():
            for label, (name, count) in enumerate(classes.items()):
                (tmp_path / "mine" / split / name).mkdir(parents=True)
                for _ in range(count):
                    number += 1
                    pixels = np.empty((8, 8, 3), np.uint8)
                    pixels[:] = (number % 250, number // 250, label)
                    Image.fromarray(pixels).save(tmp_path / "mine" / split / name / f"{number}.png")
        return lambda **options: data.load("folder:mine", **{"own": "cifar10", "root": tmp_path, **options})

    return make


def colours(split):
    return {tuple(image[:2, 0, 0].tolist()) for image in split.images}


CLASSES = {"a": 40, "b": 20}


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [[26, 13], [6, 3], [8, 4]]),
        ({"val_fraction": 0.5}, [[16, 8], [16, 8], [8, 4]]),
        ({"train_per_class": 8}, [[8, 8], [2, 2], [8, 4]]),
        ({"test_per_class": 3}, [[26, 13], [6, 3], [3, 3]]),
        ({"num_classes": 1}, [[26], [6], [8]]),
    ],
)
def test_who_is_in_which_split_of_a_folder(folder, options, counts):
    load = folder({"": CLASSES})
    splits, again, other = load(**options), load(seed=0, **options), load(seed=1, **options)
    assert [split.class_counts().tolist() for split in splits.all] == counts
    parts = [colours(split) for split in splits.all]
    assert sum(map(len, parts)) == len(set.union(*parts)) == sum(map(sum, counts))
    for split, same, another in zip(splits.all, again.all, other.all, strict=True):
        assert torch.equal(split.images[:, 2, 0, 0].long(), split.labels), "each image keeps its own label"
        assert torch.equal(split.images, same.images)
        assert colours(split) != colours(another), "the seed decides"


def test_a_folders_own_splits_stay_what_they_are(folder):
    load = folder({"train": CLASSES, "val": {"a": 5, "b": 4}, "test": {"a": 3, "b": 2}})
    for seed in (0, 1):
        splits = load(seed=seed, val_fraction=0.5)
        assert [split.class_counts().tolist() for split in splits.all] == [[40, 20], [5, 4], [3, 2]]
    assert [colours(split) for split in splits.all] == [
        {(number % 250, number // 250) for number in numbers}
        for numbers in (range(1, 61), range(61, 70), range(70, 75))
    ]
