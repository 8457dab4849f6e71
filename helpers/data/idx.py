"""IDX files, the format of MNIST and its relatives, gzipped or not."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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

    Raises:
        BadFileError: not an IDX file of bytes with that many dimensions, or not as long as its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, number = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{number}I", content, 4)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise BadFileError(f"{path} can't be read ({error}); delete it and fetch it anew") from None
    start = 4 + 4 * number
    if zero or kind != 0x08 or number != dimensions or len(content) - start != int(np.prod(shape, dtype=np.int64)):
        raise BadFileError(f"{path} is not a whole IDX file of {dimensions} dimensions; delete it and fetch it anew")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise MissingDataError(f"{folder} lacks {name} (or {name}.gz); fetch the data set anew")
