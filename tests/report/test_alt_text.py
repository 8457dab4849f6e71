"""What a figure shows in words: read from the drawing, so compared with what the test handed to matplotlib."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from helpers import evaluate, plots
from helpers.report.alt_text import LONGEST, alt_text

NAMES = ("circle", "square", "گربه")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def said(drawn):
    return alt_text(np.ravel(drawn)[0].figure)


def history(**columns):
    return pd.DataFrame(columns, index=pd.RangeIndex(1, 4, name="epoch"))


def test_learning_curves_tell_first_last_and_best_of_each_line():
    frame = history(train_loss=[4.0234, 2, 1.15], val_loss=[3.5, 1.25, 1.5], val_accuracy=[0.1, 0.555, 0.5])
    assert said(plots.learning_curves(frame, best_epoch=2, stop_epoch=3)) == (
        "Lines of loss over epoch: training from 4.02 to 1.15, validation from 3.5 to 1.5 (lowest 1.25 at 2). "
        "Line of accuracy over epoch: validation from 10.0% to 50.0% (highest 55.5% at 2). Marked: best 2, stop 3."
    )


def test_the_best_is_the_lowest_loss_also_of_a_line_that_rises():
    rising = history(val_loss=[2.0, 1.0, 3.0], val_accuracy=[0.5, 0.75, 0.25])
    assert "(lowest 1 at 2)" in said(plots.compare_curves({"a": rising}, "val_loss"))
    assert "(highest 75.0% at 2)" in said(plots.compare_curves({"a": rising}, "val_accuracy"))


def test_lines_of_one_epoch_and_lines_that_are_alike():
    one = history(val_loss=[3, 2, 1.0]).loc[:1]
    assert said(plots.compare_curves({"a": one}, "val_loss")) == "Line of validation loss over epoch: a: 3 at 1."
    flat = {name: history(val_accuracy=[0.5, 0.5, 0.5]) for name in "ab"}
    assert said(plots.compare_curves(flat, "val_accuracy")) == (
        "Lines of validation accuracy over epoch: a from 50.0% to 50.0%, b from 50.0% to 50.0%."
    )


def test_names_with_numbers_are_kept_from_the_values():
    runs = {"Adam, rate 0.1": history(val_loss=[3, 2, 1.0]), "SGD": history(val_loss=[-1.5, 0, np.nan])}
    assert said(plots.compare_curves(runs, "val_loss")) == (
        "Lines of validation loss over epoch: Adam, rate 0.1 from 3 to 1; SGD from −1.5 to 0."
    )


def test_curves_over_settings_and_bars_have_their_values_by_name():
    means = pd.DataFrame({"on A": [0.5, 0.25], "on B": [1.0, np.nan]}, index=pd.Index(["x", "y"], name="method"))
    assert said(plots.setting_curves(means, xlabel="what trains")) == (
        "Lines of validation accuracy by what trains: on A: x 50.0%, y 25.0%; on B: x 100.0%."
    )
    assert said(plots.bars_with_error(means)) == ("Bars of accuracy by method: on A: x 50.0%, y 25.0%; on B: x 100.0%.")
    amounts = pd.DataFrame({"n": [1234.5, -0.5]}, index=["x", "y"])
    assert said(plots.bars_with_error(amounts, percent=False, ylabel="images")) == "Bars of images: n: x 1,234, y −0.5."


def test_of_many_values_the_lowest_and_the_highest_are_named():
    changes = {f"layer {i}": change for i, change in enumerate([0, 0, 0, 0.5, 0.25, 1e-5, 2.0])}
    assert said(plots.layer_change(changes)) == (
        "Points of relative change (logarithmic scale) by layer: lowest 0% at 3 of 7, highest 200.0% at layer 6."
    )
    frame = pd.DataFrame({"f1": np.linspace(0, 1, 11)}, index=pd.Index([f"c{i}" for i in range(11)], name="class"))
    assert said(plots.per_class_bars(frame, ["f1"])) == (
        "Bars of share by class: F1: lowest 0% at c0, highest 100.0% at c10."
    )
    rows = [0.0] * 8 + [0.5, 0.25]
    assert said(plots.head_row_change(rows, border=8)) == (
        "Bars of relative change by row of the head (class): old rows: 0 at all 8; new rows: 8 0.5, 9 0.25."
    )


def test_a_confusion_matrix_tells_its_diagonal():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    assert said(plots.confusion(matrix, NAMES)) == (
        "Heat map of true class by predicted class, 9 cells from 0% to 80%, on the diagonal from 75% to 80%, 77.5% on "
        "average."
    )


def test_roc_curves_tell_their_areas():
    rng = np.random.default_rng(0)
    curves = evaluate.roc(rng.normal(size=(60, 3)), rng.integers(0, 3, 60))
    text = said(plots.roc(curves, NAMES, worst=1))
    assert text.startswith("Lines of true positive rate over false positive rate: AUC ")
    assert f"AUC {curves.micro.auc:.3f} micro average" in text and "from" not in text


def test_pictures_tell_what_they_are_called_and_what_was_mistaken():
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    assert said(plots.class_gallery(images, [0, 1, 2], NAMES)) == "Pictures: circle, square, گربه."
    assert said(plots.sample_grid(images, [0, 1, 0], NAMES)) == "Pictures: circle, square."
    guessed = {"predictions": [0, 2, 0], "confidences": [0.5] * 3}
    assert said(plots.sample_grid(images, [0, 1, 0], NAMES, **guessed)) == (
        "2 of 3 pictures predicted rightly; square taken for گربه."
    )
    assert said(plots.filters(torch.ones(4, 3, 5, 5))) == "4 filters of 3 × 5 × 5 weights."
    assert said(plots.feature_maps({"conv1": np.ones((4, 3, 3))})) == "Pictures: conv1 (4 × 3 × 3)."
    assert (
        said(plots.number_grids({"input": np.eye(3), "sum": [[1, 2]]}))
        == "Numbers in grids: input (3 × 3), sum (1 × 2)."
    )


def test_panels_have_their_titles_and_weights_as_they_are():
    before = torch.tensor([[1.0, -2.0]])
    assert said(plots.weights(before, before + 0.25, name="fc")) == (
        "fc before: Heat map of row (class) by input, 2 cells from −2 to 1. "
        "fc after: Heat map, 2 cells from −1.75 to 1.25. fc difference: Heat map, 2 cells all 0.25."
    )


def test_other_drawings_are_told_as_far_as_they_are_read(ax):
    assert said(ax) == ""
    ax.scatter([1, 2, 3], [5, 4, 6])
    assert said(ax) == "Points: 3 from 4 to 6."
    ax.fill_between([1, 2], [0, 1], [2, 7], label="b")
    ax.vlines([1], 0, 3, label="v")
    assert said(ax) == "Points: 3 from 4 to 6. Band b from 0 to 7, range v from 0 to 3."
    only_text = plt.subplots()[1]
    only_text.text(0, 0, "two\nlines")
    assert said(only_text) == "Two lines."


def test_long_texts_end_between_two_values(ax):
    for i in range(40):
        ax.plot([1, i + 0.5], label=f"a line with quite a long name {i}")
    text = said(ax)
    assert 200 < len(text) <= LONGEST and text.endswith(" …")
    assert text.removesuffix(" …").rpartition(", ")[2].startswith("a line with quite a long name")
    alone = plt.subplots()[1]
    alone.plot([1, 2], label="x" * 1000)
    assert len(said(alone)) <= LONGEST


def test_a_figure_of_very_many_numbers_is_not_looked_through(ax):
    ax.plot(np.arange(100_000))
    assert said(ax) == ""
