"""Calculations worked by hand: small matrices drawn as grids with their numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from helpers.plots.style import GREY, PALETTE, SMALL, WARNING, WIDTH, PlotError, axes_or_new, drawn, styled

MOST_COLUMNS = 24
LARGEST_CELL = 0.3
"""Inches."""


@styled
def number_grids(
    matrices: Mapping[str, ArrayLike],
    *,
    signs: Sequence[str] = (),
    windows: Mapping[str, tuple[int, int, int, int]] | None = None,
) -> Axes:
    """Matrices side by side with every number written in its cell, such as an input, a kernel and their convolution.

    Args:
        matrices: title -> numbers of shape (rows, columns), from left to right; up to 24 columns in all.
        signs: written between two neighbours, one less than there are matrices; none if not given.
        windows: title -> (row, column, height, width) of the cells to mark in that matrix.
    """
    grids = {title: np.asarray(numbers) for title, numbers in matrices.items()}
    if not grids or any(grid.ndim != 2 or not grid.size for grid in grids.values()):
        raise PlotError("matrices have the shape (rows, columns), and there is at least one")
    columns = sum(grid.shape[1] for grid in grids.values())
    if columns > MOST_COLUMNS:
        raise PlotError(f"numbers of more than {MOST_COLUMNS} columns side by side cannot be read: draw fewer")
    if signs and len(signs) != len(grids) - 1:
        raise PlotError(f"{len(grids)} matrices have {len(grids) - 1} signs between them, not {len(signs)}")
    for title, (row, column, height, width) in (windows or {}).items():
        rows, most = np.shape(grids.get(title, np.empty((0, 0))))
        if not (0 <= row < row + height <= rows and 0 <= column < column + width <= most):
            raise PlotError(f"the window {row, column, height, width} does not lie in a matrix {title!r}")
    rows, columns = max(grid.shape[0] for grid in grids.values()), columns + len(grids) - 1  # room for the signs
    ax = axes_or_new(None, height=min(LARGEST_CELL, WIDTH / columns) * rows + 0.35)
    middle, left = {"ha": "center", "va": "center", "parse_math": False}, 0
    for i, (title, grid) in enumerate(grids.items()):
        top, width = (rows - grid.shape[0]) / 2, grid.shape[1]
        for (row, column), number in np.ndenumerate(grid):
            cell = {"facecolor": "none", "edgecolor": GREY, "linewidth": 0.5}
            ax.add_patch(Rectangle((left + column, top + row), 1, 1, **cell))
            text = f"{number:.3g}".replace("-", "−")
            ax.text(left + column + 0.5, top + row + 0.5, text, fontsize=SMALL, **middle)
        ax.text(left + width / 2, top - 0.2, title, **{**middle, "va": "bottom"})
        if title in (windows or {}):
            _mark(ax, windows[title], left, top)
        left += width + 1
        if i < len(signs):
            ax.text(left - 0.5, rows / 2, signs[i], **middle)
    ax.set(xlim=(-0.1, columns + 0.1), ylim=(rows + 0.1, -1), aspect="equal")
    ax.axis("off")
    cells = [(title, *place, number) for title, grid in grids.items() for place, number in np.ndenumerate(grid)]
    frame = pd.DataFrame(cells, columns=["matrix", "row", "column", "value"])
    return drawn(ax, frame, kind="matrix", x="column", y="value", series="row")


def _mark(ax: Axes, window: tuple[int, int, int, int], left: float, top: float) -> None:
    """A tinted window with a thick frame: two signals, one of them without colour."""
    row, column, height, width = window
    place = (left + column, top + row)
    ax.add_patch(Rectangle(place, width, height, facecolor=PALETTE[4], alpha=0.35, edgecolor="none", zorder=0))
    frame = {"facecolor": "none", "edgecolor": WARNING, "linewidth": 2}
    ax.add_patch(Rectangle(place, width, height, **frame, clip_on=False, zorder=3))
