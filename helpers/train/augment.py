"""Augmentation of whole batches on the device, different for every image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class RandomAffine:
    """Flips, turns, zooms and shifts each image of a batch by its own random amounts.

    ``torchvision.transforms.v2`` draws one set of amounts for a whole batch; this draws one an image and moves all of
    them in a single ``grid_sample``. Its random numbers come from torch's generator, which `fit` sets for each step.

    Attributes:
        flip: probability of a mirror image (left and right swapped).
        degrees: the angle is uniform between minus and plus this.
        zoom: the scale is uniform between these two; above 1 enlarges.
        shift: the shift is uniform between minus and plus this share of the image's width and height.
    """

    flip: float = 0.5
    degrees: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Maps uint8 or float images (N, C, H, W) to float images of the same shape, 0 to 1; borders are reflected."""
        scaled = images if images.is_floating_point() else images.float() / 255
        theta = self._inverse_transforms(len(images), images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(scaled, grid, padding_mode="reflection", align_corners=False)

    def _inverse_transforms(self, number: int, device: torch.device) -> Tensor:
        """For each image the 2x3 matrix that takes output coordinates (-1 to 1) to input coordinates."""

        def uniform(low: float, high: float) -> Tensor:
            return torch.empty(number, device=device).uniform_(low, high)

        angle = uniform(-self.degrees, self.degrees) * (math.pi / 180)
        scale = 1 / uniform(*self.zoom)
        mirror = torch.where(torch.rand(number, device=device) < self.flip, -1.0, 1.0)
        rows = [
            torch.stack([mirror * scale * angle.cos(), -scale * angle.sin(), uniform(-self.shift, self.shift) * 2], 1),
            torch.stack([mirror * scale * angle.sin(), scale * angle.cos(), uniform(-self.shift, self.shift) * 2], 1),
        ]
        return torch.stack(rows, dim=1)
