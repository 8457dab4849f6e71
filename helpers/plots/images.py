"""Pictures of the images themselves."""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from helpers.plots.style import (
    GREY,
    SMALL,
    WARNING,
    WIDTH,
    PlotError,
    axes_or_new,
    drawn,
    name_pictures,
    note_numbers,
    shortened,
    styled,
)

Array = torch.Tensor | NDArray[Any]
LINE = 1.35
"""Height of a line of text, in font sizes."""
# A left-to-right mark: a caption that begins with a symbol keeps its order when the name after it is Persian.
LEFT_TO_RIGHT = "\u200e"


@styled
def sample_grid(
    images: Array,
    labels: Array,
    class_names: Sequence[str],
    *,
    predictions: Array | None = None,
    confidences: Array | None = None,
    columns: int = 5,
    ax: Axes | None = None,
) -> Axes:
    """Images in rows with their true class and, if given, the predicted one; ✓ and ✗ tell right from wrong.

    A wrong prediction is marked by ✗, a thick dashed frame and another colour.

    Args:
        images: uint8 (N, C, H, W) with C = 1 or 3.
        labels: (N,) classes.
        class_names: K names.
        predictions: (N,) predicted classes.
        confidences: (N,) probabilities (0 to 1) of the predicted classes.
        columns: images in a row.
        ax: where to draw.

    Raises:
        PlotError: for no images, other shapes or dtypes, or lengths that differ.
    """
    pictures, truth = _pictures(images), _classes(labels, len(images), class_names)
    guesses = None if predictions is None else _classes(predictions, len(images), class_names)
    length = int(WIDTH / columns * 15)
    captions, wrong = [], np.zeros(len(truth), dtype=bool)
    for i, label in enumerate(truth):
        lines = _two_lines(class_names[label], length)
        if guesses is not None:
            wrong[i] = guesses[i] != label
            share = "" if confidences is None else f"{100 * float(confidences[i]):.0f}%"
            guess = _guess_lines(class_names[guesses[i]], "✗" if wrong[i] else "✓", share, length)
            lines = [shortened(class_names[label], length), *guess]
        captions.append(lines)
    ax = _tiles(pictures, captions, wrong, columns, SMALL, ax)
    name_pictures(ax, [class_names[label] for label in truth])
    if guesses is not None:
        answers = {"true": truth, "predicted": guesses}
        noted = {column: [str(class_names[label]) for label in classes] for column, classes in answers.items()}
        noted |= {} if confidences is None else {"confidence": [float(share) for share in confidences]}
        note_numbers(ax, kind="picture", **noted)
    frame = pd.DataFrame({"true class": [str(class_names[label]) for label in truth]})
    if guesses is not None:
        frame["predicted class"] = [str(class_names[label]) for label in guesses]
        if confidences is not None:
            frame["confidence"] = np.asarray(confidences, dtype=float)
    return drawn(ax, frame, kind="images", x="true class", y="" if guesses is None else "predicted class")


@styled
def class_gallery(
    images: Array,
    labels: Array,
    class_names: Sequence[str],
    *,
    columns: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """The first image of each class, small; a class without one has an empty frame.

    Args:
        images: uint8 (N, C, H, W) with C = 1 or 3.
        labels: (N,) classes.
        class_names: K names.
        columns: images in a row.
        ax: where to draw.

    Raises:
        PlotError: as for `sample_grid`.
    """
    pictures, truth = _pictures(images), _classes(labels, len(images), class_names)
    found, first = np.unique(truth, return_index=True)
    blank = np.full_like(pictures[0], 255)
    shown: list[NDArray[np.uint8]] = [blank] * len(class_names)
    for label, i in zip(found, first, strict=True):
        shown[label] = pictures[i]
    columns = min(columns, len(class_names))
    length = int(WIDTH / columns * 17)
    captions = [_two_lines(name, length) for name in class_names]
    ax = _tiles(np.stack(shown), captions, np.zeros(len(shown), dtype=bool), columns, 6.5, ax)
    name_pictures(ax, class_names)
    return drawn(ax, pd.DataFrame({"class": [str(name) for name in class_names]}), kind="images", x="class")


def _two_lines(name: str, length: int) -> list[str]:
    """The name on one or two lines of ``length`` letters, broken after a blank, "/", "-" or "_" where there is one."""
    text = " ".join(str(name).split())
    if len(text) <= length:
        return [text]
    ends = (match.end() for match in re.finditer(r"[\s/_-]+", text))
    end = max((end for end in ends if len(text[:end].rstrip()) <= length), default=length)
    return [text[:end].rstrip(), shortened(text[end:], length)]


def _guess_lines(name: str, mark: str, share: str, length: int) -> list[str]:
    """Mark, predicted class and confidence: in one line, or in two where it holds few letters or Persian ones."""
    right_to_left = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name)
    # Only there: next to the invisible mark matplotlib's PDFs lose a space.
    start = LEFT_TO_RIGHT if right_to_left else ""
    if right_to_left or not share or length < 16:
        return [line for line in (f"{start}{mark} {shortened(name, length - 2)}", share) if line]
    return [f"{mark} {shortened(name, length - len(share) - 3)} {share}"]


def _pictures(images: Array) -> NDArray[np.uint8]:
    """(N, H, W, C) as imshow takes them."""
    pictures = np.asarray(images)
    if pictures.ndim != 4 or not len(pictures) or pictures.shape[1] not in (1, 3) or pictures.dtype != np.uint8:
        raise PlotError(
            f"images are uint8 (N, 1 or 3, H, W), at least one; these are {pictures.dtype} {pictures.shape}"
        )
    return pictures.transpose(0, 2, 3, 1)


def _classes(labels: Array, count: int, class_names: Sequence[str]) -> NDArray[np.int64]:
    classes = np.asarray(labels)
    if classes.shape != (count,):
        raise PlotError(f"{count} images need labels and predictions of shape ({count},), not {classes.shape}")
    if classes.min() < 0 or classes.max() >= len(class_names):
        raise PlotError(
            f"classes lie between {classes.min()} and {classes.max()}, but there are {len(class_names)} names"
        )
    return classes


def _tiles(
    pictures: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    wrong: NDArray[np.bool_],
    columns: int,
    font_size: float,
    ax: Axes | None,
) -> Axes:
    """Images on a grid of one axes: each is one unit wide, with its caption's lines under it.

    One axes for all: a hundred axes take seconds to lay out.
    """
    tall = pictures.shape[1] / pictures.shape[2]
    gap, width = 0.08, WIDTH if ax is None else ax.get_window_extent().width / ax.figure.dpi
    cell_points = 72 * width / (columns * (1 + gap))
    line = LINE * font_size / cell_points
    pitch = tall + line * (max(map(len, captions)) + 0.6)
    rows = math.ceil(len(pictures) / columns)
    ax = axes_or_new(ax, height=rows * pitch * cell_points / 72 + 0.1)
    for i, (picture, lines) in enumerate(zip(pictures, captions, strict=True)):
        left, top = (i % columns) * (1 + gap), -(i // columns) * pitch
        style = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "none"}
        ax.imshow(picture, extent=(left, left + 1, top - tall, top), **style)
        edge = (WARNING, 2, (0, (3, 1.5))) if wrong[i] else (GREY, 0.5, "-")
        look = {"edgecolor": edge[0], "linewidth": edge[1], "linestyle": edge[2], "facecolor": "none"}
        ax.add_patch(Rectangle((left, top - tall), 1, tall, clip_on=False, **look))
        for j, text in enumerate(lines):
            colour = WARNING if wrong[i] and j else "black"
            place = (left + 0.5, top - tall - line * (j + 0.75))
            ax.text(*place, text, fontsize=font_size, color=colour, ha="center", va="center", parse_math=False)
    ax.set(xlim=(-0.03, columns * (1 + gap) - gap + 0.03), ylim=(-rows * pitch, 0.03), aspect="equal")
    ax.axis("off")
    return ax
