"""Bars: one group of numbers beside another."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.style import (
    SMALL,
    WIDTH,
    PlotError,
    axes_or_new,
    bar_look,
    drawn,
    legend_above,
    name_places,
    percent_ticks,
    shortened,
    styled,
    tidy,
)

MOST_CLASSES = 25
LABELS = {"f1": "F1"}


@styled
def per_class_bars(
    frame: pd.DataFrame,
    columns: Sequence[str] | Mapping[str, str] = ("accuracy", "precision", "f1"),
    *,
    xlabel: str = "share",
    ax: Axes | None = None,
) -> Axes:
    """A group of lying bars for each class, the first class on top.

    Args:
        frame: one row a class, named by the index, as `helpers.evaluate.per_class` gives it; the index's name is the
            label of the axis.
        columns: the columns to draw (shares, 0 to 1), or {column: how to call it}. NaN is shown as "–".
        xlabel: what the shares are.
        ax: where to draw.

    Raises:
        PlotError: for more than 25 classes, none at all, or a column that the frame lacks.
    """
    names = (
        dict(columns) if isinstance(columns, Mapping) else {column: LABELS.get(column, column) for column in columns}
    )
    missing = [column for column in names if column not in frame.columns]
    if missing or not names:
        raise PlotError(f"no column {missing[0]!r} to draw" if missing else "no columns to draw")
    if not 0 < len(frame) <= MOST_CLASSES:
        raise PlotError(
            f"bars of {len(frame)} classes cannot be read: draw 1 to {MOST_CLASSES}, such as frame.nsmallest(20, 'f1')"
        )
    thickness = 0.8 / len(names)
    ax = axes_or_new(ax, height=0.9 + len(frame) * max(0.2, 0.09 * len(names) + 0.05))
    rows = np.arange(len(frame))
    bars = []
    for i, column in enumerate(names):
        values = frame[column].astype(float).to_numpy()
        offsets = rows + (i - (len(names) - 1) / 2) * thickness
        bars.append(ax.barh(offsets, values, height=thickness, label=names[column], **bar_look(i)))
        for y in offsets[np.isnan(values)]:
            ax.text(0.005, y, "–", va="center", fontsize=SMALL)
    ax.set_yticks(rows, [shortened(name, 24) for name in frame.index], parse_math=False)
    name_places(ax.yaxis, frame.index)
    ax.set(xlim=(0, 1), ylim=(len(frame) - 0.5, -0.5), xlabel=xlabel, ylabel=frame.index.name or "")
    percent_ticks(ax.xaxis)
    tidy(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    if len(names) > 1:
        legend_above(ax, bars, list(names.values()))
    place = str(frame.index.name or "class")
    shown = frame[list(names)].rename(columns=names).rename_axis(place).reset_index()
    shown = shown.melt(place, var_name="quantity", value_name=xlabel)
    return drawn(ax, shown, kind="bars", x=place, y=xlabel, series="quantity")


@styled
def bars_with_error(
    means: pd.DataFrame,
    stds: pd.DataFrame | None = None,
    *,
    ylabel: str = "accuracy",
    percent: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """A group of standing bars for each row, with whiskers of one standard deviation and the means written over them.

    Args:
        means: one row a method, one column a quantity (such as A, B and all). NaN is shown as "–". The index's name
            is the label of the axis.
        stds: the same rows and columns; NaN or None draws no whisker (a single run has none).
        ylabel: what the numbers are.
        percent: the numbers are shares (0 to 1), shown as per cent.
        ax: where to draw.

    Raises:
        PlotError: for no means, or stds of other rows or columns.
    """
    values, spread = means_and_spread(means, stds)
    ax = axes_or_new(ax, height=2.9)
    width = 0.82 / len(values.columns)
    texts = _texts(values, percent)
    bars = []
    for i, column in enumerate(values.columns):
        places = np.arange(len(values)) + (i - (len(values.columns) - 1) / 2) * width
        whiskers = spread[column].where(spread[column] > 0).to_numpy()
        bars.append(
            ax.bar(
                places,
                values[column],
                width=width,
                yerr=whiskers,
                error_kw={"ecolor": "black", "elinewidth": 0.9, "capsize": 2.5},
                label=str(column),
                **bar_look(i),
            )
        )
        tops = np.maximum(0, values[column].fillna(0) + np.nan_to_num(whiskers))
        _write_values(ax, places, texts[column], tops, width * WIDTH / len(values))
    longest = max(10, 84 // len(values))
    names = [textwrap.fill(str(name), longest) for name in values.index]
    ax.set_xticks(range(len(values)), names, parse_math=False)
    name_places(ax.xaxis, values.index)
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.set(xlabel=values.index.name or "", ylabel=ylabel)
    _make_room(ax, (values + spread.fillna(0)).to_numpy())
    if percent:
        percent_ticks(ax.yaxis)
    tidy(ax, grid="y")
    ax.tick_params(axis="x", length=0)
    if len(values.columns) > 1:
        legend_above(ax, bars, [str(column) for column in values.columns])
    place = str(means.index.name or "group")
    return drawn(ax, tidy_means(values, spread, place, ylabel), kind="bars", x=place, y=ylabel, series="quantity")


def means_and_spread(means: pd.DataFrame, stds: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both as floats; without ``stds`` the spread is NaN.

    Raises:
        PlotError: for no means, or stds of other rows or columns.
    """
    if means.empty:
        raise PlotError("no means to draw")
    values = means.astype(float)
    spread = pd.DataFrame(np.nan, values.index, values.columns) if stds is None else stds.astype(float)
    if not (spread.index.equals(values.index) and spread.columns.equals(values.columns)):
        raise PlotError("means and stds need the same rows and columns")
    return values, spread


def tidy_means(values: pd.DataFrame, spread: pd.DataFrame, place: str, quantity: str) -> pd.DataFrame:
    """Both in long form, a row for each mean; without deviations where there are none."""
    frames = {quantity: values, "standard deviation": spread}
    long = [
        frame.set_axis(pd.Index(frame.index.map(str), name=place))
        .rename_axis(columns=None)
        .reset_index()
        .melt(place, var_name="quantity", value_name=name)
        for name, frame in frames.items()
    ]
    return long[0].assign(**{"standard deviation": long[1]["standard deviation"]}).dropna(axis="columns", how="all")


def _texts(values: pd.DataFrame, percent: bool) -> pd.DataFrame:
    """The numbers as they are written, all with the same decimals."""
    shown = 100 * values if percent else values
    decimals = 1 if percent else _decimals(values.to_numpy())
    return shown.map(lambda value: "–" if np.isnan(value) else f"{value:,.{decimals}f}".replace("-", "−"))


def _decimals(values: np.ndarray) -> int:
    """As many as give the largest number three figures and the smallest two, up to four; none for whole numbers."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size or (sizes % 1 == 0).all():
        return 0
    largest, smallest = np.floor(np.log10([sizes.max(), sizes.min()]))
    return int(np.clip(max(2 - largest, 1 - smallest), 0, 4))


def _write_values(ax: Axes, places: np.ndarray, texts: pd.Series, tops: np.ndarray, inches: float) -> None:
    """Each text over its bar's top, upright where the bar (``inches`` wide, about) is narrower than the longest."""
    rotation = 0 if inches > 0.066 * max(5, texts.str.len().max()) else 90
    for place, text, top in zip(places, texts, tops, strict=True):
        ax.annotate(
            text,
            (place, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            rotation=0 if text == "–" else rotation,
        )


def _make_room(ax: Axes, tops: np.ndarray) -> None:
    """Bars stand on 0, with room for the numbers over the highest."""
    highest = np.nanmax(tops, initial=0.0)
    ax.set_ylim(min(0.0, np.nanmin(tops, initial=0.0)), 1.2 * highest if highest > 0 else 1.0)
