"""What a training gives back, and what it shows where somebody looks on: its curves while it lasts, then its result."""

import base64
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
from torch import Tensor

from helpers import Interrupted
from helpers.record import MIME
from helpers.reprs import Area, in_front_end, shell, table


@dataclass(repr=False)
class Result:
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
            a sequence inside the network counts on its own. The time of that is no part of the epochs' seconds.
        label: what its progress bar called it.
    """

    history: pd.DataFrame
    best_epoch: int
    best_state: dict[str, Tensor]
    resumed_from: int
    cached_layers: int
    label: str = "training"

    @property
    def last(self) -> pd.Series:
        """The last finished epoch's row of the history."""
        return self.history.iloc[-1]

    def __repr__(self) -> str:
        return f"<Result: {'; '.join(f'{label.lower()}: {text}' for label, text in self._rows())}>"

    def _rows(self) -> list[tuple[str, str]]:
        epochs = str(len(self.history))
        if self.resumed_from:
            epochs += f", {self.resumed_from} of them from a checkpoint"
        rows = [("Epochs finished", epochs)]
        if self.best_epoch:
            best = self.history.loc[self.best_epoch]
            rows.append(("Best epoch", f"{self.best_epoch}, validation accuracy {best['val_accuracy']:.1%}"))
            names = {"train": "Training", "val": "Validation"}
            for split in [column.removesuffix("_loss") for column in self.history if column.endswith("_loss")]:
                loss, accuracy = self.last[f"{split}_loss"], self.last[f"{split}_accuracy"]
                rows.append((f"{names.get(split, split)}, last epoch", f"loss {loss:.3f}, accuracy {accuracy:.1%}"))
            seconds = self.history["seconds"]
            rows.append(("Training time", f"{seconds.sum():.1f} s, {seconds.mean():.2f} s an epoch"))
        if self.cached_layers:
            rows.append(("Frozen layers", f"{self.cached_layers} run once over the data"))
        return rows

    def _repr_html_(self) -> str:
        html = table(self._rows())
        if self.best_epoch:
            resumed_inside = 0 < self.resumed_from < len(self.history)
            html += picture(self.history, self.resumed_from if resumed_inside else None)
        return html


class TrainingStopped(Interrupted):
    """Ctrl-C stopped a training, at the end of a batch: nothing is lost.

    It ends the cell, as Ctrl-C should. The next call of `fit` with the same network (or a new one, and a checkpoint)
    and the same arguments goes on from there.

    Attributes:
        result: the `Result` of the epochs that were finished.
    """

    def __init__(self, message: str, result: Result | None = None) -> None:  # pickle sets the result afterwards
        super().__init__(message)
        self.result = result


_last: tuple[int, Any, str] | None = None  # the result shown last: its cell's number, its place and its HTML


@contextmanager
def live_curves() -> Iterator[Callable[[list[dict[str, float]]], None]]:
    """Gives a function that draws the curves of finished epochs below a cell, in place of those before; none stay.

    Under papermill and nbconvert, in scripts and terminals it shows nothing; the variable WORKBOOK_LIVE decides
    otherwise: 0 for never, 1 for in every notebook's kernel.
    """
    area, shown = Area(), -math.inf

    def show(history: list[dict[str, float]]) -> None:
        nonlocal shown
        if history and time.perf_counter() > shown + 5 and in_front_end():  # seconds: it takes a few tenths of one
            with suppress(Exception):
                area.show({"text/html": picture(pd.DataFrame(history).set_index("epoch"))})
            shown = time.perf_counter()

    try:
        yield show
    finally:
        area.show({})


def show_result(result: Result) -> None:
    """Shows a result of one epoch or more below the cell, if somebody looks on; folded once another one's follows.

    No report shows it: a notebook records what its reader is to see.
    """
    global _last
    if not (result.best_epoch and in_front_end()):
        return

    def content(html: str, is_open: str) -> dict[str, Any]:
        return {MIME: {"kind": "training"}, "text/html": f"<details{is_open}>{html}</details>", "text/plain": ""}

    with suppress(Exception):
        cell = getattr(shell(), "execution_count", None)
        if _last and _last[0] == cell:
            _last[1].show(content(_last[2], ""))
        best = dict(result._rows())["Best epoch"]
        summary = escape(f"{result.label}: best epoch {best}")
        _last = cell, Area(), f"<summary>{summary}</summary>{result._repr_html_()}"
        _last[1].show(content(_last[2], " open"))


def picture(history: pd.DataFrame, resume_epoch: int | None = None) -> str:
    """Loss and accuracy per epoch, as an image in HTML."""
    import matplotlib
    from matplotlib.figure import Figure

    from helpers import plots  # not above: whoever only trains does not wait for matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context(plots.STYLE):
        # Without pyplot, which would show the figure a second time and make it the notebook's current one.
        figure = Figure(figsize=(6.1, 2.6), layout="constrained")
        axes = figure.subplots(1, 2)
        plots.learning_curves(history, resume_epoch=resume_epoch, axes=axes)
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    source = f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<img alt="Loss and accuracy per epoch" src="{source}">'
