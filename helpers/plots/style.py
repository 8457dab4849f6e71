"""The one look of all figures, and what several of them need: new axes, panels, legends, names as they are written."""

import re
import textwrap
from collections.abc import Collection, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgba
from matplotlib.image import AxesImage
from numpy.typing import NDArray

WIDTH = 6.1
"""Inches: with the margin that saving adds, the 16 cm of a printed page's text, so letters keep their size."""
FONT_SIZE = 8.5
SMALL = 7.5

# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too faint for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
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
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.5,
}
styled = plt.rc_context(STYLE)
"""Decorates a function that draws: in the style, and without a change of matplotlib's settings for its caller."""


def drawn(
    ax: Axes, frame: pd.DataFrame, *, kind: str, x: str, y: str = "", series: str = "", percent: bool = False
) -> Axes:
    """Notes at the Axes what is drawn in it, of which `record.figure` makes the CSV file and the spoken text.

    Args:
        ax: where it is drawn; returned.
        frame: the numbers drawn, unrounded, in long form; the names of its columns are the CSV file's header. A column
            "marked" says what is marked at a place.
        kind: "lines", "points", "bars", "matrix" or "images" (a row for each, with what is written at it).
        x: the column of places (epochs, names, a matrix's columns), of images the column with what they show.
        y: the column of numbers, of images the predicted class.
        series: the column that says which line, bars or row of the matrix a number belongs to.
        percent: the numbers are shares that are shown as per cent.
    """
    ax.workbook = {"frame": frame, "kind": kind, "x": x, "y": y, "series": series, "percent": percent}
    return ax


def line_look(i: int) -> dict[str, Any]:
    """Colour and line style of the i-th line: each colour has a style of its own, another one the second time round."""
    return {"color": PALETTE[i % len(PALETTE)], "linestyle": LINE_STYLES[(i + i // len(PALETTE)) % len(LINE_STYLES)]}


def bar_look(i: int) -> dict[str, Any]:
    """Colour of the i-th kind of bar; every other is pale within its edge, for whoever sees no colours.

    Hatching would tell them apart as well, but PDF viewers show the seams of its tiles.
    """
    colour = PALETTE[i % len(PALETTE)]
    return {"facecolor": to_rgba(colour, 0.25) if i % 2 else colour, "edgecolor": colour, "linewidth": 0.9}


def percent_ticks(axis: Axis) -> None:
    """Shares as per cent, with as many decimals as each needs; more than all there is has no number."""

    def written(share: float, _: int) -> str:
        return f"{100 * share:.4g}\u00a0%" if share < max(1.0001, axis.get_data_interval()[1]) else ""

    axis.set_major_formatter(written)


def axes_or_new(ax: Axes | None, *, height: float, width: float = WIDTH) -> Axes:
    """``ax``, or the axes of a new figure of that size in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


@styled
def panels(
    names: Collection[Any], *, columns: int = 3, pair: bool = False, height: float | None = None
) -> NDArray[np.object_]:
    """The axes of one figure of small panels, one panel for each run, under its name: for runs of one kind.

    The other functions draw into them. Panels have one legend and one colour bar in common, and axis labels only at
    the figure's edges. Trainings, say, take half a page instead of a figure each::

        axes = plots.panels(results, pair=True)
        for result, pair in zip(results.values(), axes, strict=True):
            plots.learning_curves(result, axes=pair)
        record.figure(axes, "curves", f"Loss and accuracy after each epoch. {plots.marks(axes)}")

        axes = plots.panels(matrices, columns=4)
        for matrix, ax in zip(matrices.values(), axes, strict=True):
            plots.confusion(matrix, class_names, ax=ax)
        record.figure(axes, "confusion", "Confusion matrices on the test images.")

    Args:
        names: of the runs, such as a mapping's keys.
        columns: most panels in a row; up to 4 can be read, 5 of matrices of 3 classes.
        pair: for each run two panels, loss above accuracy, for `learning_curves`: all with the same epochs, those of a
            row with the same values.
        height: of a panel in inches; if not given, 1.1 for pairs, and about its width for others.

    Returns:
        (runs,) Axes, with ``pair`` (runs, 2), for `helpers.record.figure`.
    """
    rows, lines = -(-len(names) // columns), 2 if pair else 1
    columns = -(-len(names) // rows)  # 3 + 2 rather than 4 + 1
    width = WIDTH / columns
    height = height or (1.1 if pair else min(0.9 * width, 2.4))
    share = {"sharex": True, "sharey": "row"} if pair else {}
    size = (WIDTH, rows * (lines * height + 0.35) + 0.3)
    figure, grid = plt.subplots(rows * lines, columns, figsize=size, layout="constrained", squeeze=False, **share)
    figure.panels = {}  # the common legend, see `legend`
    # (rows, lines, columns) -> (runs, lines)
    axes = grid.reshape(rows, lines, columns).transpose(0, 2, 1).reshape(-1, lines)
    for ax in axes[len(names) :].ravel():
        ax.remove()
    axes = axes[: len(names)]
    for (i, name), stack in zip(enumerate(names), axes, strict=True):
        for ax in stack:
            # What is hidden here stays hidden whatever is drawn, and is there for those who ask for the name.
            title = wrapped(name, int(width * 13))
            ax.set_title("\n".join(title), pad=15 if pair else 5, parse_math=False, visible=ax is stack[0])
            ax.yaxis.label.set_visible(i % columns == 0)
            ax.xaxis.label.set_visible(ax is stack[-1] and i + columns >= len(names))
            if pair:
                ax.tick_params(labelleft=i % columns == 0, labelbottom=ax is stack[-1])
    return axes if pair else axes[:, 0]


def inches(ax: Axes) -> NDArray[np.float64]:
    """Width and height, about: they are settled when the figure is drawn."""
    return ax.get_window_extent().size / ax.figure.dpi


def in_panels(ax: Axes) -> bool:
    """Whether this is one of `panels`."""
    return hasattr(ax.figure, "panels")


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


def colour_bar(image: AxesImage, label: str) -> None:
    """What the colours of ``image`` mean, beside its axes; of `panels` once for all."""
    figure, axes, where = image.figure, [image.axes], {"fraction": 0.04, "shrink": 0.85}
    if in_panels(image.axes):
        if hasattr(figure, "colours"):
            return
        figure.colours, axes, where = True, figure.axes, {"location": "bottom", "shrink": 0.5, "aspect": 40}
    bar = figure.colorbar(image, ax=axes, pad=0.02, **where)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)


def legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str] | None = None, *, above: bool = False) -> None:
    """A legend right of the axes, or in one or two rows over it, where it covers no data; of `panels` one over all.

    Labels, by default the handles' own, are shown as written, with `$` and a leading `_`, which have no meaning here.
    """
    place: Any = ax
    labels = labels or [handle.get_label() for handle in handles]
    if in_panels(ax):
        place, above = ax.figure, True
        place.panels |= dict(zip(labels, handles, strict=True))
        labels, handles = list(place.panels), list(place.panels.values())
        for earlier in place.legends:
            earlier.remove()
    columns = len(handles) if sum(len(label) + 5 for label in labels) < 85 else (len(handles) + 1) // 2
    over = {"ncols": columns, "loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    if in_panels(ax):
        over = {"ncols": columns, "loc": "outside upper left"}
    beside = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "borderaxespad": 0}
    for text in place.legend(handles, labels, **(over if above else beside)).get_texts():
        text.set_parse_math(False)


def name_places(ax: Axes, names: Collection[Any]) -> None:
    """Writes names below the places 0, 1, …, in as many lines as they need."""
    length = max(6, int(18 * inches(ax)[0] / len(names)))
    ax.set_xticks(range(len(names)), ["\n".join(wrapped(name, length)) for name in names], parse_math=False)


class _Wrapper(textwrap.TextWrapper):
    """Breaks lines after "/", "-" and "_", too, and at no blank that forbids it."""

    wordsep_re = re.compile(r"([^\S\u00a0]+|(?<=[/_-])(?=\w))")


def wrapped(name: Any, length: int, most: int | None = None) -> list[str]:
    """The name in lines of ``length`` letters, shortened where it needs more than ``most`` lines."""
    lines, kept = _Wrapper(length).wrap(str(name)), len(str(name))
    while most is not None and len(lines) > most:
        kept -= 1
        lines = _Wrapper(length).wrap(shortened(name, kept))
    return lines or [""]


def shortened(name: Any, length: int) -> str:
    """The name, cut to ``length`` letters with an ellipsis within: names often differ in their ends."""
    text, end = str(name), length // 3
    return text if len(text) <= length else f"{text[: length - 1 - end].rstrip()}…{text[len(text) - end :].lstrip()}"
