"""What to do when the memory is not enough for a step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from helpers.train.options import TrainError

# PyTorch has an error of its own for GPUs only.
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explained(shape: Sequence[int], batch_size: int | None = None) -> Iterator[None]:
    """Turns what is raised for want of memory into an error that says which sizes to try.

    Args:
        shape: of one image (C, H, W).
        batch_size: images a step, where that is the user's to choose.

    Raises:
        TrainError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainError(
            f"The memory is not enough: try {_smaller(shape, batch_size)}. ({_first_line(error)})"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error) for sign in _SIGNS)


def _smaller(shape: Sequence[int], batch_size: int | None) -> str:
    """Half of the memory each."""
    ways = []
    if batch_size is not None and batch_size > 1:
        ways.append(f"BATCH_SIZE = {batch_size // 2} instead of {batch_size}")
    if len(shape) == 3 and shape[-1] > 8:
        ways.append(f"IMAGE_SIZE = {max(8, round(shape[-1] * 0.7))} instead of {shape[-1]}")
    return ", or ".join(ways) or "a smaller network"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
