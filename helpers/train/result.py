"""What a training gives back."""

from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from helpers import Interrupted
from helpers.reprs import Row, TableRepr
from helpers.train.live import picture


@dataclass(repr=False)
class Result(TableRepr):
    """What a training gives back; the trained weights are in the network that was passed in.

    As the last line of a notebook's cell it shows a summary and its learning curves; below the cell that trains, a
    front end has these in any case.

    Attributes:
        history: one row for each finished epoch, indexed by "epoch" from 1: train_loss and train_accuracy (means over
            the epoch's images as they were met: weights moving, dropout and augmentation on), val_loss, val_accuracy,
            <name>_loss and <name>_accuracy of each extra split, seconds (training alone, without the evaluations).
            Accuracies are shares from 0 to 1.
        best_epoch: the epoch of the highest validation accuracy, the first of them at a tie; 0 if none was finished.
        best_state: the network's state after that epoch, on the CPU.
        resumed_from: how many finished epochs came from a checkpoint.
        cached_layers: how many leading frozen layers were run once over the data instead of in every epoch; a layer of
            a sequence inside the network counts on its own.
        cache_seconds: how long that took, also where an earlier training's activations served again; no part of the
            epochs' seconds.
        label: what its progress bar called it.
    """

    history: pd.DataFrame
    best_epoch: int
    best_state: dict[str, Tensor]
    resumed_from: int
    cached_layers: int
    cache_seconds: float
    label: str = "training"

    @property
    def last(self) -> pd.Series:
        """The last finished epoch's row of the history."""
        return self.history.iloc[-1]

    def __repr__(self) -> str:
        return f"<Result: {'; '.join(f'{label.lower()}: {text}' for label, text in self._rows())}>"

    def _rows(self) -> list[Row]:
        epochs = str(len(self.history))
        if self.resumed_from:
            epochs += f", {self.resumed_from} of them from a checkpoint"
        rows = [("Epochs finished", epochs)]
        if self.best_epoch:
            best = self.history.loc[self.best_epoch]
            rows.append(("Best epoch", f"{self.best_epoch}, validation accuracy {best['val_accuracy']:.1%}"))
            rows += [self._last_of(split) for split in self._splits()]
            seconds = self.history["seconds"]
            rows.append(("Training time", f"{seconds.sum():.1f} s, {seconds.mean():.2f} s an epoch"))
        if self.cached_layers:
            rows.append(("Frozen layers", f"{self.cached_layers} run once over the data, {self.cache_seconds:.1f} s"))
        return rows

    def _splits(self) -> list[str]:
        columns = [str(column) for column in self.history.columns]
        return [column.removesuffix("_loss") for column in columns if column.endswith("_loss")]

    def _last_of(self, split: str) -> Row:
        name = {"train": "Training", "val": "Validation"}.get(split, split)
        loss, accuracy = self.last[f"{split}_loss"], self.last[f"{split}_accuracy"]
        return f"{name}, last epoch", f"loss {loss:.3f}, accuracy {accuracy:.1%}"

    def _below(self) -> str:
        if not self.best_epoch:
            return ""
        resumed_inside = 0 < self.resumed_from < len(self.history)
        return picture(self.history, self.resumed_from if resumed_inside else None)


class TrainingStopped(Interrupted):
    """Ctrl-C stopped a training, at the end of a batch: nothing is lost.

    It ends the cell, as Ctrl-C should. The next call of `fit` with the same network (or a new one, and a checkpoint)
    and the same arguments goes on from there.

    Attributes:
        result: the `Result` of the epochs that were finished.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.result)
