"""What frozen layers do in a training: they compute as in evaluation, and leading ones run once over the data."""

import math
import warnings
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from helpers import storage
from helpers.models import flat_layers
from helpers.train.code import UnreadableError, hash_of
from helpers.train.compute import Compute, memory_advice

KEPT_LIMIT = 2**30
"""Bytes of activations that are kept for further trainings with the same frozen layers and the same images."""

_kept: dict[str, Tensor] = {}  # activations


def train_mode(model: nn.Module, move_frozen_statistics: bool = False) -> None:
    """Sets train mode, but leaves parts whose weights are all frozen in eval mode.

    In train mode a BatchNorm layer would normalise by the batch and move its running statistics, frozen or not, and
    a block would drop activations (as EfficientNet's do) though it has nothing to learn.
    """
    model.train()
    for module in [] if move_frozen_statistics else model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def cached_front(
    model: nn.Module, images: dict[str, Tensor], hashes: dict[str, str], compute: Compute
) -> tuple[int, nn.Module, dict[str, Tensor]]:
    """Runs the leading layers that a training leaves as they are over the data, once.

    Activations that are too large for the memory lie in a memory-mapped file. The next training with the same frozen
    layers and images (another seed's, another head's) finds them again, up to `KEPT_LIMIT`.

    Args:
        model: in the mode that `train_mode` sets. Only an ``nn.Sequential`` can be cut, also inside a sequence that it
            holds: between the blocks of a ResNet's layer4, say.
        images: by split, (N, ...) each, on the device.
        hashes: of these images, by split.
        compute: as for training.

    Returns:
        How many layers these are, 0 where nothing could be saved; the network's other layers, shared with it; and by
        split what those take, (N, ...).
    """
    # A subclass of nn.Sequential may do more than run its layers one after the other.
    layers = [layer for _, layer in flat_layers(model)] if type(model).forward is nn.Sequential.forward else []
    num_layers = 0
    while num_layers < len(layers) and not _may_vary(layers[num_layers]):
        num_layers += 1
    nothing = 0, model, images
    # Without a weight in the front (pixels normalised, say) there is nothing worth keeping.
    if not any(True for layer in layers[:num_layers] for _ in layer.parameters()) or num_layers == len(layers):
        return nothing
    frozen, rest = nn.Sequential(*layers[:num_layers]), nn.Sequential(*layers[num_layers:])
    try:
        key = f"{hash_of((frozen, run))} {compute.device} {compute.precision}"
        if _varies(frozen, images["train"][:2], compute) or not _fits_on_device(frozen, images, compute):
            return nothing
        activations = {name: _run_once(frozen, f"{key} {hashes[name]}", images[name], compute) for name in images}
    except (UnreadableError, storage.StorageError, torch.OutOfMemoryError) as error:
        _kept.clear()
        warnings.warn(f"The frozen layers run in every epoch, not once: {error}", stacklevel=3)
        return nothing
    return num_layers, rest, activations


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
                # What frozen layers made in half precision goes on in float32 where a network is evaluated.
                is_half = batch.dtype in (torch.bfloat16, torch.float16)
                batch = batch.float() if is_half and compute.precision == "float32" else batch
                output = layers(channels_last(batch))
            if outputs is None:  # filled batch by batch: joining them at the end would need the memory twice
                shape, on_cpu = (len(images), *output.shape[1:]), output.device.type == "cpu"
                empty = storage.empty if on_cpu else partial(torch.empty, device=output.device)
                outputs = empty(shape, dtype=output.dtype)
            outputs[start : start + len(output)] = output
    return outputs


def answers(model: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """The logits for all images, in float32 whatever precision a training is given.

    Of an image's logits in bfloat16 the largest two are often equal, and the class with the lower number would win.
    """
    with memory_advice(images.shape[1:]):  # in batches of its own, so a smaller BATCH_SIZE would not help
        return run(model, images.to(compute.device), replace(compute, precision="float32"))


def channels_last(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in the memory format that convolutions are fastest in; other shapes as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def _run_once(frozen: nn.Module, key: str, images: Tensor, compute: Compute) -> Tensor:
    """The activations of a split: those that are kept, or computed now."""
    if key in _kept:
        return _kept[key]
    activations = run(frozen, images, compute)
    if activations.nbytes <= KEPT_LIMIT:
        _kept[key] = activations
        while sum(kept.nbytes for kept in _kept.values()) > KEPT_LIMIT:
            del _kept[next(iter(_kept))]  # the first that was made
    return activations


def _may_vary(layer: nn.Module) -> bool:
    """Whether a layer trains, or may draw something or move statistics, being in train mode for want of weights."""
    drawing = nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd | nn.RReLU | nn.FractionalMaxPool2d
    known = ("torch.nn.modules", "timm.layers", "helpers.models")
    return any(parameter.requires_grad for parameter in layer.parameters()) or any(
        isinstance(module, drawing) or "Drop" in type(module).__name__ or not type(module).__module__.startswith(known)
        for module in layer.modules()
        if module.training
    )


def _varies(frozen: nn.Module, images: Tensor, compute: Compute) -> bool:
    """Whether two passes differ: a layer of one's own may call F.dropout() in any mode."""
    with torch.random.fork_rng([compute.device] if compute.device.type == "cuda" else []):
        one, other = (run(frozen, images, compute) for _ in range(2))
    return not torch.allclose(one, other, rtol=1e-3, equal_nan=True)


def _fits_on_device(layers: nn.Module, images: dict[str, Tensor], compute: Compute) -> bool:
    """A GPU's memory has no file behind it: the activations may take half of what is free. True on the processor."""
    if compute.device.type == "cpu":
        return True
    one = run(layers, next(iter(images.values()))[:1], compute)
    size = one.nbytes * sum(len(split) for split in images.values())
    free = torch.cuda.mem_get_info(compute.device)[0] if compute.device.type == "cuda" else 2**32
    return size <= free // 2
