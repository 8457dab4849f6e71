"""What a network does with each class: confusion matrices and ROC curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from helpers.evaluate import RocCurve, RocCurves
from helpers.plots.style import (
    FONT_SIZE,
    GREY,
    LIGHT,
    SMALL,
    WARNING,
    WIDTH,
    PlotError,
    axes_or_new,
    drawn,
    legend_beside,
    line_look,
    note_numbers,
    shortened,
    styled,
    tidy,
)

MOST_NUMBERED = 25
"""Classes up to which the cells of a confusion matrix hold numbers."""
MOST_NAMED = 40
"""Classes up to which rows and columns have names; beyond, class numbers stand at round steps."""
FEW_GROUPS = 3
"""Groups whose names stand above the matrix, too."""
MOST_COUNTED = 12
"""Classes up to which the cells also have room for the counts."""
LONGEST_NAME = 18


@styled
def confusion(
    matrix: NDArray[Any],
    class_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    normalize: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """A confusion matrix as a heat map.

    Args:
        matrix: (K, K) counts, rows true, columns predicted, as `helpers.evaluate.confusion` gives them.
        class_names: K names. Cells have numbers for up to 25 classes, rows and columns have names for up to 40.
        groups: name -> its classes, each class in one of them: rows and columns are ordered by group, with lines
            between the groups and their names at the edges.
        normalize: colours and numbers are per cent of the true class's images; up to 12 classes the counts stand below
            them. Else both are counts. A class without images is left grey.
        ax: where to draw.

    Raises:
        PlotError: for a matrix that is not (K, K) with K class names, or groups that miss a class or share one.
    """
    counts = np.asarray(matrix)
    size = len(class_names)
    if counts.shape != (size, size):
        raise PlotError(f"a confusion matrix of {size} classes has shape {(size, size)}, not {counts.shape}")
    order = _order(groups, size)
    counts, names = counts[np.ix_(order, order)], [str(class_names[k]) for k in order]
    values = _row_percentages(counts) if normalize else counts.astype(float)
    ax = axes_or_new(ax, width=_matrix_width(size), height=0.86 * _matrix_width(size))
    image = ax.imshow(values, cmap=_cmap(), norm=_norm(values, size, normalize), interpolation="none")
    rows, columns = np.repeat(names, size), np.tile(names, size)
    note_numbers(ax, kind="cell", row=rows, column=columns, value=values, count=counts)
    tidy(ax, grid=None)
    ax.spines[["top", "right"]].set_visible(True)
    ax.spines[:].set(color=GREY, linewidth=0.6)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02, shrink=0.85)
    counted = normalize and size <= MOST_COUNTED
    share = f"% of the true class's images{', and how many' * counted}"
    bar.set_label(share if normalize else "images", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    _name_classes(ax, names, order)
    if size <= MOST_NUMBERED:
        _write_cells(ax, image, values, counts if counted else None)
    if groups is not None:
        _draw_groups(ax, groups)
    value = "% of the true class's images" if normalize else "images"
    frame = pd.DataFrame({"true class": rows, "predicted class": columns, value: values.ravel()})
    frame["images"] = counts.ravel()
    return drawn(ax, frame, kind="matrix", x="predicted class", y=value, series="true class")


@styled
def roc(curves: RocCurves, class_names: Sequence[str], *, worst: int = 3, ax: Axes | None = None) -> Axes:
    """ROC curves: the micro and the macro average and the classes with the smallest AUC.

    Args:
        curves: as `helpers.evaluate.roc` gives them.
        class_names: K names.
        worst: how many classes; one without a curve is never among them.
        ax: where to draw.

    Raises:
        PlotError: for a wrong number of class names.
    """
    if len(class_names) != len(curves.classes):
        raise PlotError(f"{len(class_names)} class names for the ROC curves of {len(curves.classes)} classes")
    shown = {"micro average": curves.micro, "macro average": curves.macro}
    entries: list[tuple[str, RocCurve]] = list(shown.items())
    entries += [(class_names[k], curves.classes[k]) for k in curves.worst(worst)]
    ax = axes_or_new(ax, height=3.2)
    (chance,) = ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), label="chance")
    lines = []
    for i, (label, curve) in enumerate(entries):
        lines += ax.plot(curve.fpr, curve.tpr, linewidth=1.8 if i < 2 else 1.2, **line_look(i))
        lines[-1].set_label(str(label))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    tidy(ax)
    areas = [f"{curve.auc:.3f}" if np.isfinite(curve.auc) else "not defined" for _, curve in entries]
    labels = [f"AUC {area}  {shortened(label, 28)}" for (label, _), area in zip(entries, areas, strict=True)]
    legend = legend_beside(ax, [*lines, chance], [*labels, "AUC 0.500  chance"])
    legend.set_title("each class against the rest", prop={"size": SMALL})
    parts = [
        {"curve": f"{label} (AUC {area})", "false positive rate": curve.fpr, "true positive rate": curve.tpr}
        for (label, curve), area in zip(entries, areas, strict=True)
    ]
    frame = pd.concat(map(pd.DataFrame, parts), ignore_index=True)
    return drawn(ax, frame, kind="lines", x="false positive rate", y="true positive rate", series="curve")


def _order(groups: Mapping[str, Sequence[int]] | None, size: int) -> NDArray[np.int64]:
    """The classes in the order of their groups."""
    if groups is None:
        return np.arange(size)
    order = np.array([k for members in groups.values() for k in members], dtype=np.int64)
    if sorted(order) != list(range(size)):
        raise PlotError(f"groups hold each of the {size} classes once; these have {len(order)} entries")
    return order


def _row_percentages(counts: NDArray[Any]) -> NDArray[np.float64]:
    totals = counts.sum(axis=1, keepdims=True).astype(float)
    return 100 * np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def _matrix_width(size: int) -> float:
    """Inches: a few classes need no full page."""
    return WIDTH if size > 12 else max(3.4, 2.6 + 0.3 * size)


def _cmap() -> mpl.colors.Colormap:
    return mpl.colormaps["Blues"].with_extremes(bad=LIGHT)


def _norm(values: NDArray[np.float64], size: int, normalize: bool) -> Normalize:
    """From 0 to 100 % or the largest count. The square root brings out rare mistakes where no numbers show them."""
    top = 100.0 if normalize else max(1.0, float(np.nanmax(values)))
    return Normalize(0, top) if size <= MOST_NUMBERED else PowerNorm(0.5, 0, top)


def _name_classes(ax: Axes, class_names: Sequence[str], order: NDArray[np.int64]) -> None:
    size = len(class_names)
    unit = "class" if size <= MOST_NAMED else "class, by number"
    ax.set(xlabel=f"predicted {unit}", ylabel=f"true {unit}")
    if size > MOST_NAMED:
        step = 10 if size <= 120 else 20
        places = range(0, size, step)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(places, [str(order[place]) for place in places])
        return
    names = [shortened(name, LONGEST_NAME) for name in class_names]
    font = {"fontsize": SMALL if size <= MOST_NUMBERED else 6, "parse_math": False}
    upright = max(map(len, names)) > 4 or size > 12
    turned = {"rotation": 90} if upright else {}
    ax.set_xticks(range(size), names, **font, **turned)
    ax.set_yticks(range(size), names, **font)
    ax.tick_params(length=0)


def _write_cells(
    ax: Axes, image: AxesImage, values: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> None:
    """The numbers, with the counts below them if given, in white on dark cells; cells of exactly 0 stay empty."""
    size = SMALL if len(values) <= MOST_COUNTED else 6
    for row, column in np.argwhere(np.nan_to_num(values) > 0):
        text = f"{values[row, column]:.0f}" + ("" if counts is None else f"%\n{counts[row, column]:,}")
        colour = "white" if image.norm(values[row, column]) > 0.55 else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1)


def _draw_groups(ax: Axes, groups: Mapping[str, Sequence[int]]) -> None:
    """Lines between the groups; their names right of the matrix and, where they are few, above it too."""
    ends = np.cumsum([len(members) for members in groups.values()])
    few = len(groups) <= FEW_GROUPS
    for border in ends[:-1] - 0.5:
        ax.axhline(border, color=WARNING, linewidth=1 if few else 0.5)
        ax.axvline(border, color=WARNING, linewidth=1 if few else 0.5)
    style = {"color": WARNING, "fontweight": "bold", "annotation_clip": False, "parse_math": False}
    style |= {"textcoords": "offset points", "fontsize": FONT_SIZE if few else 6}
    for name, start, end in zip(groups, [0, *ends[:-1]], ends, strict=True):
        middle = (start + end - 1) / 2
        beside = {"xytext": (4, 0), "xycoords": ("axes fraction", "data"), "va": "center"}
        ax.annotate(shortened(name, LONGEST_NAME), (1, middle), **beside, **style)
        if few:
            above = {"xytext": (0, 3), "xycoords": ("data", "axes fraction"), "ha": "center"}
            ax.annotate(shortened(name, LONGEST_NAME), (middle, 1), **above, **style)
