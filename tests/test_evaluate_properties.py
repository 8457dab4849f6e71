"""The metrics on any logits and labels: against scikit-learn, and against their definitions."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from helpers import evaluate
from helpers.evaluate import EvaluationError

pytestmark = pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's, of a single class
# The same examples in every run.
few = settings(max_examples=30, deadline=None, derandomize=True)


@st.composite
def sets(draw, ties=True):
    """Logits (N, K) and labels (N,): from one class and one image on, often with classes that no image has.

    With ``ties``, logits are small whole numbers, so that the largest is often shared.
    """
    n, k = draw(st.integers(1, 15)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=k))
    logits = rng.integers(-2, 3, (n, k)).astype(float) if ties else rng.normal(size=(n, k)) * draw(st.floats(0.1, 50))
    return logits, rng.choice(present, n)


@few
@given(sets())
def test_every_number_agrees_with_scikit_learn_whatever_classes_are_there(data):
    logits, labels = data
    classes, predictions = np.arange(logits.shape[1]), logits.argmax(axis=1)
    frame = evaluate.per_class(logits, labels, classes)
    shares = sk.precision_recall_fscore_support(labels, predictions, labels=classes, zero_division=np.nan)
    absent = frame["support"] == 0
    assert frame.loc[absent, ["accuracy", "precision", "f1"]].isna().all(axis=None)
    assert not frame.loc[~absent, ["accuracy", "f1"]].isna().any(axis=None)
    assert (frame["precision"].isna() == absent | (frame["predicted"] == 0)).all()
    np.testing.assert_allclose(frame.loc[~absent, "precision"], shares[0][~absent])
    np.testing.assert_array_equal(frame["support"], shares[3])
    np.testing.assert_allclose(frame.loc[~absent, "accuracy"], shares[1][~absent])
    matrix = evaluate.confusion(logits, labels)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(labels, predictions, labels=classes))
    np.testing.assert_array_equal(frame["predicted"], matrix.sum(axis=0))
    present = np.unique(labels)
    macro = {"average": "macro", "labels": present, "zero_division": 0}
    got = evaluate.summary(logits, labels)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(labels, predictions))
    assert got["recall"] == pytest.approx(sk.recall_score(labels, predictions, **macro))
    assert got["precision"] == pytest.approx(sk.precision_score(labels, predictions, **macro))
    assert got["f1"] == pytest.approx(sk.f1_score(labels, predictions, **macro))


@few
@given(sets())
def test_loss_agrees_with_scikit_learn_and_top_5_counts_the_classes_before_the_true_one(data):
    logits, labels = data
    assume(logits.shape[1] > 1)
    got = evaluate.summary(logits, labels)
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    assert got["loss"] == pytest.approx(sk.log_loss(labels, probabilities, labels=range(logits.shape[1])), rel=1e-6)
    true = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before = ((logits > true) | ((logits == true) & earlier)).sum(axis=1)
    assert got.get("top5_accuracy") == (pytest.approx(np.mean(before < 5)) if logits.shape[1] > 5 else None)


@few
@given(sets(ties=False))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(data):
    logits, labels = data
    logits = logits[np.arange(len(labels)) // 2]  # pairs of images with the same logits: ties
    probabilities = torch.log_softmax(torch.from_numpy(logits), dim=1).exp().numpy()
    curves = evaluate.roc(logits, labels)
    for k, curve in enumerate(curves.classes):
        inside, outside = probabilities[labels == k, k], probabilities[labels != k, k]
        if not len(inside) or not len(outside):
            assert np.isnan(curve.auc) and len(curve.fpr) == 0
            continue
        order = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(inside, outside)]
        assert curve.auc == pytest.approx(np.mean(order))
        for rates in (curve.fpr, curve.tpr):
            assert (rates[0], rates[-1]) == (0, 1) and (np.diff(rates) >= 0).all()
    defined = [k for k, area in enumerate(curves.auc) if np.isfinite(area)]
    assert curves.worst(99) == sorted(defined, key=lambda k: curves.auc[k])
    pooled = (np.eye(logits.shape[1])[labels] == 1).ravel()
    if 0 < pooled.sum() < len(pooled):
        assert curves.micro.auc == pytest.approx(sk.roc_auc_score(pooled, probabilities.ravel()))
    assert curves.macro.auc == pytest.approx(np.mean(curves.auc[defined]) if defined else np.nan, nan_ok=True)


@few
@given(sets(), st.dictionaries(st.text(max_size=3), st.lists(st.integers(0, 8), max_size=6), max_size=4))
@example((np.eye(3)[[0, 1, 1]], np.array([0, 1, 2])), {})
@example((np.eye(3)[[0, 1, 1]], np.array([0, 1, 2])), {"A": [0, 3]})
@example((np.eye(3)[[0, 1, 1]], np.array([0, 1, 2])), {"A": [0], "B": [-1]})
def test_group_accuracy_is_scikit_learn_s_on_each_group_alone(data, groups):
    logits, labels = data
    predictions = logits.argmax(axis=1)
    members = [member for group in groups.values() for member in group]
    if not groups or not set(members) <= set(range(logits.shape[1])):
        with pytest.raises(EvaluationError):
            evaluate.group_accuracy(logits, labels, groups)
        groups = {name: [member % logits.shape[1] for member in group] for name, group in groups.items()} or {"": [0]}
    frame = evaluate.group_accuracy(logits, labels, groups)
    assert list(frame.index) == list(groups)
    for (_, row), group in zip(frame.iterrows(), groups.values(), strict=True):
        inside = np.isin(labels, group)
        expected = sk.accuracy_score(labels[inside], predictions[inside]) if inside.any() else np.nan
        assert row["accuracy"] == pytest.approx(expected, nan_ok=True)
        assert (row["images"], row["predicted"]) == (inside.sum(), np.isin(predictions, group).sum())
