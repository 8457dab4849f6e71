"""Tensors that may be larger than memory: a small one lies in memory, a large one in a nameless memory-mapped file."""

import math
import mmap
import os
import sys
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import psutil
import torch
from torch import Tensor

import helpers
from helpers import WorkbookError

SHARE = 0.25
"""Of the machine's memory: a tensor beyond this lies in a file. Data have several (their splits, their activations)."""

_NO_RESERVE = 0x4000  # Linux's MAP_NORESERVE, which Python's mmap doesn't name


class StorageError(WorkbookError):
    """There is no room for a large tensor."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor to be filled, (shape), on the CPU; a large one in ``data/cache``, until nobody uses it any more."""
    size = math.prod(shape) * dtype.itemsize
    if size <= SHARE * psutil.virtual_memory().total:
        return torch.empty(shape, dtype=dtype)
    folder = helpers.DATA / "cache"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            take_room(file, size)
            memory = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise StorageError(
            f"{size / 1e9:,.1f} GB are too much for this machine's memory, and a file for them can't be made in "
            f"{folder.name} of the data folder ({error.strerror}): make room there, take fewer or smaller images, or "
            "set the variable WORKBOOK_DATA to a folder with room"
        ) from error
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def take_room(file: IO[bytes], size: int) -> None:
    """Gives a file its bytes at once: where room ran out later, writing to its mapped memory would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def load(path: Path) -> Tensor | None:
    """The array of a NumPy file, read from there as it is needed; what is written into the tensor stays out of it.

    None if there is no such file, or it is damaged.
    """
    try:
        kept = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as stream:
            if sys.platform == "linux":  # would refuse a private map larger than its memory
                flags = mmap.MAP_PRIVATE | _NO_RESERVE
                memory = mmap.mmap(stream.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
            else:
                memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        return torch.from_numpy(np.frombuffer(memory, kept.dtype, offset=kept.offset).reshape(kept.shape))
    except Exception:  # damage shows as almost any error, depending on where it is
        return None
