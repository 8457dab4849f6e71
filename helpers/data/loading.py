"""From a data set's name to its three splits."""

import difflib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from helpers import DATA, ROOT, shapes, storage
from helpers.data import catalogue, cifar, duplicates, folder, idx
from helpers.data.errors import ClassMismatchError, DataError, MissingDataError, SplitError, UnknownDataError
from helpers.data.splitting import Choice
from helpers.data.structures import ImageData, Source, Splits

READERS = {
    "fashion_mnist": idx.read_fashion_mnist,
    "cifar10": cifar.read_cifar10,
    "cifar100": cifar.read_cifar100,
}
NAMES = ("auto", "shapes", *READERS, *catalogue.LOCAL_SETS, "folder:<path>")
SHAPES_TRAIN, SHAPES_TEST, SHAPES_SIZE = 100, 25, 32  # drawn images a class, and pixels, where nothing is asked for
TEST_FRACTION = 0.2  # of a folder that has no test images of its own


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
    """Loads a data set by name, split into training, validation and test images; large ones as `helpers.storage` says.

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
        StorageError: neither memory nor the data folder's disk has room for the images.
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
    choices = _three_splits(_first_classes(parts, num_classes), val_fraction, seed)
    limits = _per_class(train_per_class, test_per_class, val_fraction)
    choices = {name: choice.limit(limits[name], seed) for name, choice in choices.items()}
    return _compared(*(_converted(part, image_size, channels) for part in _copied(choices, num_classes)))


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
    return next((place for place in places if place.is_dir() or place.is_symlink()), places[0])


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [n for n in NAMES if "<" not in n], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no data set {name!r}.{hint} DATASET is one of: {', '.join(NAMES)}."


def _first_classes(parts: dict[str, ImageData], num_classes: int | None) -> dict[str, Choice]:
    available = next(iter(parts.values())).num_classes
    number = available if num_classes is None else num_classes
    if number > available:
        raise ClassMismatchError(f"{number} classes asked for, but the data set has {available}")
    return {key: Choice(part, (part.labels < number).nonzero().squeeze(1)) for key, part in parts.items()}


def _three_splits(parts: dict[str, Choice], val_fraction: float, seed: int) -> dict[str, Choice]:
    """Makes what a data set does not bring along: test images, validation images."""
    pool = parts.get("train", parts.get("all"))
    test = parts.get("test")
    if test is None:
        pool, test = pool.split(TEST_FRACTION, seed)
    # Another seed: with the same one, the images split off twice would be neighbours in one shuffled order.
    train, val = (pool, parts["val"]) if "val" in parts else pool.split(val_fraction, seed + 1)
    return {"train": train, "val": val, "test": test}


def _copied(choices: dict[str, Choice], num_classes: int | None) -> Iterator[ImageData]:
    # A folder's splits are views of one tensor, which stays as long as one of them does: copy all of them, or none.
    complete = all(len(choice.indices) == len(choice.data) for choice in choices.values())
    for name, choice in choices.items():
        part = choice.data if complete else choice.copy()
        yield replace(part, class_names=part.class_names[:num_classes], split=name)


def _per_class(train_per_class: int | None, test_per_class: int | None, val_fraction: float) -> dict[str, int | None]:
    """Images a class by split, with as many for validation as keep their proportion to the training images."""
    val_per_class = None
    if train_per_class is not None:
        # Rounded first: 12 * 0.2 / 0.8 is a little more than 3.
        val_per_class = math.ceil(round(train_per_class * val_fraction / (1 - val_fraction), 9))
    return {"train": train_per_class, "val": val_per_class, "test": test_per_class}


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
    source = Source("shapes", "Drawn shapes", "drawn by helpers.shapes from the seed", experiment.title)
    sizes = _per_class(train_per_class or SHAPES_TRAIN, test_per_class or SHAPES_TEST, val_fraction)
    drawn = []
    for stream, per_class in sizes.items():
        images, labels = shapes.draw(number, per_class, image_size or SHAPES_SIZE, seed, stream=stream, first=first)
        drawn.append(_converted(ImageData(images, labels, class_names, stream, source), None, channels))
    return _compared(*drawn)


def _compared(*parts: ImageData) -> Splits:
    """The three splits, whose source says which images are there more than once."""
    source = replace(parts[0].source, duplicates=duplicates.describe(*parts))
    return Splits(*(replace(part, source=source) for part in parts))


def _converted(data: ImageData, image_size: int | None, channels: int | None) -> ImageData:
    return replace(data, images=resize(to_channels(data.images, channels), image_size))


def to_channels(images: Tensor, channels: int | None) -> Tensor:
    """uint8 (N, C, H, W) with one grey channel (luma of ITU-R 601) or three; None: as they are."""
    if channels is None or channels == images.shape[1]:
        return images
    result = storage.empty((len(images), channels, *images.shape[2:]), torch.uint8)
    if channels == 3:
        return result.copy_(images.expand_as(result))
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    for rows in storage.chunks(images):
        result[rows] = (images[rows].float() * luma).sum(1, keepdim=True).round()
    return result


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

    result = storage.empty((*images.shape[:2], *shape), torch.uint8)
    for rows in storage.chunks(max(images, result, key=lambda tensor: tensor.nbytes)):
        result[rows] = functional.resize(images[rows], list(shape), antialias=True)
    return result
