"""What frozen layers do in a training: they compute as in evaluation, and leading ones run once over the data."""

import math
import time
import warnings
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers import storage
from helpers.models import flat_layers
from helpers.train.code import UnreadableError, hash_code
from helpers.train.compute import Compute

KEPT_LIMIT = 2**30
"""Bytes of activations that are kept for further trainings with the same frozen layers and the same images."""


class Front(NamedTuple):
    """The leading layers that a training leaves as they are, run once over its data.

    Attributes:
        num_layers: how many they are; 0: nothing could be saved.
        rest: the network's other layers, shared with the network.
        activations: by split, what `rest` takes, (N, ...).
        seconds: how long the run took, also where an earlier training's is used again.
    """

    num_layers: int
    rest: nn.Module
    activations: dict[str, Tensor]
    seconds: float


class _Kept(NamedTuple):
    activations: Tensor
    seconds: float


_kept: OrderedDict[str, _Kept] = OrderedDict()


def train_mode(model: nn.Module, move_frozen_statistics: bool = False) -> None:
    """Sets train mode, but leaves parts whose weights are all frozen in eval mode.

    In train mode a BatchNorm layer would normalise by the batch and move its running statistics, frozen or not, and
    a block would drop activations (as EfficientNet's do) though it has nothing to learn.
    """
    model.train()
    if move_frozen_statistics:
        return
    for module in model.modules():
        if _is_frozen(module):
            module.eval()


def cached_front(model: nn.Module, images: dict[str, Tensor], hashes: dict[str, str], compute: Compute) -> Front:
    """Runs the leading layers that a training leaves as they are over the data, once.

    Activations that are too large for the memory lie in a memory-mapped file. The next training with the same frozen
    layers and images (another seed's, another head's) finds them again, up to `KEPT_LIMIT`.

    Args:
        model: in the mode that `train_mode` sets. Only an ``nn.Sequential`` can be cut, also inside a sequence that it
            holds: between the blocks of a ResNet's layer4, say.
        images: by split, (N, ...) each, on the device.
        hashes: of these images, by split.
        compute: as for training.
    """
    # A subclass of nn.Sequential may do more than run its layers one after the other.
    in_order = type(model).forward is nn.Sequential.forward
    layers = [layer for _, layer in flat_layers(model)] if in_order else []
    num_layers = 0
    while num_layers < len(layers) and _gives_the_same_each_time(layers[num_layers]):
        num_layers += 1
    nothing = Front(0, model, images, 0.0)
    # Without a weight in the front (pixels normalised, say) there is nothing worth keeping.
    if not any(True for layer in layers[:num_layers] for _ in layer.parameters()) or num_layers == len(layers):
        return nothing
    frozen, rest = nn.Sequential(*layers[:num_layers]), nn.Sequential(*layers[num_layers:])
    if not _fits_on_device(frozen, images, compute):
        return nothing
    fingerprint = _fingerprint(frozen, compute)
    keys = {name: fingerprint and f"{fingerprint} {hashes[name]}" for name in images}
    try:
        kept = {name: _run_once(frozen, keys[name], images[name], compute) for name in images}
    except (storage.StorageError, torch.OutOfMemoryError) as error:
        _kept.clear()
        warnings.warn(f"The frozen layers run in every epoch, not once: {error}", stacklevel=3)
        return nothing
    activations = {name: part.activations for name, part in kept.items()}
    return Front(num_layers, rest, activations, sum(part.seconds for part in kept.values()))


def run(layers: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """The layers' output for all images, computed as they are (modes unchanged), without a gradient."""
    # About six million numbers at once: large batches for small images, without filling the memory for large ones.
    batch_size = max(32, min(1024, 6_000_000 // max(1, math.prod(images.shape[1:]))))
    outputs = None
    with compute.autocast():
        for start in range(0, max(1, len(images)), batch_size):
            with torch.inference_mode():
                # A copy in any case: a layer that works in place would change the images themselves.
                batch = images[start : start + batch_size].clone()
                output = layers(channels_last(batch))
            if outputs is None:  # filled batch by batch: joining them at the end would need the memory twice
                outputs = _empty((len(images), *output.shape[1:]), output)
            outputs[start : start + len(output)] = output
    return outputs


def channels_last(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in the memory format that convolutions are fastest in; other shapes as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def _run_once(frozen: nn.Module, key: str, images: Tensor, compute: Compute) -> _Kept:
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    started = time.perf_counter()
    activations = run(frozen, images, compute)
    result = _Kept(activations, time.perf_counter() - started)
    limit = min(KEPT_LIMIT, storage.limit())
    if key and activations.nbytes <= limit:
        _kept[key] = result
        while sum(part.activations.nbytes for part in _kept.values()) > limit:
            _kept.popitem(last=False)
    return result


def _fingerprint(layers: nn.Module, compute: Compute) -> str:
    """A hash of all that decides what layers give; "" where that can't be told, so that nothing is kept."""
    modes = [module.training for module in layers.modules()]
    try:
        return f"{hash_code((layers, modes, run), {})} {compute.device} {compute.precision}"
    except UnreadableError:
        return ""


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _gives_the_same_each_time(layer: nn.Module) -> bool:
    if any(parameter.requires_grad for parameter in layer.parameters()):
        return False
    return not any(module.training and _may_vary(module) for module in layer.modules())


def _may_vary(module: nn.Module) -> bool:
    """Whether a layer without weights, which stays in train mode, may draw something or move statistics there."""
    kind = type(module)
    drawing = nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd | nn.RReLU | nn.FractionalMaxPool2d
    known = kind.__module__.startswith(("torch.nn.modules", "timm.layers", "helpers.models"))
    return not known or isinstance(module, drawing) or "Drop" in kind.__name__


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    if like.device.type == "cpu":
        return storage.empty(shape, like.dtype)
    return torch.empty(shape, dtype=like.dtype, device=like.device)


def _fits_on_device(layers: nn.Module, images: dict[str, Tensor], compute: Compute) -> bool:
    """A GPU's memory has no file behind it: the activations may take half of what is free. True on the processor."""
    if compute.device.type == "cpu":
        return True
    one = run(layers, next(iter(images.values()))[:1], compute)
    size = one.nbytes * sum(len(split) for split in images.values())
    free = torch.cuda.mem_get_info(compute.device)[0] if compute.device.type == "cuda" else 2**32
    return size <= free // 2
