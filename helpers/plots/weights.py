"""What training changes in a network's weights."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from helpers.plots.style import (
    FONT_SIZE,
    GREY,
    LIGHT,
    PALETTE,
    SMALL,
    WARNING,
    WIDTH,
    PlotError,
    axes_or_new,
    drawn,
    name_places,
    note_numbers,
    percent_ticks,
    shortened,
    styled,
    tidy,
)

MOST_KERNELS = 8


@styled
def head_row_change(
    changes: ArrayLike,
    *,
    border: int | None = None,
    border_labels: tuple[str, str] = ("old rows", "new rows"),
    ylabel: str = "relative change",
    ax: Axes | None = None,
) -> Axes:
    """How much each row of a head changed: a bar for each row, and what holds for each side of the border.

    The bars of the two sides are two series, named as the sides are.

    Args:
        changes: (rows,) not negative, such as the L2 norm of each row's change over that of the row before.
        border: the first new row: a line is drawn before it.
        border_labels: names of the two sides; each is followed by the median of its rows, or "exactly 0".
        ylabel: what the changes are.
        ax: where to draw.

    Raises:
        PlotError: for other shapes, negative or non-finite changes, or a border outside the rows.
    """
    values = np.asarray(changes, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or values.min() < 0:
        raise PlotError("changes are finite numbers from 0 on, of shape (rows,)")
    if border is not None and not 0 < border < len(values):
        raise PlotError(f"the border stands before a row from 1 to {len(values) - 1}, not before {border}")
    ax = axes_or_new(ax, height=2.2)
    rows = np.arange(len(values))
    if border is None:
        ax.bar(rows, values, width=0.8, color=PALETTE[0])
    ax.set(xlabel="row of the head (class)", ylabel=ylabel, xlim=(-0.5, len(values) - 0.5))
    ax.set_ylim(0, 1.05 * values.max() if values.any() else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(ax, grid="y")
    if border is not None:
        ax.axvline(border - 0.5, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
        halves = ((rows < border, PALETTE[0], 0.0, "left"), (rows >= border, PALETTE[1], 1.0, "right"))
        for label, (half, colour, x, side) in zip(border_labels, halves, strict=True):
            text = f"{half.sum()} {label}: {_middle(values[half])}"
            ax.bar(rows[half], values[half], width=0.8, color=colour, label=label)
            ax.annotate(
                text, (x, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points", color=colour, ha=side
            )
    row = "row of the head (class)"
    frame = pd.DataFrame({row: rows, ylabel: values})
    if border is not None:
        frame.insert(1, "rows", np.where(rows < border, *border_labels))
    return drawn(ax, frame, kind="bars", x=row, y=ylabel, series="" if border is None else "rows")


@styled
def layer_change(
    changes: pd.Series | dict[str, float], *, xlabel: str = "relative change", ax: Axes | None = None
) -> Axes:
    """How much each layer changed, in per cent on a logarithmic scale, the first layer on top; no change is a "0".

    A dot for each layer, and no bar: on such a scale a bar's length would say nothing.

    Args:
        changes: layer -> change as a share, not negative; NaN where it is not defined, which is shown as "–".
        xlabel: what the changes are.
        ax: where to draw.

    Raises:
        PlotError: for no layers, or negative or infinite changes.
    """
    series = pd.Series(changes, dtype=float)
    values = series.to_numpy()
    if not len(values) or np.isinf(values).any() or (values < 0).any():
        raise PlotError("changes are finite numbers from 0 on, one a layer, at least one layer")
    ax = axes_or_new(ax, height=0.6 + 0.17 * len(values))
    low, high = _decades(values)
    rows = np.arange(len(values))
    ax.set(xscale="log", xlim=(low, high))  # first: a scale chosen for zeros alone would be an error
    ax.plot(values, rows, "o", color=PALETTE[0], markersize=4)
    for row, value in zip(rows, values, strict=True):
        place = value if value > 0 else low
        ax.annotate(
            _percent(value), (place, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=SMALL
        )
    ax.set(ylim=(len(values) - 0.5, -0.5), xlabel=f"{xlabel} (logarithmic scale)", ylabel="layer")
    ax.set_yticks(rows, [shortened(name, 30) for name in series.index], parse_math=False)
    name_places(ax.yaxis, series.index)
    percent_ticks(ax.xaxis)
    tidy(ax)
    ax.tick_params(axis="y", length=0)
    ax.minorticks_off()
    if not values[values > 0].size:
        ax.set_xticks([])
    frame = pd.DataFrame({"layer": series.index.map(str), xlabel: values})
    return drawn(ax, frame, kind="points", x="layer", y=xlabel)


@styled
def weights(
    before: torch.Tensor, after: torch.Tensor, *, name: str = "", border: int | None = None
) -> NDArray[np.object_]:
    """One weight tensor before and after training, and their difference, on one colour scale.

    A small difference is shown 2, 5, 10, 20 … times as large, within the scale, and its title says so. What is noted
    for the figure's CSV file is the difference as it is.

    Args:
        before: a head's matrix (rows, columns), or a convolution's kernels (out, in, height, width), of which the
            first 8 x 8 are shown, a row for each output channel.
        after: of the same shape.
        name: the layer's name, for the first title.
        border: of a matrix: a line is drawn before this row.

    Returns:
        The Axes of the three panels.

    Raises:
        PlotError: for shapes that differ, or that are neither 2- nor 4-dimensional.
    """
    old, new = (tensor.detach().cpu().double().numpy() for tensor in (before, after))
    if old.shape != new.shape or old.ndim not in (2, 4) or not old.size:
        raise PlotError(
            f"weights are two tensors (rows, columns) or (out, in, height, width), not {old.shape}, {new.shape}"
        )
    largest = np.abs(new - old).max()
    scale = max(np.abs(old).max(), np.abs(new).max()) or 1.0
    factor = _magnification(largest, scale)
    amount = f"at most {largest:.2g}" if largest > 0 else "exactly 0"
    change = f"difference{f' × {factor:,}' if factor > 1 else ''}\n({amount})"
    pictures = [_flat(old), _flat(new), _flat(factor * (new - old))]
    panels = {f"{name} before".strip(): old, f"{name} after".strip(): new, f"{name} difference".strip(): new - old}
    titles = [*list(panels)[:2], change]
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.5), layout="constrained", sharex=True, sharey=True)
    cmap = mpl.colormaps["RdBu_r"].with_extremes(bad=LIGHT)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        image = ax.imshow(picture, cmap=cmap, norm=Normalize(-scale, scale), interpolation="none")
        ax.set_title(title, fontsize=FONT_SIZE, parse_math=False)
        tidy(ax, grid=None)
        if old.ndim == 4:
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.spines[:].set_visible(False)
        else:
            ax.set(aspect="auto", xlabel="input")
            if border is not None:
                ax.axhline(border - 0.5, color=WARNING, linewidth=1)
    for ax, (panel, numbers) in zip(axes, panels.items(), strict=True):
        _note_weights(ax, panel, numbers)
        values, places = _shown(numbers), np.indices(_shown(numbers).shape)
        named = ("output channel", "input channel", "row", "column") if old.ndim == 4 else ("row (class)", "input")
        frame = pd.DataFrame({name: place.ravel() for name, place in zip(named, places, strict=True)})
        frame["weight"] = values.ravel()
        drawn(ax, frame, kind="matrix", x=named[1], y="weight", series=named[0])
    axes[0].set_ylabel("output channel" if old.ndim == 4 else "row (class)")
    if old.ndim == 4:
        axes[1].set_xlabel("input channel")
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, shrink=0.8)
    bar.set_label("weight", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    return axes


def _magnification(largest: float, scale: float) -> int:
    """The largest of 1, 2, 5, 10 … 500,000 by which ``largest`` can be multiplied and still be within ``scale``."""
    factors = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    return max((factor for factor in factors if factor * largest <= scale), default=1) if largest > 0 else 1


def _middle(values: NDArray[np.float64]) -> str:
    return "exactly 0" if not values.any() else f"median {np.median(values):.2g}"


def _percent(change: float) -> str:
    """With one decimal, as tables have it, and as many as a smaller change needs."""
    if not change > 0:
        return "–" if np.isnan(change) else "0"
    return f"{100 * change:.1f}%" if change >= 0.0005 else f"{100 * change:.1g}%"


def _decades(values: NDArray[np.float64]) -> tuple[float, float]:
    """Powers of ten round the positive values, two decades at least, with room for the numbers beside the dots."""
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    low -= low == np.log10(positive.min())  # the smallest dot lies inside
    low = min(low, high - 2)
    return 10.0**low, 10.0 ** (high + 0.12 * (high - low))


def _flat(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix as it is; kernels as tiles with a line of NaN between them."""
    if weight.ndim == 2:
        return weight
    kernels = _shown(weight)
    padded = np.pad(kernels, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    out, channels, height, width = padded.shape
    return padded.transpose(0, 2, 1, 3).reshape(out * height, channels * width)[:-1, :-1]


def _shown(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix as it is, the first kernels of a convolution."""
    return weight[:MOST_KERNELS, :MOST_KERNELS] if weight.ndim == 4 else weight


def _note_weights(ax: Axes, panel: str, weight: NDArray[np.float64]) -> None:
    values = _shown(weight)
    places = np.indices(values.shape)
    columns = ("output", "input", "row", "column") if values.ndim == 4 else ("row", "column")
    note_numbers(ax, kind="cell", panel=panel, value=values, **dict(zip(columns, places, strict=True)))
