"""The images of a comparison: a folder of links, so that all contestants read the same files."""

import random
from pathlib import Path

from helpers import WorkbookError

MAX_TEST_IMAGES = 2000
VAL_SHARE = 5  # training images for each validation image
SUFFIXES = {".jpg", ".jpeg", ".png"}  # that every contestant reads


class ContestError(WorkbookError):
    """Images that a comparison can't be made with, or a training that failed."""


def link_images(data: Path, folder: Path, *, train_images: int) -> dict[str, int]:
    """Makes ``folder`` with ``train``, ``val`` and ``test``, each with links in a folder for each class.

    Every class has as many images as the others. Which ones is drawn once and for all.

    Args:
        data: with ``train/<class>/*`` and ``test/<class>/*``.
        folder: to be made.
        train_images: how many; a fifth of it, others, are for validation.

    Returns:
        The number of images by split.

    Raises:
        ContestError: too few images, or no such folders.
    """
    classes = sorted(path.name for path in data.glob("train/*") if path.is_dir())
    if not classes:
        raise ContestError(f"{data} has no images in train/<class>/ and test/<class>/")
    train_each = train_images // len(classes)
    val_each = train_each // VAL_SHARE
    test_each = min(MAX_TEST_IMAGES // len(classes), min(len(_files(data / "test" / name)) for name in classes))
    if min(val_each, test_each) < 1:
        raise ContestError(f"{train_images} images are too few for {len(classes)} classes, or one has no test image")
    for number, name in enumerate(classes):
        files = _files(data / "train" / name)
        if len(files) < train_each + val_each:
            raise ContestError(
                f"class {name} has {len(files):,} training images; {train_each:,} to train with and {val_each:,} for "
                "validation are asked for: take a smaller --images"
            )
        # With a number in front, since "2" comes before "10" for some contestants and after it for others.
        target = f"{number:04d} {name}"
        _link(files[:train_each], folder / "train" / target)
        _link(files[train_each : train_each + val_each], folder / "val" / target)
        _link(_files(data / "test" / name)[:test_each], folder / "test" / target)
    each = {"train": train_each, "val": val_each, "test": test_each}
    return {split: number * len(classes) for split, number in each.items()}


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    random.Random(0).shuffle(files)
    return files


def _link(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
