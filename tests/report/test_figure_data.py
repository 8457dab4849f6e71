"""The numbers behind a figure are those that were drawn: compared with what the test itself handed to matplotlib."""

import csv
import io
import warnings

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from helpers import evaluate, plots
from helpers.report.csv_text import csv_text
from helpers.report.figure_data import MOST_ROWS, numbers_of

PERSIAN = ("تی‌شرت", "شلوار", "یک نام بسیار بلند که در شکل کوتاه می‌شود")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def rows(drawn, *columns, **wanted):
    """The rows of a figure's table, those with these values only, as tuples of some columns."""
    table = numbers_of(np.ravel(drawn)[0].figure)
    for column, value in wanted.items():
        table = table[table[column] == value]
    return list(table[list(columns)].itertuples(index=False, name=None))


def history(accuracies, start=1):
    index = pd.RangeIndex(start, start + len(accuracies), name="epoch")
    return pd.DataFrame({"train_accuracy": accuracies, "val_accuracy": np.array(accuracies) / 3}, index=index)


def test_lines_keep_every_digit_and_whole_epochs(ax):
    y = [1 / 3, 0.1, float("nan")]
    ax.plot([1, 2, 3], y, label="a")
    ax.plot([0.5, 1.5], [1, 2])
    assert rows(ax, "kind", "series", "x")[:3] == [("line", "a", 1), ("line", "a", 2), ("line", "a", 3)]
    assert isinstance(rows(ax, "x")[0][0], int)
    np.testing.assert_array_equal([value for (value,) in rows(ax, "y", series="a")], y)
    assert [place for place, _ in rows(ax, "x", "series")[3:]] == [0.5, 1.5]
    assert numbers_of(ax.figure)["series"].isna().tolist() == [False] * 3 + [True] * 2


def test_a_band_stands_beside_the_line_of_its_label(ax):
    x, y = np.arange(4), np.array([1.0, 2.0, 4.0, 3.0])
    ax.plot(x, y, label="a")
    ax.fill_between(x, np.array([0.5, 1.75, np.nan, 2]), np.array([1.5, 2.5, np.nan, 5]), label="a")
    ax.fill_between([7, 8], [0, 1], [2, 3], label="alone")
    assert rows(ax, "x", "y", "lower", "upper", series="a")[:2] == [(0, 1.0, 0.5, 1.5), (1, 2.0, 1.75, 2.5)]
    assert numbers_of(ax.figure)["lower"].isna().tolist()[:3] == [False, False, True]
    assert rows(ax, "x", "lower", "upper", kind="band") == [(7.0, 0.0, 2.0), (8.0, 1.0, 3.0)]


def test_curves_over_seeds_give_mean_and_one_standard_deviation():
    runs = [history([0.5, 0.7]), history([0.7, 0.8])]
    drawn = plots.compare_curves({"روش": runs, "_b": history([0.1, 0.2])}, "train_accuracy")
    found = rows(drawn, "x", "y", "lower", "upper", series="روش")
    std = np.std([[0.5, 0.7], [0.7, 0.8]], axis=0, ddof=1)
    mean = np.array([0.6, 0.75])
    np.testing.assert_allclose(np.array(found, float), np.stack([[1, 2], mean, mean - std, mean + std], axis=1))
    assert [value for value, _ in rows(drawn, "y", "x", series="_b")] == [0.1, 0.2]


def test_learning_curves_have_a_panel_each_and_the_marked_epochs():
    drawn = plots.learning_curves(history([0.5, 0.7, 0.6]), metrics=["accuracy"], best_epoch=2, stop_epoch=3)
    assert rows(drawn, "series", "x", kind="mark") == [("best", 2), ("stop", 3)]
    both = history([0.5, 0.7]).assign(train_loss=[2.0, 1.0])
    assert set(rows(plots.learning_curves(both), "panel", "series")) == {
        ("loss", "training"),
        ("accuracy", "training"),
        ("accuracy", "validation"),
    }


def test_panels_of_one_name_are_told_apart():
    _, axes = plt.subplots(1, 3)
    for i, (panel, title) in enumerate(zip(axes, ["loss", "loss", ""], strict=True)):
        panel.plot([i])
        panel.set_title(title)
    assert rows(axes, "panel", "y") == [("loss 1", 0), ("loss 2", 1), ("3", 2)]


def test_marks_need_a_label_and_other_lines_across_the_panel_are_left_out(ax):
    ax.axvline(3, label="here")
    ax.axhline(0.25, label="there")
    ax.axvline(4)
    assert rows(ax, "series", "x") == [("here", 3), ("there", pytest.approx(float("nan"), nan_ok=True))]
    assert rows(ax, "y", series="there") == [(0.25,)]


def test_bars_have_the_full_names_of_their_places():
    frame = pd.DataFrame({"accuracy": [0.25, np.nan, 1 / 3], "f1": [0.5, 0.75, 1.0]}, index=PERSIAN)
    drawn = plots.per_class_bars(frame, ["accuracy", "f1"])
    assert rows(drawn, "category", "value", series="F1") == list(zip(PERSIAN, frame["f1"], strict=True))
    assert [name for name, _ in rows(drawn, "category", "value", series="accuracy")] == list(PERSIAN)
    assert numbers_of(drawn.figure)["value"].isna().tolist() == [False, True, False, False, False, False]


def test_bars_with_whiskers_have_their_ends():
    means = pd.DataFrame({"on A": [0.5, 0.25], "on B": [0.75, 0.5]}, index=["1: everything trains", "2"])
    stds = pd.DataFrame({"on A": [0.125, np.nan], "on B": [0.25, 0.5]}, index=means.index)
    drawn = plots.bars_with_error(means, stds)
    assert rows(drawn, "category", "value", "lower", "upper", series="on B") == [
        ("1: everything trains", 0.75, 0.5, 1.0),
        ("2", 0.5, 0.0, 1.0),
    ]
    assert numbers_of(drawn.figure)["lower"].isna().tolist() == [False, True, False, False]


def test_lying_bars_and_plain_ones_of_other_figures(ax):
    ax.barh(["x", "y"], [1, 2], xerr=[0.5, 0.25])
    assert rows(ax, "category", "value", "lower") == [("x", 1, 0.5), ("y", 2, 1.75)]
    assert rows(plt.subplots()[1].hist([1, 1, 2], bins=[0.5, 1.5, 2.5])[2][0], "category", "value") == [
        (1, 2.0),
        (2, 1.0),
    ]


def test_curves_over_settings_have_names_and_whiskers():
    means = pd.DataFrame({"after 2": [0.5, 0.25]}, index=["the head alone and nothing else at all", "everything"])
    stds = pd.DataFrame({"after 2": [0.25, np.nan]}, index=means.index)
    drawn = plots.setting_curves(means, stds)
    assert rows(drawn, "series", "x", "y") == [("after 2", name, mean) for name, mean in means["after 2"].items()]
    assert rows(drawn, "lower", "upper")[0] == (0.25, 0.75)


def test_error_bars_without_points(ax):
    ax.errorbar([1, 2], [3.0, 4.0], [0.5, 1.0], fmt="none", label="e")
    assert rows(ax, "kind", "x", "lower", "upper") == [("points", 1.0, 2.5, 3.5), ("points", 2.0, 3.0, 5.0)]


def test_a_confusion_matrix_gives_shares_and_counts_by_full_names():
    matrix = np.array([[3, 1, 0], [0, 0, 2], [0, 0, 0]])
    drawn = plots.confusion(matrix, PERSIAN, groups={"b": [2], "a": [0, 1]})
    found = {(row, column): counts for row, column, *counts in rows(drawn, "row", "column", "value", "count")}
    assert len(found) == 9
    assert found[PERSIAN[0], PERSIAN[1]] == [25.0, 1] and found[PERSIAN[1], PERSIAN[2]] == [100.0, 2]
    assert all(pd.isna(found[PERSIAN[2], name][0]) and found[PERSIAN[2], name][1] == 0 for name in PERSIAN)


def test_a_matrix_of_a_hundred_classes_has_names_although_its_ticks_have_not():
    matrix = np.random.default_rng(0).integers(0, 9, (100, 100))
    names = [f"class {i}" for i in range(100)]
    found = numbers_of(plots.confusion(matrix, names).figure)
    counts = found.pivot(index="row", columns="column", values="count").loc[names, names]
    np.testing.assert_array_equal(counts.to_numpy(int), matrix)


def test_weights_before_after_and_their_difference():
    before, after = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, -1.5]])
    drawn = plots.weights(before, after, name="fc")
    assert rows(drawn, "row", "column", "value", panel="fc before") == [(0, 0, 1.0), (0, 1, -2.0)]
    assert "× 2" in drawn[2].get_title()
    assert rows(drawn, "value", panel="fc difference") == [(0.0,), (0.5,)], "as it is, not as many times as it is drawn"


def test_kernels_are_rows_by_channel_and_place_without_the_gaps_between_them():
    before = torch.arange(2 * 3 * 3 * 3).reshape(2, 3, 3, 3).float()
    drawn = plots.weights(before, before + 0.001, name="conv")
    table = numbers_of(drawn[0].figure)
    assert table["value"].notna().all() and len(table) == 3 * before.numel()
    for panel, values in (("conv before", before), ("conv difference", torch.full_like(before, 0.001))):
        found = rows(drawn, "output", "input", "row", "column", "value", panel=panel)
        for *place, value in found:
            assert value == pytest.approx(values[tuple(place)].item(), abs=1e-5)
        assert len({tuple(place) for *place, _ in found}) == before.numel()


def test_rows_of_a_head_are_called_old_or_new():
    drawn = plots.head_row_change([0.0, 0.0, 0.5], border=2, border_labels=("rows of A", "rows of B"))
    assert rows(drawn, "series", "category", "value") == [
        ("rows of A", 0, 0.0),
        ("rows of A", 1, 0.0),
        ("rows of B", 2, 0.5),
    ]


def test_roc_curves_are_named_micro_macro_and_by_class():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    curves = evaluate.roc(rng.normal(size=(60, 3)), labels)
    drawn = plots.roc(curves, PERSIAN, worst=1)
    (worst,) = curves.worst(1)
    assert {name for (name,) in rows(drawn, "series")} == {"chance", "micro average", "macro average", PERSIAN[worst]}
    x, y = np.array(rows(drawn, "x", "y", series=PERSIAN[worst]), float).T
    np.testing.assert_array_equal(x, curves.classes[worst].fpr)
    np.testing.assert_array_equal(y, curves.classes[worst].tpr)


def test_layers_that_did_not_change_are_zero_and_not_missing():
    drawn = plots.layer_change({"conv1": 0.0, "fc": 2e-5, "bn": float("nan")})
    found = dict(rows(drawn, "y", "x", kind="points"))
    assert found["conv1"] == 0 and found["fc"] == 2e-5 and np.isnan(found["bn"])


def test_scattered_points_with_colours(ax):
    ax.scatter([1.5, 2.5], [3, 4], c=[0.1, 0.9], label="s")
    assert rows(ax, "kind", "series", "x", "y", "value") == [("points", "s", 1.5, 3, 0.1), ("points", "s", 2.5, 4, 0.9)]


def test_predictions_are_columns_of_true_and_predicted_classes_and_confidences():
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    drawn = plots.sample_grid(images, [0, 2], PERSIAN, predictions=torch.tensor([0, 1]), confidences=[0.5, 0.97])
    assert list(numbers_of(drawn.figure)) == ["kind", "true", "predicted", "confidence"]
    assert rows(drawn, "kind", "true", "predicted", "confidence") == [
        ("picture", PERSIAN[0], PERSIAN[0], 0.5),
        ("picture", PERSIAN[2], PERSIAN[1], 0.97),
    ]
    maps = plots.cam_overlay(images, np.zeros((2, 8, 8)), [0, 1], [1, 1], PERSIAN)
    assert rows(maps, "true", "predicted") == [(PERSIAN[0], PERSIAN[1]), (PERSIAN[1], PERSIAN[1])]


def test_pictures_with_nothing_but_titles_have_no_numbers(ax):
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    for drawn in (
        plots.sample_grid(images, [0, 1], PERSIAN),
        plots.class_gallery(images, [0, 1], PERSIAN),
        plots.filters(torch.rand(4, 3, 3, 3, generator=torch.Generator())),
        plots.feature_maps({"conv1": np.ones((4, 3, 3))}, image=images[0]),
    ):
        assert numbers_of(drawn.figure) is None
    ax.text(0, -3, "a text's place is no number")
    assert numbers_of(ax.figure) is None


def test_numbers_in_grids_are_cells_of_their_matrix():
    drawn = plots.number_grids({"input": [[1, -2], [3, 4]], "sum": [[0.5]]}, signs=("=",))
    assert rows(drawn, "series", "row", "column", "value") == [
        ("input", 0, 0, 1),
        ("input", 0, 1, -2),
        ("input", 1, 0, 3),
        ("input", 1, 1, 4),
        ("sum", 0, 0, 0.5),
    ]


def test_artists_without_a_label_are_told_apart(ax):
    ax.plot([1, 2], [3, 4])
    ax.plot([1, 2], [5, 6])
    ax.plot([1, 2], [7, 8], label="named")
    ax.scatter([1], [9])
    assert rows(ax, "series", "y", kind="line") == [
        ("line 1", 3),
        ("line 1", 4),
        ("line 2", 5),
        ("line 2", 6),
        ("named", 7),
        ("named", 8),
    ]
    assert numbers_of(ax.figure).query("kind == 'points'")["series"].isna().all()


@pytest.mark.parametrize("names", ["ticks", "categories", "noted"])
def test_a_band_over_named_places_stands_beside_its_line(ax, names):
    x = ["low", "middle", "high"] if names == "categories" else [0, 1, 2]
    ax.plot(x, [1.0, 2.0, 3.0], label="a")
    ax.fill_between(x, [0.5, 1.5, 2.5], [1.5, 2.5, 3.5], label="a")
    ax.fill_between(x, [0, 0, 0], [9, 9, 9], label="alone")
    if names == "ticks":
        ax.set_xticks(x, ["low", "middle", "high"])
    if names == "noted":
        plots.style.name_places(ax.xaxis, ["low", "middle", "high"])
    assert rows(ax, "x", "y", "lower", "upper", series="a") == [
        ("low", 1.0, 0.5, 1.5),
        ("middle", 2.0, 1.5, 2.5),
        ("high", 3.0, 2.5, 3.5),
    ]
    assert rows(ax, "x", "upper", series="alone") == [("low", 9.0), ("middle", 9.0), ("high", 9.0)]


def test_only_bars_at_a_named_tick_have_its_name(ax):
    ax.hist([0.2, 0.3, 0.6, 1.1, 5.1], bins=np.arange(0, 6.5, 0.5))
    ax.set_xticks([0, 2.25, 5], ["none", "some", "all"])
    named = {category: value for category, value in rows(ax, "category", "value") if isinstance(category, str)}
    assert named == {"some": 0.0}, "of the others each is beside its tick"
    assert rows(ax, "category", "value")[0] == (0.25, 2.0)


def test_bars_of_three_groups_have_the_names_of_their_ticks_and_one_between_them_has_none(ax):
    for i in range(3):
        ax.bar(np.arange(2) + 0.27 * (i - 1), [1, 2], width=0.27, label=f"s{i}")
    ax.set_xticks([0, 1], ["a", "b"])
    assert {category for (category,) in rows(ax, "category")} == {"a", "b"}
    ax.bar([0.5], [3], width=0.01, label="between")
    assert rows(ax, "category", series="between") == [(0.5,)]


def test_bars_on_other_bars_have_their_bottom(ax):
    ax.bar(["a", "b"], [1, 2], label="lower")
    ax.bar(["a", "b"], [3, 4], bottom=[1, 2], label="upper")
    assert rows(ax, "category", "value", "bottom", series="upper") == [("a", 3, 1.0), ("b", 4, 2.0)]
    assert numbers_of(ax.figure)["bottom"].isna().tolist() == [True, True, False, False]
    lying = plt.subplots()[1]
    lying.barh([0, 1], [3, 4], left=[0.5, 0])
    assert rows(lying, "value", "bottom") == [(3, 0.5), (4, 0.0)]


def test_lying_error_bars_have_their_ends(ax):
    ax.errorbar([1, 2], [3.0, 4.0], xerr=[0.5, 1.0], yerr=[0.25, 0.5], label="both")
    ax.errorbar([1, 2], [3.0, 4.0], xerr=0.5, fmt="none", label="bars alone")
    assert rows(ax, "x", "x_lower", "x_upper", "y", "lower", "upper", series="both") == [
        (1, 0.5, 1.5, 3.0, 2.75, 3.25),
        (2, 1.0, 3.0, 4.0, 3.5, 4.5),
    ]
    assert rows(ax, "y", "x_lower", "x_upper", series="bars alone") == [(3.0, 0.5, 1.5), (4.0, 1.5, 2.5)]


def test_upright_and_lying_stretches_and_bands(ax):
    ax.vlines([1, 2], 0, [3, -4], label="v")
    ax.hlines([5], 1, 2, label="h")
    ax.fill_betweenx([7, 8], [0, 1], [2, 3], label="b")
    ax.stem([1, 2], [3, 4], label="s")
    assert rows(ax, "kind", "x", "lower", "upper", series="v") == [("range", 1.0, 0.0, 3.0), ("range", 2.0, -4.0, 0.0)]
    assert rows(ax, "kind", "y", "x_lower", "x_upper", series="h") == [("range", 5.0, 1.0, 2.0)]
    assert rows(ax, "kind", "y", "x_lower", "x_upper", series="b") == [("band", 7.0, 0.0, 2.0), ("band", 8.0, 1.0, 3.0)]
    assert rows(ax, "x", "y", series="s") == [(1, 3), (2, 4)]


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (lambda ax: ax.boxplot([[1, 2, 3, 9]]), "box plot"),
        (lambda ax: ax.boxplot([[1, 2, 3, 9]], patch_artist=True), "PathPatch"),
        (lambda ax: ax.pie([1, 2]), "Wedge"),
        (lambda ax: ax.stairs([1, 2]), "StepPatch"),
        (lambda ax: ax.contour(np.outer([1, 2, 3], [1, 2, 3])), "QuadContourSet"),
    ],
)
def test_what_is_not_read_is_said(ax, draw, named):
    ax.plot([1, 2], label="a")
    draw(ax)
    with pytest.warns(UserWarning, match=f"lack what it draws as .*{named}"):
        table = numbers_of(ax.figure)
    assert set(table["series"].dropna()) == {"a"} or named == "PathPatch"


def test_borders_frames_and_spans_are_nothing_that_is_missing(ax):
    ax.plot([1, 2])
    ax.axvspan(0, 1)
    ax.axhspan(0, 1)
    ax.add_patch(plt.Rectangle((0, 0), 1, 1))
    ax.annotate("here", (1, 1), (2, 2), arrowprops={"arrowstyle": "->"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(numbers_of(ax.figure)) == 2


def test_tick_labels_that_only_say_their_place_are_no_names(ax):
    ax.plot([0.0, 0.5], [0.5, 1.0])
    ax.set_xticks([0, 0.5], ["0", "50%"])
    plots.style.percent_ticks(ax.yaxis)
    ax.set_yticks([0.5, 1.0])
    assert rows(ax, "x", "y") == [(0.0, 0.5), (0.5, 1.0)]
    ax.set_xticks([0, 0.5], ["8", "16"])
    assert rows(ax, "x", "y") == [("8", 0.5), ("16", 1.0)]


def test_a_figure_of_nothing_has_no_numbers(ax):
    assert numbers_of(ax.figure) is None
    ax.imshow(np.zeros((4, 4, 3)))
    assert numbers_of(ax.figure) is None
    ax.plot([], [])
    assert numbers_of(ax.figure) is None


def test_colour_bars_are_left_out(ax):
    ax.figure.colorbar(ax.imshow([[1.0, 2.0]]))
    assert rows(ax, "row", "column", "value") == [(0, 0, 1.0), (0, 1, 2.0)]


def test_a_hundred_thousand_points_are_kept_and_ten_million_are_not(ax):
    ax.scatter(np.arange(100_000), np.arange(100_000))
    assert len(numbers_of(ax.figure)) == 100_000
    ax.plot(np.zeros(10_000_000))
    with pytest.warns(UserWarning, match=rf"10,100,000 numbers.*{MOST_ROWS:,} at most"):
        assert numbers_of(ax.figure) is None


def test_pictures_do_not_count_towards_the_limit():
    images = torch.zeros(100, 1, 64, 64, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers_of(plots.sample_grid(images, np.zeros(100, int), ["a"]).figure)


def test_csv_is_read_back_as_it_was():
    table = [["تی‌شرت", 0.1 + 0.2, 3], ['a, "b"\nc', float("nan"), None], ["", np.float32(0.1), np.int64(5)]]
    header, *back = csv.reader(io.StringIO(csv_text(["class", "share", "count"], table)))
    assert header == ["class", "share", "count"]
    assert back == [["تی‌شرت", "0.30000000000000004", "3"], ['a, "b"\nc', "", ""], ["", str(np.float32(0.1)), "5"]]


def test_what_no_csv_can_hold_is_left_out():
    assert csv_text(["a\0b\rc"], [["\0"]]) == 'abc\n""\n'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r=", "\n", "＝"])
def test_no_cell_is_a_formula_and_numbers_stay_numbers(start):
    (cell, number), header = [
        next(csv.reader(io.StringIO(text)))
        for text in (csv_text([f"{start}1+1", -2.5], []), csv_text([f"{start}x"], []))
    ]
    assert cell == f"'{start}1+1".replace("\r", "") and header[0].startswith("'") and number == "-2.5"
