"""What a network does with each class: confusion matrices and ROC curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers import WorkbookError
from helpers.phrases import set_apart
from helpers.plots import style
from helpers.plots.style import drawn, styled

MOST_SHOWN = 25
"""Classes up to which each has its AUC."""
LONGEST_NAME = 18


@styled
def confusion(matrix: NDArray[Any], class_names: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """A confusion matrix as a heat map: per cent of the true class's images; a class without images is left grey.

    Args:
        matrix: (K, K) counts, rows true, columns predicted, as `helpers.evaluate.confusion` gives them.
        class_names: K names. Where cells have room they hold numbers (in a figure of its own for up to 28 classes) and
            counts (up to 12), and rows and columns have names (up to 41), else class numbers at round steps.
    """
    counts, size = np.asarray(matrix), len(class_names)
    if counts.shape != (size, size):
        raise WorkbookError(f"a confusion matrix of {size} classes has shape {(size, size)}, not {counts.shape}")
    totals, names = counts.sum(axis=1, keepdims=True), [str(name) for name in class_names]
    values = 100 * np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    width = style.WIDTH if size > 12 else max(3.4, 2.6 + 0.3 * size)  # a few classes need no full page
    ax = style.axes_or_new(ax, width=width, height=0.86 * width)
    least = 0.2 if style.in_panels(ax) else 0.115  # inches, for a name
    cell, value = style.inches(ax)[0] / size, "% of the true class's images"
    numbered, with_counts, named = cell > 0.165, size <= 12 and cell > 0.26, cell > least
    # The square root brings out rare mistakes where no numbers show them.
    norm = Normalize(0, 100) if numbered else PowerNorm(0.5, 0, 100)
    cmap = mpl.colormaps["Blues"].with_extremes(bad=style.LIGHT)
    image = ax.imshow(values, cmap=cmap, norm=norm, interpolation="none")
    style.tidy(ax, grid=None)
    ax.spines[:].set(visible=True, color=style.GREY, linewidth=0.6)
    if not (numbered and style.in_panels(ax)):
        style.colour_bar(image, value)
    if named:
        labels = [style.shortened(name, LONGEST_NAME) for name in names]
        font = {"fontsize": min(style.SMALL, max(6, 40 * cell)), "parse_math": False}
        ax.set_xticks(range(size), labels, rotation=90 if max(map(len, labels)) > 4 else 0, **font)
        ax.set_yticks(range(size), labels, **font)
    else:
        most = 6 if size > 12 and style.in_panels(ax) else 12
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
    ax.tick_params(length=0)
    unit = "class" if named else "class, by number"
    ax.set(xlabel=f"predicted {unit}", ylabel=f"true {unit}")
    look = {"ha": "center", "va": "center", "linespacing": 1, "fontsize": min(style.SMALL, max(6, 24 * cell))}
    for row, column in np.argwhere(np.nan_to_num(values) > 0) if numbered else ():  # cells of exactly 0 stay empty
        text = f"{values[row, column]:.0f}" + (f"\u202f%\n{counts[row, column]:,}" if with_counts else "")
        ax.text(column, row, text, color="white" if norm(values[row, column]) > 0.55 else "black", **look)
    frame = pd.DataFrame({"true class": np.repeat(names, size), "predicted class": np.tile(names, size)})
    frame[value], frame["images"] = values.ravel(), counts.ravel()
    return drawn(ax, frame, kind="matrix", x="predicted class", y=value, series="true class")


@styled
def auc(curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """The areas under the ROC curves of some networks, class by class, as points with their 95 % intervals.

    Of more than 25 classes those are shown whose areas are the smallest.

    Args:
        curves: network -> what `helpers.evaluate.roc` gives for it, all on the same images.
    """
    areas = pd.DataFrame({network: found["auc"].to_numpy() for network, found in curves.items()})
    shown = np.sort(areas.mean(axis=1).sort_values(kind="stable").index[:MOST_SHOWN])
    step = 0.7 / len(curves)
    ax = style.axes_or_new(ax, height=0.9 + len(shown) * max(0.2, 0.09 * len(curves) + 0.05))
    points, frames = [], []
    for i, (network, found) in enumerate(curves.items()):
        low, middle, high = found[["low", "auc", "high"]].to_numpy()[shown].T
        places = np.arange(len(shown)) + (i - (len(curves) - 1) / 2) * step
        look = {"fmt": "os^Dv"[i % 5], "color": style.PALETTE[i % len(style.PALETTE)], "markersize": 4, "elinewidth": 1}
        points.append(ax.errorbar(middle, places, xerr=[middle - low, high - middle], **look))
        names = [str(name) for name in found.index[shown]]
        columns = {"network": str(network), "AUC": middle, "lowest": low, "highest": high}
        frames.append(pd.DataFrame({"class": names, **columns}))
    ax.set_yticks(range(len(shown)), [style.shortened(name, 24) for name in names], parse_math=False)
    ax.set(ylim=(len(shown) - 0.5, -0.5), xlabel="area under the ROC curve (AUC)")
    style.tidy(ax, grid="x", no_ticks="y")
    means = [f"{network} (mean {found['auc'].mean():.3f})" for network, found in curves.items()]
    style.legend(ax, points, means, above=True)
    return drawn(ax, pd.concat(frames, ignore_index=True), kind="points", x="class", y="AUC", series="network")


@styled
def roc(curves: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """ROC curves: the three classes with the smallest AUC and, thick, the mean over all classes.

    The mean is that of the true positive rates, interpolated at the same false positive rates; its AUC is the mean of
    the classes' AUCs. Where it is over 0.9, the axis of the false positive rate is logarithmic: curves that lie in one
    corner differ only there.

    Args:
        curves: as `helpers.evaluate.roc` gives them. Undefined ones are left out.
    """
    curves = curves.dropna(subset="auc")
    rates, mean = np.linspace(0, 1, 1001), curves["auc"].mean()
    at_rates = [np.interp(rates, curve.fpr, curve.tpr) for curve in curves.itertuples()]
    # Every curve starts at (0, 0), also one that rises at once.
    points = (np.r_[0, rates], np.r_[0, np.mean(at_rates, axis=0)]) if at_rates else (np.empty(0), np.empty(0))
    smallest = curves.sort_values("auc", kind="stable")[["auc", "fpr", "tpr"]][:3]
    shown = [("mean of all classes", mean, *points), *smallest.itertuples(name=None)]
    ax = style.axes_or_new(ax, height=2.9)
    start = min((fpr[fpr > 0].min() for _, _, fpr, _ in shown if len(fpr)), default=0)
    (chance,) = ax.plot(rates, rates, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    lines, labels, frames = [], [], []
    for i, (name, area, fpr, tpr) in enumerate(shown):
        # On a logarithmic axis there is no 0: what is found without a false alarm stands at its left end.
        places = np.maximum(fpr, start) if mean > 0.9 else fpr
        lines += ax.plot(places, tpr, linewidth=1.2 if i else 2, label=str(name), **style.line_look(i))
        said = f"AUC {area:.3f}" if np.isfinite(area) else "AUC not defined"
        labels.append(f"{said}  {set_apart(style.shortened(name, 28))}")
        rows = {"false positive rate": fpr, "true positive rate": tpr}
        frames.append(pd.DataFrame({"curve": f"{name} ({said})", **rows}))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    if mean > 0.9:
        ax.set(xscale="log", xlim=(start, 1))
    style.tidy(ax)
    if not style.in_panels(ax):
        style.legend(ax, [*lines, chance], [*labels, "AUC 0.500  chance"])
    frame = pd.concat(frames, ignore_index=True)
    return drawn(ax, frame, kind="lines", x="false positive rate", y="true positive rate", series="curve")
