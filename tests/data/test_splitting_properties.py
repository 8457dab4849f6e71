"""What holds for every split: of a folder of files, from the files to the three splits."""

from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.data import DataError, load

# The same examples in every run.
of_folders = settings(max_examples=20, deadline=None, derandomize=True)

FRACTIONS = st.floats(0.05, 0.95)
SEEDS = st.integers(0, 2**40)
LAYOUTS = st.sampled_from([("all",), ("train",), ("train", "test"), ("train", "val", "test"), ("train", "val")])
FEWEST = 3  # images of a class for three splits
ODD_COUNTS = st.lists(st.integers(FEWEST, 13), min_size=1, max_size=5)


def write_folder(root, layout, counts):
    """PNG files of one pixel each: red is the class, and green and blue a number that no other image has."""
    numbers = count()
    for split in layout:
        for label, images in enumerate(counts):
            folder = root / f"class {label}" if split == "all" else root / split / f"class {label}"
            folder.mkdir(parents=True)
            for image in range(images):
                number = next(numbers)
                pixel = np.array([[[label, number // 256, number % 256]]], np.uint8)
                Image.fromarray(pixel).save(folder / f"{image:02}.png")
    return root


def load_folder(root, **options):
    return load(f"folder:{root}", own="cifar10", root=root / ".data", **options)


def numbers_of(part):
    return (part.images[:, 1, 0, 0].int() * 256 + part.images[:, 2, 0, 0].int()).tolist()


def is_fair(held_out, total, fraction):
    """Within one image of the class's share, and neither side empty."""
    return abs(held_out - fraction * total) <= 1 and 1 <= held_out < total


@of_folders
@given(layout=LAYOUTS, counts=ODD_COUNTS, fraction=FRACTIONS, seed=SEEDS)
def test_a_folder_s_splits_are_disjoint_complete_and_stratified(tmp_path_factory, layout, counts, fraction, seed):
    root = write_folder(tmp_path_factory.mktemp("set"), layout, counts)
    splits = load_folder(root, val_fraction=fraction, seed=seed)
    numbers = [number for part in splits.all for number in numbers_of(part)]
    assert sorted(numbers) == list(range(len(layout) * sum(counts)))
    for part in splits.all:
        assert torch.equal(part.images[:, 0, 0, 0].long(), part.labels)
        assert part.class_names == tuple(f"class {label}" for label in range(len(counts)))
    if "val" not in layout:
        # Of what is left for training when the test images, 20 %, have gone.
        for val, train in zip(splits.val.class_counts(), splits.train.class_counts(), strict=True):
            assert is_fair(val.item(), (val + train).item(), fraction)
    if "test" not in layout:
        for test, images in zip(splits.test.class_counts(), counts, strict=True):
            assert is_fair(test.item(), images, 0.2)
    for split in {"val", "test"} & set(layout):
        first = layout.index(split) * sum(counts)
        assert numbers_of(getattr(splits, split)) == list(range(first, first + sum(counts)))


@of_folders
@given(counts=ODD_COUNTS, fraction=FRACTIONS, seeds=st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_a_seed_decides_who_is_where_but_not_how_many(tmp_path_factory, counts, fraction, seeds):
    root = write_folder(tmp_path_factory.mktemp("set"), ("all",), counts)
    # The first time from the files, then from the cache.
    first, again, other = (load_folder(root, val_fraction=fraction, seed=seed) for seed in (seeds[0], *seeds))
    for one, two, three in zip(first.all, again.all, other.all, strict=True):
        assert torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)
        assert torch.equal(one.class_counts(), three.class_counts())


@of_folders
@given(counts=ODD_COUNTS, fraction=FRACTIONS, limits=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=SEEDS)
def test_limited_splits_are_parts_of_the_whole_ones(tmp_path_factory, counts, fraction, limits, seed):
    root = write_folder(tmp_path_factory.mktemp("set"), ("all",), counts)
    options = {"val_fraction": fraction, "seed": seed}
    whole = load_folder(root, **options)
    limited = load_folder(root, train_per_class=limits[0], test_per_class=limits[1], **options)
    for part, all_of_it in zip(limited.all, whole.all, strict=True):
        assert set(numbers_of(part)) <= set(numbers_of(all_of_it))
    assert torch.equal(limited.train.class_counts(), whole.train.class_counts().clamp(max=limits[0]))
    assert torch.equal(limited.test.class_counts(), whole.test.class_counts().clamp(max=limits[1]))
    # As many as keep the proportion, and a class never goes without.
    proportional = limits[0] * fraction / (1 - fraction)
    for kept, there in zip(limited.val.class_counts().tolist(), whole.val.class_counts().tolist(), strict=True):
        assert min(there, proportional) - 1e-6 <= kept <= max(1, proportional + 1)


@of_folders
@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=5), seed=SEEDS)
def test_a_class_too_small_for_three_splits_is_named_and_every_other_set_is_split(tmp_path_factory, counts, seed):
    root = write_folder(tmp_path_factory.mktemp("set"), ("all",), counts)
    small = [f"class {label}" for label, images in enumerate(counts) if images < FEWEST]
    if not small:
        assert all((part.class_counts() > 0).all() for part in load_folder(root, seed=seed).all)
        return
    with pytest.raises(DataError) as error:
        load_folder(root, seed=seed)
    assert any(repr(name) in str(error.value) for name in small)
    assert "give it more, three" in str(error.value)  # also where two are not enough
    # Classes that are not asked for don't matter.
    good = min(label for label, images in enumerate(counts) if images < FEWEST)
    if good:
        assert load_folder(root, seed=seed, num_classes=good).num_classes == good
