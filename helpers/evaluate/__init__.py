"""Logits and histories -> numbers: metrics of a whole set, per class, and what the learning curves say.

Rules that hold throughout:

- Counts are summed over the whole set; nothing is an average of per-batch averages.
- ``logits`` are real numbers of shape (N, K), ``labels`` integers 0 … K-1 of shape (N,); both as torch tensors (any
  device) or NumPy arrays. K is the width of the logits, whatever classes the labels hold.
- The prediction is the class with the largest logit; where several are equal, the first of them.
- A class without images has no accuracy, precision, F1 or ROC curve: it gets NaN, and macro averages are taken over
  the classes that have images.
- A class with images that is never predicted has no precision either, which asks how often a prediction of it is right:
  NaN. Its F1 is 0. In the macro average of precision it counts as 0, as scikit-learn has it unless told otherwise: else
  a network would gain by never naming the classes that it doesn't know.
"""

from helpers.evaluate.histories import (
    PATIENCE,
    CurveReading,
    MeanStd,
    best_epoch,
    gap,
    judge,
    mean_std,
    read_curves,
    stopping_epoch,
)
from helpers.evaluate.inputs import EvaluationError
from helpers.evaluate.metrics import accuracy, confusion, group_accuracy, per_class, summary, worst_confusions
from helpers.evaluate.roc_curves import RocCurve, RocCurves, roc
from helpers.evaluate.verdict import Overfitting, overfitting
from helpers.evaluate.words import UNDEFINED_PRECISION, marks, over_runs

__all__ = [
    "PATIENCE",
    "UNDEFINED_PRECISION",
    "CurveReading",
    "EvaluationError",
    "MeanStd",
    "Overfitting",
    "RocCurve",
    "RocCurves",
    "accuracy",
    "best_epoch",
    "confusion",
    "gap",
    "group_accuracy",
    "judge",
    "marks",
    "mean_std",
    "over_runs",
    "overfitting",
    "per_class",
    "read_curves",
    "roc",
    "stopping_epoch",
    "summary",
    "worst_confusions",
]
