"""The losses, schedules and optimizers that `fit` knows by name, and the checks of its arguments."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers import WorkbookError
from helpers.data import ImageData


class TrainError(WorkbookError):
    """A training that cannot start as it was asked for, or whose loss is no longer a number."""


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    # The mean absolute difference between the outputs and the one-hot targets.
    "l1": lambda logits, labels: F.l1_loss(logits, F.one_hot(labels, logits.shape[1]).to(logits.dtype)),
}

# From the share of the training that is done (0 to 1) to a factor on the learning rate: without a state of its own, so
# that there is none to be resumed.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "one_cycle": lambda done: done / 0.25 if done < 0.25 else 0.5 * (1 + math.cos(math.pi * (done - 0.25) / 0.75)),
}

OPTIMIZERS = ("sgd", "adam", "adamw")


def make_optimizer(
    model: nn.Module,
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """The named optimizer over the parameters that require a gradient, or what the given function makes."""
    if callable(optimizer):
        return optimizer(model)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise TrainError("Every parameter is frozen (requires_grad is False): there is nothing to train.")
    # One fused kernel for all parameters; the same numbers in every run.
    if optimizer == "sgd":
        return torch.optim.SGD(parameters, learning_rate, momentum, weight_decay=weight_decay, fused=True)
    if optimizer == "adam":
        return torch.optim.Adam(parameters, learning_rate, weight_decay=weight_decay, fused=True)
    if optimizer == "adamw":
        return torch.optim.AdamW(parameters, learning_rate, weight_decay=weight_decay, fused=True)
    raise TrainError(f"optimizer is one of {', '.join(OPTIMIZERS)}, or a function; not {optimizer!r}")


def check_options(
    model: nn.Module,
    data: Mapping[str, ImageData],
    epochs: int,
    batch_size: int,
    loss: str,
    schedule: str,
    checkpoint_every: int,
    learning_rate: float,
) -> None:
    """Raises a `TrainError` for what would fail later, or worse, would not."""
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("checkpoint_every", checkpoint_every)):
        if not isinstance(value, int) or value < 1:
            raise TrainError(f"{name} is a whole number from 1 on, not {value!r}")
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise TrainError(f"learning_rate is a positive number, not {learning_rate!r}")
    for kind, value, known in (("loss", loss, LOSSES), ("schedule", schedule, SCHEDULES)):
        if value not in known:
            raise TrainError(f"{kind} is one of {', '.join(known)}; not {value!r}")
    for name, split in data.items():
        if len(split) == 0:
            raise TrainError(f"The split {name!r} has no images.")
    num_outputs = _num_outputs(model, data["train"].images[:2])
    for name, split in data.items():
        if split.labels.max() >= num_outputs:
            raise TrainError(
                f"The split {name!r} has labels up to {split.labels.max()}, but the network has {num_outputs} outputs. "
                "Give it one output for each class."
            )


def _num_outputs(model: nn.Module, images: Tensor) -> int:
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.no_grad():
        num_outputs = model(images.to(device)).shape[1]
    model.train(was_training)
    return num_outputs
