"""Checkpoint files, named by everything that decides how a training goes.

So a checkpoint is never resumed by a training that differs from it. Files hold tensors and plain values only and are
read with ``weights_only=True``.
"""

import io
import os
import re
import time
import warnings
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers import files
from helpers.train.code import UnreadableError, hash_of
from helpers.train.compute import is_out_of_memory

FORMAT = 2
STARTED = time.time()
"""When this process began to train: files that are older, and that no training has taken up, are of earlier runs."""


class CheckpointWarning(UserWarning):
    """A checkpoint can't be used, and the training starts anew; or none can be kept, and it goes without."""


class Checkpoint:
    """The checkpoint of one training, in a folder that many may share; ``path`` is None where none is kept.

    That is where none is wanted, where the training's code can't all be read, where the folder can't be written, and
    where the network or ``augment`` counts something for itself as it trains, which a checkpoint would not hold: a
    `CheckpointWarning` says why. The arguments are those of `helpers.train.fit`, what ``optimizer`` has made, the
    functions that train and evaluate, and all other options.
    """

    def __init__(
        self,
        folder: Path | None,
        epochs: int,
        model: nn.Module,
        optim: torch.optim.Optimizer,
        augment: object,
        optimizer: object,
        *,
        loop: object,
        chosen: dict[str, Any],
        label: str,
    ) -> None:
        self.path: Path | None = None
        self._epochs, self._model, self._optim, self._augment, self._label = epochs, model, optim, augment, label
        if folder is None:
            return
        try:
            self._start, code = self._hashes(optimizer, loop, chosen)
            self._beside = self._beside_tensors()
        except UnreadableError as error:
            self._warn(f"nothing is resumed and no checkpoint kept, since none could be told from another: {error}.")
        else:
            self._key = f"{self._start}-{code}"
            self.path = Path(folder) / f"{self._key}-{epochs}.pt"

    def load(self) -> dict[str, Any] | None:
        """The state to go on from, on the CPU: this training's, else that of the longest shorter one; or None.

        Of a file that can't be used a `CheckpointWarning` says why.

        Raises:
            OSError, MemoryError: the file can't be read, for a reason outside the file.
        """
        begun = float(os.environ.get("WORKBOOK_TRAIN_ANEW") or 0)  # the command that is to train anew
        found = {length: path for path, length in self._files(self._key) if length <= self._epochs} if self.path else {}
        for _, path in sorted(found.items(), reverse=True):
            if path.stat().st_mtime < begun:
                continue
            content = path.read_bytes()  # a disk that fails says nothing about the checkpoint: that error is raised
            try:
                saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                if (saved["format"], saved["key"]) != (FORMAT, self._key):
                    raise ValueError("it is of another version, or of another training")
            except Exception as error:  # a damaged file makes torch.load raise almost anything
                if is_out_of_memory(error):
                    raise MemoryError(str(error)) from error
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                self._warn(f"checkpoint {path.name} can't be used: {reason}. Training without it.")
            else:
                with suppress(OSError):  # a folder that can be read alone
                    path.touch()  # it was taken up, and may be again
                return saved["state"]
        return None

    def save(self, progress: object) -> None:
        """Writes the file, or leaves an earlier one as it was. ``progress`` holds tensors and plain values."""
        if self.path is None:
            return
        with suppress(UnreadableError):
            if self._beside_tensors() == self._beside:
                state = {"model": self._model.state_dict(), "optimizer": self._optim.state_dict()}
                self._write({**state, "progress": dict(vars(progress))})
                return
        self.path = None
        self._warn(
            "no checkpoint is kept any more, since none could hold what the network or augment keeps for itself "
            "as it trains, a count, say: make it a buffer of the network."
        )

    def remove_replaced(self) -> None:
        """Removes what this training, now at its end, stands in for: files of earlier runs that began alike.

        Those are its own at fewer epochs, and those of other code or libraries, which nothing can take up any more.
        """
        for path, length in self._files(self._start) if self.path else []:
            is_longer = path.name.startswith(self._key) and length >= self._epochs
            if not is_longer and path.stat().st_mtime < STARTED:
                path.unlink(missing_ok=True)

    def _files(self, start: str) -> list[tuple[Path, int]]:
        """The files whose names begin so, and their numbers of epochs."""
        found = [(path, re.search(r"-(\d+)\.pt$", path.name)) for path in self.path.parent.glob(f"{start}*.pt")]
        return [(path, int(match[1])) for path, match in found if match]

    def _write(self, state: dict[str, Any]) -> None:
        content = io.BytesIO()  # torch.save does not say what is wrong with a disk
        torch.save({"format": FORMAT, "key": self._key, "state": state}, content)
        try:
            with files.replacing(self.path) as stream:
                stream.write(content.getbuffer())
        except OSError as error:  # no room, or a data folder that one may only read
            self._warn(
                f"no checkpoint is kept, since {self.path.parent.name!r} can't be written: {error.strerror}. Make room "
                "there, or set the variable WORKBOOK_DATA to a folder with room."
            )
            self.path = None

    def _hashes(self, optimizer: object, loop: object, chosen: dict[str, Any]) -> tuple[str, str]:
        """Of all that decides how the training goes, but for the number of epochs: how it begins, and its code.

        It begins with options and data, what the network looks like and what of it is trained, and all weights.
        """
        model, optim, augment, named = self._model, self._optim, self._augment, self._names()
        frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
        looks = [re.sub(r" at 0x\w+", "", repr(thing)) for thing in (model, augment, type(optim))]
        settings = {key: value for key, value in vars(optim).items() if key not in ("state", "param_groups")}
        computing = {"network": model, "augment": augment, "optimizer": (optimizer, type(optim), settings)}
        versions = {name: metadata.version(name) for name in ("torch", "torchvision", "timm")}
        values = [*model.state_dict().values(), *optim.state.values()]
        begins = hash_of((chosen, looks, frozen, optim.param_groups, values), named)
        return begins, hash_of((computing, versions, loop), named)

    def _beside_tensors(self) -> str:
        """A hash of what a checkpoint does not hold of network and augmentation: what they do, and a count, say."""
        return hash_of((self._model, self._augment), self._names())

    def _names(self) -> dict[int, str]:
        """By ``id``, the names of what a checkpoint holds."""
        tensors = {id(tensor): name for name, tensor in self._model.state_dict(keep_vars=True).items()}
        return tensors | {id(self._optim): "optimizer"}

    def _warn(self, message: str) -> None:
        warnings.warn(f"{self._label}: {message}", CheckpointWarning, stacklevel=4)
