"""The numbers behind a figure, read from the drawing itself: so they cannot say anything else than it does."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helpers.report.figure_parts import count_of, panels_of, parts_of, unread

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = (
    *("panel", "kind", "series", "category", "true", "predicted", "confidence", "output", "input", "row", "column"),
    *("x", "x_lower", "x_upper", "y", "bottom", "value", "lower", "upper"),
)
MOST_ROWS = 200_000
"""A figure of more numbers gets no table: its CSV file would be larger than all the rest of a notebook."""


def numbers_of(figure: "Figure") -> "pd.DataFrame | None":
    """A long table of what a matplotlib figure draws, as plain Python values and unrounded.

    Each row has its ``panel`` where there are several (title, else label of the y axis, else number of the Axes),
    ``kind`` and ``series``: the artist's label, or kind and number where several of a panel have none. By kind:

    - "line" and "points" (scatter, and lines without a line): ``x``, ``y``; ``lower`` and ``upper`` are the ends of an
      error bar, or of the band of the same label that `fill_between` drew, ``x_lower`` and ``x_upper`` those of a lying
      error bar; ``value`` is the number behind a colour;
    - "band": ``x``, ``lower``, ``upper`` of a band without a line of its label; of `fill_betweenx` ``y``, ``x_lower``,
      ``x_upper``;
    - "range": the same of what `vlines` and `hlines` drew;
    - "mark": ``x`` or ``y`` of a labelled line across the whole panel (`axvline`, `axhline`);
    - "bar": ``category`` (the name of the tick whose group of bars it is in, else the place), ``value``, ``bottom``
      where it doesn't stand on 0, and the error bar's ``lower`` and ``upper``;
    - "cell" of a heat map: ``row`` and ``column`` (names of ticks, else numbers from 0), ``value``;
    - what `helpers.plots.style.note_numbers` noted at the Axes, in place of the heat maps in them: such as "picture",
      with its ``true`` and ``predicted`` class.

    Pictures are no numbers: colour images, and whatever stands in Axes whose axis is off; nor are texts. Colour bars
    are left out, and columns without any value. Names in full, where tick labels are cut, come from what
    `helpers.plots.style.name_places` notes at the axis.

    Returns:
        The table, or None for a figure without numbers, and for one of more than 200,000 (with a warning). What draws
        numbers and is not read here, such as a box plot or a pie, is named in a warning.
    """
    import pandas as pd

    panels = panels_of(figure)
    if (count := count_of(panels)) > MOST_ROWS:
        warnings.warn(
            f"this figure draws {count:,} numbers, and its CSV file is left out: it holds {MOST_ROWS:,} at most",
            stacklevel=2,
        )
        return None
    if left_out := sorted(set().union(*map(unread, panels))):
        warnings.warn(f"the numbers behind this figure lack what it draws as {', '.join(left_out)}", stacklevel=2)
    parts = [
        pd.DataFrame({"panel": name, **part}, dtype=object)
        for name, ax in zip(_panel_names(panels), panels, strict=True)
        for part in parts_of(ax)
    ]
    if not parts:
        return None
    table = pd.concat(parts, ignore_index=True).dropna(axis="columns", how="all")
    known = [column for column in COLUMNS if column in table]
    return table[[*known, *(column for column in table if column not in COLUMNS)]]


def _panel_names(panels: Sequence["Axes"]) -> list[str | None]:
    """A name for each, no two alike; none for a panel that is alone."""
    if len(panels) == 1:
        return [None]
    names = [" ".join((ax.get_title() or ax.get_ylabel()).split()) for ax in panels]
    return [
        name if name and names.count(name) == 1 else f"{name} {number}".strip() for number, name in enumerate(names, 1)
    ]
