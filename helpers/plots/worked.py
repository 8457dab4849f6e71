"""Calculations worked by hand: small matrices drawn as grids with their numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from helpers.plots.style import (
    FONT_SIZE,
    GREY,
    PALETTE,
    SMALL,
    WARNING,
    WIDTH,
    PlotError,
    axes_or_new,
    drawn,
    note_numbers,
    styled,
)

GAP = 1.0
"""Between two matrices, in cells: room for a sign."""
MOST_COLUMNS = 24
LARGEST_CELL = 0.3
"""Inches."""


@styled
def number_grids(
    matrices: Mapping[str, ArrayLike],
    *,
    signs: Sequence[str] = (),
    windows: Mapping[str, tuple[int, int, int, int]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Matrices side by side with every number written in its cell, such as an input, a kernel and their convolution.

    Args:
        matrices: title -> numbers of shape (rows, columns), from left to right; up to 24 columns in all.
        signs: written between two neighbours, one less than there are matrices; none if not given.
        windows: title -> (row, column, height, width) of the cells to mark in that matrix.
        ax: where to draw.

    Raises:
        PlotError: for no matrices, other shapes, too many columns, or signs or windows that do not fit them.
    """
    grids = {title: np.asarray(numbers) for title, numbers in matrices.items()}
    windows = dict(windows or {})
    _check(grids, signs, windows)
    columns = sum(grid.shape[1] for grid in grids.values()) + GAP * (len(grids) - 1)
    rows = max(grid.shape[0] for grid in grids.values())
    ax = axes_or_new(ax, height=min(LARGEST_CELL, WIDTH / columns) * rows + 0.35)
    left = 0.0
    for i, (title, grid) in enumerate(grids.items()):
        top = (rows - grid.shape[0]) / 2
        _draw_grid(ax, grid, left, top)
        if title in windows:
            _mark(ax, windows[title], left, top)
        ax.text(
            left + grid.shape[1] / 2, top - 0.2, title, ha="center", va="bottom", fontsize=FONT_SIZE, parse_math=False
        )
        left += grid.shape[1] + GAP
        if i < len(signs):
            ax.text(left - GAP / 2, rows / 2, signs[i], ha="center", va="center", fontsize=FONT_SIZE, parse_math=False)
    ax.set(xlim=(-0.1, columns + 0.1), ylim=(rows + 0.1, -1), aspect="equal")
    ax.axis("off")
    _note(ax, grids)
    parts = [
        pd.DataFrame(grid).rename_axis("row").reset_index().melt("row", var_name="column").assign(matrix=title)
        for title, grid in grids.items()
    ]
    frame = pd.concat(parts, ignore_index=True)[["matrix", "row", "column", "value"]]
    return drawn(ax, frame, kind="matrix", x="column", y="value", series="row")


def _note(ax: Axes, grids: Mapping[str, NDArray]) -> None:
    """Every matrix with all its numbers, rows and columns counted from 0, for the figure's CSV file."""
    places = [np.indices(grid.shape) for grid in grids.values()]
    note_numbers(
        ax,
        kind="cell",
        series=[title for title, grid in grids.items() for _ in range(grid.size)],
        row=[row for place in places for row in place[0].flat],
        column=[column for place in places for column in place[1].flat],
        value=[value for grid in grids.values() for value in grid.ravel().tolist()],
    )


def _check(
    grids: Mapping[str, NDArray], signs: Sequence[str], windows: Mapping[str, tuple[int, int, int, int]]
) -> None:
    if not grids or any(grid.ndim != 2 or not grid.size for grid in grids.values()):
        raise PlotError("matrices have the shape (rows, columns), and there is at least one")
    if sum(grid.shape[1] for grid in grids.values()) > MOST_COLUMNS:
        raise PlotError(f"numbers of more than {MOST_COLUMNS} columns side by side cannot be read: draw fewer")
    if signs and len(signs) != len(grids) - 1:
        raise PlotError(f"{len(grids)} matrices have {len(grids) - 1} signs between them, not {len(signs)}")
    for title, (row, column, height, width) in windows.items():
        if title not in grids:
            raise PlotError(f"a window in {title!r}, but the matrices are {', '.join(grids)}")
        shape = grids[title].shape
        if min(row, column) < 0 or min(height, width) < 1 or row + height > shape[0] or column + width > shape[1]:
            raise PlotError(f"the window {row, column, height, width} does not lie in {title!r}, which is {shape}")


def _draw_grid(ax: Axes, grid: NDArray, left: float, top: float) -> None:
    for (row, column), value in np.ndenumerate(grid):
        ax.add_patch(Rectangle((left + column, top + row), 1, 1, facecolor="none", edgecolor=GREY, linewidth=0.5))
        text = f"{value:.3g}".replace("-", "−")
        ax.text(left + column + 0.5, top + row + 0.5, text, ha="center", va="center", fontsize=SMALL)


def _mark(ax: Axes, window: tuple[int, int, int, int], left: float, top: float) -> None:
    """A tinted window with a thick frame: two signals, one of them without colour."""
    row, column, height, width = window
    place = (left + column, top + row)
    ax.add_patch(Rectangle(place, width, height, facecolor=PALETTE[4], alpha=0.35, edgecolor="none", zorder=0))
    frame = {"facecolor": "none", "edgecolor": WARNING, "linewidth": 2}
    ax.add_patch(Rectangle(place, width, height, **frame, clip_on=False, zorder=3))
