"""Metrics of a whole set and of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.evaluate.inputs import Array, EvaluationError, check_names, checked, log_softmax


def accuracy(logits: Array, labels: Array) -> float:
    """The share (0 to 1) of images whose largest logit is that of the true class.

    Raises:
        EvaluationError: for no images, shapes that do not fit, labels out of range, or logits that are not finite.
    """
    scores, truth = checked(logits, labels)
    return float(np.mean(scores.argmax(axis=1) == truth))


def summary(logits: Array, labels: Array, *, class_names: Sequence[str] | None = None) -> dict[str, float]:
    """The numbers of one set.

    Args:
        logits: (N, K).
        labels: (N,).
        class_names: K names, only to check that the logits have as many columns as the data set has classes.

    Returns:
        ``accuracy``; ``precision``, ``recall`` and ``f1``, macro averages over the classes with images, the precision
        of one that is never predicted counted as 0; ``top5_accuracy`` for K > 5; all of them shares (0 to 1); and
        ``loss``, the mean cross entropy in nats.

    Raises:
        EvaluationError: as for `accuracy`, or for a wrong number of class names.
    """
    scores, truth = checked(logits, labels)
    frame = per_class(scores, truth, range(scores.shape[1]) if class_names is None else class_names)
    result = {"accuracy": float(np.mean(scores.argmax(axis=1) == truth))}
    present = frame[frame["support"] > 0]
    result["precision"] = float(present["precision"].fillna(0).mean())
    result |= {"recall": float(present["accuracy"].mean()), "f1": float(present["f1"].mean())}
    if scores.shape[1] > 5:
        first_five = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        result["top5_accuracy"] = float(np.mean((first_five == truth[:, None]).any(axis=1)))
    log_probabilities = log_softmax(scores)
    result["loss"] = float(-log_probabilities[np.arange(len(truth)), truth].mean())
    return result


def per_class(logits: Array, labels: Array, class_names: Sequence[Any]) -> pd.DataFrame:
    """The metrics of each class.

    Args:
        logits: (N, K).
        labels: (N,).
        class_names: K names; row i is class i.

    Returns:
        One row a class, the index named "class": ``support`` (images of the class), ``predicted`` (how many images the
        network calls so), ``accuracy`` (the share of its images that are recognised, that is, recall), ``precision``
        and ``f1``; NaN where they are undefined (see `helpers.evaluate`).

    Raises:
        EvaluationError: as for `accuracy`, or for a wrong number of class names.
    """
    from sklearn import metrics  # over a second to import, which a notebook should not wait for at its start

    scores, truth = checked(logits, labels)
    check_names(class_names, scores.shape[1])
    classes = np.arange(scores.shape[1])
    predictions = scores.argmax(axis=1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predictions, labels=classes, average=None, zero_division=0
    )
    predicted = np.bincount(predictions, minlength=len(classes))
    columns = {"support": support, "predicted": predicted}
    shares = {"accuracy": recall, "precision": np.where(predicted > 0, precision, np.nan), "f1": f1}
    columns |= {name: np.where(support > 0, values, np.nan) for name, values in shares.items()}
    return pd.DataFrame(columns, index=pd.Index(list(class_names), name="class"))


def confusion(logits: Array, labels: Array, num_classes: int | None = None) -> NDArray[np.int64]:
    """How often each class is taken for each class.

    Args:
        logits: (N, K).
        labels: (N,), 0 … num_classes-1.
        num_classes: rows and columns; K if not given. Larger than K where the labels know classes the network lacks.

    Returns:
        int64 counts (num_classes, num_classes): rows are true classes, columns predicted ones.

    Raises:
        EvaluationError: as for `accuracy`, or for ``num_classes`` under K.
    """
    scores, truth = checked(logits, labels, num_classes)
    size = scores.shape[1] if num_classes is None else num_classes
    pairs = truth * size + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=size * size).reshape(size, size).astype(np.int64)


def worst_confusions(matrix: NDArray[Any], class_names: Sequence[str], top: int = 10) -> pd.DataFrame:
    """The most frequent mistakes of a confusion matrix.

    Args:
        matrix: (K, K) counts, rows true, as `confusion` gives them.
        class_names: K names.
        top: how many rows at most; mistakes that never happened are left out.

    Returns:
        ``true``, ``predicted``, ``count`` and ``share`` (of the true class's images, 0 to 1), the largest count first;
        equal counts are ordered by share, then by class.

    Raises:
        EvaluationError: for a matrix that is not square or a wrong number of class names.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise EvaluationError(f"a confusion matrix has shape (K, K), not {counts.shape}")
    check_names(class_names, len(counts))
    mistakes = counts - np.diag(np.diag(counts))
    rows, columns = np.nonzero(mistakes)
    frame = pd.DataFrame(
        {
            "true": [class_names[row] for row in rows],
            "predicted": [class_names[column] for column in columns],
            "count": mistakes[rows, columns],
            "share": mistakes[rows, columns] / counts.sum(axis=1)[rows],
        }
    )
    # A stable sort keeps the order of the classes among equals.
    return frame.sort_values(["count", "share"], ascending=False, kind="stable", ignore_index=True).head(top)


def group_accuracy(logits: Array, labels: Array, groups: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Accuracy on groups of classes (A, B, all), each image scored over all K logits.

    Args:
        logits: (N, K).
        labels: (N,).
        groups: name -> its classes, 0 … K-1; groups may overlap.

    Returns:
        One row a group, the index named "group": ``images`` (whose true class is in the group), ``accuracy`` (NaN
        without images), ``predicted`` (images of the whole set whose predicted class is in the group).

    Raises:
        EvaluationError: as for `accuracy`, or for no groups or a group with classes out of range.
    """
    scores, truth = checked(logits, labels)
    if not groups:
        raise EvaluationError('no groups: give a mapping such as {"A": range(80), "B": range(80, 100)}')
    predictions = scores.argmax(axis=1)
    rows = []
    for name, members in groups.items():
        wrong = [member for member in members if not 0 <= member < scores.shape[1]]
        if wrong:
            raise EvaluationError(f"group {name!r} has class {wrong[0]}, but the logits have {scores.shape[1]} columns")
        inside = np.isin(truth, list(members))
        right = float(np.mean(predictions[inside] == truth[inside])) if inside.any() else float("nan")
        rows.append((int(inside.sum()), right, int(np.isin(predictions, list(members)).sum())))
    return pd.DataFrame(rows, columns=["images", "accuracy", "predicted"], index=pd.Index(list(groups), name="group"))
