"""Logits and histories -> numbers: metrics of a whole set, per class, and what the learning curves say.

Rules that hold throughout:

- Counts are summed over the whole set; nothing is an average of per-batch averages.
- ``logits`` are real numbers of shape (N, K), ``labels`` integers 0 … K-1 of shape (N,); both as torch tensors (any
  device) or NumPy arrays. K is the width of the logits, whatever classes the labels hold. Others are an
  `WorkbookError`, and so are no images at all and logits that are not finite.
- The prediction is the class with the largest logit; where several are equal, the first of them.
- A class without images has no accuracy, precision, F1 or ROC curve: it gets NaN, and macro averages are taken over
  the classes that have images.
- A class with images that is never predicted has no precision either, which asks how often a prediction of it is right:
  NaN. Its F1 is 0. In the macro average of precision it counts as 0, as scikit-learn has it unless told otherwise: else
  a network would gain by never naming the classes that it doesn't know.
- A ``history`` is indexed by epoch, as `helpers.train.fit` gives it; epochs without a finite value don't count. A
  column that it lacks, or that has no finite value, is a `WorkbookError`.

scikit-learn is imported where it is used: it takes over a second, which a notebook should not wait for at its start.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from helpers import WorkbookError
from helpers.phrases import say

Array = torch.Tensor | NDArray[Any]

PATIENCE = 5
"""Epochs in a row without an improvement after which a training counts as having stopped, unless another is given."""
TOLERANCE = 0.1
"""A gap between curves counts from this share of the validation value on."""
MAX_GAP, MAX_RISE, MOST_IN_MEDIAN = 0.05, 0.1, 5
"""Of `overfitting`: accuracy as a share, share of the lowest validation loss, epochs."""
UNDEFINED_PRECISION = "Precision is undefined, “–”, for a class that is never predicted"
"""Part of a sentence for captions of tables that show precision by class."""


# Metrics of logits


def accuracy(logits: Array, labels: Array) -> float:
    """The share (0 to 1) of images whose largest logit is that of the true class."""
    return float(hits(logits, labels).mean())


def hits(logits: Array, labels: Array) -> NDArray[np.float64]:
    """For each image 1 if its largest logit is that of the true class, else 0: float64 (N,), for `compare`."""
    scores, truth = _checked(logits, labels)
    return (scores.argmax(axis=1) == truth).astype(float)


def losses(logits: Array, labels: Array) -> NDArray[np.float64]:
    """For each image its cross entropy in nats: float64 (N,), for `compare` and `overfitting`."""
    scores, truth = _checked(logits, labels)
    # scikit-learn's log_loss takes probabilities, which certain mistakes round to 0.
    return -_log_softmax(scores)[np.arange(len(truth)), truth]


def summary(logits: Array, labels: Array) -> dict[str, float]:
    """``accuracy``, macro ``precision``, ``recall`` and ``f1`` as shares (0 to 1), and ``loss``, a mean in nats."""
    from sklearn import metrics

    scores, truth = _checked(logits, labels)
    options = {"labels": np.unique(truth), "average": "macro", "zero_division": 0}
    *macro, _ = metrics.precision_recall_fscore_support(truth, scores.argmax(axis=1), **options)
    means = dict(zip(("precision", "recall", "f1"), map(float, macro), strict=True))
    return {"accuracy": accuracy(scores, truth), **means, "loss": float(losses(scores, truth).mean())}


def per_class(logits: Array, labels: Array, class_names: Sequence[Any]) -> pd.DataFrame:
    """The metrics of each class, of which ``class_names`` has K names: one row a class, the index named "class".

    Returns:
        ``support`` (images of the class), ``predicted`` (how many images the network calls so), ``accuracy`` (the share
        of its images that are recognised, that is, recall), ``precision`` and ``f1``; NaN where they are undefined.
    """
    from sklearn import metrics

    scores, truth = _checked(logits, labels, class_names)
    guesses, classes = scores.argmax(axis=1), np.arange(scores.shape[1])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, guesses, labels=classes, zero_division=0
    )
    predicted = np.bincount(guesses, minlength=len(classes))
    frame = pd.DataFrame({"support": support, "predicted": predicted, "accuracy": recall, "precision": precision})
    frame["f1"] = f1
    frame.loc[predicted == 0, "precision"] = np.nan
    frame.loc[support == 0, ["accuracy", "precision", "f1"]] = np.nan
    return frame.set_axis(pd.Index(list(class_names), name="class"))


def confusion(logits: Array, labels: Array) -> NDArray[np.int64]:
    """How often each class is taken for each class: int64 (K, K), rows are true classes, columns predicted ones."""
    from sklearn import metrics

    scores, truth = _checked(logits, labels)
    matrix = metrics.confusion_matrix(truth, scores.argmax(axis=1), labels=np.arange(scores.shape[1]))
    return matrix.astype(np.int64)


def worst_confusions(matrix: NDArray[Any], class_names: Sequence[str], top: int = 10) -> pd.DataFrame:
    """The most frequent mistakes, ``top`` at most, of a confusion matrix (K, K) as `confusion` gives it, and K names.

    Returns:
        ``true``, ``predicted``, ``count`` and ``share`` (of the true class's images, 0 to 1), the largest count first;
        equal counts are ordered by share, then by class.
    """
    counts = np.asarray(matrix)
    rows, columns = np.nonzero(counts * ~np.eye(len(class_names), dtype=bool))
    frame = pd.DataFrame({"true": [class_names[i] for i in rows], "predicted": [class_names[i] for i in columns]})
    frame["count"] = counts[rows, columns]
    frame["share"] = counts[rows, columns] / counts.sum(axis=1)[rows]
    # A stable sort keeps the order of the classes among equals.
    return frame.sort_values(["count", "share"], ascending=False, kind="stable", ignore_index=True).head(top)


def roc(logits: Array, labels: Array, class_names: Sequence[Any]) -> pd.DataFrame:
    """ROC curves of the softmax probabilities, each class against the rest: one row a class, the index named "class".

    The interval of an AUC has Hanley and McNeil's variance ("The meaning and use of the area under a receiver
    operating characteristic curve", Radiology 143, 1982) at its own ends, as method 3 of Newcombe (Statistics in
    Medicine 25, 2006) has it: it ends at 1, and it is no single point where all images are in the right order.

    Returns:
        ``auc``, the area under the curve: how often an image of the class has a higher probability of it than one of
        another; ``low`` and ``high``, the ends of its 95 % interval over other images; ``fpr`` and ``tpr``, the false
        and the true positive rates over all thresholds, float64 (T,) each. NaN, and empty rates, for a class without
        images, or with no images of other classes.
    """
    from sklearn import metrics

    scores, truth = _checked(logits, labels, class_names)
    rows = []
    for k, probabilities in enumerate(np.exp(_log_softmax(scores)).T):
        positive, row = truth == k, (math.nan, math.nan, math.nan, np.empty(0), np.empty(0))
        if positive.any() and not positive.all():
            fpr, tpr, _ = metrics.roc_curve(positive, probabilities)
            area = float(metrics.auc(fpr, tpr))
            row = area, *_auc_interval(area, positive.sum(), (~positive).sum()), fpr, tpr
        rows.append(row)
    return pd.DataFrame(rows, pd.Index(list(class_names), name="class"), ["auc", "low", "high", "fpr", "tpr"])


def _auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Ends of all areas, in steps of 0.0001, that are within 1.96 of their own standard errors."""
    area = np.union1d(np.linspace(0, 1, 10001), auc)
    of_positives, of_negatives = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    variance = area * (1 - area) + (positives - 1) * of_positives + (negatives - 1) * of_negatives
    error = np.sqrt(np.maximum(variance, 0) / (positives * negatives))
    inside = area[np.abs(area - auc) <= 1.96 * error]
    return inside.min(), inside.max()


def _checked(
    logits: Array, labels: Array, class_names: Sequence[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits as float64 (N, K) and labels as int64 (N,), or an error that says what is wrong with them."""
    scores, truth = _array(logits), _array(labels)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise WorkbookError(f"logits have shape (N, K), one column a class; these have {scores.shape}")
    if truth.shape != scores.shape[:1]:
        raise WorkbookError(f"labels have shape (N,) = ({len(scores)},) for these logits, not {truth.shape}")
    if not len(truth):
        raise WorkbookError("no images to evaluate: is the split empty?")
    if truth.dtype.kind not in "iu":
        raise WorkbookError(f"labels are integers (class numbers), not {truth.dtype}")
    scores = scores.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise WorkbookError(f"logits of {len(bad)} images are NaN or infinite (first: {bad[0]}): training diverged?")
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise WorkbookError(f"labels lie between {truth.min()} and {truth.max()}, outside 0 … {scores.shape[1] - 1}")
    if class_names is not None and len(class_names) != scores.shape[1]:
        raise WorkbookError(f"{len(class_names)} class names for {scores.shape[1]} classes: give one name a class")
    return scores, truth.astype(np.int64)


def _array(values: Array) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16; float64 holds every half, bfloat16 and float32 exactly.
        return (values.double() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return torch.log_softmax(torch.from_numpy(scores), dim=1).numpy()


# What a history says


def best_epoch(history: pd.DataFrame, column: str = "val_accuracy") -> int:
    """The epoch with the largest accuracy or the smallest loss (by the column's last word); the first of equals."""
    values = _curve(history, column)
    if not column.endswith(("accuracy", "loss")):
        raise WorkbookError(f'{column!r}: only columns ending in "loss" or "accuracy" get better or worse')
    return int(values.idxmax() if column.endswith("accuracy") else values.idxmin())


def stopping_epoch(history: pd.DataFrame, *, patience: int = PATIENCE) -> int | None:
    """The epoch after which the validation loss stopped falling: the one whose weights early stopping would go back to.

    It is the last improvement before the first ``patience`` epochs (1 or more) in a row without one; None if the run
    ended before. A later, better epoch, which early stopping would not have lived to see, does not count; `best_epoch`
    finds it.
    """
    if patience < 1:
        raise WorkbookError(f"patience counts epochs and is at least 1, not {patience}")
    best, best_at, waited = np.inf, None, 0
    for epoch, value in _curve(history, "val_loss").items():
        best, best_at, waited = (value, int(epoch), 0) if value < best else (best, best_at, waited + 1)
        if waited == patience:
            return best_at
    return None


class CurveReading(NamedTuple):
    """What one pair of learning curves says; see `read_curves`.

    Attributes:
        best_epoch: the epoch with the best validation value.
        stop_epoch: as `stopping_epoch` finds it, or None.
        gap_at_best, gap_at_end: validation less training loss at ``best_epoch`` and at the last epoch.
        gap_onset: from this epoch to the end the gap is open, or None.
        gap_level_from: from this epoch to the end the gap keeps its final size, or None if that holds for fewer epochs
            than the patience.
        verdict: "still improving", "undecided", "overfits" or "level".
    """

    best_epoch: int
    stop_epoch: int | None
    gap_at_best: float
    gap_at_end: float
    gap_onset: int | None
    gap_level_from: int | None
    verdict: str


def read_curves(history: pd.DataFrame, *, patience: int = PATIENCE) -> CurveReading:
    """Reads the curves of training and validation loss by fixed rules; ``patience`` is that of `stopping_epoch`.

    A difference is notable when it is more than a tenth of the validation value: of the same epoch for
    ``gap_onset``, of the last epoch for ``gap_level_from``, of the stopping epoch for the verdict. The verdict is

    - "still improving" if `stopping_epoch` finds no epoch at which validation stopped improving, and the last value is
      the best;
    - "undecided" if it finds none, and the last value is the only one or not the best (too few epochs passed since);
    - "overfits" if from that epoch to the last one the gap grew notably;
    - "level" otherwise.

    `helpers.train.fit` measures training while it goes on. Of a network with dropout or augmentation that is another
    quantity, whose gap may have the wrong sign: give `fit` the training images as an extra split as well, and put its
    loss, measured as validation is, in the place of train_loss.
    """
    gaps = (_curve(history, "val_loss") - _curve(history, "train_loss")).dropna()
    both = history.loc[gaps.index]
    validation, last = _curve(both, "val_loss"), int(gaps.index[-1])
    best, stop = best_epoch(both, "val_loss"), stopping_epoch(both, patience=patience)
    level_from = _holds_from((gaps - gaps[last]).abs() <= TOLERANCE * validation[last])
    if stop is None:
        verdict = "still improving" if best == last and len(gaps) > 1 else "undecided"
    else:
        verdict = "overfits" if gaps[last] - gaps[stop] > TOLERANCE * validation[stop] else "level"
    return CurveReading(
        best_epoch=best,
        stop_epoch=stop,
        gap_at_best=float(gaps[best]),
        gap_at_end=float(gaps[last]),
        gap_onset=_holds_from(gaps > TOLERANCE * validation),
        gap_level_from=level_from if level_from is not None and last - level_from >= patience else None,
        verdict=verdict,
    )


class Overfitting(NamedTuple):
    """What the end of a training says about overfitting; see `overfitting`.

    Attributes:
        train_accuracy, val_accuracy: shares (0 to 1) after the last epoch.
        gap: training less validation accuracy, as a share: 0.05 are five points.
        rise: by what share of the lowest the validation loss, a median of some epochs, lies over it at the end: 0 or
            more, infinite where the lowest is 0, NaN where only one epoch has a finite loss. Going on did harm, or
            mistakes grew more confident, or the training is unsteady.
        gap_error, rise_error: standard errors over the validation images, of their accuracy, and of their loss as a
            share of the lowest. That of the accuracy is `accuracy_error`.
    """

    train_accuracy: float
    val_accuracy: float
    gap: float
    rise: float
    gap_error: float
    rise_error: float

    @property
    def gap_over(self) -> "Comparison":
        """How far the gap is over `MAX_GAP`, give or take two of its standard errors."""
        return _give_or_take(self.gap, 2 * self.gap_error).over(MAX_GAP)

    @property
    def rise_over(self) -> "Comparison":
        """The same of the rise and `MAX_RISE`."""
        return _give_or_take(self.rise, 2 * self.rise_error).over(MAX_RISE)


def accuracy_error(accuracy: float, num_images: int) -> float:
    """The standard error of an accuracy, a share (0 to 1), over so many images; not 0 where all are recognised.

    It is as if two images more were recognised and two more were not: Agresti and Coull, "Approximate is better than
    'exact' for interval estimation of binomial proportions", The American Statistician 52 (1998).
    """
    centre = (accuracy * num_images + 2) / (num_images + 4)
    return math.sqrt(centre * (1 - centre) / (num_images + 4))


def overfitting(history: pd.DataFrame, *, train_accuracy: float, val_losses: Array) -> Overfitting:
    """Signs of overfitting: how much was learned by heart (gap), and how far validation got worse at the end (rise).

    They count where `Overfitting.gap_over` and `Overfitting.rise_over` are "ahead".

    The loss of a single epoch jumps up and down, so a median over five epochs stands for it, in a run of fewer than 15
    over a third of them, rounded down, so that its start and end don't go into the same medians. The price is that in a
    run of fewer than nine epochs one bad last epoch can pass for a rise.

    Args:
        history: with val_accuracy and val_loss.
        train_accuracy: share (0 to 1), measured on the training images after the last epoch as validation is:
            nothing dropped and nothing augmented. The history's own, which `helpers.train.fit` measures while training,
            makes the gap of a network with dropout or augmentation look smaller than it is.
        val_losses: of each validation image after the last epoch, (images,), as `losses` gives them for the logits of
            `helpers.train.predict`. Of a few hundred images the loss has an error of ten per cent.
    """
    losses, each = _curve(history, "val_loss"), _array(val_losses)
    medians = losses.rolling(max(1, min(MOST_IN_MEDIAN, len(losses) // 3))).median().dropna()
    lowest, last = float(medians.min()), float(medians.iloc[-1])
    rise = 0.0 if last == lowest else (last - lowest) / lowest if lowest > 0 else math.inf
    loss_error = float(each.std(ddof=1)) / math.sqrt(len(each))
    validated = float(_curve(history, "val_accuracy").iloc[-1])
    return Overfitting(
        train_accuracy=train_accuracy,
        val_accuracy=validated,
        gap=train_accuracy - validated,
        rise=rise if len(medians) > 1 else math.nan,
        gap_error=accuracy_error(validated, len(each)),
        rise_error=loss_error / lowest if lowest > 0 else math.inf,
    )


def _curve(history: pd.DataFrame, column: str) -> pd.Series:
    """The finite values of a column."""
    if column not in history.columns:
        raise WorkbookError(f"the history has no column {column!r}; it has {', '.join(map(str, history.columns))}")
    values = history[column].astype(float)
    finite = values[np.isfinite(values)]
    if finite.empty:
        raise WorkbookError(f"the history's column {column!r} holds no finite value: was there an epoch at all?")
    return finite


def _holds_from(condition: pd.Series) -> int | None:
    """The first epoch from which ``condition`` holds without a break until the end, or None."""
    unbroken = condition[::-1].cummin()[::-1]
    return int(unbroken.idxmax()) if unbroken.any() else None


# Over several runs, and in words


class MeanStd(NamedTuple):
    """Mean and sample standard deviation (divided by n - 1; None for n = 1) of ``n`` runs."""

    mean: float
    std: float | None
    n: int

    def text(self, form: str) -> str:
        """Both numbers in this format, such as "{:.1%}": "70.0% ± 20.0%", or "70.0%" of a single run."""
        return form.format(self.mean) + ("" if self.std is None else f" ± {form.format(self.std)}")


def mean_std(values: Iterable[float]) -> MeanStd:
    """Mean and spread of one number over several runs (seeds); a `WorkbookError` for none."""
    runs = np.array([float(value) for value in values])
    if not len(runs):
        raise WorkbookError("no values to average: at least one run is needed")
    return MeanStd(float(runs.mean()), float(runs.std(ddof=1)) if len(runs) > 1 else None, len(runs))


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds.

    Attributes:
        difference: the mean of ``a`` less that of ``b``, in their unit.
        low, high: ends of its interval.
        sampled: what the interval takes for a sample: "runs and images", "images" (of one run) or "runs".
        comparisons: how many such intervals hold at once.
    """

    difference: float
    low: float
    high: float
    sampled: str
    comparisons: int = 1

    def __neg__(self) -> "Comparison":
        """The same the other way round: ``b`` less ``a``."""
        return replace(self, difference=-self.difference, low=-self.high, high=-self.low)

    def over(self, limit: float) -> "Comparison":
        """How far the difference is over a limit."""
        return replace(self, difference=self.difference - limit, low=self.low - limit, high=self.high - limit)

    @property
    def verdict(self) -> str:
        """ "ahead" if all of the interval is above 0 (of losses that is worse), "behind" if it is below, or neither."""
        return "ahead" if self.low > 0 else "behind" if self.high < 0 else "too close to tell"

    @property
    def half(self) -> float:
        """Half of its interval's width, which stands behind a "±"."""
        return self.high - self.difference

    @property
    def short(self) -> str:
        """A difference of shares, in points, and half of its interval: "+3.2 ± 4.2"."""
        return say("{points:+.1f} ± {half:.1f}", points=100 * self.difference, half=100 * self.half)

    @property
    def points(self) -> str:
        """A difference of shares in words, such as "+3.2 points (95 % interval over runs and images: −1.0 to +7.4)"."""
        difference, low, high = (100 * value for value in (self.difference, self.low, self.high))
        found = {"difference": difference, "low": low, "high": high, "sampled": self.sampled, "count": self.comparisons}
        if self.comparisons == 1:
            return say("{difference:+.1f} points (95 % interval over {sampled}: {low:+.1f} to {high:+.1f})", **found)
        return say(
            "{difference:+.1f} points (95 % interval over {sampled}, for {count} comparisons at once: {low:+.1f} to "
            "{high:+.1f})",
            **found,
        )


def _give_or_take(value: float, error: float) -> Comparison:
    return Comparison(value, value - error, value + error, "images")


def compare(a: Array, b: Array, *, paired: bool = True, comparisons: int = 1) -> Comparison:
    """Whether one method does better than another, given that other runs and other images would give other numbers.

    The differences a - b, paired by run and image, have an error of their mean over the runs and one over the images:
    s / sqrt(n), where s is the standard deviation of the n means of runs, or of images. The half-width of the interval
    is the root of (t_runs error_runs)² + (t_images error_images)², with Student's t of n - 1 degrees of freedom each.

    So runs and images are crossed random effects (Searle, Casella, McCulloch, "Variance components", 1992): better is
    what would be with other seeds and other images. Each error keeps its own t, as in Cochran's test for unequal
    variances (Cochran and Cox, "Experimental designs", 1957), and the noise of single answers counts in both. For
    normal noise a true difference of 0 is then outside in at most 5 % of cases: the chance is 5 % where only one of the
    two varies, and convex in the shares of both. Degrees of freedom estimated after Satterthwaite (1946) are wrong in
    over a tenth of cases with two runs. The price: two runs (t = 12.7) find only large differences; five (t = 2.8) pay.

    With one run only the images are sampled: the verdict is on these two trainings, and says nothing about whether
    another seed would turn it round.

    Args:
        a, b: numbers of two methods, (runs, images) each, in the same order: `hits` or `losses`; (1, images) for one
            training, (runs, 1) where each run has one number, such as the accuracy on images of its own. Where one has
            more runs than the other, the means over their runs are compared, image by image, as two trainings are.
        paired: whether both are of the same images. If not, only the runs pair, and the variances of both sets of
            images add up: ``a`` differences on training images, say, and ``b`` those on others, as of a gap.
        comparisons: how many are made of which one is to be picked or all are to hold: the interval is so much wider
            (Bonferroni) that the chance of any wrong verdict among them is at most 5 %.

    Raises:
        WorkbookError: other shapes, less than two runs and two images, or numbers that are not finite.
    """
    from scipy.special import stdtrit

    def half_width(means: NDArray[np.float64]) -> float:
        n = len(means)
        return float(stdtrit(n - 1, 1 - 0.025 / comparisons) * means.std(ddof=1) / math.sqrt(n))

    a, b = (_array(numbers).astype(float) for numbers in (a, b))
    if a.ndim == b.ndim == 2 and len(a) != len(b):
        a, b = (numbers.mean(axis=0, keepdims=True) for numbers in (a, b))
    fits = a.ndim == b.ndim == 2 and (a.shape == b.shape if paired else len(a) == len(b))
    if not fits or min(max(a.shape), max(b.shape)) < 2:
        raise WorkbookError(f"compare needs (runs, images) twice, two of either at least, not {a.shape} and {b.shape}")
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        raise WorkbookError("compare needs numbers: some are NaN or infinite")
    parts = [a - b] if paired else [a, -b]
    halves = {}
    if len(a) > 1:
        halves["runs"] = half_width(sum(part.mean(axis=1) for part in parts))
    if of_images := [half_width(part.mean(axis=0)) for part in parts if part.shape[1] > 1]:
        halves["images"] = math.hypot(*of_images)
    # Two runs of coarse numbers often differ by exactly as much: that is no certainty.
    half = math.inf if [*halves] == ["runs"] and halves["runs"] < 1e-9 else math.hypot(*halves.values())
    difference = float(sum(part.mean() for part in parts))
    return Comparison(difference, difference - half, difference + half, " and ".join(halves), comparisons)


def verdict(found: Iterable[Comparison] | bool | None, wanted: str = "ahead") -> str:
    """What a run says of a claim, in the words of all notebooks.

    Args:
        found: comparisons that are all to be ``wanted`` if the claim is right; whether it is, where that takes no
            interval to see; None if this run cannot tell.

    Returns:
        "holds here", "does not hold here" (also if one comparison of several says the contrary), "too close to tell"
        or "not testable here".
    """
    if found is None:
        return "not testable here"
    if isinstance(found, bool | np.bool_):
        return "holds here" if found else "does not hold here"
    others = {each.verdict for each in found} - {wanted}
    if not others:
        return "holds here"
    return "too close to tell" if others == {"too close to tell"} else "does not hold here"


def image_counts(printed: Sequence[str], most: int = 2000) -> list[int]:
    """The numbers of images, from 2 to below ``most``, of which all these shares are possible.

    Args:
        printed: shares as a report prints them, such as "91.67%" or "0.9167".
    """

    def fits(text: str, n: int) -> bool:
        digits, whole = text.rstrip("%"), 100 if text.endswith("%") else 1
        nearest = whole * round(n * float(digits) / whole) / n
        return f"{nearest:.{len(digits.partition('.')[2])}f}" == digits

    return [n for n in range(2, most) if all(fits(text, n) for text in printed)]


def over_runs(runs: int, *, each: bool = True) -> str:
    """Such as "one run each" ("one run" without ``each``), or "means of 3 runs ± standard deviation"."""
    if runs == 1:
        return say("one run each" if each else "one run")
    return say("means of {runs} runs ± standard deviation", runs=runs)
