"""What training changes in a network's weights."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from helpers.plots import style
from helpers.plots.style import PlotError, drawn, styled

MOST_KERNELS = 8


@styled
def head_row_change(changes: ArrayLike, *, border: int, ax: Axes | None = None) -> Axes:
    """How much each row of a head changed: a bar for each row, and the medians of old and of new ones.

    Args:
        changes: (rows,) not negative, such as the L2 norm of each row's change over that of the row before.
        border: the first new row: a line is drawn before it.
    """
    values = np.asarray(changes, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or values.min() < 0:
        raise PlotError("changes are finite numbers from 0 on, of shape (rows,)")
    if not 0 < border < len(values):
        raise PlotError(f"the border stands before a row from 1 to {len(values) - 1}, not before {border}")
    ax = style.axes_or_new(ax, height=2.2)
    rows, place, change = np.arange(len(values)), "row of the head (class)", "relative change"
    ax.set(xlabel=place, ylabel=change, xlim=(-0.5, len(values) - 0.5), ylim=(0, 1.05 * values.max() or 1))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.tidy(ax, grid="y")
    ax.axvline(border - 0.5, **style.BORDER)
    halves = {"old rows": (rows < border, 0, "left"), "new rows": (rows >= border, 1, "right")}
    for label, (half, x, side) in halves.items():
        ax.bar(rows[half], values[half], width=0.8, color=style.PALETTE[x])
        middle = f"median {np.median(values[half]):.2g}" if values[half].any() else "exactly 0"
        above = {"xycoords": "axes fraction", "textcoords": "offset points", "color": style.PALETTE[x], "ha": side}
        ax.annotate(f"{half.sum()} {label}: {middle}", (x, 1), (0, 3), **above)
    frame = pd.DataFrame({place: rows, "rows": np.where(rows < border, *halves), change: values})
    return drawn(ax, frame, kind="bars", x=place, y=change, series="rows")


@styled
def layer_change(
    changes: pd.Series | dict[str, float], *, xlabel: str = "relative change", ax: Axes | None = None
) -> Axes:
    """How much each layer changed, in per cent on a logarithmic scale, the first layer on top; no change is a "0".

    A dot for each layer, and no bar: on such a scale a bar's length would say nothing.

    Args:
        changes: layer -> change as a share, not negative; NaN where it is not defined, which is shown as "–".
        xlabel: what the changes are.
    """
    series = pd.Series(changes, dtype=float)
    values = series.to_numpy()
    if not len(values) or np.isinf(values).any() or (values < 0).any():
        raise PlotError("changes are finite numbers from 0 on, one a layer, at least one layer")
    ax = style.axes_or_new(ax, height=0.6 + 0.17 * len(values))
    rows, (low, high) = np.arange(len(values)), _decades(values)
    ax.set(xscale="log", xlim=(low, high))  # first: a scale chosen for zeros alone would be an error
    ax.plot(values, rows, "o", color=style.PALETTE[0], markersize=4)
    for row, value in enumerate(values):
        text = "–" if np.isnan(value) else f"{100 * value:.1f}%" if value >= 0.0005 else f"{100 * value:.1g}%"
        place = (value if value > 0 else low, row)
        look = {"textcoords": "offset points", "va": "center", "fontsize": style.SMALL}
        ax.annotate(text if value else "0", place, (5, 0), **look)
    ax.set(ylim=(len(values) - 0.5, -0.5), xlabel=f"{xlabel} (logarithmic scale)", ylabel="layer")
    ax.set_yticks(rows, [style.shortened(name, 30) for name in series.index], parse_math=False)
    style.percent_ticks(ax.xaxis)
    style.tidy(ax, no_ticks="y")
    ax.minorticks_off()
    if not (values > 0).any():
        ax.set_xticks([])
    frame = pd.DataFrame({"layer": series.index.map(str), xlabel: values})
    return drawn(ax, frame, kind="points", x="layer", y=xlabel)


@styled
def weights(before: torch.Tensor, after: torch.Tensor, *, name: str = "") -> NDArray[np.object_]:
    """A convolution's kernels before and after training, and their difference, on one colour scale.

    The first 8 x 8 are shown, a row for each output channel. A small difference is shown 2, 5, 10, 20 … times as large,
    within the scale, and its title says so. The figure's CSV file has the difference as it is.

    Args:
        before: kernels (out, in, height, width).
        after: of the same shape.
        name: the layer's name, for the titles.

    Returns:
        The Axes of the three panels.
    """
    old, new = (tensor.detach().cpu().double().numpy() for tensor in (before, after))
    if old.shape != new.shape or old.ndim != 4 or not old.size:
        raise PlotError(f"weights are two tensors (out, in, height, width), not {old.shape}, {new.shape}")
    largest, scale = np.abs(new - old).max(), max(np.abs(old).max(), np.abs(new).max()) or 1.0
    factor = _magnification(largest, scale)
    amount = f"at most {largest:.2g}" if largest > 0 else "exactly 0"
    titles = [f"{name} before".strip(), f"{name} after".strip()]
    titles.append(f"difference{f' × {factor:,}' if factor > 1 else ''}\n({amount})")
    places = ["output channel", "input channel", "row", "column"]
    axes = plt.subplots(1, 3, figsize=(style.WIDTH, 2.5), layout="constrained")[1]
    cmap = mpl.colormaps["RdBu_r"].with_extremes(bad=style.LIGHT)
    for ax, title, kernels, times in zip(axes, titles, (old, new, new - old), (1, 1, factor), strict=True):
        shown = kernels[:MOST_KERNELS, :MOST_KERNELS]
        picture = _side_by_side(times * shown)
        image = ax.imshow(picture, cmap=cmap, vmin=-scale, vmax=scale, interpolation="none")
        ax.set_title(title, parse_math=False)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        index = pd.MultiIndex.from_product(map(range, shown.shape), names=places)
        frame = pd.DataFrame({"weight": shown.ravel()}, index=index).reset_index()
        drawn(ax, frame, kind="matrix", x=places[1], y="weight", series=places[0])
    axes[0].set_ylabel("output channel")
    axes[1].set_xlabel("input channel")
    style.colour_bar(image, "weight", axes, fraction=0.03, shrink=0.8)
    return axes


def _magnification(largest: float, scale: float) -> int:
    """The largest of 1, 2, 5, 10 … 500,000 by which ``largest`` can be multiplied and still be within ``scale``."""
    factors = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    return max((factor for factor in factors if factor * largest <= scale), default=1) if largest > 0 else 1


def _decades(values: NDArray[np.float64]) -> tuple[float, float]:
    """Powers of ten round the positive values, two decades at least, with room for the numbers beside the dots."""
    positive = values[values > 0]
    if not len(positive):
        return 0.1, 1.0
    low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
    low -= low == np.log10(positive.min())  # the smallest dot lies inside
    low = min(low, high - 2)
    return 10.0**low, 10.0 ** (high + 0.12 * (high - low))


def _side_by_side(kernels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kernels as tiles, a row for each output channel, with a line of NaN between them."""
    padded = np.pad(kernels, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    out, channels, height, width = padded.shape
    return padded.transpose(0, 2, 1, 3).reshape(out * height, channels * width)[:-1, :-1]
