"""The part of Fashion-MNIST that comes with the workbook."""

import pytest

from helpers.data import sets

PREFIXES = sets.SYSTEM_PREFIXES  # before tests of data hide what this machine has


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_packaged_part_of_fashion_mnist_is_balanced_and_as_it_was(split):
    """Its classes by a rule of thumb that needs no network: trousers are narrow, bags and boots broad."""
    part = sets.read(sets.get("fashion_mnist_subset"), sets.find("fashion_mnist_subset"))[split]
    assert part.class_counts().tolist() == [600 if split == "train" else 100] * 10
    assert part.images.shape[1:] == (1, 28, 28) and len(part.images.flatten(1).unique(dim=0)) == len(part)
    width = (part.images[:, 0] > 40).any(dim=1).float().sum(dim=1)
    means = {name: width[part.labels == label].mean() for label, name in enumerate(part.class_names)}
    assert min(means, key=means.get) == "Trouser" and means["Bag"] > 24 and means["Ankle boot"] > 24


@pytest.mark.slow
@pytest.mark.skipif(sets.find("fashion_mnist") is None, reason="Fashion-MNIST is not on this machine")
def test_every_packaged_image_is_one_of_the_whole_set_with_its_label_and_split(monkeypatch):
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", PREFIXES)
    whole, part = (sets.read(sets.get(name), sets.find(name)) for name in ("fashion_mnist", "fashion_mnist_subset"))
    for split in ("train", "test"):
        pairs = zip(whole[split].images, whole[split].labels, strict=True)
        known = {image.numpy().tobytes(): label for image, label in pairs}
        of_part = zip(part[split].images, part[split].labels, strict=True)
        assert all(known[image.numpy().tobytes()] == label for image, label in of_part)
