"""The one look of all figures, and what several of them need: new axes, legends, names as they are written."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

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
BORDER = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (2, 2))}

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
styled = plt.rc_context(STYLE)
"""Decorates a function that draws: in the style, and without a change of matplotlib's settings for its caller."""

MOST_NAMED = 6
"""Lines up to which names stand at their ends."""


class PlotError(WorkbookError):
    """Numbers that cannot be drawn as they were given."""


def drawn(ax: Axes, frame: pd.DataFrame, *, kind: str, x: str = "", y: str = "", series: str = "") -> Axes:
    """Notes at the Axes what is drawn in it, of which `record.figure` makes the CSV file and the spoken text.

    Args:
        ax: where it is drawn; returned.
        frame: the numbers drawn, unrounded, in long form; the names of its columns are the CSV file's header. A column
            "marked" says what is marked at a place.
        kind: "lines", "points", "bars", "matrix" or "images" (a row for each, with what is written at it).
        x: the column of places (epochs, names, a matrix's columns), of images the column with what they show.
        y: the column of numbers, of images the predicted class.
        series: the column that says which line, bars or row of the matrix a number belongs to.
    """
    ax.workbook = {"frame": frame, "kind": kind, "x": x, "y": y, "series": series}
    return ax


def line_look(i: int) -> dict[str, Any]:
    """Colour and line style of the i-th line: each colour has a style of its own, another one the second time round."""
    return {"color": PALETTE[i % len(PALETTE)], "linestyle": LINE_STYLES[(i + i // len(PALETTE)) % len(LINE_STYLES)]}


def bar_look(i: int) -> dict[str, Any]:
    """Colour and hatching of the i-th kind of bar."""
    look = {"color": PALETTE[i % len(PALETTE)], "hatch": HATCHES[i % len(HATCHES)]}
    return {**look, "edgecolor": "white", "linewidth": 0.3}


def percent_ticks(axis: Axis) -> None:
    """Shares as per cent, with as many decimals as each needs."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")


def axes_or_new(ax: Axes | None, *, height: float, width: float = WIDTH) -> Axes:
    """``ax``, or the axes of a new figure of that size in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def tidy(ax: Axes, *, grid: str | None = "both", no_ticks: str | None = None) -> None:
    """Small tick labels and a light grid ("x", "y", "both" or None) behind the data; names without tick marks.

    Said for each axes: matplotlib makes ticks only when it draws, when the style no longer applies.
    """
    ax.tick_params(labelsize=SMALL, length=3)
    if no_ticks is not None:
        ax.tick_params(axis=no_ticks, length=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(False)
    if grid is not None:
        ax.grid(True, axis=grid, color=LIGHT, linewidth=0.6)


def colour_bar(image: AxesImage, label: str, axes: Sequence[Axes], **where: Any) -> None:
    """What the colours of ``image`` mean, beside the axes."""
    bar = image.figure.colorbar(image, ax=axes, pad=0.02, **where)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)


def legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], *, above: bool = False, title: str = "") -> None:
    """A legend right of the axes, or in one or two rows over it, where it covers no data.

    Labels are shown as written, with `$` and a leading `_`, which matplotlib gives a meaning.
    """
    columns = len(handles) if sum(len(label) + 5 for label in labels) < 85 else (len(handles) + 1) // 2
    over = {"ncols": columns, "loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    beside = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "borderaxespad": 0}
    made = ax.legend(handles, ["-"] * len(handles), **(over if above else beside))
    made.set_title(title or None, prop={"size": SMALL})
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)


def name_lines(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Writes the lines' labels, when all else is drawn: right of where they end, if a few lines end together.

    The names are moved apart, in the order of the ends; a dotted leader, which nobody takes for data, goes to one that
    is away from its line. More lines, or lines that end at different places, have a legend.
    """
    points = {line: line.get_xydata()[np.isfinite(line.get_xydata()).all(axis=1)] for line in lines}
    ends = np.array([points[line][-1] for line in lines if len(points[line])])
    if not 0 < len(ends) == len(lines) <= MOST_NAMED or len(set(ends[:, 0])) > 1:
        legend(ax, lines, [line.get_label() for line in lines])
        return
    ax.get_ylim()  # settles the limits, on which the transform depends
    heights = (ax.transData + ax.transAxes.inverted()).transform(ends)[:, 1]
    line_height = FONT_SIZE / (ax.get_window_extent().height * 72 / ax.figure.dpi)
    order, places, step = np.argsort(heights, kind="stable"), heights.copy(), 1.3 * line_height
    for lower, upper in pairwise(order):
        places[upper] = max(places[upper], places[lower] + step)
    places[order[-1]] = min(places[order[-1]], 1)
    for upper, lower in pairwise(order[::-1]):
        places[lower] = min(places[lower], places[upper] - step)
    leader = {"arrowstyle": "-", "color": "#888888", "linestyle": (0, (1, 2)), "linewidth": 0.8}
    leader |= {"relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3}
    for line, end, height, place in zip(lines, ends, heights, places, strict=True):
        ax.annotate(
            line.get_label(),
            end,
            (14, place),
            textcoords=("offset points", "axes fraction"),
            arrowprops=leader if abs(place - height) > line_height / 3 else None,
            color=line.get_color(),
            va="center",
            annotation_clip=False,
            parse_math=False,
        )


def shortened(name: Any, length: int) -> str:
    """The name, cut to ``length`` letters with an ellipsis."""
    text = str(name)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
