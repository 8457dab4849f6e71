"""Data sets by name: `load` gives uint8 tensors, labels, class names, three splits, and says where they come from."""

import math
from dataclasses import replace
from pathlib import Path

import torch

from helpers import DATA
from helpers.data import folder, sets, shapes
from helpers.data.places import find_path
from helpers.data.structures import (
    DataError,
    ImageData,
    MissingDataError,
    Source,
    Splits,
    duplicates,
    lower_resolution,
    resize,
    some_of_each,
    to_channels,
)

__all__ = ["DataError", "ImageData", "MissingDataError", "Source", "Splits", "load", "lower_resolution"]

SHAPES_TRAIN, SHAPES_TEST = 100, 25  # drawn images a class, where nothing is asked for
HELD_OUT = 0.2  # share of validation images, of the training images; and of test images in a folder without its own


def load(
    name: str,
    *,
    own: str,
    image_size: int = 32,
    channels: int = 3,
    num_classes: int | None = None,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
    interpolation: str = "bilinear",
    seed: int = 0,
    root: Path = DATA,
) -> Splits:
    """Loads a data set by name, split into training, validation and test images, and looks for duplicates among them.

    A fifth of the training images is set aside for validation, unless a folder has validation images of its own.

    Args:
        name: of a data set that `python -m helpers.data list` shows: "cifar10" say, or "photographs", a folder of
            images in the data folder; "folder:<path>" for own images anywhere, see `helpers.data.folder`, the path
            absolute or from the repository's root or the data folder; "shapes", the drawn stand-in; or "auto": the
            experiment's own data set where it lies on this machine, else the part of it that comes with the workbook
            (of Fashion-MNIST), or the stand-in. "cifar10:cat,dog" takes these classes of a named set, in this order.
        own: the experiment's own data set: a name of `helpers.data.sets`.
        image_size: height and width in pixels; images of another size are resized, antialiased, of which files
            of a folder the centred square.
        channels: 1 (grey, by luma) or 3 (RGB; grey images are repeated).
        num_classes: the first classes only. None: all; of the shapes as many as ``own`` has, 100 for CIFAR-100 say.
        train_per_class: training images a class at most. Validation images are limited in proportion. None: all; of
            the shapes 100.
        test_per_class: test images a class at most. None: all; of the shapes 25.
        interpolation: by which images are resized, "bilinear" or "bicubic": as those were that pretrained weights have
            seen, see `helpers.models.Backbone.interpolation`.
        seed: decides who is in which split, who is in a limited one, and what the shapes look like.
        root: the folder of data sets.

    Raises:
        MissingDataError: a named data set that isn't on this machine; the message says how to get it.
        DataError: no such name, more classes asked for than there are, files or splits that are not as they should be.
        StorageError: neither memory nor the data folder's disk has room for the images.
    """
    counted = {"image_size": image_size, "num_classes": num_classes}
    counted |= {"train_per_class": train_per_class, "test_per_class": test_per_class}
    for option, value in counted.items():
        is_count = isinstance(value, int) and value >= 1
        if not is_count and (value is not None or option == "image_size"):
            raise DataError(f"{option} is a whole number from 1 on, not {value!r}")
    if channels not in (1, 3):
        raise DataError(f"channels is 1 or 3, not {channels}")
    if not isinstance(seed, int):
        raise DataError(f"seed is a whole number, not {seed!r}")

    name, known = str(name), sets.get(own)
    if name == "auto":
        name = own if sets.find(own, root=root) else sets.SUBSETS.get(own, "shapes")
    classes: list[str] = []
    if ":" in name and not name.startswith("folder:"):
        name, _, listed = name.partition(":")
        classes = [each.strip() for each in listed.split(",")]
    if name == "shapes":
        train_per_class, test_per_class = train_per_class or SHAPES_TRAIN, test_per_class or SHAPES_TEST
    limits = {"train": train_per_class, "val": None, "test": test_per_class}
    if train_per_class is not None:
        # Rounded first: 12 * 0.2 / 0.8 is a little more than 3.
        limits["val"] = math.ceil(round(train_per_class * HELD_OUT / (1 - HELD_OUT), 9))

    how = {"image_size": image_size, "channels": channels, "interpolation": interpolation, "cache": root / "cache"}
    if name == "shapes":
        found = _draw(known, num_classes or len(known.shapes), limits, image_size, seed)
    elif name.startswith("folder:"):
        found = folder.read(find_path(name.removeprefix("folder:"), root), **how)
    elif where := sets.find(name, root=root):
        found = sets.read(sets.get(name), where, **how)
    else:
        raise MissingDataError(f"{name} is not on this machine. {sets.how_to_get(sets.get(name), root=root)}")
    parts = [
        replace(part, images=resize(to_channels(part.images, channels), image_size, interpolation))
        for part in _choose(found, classes, num_classes, limits, seed)
    ]
    source = replace(parts[0].source, duplicates=duplicates(*parts))
    if classes:
        source = replace(source, title=f"{source.title}: {', '.join(classes)}")
    if name not in (own, sets.SUBSETS.get(own)) and not name.startswith("folder:"):
        source = replace(source, stands_in_for=known.title)
    return Splits(*(replace(part, source=source) for part in parts))


def _draw(known: sets.KnownSet, number: int, limits: dict[str, int], size: int, seed: int) -> dict[str, ImageData]:
    """The drawn shapes that stand in for a data set."""
    first = known.shapes.start
    source = Source("shapes", "Drawn shapes", "drawn by helpers.data.shapes from the seed", drawn=True)
    parts = {}
    for split, per_class in limits.items():
        images, labels = shapes.draw(number, per_class, size, seed, stream=split, first=first)
        parts[split] = ImageData(images, labels, shapes.class_names(number, first=first), split, source)
    return parts


def _choose(
    parts: dict[str, ImageData],
    classes: list[str],
    num_classes: int | None,
    limits: dict[str, int | None],
    seed: int,
) -> list[ImageData]:
    """The three splits, of some classes, within limits; makes the test and validation images that are missing."""
    names = next(iter(parts.values())).class_names
    if unknown := [each for each in classes if each not in names]:
        raise DataError(f"there is no class {unknown[0]!r}; there are: {', '.join(names)}")
    wanted = [names.index(each) for each in classes or names][:num_classes]
    if num_classes is not None and num_classes > len(wanted):
        raise DataError(f"{num_classes} classes asked for, but the data set has {len(wanted)}")
    if len(wanted) < 2:
        raise DataError(f"there is nothing to tell apart in {names[wanted[0]]!r} alone: take two classes at least")
    label = torch.full((len(names),), -1)
    label[wanted] = torch.arange(len(wanted))
    chosen = {key: (part, (label[part.labels] >= 0).nonzero().squeeze(1)) for key, part in parts.items()}
    # Another seed each: with the same one, the images split off twice would be neighbours in one shuffled order.
    for key, its_seed in (("test", seed), ("val", seed + 1)):
        if key not in chosen:
            part, indices = chosen["train"]
            sizes = torch.bincount(part.labels[indices], minlength=part.num_classes).tolist()
            if 1 in sizes:
                raise DataError(
                    f"class {part.class_names[sizes.index(1)]!r} has a single image left to split: give it more, three "
                    "for training, validation and test"
                )
            counts = [max(1, round(HELD_OUT * size)) for size in sizes]  # of two images one stays, too
            held_out = some_of_each(part.labels[indices], counts, its_seed)
            chosen["train"], chosen[key] = (part, indices[~held_out]), (part, indices[held_out])
    made, kept = [], tuple(names[index] for index in wanted)
    for key, limit in limits.items():
        part, indices = chosen[key]
        if limit is not None:
            indices = indices[some_of_each(part.labels[indices], [limit] * part.num_classes, seed)]
        if len(indices) < len(part):  # else a folder's images stay in its cache file
            part = part.subset(indices)
        made.append(replace(part, labels=label[part.labels], class_names=kept, split=key))
    return made
