"""A verdict on overfitting: how much better a network does on what it learned from, and what that cost elsewhere."""

import math
from dataclasses import dataclass

import pandas as pd

from helpers.evaluate.histories import curve


@dataclass(frozen=True)
class Overfitting:
    """What the end of a training says about overfitting; see `overfitting`.

    Attributes:
        train_accuracy: share (0 to 1) after the last epoch.
        val_accuracy: likewise.
        lowest_loss: the lowest validation loss, a median of ``window`` epochs.
        lowest_epoch: the last of those epochs; of equal medians the last one's.
        last_loss: the validation loss at the end, likewise a median.
        last_epoch: the last epoch of the run.
        rise: by what share of the lowest the validation loss has risen since: 0 or more, infinite where the lowest is
            0. NaN where only one epoch has a finite loss: nothing can be said then.
        window: epochs that went into each median.
        verdict: "overfits", "gap only", "rise only" or "no overfitting".
    """

    train_accuracy: float
    val_accuracy: float
    lowest_loss: float
    lowest_epoch: int
    last_loss: float
    last_epoch: int
    rise: float
    window: int
    verdict: str

    @property
    def gap(self) -> float:
        """Training less validation accuracy, as a share: 0.05 are five points."""
        return self.train_accuracy - self.val_accuracy

    def _repr_markdown_(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The reading in sentences, made from its numbers."""
        start = (
            f"After {self.last_epoch} {'epoch' if self.last_epoch == 1 else 'epochs'} accuracy is "
            f"{self.train_accuracy:.1%} on the training and {self.val_accuracy:.1%} on the validation images, a gap of "
            f"{100 * self.gap:.1f} points."
        )
        medians = f" (medians of {self.window} epochs)" if self.window > 1 else ""
        if math.isnan(self.rise):
            loss = f"The validation loss, {self.last_loss:.3f}, is that of one epoch: nothing can be said about a rise."
        elif self.rise:
            loss = (
                f"The validation loss was lowest, {self.lowest_loss:.3f}, at epoch {self.lowest_epoch} and is "
                f"{self.last_loss:.3f} at the end{medians}: a rise of {self.rise:.0%}."
            )
        else:
            loss = f"The validation loss is lowest at the end, {self.last_loss:.3f}{medians}."
        return f"{start} {loss} Verdict: {self.verdict}."


def overfitting(
    history: pd.DataFrame,
    *,
    train_accuracy: float | None = None,
    max_gap: float = 0.05,
    max_rise: float = 0.1,
    window: int = 5,
) -> Overfitting:
    """Judges a training by two signs, by fixed rules.

    The gap is the training accuracy less the validation accuracy after the last epoch; it says how much was learned by
    heart. The rise is by what share the validation loss at the end lies over its lowest; it says that going on did
    harm. The loss of a single epoch jumps up and down, so a median over ``window`` epochs stands for it. A run of fewer
    than three windows takes a smaller one, a third of its epochs, rounded down: were the window nearly as long as the
    run, its start and end would go into the same medians, and no rise could be seen. The price is that in a run of
    fewer than nine epochs one bad last epoch can pass for a rise. The verdict is

    - "overfits" if the gap is over ``max_gap`` and the rise over ``max_rise``;
    - "gap only" if only the gap is: training images were learned by heart, and validation did not suffer yet;
    - "rise only" if only the rise is: mistakes grew more confident, say, or the training is unsteady;
    - "no overfitting" if neither is. That is no praise: a network that has learned nothing gets it too.

    Args:
        history: indexed by epoch, with train_accuracy, val_accuracy and val_loss.
        train_accuracy: share (0 to 1), measured on the training images after the last epoch as validation is:
            nothing dropped and nothing augmented. The history's own, which `helpers.train.fit` measures while training,
            makes the gap of a network with dropout or augmentation look smaller than it is.
        max_gap: share (0 to 1).
        max_rise: share of the lowest validation loss.
        window: epochs of a median, at most a third of those with a finite loss, at least 1.

    Raises:
        EvaluationError: for a history that lacks a column, or a column without a finite value.
    """
    losses = curve(history, "val_loss")
    window = max(1, min(window, len(losses) // 3))
    medians = losses.rolling(window).median().dropna()
    lowest, last = float(medians.min()), float(medians.iloc[-1])
    rise = _rise(lowest, last) if len(medians) > 1 else math.nan
    trained = float(curve(history, "train_accuracy").iloc[-1]) if train_accuracy is None else train_accuracy
    validated = float(curve(history, "val_accuracy").iloc[-1])
    signs = (trained - validated > max_gap, rise > max_rise)
    verdicts = {
        (True, True): "overfits",
        (True, False): "gap only",
        (False, True): "rise only",
        (False, False): "no overfitting",
    }
    return Overfitting(
        train_accuracy=trained,
        val_accuracy=validated,
        lowest_loss=lowest,
        lowest_epoch=int(medians[::-1].idxmin()),  # the last of equals: that is where a rise began
        last_loss=last,
        last_epoch=int(history.index[-1]),
        rise=rise,
        window=window,
        verdict=verdicts[signs],
    )


def _rise(lowest: float, last: float) -> float:
    if last == lowest:
        return 0.0
    return (last - lowest) / lowest if lowest > 0 else math.inf
