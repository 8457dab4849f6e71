"""The pictures, read back: data from the Axes, places from the renderer. Nobody's settings or random numbers change."""

import inspect
import io
import random

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.text import Text

from helpers import WorkbookError, evaluate, plots
from helpers.data import ImageData, Source

PERSIAN = ("تی‌شرت", "شلوار", "پیراهن", "کت", "کفش")
AWKWARD = ("$x_1$", "_hidden", "a_b $", "گربه", "a rather long name that has to be cut somewhere")
SMALLEST_FONT = 6


def history(epochs=8, *, shift=0.0, extra=()):
    x = np.arange(1, epochs + 1)
    columns = {"train_loss": 3 / x, "train_accuracy": 1 - 0.9 / x}
    columns |= {"val_loss": 3 / x + 0.2, "val_accuracy": 0.7 - 0.6 / x}
    for name in extra:
        columns |= {f"{name}_loss": 3 / x + 0.21, f"{name}_accuracy": 0.69 - 0.6 / x}
    return pd.DataFrame(columns | {"seconds": np.ones(epochs)}, index=pd.Index(x, name="epoch")) + shift


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


METHODS = pd.DataFrame([[0.02, 0.67, 0.15], [0.52, 0.63, 0.54]], ["method 1", "method 3"], ["A", "B", "all"])
GUESSED = {"predictions": [0, 1, 2, 2, 2], "confidences": [0.5] * 5}
WEIGHT = torch.linspace(-1, 1, 12 * 9 * 9).reshape(12, 9, 3, 3)
# Every public function with plausible numbers.
DRAWINGS = {
    "learning_curves": lambda **k: plots.learning_curves(history(), resume_epoch=5, **k),
    "compare_curves": lambda **k: plots.compare_curves({"$a$": history(), "_b": [history(), history(shift=0.1)]}, **k),
    "confusion": lambda **k: plots.confusion(evaluate.confusion(*logits()), AWKWARD, **k),
    "auc": lambda **k: plots.auc(dict.fromkeys(["$n$", "_m"], evaluate.roc(*logits(), AWKWARD)), **k),
    "roc": lambda **k: plots.roc(evaluate.roc(*logits(), AWKWARD), **k),
    "bars_with_error": lambda **k: plots.bars_with_error(METHODS, METHODS * 0 + 0.01, **k),
    "setting_curves": lambda **k: plots.setting_curves(METHODS, METHODS * 0 + 0.01, **k),
    "sample_grid": lambda: plots.sample_grid(images(), range(5), AWKWARD, **GUESSED),
    "predictions": lambda: plots.predictions(data_of(images()), torch.eye(5)),
    "feature_maps": lambda: plots.feature_maps({"conv_$1": WEIGHT[0], "_x": WEIGHT[1]}, image=images()[0]),
    "cam_overlay": lambda: plots.cam_overlay(images(), torch.full((5, 8, 8), 0.5), range(5), [0, 1, 2, 2, 2], AWKWARD),
}

LONG = ["a rather long class name", "another one, of some length", "T-shirt/top", *PERSIAN]
CLASSES = [f"striped class ${i}$" for i in range(100)]
GUESSED_LONG = {"predictions": np.arange(16) // 2, "confidences": np.ones(16)}
SIX = pd.DataFrame(
    np.random.default_rng(0).random((6, 3)), [f"{i}: frozen body, $all$ rows" for i in range(6)], list("ABC")
)
MAPS = {f"body.layer{i}.0.conv": torch.rand(99, 4, 4) for i in range(6)}
# Where letters have little room.
CROWDED = {
    "equal ends": lambda: plots.learning_curves(history(20, extra=["test_a", "test_b", "test_all"])),
    "marks side by side": lambda: plots.learning_curves(rising(12, 13), resume_epoch=9),
    "six methods": lambda: plots.bars_with_error(SIX, SIX * 0 + 0.02),
    "25 classes": lambda: plots.confusion(10 * evaluate.confusion(*logits(12000, 25)), CLASSES[:25]),
    "100 classes": lambda: plots.confusion(np.eye(100), range(100)),
    "three columns": lambda: plots.sample_grid(images(16), np.arange(16) % 8, LONG, columns=3, **GUESSED_LONG),
    "many names": lambda: plots.sample_grid(images(100), range(100), CLASSES, columns=10),
    "six layers": lambda: plots.feature_maps(MAPS, image=torch.zeros(1, 4, 4, dtype=torch.uint8)),
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def named(legend):
    return [text.get_text() for text in legend.get_texts()]


def whiskers(ax):
    return [segment for lines in ax.collections for segment in lines.get_segments()]


def boxes(artists):
    """Where the renderer puts letters, in pixels; an annotation's arrow is left out."""
    return [Text.get_window_extent(artist) for artist in artists if artist.get_text()]


def assert_apart(artists):
    found = boxes(artists)
    for i, box in enumerate(found):
        for other in found[i + 1 :]:
            assert not box.overlaps(other), [artist.get_text() for artist in artists]


def test_all_public_functions_are_drawn_here():
    public = {name for name, value in vars(plots).items() if inspect.isfunction(value)} - {"panels", "marks"}
    assert set(DRAWINGS) == public


@pytest.mark.parametrize("name", [*DRAWINGS, *CROWDED])
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")  # others' sockets
def test_a_figure_fits_a_page_can_be_read_says_what_it_shows_and_touches_nothing_else(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("shown"))

    def state():
        generators = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate()
        return dict(plt.rcParams), generators

    torch.rand(1)  # before which its generator has another state
    before = state() if name in DRAWINGS else None
    drawn = np.ravel((DRAWINGS | CROWDED)[name]())
    figure = plt.gcf()
    figure.savefig(io.BytesIO(), format="svg")
    assert plt.get_fignums() == [figure.number] and before in (None, state())
    assert figure.get_tightbbox().width <= 6.3 and figure.get_tightbbox().height <= 9.5
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert sizes and min(sizes) >= SMALLEST_FONT and max(sizes) <= 9
    figure.draw_without_rendering()
    for ax in drawn:
        for letters in (ax.texts, ax.get_xticklabels(), ax.get_yticklabels()):
            assert_apart(letters)
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes(ax.texts))
        said = ax.workbook
        assert said["kind"] in ("lines", "points", "bars", "matrix", "images") and len(said["frame"])
        roles = [said[role] for role in ("x", "y", "series") if said[role]]
        assert set(roles) <= set(said["frame"].columns) and len(roles) >= (0 if said["kind"] == "images" else 2)


@pytest.mark.parametrize("name", [name for name in DRAWINGS if inspect.signature(DRAWINGS[name]).parameters])
def test_draws_into_the_given_axes(name):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    if name == "learning_curves":
        assert list(DRAWINGS[name](axes=[left, right])) == [left, right] and left.has_data()
    else:
        assert DRAWINGS[name](ax=right) is right and not left.has_data()
    assert plt.get_fignums() == [figure.number] and right.has_data()


def said_by(ax):
    """(kind, {(series, x): y}) of what an Axes says was drawn in it."""
    frame, kind, x, y, series = (ax.workbook[name] for name in ("frame", "kind", "x", "y", "series"))
    return kind, dict(zip(zip(frame[series], frame[x], strict=True), frame[y], strict=True))


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


# --- curves


def test_learning_curves_hold_the_history_of_a_result_and_mark_its_best_and_stopping_epoch():
    class Result:
        history = history(20, extra=["test_B"])

    frame = Result.history
    frame.loc[7, "val_accuracy"] = 0.95
    frame.loc[9:, "val_loss"] = frame.loc[8, "val_loss"] + 0.01
    names = {"training": "train", "validation": "val", "test B": "test_B"}
    loss, accuracy = plots.learning_curves(Result)
    for ax, metric in ((loss, "loss"), (accuracy, "accuracy")):
        for label, column in names.items():
            values = frame[f"{column}_{metric}"]
            np.testing.assert_array_equal(lines_of(ax)[label].get_xydata(), np.c_[frame.index, values])
        assert "▼ best 7  ▽ stop 8" in texts(ax)
        told = {(name, k): frame.loc[k, f"{split}_{metric}"] for name, split in names.items() for k in frame.index}
        assert said_by(ax) == ("lines", told)
        assert ax.workbook["frame"].set_index("epoch")["marked"].dropna().to_dict() == {7: "best", 8: "stop"}
    assert loss.get_legend() is None and named(accuracy.get_legend()) == [*names]
    percent = accuracy.yaxis.get_major_formatter()
    assert (percent(0.425), percent(0.4)) == ("42.5\u00a0%", "40\u00a0%")


def test_marks_stand_in_their_order_and_a_caption_explains_those_that_are_there():
    without = plots.learning_curves(history().filter(like="train"))
    assert plots.marks(without) == "" and "marked" not in without[0].workbook["frame"]
    few, both = history(3), rising(5, 9)
    axes = plots.panels("ab", pair=True)
    plots.learning_curves(few, axes=axes[0])
    assert plots.marks(axes[0]) == "Best: the highest validation accuracy."
    resumed = plots.learning_curves(both, patience=3, resume_epoch=3, axes=axes[1])
    assert "◇ resumed after 3  ▼ best 5  ▽ stop 9" in texts(resumed[0])
    said = plots.marks(resumed)
    assert said.startswith("Best: the highest validation accuracy. Stop: ") and "after 3 epochs" in said
    assert plots.marks(axes) == said, "each once"
    both["val_loss"] = np.r_[3, 2, 1, 2, 2, 0.5, [1] * 14]
    assert "▽ stop 3  ▼ best 5" in texts(plots.learning_curves(both, patience=2)[0])


def test_panels_share_what_is_alike_and_none_is_empty():
    names = ["$a$", "_b", "tf_efficientnet_lite0 with its last layers", "d", "e"]
    axes = plots.panels(names, pair=True)
    for i, pair in enumerate(axes):
        plots.learning_curves(history(5 + i), axes=pair)
    figure = plt.gcf()
    figure.draw_without_rendering()
    assert figure.axes == [*axes[:3, 0], *axes[:3, 1], *axes[3:, 0], *axes[3:, 1]]
    assert [" ".join(ax.get_title().split()) for ax in axes[:, 0]] == names
    assert len({ax.get_xlim() for ax in axes.ravel()}) == 1 and len({ax.get_ylim() for ax in axes[:3, 0]}) == 1
    (legend,) = figure.legends
    assert named(legend) == ["training", "validation"]
    labels = [axis.label for ax in axes.ravel() for axis in (ax.xaxis, ax.yaxis) if axis.label.get_visible()]
    assert sorted(label.get_text() for label in labels) == 2 * ["accuracy"] + 3 * ["epoch"] + 2 * ["loss"]
    assert_apart([*(ax.title for ax in axes[:, 0]), *(text for ax in axes.ravel() for text in ax.texts)])
    matrices = plots.panels(["one", "two"])
    for ax in matrices:
        plots.confusion(np.eye(100) + 1, range(100), ax=ax)
    assert len(plt.gcf().axes) == 3  # one colour bar


def test_a_split_looks_alike_in_both_panels_and_in_their_legend_also_where_another_was_not_measured():
    loss, accuracy = plots.learning_curves(history().drop(columns="train_accuracy"))
    handles = dict(zip(named(accuracy.get_legend()), accuracy.get_legend().get_lines(), strict=True))
    assert [*handles] == ["training", "validation"] and "training" not in lines_of(accuracy)
    for line in (loss.lines[0], loss.lines[1], accuracy.lines[0]):
        assert line.get_color() == handles[line.get_label()].get_color()


def test_a_diverged_history_is_drawn_all_the_same():
    diverged = history().assign(val_accuracy=np.nan)
    assert named(plots.learning_curves(diverged)[1].get_legend()) == ["training", "validation"]
    assert [*lines_of(plots.compare_curves({"a": diverged, "b": history()}))] == ["b"]
    assert not lines_of(plots.compare_curves({"a": diverged}))


@pytest.mark.parametrize(("epochs", "ticks"), [(1, [1]), (50, [10, 20, 30, 40, 50])])
def test_epochs_are_whole_numbers(epochs, ticks):
    ax = plots.learning_curves(history(epochs))[0]
    assert [tick for tick in ax.get_xticks() if 1 <= tick <= epochs] == ticks


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
    assert deviations["one"].isna().all() and ax.get_ylabel() == "validation loss" and not ax.workbook["percent"]
    assert plots.compare_curves({"one": runs[0]}).workbook["percent"]


def test_lines_are_named_in_a_legend_beside_the_curves_as_they_are_written_and_told_apart():
    ax = plots.compare_curves({f"_run ${i}$": history(6 - i % 2, shift=i / 10) for i in range(14)})
    plt.gcf().draw_without_rendering()
    assert named(ax.get_legend()) == [f"_run ${i}$" for i in range(14)]
    box = ax.get_legend().get_window_extent()
    assert ax.bbox.x1 < box.x0 and box.x1 <= plt.gcf().bbox.x1
    looks = [(line.get_color(), str(line._dash_pattern)) for line in ax.lines]
    assert len(set(looks)) == 14
    assert all(len(set(part)) == 5 for part in zip(*looks[:5], strict=True))  # few differ in colour and in style


@pytest.mark.parametrize(("draw", "kind"), [(plots.bars_with_error, "bars"), (plots.setting_curves, "lines")])
def test_means_and_deviations_are_as_long_as_the_numbers_say(draw, kind):
    means = METHODS.rename(index={"method 3": "layer1 + layer2 + layer3 + layer4 + layer5, and the head, too"})
    ax = draw(means, means * 0 + 0.1, ylabel="$accuracy$")
    plt.gcf().draw_without_rendering()
    heights = [bar.get_height() for bar in ax.patches] or [
        lines_of(ax)[column].get_ydata(orig=False) for column in means
    ]
    np.testing.assert_allclose(np.ravel(heights), means.to_numpy().T.ravel())
    np.testing.assert_allclose([np.ptp(segment[:, 1]) for segment in whiskers(ax)], 0.2)
    expected = {(column, row): means.loc[row, column] for column in means for row in means.index}
    assert said_by(ax) == (kind, expected) and ax.workbook["percent"]
    np.testing.assert_allclose(ax.workbook["frame"]["standard deviation"], 0.1)
    assert [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()] == list(means.index)
    percent = ax.yaxis.get_major_formatter()
    assert ax.get_ylabel() == "$accuracy$" and (percent(0.4), percent(1.2)) == ("40\u00a0%", "")
    assert draw(means + 1, ylabel="change").yaxis.get_major_formatter()(1.2) == "120\u00a0%"
    without = draw(means, means * np.nan)
    assert not any(map(len, whiskers(without))) and "standard deviation" not in without.workbook["frame"]


def test_numbers_stand_over_bars_and_their_whiskers_with_the_same_decimals():
    ax = plots.bars_with_error(SIX, SIX * 0 + 0.02)
    plt.gcf().draw_without_rendering()
    assert sorted(texts(ax)) == sorted(f"{100 * value:.1f}" for value in SIX.to_numpy().ravel())
    tops = {round(segment[0, 0], 6): segment[:, 1].max() for segment in whiskers(ax)}
    for text in ax.texts:
        assert text.get_window_extent().y0 > ax.transData.transform((0, tops[round(text.xy[0], 6)]))[1]
    for numbers, written in (
        ([6.5797, 0.43478, 35.87, 5], ["6.58", "0.43", "35.87", "5.00"]),
        ([5, 1234, 0, np.nan], ["5", "1,234", "0", "–"]),
        ([-0.25, -0.00001], ["−0.2500", "0.0000"]),
    ):
        assert texts(plots.bars_with_error(pd.DataFrame({"n": numbers}, dtype=float), percent=False)) == written


# --- classes


def test_confusion_shows_row_percentages_and_their_numbers():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    ax = plots.confusion(matrix, PERSIAN[:3])
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown[:2].filled(np.nan), [[80, 20, 0], [25, 75, 0]])
    assert shown.mask[2].all()  # no images of this class: no share
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "80\u202f%\n8", (1, 0): "20\u202f%\n2", (0, 1): "25\u202f%\n1", (1, 1): "75\u202f%\n3"}
    assert [label.get_text() for label in ax.get_yticklabels()] == list(PERSIAN[:3])
    (kind, told), a, b = said_by(ax), *PERSIAN[:2]
    assert kind == "matrix" and (told[a, a], told[a, b], told[b, a]) == (80, 20, 25)
    assert ax.workbook["frame"]["images"].tolist() == matrix.ravel().tolist()
    colours = [to_hex(text.get_color()) for text in plots.confusion([[99, 1], [10, 90]], "ab").texts]
    assert colours == ["#ffffff", "#000000", "#000000", "#ffffff"]


@pytest.mark.parametrize(
    ("size", "text", "names"),
    [(12, "100\u202f%\n1", True), (15, "100", True), (28, "100", True), (30, "", True), (100, "", False)],
)
def test_confusion_of_many_classes_stays_readable(size, text, names):
    ax = plots.confusion(np.eye(size, dtype=int), [f"class ${i}$" for i in range(size)])
    plt.gcf().draw_without_rendering()
    labels = [label.get_text() for label in ax.get_yticklabels() if label.get_text()]
    assert texts(ax) == (size * [text] if text else [])
    assert (labels[0] == "class $0$") == names == (len(labels) == size)
    cell = ax.bbox.width / size
    assert all(box.width < cell and box.height < cell for box in boxes(ax.texts))


def test_roc_draws_the_mean_and_the_worst_classes_and_a_corner_on_a_logarithmic_axis():
    names = [f"_class ${i}$" for i in range(12)]
    values, labels = logits(300, 12)
    curves = evaluate.roc(values - np.eye(12)[labels], labels, names)
    ax, mean, worst = plots.roc(curves), curves["auc"].mean(), curves["auc"].nsmallest(3)
    for name in worst.index:
        rates = np.c_[curves.loc[name, "fpr"], curves.loc[name, "tpr"]]
        np.testing.assert_array_equal(lines_of(ax)[name].get_xydata(), rates)
    entries = [f"AUC {area:.3f}  {name}" for name, area in {"mean of all classes": mean, **worst}.items()]
    assert named(ax.get_legend()) == [*entries, "AUC 0.500  chance"] and ax.get_xscale() == "linear"
    points = ax.workbook["frame"].set_index("curve").loc[f"mean of all classes (AUC {mean:.3f})"].to_numpy()
    np.testing.assert_array_equal(lines_of(ax)["mean of all classes"].get_xydata(), points)
    means = [np.mean([np.interp(x, c.fpr, c.tpr) for c in curves.itertuples()]) for x in (0.05, 0.3, 0.8)]
    assert np.interp([0.05, 0.3, 0.8], *points.T) == pytest.approx(means, abs=1e-3)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(mean, abs=2e-3)
    cornered = plots.roc(evaluate.roc(values + np.eye(12)[labels], labels, names))
    assert cornered.get_xscale() == "log" and all(line.get_xdata().min() > 0 for line in cornered.lines[1:])
    undefined = plots.roc(evaluate.roc(np.array([[0.5]]), np.array([0]), "a"))
    assert "not defined" in named(undefined.get_legend())[0]


def test_areas_stand_at_their_class_and_network_with_their_intervals():
    names = [f"class {i}" for i in range(30)]
    found = {"one": evaluate.roc(*logits(300, 30), names), "other": evaluate.roc(*logits(300, 30, seed=1), names)}
    ax = plots.auc(found)
    smallest = (found["one"]["auc"] + found["other"]["auc"]).nsmallest(25).index
    shown = [name for name in names if name in smallest]
    assert [label.get_text() for label in ax.get_yticklabels()] == shown
    told = {(network, name): found[network].loc[name, "auc"] for network in found for name in shown}
    assert said_by(ax) == ("points", told)
    ends = [found[network].loc[name, ["low", "high"]] for network in found for name in shown]
    np.testing.assert_allclose([segment[:, 0] for segment in whiskers(ax)], ends)


# --- images


def shown(ax):
    return [np.asarray(image.get_array()) for image in ax.images]


@pytest.mark.parametrize("channels", [1, 3])
def test_sample_grid_shows_the_images_says_what_is_written_and_marks_the_wrong_ones(channels):
    pictures = images(4, channels)
    given = {"predictions": np.array([0, 1, 1, 3]), "confidences": [0.5, 0.75, 1, 1]}
    ax = plots.sample_grid(pictures, torch.tensor([0, 1, 2, 3]), PERSIAN, **given)
    for drawn, picture in zip(shown(ax), pictures.permute(0, 2, 3, 1), strict=True):
        np.testing.assert_array_equal(drawn.reshape(picture.shape), picture)
    captions = texts(ax)
    assert sum("✗" in caption for caption in captions) == 1 and sum("✓" in caption for caption in captions) == 3
    assert [frame.get_linestyle() == "-" for frame in ax.patches] == [True, True, False, True]
    assert len({frame.get_edgecolor() for frame in ax.patches}) == 2
    frame = ax.workbook["frame"]
    assert frame["true class"].tolist() == list(PERSIAN[:4]) and frame["confidence"].tolist() == [0.5, 0.75, 1, 1]
    assert frame["predicted class"].tolist() == [PERSIAN[k] for k in (0, 1, 1, 3)]


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


def test_a_row_shows_a_layers_strongest_channels_the_strongest_first_below_the_image():
    maps = torch.zeros(12, 2, 4)
    maps[:, 1, 1] = 1
    maps[[1, 3, 4], 0, 0] = torch.tensor([20.0, -90.0, 50.0])
    image = torch.randint(0, 256, (3, 6, 12), dtype=torch.uint8)
    ax = plots.feature_maps({"conv_$1": maps, "deep": torch.rand(2, 1, 1)}, image=image)
    written = [text for text in texts(ax) if text]
    assert written[:5] == ["image", "3 × 6 × 12", "3", "4", "1"]
    assert {"conv_$1", "12 × 2 × 4", "deep", "2 × 1 × 1"} <= set(written) and len(ax.images) == 1 + 8 + 2
    assert ax.workbook["frame"].to_numpy().tolist()[1:3] == [["conv_$1", "12 × 2 × 4", 3], ["conv_$1", "12 × 2 × 4", 4]]
    np.testing.assert_array_equal(shown(ax)[0], image.permute(1, 2, 0))
    # Each from its lowest to its highest activation, the sign kept.
    dark, bright = (picture[..., :3].sum(axis=-1) for picture in shown(ax)[1:3])
    assert dark.argmin() == 0 and bright.argmax() == 0
    for picture in ax.images[:9]:
        left, right, bottom, top = picture.get_extent()
        assert (right - left, top - bottom) == pytest.approx((1, 0.5))
    assert ax.images[1].get_extent()[3] < ax.images[0].get_extent()[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_heat_stands_beside_the_image_and_wrong_predictions_are_marked(channels):
    pictures = torch.full((3, channels, 8, 8), 100, dtype=torch.uint8)
    cams = torch.zeros(3, 8, 8)
    cams[:, :4] = 1
    ax = plots.cam_overlay(pictures, cams, torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]), PERSIAN)
    assert [frame.get_linestyle() == "-" for frame in ax.patches] == [True, False, True]
    for pair in shown(ax):
        assert (pair[:, :8] == 100).all() and (pair[:, 8:-8] == 255).all()
        assert pair[:4, -8:].mean() > 100 > pair[4:, -8:].mean()  # brightness alone tells them apart


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.setting_curves(METHODS, METHODS.iloc[:1]), "same rows"),
        (lambda: plots.confusion(np.eye(3), "ab"), "shape"),
        (lambda: plots.sample_grid(images(2).float(), [0, 1], PERSIAN), "uint8"),
        (lambda: plots.sample_grid(images(1), [0], PERSIAN, predictions=[5]), "5 names"),
        (lambda: plots.feature_maps({"a": torch.full((3, 4, 4), torch.nan)}, image=images()[0]), "finite"),
        (lambda: plots.cam_overlay(images(2), torch.zeros(2, 8, 7), [0, 0], [0, 0], PERSIAN), "heat maps"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(draw, message):
    with pytest.raises(WorkbookError, match=message):
        draw()
    assert not plt.get_fignums()


def test_names_that_differ_in_their_ends_are_told_apart_where_they_are_cut():
    names = ["large circle red 1", "large circle red 2"]
    ax = plots.sample_grid(images(10), [0] * 10, names, predictions=[1] * 10, confidences=[0.87] * 10, columns=10)
    said = " ".join(texts(np.ravel(ax)[0]))
    assert said.count("1") == said.count("2") == said.count("87\u00a0%") == 10
