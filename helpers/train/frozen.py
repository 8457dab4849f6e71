"""What frozen layers do in a training: they compute as in evaluation, and leading ones run once over the data."""

import math

import torch
from torch import Tensor, nn

from helpers.models import flat_layers
from helpers.train.compute import Compute

CACHE_LIMIT = 2 * 2**30
"""Bytes of activations that are kept in memory at most; beyond them frozen layers run in every epoch."""


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


def cached_front(
    model: nn.Module, images: dict[str, Tensor], compute: Compute
) -> tuple[int, nn.Module, dict[str, Tensor]]:
    """Runs the leading layers that a training leaves as they are over the data, once.

    Args:
        model: in the mode that `train_mode` sets. Only an ``nn.Sequential`` can be cut, also inside a sequence that it
            holds: between the blocks of a ResNet's layer4, say.
        images: by split, (N, ...) each, on the device.
        compute: as for training.

    Returns:
        The number of leading layers that were run (0: nothing could be saved), the network's rest, which shares its
        layers with `model`, and for each split the activations that the rest takes, (N, ...).
    """
    # A subclass of nn.Sequential may do more than run its layers one after the other.
    in_order = type(model).forward is nn.Sequential.forward
    layers = [layer for _, layer in flat_layers(model)] if in_order else []
    front = 0
    while front < len(layers) and _gives_the_same_each_time(layers[front]):
        front += 1
    # Without a weight in the front (pixels normalised, say) there is nothing worth keeping.
    if not any(True for layer in layers[:front] for _ in layer.parameters()) or front == len(layers):
        return 0, model, images
    frozen, rest = nn.Sequential(*layers[:front]), nn.Sequential(*layers[front:])
    if _bytes_of_activations(frozen, images, compute) > CACHE_LIMIT:
        return 0, model, images
    activations = {name: run(frozen, split, compute) for name, split in images.items()}
    return front, rest, activations


def run(layers: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """The layers' output for all images, computed as they are (modes unchanged), without a gradient."""
    # About two million pixels at once: large batches for small images, without filling the memory for large ones.
    batch_size = max(32, min(1024, 2_000_000 // max(1, math.prod(images.shape[2:]))))
    outputs = None
    with torch.no_grad(), compute.autocast():
        for start in range(0, len(images), batch_size):
            output = layers(channels_last(images[start : start + batch_size]))
            if outputs is None:  # filled batch by batch: joining them at the end would need the memory twice
                outputs = output.new_empty((len(images), *output.shape[1:]))
            outputs[start : start + len(output)] = output
    return layers(images) if outputs is None else outputs


def channels_last(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in the memory format that convolutions are fastest in; other shapes as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _gives_the_same_each_time(layer: nn.Module) -> bool:
    if any(parameter.requires_grad for parameter in layer.parameters()):
        return False
    varying = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return not any(isinstance(module, varying) and module.training for module in layer.modules())


def _bytes_of_activations(layers: nn.Module, images: dict[str, Tensor], compute: Compute) -> int:
    one = run(layers, next(iter(images.values()))[:1], compute)
    return one.numel() * one.element_size() * sum(len(split) for split in images.values())
