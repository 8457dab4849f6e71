"""What a data set is in memory (tensors, names, where they come from), how it is split, scaled and checked."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers import WorkbookError, storage
from helpers.phrases import say, sentences

_CHUNK = 1024  # images that are worked on at once: few enough that floating point copies of them stay small
_IN_WORDS = {"train": "training", "val": "validation", "test": "test"}


class DataError(WorkbookError):
    """Something is wrong with a data set, or with what was asked of it."""


class MissingDataError(DataError):
    """A data set that is known but does not lie on this machine."""


@dataclass(frozen=True)
class Source:
    """Where images come from.

    Attributes:
        name: as `load` takes it.
        title: as a report shows it, "CIFAR-100" say.
        where: the folder or package that they were read from, in words or relative to the project; or how they were
            made.
        stands_in_for: the title of the data set that these images stand in for; "" for real images.
        duplicates: which images are there more than once, in words; "" for none.
        drawn: whether they are no photographs but drawn by `helpers.data.shapes`.
        left_out: what a folder holds besides the images that were read, in words; "" for nothing.
    """

    name: str
    title: str
    where: str
    stands_in_for: str = ""
    duplicates: str = ""
    drawn: bool = False
    left_out: str = ""

    @property
    def stand_in(self) -> bool:
        return bool(self.stands_in_for)

    @property
    def warning(self) -> str:
        """What a report says loudly; "" for real images, each of which is there once."""
        images, wanted = self.title, self.stands_in_for
        what = say("drawn shapes") if self.drawn else say("{images}, real images,", images=images)
        copies = self.duplicates and say(
            "DUPLICATES in {images}: {duplicates}. What a network has learned from it may know by heart, which makes "
            "the numbers too good: take the copies away where you can.",
            images=images,
            duplicates=self.duplicates,
        )
        stand_in = wanted and say(
            "STAND-IN DATA: {what} in the place of {wanted}. The numbers say how the methods behave, nothing about "
            "the images that should be there.",
            what=what,
            wanted=wanted,
        )
        return sentences([stand_in, copies])


@dataclass(frozen=True, eq=False, repr=False)
class ImageData:
    """One split.

    Attributes:
        images: uint8 (N, C, H, W) on the CPU, 0 to 255. Activations of a frozen network travel here too: any floating
            point tensor whose first dimension is N.
        labels: int64 (N,), from 0 to num_classes - 1.
        class_names: one for each class of the data set, also of those that this split has no image of: row i of every
            table and every head is class i.
        split: "train", "val" or "test".
        source: where the images come from.

    Raises:
        DataError: shapes, dtypes or label values that do not fit together.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    split: str
    source: Source

    def __post_init__(self) -> None:
        are_pixels = self.images.dtype == torch.uint8 and self.images.dim() == 4
        if not are_pixels and not self.images.is_floating_point():
            what = f"{self.images.dtype} {tuple(self.images.shape)}"
            raise DataError(f"images are uint8 (N, C, H, W), or floating point activations; not {what}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels are int64, one an image: ({len(self.images)},), not {self.labels.dtype} "
                f"{tuple(self.labels.shape)}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise DataError(
                f"labels of the {self.split} split go from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{len(self.class_names)} class names: labels must be 0 to {len(self.class_names) - 1}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<{self.split}: {len(self):,} images of {self.source.title}, {_size(self)}, {self.num_classes} classes>"

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def class_counts(self) -> Tensor:
        """Images of each class: int64 (num_classes,)."""
        return torch.bincount(self.labels, minlength=self.num_classes)

    def subset(self, indices: Tensor) -> "ImageData":
        """A copy of the images at these indices (or where a boolean mask is true), in this order."""
        if indices.dtype == torch.bool:
            indices = indices.nonzero().squeeze(1)
        images = storage.empty((len(indices), *self.images.shape[1:]), self.images.dtype)
        torch.index_select(self.images, 0, indices, out=images)
        return replace(self, images=images, labels=self.labels[indices])

    def first(self, counts: int | Tensor) -> "ImageData":
        """A copy of the first images of each class, class by class: so many of all, or (num_classes,) of each."""
        members = torch.argsort(self.labels, stable=True).split(self.class_counts().tolist())
        wanted = torch.as_tensor(counts).expand(self.num_classes).tolist()
        return self.subset(torch.cat([of_class[:count] for of_class, count in zip(members, wanted, strict=True)]))

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel over all pixels, on the scale 0 to 1."""
        # Counting the 256 values is exact, and needs no floating point copy of the images.
        counts = torch.zeros(self.images.shape[1], 256, dtype=torch.float64)
        for images in self.images.split(_CHUNK):
            for channel, pixels in enumerate(images.unbind(1)):
                counts[channel] += torch.bincount(pixels.reshape(-1), minlength=256)
        values, shares = torch.arange(256, dtype=torch.float64) / 255, counts / counts.sum(1, keepdim=True)
        means = [(share * values).sum() for share in shares]
        stds = [(share * (values - mean) ** 2).sum().sqrt() for share, mean in zip(shares, means, strict=True)]
        return tuple(mean.item() for mean in means), tuple(std.item() for std in stds)


@dataclass(frozen=True, repr=False)
class Splits:
    """The three splits of a data set: learn from ``train``, choose by ``val``, measure on ``test`` once."""

    train: ImageData
    val: ImageData
    test: ImageData

    @property
    def all(self) -> tuple[ImageData, ImageData, ImageData]:
        return self.train, self.val, self.test

    @property
    def source(self) -> Source:
        return self.train.source

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.train.class_names

    @property
    def num_classes(self) -> int:
        return self.train.num_classes

    @property
    def counts(self) -> str:
        """How many images of which size, in words, which of them are there more than once, and what was left out."""
        counts = say(
            "{train:,} training, {val:,} validation, {test:,} test images; {classes} classes; {size} "
            "(channels × height × width)",
            train=len(self.train),
            val=len(self.val),
            test=len(self.test),
            classes=self.num_classes,
            size=_size(self.train),
        )
        if duplicates := self.source.duplicates:
            counts = say("{counts}; {duplicates}", counts=counts, duplicates=duplicates)
        left_out = self.source.left_out
        return say("{counts}; left out: {left_out}", counts=counts, left_out=left_out) if left_out else counts

    def cut(self, num_classes_a: int) -> tuple["Splits", "Splits"]:
        """The first classes (data set A), two at least, and the others (B); both keep their labels and all names."""
        if not (isinstance(num_classes_a, int) and 2 <= num_classes_a < self.num_classes):
            raise DataError(
                f"A needs two classes at least, and B one: {self.source.title} has {self.num_classes}, and "
                f"NUM_CLASSES_A is {num_classes_a!r}"
            )
        a = [split.subset(split.labels < num_classes_a) for split in self.all]
        b = [split.subset(split.labels >= num_classes_a) for split in self.all]
        return Splits(*a), Splits(*b)

    def __repr__(self) -> str:
        return " ".join(filter(None, [f"<{self.source.title}: {self.counts}>", self.source.warning]))


def some_of_each(labels: Tensor, counts: Sequence[int], seed: int) -> Tensor:
    """True at so many images of each class, whom the seed decides: bool (N,). Fewer are among more of the same seed."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = order[torch.argsort(labels[order], stable=True)]
    some = torch.zeros(len(labels), dtype=torch.bool)
    sizes = torch.bincount(labels, minlength=len(counts)).tolist()
    for members, count in zip(by_class.split(sizes), counts, strict=True):
        some[members[:count]] = True
    return some


def duplicates(train: ImageData, val: ImageData, test: ImageData) -> str:
    """Which images are in two splits, twice in one, or in two classes, pixel for pixel, in words; "" if none is."""
    parts = (test, val, train)
    hashes = {
        part.split: [hashlib.blake2b(image, digest_size=16).digest() for image in part.images.flatten(1).numpy()]
        for part in parts
    }
    labelled = {pair for part in parts for pair in zip(hashes[part.split], part.labels.tolist(), strict=True)}
    classes = Counter(digest for digest, _ in labelled)
    found = []
    for split, other in (("test", "train"), ("test", "val"), ("val", "train")):
        learned = set(hashes[other])
        if number := sum(digest in learned for digest in hashes[split]):
            are = "is" if number == 1 else "are"
            all_images = f"{len(hashes[split]):,} {_IN_WORDS[split]} images"
            found.append(f"{number:,} of {all_images} {are} among the {_IN_WORDS[other]} images")
    for split, digests in hashes.items():
        if number := len(digests) - len(set(digests)):
            found.append(f"{number:,} {'copy' if number == 1 else 'copies'} within the {_IN_WORDS[split]} images")
    if number := sum(count > 1 for count in classes.values()):
        found.append(f"{number:,} {'image' if number == 1 else 'images'} in several classes")
    return "; ".join(found)


def to_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 (N, C, H, W) with one grey channel (luma of ITU-R 601) or three."""
    if channels == images.shape[1]:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = [(part.float() * luma).sum(1, keepdim=True).round().to(torch.uint8) for part in images.split(_CHUNK)]
    return torch.cat(grey)


def resize(images: Tensor, size: int | tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    """uint8 (N, C, H, W) at another size, by antialiased interpolation on tensors."""
    shape = (size, size) if isinstance(size, int) else size
    if images.shape[2:] == shape:
        return images
    from torchvision.transforms.v2 import functional  # half a second that most runs don't need

    result = storage.empty((*images.shape[:2], *shape), torch.uint8)
    for part, resized in zip(images.split(_CHUNK), result.split(_CHUNK), strict=True):
        resized.copy_(functional.resize(part, list(shape), functional.InterpolationMode(interpolation), antialias=True))
    return result


def lower_resolution(data: ImageData, size: int) -> ImageData:
    """Scales images down to ``size`` x ``size`` pixels, and back up to the height and width that they had.

    Both ways by bilinear interpolation with antialiasing: on the way down each pixel is a weighted mean of all the
    pixels that it replaces, so fine patterns fade to their mean. Without it two pixels in each direction would count,
    whatever the others hold, and fine patterns would come back as false coarse ones. Values are rounded to whole
    numbers after each step, as in a file of the small image.

    ``size`` is from 2 to the images' shorter side, else a DataError says so. Where H and W have it already, ``data``
    itself comes back.
    """
    shape = tuple(data.images.shape[2:])
    # Not 1: torchvision refuses to resize colour images to a single pixel (seen with torch 2.14 on x86).
    if not 2 <= size <= min(shape):
        raise DataError(
            f"a lower resolution is 2 to {min(shape)} pixels for images of {shape[0]} × {shape[1]}, not {size}"
        )
    if shape == (size, size):
        return data
    return replace(data, images=resize(resize(data.images, size), shape))


def _size(split: ImageData) -> str:
    return " × ".join(str(length) for length in split.images.shape[1:])
