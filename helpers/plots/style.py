"""The one look of all figures, and what several of them need: new axes, legends, names as they are written."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.legend import Legend

from helpers import WorkbookError

WIDTH = 6.1
"""Inches: with the margin that saving adds, the 16 cm of a printed page's text, so letters keep their size."""

FONT_SIZE = 8.5
SMALL = 7.5

# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too faint for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----", "||||", "++++")
WARNING = PALETTE[1]
GREY = "#666666"
LIGHT = "#DDDDDD"

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, has Persian and Arabic letters
    "font.size": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.facecolor": "white",  # not transparent: black letters stay readable on a dark page
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "path",  # letters as outlines look the same on every machine
    "svg.hashsalt": "workbook",  # the same figure gives the same bytes
    "pdf.fonttype": 42,
}


class PlotError(WorkbookError):
    """Numbers that cannot be drawn as they were given."""


def use_style() -> None:
    """Applies the style to everything drawn from here on, a notebook's own figures included."""
    plt.rcParams.update(STYLE)


P = ParamSpec("P")
R = TypeVar("R")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Lets ``function`` draw in the style without changing matplotlib's settings for its caller."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with plt.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def line_look(i: int) -> dict[str, Any]:
    """Colour and line style of the i-th line: each colour has a style of its own, another one the second time round."""
    return {"color": PALETTE[i % len(PALETTE)], "linestyle": LINE_STYLES[(i + i // len(PALETTE)) % len(LINE_STYLES)]}


def bar_look(i: int) -> dict[str, Any]:
    """Colour and hatching of the i-th kind of bar."""
    return {
        "color": PALETTE[i % len(PALETTE)],
        "hatch": HATCHES[i % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.3,
    }


def percent_ticks(axis: Axis) -> None:
    """Shares as per cent, with as many decimals as each needs."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")


def axes_or_new(ax: Axes | None, *, height: float, width: float = WIDTH) -> Axes:
    """``ax``, or the axes of a new figure of that size in inches."""
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def tidy(ax: Axes, *, grid: str | None = "both") -> None:
    """Small tick labels and a light grid ("x", "y", "both" or None) behind the data.

    Said for each axes: matplotlib makes ticks only when it draws, when the style no longer applies.
    """
    ax.tick_params(labelsize=SMALL, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(False)
    if grid is not None:
        ax.grid(True, axis=grid, color=LIGHT, linewidth=0.6)


def literal_legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], **where: Any) -> Legend:
    """A legend whose labels are shown as written, with `$` and a leading `_`, which matplotlib gives a meaning."""
    legend = ax.legend(handles, ["-"] * len(handles), **where)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    return legend


def legend_above(ax: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> Legend:
    """A legend in one or two rows over the axes, where it covers no data."""
    columns = len(handles) if sum(len(label) + 5 for label in labels) < 85 else (len(handles) + 1) // 2
    return literal_legend(
        ax, handles, labels, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2
    )


def legend_beside(ax: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> Legend:
    """A legend right of the axes, where it covers no data."""
    return literal_legend(ax, handles, labels, loc="center left", bbox_to_anchor=(1.02, 0.5), borderaxespad=0)


def name_places(axis: Axis, names: Sequence[Any]) -> None:
    """Notes what the places 0, 1, 2 … of an axis are called in full, as tick labels may be cut or leave some out.

    `helpers.report.figure_data` writes these names beside the numbers of a figure.
    """
    axis.full_names = [str(name) for name in names]


def note_numbers(ax: Axes, *, kind: str, **columns: Any) -> None:
    """Notes the numbers that the pictures and texts in the axes stand for, where these don't hold them as they are.

    `helpers.report.figure_data` writes them as rows of the figure's CSV file.

    Args:
        ax: where they are drawn.
        kind: what a row is: "cell" of a heat map or of numbers in a grid, "picture" with its predicted class.
        columns: name -> a list or an array with as many entries as there are rows, or one text for all rows.
    """
    values = {name: each if isinstance(each, str) else np.ravel(each).tolist() for name, each in columns.items()}
    ax.numbers_behind = {"kind": kind, **values}


def name_pictures(ax: Axes, names: Sequence[Any]) -> None:
    """Notes what the pictures in the axes are called in full, for the text that is read aloud in place of them."""
    ax.picture_names = [str(name) for name in names]


def drawn(ax: Axes, frame: pd.DataFrame, *, kind: str, x: str = "", y: str = "", series: str = "") -> Axes:
    """Notes at the Axes what is drawn in it, of which `record.figure` makes the CSV file and the spoken text.

    Args:
        ax: where it is drawn; returned.
        frame: the numbers drawn, unrounded, in long form; the names of its columns are the CSV file's header.
        kind: "lines", "points", "bars", "matrix" or "images" (a row for each, with what is written at it).
        x: the column of places (epochs, names, a matrix's columns), of images the column with what they show.
        y: the column of numbers, of images the predicted class.
        series: the column that says which line, bars or row of the matrix a number belongs to.
    """
    ax.workbook = {"frame": frame, "kind": kind, "x": x, "y": y, "series": series}
    return ax


def shortened(name: Any, length: int) -> str:
    """The name, cut to ``length`` letters with an ellipsis."""
    text = str(name)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def points_high(ax: Axes) -> float:
    """Height of the axes in points."""
    return ax.get_window_extent().height * 72 / ax.figure.dpi
