"""The training loop of all experiments, to be read from top to bottom.

The images are one tensor. Everything random in a step (dropout, augmentation) is drawn from a seed made
of (seed, epoch, batch), and the order of an epoch from one made of (seed, epoch): so a training that was stopped
anywhere and goes on gives the same numbers as one that never stopped, and a checkpoint needs no generator states.
"""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pandas as pd
import torch
from torch import Tensor, nn

from helpers.data import ImageData
from helpers.train.checkpoint import (
    CheckpointFile,
    CheckpointWarning,
    describe_code,
    describe_groups,
    describe_network,
    hash_sources,
    hash_tensors,
    library_versions,
)
from helpers.train.code import UnreadableError
from helpers.train.compute import Compute, choose_compute
from helpers.train.frozen import cached_front, channels_last, run, train_mode
from helpers.train.interrupt import InterruptFlag
from helpers.train.live import progress_bar
from helpers.train.memory import explained
from helpers.train.options import LOSSES, SCHEDULES, TrainError, check_options, make_optimizer
from helpers.train.result import Result, TrainingStopped


class _Split(NamedTuple):
    """Images (N, ...) and labels int64 (N,) on the device that computes."""

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


# Trainings that Ctrl-C stopped in this process, by network: their settings and state.
_stopped: WeakKeyDictionary[nn.Module, tuple[dict[str, Any], dict[str, Any]]] = WeakKeyDictionary()


def fit(
    model: nn.Module,
    train: ImageData,
    val: ImageData,
    *,
    epochs: int,
    batch_size: int = 128,
    loss: str = "cross_entropy",
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer] = "adam",
    learning_rate: float = 1e-3,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    augment: Callable[[Tensor], Tensor] | None = None,
    extra: Mapping[str, ImageData] | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1,
    move_frozen_statistics: bool = False,
    cache_frozen: bool = True,
    label: str = "training",
) -> Result:
    """Trains the parameters of a network that require a gradient, and watches it on validation and extra splits.

    Args:
        model: takes images (N, ...) as `train` holds them and returns logits (N, K). Trained in place.
        train: the split to learn from.
        val: the split to choose by.
        epochs: how often to go through `train`, in all: a resumed training does what is missing.
        batch_size: images a step. A last batch of a single image is left out, since BatchNorm can't train on it.
        loss: "cross_entropy", or "l1" on one-hot targets.
        optimizer: "sgd", "adam", "adamw", or a function from the network to an optimizer (with groups of its own).
        learning_rate: of the named optimizers.
        momentum: of "sgd".
        weight_decay: of the named optimizers.
        schedule: of the learning rate, step by step: "constant", "cosine" (down to 0) or "one_cycle" (up, then down).
        augment: from a batch of images to a batch of float images, 0 to 1; applied to training batches alone.
        extra: further splits to evaluate after each epoch under these names; nothing is chosen by them.
        seed: of the order, dropout and augmentation. The initial weights are the network's own.
        compute: from `choose_compute`.
        checkpoint: a folder. The training keeps a file there, named by all that decides how it goes, your own code
            included, and goes on from it. Where some of that can't be read, it goes without and a `CheckpointWarning`
            says why. With WORKBOOK_TRAIN_ANEW=1 in the environment, files of earlier runs are written over, not read.
        checkpoint_every: epochs between two checkpoints.
        move_frozen_statistics: let the running statistics of frozen BatchNorm layers move, as naive code does.
        cache_frozen: run leading frozen layers once over the data where that gives the same result: without
            augmentation, and with neither dropout nor moving statistics in them.
        label: what the progress bar calls it.

    Called again with a network that it has trained, it trains that network on. So make a network and train it in one
    cell of a notebook.

    Raises:
        TrainError: bad arguments, labels that the network has no output for, a loss that is not finite, or too little
            memory: the message says which sizes to try.
        CheckpointError: a checkpoint can't be written; the one before it is as it was.
        TrainingStopped: after Ctrl-C.
    """
    compute = (compute or choose_compute()).for_network(model)
    if reserved := {"train", "val"} & set(extra or {}):
        raise TrainError(f"extra splits need names other than train and val; one is called {reserved.pop()!r}")
    data = {"train": train, "val": val, **(extra or {})}
    model.to(compute.device, memory_format=torch.channels_last)
    check_options(model, data, epochs, batch_size, loss, schedule, checkpoint_every, learning_rate)
    optim = make_optimizer(model, optimizer, learning_rate, momentum, weight_decay)
    initial_rates = [group["lr"] for group in optim.param_groups]
    settings = {
        "batch size": batch_size,
        "loss": loss,
        "optimizer": type(optim).__name__,
        "parameter groups": describe_groups(model, optim),
        "schedule": schedule if schedule == "constant" else f"{schedule} over {epochs} epochs",
        "seed": seed,
        "precision": compute.precision,
        "device": compute.device.type,
        "threads": torch.get_num_threads() if compute.device.type == "cpu" else None,
        "frozen statistics": "moving" if move_frozen_statistics else "kept",
        "frozen layers": "cached" if cache_frozen else "run in every epoch",
        "versions": library_versions(),
        "code": hash_sources(),
    }
    settings |= describe_network(model, optim)
    settings["data"] = hashes = {name: hash_tensors(d.images, d.labels) for name, d in data.items()}
    stopped = _stopped.pop(model, None)
    try:
        settings |= describe_code(model, augment, optimizer, optim)
    except UnreadableError as error:
        settings = None
        if stopped or checkpoint is not None:
            message = f"{label}: nothing is resumed and no checkpoint kept, since none could be told from another: "
            warnings.warn(f"{message}{error}.", CheckpointWarning, stacklevel=2)
    if stopped and settings and {**settings, "initial weights": stopped[0]["initial weights"]} == stopped[0]:
        settings = stopped[0]  # the same training: it began with other weights than the network has now
    else:
        stopped = None
    file = CheckpointFile(checkpoint, settings, epochs) if checkpoint is not None and settings else None
    progress, resumed_from = _take_up(model, optim, stopped, file)

    rest, cached_layers, cache_seconds = model, 0, 0.0
    with explained(train.images.shape[1:]):
        splits = {name: _Split(d.images.to(compute.device), d.labels.to(compute.device)) for name, d in data.items()}
        if cache_frozen and augment is None and progress.epoch < epochs:
            train_mode(model, move_frozen_statistics)
            images = {name: split.images for name, split in splits.items()}
            cached_layers, rest, images, cache_seconds = cached_front(model, images, hashes, compute)
            splits = {name: _Split(images[name], split.labels) for name, split in splits.items()}

    order_length, num_batches = _epoch_length(len(train), batch_size)
    loss_function, factor = LOSSES[loss], SCHEDULES[schedule]
    bar = progress_bar(progress.history, epochs * num_batches, done=progress.epoch * num_batches + progress.batch)
    generators = [compute.device] if compute.device.type == "cuda" else []
    memory = explained(train.images.shape[1:], batch_size)
    with memory, torch.random.fork_rng(generators), InterruptFlag() as stop, bar:
        while progress.epoch < epochs and not stop:
            epoch = progress.epoch + 1
            bar.set_description(f"{label}: epoch {epoch}/{epochs}")
            if progress.batch == 0:
                progress.losses = torch.zeros(num_batches)
                progress.correct = torch.zeros((), dtype=torch.int64)
            progress.losses, progress.correct = progress.losses.to(compute.device), progress.correct.to(compute.device)
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(_mix(seed, epoch)))
            batches = order[:order_length].to(compute.device).split(batch_size)
            train_mode(model, move_frozen_statistics)
            started = shown = time.perf_counter()
            for indices in batches[progress.batch :]:
                torch.manual_seed(_mix(seed, epoch, progress.batch))
                images, labels = splits["train"].images[indices], splits["train"].labels[indices]
                if augment is not None:
                    images = augment(images)
                done = ((epoch - 1) * num_batches + progress.batch) / (epochs * num_batches)
                for group, rate in zip(optim.param_groups, initial_rates, strict=True):
                    group["lr"] = rate * factor(done)

                with compute.autocast():
                    logits = rest(channels_last(images))
                value = loss_function(logits.float(), labels)
                optim.zero_grad()
                value.backward()
                optim.step()

                progress.losses[progress.batch] = value.detach()
                progress.correct += (logits.argmax(dim=1) == labels).sum()
                progress.batch += 1
                bar.update()
                # Reading a loss makes a GPU wait, so that is done only now and then.
                if time.perf_counter() - shown > 0.5:
                    shown = time.perf_counter()
                    _require_finite(progress, epoch, num_batches, initial_rates, compute)
                    bar.set_postfix_str(f"loss {progress.losses[progress.batch - 1].item():.3f}", refresh=False)
                if stop:
                    break
            _require_finite(progress, epoch, num_batches, initial_rates, compute)
            progress.seconds += time.perf_counter() - started

            if progress.batch == num_batches:
                sizes = torch.tensor([float(len(indices)) for indices in batches], dtype=torch.float64)
                row = {
                    "epoch": epoch,
                    "train_loss": ((progress.losses.cpu().double() * sizes).sum() / sizes.sum()).item(),
                    "train_accuracy": progress.correct.item() / order_length,
                }
                for name in [name for name in splits if name != "train"]:
                    row[f"{name}_loss"], row[f"{name}_accuracy"] = _evaluate(rest, splits[name], loss_function, compute)
                row |= {"learning_rate": optim.param_groups[-1]["lr"], "seconds": progress.seconds}
                _finish_epoch(progress, row, model)
            if file and (stop or epoch % checkpoint_every == 0 or epoch == epochs):
                file.save(_state(model, optim, progress))

    model.eval()
    history = pd.DataFrame(progress.history, columns=_columns(data)).set_index("epoch")
    result = Result(history, progress.best_epoch, progress.best_state, resumed_from, cached_layers, cache_seconds)
    if progress.epoch < epochs:
        if settings:
            _stopped[model] = (settings, _state(model, optim, progress))
        where = f"epoch {progress.epoch + 1}, after {progress.batch} of its {num_batches} batches"
        hint = " Run the same cell again to go on from there." if settings else ""
        raise TrainingStopped(f"{label}: stopped in {where}.{hint}", result)
    return result


def predict(model: nn.Module, data: ImageData, *, compute: Compute | None = None) -> Tensor:
    """The network's logits for every image, in eval mode: float32 (N, K), on the CPU.

    Raises:
        TrainError: too little memory.
    """
    compute = (compute or choose_compute()).for_network(model)
    model.to(compute.device, memory_format=torch.channels_last)
    model.eval()
    with explained(data.images.shape[1:]):
        return run(model, data.images.to(compute.device), compute).float().cpu()


def _evaluate(model: nn.Module, split: _Split, loss_function: Callable, compute: Compute) -> tuple[float, float]:
    """Mean loss and accuracy over all images of a split."""
    model.eval()
    with explained(split.images.shape[1:]):  # in batches of its own, so that a smaller BATCH_SIZE would not help
        logits = run(model, split.images, compute).float()
    correct = (logits.argmax(dim=1) == split.labels).sum()
    return loss_function(logits, split.labels).item(), correct.item() / len(split.labels)


def _epoch_length(num_images: int, batch_size: int) -> tuple[int, int]:
    """How many images and batches an epoch has, without a last batch of a single image."""
    if num_images % batch_size == 1 and num_images > 1:
        num_images -= 1
    return num_images, math.ceil(num_images / batch_size)


def _mix(*numbers: int) -> int:
    """One seed (63 bits) out of several numbers; unlike a sum, it has no two close neighbours alike."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _finish_epoch(progress: _Progress, row: dict[str, float], model: nn.Module) -> None:
    best = max((earlier["val_accuracy"] for earlier in progress.history), default=-1.0)
    if row["val_accuracy"] > best:
        progress.best_epoch = row["epoch"]
        progress.best_state = {name: value.to("cpu", copy=True) for name, value in model.state_dict().items()}
    progress.history.append(row)
    progress.epoch, progress.batch, progress.seconds = row["epoch"], 0, 0.0


def _require_finite(progress: _Progress, epoch: int, num_batches: int, rates: list[float], compute: Compute) -> None:
    bad = (~torch.isfinite(progress.losses[: progress.batch])).nonzero()
    if len(bad) == 0:
        return
    batch = bad[0].item()
    raise TrainError(
        f"The loss became {progress.losses[batch].item()} in epoch {epoch}, batch {batch + 1} of {num_batches}. Likely "
        f"causes: a learning rate that is too high (now {max(rates):g}; try a tenth), inputs that are not finite, or "
        f"too little precision (now {compute.precision}; try PRECISION = 'float32')."
    )


def _columns(data: Mapping[str, ImageData]) -> list[str]:
    measured = [f"{name}_{metric}" for name in data for metric in ("loss", "accuracy")]
    return ["epoch", *measured, "learning_rate", "seconds"]


def _state(model: nn.Module, optim: torch.optim.Optimizer, progress: _Progress) -> dict[str, Any]:
    return {"model": model.state_dict(), "optimizer": optim.state_dict(), "progress": dict(vars(progress))}


def _take_up(
    model: nn.Module,
    optim: torch.optim.Optimizer,
    stopped: tuple[dict[str, Any], dict[str, Any]] | None,
    file: CheckpointFile | None,
) -> tuple[_Progress, int]:
    """Where to begin: at this training where Ctrl-C stopped it, at a checkpoint, or at the beginning.

    Returns:
        The progress, and how many epochs of it come from a checkpoint.
    """
    if stopped:
        optim.load_state_dict(stopped[1]["optimizer"])
        return _Progress(**stopped[1]["progress"]), 0
    state = file.load() if file else None
    if state is None:
        return _Progress(), 0
    model.load_state_dict(state["model"])
    optim.load_state_dict(state["optimizer"])
    progress = _Progress(**state["progress"])
    return progress, progress.epoch
