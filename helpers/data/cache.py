"""Decoded images kept on disk, so that a folder of image files is decoded once.

A cache is one uncompressed .npz file, whose checksums reveal damage, and holds no pickles. Its name is made of a slot
(the folder, image size and channels) and a key (all the files' names, sizes and times, too): when files change, the key
does, and the new cache takes the old one's place.
"""

import hashlib
import json
import math
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import torch
from torch import Tensor

from helpers import WorkbookError, storage
from helpers.files import replacing

FORMAT_VERSION = 1
"""To raise whenever decoding or the layout of the cache changes."""


class FileStamp(NamedTuple):
    """What tells that a file is the same as before.

    Attributes:
        name: the path relative to the data set's folder, with "/".
        size: in bytes.
        mtime_ns: time of the last change, in nanoseconds.
    """

    name: str
    size: int
    mtime_ns: int


def cache_file(
    folder: Path, root: Path, files: Sequence[FileStamp], *, image_size: int | None, channels: int | None
) -> Path:
    """Where the images of these files, decoded this way, are kept.

    Args:
        folder: of all caches.
        root: the data set's folder.
        files: all its image files, in order.
        image_size: as `helpers.data.decode.decode` takes it.
        channels: likewise.
    """
    slot = [str(root.resolve()), image_size, channels]
    # Another Pillow may bring another JPEG decoder, whose pixels differ by a bit.
    key = [FORMAT_VERSION, PIL.__version__, slot, files]
    return folder / f"{_digest(slot)}-{_digest(key)}.npz"


def load_images(path: Path, number_of_files: int) -> tuple[Tensor, dict[int, str]] | None:
    """What `store_images` wrote, or None if there is nothing usable.

    A damaged cache is set aside with a warning, under its name plus ".unusable".

    Args:
        path: from `cache_file`.
        number_of_files: that it was made for.

    Raises:
        StorageError: if there is no room for the images, see `helpers.storage.empty`.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            images, bad = _read_images(archive.zip), _parse_bad(str(archive["bad"]))
        if len(images) + len(bad) != number_of_files:
            raise ValueError(f"{len(images)} images are not what these files give")
        return images, bad
    except FileNotFoundError:
        return None
    except (MemoryError, WorkbookError):
        raise
    # A damaged file can make the zip, header and number readers raise nearly anything, and none of it is worth a stop.
    except Exception as error:
        _set_aside(path, error)
        return None


def store_images(path: Path, images: Tensor, bad: dict[int, str]) -> None:
    """Writes a cache, and removes an older one of the same slot. A failure is only a warning.

    Args:
        path: from `cache_file`.
        images: uint8 (N, C, H, W), of the readable files.
        bad: what is wrong with the others, by index.
    """
    try:
        with replacing(path) as file:
            np.savez(file, images=images.numpy(), bad=np.array(json.dumps(bad)))
        _remove_older(path)
    except OSError as error:
        _warn(f"the decoded images can't be kept in {path.parent}, the next run decodes them again: {error}")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _read_images(archive: zipfile.ZipFile) -> Tensor:
    """The member "images", piece by piece; NumPy would read it into memory, however large it is."""
    with archive.open("images.npy") as member:
        np.lib.format.read_magic(member)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(member)
        size = archive.getinfo("images.npy").file_size - member.tell()
        if dtype != np.uint8 or len(shape) != 4 or is_fortran or math.prod(shape) != size:
            raise ValueError(f"{size} bytes are no images of {dtype} {shape}")
        images = storage.empty(shape, torch.uint8)
        pixels = memoryview(images.view(-1).numpy())
        for start in range(0, size, storage.CHUNK):
            # Reaching the end of the member also compares its checksum.
            member.readinto(pixels[start : start + storage.CHUNK])
    return images


def _parse_bad(text: str) -> dict[int, str]:
    return {int(index): str(reason) for index, reason in json.loads(text).items()}


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.unusable")
    _warn(f"the cache {path.name} can't be used ({error}): it is set aside as {aside.name}, the images are read anew")
    try:
        os.replace(path, aside)
    except OSError as rename_error:
        _warn(f"{path.name} can't be set aside: {rename_error}")


def _remove_older(path: Path) -> None:
    slot = path.name.partition("-")[0]
    for other in path.parent.glob(f"{slot}-*.npz"):
        if other != path:
            other.unlink(missing_ok=True)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)
