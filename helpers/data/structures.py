"""What a data set is in memory: tensors, names, and where they come from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from helpers import storage
from helpers.data.errors import LabelError
from helpers.reprs import Row, TableRepr

MOST_NAMES = 10
MOST_ROWS = 60
"""Of classes that a notebook's cell shows."""


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
    """

    name: str
    title: str
    where: str
    stands_in_for: str = ""
    duplicates: str = ""

    @property
    def stand_in(self) -> bool:
        return bool(self.stands_in_for)

    @property
    def warning(self) -> str:
        """What a report says loudly; "" for real images, each of which is there once."""
        warnings = []
        if self.stand_in:
            warnings.append(
                f"STAND-IN DATA: {self.title.lower()}, not {self.stands_in_for}. "
                f"The numbers say how the methods behave, nothing about {self.stands_in_for}."
            )
        if self.duplicates:
            warnings.append(
                f"DUPLICATES in {self.title}: {self.duplicates}. What a network has learned from it may know by "
                "heart, which makes the numbers too good: take the copies away where you can."
            )
        return " ".join(warnings)


@dataclass(frozen=True, eq=False, repr=False)
class ImageData(TableRepr):
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
        LabelError: shapes, dtypes or label values that do not fit together.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    split: str
    source: Source

    def __post_init__(self) -> None:
        if self.images.dtype == torch.uint8 and self.images.dim() != 4:
            raise LabelError(f"images are uint8 (N, C, H, W), not of shape {tuple(self.images.shape)}")
        if self.images.dtype != torch.uint8 and not self.images.is_floating_point():
            raise LabelError(f"images are uint8, or floating point activations; not {self.images.dtype}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise LabelError(
                f"labels are int64, one an image: ({len(self.images)},), not {self.labels.dtype} "
                f"{tuple(self.labels.shape)}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise LabelError(
                f"labels of the {self.split} split go from {self.labels.min()} to {self.labels.max()}, but there are "
                f"{len(self.class_names)} class names: labels must be 0 to {len(self.class_names) - 1}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<{self.split}: {len(self):,} images of {self.source.title}, {_size(self)}, {self.num_classes} classes>"

    def _rows(self) -> list[Row]:
        counts = self.class_counts()
        present = int((counts > 0).sum())
        return [
            ("Data set", self.source.title),
            ("Source", self.source.where),
            ("Split", self.split),
            ("Images", f"{len(self):,}, {_size(self)}, {str(self.images.dtype).removeprefix('torch.')}"),
            ("Classes", f"{self.num_classes}, {present} of them with images, {_between(counts[counts > 0])} each"),
            ("Names", _listed(self.class_names)),
        ]

    def _warning(self) -> str:
        return self.source.warning

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def class_counts(self) -> Tensor:
        """Images of each class: int64 (num_classes,)."""
        return torch.bincount(self.labels, minlength=self.num_classes)

    def subset(self, indices: Tensor) -> "ImageData":
        """A copy of the images at these indices (or where a boolean mask is true), in this order."""
        return replace(self, images=storage.take(self.images, indices), labels=self.labels[indices])

    def select_classes(self, classes: Iterable[int]) -> "ImageData":
        """The images of these classes. Labels and class names stay as they are: class i is still i.

        Raises:
            LabelError: for a class that the data set does not have.
        """
        wanted = torch.tensor(list(classes), dtype=torch.int64)
        if len(wanted) == 0 or wanted.min() < 0 or wanted.max() >= self.num_classes:
            raise LabelError(f"select classes from 0 to {self.num_classes - 1}, at least one; not {wanted.tolist()}")
        return self.subset(torch.isin(self.labels, wanted))

    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel over all pixels, on the scale 0 to 1."""
        # Counting the 256 values is exact, and needs no floating point copy of the images.
        counts = torch.zeros(self.images.shape[1], 256, dtype=torch.int64)
        for rows in storage.chunks(self.images):
            for channel, pixels in enumerate(self.images[rows].unbind(1)):
                counts[channel] += torch.bincount(pixels.reshape(-1), minlength=256)
        values = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for share in (channel / channel.sum() for channel in counts.double()):
            mean = (share * values).sum()
            means.append(mean.item())
            stds.append((share * (values - mean) ** 2).sum().sqrt().item())
        return tuple(means), tuple(stds)


@dataclass(frozen=True)
class Splits(TableRepr):
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
        """How many images of which size, in words, and which of them are there more than once."""
        counts = (
            f"{len(self.train):,} training, {len(self.val):,} validation, {len(self.test):,} test images; "
            f"{self.num_classes} classes; {_size(self.train)} (channels × height × width)"
        )
        return "; ".join(filter(None, [counts, self.source.duplicates]))

    def select_classes(self, classes: Sequence[int]) -> "Splits":
        """`ImageData.select_classes` on each split."""
        return Splits(*(split.select_classes(classes) for split in self.all))

    def cut(self, num_classes_a: int) -> tuple["Splits", "Splits"]:
        """The first classes (data set A) and the others (B); both keep their labels and all class names.

        Raises:
            LabelError: one of the two would have no class.
        """
        if not 1 <= num_classes_a < self.num_classes:
            raise LabelError(
                "NUM_CLASSES_A must leave classes for A and for B: "
                f"{self.source.title} has {self.num_classes}, so it is 1 to {self.num_classes - 1}, not {num_classes_a}"
            )
        classes = range(self.num_classes)
        return self.select_classes(classes[:num_classes_a]), self.select_classes(classes[num_classes_a:])

    def summary(self) -> pd.DataFrame:
        """Images by class: one row a class, the index named "class", a column for each split."""
        columns = {split.split: split.class_counts().tolist() for split in self.all}
        return pd.DataFrame(columns, index=pd.Index(self.class_names, name="class"))

    def _rows(self) -> list[Row]:
        return [
            ("Data set", self.source.title),
            ("Source", self.source.where),
            ("Images", self.counts),
            ("Class names", _listed(self.class_names)),
        ]

    def _warning(self) -> str:
        return self.source.warning

    def _below(self) -> str:
        table = self.summary().to_html(max_rows=MOST_ROWS, border=0)
        return f"<details><summary>Images by class</summary>{table}</details>"


def _size(split: ImageData) -> str:
    return " × ".join(str(length) for length in split.images.shape[1:])


def _between(counts: Tensor) -> str:
    if len(counts) == 0:
        return "0"
    least, most = int(counts.min()), int(counts.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown}, …"
