"""Images of a lower resolution in frames of the same size, so that one network takes all of them."""

from dataclasses import replace

import torch

from helpers.data.errors import DataError
from helpers.data.loading import resize
from helpers.data.structures import ImageData


def lower_resolution(data: ImageData, size: int) -> ImageData:
    """Scales images down to ``size`` x ``size`` pixels, and back up to the height and width that they had.

    Both ways by bilinear interpolation with antialiasing: on the way down each pixel is a weighted mean of all the
    pixels that it replaces, so fine patterns fade to their mean. Without it two pixels in each direction would count,
    whatever the others hold, and fine patterns would come back as false coarse ones. Values are rounded to whole
    numbers after each step, as in a file of the small image.

    Args:
        data: uint8 images (N, C, H, W).
        size: pixels, from 2 to the shorter side.

    Returns:
        The same split with uint8 images of the same shape; ``data`` itself where H and W are ``size`` already.

    Raises:
        DataError: activations instead of images, or a size outside these bounds.
    """
    if data.images.dtype != torch.uint8:
        raise DataError(
            f"only uint8 images have a resolution; these are {data.images.dtype} of {data.images.dim()} axes"
        )
    shape = tuple(data.images.shape[2:])
    # Not 1: torchvision refuses to resize colour images to a single pixel (seen with torch 2.14 on x86).
    if not 2 <= size <= min(shape):
        raise DataError(
            f"a lower resolution is 2 to {min(shape)} pixels for images of {shape[0]} × {shape[1]}, not {size}"
        )
    if shape == (size, size):
        return data
    return replace(data, images=resize(resize(data.images, size), shape))
