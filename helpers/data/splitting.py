"""Stratified splits and subsets: every class keeps its share, and a seed decides who goes where."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from helpers.data.errors import SplitError
from helpers.data.structures import ImageData


class Choice(NamedTuple):
    """Images of a data set, by their indices (int64, ascending): one can choose again and again, and copy once."""

    data: ImageData
    indices: Tensor

    @property
    def labels(self) -> Tensor:
        return self.data.labels[self.indices]

    def keep(self, which: Tensor) -> "Choice":
        """Of the chosen images those at these places, or where a mask is true."""
        return self._replace(indices=self.indices[which])

    def split(self, fraction: float, seed: int) -> tuple["Choice", "Choice"]:
        """Into what stays and the share of each class that is held out, as `split` does it."""
        held_out = stratified_mask(self.labels, self.data.class_names, fraction, seed)
        return self.keep(~held_out), self.keep(held_out)

    def limit(self, per_class: int | None, seed: int) -> "Choice":
        """At most ``per_class`` images of each class (None: all), chosen by the seed.

        A smaller choice of the same seed is part of a larger one.

        Raises:
            SplitError: for a number below 1.
        """
        if per_class is None:
            return self
        if per_class < 1:
            raise SplitError(f"images a class are counted from 1 on, not {per_class}; None takes all")
        members = _shuffled_members(self.labels, self.data.num_classes, seed)
        return self.keep(torch.cat([of_class[:per_class] for of_class in members]).sort().values)

    def copy(self) -> ImageData:
        """The chosen images in tensors of their own."""
        return self.data.subset(self.indices)


def split(data: ImageData, *, val_fraction: float, seed: int) -> tuple[ImageData, ImageData]:
    """Splits off a stratified share for validation.

    Args:
        data: what to split; classes without any image stay without.
        val_fraction: between 0 and 1. Each class gives this share of its images, rounded, but at least one, and keeps
            at least one.
        seed: decides which images go where.

    Returns:
        The training and the validation part: disjoint, together complete, each in the order of ``data``.

    Raises:
        SplitError: for a share outside 0 to 1, or a class of a single image.
    """
    train, val = Choice(data, torch.arange(len(data))).split(val_fraction, seed)
    return train.copy(), replace(val.copy(), split="val")


def stratified_mask(labels: Tensor, class_names: tuple[str, ...], fraction: float, seed: int) -> Tensor:
    """True for the share of each class that is held out: bool (N,). See `split`."""
    if not 0 < fraction < 1:
        raise SplitError(f"the share to hold out lies between 0 and 1; {fraction} does not")
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label, members in enumerate(_shuffled_members(labels, len(class_names), seed)):
        if len(members) == 1:
            raise SplitError(
                f"class {class_names[label]!r} has a single image left to split: give it more, three for training, "
                "validation and test"
            )
        if len(members):
            number = min(max(1, round(fraction * len(members))), len(members) - 1)
            held_out[members[:number]] = True
    return held_out


def _shuffled_members(labels: Tensor, num_classes: int, seed: int) -> list[Tensor]:
    """The indices of each class's images, in an order that the seed decides."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    by_class = order[torch.argsort(labels[order], stable=True)]
    return list(by_class.split(torch.bincount(labels, minlength=num_classes).tolist()))
