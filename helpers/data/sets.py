"""The data sets that the notebooks know by name: what they are, where they lie, how to read and to get them.

Of those that can be downloaded torchvision knows the files, their addresses and sums, and their layout below the data
folder is torchvision's.
"""

import gzip
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from helpers import DATA
from helpers.data import folder, places
from helpers.data.places import check_links, describe_where
from helpers.data.structures import DataError, ImageData, Source
from helpers.files import note


@dataclass(frozen=True)
class KnownSet:
    """A data set. All may lie in the data folder as a folder of images of their name, some in other files as well.

    Attributes:
        name: as `load` and the command line take it.
        title: as a report shows it.
        shapes: the drawn classes of `helpers.data.shapes` that stand in for it.
        torchvision: its class in ``torchvision.datasets``; "" for a set that nobody offers for download.
        folder: where the files lie that this class reads, below the data folder.
        files: their names.
        megabytes: to download; 0 if it can't be.
    """

    name: str
    title: str
    shapes: range = range(10)
    torchvision: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    megabytes: int = 0


_FASHION_MNIST = KnownSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    torchvision="FashionMNIST",
    folder="FashionMNIST/raw",
    files=tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")),
    megabytes=31,
)
KNOWN = {
    known.name: known
    for known in (
        _FASHION_MNIST,
        KnownSet(
            name="cifar10",
            title="CIFAR-10",
            torchvision="CIFAR10",
            folder="cifar-10-batches-py",
            files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
            megabytes=170,
        ),
        KnownSet(
            name="cifar100",
            title="CIFAR-100",
            shapes=range(100),
            torchvision="CIFAR100",
            folder="cifar-100-python",
            files=("train", "test", "meta"),
            megabytes=169,
        ),
        replace(  # docs/make_fashion_subset.py makes it
            _FASHION_MNIST,
            name="fashion_mnist_subset",
            title="Fashion-MNIST (7,000 of its 70,000 images)",
            folder=str(Path(__file__).parent / "fashion_mnist_subset"),
            megabytes=0,
        ),
        KnownSet("stanford_cars", "Stanford Cars", range(15)),
        KnownSet("photographs", "ten classes of photographs", range(10)),
        # Other drawn classes than those of "photographs": a network trained on these is carried to the two below.
        KnownSet("dog_behaviours", "dog behaviours", range(80, 85)),
        KnownSet("three_animals", "three animals", range(150, 153)),
    )
}

SUBSETS = {"fashion_mnist": "fashion_mnist_subset"}
"""By the whole set's name, those that come with the workbook."""


def get(name: str) -> KnownSet:
    """The data set of this name, or a DataError that lists them."""
    if name not in KNOWN:
        names = ", ".join(("auto", "shapes", *KNOWN, "folder:<path>"))
        raise DataError(f"There is no data set '{name}'. DATASET is one of: {names}.")
    return KNOWN[name]


def find(name: str, *, root: Path = DATA) -> Path | None:
    """The folder of this machine that holds all files of a data set, or images of it; or None.

    Only looks whether files or folders exist. A DataError names a link that leads nowhere.
    """
    known, images = get(name), root / name
    where = [root / known.folder, places.DEBIANS] if known.files else []
    check_links([*where, images])
    for each in [*where, images]:
        note(each)
    found = [each for each in where if _holds_files(known, each)]
    return found[0] if found else images if folder.has_images(images) else None


def _holds_files(known: KnownSet, where: Path) -> bool:
    there = [(where / file).is_file() or (where / f"{file}.gz").is_file() for file in known.files]
    return bool(there) and all(there)


def read(known: KnownSet, where: Path, **options: Any) -> dict[str, ImageData]:
    """What there is of "train", "val" and "test", uint8 (N, C, H, W).

    torchvision's files are read as torchvision does, CIFAR's by their sums; images as `helpers.data.folder.read` does
    with these options.
    """
    if not _holds_files(known, where):
        title = known.title
        if known.torchvision:  # whose originals have lost nothing
            title += ", as JPEG files" if any(where.rglob("*.[jJ][pP]*")) else ", as image files"
        return folder.read(where, name=known.name, title=title, **options)
    from torchvision import datasets  # a second that the drawn shapes don't need

    kind = getattr(datasets, known.torchvision)
    source = Source(known.name, known.title, describe_where(where))
    parts = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            root = _torchvisions_root(known, where, Path(scratch))
            for split in ("train", "test"):
                part = kind(root, train=split == "train")
                images = torch.as_tensor(part.data)
                images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)
                parts[split] = ImageData(images, torch.as_tensor(part.targets), tuple(part.classes), split, source)
        except Exception as error:  # damaged files raise almost anything
            raise DataError(
                f"{known.title} in {describe_where(where)} can't be read ({error}): delete that folder, and fetch it "
                f"anew with `python -m helpers.data fetch {known.name}`"
            ) from error
    return parts


def _torchvisions_root(known: KnownSet, where: Path, scratch: Path) -> Path:
    """The folder above the data set's own. torchvision reads no gzipped files: they are unpacked into ``scratch``."""
    if all((where / file).is_file() for file in known.files):
        return where.parents[known.folder.count("/")]
    raw = scratch / known.torchvision / "raw"
    raw.mkdir(parents=True)
    for file in known.files:
        plain = where / file
        content = plain.read_bytes() if plain.is_file() else gzip.decompress(Path(f"{plain}.gz").read_bytes())
        (raw / file).write_bytes(content)
    return scratch


def how_to_get(known: KnownSet, *, root: Path = DATA) -> str:
    """What to do to have a data set: a sentence for error messages."""
    if not known.megabytes:
        place = f"{describe_where(root)}/{known.name}"
        return f"Put images into {place} as {folder.LAYOUT}; data/README.md says which."
    return (
        f"`python -m helpers.data fetch {known.name}` brings it ({known.megabytes} MB), with --url from a mirror; or "
        f"put {', '.join(known.files)} into {describe_where(root)}/{known.folder}."
    )
