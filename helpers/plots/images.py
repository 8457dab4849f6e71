"""Pictures: the images themselves, and what a network sees in them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from helpers import WorkbookError
from helpers.data import ImageData
from helpers.phrases import runs_left
from helpers.plots import style
from helpers.plots.style import drawn, styled

Array = torch.Tensor | NDArray[Any]
SMALLEST = 6.5
"""Points: the smallest letters."""
LINE = 1.35
"""Height of a line of text, in font sizes."""
GAP = 0.08
"""Between two tiles, of which each is one unit wide, at least."""
MOST_HIGH = 6.5
"""Inches: a higher picture, with its caption, would be made smaller on a page, and its letters with it."""
MARGIN = 1.25
"""Inches beside the feature maps, for the layers' names."""


class _Tile(NamedTuple):
    """A picture as imshow takes it, the lines under it with their colours, and whether it is framed as wrong."""

    picture: NDArray[Any]
    lines: Sequence[tuple[str, str]] = ()
    wrong: bool | None = None  # None: without a frame

    @property
    def tall(self) -> float:
        """Height over width."""
        return self.picture.shape[0] / self.picture.shape[1]


@styled
def sample_grid(
    images: Array,
    labels: Array,
    class_names: Sequence[str],
    *,
    predictions: Array | None = None,
    confidences: Array | None = None,
    columns: int = 5,
) -> Axes:
    """Images in rows with their true class and, if given, the predicted one; ✓ and ✗ tell right from wrong.

    A wrong prediction is marked by ✗, a thick dashed frame and another colour.

    Args:
        images: uint8 (N, C, H, W) with C = 1 or 3.
        labels: (N,) classes.
        class_names: K names.
        predictions: (N,) predicted classes.
        confidences: (N,) probabilities (0 to 1) of the predicted classes.
        columns: images in a row, at most.
    """
    pictures, truth = _pictures(images), _classes(labels, len(images), class_names)
    guesses = truth if predictions is None else _classes(predictions, len(images), class_names)
    columns = min(columns, len(pictures))
    font_size = style.SMALL if columns <= 8 else SMALLEST
    length = int(style.WIDTH / columns * 112 / font_size)
    tiles = []
    for i, (label, guess) in enumerate(zip(truth, guesses, strict=True)):
        mark, colour = ("✓", "black") if guess == label else ("✗", style.WARNING)
        lines = [(words, "black") for words in style.wrapped(class_names[label], length, 2)]
        if predictions is not None:
            share = "" if confidences is None else f"{100 * float(confidences[i]):.0f}\u00a0%"
            lines += [(words, colour) for words in _guess(class_names[guess], mark, share, length)]
        tiles.append(_Tile(pictures[i], lines, bool(guess != label)))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    ax = _draw(rows, columns, font_size)
    frame = pd.DataFrame({"true class": [str(class_names[label]) for label in truth]})
    if predictions is None:
        return drawn(ax, frame, kind="images", x="true class")
    frame["predicted class"] = [str(class_names[guess]) for guess in guesses]
    if confidences is not None:
        frame["confidence"] = np.asarray(confidences, dtype=float)
    return drawn(ax, frame, kind="images", x="true class", y="predicted class")


@styled
def predictions(data: ImageData, logits: torch.Tensor, *, random: int = 5, mistakes: int = 5, seed: int = 0) -> Axes:
    """What a network says of some images drawn at random, and its surest mistakes among the others behind them.

    They are shown as `sample_grid` does.

    Args:
        data: uint8 images.
        logits: (N, K), as `helpers.train.predict` gives them for these images.
        random: how many of the first, and ``mistakes``: of the second kind. Fewer where there are no more.
        seed: of the draw.
    """
    confidences, guesses = logits.softmax(dim=1).max(dim=1)
    shuffled = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    drawn_first, others = shuffled[:random], shuffled[random:].sort().values
    wrong = others[guesses[others] != data.labels[others]]
    surest = wrong[confidences[wrong].argsort(descending=True)[:mistakes]]
    picked = torch.cat([drawn_first, surest])
    guessed = {"predictions": guesses[picked], "confidences": confidences[picked]}
    return sample_grid(data.images[picked], data.labels[picked], data.class_names, **guessed)


@styled
def feature_maps(activations: Mapping[str, Array], *, image: Array) -> Axes:
    """The 8 strongest feature maps of some layers for one image, a row for each layer, the strongest first.

    A channel is as strong as the mean of its absolute activations; its number stands under its map. Each map is scaled
    by itself, from its lowest (dark) to its highest activation (bright).

    Args:
        activations: by layer's name, numbers (C, H, W) of one image, as they come from
            `helpers.explain.activations` for it.
        image: the image itself, uint8 (1 or 3, H, W), for the first row.
    """
    layers = {name: np.asarray(maps, dtype=float) for name, maps in activations.items()}
    for name, maps in layers.items():
        if maps.ndim != 3 or not maps.size or not np.isfinite(maps).all():
            raise WorkbookError(
                f"feature maps of one image are finite numbers (C, H, W); those of {name} are {maps.shape}"
            )
    viridis = mpl.colormaps["viridis"]  # even steps of lightness, readable with any colour vision and in grey print
    rows, sides = [[_Tile(_pictures(np.asarray(image)[None])[0])]], [("image", _size(image))]
    noted = [(*sides[0], None)]
    for name, maps in layers.items():
        strongest = np.argsort(-np.abs(maps).mean(axis=(1, 2)), kind="stable")[:8]
        rows.append([_Tile(viridis(Normalize()(maps[i])), [(str(i), style.GREY)]) for i in strongest])
        noted += [(name, _size(maps), i) for i in strongest]
        sides.append((name, _size(maps)))
    ax = _draw(rows, 8, SMALLEST, sides=sides)
    frame = pd.DataFrame(noted, columns=["layer", "size", "channel"]).astype({"channel": "Int64"})
    return drawn(ax, frame, kind="images", x="layer")


@styled
def cam_overlay(images: Array, cams: Array, labels: Array, predictions: Array, class_names: Sequence[str]) -> Axes:
    """Each image beside itself in grey with a heat map over it: the brighter, the more the place speaks for a class.

    The caption has the true class and the predicted one; ✓ and ✗ and the frame tell right from wrong, as in
    `sample_grid`.

    Args:
        cams: (N, H, W), 0 to 1, as `helpers.explain.grad_cam` gives them; all else is as for `sample_grid`.
    """
    pictures, heat = np.asarray(images), np.asarray(cams, dtype=float)
    fits = pictures.ndim == 4 and heat.shape == (len(pictures), *pictures.shape[2:])
    if not fits or not ((heat >= 0) & (heat <= 1)).all():
        raise WorkbookError(
            f"images (N, C, H, W) need heat maps (N, H, W) from 0 to 1; these are {pictures.shape} and {heat.shape}"
        )
    if pictures.shape[1] == 1:
        pictures = pictures.repeat(3, axis=1)
    grey = (pictures * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(axis=1, keepdims=True)
    colours = 255 * mpl.colormaps["inferno"](heat)[..., :3].transpose(0, 3, 1, 2)
    opacity = 0.35 + 0.4 * heat[:, None]  # denser where there is more heat
    overlay = ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)
    gap = np.full((*pictures.shape[:3], max(1, pictures.shape[3] // 16)), 255, dtype=np.uint8)
    pairs = np.concatenate([pictures, gap, overlay], axis=3)
    return sample_grid(pairs, labels, class_names, predictions=predictions, columns=3)


def _draw(
    rows: Sequence[Sequence[_Tile]],
    columns: int,
    font_size: float,
    *,
    sides: Sequence[tuple[str, str]] = (),
) -> Axes:
    """Rows of tiles on one axes, as a hundred axes take seconds to lay out; beside each row its name and its size."""
    tiles = [tile for row in rows for tile in row]
    tall, most = max(tile.tall for tile in tiles), max(len(tile.lines) for tile in tiles)
    margin, line = MARGIN if sides else 0, LINE * font_size / 72
    room, words_high = (style.WIDTH - margin) / columns, line * (most + 0.6) if most else 0.05
    # As wide as there is room, or as high, if the rows are many.
    side = max(room / 4, min(room / (1 + GAP), (MOST_HIGH / len(rows) - words_high) / tall))
    gap, pitch, line = room / side - 1, tall + words_high / side, line / side
    ax = style.axes_or_new(None, height=len(rows) * pitch * side + 0.1)
    text = {"va": "center", "parse_math": False}
    for i, row in enumerate(rows):
        top = -i * pitch
        for j, tile in enumerate(row):
            left, bottom = j * (1 + gap), top - tile.tall
            look = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "none"}
            ax.imshow(tile.picture, extent=(left, left + 1, bottom, top), **look)
            if tile.wrong is not None:
                edge = (style.WARNING, 2, (0, (3, 1.5))) if tile.wrong else (style.GREY, 0.5, "-")
                look = dict(zip(("edgecolor", "linewidth", "linestyle"), edge, strict=True))
                ax.add_patch(Rectangle((left, bottom), 1, top - bottom, facecolor="none", clip_on=False, **look))
            for k, (words, colour) in enumerate(tile.lines):
                place = (left + 0.5, bottom - line * (k + 0.75))
                ax.text(*place, words, ha="center", fontsize=font_size, color=colour, **text)
        for name, size in sides[i : i + 1]:
            middle = top - row[0].tall / 2
            ax.text(-0.12, middle + 0.6 * line, style.shortened(name, 20), ha="right", fontsize=style.SMALL, **text)
            ax.text(-0.12, middle - 0.6 * line, size, ha="right", fontsize=SMALLEST, color=style.GREY, **text)
    ax.set(xlim=(-0.03 - margin / side, columns * (1 + gap) - gap + 0.03), ylim=(-len(rows) * pitch, 0.03))
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _guess(name: str, mark: str, share: str, length: int) -> list[str]:
    """Mark, predicted class and confidence, in as many lines as they need; two at most."""
    if runs_left(name):  # and would turn a line around that it shares
        return [f"{mark} {share}".strip(), style.shortened(name, length)]
    return style.wrapped(f"{mark} {style.shortened(name, 2 * length - 8)} {share}", length, 2)


def _pictures(images: Array) -> NDArray[np.uint8]:
    """(N, H, W, C) as imshow takes them."""
    pictures = np.asarray(images)
    if pictures.ndim != 4 or not len(pictures) or pictures.shape[1] not in (1, 3) or pictures.dtype != np.uint8:
        raise WorkbookError(
            f"images are uint8 (N, 1 or 3, H, W), at least one; these are {pictures.dtype} {pictures.shape}"
        )
    return pictures.transpose(0, 2, 3, 1)


def _classes(labels: Array, count: int, class_names: Sequence[str]) -> NDArray[np.int64]:
    classes = np.asarray(labels)
    if classes.shape != (count,):
        raise WorkbookError(f"{count} images need labels and predictions of shape ({count},), not {classes.shape}")
    if classes.min() < 0 or classes.max() >= len(class_names):
        raise WorkbookError(
            f"classes lie between {classes.min()} and {classes.max()}, but there are {len(class_names)} names"
        )
    return classes


def _size(maps: Array) -> str:
    return " × ".join(str(length) for length in maps.shape)
