"""ROC curves, each class against the rest, and their averages."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helpers.evaluate.inputs import Array, checked, log_softmax
from helpers.reprs import Row, TableRepr


@dataclass(frozen=True, repr=False)
class RocCurve:
    """True against false positive rate over all thresholds, float64 (T,) each; empty, with NaN, where undefined."""

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    auc: float

    def __repr__(self) -> str:
        return f"<RocCurve: AUC {self.auc:.3f}, {len(self.fpr):,} points>"


@dataclass(frozen=True, repr=False)
class RocCurves(TableRepr):
    """ROC curves, each class against the rest.

    Attributes:
        classes: one curve a class; undefined for a class without images, or with no images of other classes.
        micro: one curve over all N x K decisions pooled; frequent classes weigh more.
        macro: the mean of the classes' true positive rates, interpolated at the same false positive rates; its AUC is
            the mean of the classes' AUCs. Undefined classes are left out.
    """

    classes: tuple[RocCurve, ...]
    micro: RocCurve
    macro: RocCurve

    @property
    def auc(self) -> NDArray[np.float64]:
        """The AUC of each class, (K,)."""
        return np.array([curve.auc for curve in self.classes])

    def worst(self, k: int = 3) -> list[int]:
        """The (at most) ``k`` classes with the smallest AUC, the smallest first; undefined ones are left out."""
        order = np.argsort(self.auc, kind="stable")  # NaN comes last
        return [int(i) for i in order[:k] if np.isfinite(self.auc[i])]

    def __repr__(self) -> str:
        aucs = f"AUC {self.macro.auc:.3f} (macro), {self.micro.auc:.3f} (micro)"
        return f"<RocCurves of {len(self.classes)} classes: {aucs}>"

    def _rows(self) -> list[Row]:
        worst = ", ".join(f"class {i} ({self.auc[i]:.3f})" for i in self.worst())
        return [
            ("AUC, mean over the classes (macro)", f"{self.macro.auc:.3f}"),
            ("AUC, all decisions pooled (micro)", f"{self.micro.auc:.3f}"),
            ("Smallest AUC", worst or "–"),
        ]


UNDEFINED_CURVE = RocCurve(np.empty(0), np.empty(0), float("nan"))


def roc(logits: Array, labels: Array) -> RocCurves:
    """ROC curves of the softmax probabilities, each class against the rest (see `RocCurves`).

    Args:
        logits: (N, K).
        labels: (N,).

    Raises:
        EvaluationError: as for `accuracy`.
    """
    scores, truth = checked(logits, labels)
    probabilities = np.exp(log_softmax(scores))
    positive = truth[:, None] == np.arange(scores.shape[1])
    curves = tuple(_roc_curve(positive[:, k], probabilities[:, k]) for k in range(scores.shape[1]))
    return RocCurves(curves, _roc_curve(positive.ravel(), probabilities.ravel()), _macro_average(curves))


def _roc_curve(positive: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> RocCurve:
    from sklearn import metrics  # over a second to import, which a notebook should not wait for at its start

    if positive.all() or not positive.any():
        return UNDEFINED_CURVE
    fpr, tpr, _ = metrics.roc_curve(positive, probabilities)
    return RocCurve(fpr, tpr, float(metrics.auc(fpr, tpr)))


def _macro_average(curves: Iterable[RocCurve]) -> RocCurve:
    defined = [curve for curve in curves if len(curve.fpr)]
    if not defined:
        return UNDEFINED_CURVE
    grid = np.linspace(0, 1, 1001)
    mean_tpr = np.mean([np.interp(grid, curve.fpr, curve.tpr) for curve in defined], axis=0)
    start = np.zeros(1)  # every curve starts at (0, 0), also one that rises at once
    auc = float(np.mean([curve.auc for curve in defined]))
    return RocCurve(np.concatenate([start, grid]), np.concatenate([start, mean_tpr]), auc)
