"""Checkpoint files, named by everything that decides how a training goes.

A training's settings (data, network and its initial weights, optimizer, seed, precision, versions …) are hashed into
the file's name, so a checkpoint is never resumed by a training that differs from it. Files hold tensors and plain
values only and are read with ``weights_only=True``.

A folder holds many trainings that differ in what their notebooks chose: seeds, networks, learning rates. Nothing is
said about these when another one begins. But where a training begins anew although nobody chose anything else, since a
library or the workbook's code was updated, say, a warning tells what has changed.
"""

import hashlib
import io
import json
import os
import re
import warnings
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor, nn

from helpers import WorkbookError, files
from helpers.files import expansion, memory_missing
from helpers.train.code import hash_code

FORMAT = 1
NOT_COMPUTING = ("__main__", "cli", "download", "packaged", "weights", "live", "result")
"""Files of helpers/models that find weights, which are in a training's settings themselves, and those of helpers/train
that show a training."""
SURROUNDINGS = ("device", "threads", "precision", "versions", "code")
"""What of a training's settings a notebook rarely chooses itself."""
_HASHED = (
    "code",
    "data",
    "initial weights",
    "network",
    "augmentation",
    "optimizer's code",
)  # hashes, which say nothing to anybody
Settings = dict[str, Any]


class CheckpointWarning(UserWarning):
    """A checkpoint could not be used and the training starts anew; a file that no training can use was set aside."""


class CheckpointError(WorkbookError):
    """A checkpoint could not be written."""


class CheckpointFile:
    """The checkpoint of one training, in a folder that many may share.

    Args:
        folder: made when the first checkpoint is written.
        settings: JSON-able; all that decides how the training goes, but for the number of epochs.
        epochs: how long the training is to be. A shorter one of the same settings is a start for it.
    """

    _written: ClassVar[set[Path]] = set()  # by this process

    def __init__(self, folder: Path, settings: Settings, epochs: int) -> None:
        self.folder = Path(folder)
        self.settings = json.loads(json.dumps(settings))  # as a file gives them back: tuples are lists
        chosen = {key: value for key, value in self.settings.items() if key not in SURROUNDINGS}
        surroundings = {key: value for key, value in self.settings.items() if key in SURROUNDINGS}
        self._chosen = _digest(chosen)
        self.key = self._chosen + _digest(surroundings)
        self.epochs = epochs
        self.path = self.folder / f"{self.key}-{epochs}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Writes the file, all of it or nothing.

        Raises:
            CheckpointError: no room, or a folder that can't be written; an earlier checkpoint stays as it was.
        """
        content = {"format": FORMAT, "settings": json.dumps(self.settings), "state": state}
        try:
            with files.replacing(self.path) as stream:
                _save(content, stream)
            self._written.add(self.path)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint can't be written to the folder {self.folder.name!r}: {error.strerror}. Make room "
                "there, or set the variable WORKBOOK_DATA to a folder with room, and run again: the training goes on "
                "from its last checkpoint."
            ) from error

    def load(self) -> dict[str, Any] | None:
        """The state to go on from, on the CPU: this training's, else that of the longest shorter one; or None.

        A file that can't be used is renamed, not deleted, and a `CheckpointWarning` says why. Another one says so where
        there is none, but one of the same training in other surroundings, which stays as it is.

        Raises:
            OSError, MemoryError: the file can't be read, for a reason outside the file.
        """
        for path in self._candidates():
            content = path.read_bytes()  # a disk that fails says nothing about the checkpoint: that error is raised
            try:
                return _read(content, self.settings)
            except MemoryError:
                raise
            except Exception as error:  # a damaged file makes torch.load raise almost anything
                aside = _free_name(path)
                path.rename(aside)
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                message = f"Checkpoint {path.name} can't be used: {reason}. Kept as {aside.name}; training anew."
                warnings.warn(message, CheckpointWarning, stacklevel=2)
        if differences := self._differences_in_surroundings():
            message = f"Training anew: there is a checkpoint of this training, but {'; '.join(differences)}."
            warnings.warn(message, CheckpointWarning, stacklevel=2)
        return None

    def _differences_in_surroundings(self) -> list[str]:
        """How the newest checkpoint differs that has all that was chosen in common with this training, in words."""
        others = self.folder.glob(f"{self._chosen}*.pt")
        for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
            with suppress(Exception):  # damaged, or of another version: whoever needs that file will say so
                return _differences(_unpack(path.read_bytes())[0], self.settings)
        return []

    def _candidates(self) -> list[Path]:
        lengths = {}
        for path in self.folder.glob(f"{self.key}-*.pt"):
            if match := re.fullmatch(rf"{self.key}-(\d+)\.pt", path.name):
                lengths[int(match[1])] = path
        if os.environ.get("WORKBOOK_TRAIN_ANEW") == "1":  # what this run made itself is none of an earlier one's
            lengths = {length: path for length, path in lengths.items() if path in self._written}
        return [lengths[length] for length in sorted(lengths, reverse=True) if length <= self.epochs]


class _Watched:
    """A stream that remembers its error: ``torch.save`` raises another one, which does not say what is wrong."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            return self._stream.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._stream.flush()


def _save(content: dict[str, Any], stream: BinaryIO) -> None:
    watched = _Watched(stream)
    try:
        torch.save(content, watched)
    except Exception as error:
        raise watched.error or error from error


def _read(file: bytes, settings: Settings) -> dict[str, Any]:
    saved, state = _unpack(file)
    if differences := _differences(saved, settings):
        raise ValueError("; ".join(differences))
    return state


def _unpack(file: bytes) -> tuple[Settings, dict[str, Any]]:
    """The settings and the state in a file."""
    if not 0 < expansion(io.BytesIO(file)) <= 1:
        raise ValueError("it is damaged, or would unpack to more than its own size")
    try:
        content = torch.load(io.BytesIO(file), map_location="cpu", weights_only=True)
    except RuntimeError as error:
        if memory_missing(error, size=len(file)):
            raise MemoryError(str(error)) from error
        raise
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("it is not one of ours, or of another version")
    return json.loads(content["settings"]), content["state"]


def _differences(saved: Settings, settings: Settings) -> list[str]:
    """What is otherwise in settings that were saved, in words."""
    texts = []
    for key in {**saved, **settings}:
        there, here = saved.get(key), settings.get(key)
        if there == here:
            continue
        if key in _HASHED:
            texts.append(f"its {key} differs")
        elif isinstance(there, dict) and isinstance(here, dict):
            texts += _differences(there, here)
        elif key == "parameter groups" and len(there or ()) == len(here or ()):
            texts += [text for pair in zip(there, here, strict=True) for text in _differences(*pair)]
        else:
            texts.append(f"its {key} is {there!r}, not {here!r}")
    return texts


def _digest(settings: Settings) -> str:
    return hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8).hexdigest()


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_suffix(f".unusable-{number}")).exists():
        number += 1
    return aside


def hash_tensors(*tensors: Tensor) -> str:
    """A short hash of values, dtypes and shapes."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        # Reinterpreted as bytes: NumPy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def describe_network(model: nn.Module, optim: torch.optim.Optimizer) -> Settings:
    """What is trained: the tensors that it begins with, and what is frozen."""
    states = [value for state in optim.state.values() for value in state.values() if isinstance(value, Tensor)]
    return {
        "initial weights": hash_tensors(*model.state_dict().values(), *states),
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
    }


def describe_code(model: nn.Module, augment: object, optimizer: object, optim: torch.optim.Optimizer) -> Settings:
    """What computes in a training: hashes of the network's code and structure, the augmentation's, the optimizer's.

    Raises:
        UnreadableError: some of it can't be read.
    """
    named = {id(tensor): name for name, tensor in model.state_dict(keep_vars=True).items()}
    named |= {id(model): "network", id(optim): "optimizer"}
    own = {key: value for key, value in vars(optim).items() if key not in ("state", "param_groups")}
    hooks = {key: list(own.pop(key).values()) for key in list(own) if "_hooks" in key}
    return {
        "network": hash_code(model, named, "network"),
        "augmentation": hash_code(augment, named, "augment"),
        "optimizer's code": hash_code((optimizer, type(optim), own, hooks), named, "optimizer"),
    }


def describe_groups(model: nn.Module, optim: torch.optim.Optimizer) -> list[Settings]:
    """What each parameter group of an optimizer holds, by name, and its hyperparameters."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return [
        {
            **{key: value for key, value in group.items() if key != "params"},
            "params": [names[p] for p in group["params"]],
        }
        for group in optim.param_groups
    ]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that networks are made of."""
    return {name: metadata.version(name) for name in ("torch", "torchvision", "timm")}


def hash_sources() -> str:
    """A hash of the code that a training runs through: with changed code it starts anew."""
    package = Path(__file__).resolve().parent
    digest = hashlib.blake2b(digest_size=8)
    folders = (package, package.parent / "models")
    sources = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem not in NOT_COMPUTING]
    for source in [*sources, package.parent / "transfer.py"]:
        digest.update(source.read_bytes())
    return digest.hexdigest()
