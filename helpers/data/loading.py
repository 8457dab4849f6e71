"""From a data set's name to its three splits."""

import difflib
import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from helpers import DATA, ROOT, shapes
from helpers.data import catalogue, cifar, folder, idx
from helpers.data.errors import ClassMismatchError, DataError, MissingDataError, SplitError, UnknownDataError
from helpers.data.splitting import limit_per_class, split
from helpers.data.structures import ImageData, Source, Splits

READERS = {
    "fashion_mnist": idx.read_fashion_mnist,
    "cifar10": cifar.read_cifar10,
    "cifar100": cifar.read_cifar100,
}
NAMES = ("auto", "shapes", *READERS, *catalogue.LOCAL_SETS, "folder:<path>")
SHAPES_TRAIN, SHAPES_TEST, SHAPES_SIZE = 100, 25, 32  # drawn images a class, and pixels, where nothing is asked for
TEST_FRACTION = 0.2  # of a folder that has no test images of its own
CHUNK = 4096  # images that are converted at once: their floating point copies need memory


def load(
    name: str,
    *,
    own: str,
    image_size: int | None = None,
    num_classes: int | None = None,
    channels: int | None = None,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
    val_fraction: float = 0.2,
    seed: int = 0,
    skip_bad: bool = False,
    root: Path = DATA,
) -> Splits:
    """Loads a data set by name into memory, split into training, validation and test images.

    Args:
        name: of a data set that `python -m helpers.data list` shows: "cifar10" say, or "photographs", a folder of
            images in the data folder; "folder:<path>" for own images anywhere, see `helpers.data.folder`, the path
            absolute or from the repository's root or the data folder; "shapes", the drawn stand-in; or "auto": the
            experiment's own data set where it lies on this machine, else the stand-in.
        own: the experiment's own data set: a name of `helpers.data.catalogue`.
        image_size: height and width in pixels; images of another size are resized by antialiased bilinear
            interpolation. None: as they come.
        num_classes: the first classes only. None: all; of the shapes those that the catalogue names for ``own``, 100
            for CIFAR-100 say.
        channels: 1 (grey, by luma) or 3 (RGB; grey images are repeated). None: as they come.
        train_per_class: training images a class at most. Validation images are limited in proportion. None: all; of
            the shapes 100.
        test_per_class: test images a class at most. None: all; of the shapes 25.
        val_fraction: share of the training images that is set aside for validation, unless a folder has its own.
        seed: decides who is in which split, who is in a limited one, and what the shapes look like.
        skip_bad: leave out files of a folder that can't be read, with a warning, instead of stopping.
        root: the folder of data sets.

    Raises:
        UnknownDataError: no such name.
        MissingDataError: a named data set that isn't on this machine; the message says how to get it.
        ClassMismatchError: more classes asked for than there are.
        DataError: its subclasses, for files and splits that are not as they should be.
    """
    _check_options(image_size, num_classes, channels, train_per_class, test_per_class, val_fraction)
    if name == "auto":
        name = own if catalogue.find(own, root=root) else "shapes"
    if name == "shapes":
        return _draw(own, image_size, num_classes, channels, train_per_class, test_per_class, val_fraction, seed)
    if name in READERS:
        where = _where(name, root)
        parts = READERS[name](where, _source(name, where))
    elif name in catalogue.LOCAL_SETS:
        where = _where(name, root)
        parts = folder.read(where, image_size=image_size, channels=channels, skip_bad=skip_bad, cache=root / "cache")
        parts = {key: replace(part, source=_source(name, where)) for key, part in parts.items()}
    elif name.startswith("folder:"):
        path = _folder_path(name.removeprefix("folder:"), root)
        parts = folder.read(path, image_size=image_size, channels=channels, skip_bad=skip_bad, cache=root / "cache")
    else:
        raise UnknownDataError(_unknown(name))
    if num_classes is not None:
        parts = {key: _first_classes(part, num_classes) for key, part in parts.items()}
    splits = _three_splits(parts, val_fraction, seed)
    splits = _limited(splits, train_per_class, test_per_class, val_fraction, seed)
    return Splits(*(_converted(part, image_size, channels) for part in splits.all))


def _check_options(
    image_size: int | None,
    num_classes: int | None,
    channels: int | None,
    train_per_class: int | None,
    test_per_class: int | None,
    val_fraction: float,
) -> None:
    counted = {"image_size": image_size, "num_classes": num_classes}
    counted |= {"train_per_class": train_per_class, "test_per_class": test_per_class}
    for option, value in counted.items():
        if value is not None and value < 1:
            raise DataError(f"{option} is a whole number from 1 on, or None; not {value}")
    if channels not in (None, 1, 3):
        raise DataError(f"channels is 1, 3 or None, not {channels}")
    if not 0 < val_fraction < 1:
        raise SplitError(f"val_fraction lies between 0 and 1; {val_fraction} does not")


def _where(name: str, root: Path) -> Path:
    where = catalogue.find(name, root=root)
    if where is None:
        raise MissingDataError(f"{name} is not on this machine. {catalogue.how_to_get(name, root=root)}")
    return where


def _source(name: str, where: Path) -> Source:
    return Source(name, catalogue.known(name).title, catalogue.describe_where(where))


def _folder_path(text: str, root: Path) -> Path:
    path = Path(text).expanduser()
    # Not the working folder: it is another one in JupyterLab, under papermill and under the report command.
    places = [path] if path.is_absolute() else [ROOT / path, root / path]
    return next((place for place in places if place.is_dir()), places[0])


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [n for n in NAMES if "<" not in n], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no data set {name!r}.{hint} DATASET is one of: {', '.join(NAMES)}."


def _first_classes(data: ImageData, num_classes: int) -> ImageData:
    if not 1 <= num_classes <= data.num_classes:
        raise ClassMismatchError(f"{num_classes} classes asked for, but the data set has {data.num_classes}")
    kept = data.subset(data.labels < num_classes)
    return replace(kept, class_names=data.class_names[:num_classes])


def _three_splits(parts: dict[str, ImageData], val_fraction: float, seed: int) -> Splits:
    """Makes what a data set does not bring along: test images, validation images."""
    pool = parts.get("train", parts.get("all"))
    test = parts.get("test")
    if test is None:
        pool, test = split(pool, val_fraction=TEST_FRACTION, seed=seed)
    # Another seed: with the same one, the images split off twice would be neighbours in one shuffled order.
    train, val = (pool, parts["val"]) if "val" in parts else split(pool, val_fraction=val_fraction, seed=seed + 1)
    return Splits(replace(train, split="train"), replace(val, split="val"), replace(test, split="test"))


def _limited(
    splits: Splits, train_per_class: int | None, test_per_class: int | None, val_fraction: float, seed: int
) -> Splits:
    return Splits(
        limit_per_class(splits.train, train_per_class, seed),
        limit_per_class(splits.val, _val_per_class(train_per_class, val_fraction), seed),
        limit_per_class(splits.test, test_per_class, seed),
    )


def _val_per_class(train_per_class: int | None, val_fraction: float) -> int | None:
    """As many validation images as keep the proportion of validation to training images, at least one."""
    if train_per_class is None:
        return None
    # Rounded first: 12 * 0.2 / 0.8 is a little more than 3.
    return math.ceil(round(train_per_class * val_fraction / (1 - val_fraction), 9))


def _draw(
    own: str,
    image_size: int | None,
    num_classes: int | None,
    channels: int | None,
    train_per_class: int | None,
    test_per_class: int | None,
    val_fraction: float,
    seed: int,
) -> Splits:
    experiment = catalogue.known(own)
    number, first = num_classes or len(experiment.shapes), experiment.shapes.start
    class_names = shapes.class_names(number, first=first)
    train_per_class = train_per_class or SHAPES_TRAIN
    source = Source("shapes", "Drawn shapes", "drawn by helpers.shapes from the seed", experiment.title)
    sizes = {
        "train": train_per_class,
        "val": _val_per_class(train_per_class, val_fraction),
        "test": test_per_class or SHAPES_TEST,
    }
    drawn = []
    for stream, per_class in sizes.items():
        images, labels = shapes.draw(number, per_class, image_size or SHAPES_SIZE, seed, stream=stream, first=first)
        data = ImageData(images, labels, class_names, stream, source)
        drawn.append(_converted(data, None, channels))
    return Splits(*drawn)


def _converted(data: ImageData, image_size: int | None, channels: int | None) -> ImageData:
    return replace(data, images=resize(to_channels(data.images, channels), image_size))


def to_channels(images: Tensor, channels: int | None) -> Tensor:
    """uint8 (N, C, H, W) with one grey channel (luma of ITU-R 601) or three; None: as they are."""
    if channels is None or channels == images.shape[1]:
        return images
    if channels == 3:
        return images.repeat(1, 3, 1, 1)
    luma = torch.tensor([0.299, 0.587, 0.114])
    grey = [(chunk.float() * luma[:, None, None]).sum(1, keepdim=True).round() for chunk in images.split(CHUNK)]
    return torch.cat(grey).to(torch.uint8)


def resize(images: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    """uint8 (N, C, H, W) at another size, by antialiased bilinear interpolation on tensors; None: as they are.

    Args:
        images: stay as they are.
        size: in pixels; one number for height and width, or both.
    """
    shape = (size, size) if isinstance(size, int) else size
    if shape is None or images.shape[2:] == shape:
        return images
    from torchvision.transforms.v2 import functional  # half a second that most runs don't need

    chunks = [functional.resize(chunk, list(shape), antialias=True) for chunk in images.split(CHUNK)]
    return torch.cat(chunks)
