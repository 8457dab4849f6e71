"""The training loop of all experiments, to be read from top to bottom.

The images are one tensor. Everything random in a step (dropout, augmentation) is drawn from a seed made
of (seed, epoch, batch), and the order of an epoch from one made of (seed, epoch): so a training that was stopped
anywhere and goes on gives the same numbers as one that never stopped, and a checkpoint needs no generator states.
"""

import copy
import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers import Interrupted, WorkbookError
from helpers.data import ImageData
from helpers.models.describe import count_parameters, untouched
from helpers.reprs import progress_bar
from helpers.train.checkpoint import Checkpoint
from helpers.train.code import hash_tensors
from helpers.train.compute import Compute, choose_compute, memory_advice
from helpers.train.frozen import answers, cached_front, channels_last, train_mode
from helpers.train.result import Result, TrainingStopped, live_curves, show_result


class Diverged(WorkbookError):
    """A training whose loss is no longer finite, such as one with too high a learning rate."""


Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "cross_entropy": F.cross_entropy,
    # The mean absolute difference between the outputs and the one-hot targets.
    "l1": lambda logits, labels: F.l1_loss(logits, F.one_hot(labels, logits.shape[1]).to(logits.dtype)),
}


def fit(
    model: nn.Module,
    train: ImageData,
    val: ImageData,
    *,
    epochs: int,
    batch_size: int = 128,
    loss: str | Loss = "cross_entropy",
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer] = "adam",
    learning_rate: float = 1e-3,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    augment: Callable[[Tensor], Tensor] | None = None,
    extra: Mapping[str, ImageData] | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1,
    move_frozen_statistics: bool = False,
    label: str = "training",
) -> Result:
    """Trains the parameters of a network that require a gradient, and watches it on validation and extra splits.

    Leading frozen layers run once over the data, where that gives the same result: without augmentation, and with
    neither dropout nor moving statistics in them.

    Args:
        model: takes images (N, ...) as `train` holds them and returns logits (N, K). Trained in place.
        train: the split to learn from.
        val: the split to choose by.
        epochs: how often to go through `train`, in all: a resumed training does what is missing.
        batch_size: images a step. A last batch of a single image is left out, since BatchNorm can't train on it.
        loss: "cross_entropy", "l1" on one-hot targets, or a function from logits, float32 (N, K), and labels, int64
            (N,), to their mean loss, as ``nn.CrossEntropyLoss(label_smoothing=0.1)`` is. All splits are measured by it.
        optimizer: "sgd", "adam", "adamw", or a function from the network to an optimizer (with groups of its own).
        learning_rate: of the named optimizers.
        momentum: of "sgd".
        weight_decay: of the named optimizers.
        augment: from a batch of images to a batch of float images, 0 to 1; applied to training batches alone.
        extra: further splits to evaluate after each epoch under these names; nothing is chosen by them.
        seed: of the order, dropout and augmentation. The initial weights are the network's own.
        compute: from `choose_compute`.
        checkpoint: a folder. The training keeps a file there, named by all that decides how it goes, your own code
            included, and goes on from it. Where some of that can't be read, or the folder can't be written, it goes
            without and a `CheckpointWarning` says why. Files older than the variable WORKBOOK_TRAIN_ANEW, in seconds
            since 1970, are not read.
        checkpoint_every: epochs between two checkpoints.
        move_frozen_statistics: let the running statistics of frozen BatchNorm layers move, as naive code does.
        label: what the progress bar calls it.

    Called again with a network that it has trained, it trains that network on. So make a network and train it in one
    cell of a notebook.

    Raises:
        WorkbookError: bad arguments, labels that the network has no output for, or too little memory: the message says
            what to do, or which sizes to try.
        Diverged: a loss that is not finite.
        TrainingStopped: after Ctrl-C.
    """
    compute = (compute or choose_compute()).for_network(model)
    data = {"train": train, "val": val, **(extra or {})}
    if len(data) < 2 + len(extra or {}):
        raise WorkbookError("Extra splits need names other than 'train' and 'val'.")
    model.to(compute.device, memory_format=torch.channels_last)
    _check_options(loss, learning_rate, epochs=epochs, batch_size=batch_size, checkpoint_every=checkpoint_every)
    _check_data(model, data, compute)
    # Fused, SGD starts from a momentum of chance where float16's scaling leaves out the first step (torch 2.14).
    fused = compute.precision != "float16"
    optim = _optimizer(model, optimizer, learning_rate, momentum, weight_decay, fused)
    hashes = {name: hash_tensors(split.images, split.labels) for name, split in data.items()}
    chosen = {"data": hashes, "batch size": batch_size, "loss": loss, "seed": seed, "precision": compute.precision}
    chosen |= {"device": compute.device.type, "moving statistics": move_frozen_statistics}
    if compute.device.type == "cpu":
        chosen["threads"] = torch.get_num_threads()  # sums depend on how they are cut into parts
    kept = Checkpoint(checkpoint, epochs, model, optim, augment, optimizer, loop=LOOP, chosen=chosen, label=label)
    progress = _Progress()
    if state := kept.load():
        model.load_state_dict(state["model"])
        optim.load_state_dict(state["optimizer"])
        progress = _Progress(**state["progress"])

    resumed_from, rest, cached_layers = progress.epoch, model, 0
    with memory_advice(train.images.shape[1:]):
        images = {name: split.images.to(compute.device) for name, split in data.items()}
        if augment is None and progress.epoch < epochs:
            train_mode(model, move_frozen_statistics)
            cached_layers, rest, images = cached_front(model, images, hashes, compute)
    loss_function = LOSSES[loss] if isinstance(loss, str) else loss
    if isinstance(loss_function, nn.Module):  # weights of classes, say
        loss_function = copy.deepcopy(loss_function).to(compute.device)
    splits = {name: _Split(images[name], split.labels.to(compute.device)) for name, split in data.items()}
    training = _Training(
        model,
        rest,
        splits,
        optim,
        loss_function,
        augment,
        batch_size,
        seed,
        compute,
        move_frozen_statistics,
        progress,
        compute.scaler(progress.scale),
    )
    with memory_advice(train.images.shape[1:], batch_size):
        _run_epochs(training, epochs, kept, checkpoint_every, label)
    model.eval()
    columns = ["epoch", *(f"{name}_{metric}" for name in data for metric in ("loss", "accuracy")), "seconds"]
    history = pd.DataFrame(progress.history, columns=columns).set_index("epoch")
    best = progress.best_epoch, progress.best_state
    result = Result(history, *best, resumed_from, cached_layers, label)
    show_result(result)
    if progress.epoch < epochs:
        where = f"epoch {progress.epoch + 1}, after {progress.batch} of its {training.num_batches} batches"
        hint = " Run the cell again that makes the network and trains it, to go on from there." if kept.path else ""
        raise TrainingStopped(f"{label}: stopped in {where}.{hint}", result)
    kept.remove_replaced()
    return result


def num_batches(num_images: int, batch_size: int) -> int:
    """The steps of an epoch of `fit`, which leaves out a last batch of a single image, but for an only one."""
    whole, rest = divmod(num_images, batch_size)
    return max(1, whole + (rest > 1))


class _Split(NamedTuple):
    """Images (N, ...), or what frozen layers made of them, and labels int64 (N,) on the device that computes."""

    images: Tensor
    labels: Tensor


@dataclass
class _Progress:
    """How far a training is: all that changes, beside the network and the optimizer."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches finished in the epoch under way
    losses: Tensor | None = None  # of those batches, (num_batches,)
    correct: Tensor | None = None  # images classified correctly in them, ()
    seconds: float = 0.0  # spent on them
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)  # of float16's gradients


class _Training(NamedTuple):
    """A training under way: what computes in it, on what, and how far it is."""

    model: nn.Module
    rest: nn.Module  # its layers but for leading frozen ones, which ran before
    splits: dict[str, _Split]
    optim: torch.optim.Optimizer
    loss_function: Loss
    augment: Callable[[Tensor], Tensor] | None
    batch_size: int
    seed: int
    compute: Compute
    move_frozen_statistics: bool
    progress: _Progress
    scaler: torch.amp.GradScaler  # does nothing but in float16

    @property
    def num_used(self) -> int:
        """How many images an epoch has, without a last batch of a single image."""
        return min(len(self.splits["train"].labels), self.num_batches * self.batch_size)

    @property
    def num_batches(self) -> int:
        return num_batches(len(self.splits["train"].labels), self.batch_size)


def _run_epochs(training: _Training, epochs: int, kept: Checkpoint, checkpoint_every: int, label: str) -> None:
    """Trains for the epochs that are left, or until Ctrl-C, which is heeded after a batch."""
    progress, num_batches = training.progress, training.num_batches
    # An evaluation takes about a third of the time of a training on as many images: it counts as steps, too.
    evaluated = sum(len(split.labels) for name, split in training.splits.items() if name != "train")
    evaluation = round(evaluated / training.batch_size / 3)
    num_steps = num_batches + evaluation
    generators = [training.compute.device] if training.compute.device.type == "cuda" else []
    with (
        torch.random.fork_rng(generators),
        ctrl_c() as is_stopped,
        live_curves() as show,
        progress_bar(total=epochs * num_steps, initial=progress.epoch * num_steps + progress.batch) as bar,
    ):
        while progress.epoch < epochs and not is_stopped():
            show(progress.history)
            bar.set_description(f"{label}: epoch {progress.epoch + 1}/{epochs}")
            started = shown = time.perf_counter()
            for _ in _steps(training):
                bar.update()
                # Reading a loss makes a GPU wait, so that is done only now and then.
                if time.perf_counter() - shown > 0.5:
                    shown = time.perf_counter()
                    _require_finite(training)
                    bar.set_postfix_str(f"loss {progress.losses[progress.batch - 1].item():.3f}", refresh=False)
                if is_stopped():
                    break
            _require_finite(training)
            progress.seconds += time.perf_counter() - started
            if progress.batch == num_batches:
                _finish_epoch(training)
                bar.update(evaluation)
            progress.scale = training.scaler.state_dict()
            if is_stopped() or progress.epoch % checkpoint_every == 0 or progress.epoch == epochs:
                kept.save(progress)


def _steps(training: _Training) -> Iterator[None]:
    """Trains on the batches of an epoch that are left, one after the other."""
    progress, seed, device = training.progress, training.seed, training.compute.device
    train_mode(training.model, training.move_frozen_statistics)
    split = training.splits["train"]
    order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(_mix(seed, progress.epoch + 1)))
    batches = order[: training.num_used].to(device).split(training.batch_size)
    if progress.batch == 0:
        progress.losses, progress.correct = torch.zeros(len(batches)), torch.zeros((), dtype=torch.int64)
    progress.losses, progress.correct = progress.losses.to(device), progress.correct.to(device)
    while progress.batch < len(batches):
        torch.manual_seed(_mix(seed, progress.epoch + 1, progress.batch))
        images, labels = (part[batches[progress.batch]] for part in split)
        if training.augment is not None:
            images = training.augment(images)
        with training.compute.autocast():
            logits = training.rest(channels_last(images))
        value = training.loss_function(logits.float(), labels)
        training.optim.zero_grad()
        training.scaler.scale(value).backward()
        training.scaler.step(training.optim)
        training.scaler.update()

        progress.losses[progress.batch] = value.detach()
        progress.correct += (logits.argmax(dim=1) == labels).sum()
        progress.batch += 1
        yield


def _finish_epoch(training: _Training) -> None:
    """Evaluates, and adds a row to the history: means over images, not over batches of different size."""
    progress, num_images = training.progress, training.num_used
    sizes = torch.full((training.num_batches,), training.batch_size, dtype=torch.float64)
    sizes[-1] -= sizes.sum() - num_images
    loss = (progress.losses.cpu().double() * sizes).sum() / num_images
    row = {"epoch": progress.epoch + 1, "train_loss": loss.item()}
    row["train_accuracy"] = progress.correct.item() / num_images
    training.model.eval()
    for name, split in list(training.splits.items())[1:]:
        logits = answers(training.rest, split.images, training.compute)
        row[f"{name}_loss"] = training.loss_function(logits, split.labels).item()
        row[f"{name}_accuracy"] = (logits.argmax(dim=1) == split.labels).sum().item() / len(split.labels)

    if row["val_accuracy"] > max((earlier["val_accuracy"] for earlier in progress.history), default=-1.0):
        progress.best_epoch = progress.epoch + 1
        progress.best_state = {name: value.to("cpu", copy=True) for name, value in training.model.state_dict().items()}
    progress.history.append({**row, "seconds": progress.seconds})
    progress.epoch, progress.batch, progress.seconds = progress.epoch + 1, 0, 0.0


def _mix(*numbers: int) -> int:
    """One seed (63 bits) out of several numbers; unlike a sum, it has no two close neighbours alike."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _require_finite(training: _Training) -> None:
    progress = training.progress
    bad = (~torch.isfinite(progress.losses[: progress.batch])).nonzero()
    if len(bad) == 0:
        return
    batch = bad[0].item()
    rate = max(group["lr"] for group in training.optim.param_groups)
    precision = training.compute.precision
    raise Diverged(
        f"The loss became {progress.losses[batch].item()} in epoch {progress.epoch + 1}, batch {batch + 1} of "
        f"{len(progress.losses)}. Likely causes: a learning rate that is too high (now {rate:g}; try a tenth), inputs "
        f"that are not finite, or too little precision (now {precision}; try PRECISION = 'float32')."
    )


def _optimizer(
    model: nn.Module,
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    fused: bool,
) -> torch.optim.Optimizer:
    """The named optimizer over the parameters that require a gradient, or what the given function makes."""
    if callable(optimizer):
        return optimizer(model)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise WorkbookError("Every parameter is frozen (requires_grad is False): there is nothing to train.")
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if optimizer not in kinds:
        raise WorkbookError(f"optimizer is one of {', '.join(kinds)}, or a function; not {optimizer!r}")
    # One fused kernel for all parameters; the same numbers in every run.
    options = {"lr": learning_rate, "weight_decay": weight_decay, "fused": fused}
    return kinds[optimizer](parameters, **options, **({"momentum": momentum} if optimizer == "sgd" else {}))


def _check_options(loss: str | Loss, learning_rate: float, **whole_numbers: int) -> None:
    for name, value in whole_numbers.items():
        if not isinstance(value, int) or value < 1:
            raise WorkbookError(f"{name} is a whole number from 1 on, not {value!r}")
    if not (isinstance(learning_rate, int | float) and 0 < learning_rate < math.inf):
        raise WorkbookError(f"learning_rate is a positive number, not {learning_rate!r}")
    if not callable(loss) and loss not in LOSSES:
        raise WorkbookError(f"loss is one of {', '.join(LOSSES)}, or a function; not {loss!r}")


def _check_data(model: nn.Module, data: Mapping[str, ImageData], compute: Compute) -> None:
    """Refuses images that the network does not take, and labels that it has no output for."""
    count_parameters(model)  # refuses layers of no width: a hidden one would only pass on nothing
    for name, split in data.items():
        if len(split) == 0:
            raise WorkbookError(f"The split {name!r} has no images.")
    images = data["train"].images[:2]
    try:
        with untouched(model):
            num_outputs = model(images.to(compute.device)).shape[1]
    except RuntimeError as error:  # of a network of one's own: its layers don't fit each other, or these images
        raise WorkbookError(
            f"The network does not take the images, {tuple(images.shape[1:])} of {images.dtype}: {error}. "
            "models.Normalize, as its first layer, makes them float."
        ) from error
    for name, split in data.items():
        if split.labels.max() >= num_outputs:
            raise WorkbookError(
                f"The split {name!r} has labels up to {split.labels.max()}, but the network has {num_outputs} outputs. "
                "Give it one output for each class."
            )


STOPPED_BY: list[Callable[[], bool]] = []
"""Whether another process wants this one to stop; empty but in processes of `side_by_side`, which know no Ctrl-C."""


@contextmanager
def ctrl_c() -> Iterator[Callable[[], bool]]:
    """Tells inside the context whether to stop: after the first Ctrl-C, so that no step is left half done.

    The second one interrupts. Where signals can't be caught (outside the main thread) Ctrl-C stays as it is.
    """
    pressed = threading.Event()

    def on_signal(*_: object) -> None:
        if pressed.is_set():
            raise Interrupted("stopped within a batch: make the network anew to train it again")
        pressed.set()

    is_main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, on_signal) if is_main else None
    try:
        yield lambda: pressed.is_set() or any(is_stopped() for is_stopped in STOPPED_BY)
    finally:
        if is_main:
            signal.signal(signal.SIGINT, previous)


LOOP = (_steps, _finish_epoch, _optimizer, LOSSES, _Training.num_used, num_batches)
"""The workbook's own code that decides a training's numbers: a checkpoint made by other code is not taken up."""
