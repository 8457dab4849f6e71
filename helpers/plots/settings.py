"""A quantity against settings of an experiment, such as what was unfrozen."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.bars import means_and_spread, tidy_means
from helpers.plots.ends import label_ends
from helpers.plots.style import axes_or_new, drawn, line_look, name_places, percent_ticks, styled, tidy


@styled
def setting_curves(
    means: pd.DataFrame,
    stds: pd.DataFrame | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "validation accuracy",
    percent: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """One line a column over the settings in the index, evenly spaced, with whiskers of one standard deviation.

    Args:
        means: one row a setting, in order; one column a line. NaN leaves a gap.
        stds: the same rows and columns; NaN or None draws no whisker (a single run has none).
        xlabel: what the settings are.
        ylabel: what the values are.
        percent: the values are shares (0 to 1), shown as per cent.
        ax: where to draw.

    Raises:
        PlotError: for no means, or stds of other rows or columns.
    """
    values, spread = means_and_spread(means, stds)
    ax = axes_or_new(ax, height=2.9)
    places, ends = np.arange(len(values)), []
    for i, column in enumerate(values.columns):
        look = {**line_look(i), "marker": "o", "markersize": 4, "capsize": 3, "elinewidth": 1}
        bars = ax.errorbar(places, values[column].to_numpy(), spread[column].to_numpy(), label=str(column), **look)
        ends.append((str(column), bars.lines[0]))
    length = max(8, 90 // len(means))  # characters that fit beneath a setting
    ax.set_xticks(places, [textwrap.fill(str(setting), length) for setting in means.index], parse_math=False)
    name_places(ax.xaxis, means.index)
    ax.set_xlim(-0.3, len(means) - 0.88)  # the names of the lines stand right of the last places
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if percent:
        percent_ticks(ax.yaxis)
    tidy(ax)
    label_ends(ax, ends)
    place = xlabel or "setting"
    return drawn(ax, tidy_means(values, spread, place, ylabel), kind="lines", x=place, y=ylabel, series="quantity")
