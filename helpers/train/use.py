"""A trained network in use: its answers, and what they cost."""

import io
import statistics
import time

import torch
from torch import Tensor, nn

from helpers.data import ImageData
from helpers.train.compute import Compute, choose_compute
from helpers.train.frozen import answers


def predict(model: nn.Module, data: ImageData, *, compute: Compute | None = None) -> Tensor:
    """The network's logits for every image, in eval mode: float32 (N, K), on the CPU.

    They are computed in float32, whatever precision a training is given.

    Raises:
        WorkbookError: too little memory.
    """
    compute = compute or choose_compute()
    model.to(compute.device, memory_format=torch.channels_last)
    model.eval()
    return answers(model, data.images, compute).float().cpu()


def inference_rate(model: nn.Module, data: ImageData, *, compute: Compute | None = None) -> float:
    """Images a second that `predict` answers: the median of three passes, after one that warms up.

    Args:
        model: takes images as `data` holds them.
        data: the images; some hundred at least, so that batches are full.
        compute: from `choose_compute`.
    """
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        predict(model, data, compute=compute)  # ends with the logits on the CPU, so a GPU has finished
        seconds.append(time.perf_counter() - started)
    return len(data) / statistics.median(seconds[1:])


def size_on_disk(model: nn.Module) -> int:
    """Bytes of the file that ``torch.save`` makes of the network's parameters and buffers."""
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.tell()
