"""Tensors that may be larger than memory: a small one lies in memory, a large one in a memory-mapped file.

Both are ordinary tensors with the same values, so nothing that is computed depends on which it is. The operating system
keeps the parts of a file in memory that are in use, and takes them away when something else needs the room. That holds
as long as nobody asks for a copy of the whole tensor: what works on all rows goes through them in `chunks`.
"""

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

import helpers
from helpers import WorkbookError

SHARE = 0.25
"""Of the machine's memory: a tensor beyond this lies in a file. Data have several (their splits, their activations)."""
CHUNK = 4 * 2**20
"""Bytes of a tensor that are worked on at once: few enough that floating point copies of them stay small and fast."""

_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # of control groups, version 2 and 1


class StorageError(WorkbookError):
    """There is no room for a large tensor."""


def limit() -> int:
    """Bytes up to which a tensor lies in memory: `SHARE` of this machine's, or of what this process's group may use."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(SHARE * min([memory, *_group_limits()]))


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor to be filled, (shape), on the CPU; beyond `limit` in a nameless file of ``data/cache``.

    Without a name, the file goes when the last tensor does that lies in it, also when the process is killed.

    Raises:
        StorageError: no room on the disk, or a folder that can't be written.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= limit():
        with suppress(RuntimeError):  # the process may have a limit of its own; a file doesn't count towards it
            return torch.empty(shape, dtype=dtype)
    folder = helpers.DATA / "cache"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # The room is taken at once: where it ran out later, writing to the mapped memory would kill the process.
            os.posix_fallocate(file.fileno(), 0, size)
            memory = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise StorageError(
            f"{size / 1e9:,.1f} GB are too much for this machine's memory, and a file for them can't be made in "
            f"{folder.name} of the data folder ({error.strerror}): make room there, take fewer or smaller images, or "
            "set the variable WORKBOOK_DATA to a folder with room"
        ) from error
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def chunks(tensor: Tensor) -> Iterator[slice]:
    """Slices that go through a tensor's rows (its first dimension), about `CHUNK` bytes each, in order."""
    rows = max(1, CHUNK // max(1, tensor[:1].nbytes))
    return (slice(start, start + rows) for start in range(0, len(tensor), rows))


def take(tensor: Tensor, indices: Tensor) -> Tensor:
    """A copy of ``tensor[indices]``, made as `empty` makes it.

    Args:
        tensor: (N, ...).
        indices: int64 (M,), from 0 to N - 1; or bool (N,).

    Raises:
        IndexError: an index outside these bounds.
        StorageError: as for `empty`.
    """
    if indices.dtype == torch.bool:
        indices = indices.nonzero().squeeze(1)
    result = empty((len(indices), *tensor.shape[1:]), tensor.dtype)
    for rows in chunks(result):
        torch.index_select(tensor, 0, indices[rows], out=result[rows])
    return result


def _group_limits(member: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """What the control groups that this process is in may use, in bytes: a container's limit, or a batch job's."""
    try:
        lines = member.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):  # one for all in version 2, a tree of its own in version 1
            continue
        folder = root / controllers / group.lstrip("/")
        for file in (path / name for path in (folder, *folder.parents) for name in _LIMIT_FILES):
            with suppress(OSError, ValueError):  # a folder above all groups; or "max", no limit
                yield int(file.read_text())
