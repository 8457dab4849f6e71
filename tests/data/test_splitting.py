import pytest
import torch

from helpers.data import DataError, ImageData, Source, split
from helpers.data.structures import limited

SOURCE = Source("random", "Random colours", "made by a test")


def numbered(counts):
    """Images whose first pixels are their number, shuffled, with so many of each class."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]
    numbers = torch.arange(len(labels))
    images = torch.stack([numbers // 256, numbers % 256], 1).to(torch.uint8)[:, :, None, None]
    return ImageData(images, labels, tuple(map(str, range(len(counts)))), "train", SOURCE)


def numbers_of(data):
    return (data.images[:, 0, 0, 0].int() * 256 + data.images[:, 1, 0, 0].int()).tolist()


@pytest.mark.parametrize("counts", [[2], [2, 3, 0, 40], [7, 9, 2, 0, 31, 5]])
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.95])
@pytest.mark.parametrize("seed", [0, 2**40])
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
    assert small.class_counts().tolist() == [5, 4, 5]
    assert large.class_counts().tolist() == [10, 4, 10]
    assert set(numbers_of(small)) < set(numbers_of(large))
