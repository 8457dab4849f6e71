"""Metrics against scikit-learn and hand-worked numbers, and what histories say."""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from helpers import WorkbookError, evaluate

# The worked example: 3 classes and an absent fourth; predictions 0, 1, 1, 2, 0 for labels 0, 0, 1, 2, 2.
LABELS = np.array([0, 0, 1, 2, 2])
LOGITS = np.eye(4)[[0, 1, 1, 2, 0]]


def random_set(seed, n, present, k, ties):
    """Logits (N, K) and labels (N,), of the first classes only; with ``ties`` the largest logit is often shared."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, present, n)
    logits = rng.integers(-2, 3, (n, k)).astype(float) if ties else 20 * rng.normal(size=(n, k))
    return logits, labels


SETS = [(LOGITS, LABELS), (np.array([[0.3]]), np.array([0])), (np.array([[1000.0, 0.0]]), np.array([1]))]
SETS += [random_set(seed, 15, 4, 6, ties=seed % 2 == 0) for seed in range(4)] + [random_set(9, 200, 7, 7, ties=False)]
any_set = pytest.mark.parametrize(("logits", "labels"), SETS)


@any_set
@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's, of a single class
def test_every_number_agrees_with_scikit_learn_whatever_classes_are_there(logits, labels):
    classes, predictions = np.arange(logits.shape[1]), logits.argmax(axis=1)
    frame = evaluate.per_class(logits, labels, classes)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=np.nan
    )
    absent = support == 0
    assert frame.loc[absent, ["accuracy", "precision", "f1"]].isna().all(axis=None)
    np.testing.assert_array_equal(frame["support"], support)
    np.testing.assert_allclose(frame.loc[~absent, "precision"], precision[~absent])
    np.testing.assert_allclose(frame.loc[~absent, "accuracy"], recall[~absent])
    np.testing.assert_allclose(frame.loc[~absent, "f1"], f1[~absent])
    matrix = evaluate.confusion(logits, labels)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(labels, predictions, labels=classes))
    np.testing.assert_array_equal(frame["predicted"], matrix.sum(axis=0))
    macro = {"average": "macro", "labels": np.unique(labels), "zero_division": 0}
    got = evaluate.summary(logits, labels)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(labels, predictions))
    assert got["recall"] == pytest.approx(sk.recall_score(labels, predictions, **macro))
    assert got["precision"] == pytest.approx(sk.precision_score(labels, predictions, **macro))
    assert got["f1"] == pytest.approx(sk.f1_score(labels, predictions, **macro))
    # The cross-entropy, of certain mistakes too.
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    assert got["loss"] == pytest.approx(expected)
    tensor = torch.from_numpy(logits).requires_grad_()
    assert evaluate.summary(tensor, torch.from_numpy(labels)) == got


@any_set
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(logits, labels):
    logits = logits[np.arange(len(labels)) // 2]  # pairs of images with the same logits: ties
    probabilities = torch.log_softmax(torch.from_numpy(logits), dim=1).exp().numpy()
    curves = evaluate.roc(logits, labels, range(logits.shape[1]))
    for k, curve in curves.iterrows():
        inside, outside = probabilities[labels == k, k], probabilities[labels != k, k]
        if not len(inside) or not len(outside):
            assert np.isnan(curve.auc) and len(curve.fpr) == 0
            continue
        order = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(inside, outside)]
        assert curve.auc == pytest.approx(np.mean(order))
        for rates in (curve.fpr, curve.tpr):
            assert (rates[0], rates[-1]) == (0, 1) and (np.diff(rates) >= 0).all()


def test_intervals_of_areas_hold_the_true_area_and_are_no_points():
    rng, labels, held = np.random.default_rng(0), np.arange(120) < 20, []
    for _ in range(300):
        scores = rng.normal(size=120) + labels
        curve = evaluate.roc(np.c_[np.zeros(120), scores], labels.astype(int), "ab").loc["b"]
        assert 0 <= curve.low < curve.auc < curve.high <= 1
        held.append(curve.low <= stats.norm.cdf(2**-0.5) <= curve.high)  # of two normal scores, one apart
    assert 0.93 <= np.mean(held) <= 0.99
    perfect = evaluate.roc(np.eye(2)[[0, 0, 0, 1, 1]], np.array([0, 0, 0, 1, 1]), "ab").loc["a"]
    assert perfect.low < 0.9 and perfect.auc == perfect.high == 1


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "no images"),
        (np.zeros(3), np.zeros(3, int), r"shape \(N, K\)"),
        (np.zeros((3, 2)), np.zeros(2, int), r"not \(2,\)"),
        (np.zeros((2, 2)), np.array([0, 2]), "outside 0 … 1"),
        (np.zeros((2, 2)), np.zeros(2), "integers"),
        (np.array([[0, 1], [0, np.nan]]), np.array([0, 1]), "first: 1"),
    ],
)
def test_bad_input_is_a_named_error(logits, labels, message):
    for metric in (evaluate.accuracy, evaluate.summary, evaluate.confusion, partial(evaluate.roc, class_names="abc")):
        with pytest.raises(WorkbookError, match=message):
            metric(logits, labels)


def test_worst_confusions_are_ordered_and_hold_no_correct_ones():
    matrix = np.array([[9, 3, 0], [3, 1, 0], [5, 0, 90]])
    frame = evaluate.worst_confusions(matrix, "abc")
    assert frame[["true", "predicted", "count"]].to_numpy().tolist() == [["c", "a", 5], ["b", "a", 3], ["a", "b", 3]]
    np.testing.assert_allclose(frame["share"], [5 / 95, 3 / 4, 3 / 12])
    assert len(evaluate.worst_confusions(matrix, "abc", top=1)) == 1
    assert evaluate.worst_confusions(np.eye(3), "abc").empty
    with pytest.raises(ValueError, match="shapes"):
        evaluate.worst_confusions(np.eye(4), "abc")
    for metric in (evaluate.per_class, evaluate.roc):
        with pytest.raises(WorkbookError, match="3 class names for 4 classes"):
            metric(LOGITS, LABELS, "abc")


def history(**columns):
    length = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.RangeIndex(1, length + 1, name="epoch"))


def test_best_epoch_knows_which_way_is_better():
    frame = history(val_accuracy=[0.1, 0.5, 0.5, np.nan], val_loss=[2, 3, 1.5, np.inf], seconds=[1, 1, 1, 1])
    assert evaluate.best_epoch(frame) == 2
    assert evaluate.best_epoch(frame, "val_loss") == 3
    for column, message in (("val_f1", "no column 'val_f1'; it has val_accuracy"), ("seconds", "ending in")):
        with pytest.raises(WorkbookError, match=message):
            evaluate.best_epoch(frame, column)
    with pytest.raises(WorkbookError, match="no finite value"):
        evaluate.best_epoch(history(val_accuracy=[np.nan]))


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([3, 2, 1, 1.2, 1.1], 2, 3),
        ([3, 2, 1, 1.2, 1.1], 3, None),
        ([3, 2, 2.5, 2.5, 1], 2, 2),  # the later, better epoch 5 would not have been reached
        ([3], 1, None),
    ],
)
def test_stopping_epoch(losses, patience, expected):
    frame = history(val_loss=losses)
    assert evaluate.stopping_epoch(frame, patience=patience) == expected
    with pytest.raises(WorkbookError, match="at least 1"):
        evaluate.stopping_epoch(frame, patience=0)


def test_reading_of_an_overfitting_run():
    epochs = np.arange(1, 61)
    validation = np.where(epochs <= 20, 3 - 0.1 * epochs, 1 + 0.02 * (epochs - 20))
    training = 3 - 0.1 * np.minimum(epochs, 29)
    reading = evaluate.read_curves(history(train_loss=training, val_loss=validation))
    assert (reading.best_epoch, reading.stop_epoch) == (20, 20)
    assert reading.gap_at_best == pytest.approx(0)
    assert reading.gap_at_end == pytest.approx(1.8 - 0.1)
    # The gap is 0.12 x epochs since 20: first over 10 % of the validation loss (1.02) at epoch 21.
    assert reading.gap_onset == 21
    # From 29 on it grows by 0.02 an epoch to 1.7, so within 0.18 of the end from epoch 51 on.
    assert reading.gap_level_from == 51
    assert reading.verdict == "overfits"


def test_reading_of_a_level_run_and_of_one_that_still_improves():
    level = history(train_loss=[3, 2, 1] + [0.98] * 8, val_loss=[3, 2, 1] + [1.0] * 8)
    for epochs, expected in ((11, ("level", 3)), (5, ("undecided", None)), (3, ("still improving", None))):
        reading = evaluate.read_curves(level.iloc[:epochs])
        assert (reading.verdict, reading.stop_epoch) == expected
    late = history(train_loss=[1.0] * 9, val_loss=[3, 2, 2, 2, 2, 2, 2, 2, 1.5])
    reading = evaluate.read_curves(late, patience=3)  # a later improvement is told from where early stopping ends
    assert (reading.best_epoch, reading.stop_epoch) == (9, 2)
    assert reading.gap_at_end == 0.5, "positive where training does better"


def test_mean_and_spread_over_seeds():
    values = [0.5, 0.7, 0.9]
    assert evaluate.mean_std(values) == pytest.approx((0.7, 0.2, 3))
    assert evaluate.mean_std(values).text("{:.1%}") == "70.0% ± 20.0%"
    assert evaluate.mean_std(iter([np.float32(0.5)])) == (0.5, None, 1)
    assert evaluate.mean_std([0.5]).text("{:.1%}") == "50.0%"
    with pytest.raises(WorkbookError, match="no values"):
        evaluate.mean_std([])


FALLS_AND_RISES = [3.0, 2.5, 2.0, 1.8, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.2, 1.3, 1.3, 1.3, 1.3]


@pytest.mark.parametrize(
    ("val_loss", "lowest", "rise"),
    [
        (FALLS_AND_RISES, 1, 0.3),  # medians of five epochs: 1.3 of the last five
        ([*[1.0] * 9, 5.0], 1, 0),  # a single bad or lucky epoch is no rise
        ([*[1.0] * 4, 0.1, *[1.0] * 5], 1, 0),
        ([1.0], 1, np.nan),  # of short runs medians of a third of their epochs
        ([1.0, 3.0], 1, 2),
        ([3.0, 1.0], 1, 0),
        ([1.0, 2.0, 9.0], 1, 8),
        ([np.nan, 2.0, np.inf], 2, np.nan),
    ],
)
def test_the_rise_is_from_the_lowest_median_to_the_last_one(val_loss, lowest, rise):
    frame = history(val_loss=val_loss, val_accuracy=[0.75] * len(val_loss))
    losses = np.tile([0.3, 2.3], 50)  # an error of 0.1
    judged = evaluate.overfitting(frame, train_accuracy=0.9, val_losses=losses)
    assert judged.rise == pytest.approx(rise, nan_ok=True)
    assert (judged.train_accuracy, judged.val_accuracy, judged.gap) == (0.9, 0.75, pytest.approx(0.15))
    # 75 of 100 are right; of 77 of 104 the error is sqrt(77 * 27 / 104**3).
    assert (judged.gap_error, judged.rise_error * lowest) == pytest.approx((0.0430, 0.1), rel=0.01)
    # Ten points over the five that count, and two errors are nine; a rise counts from 10 % on, two errors added.
    assert judged.gap_over.verdict == "ahead"
    assert judged.rise_over.verdict == ("ahead" if rise > 0.1 + 0.2 / lowest else "too close to tell")


@pytest.mark.parametrize(
    ("recognised", "error", "verdict"),
    [
        (30, 0.0404, "too close to tell"),  # sqrt(32 * 2 / 34**3): two errors are 8.1 points, more than five
        (25, 0.0693, "too close to tell"),  # sqrt(27 * 7 / 34**3): 11.7 points over the five, and two errors are 13.9
        (24, 0.0727, "ahead"),  # sqrt(26 * 8 / 34**3): 15 points, and 14.5
    ],
)
def test_the_gap_of_few_images_is_uncertain_even_if_all_are_recognised(recognised, error, verdict):
    frame = history(val_loss=[1.0], val_accuracy=[recognised / 30])
    judged = evaluate.overfitting(frame, train_accuracy=1.0, val_losses=np.linspace(0, 1, 30))
    assert judged.gap == pytest.approx(1 - recognised / 30)
    assert judged.gap_error == pytest.approx(error, abs=5e-5)
    assert judged.gap_over.verdict == verdict
