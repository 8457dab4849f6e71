"""One image file to uint8 pixels: one decoder, one resizing, for every format and every data set."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.data.structures import DataError

# Pillow hands EPS to an external interpreter, and an image folder should not start programs.
_REFUSED_FORMATS = {"EPS"}


class BadImageError(DataError):
    """A file that is no image, or one that can't be read; the message starts with its name."""


@lru_cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case and with their dot, of the formats that `decode` reads."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in _formats())


def decode(path: Path, *, image_size: int, channels: int, interpolation: str = "bilinear") -> np.ndarray:
    """Reads one image file of any format that Pillow reads, except EPS: uint8 (C, H, W), 0 to 255, of equal sides.

    The image is turned as its EXIF orientation says. Transparent pixels are composited over white, of an animation the
    first frame is taken. ``channels`` is 1 for grey, which is luma (ITU-R BT.601), 3 for RGB.

    The largest centred square is resized by Pillow's filter, "bilinear" or "bicubic", which widens with the reduction
    and so doesn't alias. That is the usual "shorter side to ``image_size``, then centre crop", but never holds a large
    intermediate image. An image that has the size already keeps every bit.

    Raises:
        BadImageError: for a file that is no image, is truncated, has too many pixels, or pixels of more than 8 bits.
        DataError: for a file that the operating system does not let us read.
    """
    try:
        with Image.open(path, formats=_formats()) as image:
            image = _to_colours(_turned(image), "L" if channels == 1 else "RGB")
            pixels = np.asarray(_centre_square(image, image_size, interpolation))
    except MemoryError:
        raise
    # Broken files make Pillow's many readers raise nearly everything, from SyntaxError to struct.error.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path.name} can't be read: {error.strerror}") from error
        # Pillow's own words would name the file's full path, which has no place in a report.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "not an image that Pillow can read" if unknown else str(error) or type(error).__name__
        raise BadImageError(f"{path.name}: {reason}") from error
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))


@lru_cache
def _formats() -> tuple[str, ...]:
    """Names of the formats to try, in Pillow's order: the common ones first, which is also the fast order."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def _turned(image: Image.Image) -> Image.Image:
    """As its EXIF orientation says; as the file has it where EXIF is damaged, which other programs don't mind."""
    image.load()  # what is wrong with the pixels shows here
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow's readers raise nearly everything
        if isinstance(error, MemoryError):
            raise
        return image


def _to_colours(image: Image.Image, mode: str) -> Image.Image:
    """To "L" or "RGB" (``mode``), whatever the file holds."""
    if image.mode.startswith(("I", "F")):  # which Pillow would clip at 255
        raise BadImageError("pixels of more than 8 bits have no agreed range: save it with 8 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # CMYK has no direct way to grey that agrees with its RGB colours, and neither has a palette.
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert(mode)


def _centre_square(image: Image.Image, size: int, interpolation: str) -> Image.Image:
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    filter_ = Image.Resampling[interpolation.upper()]
    return image.resize((size, size), filter_, box=(left, top, left + side, top + side))
