import numpy as np
import pandas as pd
import pytest

from helpers import evaluate
from helpers.evaluate import EvaluationError


def history(val_loss, *, train=0.9, val=0.9):
    """A run whose accuracies stay as they are."""
    epochs = pd.RangeIndex(1, len(val_loss) + 1, name="epoch")
    return pd.DataFrame({"train_accuracy": train, "val_accuracy": val, "val_loss": val_loss}, index=epochs)


FALLS = [2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6]
FALLS_AND_RISES = [3.0, 2.5, 2.0, 1.8, 1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.2, 1.3, 1.3, 1.3, 1.3]


@pytest.mark.parametrize(
    ("val_loss", "train", "val", "verdict"),
    [
        (FALLS_AND_RISES, 0.99, 0.75, "overfits"),
        (FALLS, 0.99, 0.75, "gap only"),
        (FALLS_AND_RISES, 0.80, 0.78, "rise only"),
        (FALLS, 0.80, 0.78, "no overfitting"),
        (FALLS, 0.70, 0.78, "no overfitting"),
    ],
)
def test_the_two_signs_make_the_verdict(val_loss, train, val, verdict):
    judged = evaluate.overfitting(history(val_loss, train=train, val=val))
    assert judged.verdict == verdict
    assert judged.gap == pytest.approx(train - val)
    assert judged.text.endswith(f"Verdict: {verdict}.")


def test_the_rise_is_from_the_lowest_median_to_the_last_one():
    judged = evaluate.overfitting(history(FALLS_AND_RISES))
    # Medians of five epochs: 1.0 of those that end at epoch 8 to 12, 1.3 of the last five.
    assert (judged.lowest_loss, judged.lowest_epoch) == (1.0, 12)
    assert (judged.last_loss, judged.last_epoch) == (1.3, 15)
    assert judged.rise == pytest.approx(0.3)
    assert "lowest, 1.000, at epoch 12 and is 1.300 at the end (medians of 5 epochs): a rise of 30%" in judged.text


def test_a_single_bad_or_lucky_epoch_is_no_rise():
    steady = [1.0] * 10
    for epoch, value in ((9, 5.0), (4, 0.1)):
        jumpy = list(steady)
        jumpy[epoch] = value
        assert evaluate.overfitting(history(jumpy)).rise == 0
    assert evaluate.overfitting(history([*steady, 5.0]), window=1).rise == pytest.approx(4)


def test_the_limits_can_be_moved():
    run = history(FALLS_AND_RISES, train=0.99, val=0.75)
    assert evaluate.overfitting(run, max_gap=0.3).verdict == "rise only"
    assert evaluate.overfitting(run, max_rise=0.4).verdict == "gap only"


def test_training_accuracy_measured_afterwards_goes_before_the_history():
    run = history(FALLS, train=0.8, val=0.8)
    assert evaluate.overfitting(run).verdict == "no overfitting"
    judged = evaluate.overfitting(run, train_accuracy=0.95)
    assert judged.verdict == "gap only"
    assert judged.gap == pytest.approx(0.15)
    assert "95.0% on the training and 80.0% on the validation images, a gap of 15.0 points" in judged.text


def test_short_runs_take_medians_of_a_third_of_their_epochs():
    windows = [evaluate.overfitting(history([1.0] * epochs)).window for epochs in (1, 2, 3, 5, 6, 9, 14, 15, 30)]
    assert windows == [1, 1, 1, 1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize("epochs", range(2, 16))
def test_a_loss_that_only_rises_is_seen_in_short_runs(epochs):
    judged = evaluate.overfitting(history([1.5**epoch for epoch in range(epochs)]))
    assert judged.verdict == "rise only"
    assert judged.lowest_epoch < judged.last_epoch
    assert "a rise of" in judged.text


@pytest.mark.parametrize(
    ("val_loss", "sentence"),
    [
        ([1.0], "The validation loss, 1.000, is that of one epoch: nothing can be said about a rise."),
        ([1.0, 3.0], "The validation loss was lowest, 1.000, at epoch 1 and is 3.000 at the end: a rise of 200%."),
        ([3.0, 1.0], "The validation loss is lowest at the end, 1.000."),
        ([1.0, 2.0, 9.0], "The validation loss was lowest, 1.000, at epoch 1 and is 9.000 at the end: a rise of 800%."),
        ([9.0, 1.0, 2.0], "The validation loss was lowest, 1.000, at epoch 2 and is 2.000 at the end: a rise of 100%."),
    ],
)
def test_what_is_said_of_a_few_epochs_is_true(val_loss, sentence):
    assert sentence in evaluate.overfitting(history(val_loss)).text


def test_one_epoch_says_nothing_about_a_rise():
    judged = evaluate.overfitting(history([np.nan, 1.0, np.inf], train=0.9, val=0.7))
    assert np.isnan(judged.rise)
    assert judged.verdict == "gap only"


def test_epochs_without_a_finite_loss_are_left_out():
    judged = evaluate.overfitting(history([np.nan, 1.0, 1.0, np.inf, 1.0]), window=1)
    assert (judged.lowest_epoch, judged.last_epoch, judged.rise) == (5, 5, 0)


def test_a_loss_of_exactly_zero_can_rise():
    assert evaluate.overfitting(history([0.0, 1.0]), window=1).rise == float("inf")


@pytest.mark.parametrize("column", ["train_accuracy", "val_accuracy", "val_loss"])
def test_a_missing_curve_is_named(column):
    with pytest.raises(EvaluationError, match=column):
        evaluate.overfitting(history(FALLS).drop(columns=column))


def test_mean_and_spread_as_text():
    assert evaluate.mean_std([0.5, 0.7, 0.9]).text("{:.1%}") == "70.0% ± 20.0%"
    assert evaluate.mean_std([0.5]).text("{:.1%}") == "50.0%"
