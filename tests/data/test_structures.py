"""Images in memory: what fits together, how they are split, and shown at a lower resolution."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.data import DataError, ImageData, Source, Splits, lower_resolution, split
from helpers.data.structures import limited

SOURCE = Source("random", "Random colours", "made by a test")
NAMES = ("cat", "dog", "owl")


def image_data(labels, images=None, names=NAMES, split="train"):
    labels = torch.tensor(labels)
    images = torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8) if images is None else images
    return ImageData(images, labels, names, split, SOURCE)


def test_mean_and_std_are_those_of_the_pixels():
    images = torch.randint(0, 256, (7, 3, 5, 6), dtype=torch.uint8)
    mean, std = image_data([0] * 7, images).mean_std()
    pixels = images.double().transpose(0, 1).flatten(1) / 255
    assert mean == pytest.approx(pixels.mean(1).tolist())
    assert std == pytest.approx(pixels.std(1, correction=0).tolist())


@pytest.mark.parametrize(
    ("labels", "images", "message"),
    [
        ([0, 3], None, "go from 0 to 3"),
        ([-1, 0], None, "go from -1 to 0"),
        ([0, 1], torch.zeros(3, 3, 4, 4, dtype=torch.uint8), "one an image"),
        ([0, 1], torch.zeros(2, 3, 4, dtype=torch.uint8), "N, C, H, W"),
        ([0, 1], torch.zeros(2, 3, 4, 4, dtype=torch.int64), "uint8"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels, images, message):
    with pytest.raises(DataError, match=message):
        image_data(labels, images)


def test_splits_say_what_they_hold_and_a_cut_gives_the_first_classes_and_the_others():
    splits = Splits(image_data([0, 1, 2]), image_data([0, 1], split="val"), image_data([0], split="test"))
    assert splits.counts.startswith("3 training, 2 validation, 1 test images; 3 classes; 3 × 4 × 4")
    assert splits.summary().loc["cat"].to_dict() == {"train": 1, "val": 1, "test": 1}
    a, b = splits.cut(2)
    assert [part.labels.tolist() for part in (*a.all, *b.all)] == [[0, 1], [0, 1], [0], [2], [], []]
    assert a.class_names == b.class_names == NAMES
    for number in (0, 3):
        with pytest.raises(DataError, match=r"NUM_CLASSES_A .* 1 to 2"):
            splits.cut(number)


def numbered(counts):
    """Images whose first pixels are their number, shuffled, with so many of each class."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]
    numbers = torch.arange(len(labels))
    images = torch.stack([numbers // 256, numbers % 256], 1).to(torch.uint8)[:, :, None, None]
    return image_data(labels.tolist(), images, tuple(map(str, range(len(counts)))))


def numbers_of(data):
    return (data.images[:, 0, 0, 0].int() * 256 + data.images[:, 1, 0, 0].int()).tolist()


@pytest.mark.parametrize("counts", [[2], [2, 3, 0, 40], [7, 9, 2, 0, 31, 5]])
@pytest.mark.parametrize(("fraction", "seed"), [(0.05, 0), (0.3, 2**40), (0.95, 0)])
def test_a_split_is_disjoint_complete_stratified_and_stable(counts, fraction, seed):
    data = numbered(counts)
    train, val = split(data, val_fraction=fraction, seed=seed)
    assert sorted(numbers_of(train) + numbers_of(val)) == numbers_of(data)
    for total, held_out in zip(counts, val.class_counts().tolist(), strict=True):
        if total:
            assert abs(held_out - fraction * total) <= 1
            assert 1 <= held_out < total
    assert numbers_of(split(data, val_fraction=fraction, seed=seed)[1]) == numbers_of(val)
    labels = dict(zip(numbers_of(data), data.labels.tolist(), strict=True))
    assert [labels[number] for number in numbers_of(val)] == val.labels.tolist()
    assert (train.split, val.split) == ("train", "val")


def test_a_class_of_one_image_cannot_be_split():
    with pytest.raises(DataError, match="class '1' has a single image"):
        split(numbered([5, 1]), val_fraction=0.2, seed=0)


def test_a_smaller_subset_is_part_of_a_larger_one():
    data = numbered([30, 4, 20])
    small, large = (data.subset(limited(data.labels, 3, per_class, seed=3)) for per_class in (5, 10))
    assert small.class_counts().tolist() == [5, 4, 5] and large.class_counts().tolist() == [10, 4, 10]
    assert set(numbers_of(small)) < set(numbers_of(large))


@pytest.mark.parametrize("size", [16, 5, 2])
@pytest.mark.parametrize("shape", [(32, 32), (20, 32)])
def test_a_lower_resolution_is_pillows_and_everything_but_the_pixels_stays(size, shape):
    images = torch.randint(0, 256, (5, 3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = image_data([0, 1, 0, 1, 2], images)
    lowered = lower_resolution(data, size)
    for image, result in zip(images, lowered.images, strict=True):
        file = Image.fromarray(image.permute(1, 2, 0).numpy())
        small = file.resize((size, size), Image.Resampling.BILINEAR)
        expected = np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(result.permute(1, 2, 0).numpy() - expected).max() <= 2  # each step rounds
    assert torch.equal(lowered.labels, data.labels)
    assert (lowered.class_names, lowered.split, lowered.source) == (NAMES, "train", SOURCE)
    for refused in (1, 33):
        with pytest.raises(DataError, match=f"2 to {min(shape)} pixels for images of {shape[0]} × 32"):
            lower_resolution(data, refused)
