"""Image files to uint8 pixels: one decoder, one resizing, for every format and every data set."""

import os
import time
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from helpers import storage
from helpers.data.errors import BadImageError, DataError
from helpers.files import leads_nowhere

MAX_PIXELS = 89_000_000
"""More pixels than this are taken for a decompression bomb. It lies just below the number at which Pillow warns."""

# Pillow hands EPS to an external interpreter, and an image folder should not start programs.
_REFUSED_FORMATS = {"EPS"}
_CHUNK = 16
_TRIAL_CHUNKS = 8
_WAITING = 2
"""Threads beside one for each core: on a disk whose files aren't in the system's cache, most threads wait for it."""


@lru_cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case and with their dot, of the formats that `decode` reads."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in _formats())


def decode(path: Path, *, image_size: int | None, channels: int | None) -> np.ndarray:
    """Reads one image file.

    The image is turned as its EXIF orientation says. Transparent pixels are composited over white, 16-bit grey is
    scaled to 8 bits, of an animation the first frame is taken. Grey is luma (ITU-R BT.601).

    With ``image_size``, the largest centred square is resized by Pillow's bilinear filter, which widens with the
    reduction and so doesn't alias. That is the usual "shorter side to ``image_size``, then centre crop", but never
    holds a large intermediate image. An image that has the size already keeps every bit.

    Args:
        path: a file of any format that Pillow reads, except EPS.
        image_size: height and width of the result; None keeps the file's.
        channels: 1 for grey, 3 or None for RGB.

    Returns:
        uint8 (channels, height, width), 0 to 255.

    Raises:
        BadImageError: for a file that is no image, is truncated, has more than `MAX_PIXELS` pixels, or has pixels
            whose range is not known. The message starts with the file's name.
        DataError: for a file that the operating system does not let us read, another ``channels``, or an
            ``image_size`` below 1.
    """
    _check_options(image_size, channels)
    if leads_nowhere(path):
        raise BadImageError(f"{path.name}: a symbolic link that leads nowhere, or back to where it began")
    try:
        with Image.open(path, formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImageError(f"{image.width:,} × {image.height:,} pixels are too many (above {MAX_PIXELS:,})")
            image = _to_colours(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
            pixels = np.asarray(image if image_size is None else _centre_square(image, image_size))
    except MemoryError:
        raise
    # Broken files make Pillow's many readers raise nearly everything, from SyntaxError to struct.error.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path.name} can't be read: {error.strerror}") from error
        raise BadImageError(f"{path.name}: {_reason(error)}") from error
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))


def decode_all(paths: Sequence[Path], *, image_size: int | None, channels: int | None) -> tuple[Tensor, dict[int, str]]:
    """`decode` on many files, in parallel, into one tensor.

    Returns:
        images: uint8 (N, channels, height, width), the readable ones in the order of ``paths``.
        bad: what is wrong with the others, by their index in ``paths``.

    Raises:
        BadImageError: if ``image_size`` is None and two images differ in size.
        DataError: as `decode`.
        StorageError: if there is no room for the images, see `helpers.storage.empty`.
    """
    with warnings.catch_warnings():
        # `decode` refuses what Pillow only warns of.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        first, shape = _first_readable(paths, image_size, channels)
        images, bad = storage.empty((len(paths), *shape), torch.uint8), {}
        pixels = images.numpy()

        def fill(indices: range) -> int:
            for index in indices:
                try:
                    image = decode(paths[index], image_size=image_size, channels=channels)
                except BadImageError as error:
                    bad[index] = str(error)
                    continue
                if image.shape != shape:
                    raise _different_sizes(paths[first], shape, paths[index], image.shape)
                pixels[index] = image
            return len(indices)

        chunks = [range(start, min(start + _CHUNK, len(paths))) for start in range(0, len(paths), _CHUNK)]
        with tqdm(total=len(paths), desc="reading images", unit=" images", leave=False) as bar:
            _run_chunks(fill, iter(chunks), bar)
    number = _close_gaps(pixels, bad)
    return images[:number], dict(sorted(bad.items()))


def _run_chunks(fill: Callable[[range], int], chunks: Iterator[range], bar: tqdm) -> None:
    """Some with one thread, some with many, and the rest with what was faster.

    Many are faster where the disk is waited for, and where Pillow decodes large images, for which it lets other threads
    run. Small images from the system's cache come faster with one: at 32 px about 7,000 a second, where four threads on
    two cores keep each other waiting for Python's lock, and manage 3,400.
    """
    with ThreadPoolExecutor((os.cpu_count() or 1) + _WAITING) as pool:

        def images_per_second(run: Callable[..., Iterator[int]], number: int | None) -> float:
            started, images = time.perf_counter(), 0
            for done in run(fill, islice(chunks, number)):
                images += done
                bar.update(done)
            return images / (time.perf_counter() - started)

        rates = {run: images_per_second(run, _TRIAL_CHUNKS) for run in (map, pool.map)}
        images_per_second(max(rates, key=rates.get), None)


@lru_cache
def _formats() -> tuple[str, ...]:
    """Names of the formats to try, in Pillow's order: the common ones first, which is also the fast order."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


def _check_options(image_size: int | None, channels: int | None) -> None:
    if channels not in (None, 1, 3):
        raise DataError(f"images have 1 channel (grey) or 3 (RGB), not {channels}")
    if image_size is not None and image_size < 1:
        raise DataError(f"an image size is 1 pixel or more, not {image_size}; None keeps the files' size")


def _to_colours(image: Image.Image, mode: str) -> Image.Image:
    """To "L" or "RGB" (``mode``), whatever the file holds."""
    if image.mode == "F":
        raise BadImageError("floating point pixels have no agreed range: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = _to_eight_bits(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # CMYK has no direct way to grey that agrees with its RGB colours, and neither has a palette.
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey, 0 to 65535, to 0 to 255. Pillow's own conversion would clip at 255."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImageError("grey values beyond 16 bits have no agreed range: save it with 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _centre_square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _reason(error: Exception) -> str:
    """In words that leave the file's full path out, which has no place in a report."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels (above {MAX_PIXELS:,})"
    return str(error) or type(error).__name__


def _first_readable(
    paths: Sequence[Path], image_size: int | None, channels: int | None
) -> tuple[int, tuple[int, int, int]]:
    """Index and shape of the first image that can be read; shape (channels, 0, 0) if none can."""
    for index, path in enumerate(paths):
        try:
            return index, decode(path, image_size=image_size, channels=channels).shape
        except BadImageError:
            continue
    return 0, (channels or 3, image_size or 0, image_size or 0)


def _close_gaps(pixels: np.ndarray, bad: Container[int]) -> int:
    """Moves the readable images up in their own tensor, which a copy would double, and says how many they are."""
    readable = [index for index in range(len(pixels)) if index not in bad]
    for place, index in enumerate(readable):
        if place != index:
            pixels[place] = pixels[index]
    return len(readable)


def _different_sizes(one: Path, one_shape: tuple[int, ...], other: Path, other_shape: tuple[int, ...]) -> BadImageError:
    return BadImageError(
        f"the images differ in size: {one.parent.name}/{one.name} has {_size(one_shape)} pixels, "
        f"{other.parent.name}/{other.name} has {_size(other_shape)}. Set IMAGE_SIZE, and all are resized to it"
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} × {shape[1]}"
