"""What a network consists of, in numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from torch import nn

from helpers.models.layers import ModelError, Normalize

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def layer_table(model: nn.Sequential, image_shape: Sequence[int]) -> pd.DataFrame:
    """One row for each layer of a network: its name, kind, output shape for one image (C, H, W), and parameters."""
    rows = []
    shown = torch.zeros(1, *image_shape, device=next(model.parameters()).device)
    with untouched(model):
        for name, layer in model.named_children():
            shown = layer(shown)
            shape = " × ".join(str(size) for size in shown.shape[1:])
            rows.append((name, type(layer).__name__, shape, count_parameters(layer)))
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """How many numbers the network learns (buffers, such as BatchNorm's statistics, don't count).

    Raises:
        ModelError: a layer that should have weights has none.
    """
    if not all(parameter.numel() for parameter in model.parameters()):
        raise ModelError("A layer of the network has no weights: is its width, or the number of classes, 0?")
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def flat_layers(network: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """The layers of a network in the order in which they run, each with its dotted name.

    A sequence inside the sequence is opened, again and again, wherever it does no more than run one layer after the
    other; a module with a way of its own, such as a residual block, stays whole. A ModelError says that the network
    itself is no plain sequence.
    """
    if type(network).forward is not nn.Sequential.forward:
        raise ModelError(
            f"{type(network).__name__} has a forward() of its own, so that it can't be cut between its layers: make it "
            "an nn.Sequential, or one layer of an nn.Sequential"
        )
    layers = []
    # named_children() would leave out a layer that the network runs twice.
    for name, layer in network._modules.items():
        if type(layer).forward is nn.Sequential.forward:
            layers += [(f"{name}.{below}", module) for below, module in flat_layers(layer)]
        else:
            layers.append((name, layer))
    return layers


def stages(network: nn.Sequential, image_size: int = 64) -> dict[str, list[nn.Module]]:
    """The parts of a network's body between two halvings of the resolution, front to back.

    For a ResNet these are conv1, layer1, layer2, layer3 and layer4. They are found by showing the network one black
    image and looking where its height shrinks to half: there a new stage begins, unless the one before has no
    parameters. The body ends where the images are flattened; the head's layers belong to no stage.

    Args:
        network: a body, or a body with its head; a plain sequence, else a `ModelError` says so.
        image_size: height and width in pixels of the image shown; one that the network takes.

    Returns:
        The layers of each stage, as `flat_layers` lists them. A stage bears the name of its last layer with parameters
        that is no normalisation, or of the outermost module that holds this layer and lies wholly inside the stage.
    """
    found: list[list[tuple[str, nn.Module]]] = [[]]
    parameter = next(network.parameters())
    with untouched(network):
        normalize = getattr(network, "normalize", None)
        channels = normalize.mean.numel() if isinstance(normalize, Normalize) else 3
        shown = torch.zeros(1, channels, image_size, image_size, device=parameter.device)
        for name, layer in flat_layers(network):
            before, shown = shown, layer(shown)
            flattened = shown.dim() != 4
            if flattened and not _has_parameters(layer):
                break
            # The first condition is for maps of one pixel, which can't shrink.
            halved = not flattened and shown.shape[2] < before.shape[2] and 2 * shown.shape[2] <= before.shape[2] + 1
            if halved and any(_has_parameters(earlier) for _, earlier in found[-1]):
                found.append([])
            found[-1].append((name, layer))
            if flattened:
                break
    kept = [stage for stage in found if any(_has_parameters(layer) for _, layer in stage)]
    return {_stage_name(stage, network): [layer for _, layer in stage] for stage in kept}


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside, so that looking at a network moves nothing; afterwards the modes as before."""
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in was_training.items():
            module.training = training


def _has_parameters(layer: nn.Module) -> bool:
    return next(layer.parameters(), None) is not None


def _stage_name(stage: list[tuple[str, nn.Module]], network: nn.Sequential) -> str:
    names = {name for name, _ in stage}
    with_parameters = [(name, layer) for name, layer in stage if _has_parameters(layer)]
    convolutions = [name for name, layer in with_parameters if not isinstance(layer, NORMALISATIONS)]
    last = convolutions[-1] if convolutions else with_parameters[-1][0]
    outside = {name for name, _ in flat_layers(network)} - names
    parts = last.split(".")
    for depth in range(1, len(parts)):
        container = ".".join(parts[:depth])
        if not any(name.startswith(f"{container}.") for name in outside):
            return container
    return last
