"""Curves over epochs."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers.plots.ends import Ends, label_all_ends
from helpers.plots.style import (
    GREY,
    SMALL,
    WIDTH,
    PlotError,
    axes_or_new,
    drawn,
    legend_beside,
    line_look,
    percent_ticks,
    styled,
    tidy,
)

SPLIT_NAMES = {"train": "training", "val": "validation"}
MOST_END_LABELS = 6
MOST_MARKERS = 12


@styled
def learning_curves(
    history: pd.DataFrame,
    *,
    splits: Sequence[str] | Mapping[str, str] | None = None,
    metrics: Sequence[str] = ("loss", "accuracy"),
    best_epoch: int | None = None,
    stop_epoch: int | None = None,
    resume_epoch: int | None = None,
    axes: Sequence[Axes] | None = None,
) -> NDArray[np.object_]:
    """Loss and accuracy per epoch, one panel a metric and one line a split.

    Args:
        history: indexed by epoch, with columns <split>_<metric>, as `helpers.train.fit` gives it; accuracy as a share.
        splits: which splits, or {split: how to call it}; all that the history has if not given.
        metrics: the panels, from left to right.
        best_epoch: marked with a line and named over the panels.
        stop_epoch: likewise.
        resume_epoch: likewise, the last epoch before a training was taken up again.
        axes: one Axes a metric, to draw into.

    Returns:
        The Axes, one a metric.

    Raises:
        PlotError: for a history without any column of a metric, or a wrong number of axes.
    """
    if axes is None:
        figure, _ = plt.subplots(1, len(metrics), figsize=(WIDTH, 2.6), layout="constrained", squeeze=False)
        axes = figure.axes
    panels = np.array(list(axes), dtype=object)
    if len(panels) != len(metrics):
        raise PlotError(f"{len(metrics)} metrics need as many axes, not {len(panels)}")
    ends = {}
    for ax, metric in zip(panels, metrics, strict=True):
        names = _split_names(history, splits, metric)
        ends[ax] = _lines(ax, {name: history[[f"{split}_{metric}"]] for split, name in names.items()})
        _label_axes(ax, metric)
        marks = _mark_epochs(ax, {"best": best_epoch, "stop": stop_epoch, "resumed after": resume_epoch})
        frame = pd.concat(
            pd.DataFrame({"split": name, "epoch": history.index, metric: history[f"{split}_{metric}"]})
            for split, name in names.items()
        )
        if marks:
            frame["marked"] = frame["epoch"].map(marks)
        drawn(ax, frame.reset_index(drop=True), kind="lines", x="epoch", y=metric, series="split")
    _name_lines(ends)
    return panels


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
        ax: where to draw.

    Raises:
        PlotError: for no runs, or a history without the column.
    """
    if not runs:
        raise PlotError("no runs to compare")
    seeds = {label: [run] if isinstance(run, pd.DataFrame) else list(run) for label, run in runs.items()}
    for label, histories in seeds.items():
        if not histories or any(column not in history.columns for history in histories):
            raise PlotError(f"run {label!r} has no history with a column {column!r}")
    ax = axes_or_new(ax, height=2.9)
    frames = {label: pd.concat([run[column] for run in histories], axis=1) for label, histories in seeds.items()}
    ends = _lines(ax, frames)
    split, _, metric = column.rpartition("_")
    quantity = ylabel or f"{SPLIT_NAMES.get(split, split.replace('_', ' '))} {metric}".strip()
    _label_axes(ax, metric, quantity)
    _name_lines({ax: ends})
    frame = pd.concat(
        pd.DataFrame(
            {
                "run": str(label),
                "epoch": values.index,
                quantity: values.mean(axis=1),
                "standard deviation": values.std(axis=1),
            }
        )
        for label, values in frames.items()
    )
    frame = frame.reset_index(drop=True).dropna(axis="columns", how="all")
    return drawn(ax, frame, kind="lines", x="epoch", y=quantity, series="run")


def _split_names(
    history: pd.DataFrame, splits: Sequence[str] | Mapping[str, str] | None, metric: str
) -> dict[str, str]:
    """Split -> how it is called, for those that have a column of this metric."""
    if splits is None:
        splits = [str(column).rpartition("_")[0] for column in history.columns if str(column).endswith(f"_{metric}")]
    if not isinstance(splits, Mapping):
        splits = {split: SPLIT_NAMES.get(split, split.replace("_", " ")) for split in splits}
    found = {split: name for split, name in splits.items() if f"{split}_{metric}" in history.columns}
    if not found:
        raise PlotError(f"the history has no {metric} of {', '.join(splits) or 'any split'}")
    return found


def _lines(ax: Axes, series: Mapping[str, pd.DataFrame]) -> Ends:
    """One labelled line for each frame's mean over its columns, with a band where there are several."""
    ends = []
    for i, (label, values) in enumerate(series.items()):
        look = line_look(i)
        mean = values.mean(axis=1)
        marker = "o" if len(mean) <= MOST_MARKERS else None
        (line,) = ax.plot(mean.index, mean.to_numpy(), marker=marker, markersize=3.5, **look)
        line.set_label(str(label))
        if values.shape[1] > 1:
            std = values.std(axis=1, ddof=1)
            band = {"color": look["color"], "alpha": 0.18, "linewidth": 0, "label": str(label)}
            ax.fill_between(mean.index, mean - std, mean + std, **band)
        ends.append((str(label), line))
    _frame_epochs(ax, np.concatenate([values.index.to_numpy() for values in series.values()]))
    return ends


def _name_lines(ends: Mapping[Axes, Ends]) -> None:
    """Says which line is which, when all else is drawn and a name can be put where nothing is."""
    for ax, lines in ends.items():
        if len(lines) > MOST_END_LABELS:
            legend_beside(ax, [line for _, line in lines], [label for label, _ in lines])
    label_all_ends({ax: lines for ax, lines in ends.items() if len(lines) <= MOST_END_LABELS})


def _frame_epochs(ax: Axes, epochs: NDArray[np.int64]) -> None:
    first, last = epochs.min(), epochs.max()
    room = 0.5 if first == last else min(0.5, 0.02 * (last - first))
    ax.set_xlim(first - room, last + room)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _label_axes(ax: Axes, metric: str, ylabel: str | None = None) -> None:
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel or metric)
    if metric == "accuracy":
        percent_ticks(ax.yaxis)
    tidy(ax)


def _mark_epochs(ax: Axes, named: Mapping[str, int | None]) -> dict[int, str]:
    """Upright lines at named epochs, each with its name over the axes, where no curve is; returns these names."""
    names: dict[int, list[str]] = {}
    for name, epoch in named.items():
        if epoch is not None:
            names.setdefault(epoch, []).append(name)
    epochs = sorted(names)
    # The first and the last name spread away from each other, so that they don't meet over neighbouring epochs; one
    # between them stands in a line of its own.
    sides = {epochs[0]: "right", epochs[-1]: "left"} if len(epochs) > 1 else {}
    for epoch in epochs:
        text, side = f"{' and '.join(names[epoch])}: {epoch}", sides.get(epoch, "center")
        line = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (2, 2)), "zorder": 1.5}
        ax.axvline(epoch, label=" and ".join(names[epoch]), **line)
        ax.annotate(
            text,
            xy=(epoch, 1),
            xycoords=("data", "axes fraction"),
            xytext=({"left": 2, "center": 0, "right": -2}[side], 2 if side != "center" or len(epochs) == 1 else 12),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=SMALL,
            color=GREY,
            annotation_clip=False,
        )
    return {epoch: " and ".join(names[epoch]) for epoch in epochs}
