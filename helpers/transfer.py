"""Carrying a network to new classes: a longer head, frozen parts, and what training did to the weights."""

import copy

import pandas as pd
import torch
from torch import Tensor, nn

from helpers import WorkbookError
from helpers.models import seeded, stages

Weights = dict[str, Tensor]
NOT_LEARNED = ("num_batches_tracked", "mean", "std")  # buffers that count, and constants of `Normalize`


class ExtendedLinear(nn.Module):
    """A fully connected layer with rows for old classes and rows for new ones, in this order.

    The rows are two layers, ``old`` and ``new``, joined in forward(), so the old ones can really be frozen. Zeroing the
    gradient of some rows of one matrix does not freeze them: weight decay moves them, and so does what momentum or Adam
    remembers of earlier gradients.
    """

    def __init__(self, old: nn.Linear, new: nn.Linear) -> None:
        super().__init__()
        self.old = old
        self.new = new

    @property
    def in_features(self) -> int:
        return self.old.in_features

    @property
    def out_features(self) -> int:
        return self.old.out_features + self.new.out_features

    @property
    def weight(self) -> Tensor:
        """All rows, old ones first: (out_features, in_features)."""
        return torch.cat([self.old.weight, self.new.weight])

    @property
    def bias(self) -> Tensor:
        """Old entries first: (out_features,)."""
        return torch.cat([self.old.bias, self.new.bias])

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self.old(features), self.new(features)], dim=1)


def extend_head(model: nn.Sequential, num_new: int, *, seed: int = 0) -> nn.Sequential:
    """A new network: a copy of the body, and a head with ``num_new`` more rows after copies of the old ones.

    Row i keeps class i. The new rows start as PyTorch starts any fully connected layer, from ``seed``. Everything in
    the new network trains; its last layer, of the same name, is an `ExtendedLinear`. ``model`` is left as it is; a
    WorkbookError says that its last layer is no ``nn.Linear`` with a bias.
    """
    name, head = _linear_head(model)
    extended = copy.deepcopy(model)
    with seeded(seed):
        new = nn.Linear(head.in_features, num_new).to(head.weight)
    setattr(extended, name, ExtendedLinear(getattr(extended, name), new))
    return extended.requires_grad_(True)


def replace_head(model: nn.Sequential, num_classes: int, *, seed: int = 0) -> nn.Sequential:
    """A new network for other classes: a copy of this one, its last layer a new one of random weights, from ``seed``.

    Everything in it trains, and it is on the processor. ``model`` is as for `extend_head`.
    """
    name, head = _linear_head(model)
    replaced = copy.deepcopy(model).cpu()
    with seeded(seed):
        setattr(replaced, name, nn.Linear(head.in_features, num_classes))
    return replaced.requires_grad_(True)


def split_head(model: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    """A network's body and its head, the layers after the last ``nn.Flatten``; both share their layers with it.

    Without such a layer the head is the last layer.
    """
    layers = list(model.children())
    flattens = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten)]
    cut = flattens[-1] + 1 if flattens else len(layers) - 1
    return model[:cut], model[cut:]


def freeze_body(model: nn.Sequential) -> None:
    """Freezes every layer but the head. `fit` then keeps the body's BatchNorm statistics as they are, too."""
    split_head(model)[0].requires_grad_(False)


def train_last_stages(model: nn.Sequential, count: int | None) -> list[str]:
    """Freezes the body but for its last ``count`` stages (as `helpers.models.stages` finds them); the head trains.

    At 0 the whole body is frozen; at the number of stages, or None, the whole network trains. Returns the names of the
    stages that train, front to back; a WorkbookError says that there are fewer.
    """
    found = stages(model)
    count = len(found) if count is None else count
    if not 0 <= count <= len(found):
        raise WorkbookError(f"the network has {len(found)} stages ({', '.join(found)}), so train 0 to that many")
    names = list(found)[len(found) - count :]
    model.requires_grad_(True)
    if count < len(found):  # else what stands before the first stage trains, too
        freeze_body(model)
    for part in [part for name in names for part in found[name]]:
        part.requires_grad_(True)
    return names


def train_last_layers(model: nn.Module, count: int) -> list[str]:
    """Freezes all but the last ``count`` layers that have weights of their own: convolutions, BatchNorms, linear ones.

    Returns their names, front to back; a WorkbookError says that there are fewer.
    """
    weighted = {name: layer for name, layer in model.named_modules() if [*layer.parameters(recurse=False)]}
    if not 1 <= count <= len(weighted):
        raise WorkbookError(
            f"the network has {len(weighted)} layers with weights, so train 1 to that many; not {count}"
        )
    model.requires_grad_(False)
    trained = list(weighted)[-count:]
    for name in trained:
        weighted[name].requires_grad_(True)
    return trained


def snapshot(model: nn.Module) -> Weights:
    """A copy of all parameters and buffers on the CPU, to compare with later ones."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}


def compare_weights(before: Weights, after: Weights) -> pd.DataFrame:
    """How far each layer of a network moved from one `snapshot` to another.

    Returns:
        One row for each layer with parameters, indexed by "layer": "conv2_1" (weights and biases together), "fc1.old"
        and "fc1.new" for the two parts of an extended head, "bn2_1" for BatchNorm's weights and "bn2_1 (statistics)"
        for its running mean and variance. Columns: relative_change, the L2 norm of the difference over that of
        ``before`` (NaN where that is 0); verdict, "frozen" if every bit is the same, else "changed".

    Raises:
        WorkbookError: the snapshots are of networks with other layers.
    """
    old, new = _by_layer(before), _by_layer(after)
    if old.keys() != new.keys():
        raise WorkbookError("the snapshots have other layers: take both of one network, after its head was extended")
    rows = {}
    for name in old:
        length = old[name].norm().item()
        relative = (new[name] - old[name]).abs().norm().item() / length if length else float("nan")
        same = torch.equal(old[name], new[name])
        rows[name] = {"relative_change": relative, "verdict": "frozen" if same else "changed"}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer")


def _by_layer(weights: Weights) -> Weights:
    """All entries of each layer in one vector, float64 (float32 and smaller fit without a loss)."""
    parts: dict[str, list[Tensor]] = {}
    for name, value in weights.items():
        layer, _, tensor = name.rpartition(".")
        if tensor not in NOT_LEARNED:
            key = f"{layer} (statistics)" if tensor in ("running_mean", "running_var") else layer
            parts.setdefault(key, []).append(value.double().flatten())
    return {layer: torch.cat(values) for layer, values in parts.items()}


def head_rows(weights: Weights) -> Tensor:
    """All rows of an extended head "fc1" in a snapshot, each with its bias at the end: (num_classes, features + 1)."""
    parts = [(weights[f"fc1.{part}.weight"], weights[f"fc1.{part}.bias"][:, None]) for part in ("old", "new")]
    return torch.cat([torch.cat(part, dim=1) for part in parts])


def _linear_head(model: nn.Sequential) -> tuple[str, nn.Linear]:
    name, head = list(model.named_children())[-1]
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise WorkbookError(f"the last layer ({name}) must be an nn.Linear with a bias, not {type(head).__name__}")
    return name, head
