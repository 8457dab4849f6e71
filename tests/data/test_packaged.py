"""The part of Fashion-MNIST that comes with the workbook."""

import pytest

from helpers.data import sets


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_packaged_part_of_fashion_mnist_is_balanced_and_as_it_was(split):
    """Its classes by a rule of thumb that needs no network: trousers are narrow, bags and boots broad."""
    part = sets.read(sets.get("fashion_mnist_subset"), sets.find("fashion_mnist_subset"))[split]
    assert part.class_counts().tolist() == [600 if split == "train" else 100] * 10
    assert part.images.shape[1:] == (1, 28, 28) and len(part.images.flatten(1).unique(dim=0)) == len(part)
    width = (part.images[:, 0] > 40).any(dim=1).float().sum(dim=1)
    means = {name: width[part.labels == label].mean() for label, name in enumerate(part.class_names)}
    assert min(means, key=means.get) == "Trouser" and means["Bag"] > 24 and means["Ankle boot"] > 24
