"""IDX files, the format of MNIST and its relatives, gzipped or not."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from helpers import storage
from helpers.data.errors import BadFileError, MissingDataError
from helpers.data.structures import ImageData, Source

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MOST_UNPACKED = 1032
"""How many times its own size a gzipped file can hold: the format has two bits at least for 258 bytes."""

_BYTES = 0x08  # the code of unsigned bytes, of all kinds of numbers that an IDX file may hold


def read_fashion_mnist(folder: Path, source: Source) -> dict[str, ImageData]:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017) from its four files.

    Args:
        folder: holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two for t10k, with .gz or without.
        source: for the provenance.

    Returns:
        "train" and "test", images uint8 (N, 1, 28, 28).

    Raises:
        BadFileError: a file that is no IDX file, is cut off, or doesn't fit its partner.
        MissingDataError: a file that isn't there.
    """
    splits = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(_file(folder, f"{prefix}-images-idx3-ubyte"), dimensions=3)
        labels = read_idx(_file(folder, f"{prefix}-labels-idx1-ubyte"), dimensions=1)
        if len(images) != len(labels):
            raise BadFileError(f"{folder} has {len(images)} images and {len(labels)} labels in {prefix}; fetch it anew")
        splits[split] = ImageData(images[:, None], labels.long(), FASHION_MNIST_CLASSES, split, source)
    return splits


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """The uint8 array of an IDX file, gzipped where its name ends in .gz.

    No more is unpacked than the header promises, and no header is believed that promises more than the file can hold.

    Raises:
        BadFileError: not an IDX file of bytes with that many dimensions, or not as long as its header says.
        StorageError: no room for so many bytes.
    """
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            shape = _read_shape(stream, dimensions)
            if math.prod(shape) > path.stat().st_size * (MOST_UNPACKED if packed else 1):
                raise _DamageError("is too short for what its header promises")
            return _read_bytes(stream, shape)
    except (_DamageError, OSError, EOFError, zlib.error, struct.error) as error:
        fault = str(error) if isinstance(error, _DamageError) else f"can't be read ({error})"
        raise BadFileError(f"{path} {fault}; delete it and fetch it anew") from None


class _DamageError(Exception):
    """What is wrong with a file's content; goes after its name."""


def _read_shape(stream: BinaryIO, dimensions: int) -> tuple[int, ...]:
    zero, kind, number = struct.unpack(">HBB", stream.read(4))
    if zero or kind != _BYTES or number != dimensions:
        raise _DamageError(f"is no IDX file of bytes with {dimensions} dimensions")
    return struct.unpack(f">{number}I", stream.read(4 * number))


def _read_bytes(stream: BinaryIO, shape: tuple[int, ...]) -> Tensor:
    """What follows the header, piece by piece, so that a file that goes on for ever is left at the first byte more."""
    array = storage.empty(shape, torch.uint8)
    content = memoryview(array.view(-1).numpy())
    for start in range(0, len(content), storage.CHUNK):
        piece = content[start : start + storage.CHUNK]
        if stream.readinto(piece) < len(piece):
            raise _DamageError("ends before what its header promises")
    if stream.read(1):
        raise _DamageError("goes on after what its header promises")
    return array


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise MissingDataError(f"{folder} lacks {name} (or {name}.gz); fetch the data set anew")
