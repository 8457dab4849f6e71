"""What a training history says: the best epoch, when to stop, the gap between the curves, the spread over seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.evaluate.inputs import EvaluationError

PATIENCE = 5
"""Epochs in a row without an improvement after which a training counts as having stopped, unless another is given."""


def best_epoch(history: pd.DataFrame, column: str = "val_accuracy") -> int:
    """The epoch with the largest accuracy or the smallest loss; the first of equals.

    Args:
        history: indexed by epoch, as `helpers.train.fit` gives it.
        column: a column whose name ends in "loss" or "accuracy".

    Raises:
        EvaluationError: for a history without that column, or without a finite value in it.
    """
    values = curve(history, column) * _sign(column)
    return int(values.index[int(np.argmax(values.to_numpy()))])


def stopping_epoch(
    history: pd.DataFrame, column: str = "val_loss", *, patience: int = PATIENCE, min_delta: float = 0.0
) -> int | None:
    """The epoch after which ``column`` stopped improving: the one whose weights early stopping would go back to.

    It is the last improvement before the first ``patience`` epochs in a row without one, and early stopping would have
    ended the training ``patience`` epochs after it. A later, better epoch, which it would not have lived to see, does
    not count; `best_epoch` finds it.

    Args:
        history: indexed by epoch.
        column: a column whose name ends in "loss" or "accuracy".
        patience: epochs in a row, at least 1.
        min_delta: by how much a value must beat the best before it to be an improvement.

    Returns:
        The epoch, or None if the run ended before ``patience`` epochs went by without an improvement.

    Raises:
        EvaluationError: as for `best_epoch`, or for ``patience`` under 1.
    """
    if patience < 1:
        raise EvaluationError(f"patience counts epochs and is at least 1, not {patience}")
    best, best_at, waited = -np.inf, None, 0
    for epoch, value in (curve(history, column) * _sign(column)).items():
        if value > best + min_delta or best_at is None:
            best, best_at, waited = value, int(epoch), 0
        else:
            waited += 1
        if waited == patience:
            return best_at
    return None


def gap(history: pd.DataFrame, metric: str = "loss", *, split: str = "val") -> pd.Series:
    """By how much a network does better on what it trained on, per epoch.

    Args:
        history: indexed by epoch, with the columns train_<metric> and <split>_<metric>.
        metric: "loss" (split less train) or "accuracy" (train less split): positive where training does better.
        split: "val", or one of the extra splits that were evaluated.

    Raises:
        EvaluationError: as for `best_epoch`.
    """
    trained, held_out = curve(history, f"train_{metric}"), curve(history, f"{split}_{metric}")
    return (held_out - trained if _sign(metric) < 0 else trained - held_out).dropna().rename("gap")


@dataclass(frozen=True)
class CurveReading:
    """What one pair of learning curves says; see `read_curves`.

    Attributes:
        metric: "loss" or "accuracy".
        best_epoch: the epoch with the best validation value.
        stop_epoch: the epoch that early stopping would go back to (see `stopping_epoch`), or None.
        patience: how many epochs after it early stopping would have ended the training.
        last_epoch: the last epoch of the run.
        gap_at_best: gap between training and validation at ``best_epoch``, in the metric's unit.
        gap_at_end: the same at ``last_epoch``.
        gap_onset: from this epoch to the end the gap is open (over the tolerance), or None.
        gap_level_from: from this epoch to the end the gap keeps its final size within the tolerance, or None if that
            holds for fewer epochs than the patience.
        verdict: "still improving", "undecided", "overfits" or "level".
    """

    metric: str
    best_epoch: int
    stop_epoch: int | None
    patience: int
    last_epoch: int
    gap_at_best: float
    gap_at_end: float
    gap_onset: int | None
    gap_level_from: int | None
    verdict: str

    def _repr_markdown_(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The reading in sentences, made from its numbers."""
        extreme = "lowest" if self.metric == "loss" else "highest"
        since = self.last_epoch - self.best_epoch
        parts = [f"Validation {self.metric} is {extreme} at epoch {self.best_epoch} of {self.last_epoch}"]
        if self.stop_epoch is None:
            parts.append(
                f"({since} {'epoch' if since == 1 else 'epochs'} before the end: too few to say that it stopped)."
            )
        elif self.stop_epoch == self.best_epoch:
            parts.append("and does not improve after that: training could stop there.")
        else:
            parts.append(
                f"though early stopping with a patience of {self.patience} would have ended the training after epoch "
                f"{self.stop_epoch + self.patience} and gone back to epoch {self.stop_epoch}."
            )
        parts.append(
            f"The gap to training is {self._amount(self.gap_at_best)} at the best epoch and "
            f"{self._amount(self.gap_at_end)} at the last one{self._course_of_gap}."
        )
        return " ".join(parts) + f" Verdict: {self.verdict}."

    @property
    def _course_of_gap(self) -> str:
        if self.gap_onset is None:
            return "; it is small at the end"
        if self.gap_onset == self.last_epoch:
            return ""  # one epoch is no course
        level = self.gap_level_from
        then = "has not levelled off" if level is None else f"is level from epoch {level} on"
        return f"; it stays open from epoch {self.gap_onset} on and {then}"

    def _amount(self, value: float) -> str:
        return f"{value:.3f}" if self.metric == "loss" else f"{100 * value:.1f} points"


def read_curves(
    history: pd.DataFrame,
    metric: str = "loss",
    *,
    patience: int = PATIENCE,
    min_delta: float = 0.0,
    tolerance: float = 0.1,
) -> CurveReading:
    """Reads training and validation curves by fixed rules.

    A difference is notable when it is more than ``tolerance`` times the validation value: of the same epoch for
    ``gap_onset``, of the last epoch for ``gap_level_from``, of the stopping epoch for the verdict. The verdict is

    - "still improving" if `stopping_epoch` finds no epoch at which validation stopped improving, and the last value is
      the best;
    - "undecided" if it finds none, and the last value is the only one or not the best (too few epochs passed since);
    - "overfits" if from that epoch to the last one the gap grew notably;
    - "level" otherwise.

    Args:
        history: indexed by epoch, with train_<metric> and val_<metric>.
        metric: "loss" or "accuracy".
        patience: as for `stopping_epoch`.
        min_delta: as for `stopping_epoch`.
        tolerance: share (0 to 1) of the validation value.

    Raises:
        EvaluationError: as for `best_epoch`.
    """
    column = f"val_{metric}"
    gaps = gap(history, metric)
    validation = curve(history, column).reindex(gaps.index)
    best, last = best_epoch(history.loc[gaps.index], column), int(gaps.index[-1])
    stop = stopping_epoch(history.loc[gaps.index], column, patience=patience, min_delta=min_delta)
    level_from = _holds_from((gaps - gaps[last]).abs() <= tolerance * validation[last])
    if stop is None:
        verdict = "still improving" if best == last and len(gaps) > 1 else "undecided"
    else:
        verdict = "overfits" if gaps[last] - gaps[stop] > tolerance * validation[stop] else "level"
    return CurveReading(
        metric=metric,
        best_epoch=best,
        stop_epoch=stop,
        patience=patience,
        last_epoch=last,
        gap_at_best=float(gaps[best]),
        gap_at_end=float(gaps[last]),
        gap_onset=_holds_from(gaps > tolerance * validation),
        gap_level_from=level_from if level_from is not None and last - level_from >= patience else None,
        verdict=verdict,
    )


class MeanStd(NamedTuple):
    """Mean and sample standard deviation (divided by n - 1; None for n = 1) of ``n`` runs."""

    mean: float
    std: float | None
    n: int

    def text(self, form: str) -> str:
        """Both numbers in this format, such as "{:.1%}": "70.0% ± 20.0%", or "70.0%" of a single run."""
        return form.format(self.mean) + ("" if self.std is None else f" ± {form.format(self.std)}")


def mean_std(values: Iterable[float]) -> MeanStd:
    """Mean and spread of one number over several runs (seeds).

    Raises:
        EvaluationError: for no values.
    """
    runs = np.array([float(value) for value in values])
    if not len(runs):
        raise EvaluationError("no values to average: at least one run is needed")
    return MeanStd(float(runs.mean()), float(runs.std(ddof=1)) if len(runs) > 1 else None, len(runs))


def judge(margin: float, noise: float | None) -> str:
    """Whether a claim holds that needs a positive margin.

    Args:
        margin: by how much it holds, negative where it doesn't.
        noise: the spread over several runs in the same unit; None for a single run.

    Returns:
        "yes", "no", "too close to tell" within the noise; for a single run "yes (one run)" or "no (one run)".
    """
    if noise is None:
        return f"{'yes' if margin > 0 else 'no'} (one run)"
    return "yes" if margin > noise else "no" if margin < -noise else "too close to tell"


def _holds_from(condition: pd.Series) -> int | None:
    """The first epoch from which ``condition`` holds without a break until the end, or None."""
    unbroken = condition[::-1].cummin()[::-1]
    return int(unbroken.index[unbroken][0]) if unbroken.any() else None


def _sign(column: str) -> int:
    """+1 where larger is better, -1 where smaller is."""
    if column.endswith("accuracy"):
        return 1
    if column.endswith("loss"):
        return -1
    raise EvaluationError(f'{column!r}: only columns ending in "loss" or "accuracy" are known to get better or worse')


def curve(history: pd.DataFrame, column: str) -> pd.Series:
    """The finite values of a column."""
    if column not in history.columns:
        raise EvaluationError(f"the history has no column {column!r}; it has {', '.join(map(str, history.columns))}")
    values = history[column].astype(float)
    finite = values[np.isfinite(values)]
    if finite.empty:
        raise EvaluationError(f"the history's column {column!r} holds no finite value: was there an epoch at all?")
    return finite
