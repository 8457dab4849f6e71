"""The pictures, read back: data from the Axes, places from the renderer. Nobody's settings or random numbers change."""

import inspect
import io
import random

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text

from helpers import evaluate, plots
from helpers.data import ImageData, Source
from helpers.plots import PlotError

PERSIAN = ("تی‌شرت", "شلوار", "پیراهن", "کت", "کفش")
AWKWARD = ("$x_1$", "_hidden", "a_b $", "گربه", "a rather long name that has to be cut somewhere")
SMALLEST_FONT = 6


def history(epochs=8, *, shift=0.0, extra=()):
    x = np.arange(1, epochs + 1)
    columns = {
        "train_loss": 3 / x,
        "train_accuracy": 1 - 0.9 / x,
        "val_loss": 3 / x + 0.2,
        "val_accuracy": 0.7 - 0.6 / x,
    }
    for name in extra:
        columns |= {f"{name}_loss": 3 / x + 0.21, f"{name}_accuracy": 0.69 - 0.6 / x}
    columns |= {"learning_rate": np.full(epochs, 1e-3), "seconds": np.ones(epochs)}
    return pd.DataFrame(columns, index=pd.Index(x, name="epoch")) + shift


def rising(best, stop):
    """A history whose accuracy is highest at one epoch and whose loss rises after another."""
    frame = history(20)
    frame.loc[best, "val_accuracy"] = 1
    frame["val_loss"] = np.linspace(2, 1, 20)
    frame.loc[stop + 1 :, "val_loss"] = 3
    return frame


def logits(n=200, k=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return rng.normal(size=(n, k)) + 2 * np.eye(k)[labels], labels


def images(n=5, channels=3):
    return torch.arange(n * channels * 64).reshape(n, channels, 8, 8).remainder(256).to(torch.uint8)


def data_of(pictures):
    labels = torch.arange(len(pictures)) % 5
    return ImageData(pictures, labels, AWKWARD, "test", Source("made", "Made", "by a test"))


METHODS = pd.DataFrame(
    [[0.02, 0.67, 0.15], [0.52, 0.63, 0.54]], index=["method 1", "method 3"], columns=["A", "B", "all"]
)
WEIGHT = torch.linspace(-1, 1, 12 * 9 * 9).reshape(12, 9, 3, 3)
# Every public function with plausible numbers; those that take `ax` get it passed on.
DRAWINGS = {
    "learning_curves": lambda **k: plots.learning_curves(history(), resume_epoch=5, **k),
    "compare_curves": lambda **k: plots.compare_curves({"$a$": history(), "_b": [history(), history(shift=0.1)]}, **k),
    "confusion": lambda **k: plots.confusion(evaluate.confusion(*logits()), AWKWARD, **k),
    "auc": lambda **k: plots.auc(dict.fromkeys(["$n$", "_m"], evaluate.roc(*logits())), AWKWARD, **k),
    "roc": lambda **k: plots.roc(evaluate.roc(*logits()), AWKWARD, **k),
    "bars_with_error": lambda **k: plots.bars_with_error(METHODS, METHODS * 0 + 0.01, **k),
    "sample_grid": lambda **k: plots.sample_grid(
        images(), range(5), AWKWARD, predictions=[0, 1, 2, 2, 2], confidences=[0.5] * 5, **k
    ),
    "predictions": lambda **k: plots.predictions(data_of(images()), torch.eye(5), **k),
    "class_gallery": lambda **k: plots.class_gallery(images(), range(5), AWKWARD, **k),
    "setting_curves": lambda **k: plots.setting_curves(METHODS, METHODS * 0 + 0.01, **k),
    "feature_maps": lambda **k: plots.feature_maps({"conv_$1": WEIGHT[0], "_x": WEIGHT[1]}, image=images()[0], **k),
    "filters": lambda **k: plots.filters(WEIGHT[:, :3], **k),
    "cam_overlay": lambda **k: plots.cam_overlay(
        images(), torch.rand(5, 8, 8, generator=torch.Generator()), range(5), [0, 1, 2, 2, 2], AWKWARD, **k
    ),
    "number_grids": lambda **k: plots.number_grids(
        {"$a$": np.eye(3), "_b": [[1, -2]]}, signs=("→",), windows={"$a$": (0, 1, 2, 2)}, **k
    ),
}


LONG = ["a rather long class name", "another one, of some length", "T-shirt/top", *PERSIAN]
SIX = pd.DataFrame(
    np.random.default_rng(0).random((6, 3)), [f"{i}: frozen body, $all$ rows" for i in range(6)], list("ABC")
)
# Where letters have little room.
CROWDED = {
    "equal ends": lambda: plots.learning_curves(history(20, extra=["test_a", "test_b", "test_all"])),
    "marks at the start": lambda: plots.learning_curves(rising(1, 2)),
    "marks at the end": lambda: plots.learning_curves(rising(19, 20), resume_epoch=18),
    "marks side by side": lambda: plots.learning_curves(rising(12, 13), resume_epoch=9),
    "six methods": lambda: plots.bars_with_error(SIX, SIX * 0 + 0.02),
    "25 classes": lambda: plots.confusion(
        10 * evaluate.confusion(*logits(12000, 25)), [f"class ${i}$" for i in range(25)]
    ),
    "three columns": lambda: plots.sample_grid(
        images(16), np.arange(16) % 8, LONG, predictions=np.arange(16) // 2, confidences=np.ones(16), columns=3
    ),
    "100 classes": lambda: plots.class_gallery(images(3), [3, 3, 0], [f"striped shape {i}" for i in range(100)]),
    "six layers": lambda: plots.feature_maps(
        {f"body.layer{i}.0.conv": torch.rand(99, 4, 4) for i in range(6)}, image=torch.zeros(1, 4, 4, dtype=torch.uint8)
    ),
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def figure_of(drawn):
    return np.ravel(drawn)[0].figure


def texts(ax):
    return [text.get_text() for text in ax.texts]


def boxes(artists):
    """Where the renderer puts letters, in pixels; an annotation's arrow is left out."""
    return [Text.get_window_extent(artist) for artist in artists if artist.get_text()]


def assert_apart(artists):
    found = boxes(artists)
    for i, box in enumerate(found):
        for other in found[i + 1 :]:
            assert not box.overlaps(other), [artist.get_text() for artist in artists]


def test_all_public_functions_are_drawn_here():
    public = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))} - {"panels", "marks"}
    assert set(DRAWINGS) == public


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")  # others' sockets
def test_draws_one_figure_that_fits_a_page_says_what_it_shows_and_touches_nothing_else(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("shown"))
    settings = dict(matplotlib.rcParams)
    generators = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate()
    drawn = np.ravel(DRAWINGS[name]())
    figure = figure_of(drawn)
    figure.savefig(io.BytesIO(), format="svg")
    assert plt.get_fignums() == [figure.number] and all(isinstance(ax, Axes) for ax in drawn)
    assert dict(matplotlib.rcParams) == settings
    assert generators == (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate())
    assert figure.get_tightbbox().width <= 6.3 and figure.get_tightbbox().height <= 9.5
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert sizes and min(sizes) >= SMALLEST_FONT and max(sizes) <= 9
    for ax in drawn:
        said = ax.workbook
        assert said["kind"] in ("lines", "points", "bars", "matrix", "images") and len(said["frame"])
        named = [said[role] for role in ("x", "y", "series") if said[role]]
        assert set(named) <= set(said["frame"].columns) and len(named) >= (0 if said["kind"] == "images" else 2)


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_into_the_given_axes(name):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    if name == "learning_curves":
        assert list(DRAWINGS[name](axes=[left, right])) == [left, right]
    else:
        assert DRAWINGS[name](ax=right) is right and not left.has_data()
    assert plt.get_fignums() == [figure.number] and right.has_data()


@pytest.mark.parametrize("name", [*DRAWINGS, *CROWDED])
def test_letters_stay_apart_and_inside(name):
    drawn = np.ravel((DRAWINGS | CROWDED)[name]())
    figure = figure_of(drawn)
    figure.draw_without_rendering()
    for ax in drawn:
        for letters in (ax.texts, ax.get_xticklabels(), ax.get_yticklabels()):
            assert_apart(letters)
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes(ax.texts))


# --- what they say they drew


def said_by(ax):
    """(kind, {(series, x): y}) of what an Axes says was drawn in it."""
    frame, kind, x, y, series = (ax.workbook[name] for name in ("frame", "kind", "x", "y", "series"))
    places = zip(frame[series], frame[x], strict=True) if series else frame[x]
    return kind, dict(zip(places, frame[y], strict=True))


def test_bars_say_names_in_full_and_deviations():
    for draw, kind in ((plots.bars_with_error, "bars"), (plots.setting_curves, "lines")):
        ax = draw(METHODS, METHODS / 10)
        expected = {(column, row): METHODS.loc[row, column] for column in METHODS for row in METHODS.index}
        assert said_by(ax) == (kind, expected)
        np.testing.assert_allclose(ax.workbook["frame"]["standard deviation"], METHODS.to_numpy().T.ravel() / 10)
        assert "standard deviation" not in draw(METHODS).workbook["frame"]


def test_images_say_what_is_written_at_them():
    pictures = images(2)
    frame = plots.sample_grid(pictures, [4, 1], AWKWARD, predictions=[4, 0], confidences=[0.5, 0.75]).workbook["frame"]
    assert frame["true class"].tolist() == [AWKWARD[4], AWKWARD[1]]
    assert frame["predicted class"].tolist() == [AWKWARD[4], AWKWARD[0]]
    assert frame["confidence"].tolist() == [0.5, 0.75]
    assert plots.class_gallery(pictures, [0, 1], AWKWARD).workbook["frame"]["true class"].tolist() == list(AWKWARD)
    maps = plots.feature_maps({"conv": WEIGHT[0]}, image=pictures[0]).workbook["frame"]
    strongest = np.argsort(-np.abs(WEIGHT[0].numpy()).mean(axis=(1, 2)))[:8]
    assert maps.to_numpy().tolist()[1:] == [["conv", "9 × 3 × 3", channel] for channel in strongest]


# --- curves


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


def labels_of(ax):
    """The names at lines' ends and of marked epochs, as they are written."""
    return {text.get_text(): text for text in ax.texts}


def test_learning_curves_hold_the_history_of_a_result_and_mark_its_best_and_stopping_epoch():
    class Result:
        history = history(20, extra=["test_B"])

    frame = Result.history
    frame.loc[7, "val_accuracy"] = 0.95
    frame.loc[9:, "val_loss"] = frame.loc[8, "val_loss"] + 0.01
    loss, accuracy = plots.learning_curves(Result)
    for ax, metric in ((loss, "loss"), (accuracy, "accuracy")):
        for label, column in (("training", "train"), ("validation", "val"), ("test B", "test_B")):
            values = frame[f"{column}_{metric}"]
            np.testing.assert_array_equal(lines_of(ax)[label].get_xydata(), np.c_[frame.index, values])
        assert {"▼ best 7  ▽ stop 8", "training", "validation", "test B"} <= set(labels_of(ax))
        names = {"training": "train", "validation": "val", "test B": "test_B"}
        told = {(name, k): frame.loc[k, f"{split}_{metric}"] for name, split in names.items() for k in frame.index}
        assert said_by(ax) == ("lines", told)
        marked = ax.workbook["frame"].set_index("epoch")["marked"].dropna()
        assert marked.to_dict() == {7: "best", 8: "stop"}
    assert accuracy.yaxis.get_major_formatter()(0.425) == "42.5%"
    assert accuracy.yaxis.get_major_formatter()(0.4) == "40%"


def test_patience_decides_on_the_stop_and_marks_stand_in_their_order():
    frame = history(8)
    frame["val_loss"] = [3, 2, 1, 2, 2, 0.5, 1, 1]
    assert "▽ stop 3  ▼ best 8" in labels_of(plots.learning_curves(frame, patience=2)[0])
    ends = labels_of(plots.learning_curves(rising(5, 9), resume_epoch=3)[0])
    assert "◇ resumed after 3  ▼ best 5  ▽ stop 9" in ends


def test_a_caption_explains_the_marks_that_are_there_and_no_others():
    both, none = rising(5, 9), history().filter(like="train")
    assert plots.marks(plots.learning_curves(none)) == ""
    assert plots.marks(plots.learning_curves(history(3))) == "Best: the highest validation accuracy."
    said = plots.marks(plots.learning_curves(both, patience=3))
    assert said.startswith("Best: the highest validation accuracy. Stop: ") and "after 3 epochs" in said
    axes = plots.panels("ab", pair=True)
    for frame, pair in zip((history(3), both), axes, strict=True):
        plots.learning_curves(frame, axes=pair)
    assert plots.marks(axes) == plots.marks(plots.learning_curves(both)) != plots.marks(axes[0])


def test_panels_share_what_is_alike_and_none_is_empty():
    names = ["$a$", "_b", "tf_efficientnet_lite0 with its last layers", "d", "e"]
    axes = plots.panels(names, pair=True)
    for i, pair in enumerate(axes):
        plots.learning_curves(history(5 + i), axes=pair)
    figure = figure_of(axes)
    figure.draw_without_rendering()
    assert figure.axes == [*axes[:3, 0], *axes[:3, 1], *axes[3:, 0], *axes[3:, 1]]
    assert [" ".join(ax.get_title().split()) for ax in axes[:, 0]] == names
    assert len({ax.get_xlim() for ax in axes.ravel()}) == 1 and len({ax.get_ylim() for ax in axes[:3, 0]}) == 1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    labels = [axis.label for ax in axes.ravel() for axis in (ax.xaxis, ax.yaxis) if axis.label.get_visible()]
    assert sorted(label.get_text() for label in labels) == 2 * ["accuracy"] + 3 * ["epoch"] + 2 * ["loss"]
    titles = [ax.title for ax in axes[:, 0]]
    assert_apart([*titles, *(text for ax in axes.ravel() for text in ax.texts)])
    matrices = plots.panels(["one", "two"])
    for ax in matrices:
        plots.confusion(np.eye(100) + 1, range(100), ax=ax)
    assert len(figure_of(matrices).axes) == 3  # one colour bar


def test_a_history_without_validation_or_a_diverged_one_is_drawn_all_the_same():
    ax = plots.learning_curves(history().filter(like="train"))[0]
    assert set(labels_of(ax)) == {"training"} and "marked" not in ax.workbook["frame"]
    diverged = history(6)
    diverged.loc[3:, "val_loss"] = np.nan
    diverged.loc[:, "val_accuracy"] = np.nan
    loss, accuracy = plots.learning_curves(diverged)
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert set(labels_of(accuracy)) == {"training"}


@pytest.mark.parametrize("epochs", [1, 7, 50])
def test_epochs_are_whole_numbers_and_few_points_have_markers(epochs):
    ax = plots.learning_curves(history(epochs))[0]
    figure_of(ax).draw_without_rendering()
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert ticks and all(float(tick).is_integer() and tick >= 1 for tick in ticks)
    assert (ax.lines[0].get_marker() not in ("None", None, "")) == (epochs < 20)


def test_seeds_become_a_mean_and_a_band_of_one_standard_deviation():
    runs = [history(shift=shift) for shift in (0.0, 0.1, 0.5)]
    ax = plots.compare_curves({"three": runs, "one": runs[0]}, "val_loss")
    values = np.array([run["val_loss"] for run in runs])
    np.testing.assert_allclose(lines_of(ax)["three"].get_ydata(), values.mean(axis=0))
    np.testing.assert_array_equal(lines_of(ax)["one"].get_ydata(), runs[0]["val_loss"])
    corners = ax.collections[0].get_paths()[0].vertices
    lows = [corners[corners[:, 0] == epoch, 1].min() for epoch in runs[0].index]
    np.testing.assert_allclose(lows, values.mean(axis=0) - values.std(axis=0, ddof=1))
    told, deviations = said_by(ax)[1], ax.workbook["frame"].set_index("run")["standard deviation"]
    np.testing.assert_allclose([told["three", epoch] for epoch in runs[0].index], values.mean(axis=0))
    np.testing.assert_allclose(deviations["three"], values.std(axis=0, ddof=1))
    assert deviations["one"].isna().all()
    assert "standard deviation" not in plots.compare_curves({"one": runs[0]}).workbook["frame"]
    assert ax.get_ylabel() == ax.workbook["y"] == "validation loss"
    ax = plots.compare_curves({"scratch": history(6), "tuning": [history(3)]})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["scratch", "tuning"] and not ax.texts


def test_names_stand_at_their_lines_and_no_leader_crosses_them():
    near = plots.compare_curves({"a": history(), "b": history(shift=0.01), "c": history(shift=0.5)})
    assert set(labels_of(near)) == set("abc") and near.get_legend() is None
    assert all(text.arrow_patch is None for text in near.texts)
    equal = plots.compare_curves({name: history() for name in "abcde"})
    assert not equal.texts and [text.get_text() for text in equal.get_legend().get_texts()] == list("abcde")


def test_many_runs_differ_in_colour_or_style_and_have_a_legend_beside_the_curves():
    ax = plots.compare_curves({f"_run ${i}$": history(shift=i / 10) for i in range(14)})
    figure_of(ax).draw_without_rendering()
    looks = [(line.get_color(), str(line._dash_pattern)) for line in ax.lines]
    assert len(set(looks)) == 14
    assert all(len(set(part)) == 5 for part in zip(*looks[:5], strict=True))  # few differ in colour and in style
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"_run ${i}$" for i in range(14)]
    box = ax.get_legend().get_window_extent()
    assert ax.bbox.x1 < box.x0 and box.x1 <= figure_of(ax).bbox.x1


def test_each_column_is_a_line_over_the_settings_with_whiskers():
    means = METHODS.rename(index={"method 3": "layer1 + layer2 + layer3 + layer4 + layer5, and the head, too"})
    ax = plots.setting_curves(means, means * 0 + 0.1, xlabel="what trains", ylabel="$accuracy$")
    for column in means:
        np.testing.assert_array_equal(lines_of(ax)[column].get_ydata(), means[column])
    whiskers = [segment[:, 1] for lines in ax.collections for segment in lines.get_segments()]
    np.testing.assert_allclose(np.diff(whiskers), 0.2)
    assert [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()] == list(means.index)
    assert set(labels_of(ax)) == set(means.columns)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("what trains", "$accuracy$")
    single = plots.setting_curves(means, means * np.nan)
    assert not any(len(segment) for lines in single.collections for segment in lines.get_segments())
    assert single.yaxis.get_major_formatter()(0.4) == "40%"


# --- classes


def test_confusion_shows_row_percentages_and_their_numbers():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    ax = plots.confusion(matrix, PERSIAN[:3])
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown[:2].filled(np.nan), [[80, 20, 0], [25, 75, 0]])
    assert shown.mask[2].all()  # no images of this class: no share
    assert {(t.get_position(), t.get_text()) for t in ax.texts} == {
        ((0, 0), "80%\n8"),
        ((1, 0), "20%\n2"),
        ((0, 1), "25%\n1"),
        ((1, 1), "75%\n3"),
    }
    assert [label.get_text() for label in ax.get_yticklabels()] == list(PERSIAN[:3])
    (kind, told), a, b = said_by(ax), *PERSIAN[:2]
    assert kind == "matrix" and (told[a, a], told[a, b], told[b, a]) == (80, 20, 25)
    assert ax.workbook["frame"]["images"].tolist() == matrix.ravel().tolist()
    written = {text.get_text(): to_hex(text.get_color()) for text in plots.confusion([[99, 1], [10, 90]], "ab").texts}
    assert written == {"99%\n99": "#ffffff", "1%\n1": "#000000", "10%\n10": "#000000", "90%\n90": "#ffffff"}


@pytest.mark.parametrize(("size", "numbers", "names"), [(25, True, True), (26, False, True), (100, False, False)])
def test_confusion_of_many_classes_stays_readable(size, numbers, names):
    ax = plots.confusion(np.eye(size), [f"class ${i}$" for i in range(size)])
    figure_of(ax).draw_without_rendering()
    assert bool(ax.texts) == numbers
    labels = [label.get_text() for label in ax.get_yticklabels() if label.get_text()]
    assert (labels[0] == "class $0$") == names and (len(labels) == size) == names
    assert_apart(ax.get_yticklabels())
    cell = ax.bbox.width / size
    assert all(box.width < cell and box.height < cell for box in boxes(ax.texts))


def test_roc_draws_the_mean_and_the_worst_classes_and_a_corner_on_a_logarithmic_axis():
    names = [f"_class ${i}$" for i in range(12)]
    values, labels = logits(300, 12)
    curves = evaluate.roc(values - np.eye(12)[labels], labels)
    ax, worst = plots.roc(curves, names), np.argsort(curves.auc)[:3]
    expected = {"mean of all classes": curves.macro, **{names[k]: curves.classes[k] for k in worst}}
    for label, curve in expected.items():
        np.testing.assert_array_equal(lines_of(ax)[label].get_xydata(), np.c_[curve.fpr, curve.tpr])
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == [*(f"AUC {c.auc:.3f}  {name}" for name, c in expected.items()), "AUC 0.500  chance"]
    points = ax.workbook["frame"].set_index("curve").loc[f"mean of all classes (AUC {curves.macro.auc:.3f})"]
    np.testing.assert_array_equal(points, np.c_[curves.macro.fpr, curves.macro.tpr])
    assert ax.get_xscale() == "linear"
    cornered = plots.roc(evaluate.roc(values + np.eye(12)[labels], labels), names)
    assert cornered.get_xscale() == "log"
    assert all(line.get_xdata().min() > 0 for line in cornered.lines[1:])
    undefined = plots.roc(evaluate.roc(np.array([[0.5]]), np.array([0])), "a")
    assert "not defined" in undefined.get_legend().get_texts()[0].get_text()


def test_areas_stand_at_their_class_and_network_with_their_intervals():
    found = {"one": evaluate.roc(*logits(300, 30)), "other": evaluate.roc(*logits(300, 30, seed=1))}
    names = [f"class {i}" for i in range(30)]
    ax = plots.auc(found, names)
    told = said_by(ax)[1]
    mean = (found["one"].auc + found["other"].auc) / 2
    shown = sorted(np.argsort(mean)[:25])  # those of the smallest areas, in order
    assert [label.get_text() for label in ax.get_yticklabels()] == [names[k] for k in shown]
    assert told == {(network, names[k]): found[network].auc[k] for network in found for k in shown}
    segments = [segment for lines in ax.collections for segment in lines.get_segments()]
    ends = [(found[network].classes[k].low, found[network].classes[k].high) for network in found for k in shown]
    np.testing.assert_allclose([segment[:, 0] for segment in segments], ends)


# --- bars


def test_bars_and_whiskers_are_as_long_as_the_numbers_say_and_values_stand_above():
    ax = plots.bars_with_error(SIX, SIX * 0 + 0.02)
    figure_of(ax).draw_without_rendering()
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], SIX.to_numpy().T.ravel())
    assert sorted(texts(ax)) == sorted(f"{100 * value:.1f}" for value in SIX.to_numpy().ravel())
    whiskers = [segment for lines in ax.collections for segment in lines.get_segments()]
    np.testing.assert_allclose([np.ptp(segment[:, 1]) for segment in whiskers], 0.04)
    tops = {round(segment[0, 0], 6): segment[:, 1].max() for segment in whiskers}
    for text in ax.texts:
        assert text.get_window_extent().y0 > ax.transData.transform((0, tops[round(text.xy[0], 6)]))[1]


def test_numbers_over_bars_have_the_same_decimals():
    means = pd.DataFrame({"real": [6.5797, 0.43478], "made": [35.87, 5]}, index=["a", "b"])
    ax = plots.bars_with_error(means, percent=False)
    assert sorted(texts(ax)) == ["0.43", "35.87", "5.00", "6.58"]
    whole = plots.bars_with_error(pd.DataFrame({"n": [5, 1234, 0, np.nan]}, dtype=float), percent=False)
    assert texts(whole) == ["5", "1,234", "0", "–"]
    below = plots.bars_with_error(pd.DataFrame({"n": [-0.25, 0.00001]}), percent=False)
    assert texts(below) == ["−0.2500", "0.0000"]
    missing = METHODS.where(METHODS != 0.67)
    ax = plots.bars_with_error(missing, missing * np.nan)
    assert "–" in texts(ax) and not any(len(segment) for lines in ax.collections for segment in lines.get_segments())


# --- images


@pytest.mark.parametrize("channels", [1, 3])
def test_sample_grid_shows_the_images_and_marks_the_wrong_ones(channels):
    pictures = images(4, channels)
    ax = plots.sample_grid(pictures, torch.tensor([0, 1, 2, 3]), PERSIAN, predictions=np.array([0, 1, 1, 3]))
    for drawn, picture in zip(ax.images, pictures, strict=True):
        np.testing.assert_array_equal(
            np.asarray(drawn.get_array()),
            picture.permute(1, 2, 0).squeeze(-1) if channels == 1 else picture.permute(1, 2, 0),
        )
    captions = texts(ax)
    assert sum("✗" in caption for caption in captions) == 1 and sum("✓" in caption for caption in captions) == 3
    assert [frame.get_linestyle() == "-" for frame in ax.patches] == [True, True, False, True]
    assert len({frame.get_edgecolor() for frame in ax.patches}) == 2


def test_predictions_are_some_drawn_by_the_seed_and_then_the_surest_mistakes():
    data, generator = data_of(images(40)), torch.Generator().manual_seed(3)
    logits = torch.randn(40, 5, generator=generator)
    frame = plots.predictions(data, logits, random=4, mistakes=3, seed=7).workbook["frame"]
    first = torch.randperm(40, generator=torch.Generator().manual_seed(7))[:4].tolist()
    shares = logits.softmax(dim=1)
    wrong = [i for i in range(40) if shares[i].argmax() != data.labels[i] and i not in first]
    picked = [*first, *sorted(wrong, key=lambda i: -shares[i].max())[:3]]
    assert frame["true class"].tolist() == [AWKWARD[data.labels[i]] for i in picked]
    assert frame["predicted class"].tolist() == [AWKWARD[shares[i].argmax()] for i in picked]
    np.testing.assert_allclose(frame["confidence"], shares[picked].amax(dim=1))
    without = plots.predictions(data, 9 * torch.eye(5)[data.labels], random=2).workbook["frame"]
    assert len(without) == 2


def test_a_gallery_has_each_class_at_its_place():
    pictures = images(3)
    first, second, *_, last = shown(plots.class_gallery(pictures, [3, 3, 0], "abcd"))
    np.testing.assert_array_equal(first, pictures[2].permute(1, 2, 0))
    np.testing.assert_array_equal(last, pictures[0].permute(1, 2, 0))
    assert (second == 255).all()


def shown(ax):
    return [np.asarray(image.get_array()) for image in ax.images]


def test_a_row_shows_a_layers_strongest_channels_the_strongest_first_below_the_image():
    maps = torch.zeros(12, 2, 4)
    maps[:, 1, 1] = 1
    maps[[1, 3, 4], 0, 0] = torch.tensor([20.0, -90.0, 50.0])
    image = torch.randint(0, 256, (3, 6, 12), dtype=torch.uint8)
    ax = plots.feature_maps({"conv_$1": maps, "deep": torch.rand(2, 1, 1)}, image=image)
    written = [text for text in texts(ax) if text]
    assert written[:2] == ["image", "3 × 6 × 12"]
    assert written[2:5] == ["3", "4", "1"] and {"conv_$1", "12 × 2 × 4", "deep", "2 × 1 × 1"} <= set(written)
    assert len(ax.images) == 1 + 8 + 2
    np.testing.assert_array_equal(shown(ax)[0], image.permute(1, 2, 0))
    brightness = shown(ax)[1][..., :3].sum(axis=-1)  # each from its lowest to its highest activation, the sign kept
    assert brightness.argmin() == 0 and shown(ax)[2][..., :3].sum(axis=-1).argmax() == 0
    for picture in ax.images[:9]:
        left, right, bottom, top = picture.get_extent()
        assert (right - left, top - bottom) == pytest.approx((1, 0.5))
    assert ax.images[1].get_extent()[3] < ax.images[0].get_extent()[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_are_colours_or_grey_each_scaled_by_itself(channels):
    weights = torch.randn(11, channels, 2, 4) * torch.arange(1, 12)[:, None, None, None]
    ax = plots.filters(weights)
    assert texts(ax) == [f"11 filters of {channels} × 2 × 4 weights"]
    for picture, kernel in zip(shown(ax), weights, strict=True):
        kernel = kernel if channels == 3 else kernel.mean(dim=0, keepdim=True).expand(3, 2, 4)
        expected = (kernel - kernel.min()) / (kernel.max() - kernel.min())
        np.testing.assert_allclose(picture, expected.permute(1, 2, 0), atol=1e-5)
    places = [picture.get_extent() for picture in ax.images]
    assert len({place[3] for place in places[:8]}) == 1 and places[8][3] < places[0][2]
    assert not shown(plots.filters(torch.full((1, 3, 2, 2), 7.0)))[0].any()  # a constant one is dark


@pytest.mark.parametrize("channels", [1, 3])
def test_heat_stands_beside_the_image_and_wrong_predictions_are_marked(channels):
    pictures = torch.full((3, channels, 8, 8), 100, dtype=torch.uint8)
    cams = torch.zeros(3, 8, 8)
    cams[:, :4] = 1
    ax = plots.cam_overlay(pictures, cams, torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]), PERSIAN)
    assert [frame.get_linestyle() == "-" for frame in ax.patches] == [True, False, True]
    assert sum("✗" in text for text in texts(ax)) == 1 and sum("✓" in text for text in texts(ax)) == 2
    for pair in shown(ax):
        assert (pair[:, :8] == 100).all() and (pair[:, 8:-8] == 255).all()
        hot, cold = pair[:4, -8:].astype(float), pair[4:, -8:].astype(float)
        assert hot.mean() > 100 > cold.mean()  # brightness alone tells them apart


# --- numbers in grids

MATRICES = {"$input$": np.arange(36).reshape(6, 6) - 9, "kernel": np.eye(3), "output": [[1.25, -2]]}
WINDOWS = {"$input$": (1, 2, 3, 3), "output": (0, 1, 1, 1)}


def test_every_number_stands_in_its_cell_and_windows_frame_theirs():
    ax = plots.number_grids(MATRICES, signs=("∗", "="), windows=WINDOWS)
    placed = {text.get_position(): text.get_text() for text in ax.texts}
    for (row, column), value in np.ndenumerate(MATRICES["$input$"]):
        assert placed[column + 0.5, row + 0.5] == str(value).replace("-", "−")
    # The smaller matrices are centred in height: 1 of 6 rows begins at 2.5.
    assert [placed[11.5, 3.0], placed[12.5, 3.0], placed[6.5, 3.0], placed[10.5, 3.0]] == ["1.25", "−2", "∗", "="]
    assert set(MATRICES) <= set(placed.values())
    frames = [patch.get_bbox().bounds for patch in ax.patches if patch.get_linewidth() == 2]
    assert frames == [(2.0, 1.0, 3.0, 3.0), (12.0, 2.5, 1.0, 1.0)]
    told = ax.workbook["frame"].set_index(["matrix", "row", "column"])["value"]
    assert len(told) == 36 + 9 + 2 and (told["$input$", 1, 2], told["output", 0, 0]) == (-1, 1.25)


# --- what cannot be drawn


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.panels([]), "no names"),
        (lambda: plots.compare_curves({}), "no runs"),
        (lambda: plots.compare_curves({"a": [history().filter(like="loss")]}), "'a' has no history"),
        (lambda: plots.setting_curves(METHODS, METHODS.iloc[:1]), "same rows"),
        (lambda: plots.bars_with_error(METHODS.iloc[:0]), "no means"),
        (lambda: plots.roc(evaluate.roc(*logits(k=2)), "a"), "1 class names"),
        (lambda: plots.auc({}, "a"), "curves of 0 classes"),
        (lambda: plots.confusion(np.eye(3), "ab"), "shape"),
        (lambda: plots.class_gallery(images(2).float(), [0, 1], PERSIAN), "uint8"),
        (lambda: plots.sample_grid(images(1), [0], PERSIAN, predictions=[5]), "5 names"),
        (lambda: plots.feature_maps({"a": torch.full((3, 4, 4), torch.nan)}, image=images()[0]), "finite"),
        (lambda: plots.filters(torch.zeros(3, 3, 3)), "out, in, height, width"),
        (lambda: plots.cam_overlay(images(2), torch.zeros(2, 8, 7), [0, 0], [0, 0], PERSIAN), "heat maps"),
        (lambda: plots.number_grids({"a": np.eye(2), "b": np.eye(2)}, signs="∗="), "1 signs"),
        (lambda: plots.number_grids({"a": np.eye(2)}, windows={"a": (1, 1, 2, 1)}), "not lie in a matrix 'a'"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(draw, message):
    with pytest.raises(PlotError, match=message):
        draw()
    assert not plt.get_fignums()
