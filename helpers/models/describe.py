"""What a network consists of, in numbers."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn


def layer_table(model: nn.Sequential, image_shape: Sequence[int]) -> pd.DataFrame:
    """One row for each layer of a network: its name, kind, output shape for one image, and parameters.

    Args:
        model: a sequence of layers.
        image_shape: (C, H, W) of one image.
    """
    rows = []
    shown = torch.zeros(1, *image_shape, device=next(model.parameters()).device)
    # Eval mode: looking must not move BatchNorm's statistics.
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        for name, layer in model.named_children():
            shown = layer(shown)
            shape = " × ".join(str(size) for size in shown.shape[1:])
            rows.append((name, type(layer).__name__, shape, count_parameters(layer)))
    for module, training in was_training.items():
        module.training = training
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """How many numbers the network learns (buffers, such as BatchNorm's statistics, don't count)."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)
