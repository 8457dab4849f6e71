"""Images in memory: what fits together, and what they look like at a lower resolution."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.data import DataError, ImageData, Source, Splits, lower_resolution

SOURCE = Source("random", "Random colours", "made by a test")
NAMES = ("cat", "dog", "owl")


def image_data(labels, images=None, split="train"):
    labels = torch.tensor(labels)
    images = torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8) if images is None else images
    return ImageData(images, labels, NAMES, split, SOURCE)


def test_mean_and_std_are_those_of_the_pixels():
    images = torch.randint(0, 256, (7, 3, 5, 6), dtype=torch.uint8)
    mean, std = image_data([0] * 7, images).mean_std()
    pixels = images.double().transpose(0, 1).flatten(1) / 255
    assert mean == pytest.approx(pixels.mean(1).tolist())
    assert std == pytest.approx(pixels.std(1, correction=0).tolist())


def test_the_first_images_of_each_class_come_class_by_class():
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 4, 4)
    split = image_data([2, 0, 2, 0, 2], images)
    for counts, places in ((1, [1, 0]), (2, [1, 3, 0, 2]), (torch.tensor([1, 5, 3]), [1, 0, 2, 4])):
        first = split.first(counts)
        assert first.images[:, 0, 0, 0].tolist() == places and torch.equal(first.labels, split.labels[places])


@pytest.mark.parametrize(
    ("labels", "images", "message"),
    [
        ([0, 3], None, "go from 0 to 3"),
        ([-1, 0], None, "go from -1 to 0"),
        ([0, 1], torch.zeros(3, 3, 4, 4, dtype=torch.uint8), "one an image"),
        ([0, 1], torch.zeros(2, 3, 4, dtype=torch.uint8), "N, C, H, W"),
        ([0, 1], torch.zeros(2, 3, 4, 4, dtype=torch.int64), "not torch.int64"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels, images, message):
    with pytest.raises(DataError, match=message):
        image_data(labels, images)


def test_splits_say_what_they_hold_and_a_cut_gives_the_first_classes_and_the_others():
    splits = Splits(image_data([0, 1, 2]), image_data([0, 1], split="val"), image_data([0], split="test"))
    assert splits.counts.startswith("3 training, 2 validation, 1 test images; 3 classes; 3 × 4 × 4")
    a, b = splits.cut(2)
    assert [part.labels.tolist() for part in (*a.all, *b.all)] == [[0, 1], [0, 1], [0], [2], [], []]
    assert a.class_names == b.class_names == NAMES
    for number in (1, 3):
        with pytest.raises(DataError, match=rf"two classes at least.* has 3, and NUM_CLASSES_A is {number}"):
            splits.cut(number)


@pytest.mark.parametrize(("size", "shape"), [(16, (32, 32)), (5, (20, 32)), (2, (20, 32))])
def test_a_lower_resolution_is_pillows_and_everything_but_the_pixels_stays(size, shape):
    data = image_data([0, 1, 2], torch.randint(0, 256, (3, 3, *shape), dtype=torch.uint8))
    lowered = lower_resolution(data, size)
    for image, result in zip(data.images, lowered.images, strict=True):
        small = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BILINEAR)
        expected = np.asarray(small.resize(shape[::-1], Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(result.permute(1, 2, 0).numpy() - expected).max() <= 2  # each step rounds
    assert torch.equal(lowered.labels, data.labels)
    assert (lowered.class_names, lowered.split, lowered.source) == (NAMES, "train", SOURCE)
    for refused in (1, 33):
        with pytest.raises(DataError, match=f"2 to {min(shape)} pixels for images of {shape[0]} × 32"):
            lower_resolution(data, refused)
