"""What the networks of the experiments are made of, beside PyTorch's own layers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from helpers import WorkbookError


class ModelError(WorkbookError):
    """A network that cannot be built as it was asked for."""


class Normalize(nn.Module):
    """Turns uint8 images (0 to 255) or float images (0 to 1) into ``(x - mean) / std``, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise ModelError(f"Normalize needs one mean and one positive std a channel, got {mean} and {std}")
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        scaled = images if images.is_floating_point() else images.float() / 255
        return (scaled - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"channels={self.mean.numel()}"


class Dropout(nn.Dropout):
    """``nn.Dropout`` that draws a random byte for each activation, which on a processor takes a tenth of the time.

    (PyTorch draws a 64-bit number for each, one after the other: half of Arc2's training time.) The probability is
    rounded to a 256th. On a GPU it is PyTorch's own.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
    """

    def forward(self, activations: Tensor) -> Tensor:
        dropped = round(self.p * 256)
        if not self.training or activations.device.type != "cpu" or dropped > 255:
            return super().forward(activations)
        activations = activations if _is_dense(activations) else activations.contiguous()
        words = torch.empty(math.ceil(activations.numel() / 8), dtype=torch.int64).random_(-(2**63), None)
        # In place, the comparison gives bytes of 0 and 1: these convert several times as fast as booleans.
        kept = words.view(torch.uint8).ge_(dropped)
        # In the memory layout of the activations, whatever it is: which random byte goes where doesn't matter.
        mask = kept.as_strided(activations.shape, activations.stride()).to(activations.dtype)
        return activations * mask.mul_(256 / (256 - dropped))


def _is_dense(activations: Tensor) -> bool:
    """Whether its numbers lie one behind the other, in one of the two usual orders."""
    channels_last = activations.dim() == 4 and activations.is_contiguous(memory_format=torch.channels_last)
    return channels_last or activations.is_contiguous()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers inside come from ``seed``; the generator outside is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's, where weights are drawn; not that of every GPU
        yield
