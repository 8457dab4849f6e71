"""The data sets that the notebooks know by name: what they are, where they lie, how to read and to get them.

`PUBLIC` can be downloaded, `LOCAL` are folders of images that only you can put here, `PACKAGED` come with the workbook.
Of the public ones torchvision knows the files, their addresses and sums, and their layout below the data folder is
torchvision's.
"""

import difflib
import gzip
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from helpers import DATA, ROOT
from helpers.data.folder import LAYOUT, check_links, has_images
from helpers.data.structures import DataError, ImageData, Source
from helpers.files import note

DEBIANS = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package of Fashion-MNIST puts its files, gzipped."""
_DEBIANS_PACKAGE = "Debian's package dataset-fashion-mnist"


@dataclass(frozen=True)
class PublicSet:
    """A data set that can be downloaded.

    Attributes:
        name: as `load` and the command line take it.
        title: as a report shows it.
        torchvision: its class in ``torchvision.datasets``.
        folder: where its files lie, below the data folder.
        files: their names.
        megabytes: to download.
        shapes: the drawn classes of `helpers.data.shapes` that stand in for it.
    """

    name: str
    title: str
    torchvision: str
    folder: str
    files: tuple[str, ...]
    megabytes: int
    shapes: range = range(10)


@dataclass(frozen=True)
class LocalSet:
    """A data set that cannot be downloaded: a folder of images of its name in the data folder.

    Attributes:
        name, title, shapes: as of a `PublicSet`.
        reason: why it cannot be downloaded; begins a sentence.
        images: what to put there; stands inside one.
    """

    name: str
    title: str
    reason: str
    images: str
    shapes: range


PUBLIC = {
    known.name: known
    for known in (
        PublicSet(
            name="fashion_mnist",
            title="Fashion-MNIST",
            torchvision="FashionMNIST",
            folder="FashionMNIST/raw",
            files=tuple(
                f"{part}-{what}" for part in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
            ),
            megabytes=31,
        ),
        PublicSet(
            name="cifar10",
            title="CIFAR-10",
            torchvision="CIFAR10",
            folder="cifar-10-batches-py",
            files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
            megabytes=170,
        ),
        PublicSet(
            name="cifar100",
            title="CIFAR-100",
            torchvision="CIFAR100",
            folder="cifar-100-python",
            files=("train", "test", "meta"),
            megabytes=169,
            shapes=range(100),
        ),
    )
}

PACKAGED = {
    "fashion_mnist": replace(
        PUBLIC["fashion_mnist"], name="fashion_mnist_subset", title="Fashion-MNIST (7,000 of its 70,000 images)"
    ),
}
"""By the whole set's name, subsets whose files lie beside this one; docs/make_fashion_subset.py makes them."""

_UNPUBLISHED = "These photographs were never published"
_DEAD = "The address that torchvision has for Stanford Cars is dead"
_OF_CARS = "the images of Kaggle's copy or of the authors' archive"
LOCAL = {
    known.name: known
    for known in (
        LocalSet("stanford_cars", "Stanford Cars", _DEAD, _OF_CARS, range(20)),
        LocalSet("photographs", "ten classes of photographs", _UNPUBLISHED, "ten classes of your own", range(10)),
        # Other drawn classes than those of "photographs": a network trained on these is carried to the two below.
        LocalSet("dog_behaviours", "dog behaviours", _UNPUBLISHED, "your own of what dogs do", range(80, 85)),
        LocalSet("three_animals", "three animals", _UNPUBLISHED, "your own of dogs, horses and cats", range(150, 153)),
    )
}

_KNOWN = {known.name: known for known in (*PUBLIC.values(), *PACKAGED.values(), *LOCAL.values())}

NAMES = ("auto", "shapes", *_KNOWN, "folder:<path>")
"""All that `helpers.data.load` takes."""


def get(name: str) -> PublicSet | LocalSet:
    """The data set of this name. A DataError suggests the nearest name if there is none."""
    if name in _KNOWN:
        return _KNOWN[name]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), [*_KNOWN, "shapes"], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise DataError(f"There is no data set '{name}'.{hint} DATASET is one of: {', '.join(NAMES)}.")


def find(name: str, *, root: Path = DATA) -> Path | None:
    """The folder of this machine that holds all files of a data set, or some images of a local one; or None.

    Only looks whether files or folders exist. A public set may lie there as a local one does, too:
    ``cifar10/train/cat/*.jpg``. A DataError names a link that leads nowhere.
    """
    known = get(name)
    if known in PACKAGED.values():
        return Path(__file__).parent / name
    if isinstance(known, PublicSet):
        check_links([root / known.folder])
        for folder in [root / known.folder, *([DEBIANS] if name == "fashion_mnist" else [])]:
            note(folder)
            if all((folder / file).is_file() or (folder / f"{file}.gz").is_file() for file in known.files):
                return folder
    own = root / name
    check_links([own])
    note(own)
    return own if has_images(own) else None


def read(known: PublicSet, folder: Path) -> dict[str, ImageData]:
    """The training and the test images, uint8 (N, C, H, W), as torchvision reads them: CIFAR's files by their sums."""
    from torchvision import datasets  # a second that the drawn shapes don't need

    kind = getattr(datasets, known.torchvision)
    source = Source(known.name, known.title, describe_where(folder))
    parts = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            root = _torchvisions_root(known, folder, Path(scratch))
            for split in ("train", "test"):
                part = kind(root, train=split == "train")
                images = torch.as_tensor(part.data)
                images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)
                parts[split] = ImageData(images, torch.as_tensor(part.targets), tuple(part.classes), split, source)
        except Exception as error:  # damaged files raise almost anything
            raise DataError(
                f"{known.title} in {describe_where(folder)} can't be read ({error}): delete that folder, and fetch it "
                f"anew with `python -m helpers.data fetch {known.name}`"
            ) from error
    return parts


def _torchvisions_root(known: PublicSet, folder: Path, scratch: Path) -> Path:
    """The folder above the data set's own. torchvision reads no gzipped files: they are unpacked into ``scratch``."""
    if folder.match(known.folder) and all((folder / file).is_file() for file in known.files):
        return folder.parents[len(Path(known.folder).parts) - 1]
    (scratch / known.folder).mkdir(parents=True)
    for file in known.files:
        plain, packed = folder / file, folder / f"{file}.gz"
        content = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        (scratch / known.folder / file).write_bytes(content)
    return scratch


def how_to_get(name: str, *, root: Path = DATA) -> str:
    """What to do to have a data set: a sentence for error messages."""
    known = get(name)
    if isinstance(known, LocalSet):
        return f"{known.reason}; put {known.images} into {describe_where(root)}/{name} as {LAYOUT}."
    command = f"python -m helpers.data fetch {name}"
    return f"Fetch it once with `{command}` ({known.megabytes} MB), or {by_hand(known, root=root)}."


def by_hand(known: PublicSet, *, root: Path) -> str:
    """How to get a public data set without a command."""
    text = f"put {', '.join(known.files)} into {describe_where(root)}/{known.folder}"
    return f"{text}, or install {_DEBIANS_PACKAGE}" if known.name == "fashion_mnist" else text


def describe_where(path: Path) -> str:
    """A folder as reports name it: readers recognise it, and it says nothing about how this machine is laid out.

    Paths inside the project are relative to its root, those in a data folder elsewhere begin with WORKBOOK_DATA; of any
    other path only the last part is left.
    """
    # No Path.resolve(): a link inside the project should keep the name that the project gives it.
    path = Path(os.path.abspath(path))
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).as_posix()
    if path.is_relative_to(DATA):
        return (Path("WORKBOOK_DATA") / path.relative_to(DATA)).as_posix()
    return _DEBIANS_PACKAGE if path == DEBIANS else path.name
