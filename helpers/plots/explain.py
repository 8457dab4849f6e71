"""What a network sees: its layers' feature maps, its first filters, and where it finds evidence for a class."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots.images import Array, sample_grid
from helpers.plots.style import GREY, SMALL, WIDTH, PlotError, axes_or_new, drawn, name_pictures, shortened, styled

# Even steps of lightness, readable with any colour vision and in grey print.
MAP = "viridis"
HEAT = "inferno"
LABELS = 1.25
"""Inches beside the feature maps, for the layers' names."""
SMALLEST_FONT = 6.5


@styled
def feature_maps(
    activations: Mapping[str, Array], *, image: Array | None = None, channels: int = 8, ax: Axes | None = None
) -> Axes:
    """The strongest feature maps of some layers for one image, a row for each layer, the strongest first.

    A channel is as strong as the mean of its absolute activations; its number stands under its map. Each map is scaled
    by itself, from its lowest (dark) to its highest activation (bright).

    Args:
        activations: by layer's name, numbers (C, H, W) of one image, as they come from
            `helpers.explain.activations` for it.
        image: the image itself, uint8 (1 or 3, H, W), for the first row.
        channels: maps in a row; a layer with fewer shows all.
        ax: where to draw.

    Raises:
        PlotError: for no layers, other shapes or numbers that are not finite.
    """
    layers = {name: _maps(name, values) for name, values in activations.items()}
    if not layers or channels < 1:
        raise PlotError("feature maps need at least one layer and one channel to show")
    rows: list[tuple[str, str, list[NDArray], list[str]]] = []
    if image is not None:
        rows.append(("image", _size(np.asarray(image)), [_picture(image)], [""]))
    for name, maps in layers.items():
        strongest = np.argsort(-np.abs(maps).mean(axis=(1, 2)), kind="stable")[:channels]
        rows.append((name, _size(maps), [maps[i] for i in strongest], [f"{i}" for i in strongest]))
    ax = _rows(rows, channels, ax)
    name_pictures(ax, [f"{name} ({size})" for name, size, _, _ in rows])
    tiles = [(name, size, channel) for name, size, _, channels in rows for channel in channels]
    return drawn(ax, pd.DataFrame(tiles, columns=["layer", "size", "channel"]), kind="images", x="layer")


@styled
def filters(weights: Array, *, columns: int = 8, ax: Axes | None = None) -> Axes:
    """The kernels of a first convolution as pictures: colours for three input channels, else their mean in grey.

    Their number and size stand below. Each is scaled by itself, from its lowest weight (0) to its highest (1).

    Args:
        weights: (out, in, height, width).
        columns: kernels in a row.
        ax: where to draw.

    Raises:
        PlotError: for other shapes or weights that are not finite.
    """
    kernels = np.asarray(weights, dtype=float)
    if kernels.ndim != 4 or not kernels.size or not np.isfinite(kernels).all():
        raise PlotError(f"filters are finite numbers (out, in, height, width), not of shape {kernels.shape}")
    if kernels.shape[1] != 3:
        kernels = kernels.mean(axis=1, keepdims=True).repeat(3, axis=1)
    scaled = np.stack([_scaled(kernel) for kernel in kernels]).transpose(0, 2, 3, 1)
    columns = min(columns, len(scaled))
    rows = -(-len(scaled) // columns)
    gap, tall = 0.12, scaled.shape[1] / scaled.shape[2]
    width = min(WIDTH, 0.55 * columns)
    ax = axes_or_new(ax, height=width / columns * rows * tall + 0.35, width=width)
    for i, picture in enumerate(scaled):
        left, top = i % columns * (1 + gap), -(i // columns) * (tall + gap)
        ax.imshow(picture, extent=(left, left + 1, top - tall, top), interpolation="none")
    note = f"{len(scaled)} filters of {_size(np.asarray(weights)[0])} weights"
    below = {"xycoords": "axes fraction", "xytext": (0, -3), "textcoords": "offset points"}
    ax.annotate(note, (0.5, 0), **below, fontsize=SMALL, color=GREY, ha="center", va="top")
    ax.set(xlim=(0, columns * (1 + gap) - gap), ylim=(gap - rows * (tall + gap), 0), aspect="equal")
    ax.axis("off")
    ends = {"lowest weight": kernels.min(axis=(1, 2, 3)), "highest weight": kernels.max(axis=(1, 2, 3))}
    frame = pd.DataFrame({"filter": range(len(kernels)), **ends})
    return drawn(ax, frame, kind="images")


@styled
def cam_overlay(
    images: Array,
    cams: Array,
    labels: Array,
    predictions: Array,
    class_names: Sequence[str],
    *,
    columns: int = 3,
    ax: Axes | None = None,
) -> Axes:
    """Each image beside itself in grey with a heat map over it: the brighter, the more the place speaks for a class.

    The caption has the true class and the predicted one; ✓ and ✗ and the frame tell right from wrong, as in
    `sample_grid`.

    Args:
        images: uint8 (N, C, H, W) with C = 1 or 3.
        cams: (N, H, W), 0 to 1, as `helpers.explain.grad_cam` gives them.
        labels: (N,) classes.
        predictions: (N,) predicted classes.
        class_names: K names.
        columns: pairs in a row.
        ax: where to draw.

    Raises:
        PlotError: for heat maps of another shape or beyond 0 to 1; and as for `sample_grid`.
    """
    pictures, heat = np.asarray(images), np.asarray(cams, dtype=float)
    fits = pictures.ndim == 4 and heat.shape == (len(pictures), *pictures.shape[2:])
    if not fits or not ((heat >= 0) & (heat <= 1)).all():
        raise PlotError(
            f"images (N, C, H, W) need heat maps (N, H, W) from 0 to 1; these are {pictures.shape} and {heat.shape}"
        )
    if pictures.shape[1] == 1:
        pictures = pictures.repeat(3, axis=1)
    gap = np.full((*pictures.shape[:3], max(1, pictures.shape[3] // 16)), 255, dtype=np.uint8)
    pairs = np.concatenate([pictures, gap, _overlay(pictures, heat)], axis=3)
    return sample_grid(pairs, labels, class_names, predictions=predictions, columns=columns, ax=ax)


def _overlay(pictures: NDArray[np.uint8], heat: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The pictures in grey, (N, 3, H, W), with the heat map's colours over them: denser where there is more heat."""
    grey = (pictures * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(axis=1, keepdims=True)
    colours = 255 * mpl.colormaps[HEAT](heat)[..., :3].transpose(0, 3, 1, 2)
    opacity = 0.35 + 0.4 * heat[:, None]
    return ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)


def _maps(name: str, values: Array) -> NDArray[np.float64]:
    maps = np.asarray(values, dtype=float)
    if maps.ndim != 3 or not maps.size or not np.isfinite(maps).all():
        raise PlotError(f"feature maps of one image are finite numbers (C, H, W); those of {name} are {maps.shape}")
    return maps


def _picture(image: Array) -> NDArray[np.uint8]:
    """(H, W, 3) as imshow takes it."""
    picture = np.asarray(image)
    if picture.ndim != 3 or picture.shape[0] not in (1, 3) or picture.dtype != np.uint8:
        raise PlotError(f"the image is uint8 (1 or 3, H, W), not {picture.dtype} {picture.shape}")
    return np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)


def _size(maps: NDArray) -> str:
    return " × ".join(str(length) for length in maps.shape)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1; constant values are 0."""
    lowest = values.min()
    return (values - lowest) / (np.ptp(values) or 1.0)


def _rows(rows: Sequence[tuple[str, str, list[NDArray], list[str]]], columns: int, ax: Axes | None) -> Axes:
    """Rows of name, size, pictures and captions under them; each picture is one unit wide."""
    whole = WIDTH if ax is None else ax.get_window_extent().width / ax.figure.dpi
    gap = 0.08
    unit = (whole - LABELS) / (columns * (1 + gap))
    line = 1.35 * SMALLEST_FONT / 72 / unit
    heights = [pictures[0].shape[0] / pictures[0].shape[1] + line * 1.25 for _, _, pictures, _ in rows]
    ax = axes_or_new(ax, height=sum(heights) * unit + 0.1)
    top = 0.0
    for (name, size, pictures, captions), height in zip(rows, heights, strict=True):
        tall = pictures[0].shape[0] / pictures[0].shape[1]
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            left = i * (1 + gap)
            shown = picture if picture.ndim == 3 else _scaled(picture)
            extent = (left, left + 1, top - tall, top)
            ax.imshow(shown, extent=extent, cmap=MAP, vmin=0, vmax=1, interpolation="none")
            place = (left + 0.5, top - tall - 0.6 * line)
            ax.text(*place, caption, fontsize=SMALLEST_FONT, color=GREY, ha="center", va="center")
        look = {"ha": "right", "va": "center", "parse_math": False}
        ax.text(-0.12, top - tall / 2 + line * 0.6, shortened(name, 20), fontsize=SMALL, **look)
        ax.text(-0.12, top - tall / 2 - line * 0.6, size, fontsize=SMALLEST_FONT, color=GREY, **look)
        top -= height
    ax.set(xlim=(-LABELS / unit, columns * (1 + gap) - gap), ylim=(top, 0), aspect="equal")
    ax.axis("off")
    return ax
