"""Bars: one group of numbers beside another."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from helpers import WorkbookError
from helpers.phrases import with_minus
from helpers.plots import style
from helpers.plots.style import drawn, styled


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
    """
    values, spread = means_and_spread(means, stds)
    ax = style.axes_or_new(ax, height=2.9)
    width, texts, bars = 0.82 / len(values.columns), _texts(values, percent), []
    # Upright where a bar (as wide as this, in inches, about) is narrower than the longest number.
    narrow = width * 1.3 * style.inches(ax)[0] / len(values) <= 0.066 * max(5, texts.map(len).to_numpy().max())
    for i, column in enumerate(values):
        places = np.arange(len(values)) + (i - (len(values.columns) - 1) / 2) * width
        whiskers = spread[column].where(spread[column] > 0)
        error = {"yerr": whiskers, "error_kw": {"ecolor": "black", "elinewidth": 0.9, "capsize": 2.5}}
        bars.append(ax.bar(places, values[column], width=width, **error, **style.bar_look(i)))
        tops = (values[column].fillna(0) + whiskers.fillna(0)).clip(lower=0)
        over = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": style.SMALL}
        for text, place, top in zip(texts[column], places, tops, strict=True):
            ax.annotate(text, (place, top), (0, 3), rotation=90 if narrow and text != "–" else 0, **over)
    style.name_places(ax, values.index)
    ax.set(xlim=(-0.5, len(values) - 0.5), xlabel=values.index.name or "", ylabel=ylabel)
    # Bars stand on 0, with room for the numbers over the highest.
    ends = (values + spread.fillna(0)).to_numpy()
    ax.set_ylim(min(0.0, np.nanmin(ends, initial=0.0)), 1.2 * np.nanmax(ends, initial=0.0) or 1.0)
    if percent:
        style.percent_ticks(ax.yaxis)
    style.tidy(ax, grid="y", no_ticks="x")
    if len(values.columns) > 1:
        style.legend(ax, bars, [str(column) for column in values], above=True)
    place = str(values.index.name or "group")
    frame = tidy_means(values, spread, place, ylabel)
    return drawn(ax, frame, kind="bars", x=place, y=ylabel, series="quantity", percent=percent)


def means_and_spread(means: pd.DataFrame, stds: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both as floats; without ``stds`` the spread is NaN. They need the same rows and columns."""
    values = means.astype(float)
    spread = values * np.nan if stds is None else stds.astype(float)
    if not (spread.index.equals(values.index) and spread.columns.equals(values.columns)):
        raise WorkbookError("means and stds need the same rows and columns")
    return values, spread


def tidy_means(values: pd.DataFrame, spread: pd.DataFrame, place: str, quantity: str) -> pd.DataFrame:
    """Both in long form, a row for each mean; without deviations where there are none."""
    named = values.set_axis([str(name) for name in values.index]).rename_axis(index=place, columns=None)
    frame = named.reset_index().melt(place, var_name="quantity", value_name=quantity)
    if spread.notna().any(axis=None):
        frame["standard deviation"] = spread.to_numpy().T.ravel()
    return frame


def _texts(values: pd.DataFrame, percent: bool) -> pd.DataFrame:
    """The numbers as they are written, all with the same decimals."""
    shown = 100 * values if percent else values
    decimals = 1 if percent else _decimals(values.to_numpy())
    return shown.map(lambda value: "–" if np.isnan(value) else with_minus(f"{value:,.{decimals}f}"))


def _decimals(values: np.ndarray) -> int:
    """As many as give the largest number three figures and the smallest two, up to four; none for whole numbers."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size or (sizes % 1 == 0).all():
        return 0
    largest, smallest = np.floor(np.log10([sizes.max(), sizes.min()]))
    return int(np.clip(max(2 - largest, 1 - smallest), 0, 4))
