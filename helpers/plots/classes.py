"""What a network does with each class: confusion matrices and ROC curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from numpy.typing import NDArray

from helpers.evaluate import RocCurves
from helpers.plots import style
from helpers.plots.style import PlotError, drawn, styled

MOST_NUMBERED = 25
"""Classes up to which the cells of a confusion matrix hold numbers."""
MOST_NAMED = 40
"""Classes up to which rows and columns have names; beyond, class numbers stand at round steps."""
MOST_COUNTED = 12
"""Classes up to which the cells also have room for the counts."""
LONGEST_NAME = 18


@styled
def confusion(
    matrix: NDArray[Any],
    class_names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A confusion matrix as a heat map: per cent of the true class's images; a class without images is left grey.

    Args:
        matrix: (K, K) counts, rows true, columns predicted, as `helpers.evaluate.confusion` gives them.
        class_names: K names. Cells have numbers for up to 25 classes (and counts for up to 12), rows and columns
            have names for up to 40.
        groups: name -> its classes, each class in one of a few groups: rows and columns are ordered by group, with
            lines between the groups and their names at the edges.
    """
    counts, size = np.asarray(matrix), len(class_names)
    if counts.shape != (size, size):
        raise PlotError(f"a confusion matrix of {size} classes has shape {(size, size)}, not {counts.shape}")
    order = [k for members in ({"": range(size)} if groups is None else groups).values() for k in members]
    if sorted(order) != list(range(size)):
        raise PlotError(f"groups hold each of the {size} classes once; these have {len(order)} entries")
    counts, names = counts[np.ix_(order, order)], [str(class_names[k]) for k in order]
    totals = counts.sum(axis=1, keepdims=True)
    values = 100 * np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    width = style.WIDTH if size > 12 else max(3.4, 2.6 + 0.3 * size)  # a few classes need no full page
    ax = style.axes_or_new(ax, width=width, height=0.86 * width)
    # The square root brings out rare mistakes where no numbers show them.
    cell = ax.get_window_extent().width / ax.figure.dpi / size  # inches, about
    numbered = size <= MOST_NUMBERED and cell > 0.165
    norm = Normalize(0, 100) if numbered else PowerNorm(0.5, 0, 100)
    cmap = mpl.colormaps["Blues"].with_extremes(bad=style.LIGHT)
    image = ax.imshow(values, cmap=cmap, norm=norm, interpolation="none")
    style.tidy(ax, grid=None)
    ax.spines[:].set(visible=True, color=style.GREY, linewidth=0.6)
    with_counts, value = size <= MOST_COUNTED and cell > 0.26, "% of the true class's images"
    if not (numbered and style.in_panels(ax)):
        style.colour_bar(image, f"{value}, and how many" if with_counts else value, [ax], fraction=0.04, shrink=0.85)
    _name_classes(ax, names, order, most_named=MOST_NAMED if not style.in_panels(ax) or cell > 0.2 else 0)
    if numbered:
        look = {
            "ha": "center",
            "va": "center",
            "fontsize": style.SMALL if with_counts and cell > 0.33 else 6.5 if with_counts else 6,
            "linespacing": 1,
        }
        for row, column in np.argwhere(np.nan_to_num(values) > 0):  # cells of exactly 0 stay empty
            text = f"{values[row, column]:.0f}" + (f"%\n{counts[row, column]:,}" if with_counts else "")
            ax.text(column, row, text, color="white" if norm(values[row, column]) > 0.55 else "black", **look)
    if groups is not None:
        _draw_groups(ax, groups)
    frame = pd.DataFrame({"true class": np.repeat(names, size), "predicted class": np.tile(names, size)})
    frame[value], frame["images"] = values.ravel(), counts.ravel()
    return drawn(ax, frame, kind="matrix", x="predicted class", y=value, series="true class")


@styled
def roc(curves: RocCurves, class_names: Sequence[str], *, worst: int = 3, ax: Axes | None = None) -> Axes:
    """ROC curves: the micro and the macro average and the classes with the smallest AUC.

    Args:
        curves: as `helpers.evaluate.roc` gives them.
        class_names: K names.
        worst: how many classes; one without a curve is never among them.
    """
    if len(class_names) != len(curves.classes):
        raise PlotError(f"{len(class_names)} class names for the ROC curves of {len(curves.classes)} classes")
    shown = [("micro average", curves.micro), ("macro average", curves.macro)]
    shown += [(str(class_names[k]), curves.classes[k]) for k in curves.worst(worst)]
    ax = style.axes_or_new(ax, height=3.2)
    (chance,) = ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    lines, labels, frames = [], [], []
    for i, (name, curve) in enumerate(shown):
        lines += ax.plot(curve.fpr, curve.tpr, linewidth=1.8 if i < 2 else 1.2, label=name, **style.line_look(i))
        area = f"{curve.auc:.3f}" if np.isfinite(curve.auc) else "not defined"
        labels.append(f"AUC {area}  {style.shortened(name, 28)}")
        points = {"false positive rate": curve.fpr, "true positive rate": curve.tpr}
        frames.append(pd.DataFrame({"curve": f"{name} (AUC {area})", **points}))
    ends = (-0.02, 1.02)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=ends, ylim=ends)
    style.tidy(ax)
    style.legend(ax, [*lines, chance], [*labels, "AUC 0.500  chance"], title="each class against the rest")
    frame = pd.concat(frames, ignore_index=True)
    return drawn(ax, frame, kind="lines", x="false positive rate", y="true positive rate", series="curve")


def _name_classes(ax: Axes, class_names: Sequence[str], order: Sequence[int], *, most_named: int) -> None:
    size = len(class_names)
    unit = "class" if size <= most_named else "class, by number"
    ax.set(xlabel=f"predicted {unit}", ylabel=f"true {unit}")
    if size > most_named:
        places = range(0, size, 1 if size <= MOST_COUNTED else 10 if most_named and size <= 120 else 20)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(places, [str(order[place]) for place in places])
        return
    names = [style.shortened(name, LONGEST_NAME) for name in class_names]
    font = {"fontsize": style.SMALL if size <= MOST_NUMBERED else 6, "parse_math": False}
    ax.set_xticks(range(size), names, rotation=90 if max(map(len, names)) > 4 or size > 12 else 0, **font)
    ax.set_yticks(range(size), names, **font)
    ax.tick_params(length=0)


def _draw_groups(ax: Axes, groups: Mapping[str, Sequence[int]]) -> None:
    """Lines between the groups, their names right of the matrix and above it."""
    ends = np.cumsum([len(members) for members in groups.values()])
    for border in ends[:-1] - 0.5:
        ax.axhline(border, color=style.WARNING, linewidth=1)
        ax.axvline(border, color=style.WARNING, linewidth=1)
    look = {"color": style.WARNING, "fontweight": "bold", "annotation_clip": False, "parse_math": False}
    look["textcoords"] = "offset points"
    for name, start, end in zip(groups, [0, *ends[:-1]], ends, strict=True):
        middle, text = (start + end - 1) / 2, style.shortened(name, LONGEST_NAME)
        ax.annotate(text, (1, middle), (4, 0), xycoords=("axes fraction", "data"), va="center", **look)
        ax.annotate(text, (middle, 1), (0, 3), xycoords=("data", "axes fraction"), ha="center", **look)
