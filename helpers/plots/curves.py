"""Curves over epochs, and over the settings of an experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers import WorkbookError, evaluate
from helpers.phrases import say, sentences
from helpers.plots import style
from helpers.plots.bars import means_and_spread, tidy_means
from helpers.plots.style import drawn, styled

MOST_MARKERS = 12
"""Epochs up to which each has a dot."""


@styled
def learning_curves(
    result: Any,
    *,
    patience: int = evaluate.PATIENCE,
    resume_epoch: int | None = None,
    axes: Sequence[Axes] | None = None,
) -> NDArray[np.object_]:
    """Loss and accuracy per epoch in two panels, one line a split, the best and the stopping epoch marked.

    `marks` says in a sentence what the marks mean. A history without validation has none.

    Args:
        result: what `helpers.train.fit` returned, or its history: indexed by epoch, with columns <split>_<metric>;
            accuracy as a share.
        patience: of `helpers.evaluate.stopping_epoch`, in epochs.
        resume_epoch: marked, too: the last epoch before a training was taken up again.
        axes: two to draw into.

    Returns:
        The Axes of loss and of accuracy.
    """
    history = getattr(result, "history", result)
    if axes is None:
        axes = plt.subplots(1, 2, figsize=(style.WIDTH, 2.6), layout="constrained")[1]
    marks = _marks(history, patience, resume_epoch)
    best = say("Best: the highest validation accuracy.")
    stop = say(
        "Stop: the epoch that early stopping would go back to after {patience} epochs without a new lowest validation "
        "loss.",
        patience=patience,
    )
    said = [text for name, text in {"best": best, "stop": stop}.items() if name in " ".join(marks.values())]
    found = [str(column).rpartition("_") for column in history]
    splits = list(dict.fromkeys(split for split, _, metric in found if metric in ("loss", "accuracy")))
    named: dict[str, Line2D] = {}
    for ax, metric in zip(axes, ("loss", "accuracy"), strict=True):
        columns = {_called(split): history[f"{split}_{metric}"] for split in splits if f"{split}_{metric}" in history}
        if not columns:
            raise WorkbookError(f"the history has no {metric} of any split")
        frame = pd.concat(columns, names=["split", "epoch"]).rename(metric).reset_index()
        lines = _lines(ax, frame, metric, "split", [*map(_called, splits)], percent=metric == "accuracy")
        named |= {line.get_label(): line for line in lines}
        _mark_epochs(ax, marks, named=metric == "loss" or not style.in_panels(ax))
        if marks:
            frame["marked"] = frame["epoch"].map(marks)
        drawn(ax, frame, kind="lines", x="epoch", y=metric, series="split", percent=metric == "accuracy")
        ax.workbook["marks"] = said
    style.legend(axes[-1], [*named.values()])
    return np.array(list(axes), dtype=object)


def marks(axes: Any) -> str:
    """What the marks in `learning_curves` stand for: sentences for the caption, "" where none is drawn.

    Args:
        axes: those that it returned, or the `panels` that it drew into.
    """
    return sentences(dict.fromkeys(sentence for ax in np.ravel(axes) for sentence in ax.workbook["marks"]))


@styled
def compare_curves(
    runs: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]],
    column: str = "val_accuracy",
    *,
    ylabel: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One column of several runs' histories in one panel.

    Args:
        runs: label -> history, or -> histories of the same run with several seeds: these give a line for their mean
            and a band of one sample standard deviation to either side.
        column: such as "val_accuracy" or "train_loss".
        ylabel: what the column is called; made from its name if not given.
    """
    seeds = {str(label): [run] if isinstance(run, pd.DataFrame) else list(run) for label, run in runs.items()}
    split, _, metric = column.rpartition("_")
    quantity = ylabel or f"{_called(split)} {metric}".strip()
    values = {(label, i): run[column] for label, histories in seeds.items() for i, run in enumerate(histories)}
    by_epoch = pd.concat(values, names=["run", "seed", "epoch"]).groupby(["run", "epoch"], sort=False)
    frame = by_epoch.agg(["mean", "std"]).set_axis([quantity, "standard deviation"], axis=1)
    if frame["standard deviation"].isna().all():
        frame = frame[[quantity]]
    frame, percent = frame.reset_index(), metric == "accuracy"
    ax = style.axes_or_new(ax, height=2.9)
    style.legend(ax, _lines(ax, frame, quantity, "run", list(seeds), percent=percent))
    return drawn(ax, frame, kind="lines", x="epoch", y=quantity, series="run", percent=percent)


@styled
def setting_curves(
    means: pd.DataFrame,
    stds: pd.DataFrame | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "validation accuracy",
    ax: Axes | None = None,
) -> Axes:
    """One line a column over the settings in the index, evenly spaced, with whiskers of one standard deviation.

    Args:
        means: shares, shown as per cent: one row a setting, in order; one column a line. NaN leaves a gap.
        stds: the same rows and columns; NaN or None draws no whisker (a single run has none).
        xlabel: what the settings are.
        ylabel: what the values are.
    """
    values, spread = means_and_spread(means, stds)
    ax = style.axes_or_new(ax, height=2.9)
    lines = []
    for i, column in enumerate(values.columns):
        look = {**style.line_look(i), "marker": "o", "markersize": 4, "capsize": 3, "elinewidth": 1}
        lines.append(ax.errorbar(range(len(values)), values[column], spread[column], **look).lines[0])
        lines[-1].set_label(str(column))
    style.name_places(ax, values.index)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    style.percent_ticks(ax.yaxis)
    style.tidy(ax)
    style.legend(ax, lines)
    place = xlabel or "setting"
    frame = tidy_means(values, spread, place, ylabel)
    return drawn(ax, frame, kind="lines", x=place, y=ylabel, series="quantity", percent=True)


def _called(split: str) -> str:
    return {"train": "training", "val": "validation"}.get(split, split.replace("_", " "))


def _lines(
    ax: Axes, frame: pd.DataFrame, quantity: str, series: str, names: Sequence[Any], *, percent: bool
) -> list[Line2D]:
    """A line for each series, in the look of its place among the names, with a band of one standard deviation."""
    few, lines = frame["epoch"].nunique() <= MOST_MARKERS, []
    for name, part in frame.dropna(subset=quantity).groupby(series, sort=False):
        epochs, mean, look = part["epoch"], part[quantity], style.line_look(names.index(name))
        if "standard deviation" in part:
            std, band = part["standard deviation"], {"color": look["color"], "alpha": 0.18, "linewidth": 0}
            ax.fill_between(epochs, mean - std, mean + std, **band)
        dots = {"marker": "o" if few else "", "markersize": 4.5, "markeredgewidth": 0}
        lines += ax.plot(epochs, mean, label=name, **look, **dots)
    ax.set(xlabel="epoch", ylabel=quantity)
    ax.margins(x=min(0.02, 0.5 / max(1, np.ptp(frame["epoch"]))))  # less than an epoch
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1, steps=[1, 2, 5, 10]))
    if percent:
        style.percent_ticks(ax.yaxis)
    style.tidy(ax)
    return lines


def _marks(history: pd.DataFrame, patience: int, resume_epoch: int | None) -> dict[int, str]:
    """Epoch -> what is said of it."""
    named = {"best": None, "stop": None, "resumed after": resume_epoch}
    if all(np.isfinite(history.get(column, np.nan)).any() for column in ("val_accuracy", "val_loss")):
        named["best"] = evaluate.best_epoch(history)
        named["stop"] = evaluate.stopping_epoch(history, patience=patience)
    epochs = sorted({epoch for epoch in named.values() if epoch is not None})
    return {epoch: " and ".join(name for name, at in named.items() if at == epoch) for epoch in epochs}


def _mark_epochs(ax: Axes, marks: Mapping[int, str], *, named: bool) -> None:
    """Upright lines at epochs, each with a sign at its upper end, and what the signs say in a line over the axes."""
    above = {"textcoords": "offset points", "fontsize": style.SMALL, "color": style.GREY, "annotation_clip": False}
    said = []
    for epoch, name in marks.items():
        sign = "▼" if "best" in name else "▽" if "stop" in name else "◇"
        said.append(f"{sign} {name} {epoch}")
        ax.axvline(epoch, zorder=1.5, **style.BORDER)
        ax.annotate(sign, (epoch, 1), (0, 0), xycoords=("data", "axes fraction"), ha="center", va="center", **above)
    if named and said:
        ax.annotate("  ".join(said), (0.5, 1), (0, 4), xycoords="axes fraction", ha="center", va="bottom", **above)
