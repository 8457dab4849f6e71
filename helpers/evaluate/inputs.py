"""What the metrics take: logits and labels, checked, and the error that says what is wrong with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from helpers import WorkbookError

Array = torch.Tensor | NDArray[Any]


class EvaluationError(WorkbookError):
    """Logits, labels or a history that cannot be evaluated as they were given."""


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the softmax probabilities, (N, K)."""
    return torch.log_softmax(torch.from_numpy(scores), dim=1).numpy()


def checked(
    logits: Array, labels: Array, num_classes: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits as float64 (N, K) and labels as int64 (N,), or an error that says what is wrong with them."""
    scores, truth = _array(logits), _array(labels)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise EvaluationError(f"logits have shape (N, K), one column a class; these have {scores.shape}")
    if truth.shape != scores.shape[:1]:
        raise EvaluationError(f"labels have shape (N,) = ({len(scores)},) for these logits, not {truth.shape}")
    if not len(truth):
        raise EvaluationError("no images to evaluate: is the split empty?")
    if truth.dtype.kind not in "iu":
        raise EvaluationError(f"labels are integers (class numbers), not {truth.dtype}")
    if scores.dtype.kind not in "fiu":
        raise EvaluationError(f"logits are real numbers, not {scores.dtype}")
    scores = scores.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise EvaluationError(f"logits of {len(bad)} images are NaN or infinite (first: {bad[0]}): training diverged?")
    size = scores.shape[1] if num_classes is None else num_classes
    if size < scores.shape[1]:
        raise EvaluationError(f"num_classes = {size} is less than the {scores.shape[1]} columns of the logits")
    if truth.min() < 0 or truth.max() >= size:
        raise EvaluationError(f"labels lie between {truth.min()} and {truth.max()}, outside 0 … {size - 1}")
    return scores, truth.astype(np.int64)


def _array(values: Array) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        plain = values.detach().cpu()
        # NumPy has no bfloat16; float64 holds every half, bfloat16 and float32 exactly.
        return (plain.double() if plain.is_floating_point() else plain).numpy()
    return np.asarray(values)


def check_names(class_names: Sequence[Any], num_classes: int) -> None:
    """Raises `EvaluationError` unless there is one name a class."""
    if len(class_names) != num_classes:
        raise EvaluationError(f"{len(class_names)} class names for {num_classes} classes: give one name a class")
