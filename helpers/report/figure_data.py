"""The numbers behind a figure, read from the drawing itself: so they cannot say anything else than it does."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLUMNS = ("panel", "kind", "series", "category", "row", "column", "x", "y", "value", "lower", "upper", "text")
MOST_ROWS = 200_000
"""A figure of more numbers gets no table: its CSV file would be larger than all the rest of a notebook."""
_AUTOMATIC_LABEL = re.compile(r"_(child|container|image)\d+|_nolegend_")

Part = dict[str, Any]
"""Column -> values, a list each, or one value for all rows."""


def numbers_of(figure: "Figure") -> "pd.DataFrame | None":
    """A long table of what a matplotlib figure draws, as plain Python values and unrounded.

    Each row has its ``panel`` where there are several (title, else label of the y axis, else number of the Axes),
    ``kind`` and ``series`` (the artist's label, if it has one). By kind:

    - "line" and "points" (scatter, and lines without a line): ``x``, ``y``; ``lower`` and ``upper`` are the ends of an
      error bar, or of the band of the same label that `fill_between` drew; ``value`` is the number behind a colour;
    - "band": ``x``, ``lower``, ``upper`` of a band without a line of its label;
    - "mark": ``x`` or ``y`` of a labelled line across the whole panel (`axvline`, `axhline`);
    - "bar": ``category`` (the tick's name, else the place), ``value``, and the error bar's ``lower`` and ``upper``;
    - "cell" of a heat map: ``row`` and ``column`` (names of ticks, else numbers from 0), ``value``.

    Pictures are no numbers: colour images, and whatever stands in Axes whose axis is off. A figure without any number
    gets the texts in it: kind "text", with ``x``, ``y``, ``text``. Colour bars are left out, and columns without any
    value. Names in full, where tick labels are cut, come from what `helpers.plots` notes at the axis.

    Returns:
        The table, or None for a figure without numbers and texts, and for one of more than 200,000 numbers (with a
        warning).
    """
    import pandas as pd

    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    count = sum(_count(ax) for ax in panels)
    if count > MOST_ROWS:
        warnings.warn(
            f"this figure draws {count:,} numbers, and its CSV file is left out: it holds {MOST_ROWS:,} at most",
            stacklevel=2,
        )
        return None
    parts = _read(panels, _parts) or _read(panels, _texts)
    if not parts:
        return None
    table = pd.concat(parts, ignore_index=True).dropna(axis="columns", how="all")
    known = [column for column in COLUMNS if column in table]
    return table[[*known, *(column for column in table if column not in COLUMNS)]]


def _read(panels: Sequence["Axes"], parts_of: Callable[["Axes"], Iterable[Part]]) -> list["pd.DataFrame"]:
    """A table for each part of each panel that has any row."""
    import pandas as pd

    frames = [
        pd.DataFrame({"panel": name, **part}, dtype=object)
        for name, ax in zip(_panel_names(panels), panels, strict=True)
        for part in parts_of(ax)
    ]
    return [frame for frame in frames if len(frame)]


def _panel_names(panels: Sequence["Axes"]) -> list[str | None]:
    """A name for each, no two alike; none for a panel that is alone."""
    if len(panels) == 1:
        return [None]
    names = [" ".join((ax.get_title() or ax.get_ylabel()).split()) for ax in panels]
    return [
        name if name and names.count(name) == 1 else f"{name} {number}".strip() for number, name in enumerate(names, 1)
    ]


def _count(ax: "Axes") -> int:
    """Numbers that the Axes draw, without looking at any of them."""
    shown = sum(len(line.get_xdata()) for line in ax.lines) + len(ax.patches)
    shown += sum(len(collection.get_offsets()) for collection in ax.collections)
    return shown + sum(values.size for _, values in _heat_maps(ax))


def _parts(ax: "Axes") -> Iterator[Part]:
    from matplotlib.collections import PathCollection
    from matplotlib.container import BarContainer, ErrorbarContainer

    inside = {id(artist) for container in ax.containers for artist in container.get_children()}
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    of_bars = {id(container.errorbar) for container in bars}
    for container in bars:
        inside |= {id(artist) for artist in container.errorbar.get_children()} if container.errorbar else set()
        yield _bars(ax, container)
    curves = [_line(ax, line, line.get_label()) for line in ax.lines if id(line) not in inside and _in_data(ax, line)]
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer) and id(container) not in of_bars:
            curves.append(_with_error_bars(ax, container))
    bands = list(_bands(ax))
    yield from _joined(curves, bands)
    for line in ax.lines:
        if id(line) not in inside and not _in_data(ax, line):
            yield from _marks(ax, line)
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            yield _scattered(collection)
    for image, values in _heat_maps(ax):
        yield _cells(ax, image, values)


def _line(ax: "Axes", line: Any, label: Any) -> Part:
    names = _names(ax.xaxis)
    x = _plain(line.get_xdata(orig=True))
    if names and all(place in names for place in x):
        x = [names[place] for place in x]
    kind = "points" if line.get_linestyle() in ("None", "none", "", " ") else "line"
    return {"kind": kind, "series": _series(label), "x": x, "y": _plain(line.get_ydata(orig=True))}


def _with_error_bars(ax: "Axes", container: Any) -> Part:
    """Points with the ends of their error bars; the bars alone where the points themselves are not drawn."""
    line, _, bars = container.lines
    label = container.get_label()
    if line is not None:
        part = _line(ax, line, label)
        return {**part, **_ends(container, "y", len(part["x"]))}
    x = [path.vertices[0, 0].item() for path in bars[-1].get_paths()]
    return {"kind": "points", "series": _series(label), "x": x, **_ends(container, "y", len(x))}


def _ends(container: Any, along: str, count: int) -> Part:
    """Lower and upper ends of an ErrorbarContainer's upright ("y") or lying ("x") bars, if it has ``count`` of them."""
    wanted = container is not None and (container.has_yerr if along == "y" else container.has_xerr)
    # matplotlib draws the lying ones first.
    paths = container.lines[2][-1 if along == "y" else 0].get_paths() if wanted else []
    if len(paths) != count:
        return {}
    ends = [path.vertices[:, 1 if along == "y" else 0] for path in paths]
    return {"lower": [end.min().item() for end in ends], "upper": [end.max().item() for end in ends]}


def _bars(ax: "Axes", container: Any) -> Part:
    lying = container.orientation == "horizontal"
    if lying:
        places = [bar.get_y() + bar.get_height() / 2 for bar in container.patches]
    else:
        places = [bar.get_x() + bar.get_width() / 2 for bar in container.patches]
    names = _names(ax.yaxis if lying else ax.xaxis)
    return {
        "kind": "bar",
        "series": _series(container.get_label()),
        # Bars of a group stand left and right of their tick.
        "category": [names.get(round(place), _whole(place)) for place in places],
        "value": _plain(container.datavalues),
        **_ends(container.errorbar, "x" if lying else "y", len(places)),
    }


def _bands(ax: "Axes") -> Iterator[Part]:
    """What `fill_between` drew: a polygon for each stretch without a gap, along its one side and back on the other."""
    from matplotlib.collections import FillBetweenPolyCollection

    for band in ax.collections:
        if not isinstance(band, FillBetweenPolyCollection) or band.t_direction != "x":
            continue
        part: Part = {"kind": "band", "series": _series(band.get_label()), "x": [], "lower": [], "upper": []}
        for path in band.get_paths():
            points = (len(path.vertices) - 3) // 2
            there = path.vertices[1 : points + 1]
            back = path.vertices[points + 2 : 2 * points + 2][::-1]
            part["x"] += there[:, 0].tolist()
            part["lower"] += there[:, 1].tolist()
            part["upper"] += back[:, 1].tolist()
        yield part


def _joined(curves: list[Part], bands: list[Part]) -> Iterator[Part]:
    """The curves, each with the band of its label beside it; then the bands that belong to no curve."""
    by_label = {curve["series"]: curve for curve in curves if curve["series"]}
    left = []
    for band in bands:
        curve = by_label.get(band["series"])
        if curve is None:
            left.append(band)
            continue
        for side in ("lower", "upper"):
            ends = dict(zip(band["x"], band[side], strict=True))
            curve[side] = [ends.get(x) for x in curve["x"]]
    yield from curves
    yield from left


def _marks(ax: "Axes", line: Any) -> Iterator[Part]:
    """A labelled line that crosses the panel; others are borders and grids."""
    label = _series(line.get_label())
    if label and line.get_transform() == ax.get_xaxis_transform(which="grid"):
        yield {"kind": "mark", "series": label, "x": [_whole(line.get_xdata()[0])]}
    if label and line.get_transform() == ax.get_yaxis_transform(which="grid"):
        yield {"kind": "mark", "series": label, "y": [_whole(line.get_ydata()[0])]}


def _scattered(collection: Any) -> Part:
    x, y = collection.get_offsets().T
    part = {"kind": "points", "series": _series(collection.get_label()), "x": _plain(x), "y": _plain(y)}
    colours = collection.get_array()
    return part if colours is None else {**part, "value": _plain(colours)}


def _heat_maps(ax: "Axes") -> Iterator[tuple[Any, Any]]:
    """Images and meshes of numbers (rows, columns); in Axes whose axis is off they are pictures."""
    from matplotlib.collections import QuadMesh

    if not ax.axison:
        return
    for image in [*ax.images, *(mesh for mesh in ax.collections if isinstance(mesh, QuadMesh))]:
        values = image.get_array()
        if values is not None and values.ndim == 2:
            yield image, values


def _cells(ax: "Axes", image: Any, values: Any) -> Part:
    import numpy as np

    rows, columns = (index.ravel().tolist() for index in np.indices(values.shape))
    row_names, column_names = _names(ax.yaxis), _names(ax.xaxis)
    return {
        "kind": "cell",
        "series": _series(image.get_label()),
        "row": [row_names.get(row, row) for row in rows],
        "column": [column_names.get(column, column) for column in columns],
        "value": _plain(values),
        **{name: _plain(numbers) for name, numbers in getattr(image, "numbers_behind", {}).items()},
    }


def _texts(ax: "Axes") -> Iterator[Part]:
    shown = [text for text in ax.texts if text.get_text()]
    places = [text.get_position() for text in shown]
    yield {
        "kind": "text",
        "x": [float(x) for x, _ in places],
        "y": [float(y) for _, y in places],
        "text": [" ".join(text.get_text().split()) for text in shown],
    }


def _names(axis: "Axis") -> dict[float, str]:
    """What places on an axis are called: the full names that were noted there, else tick labels that are no numbers."""
    from matplotlib.category import StrCategoryLocator
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

    if hasattr(axis, "full_names"):
        return dict(enumerate(axis.full_names))
    fixed = isinstance(axis.get_major_locator(), FixedLocator)
    named = fixed and isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    if not named and not isinstance(axis.get_major_locator(), StrCategoryLocator):
        return {}
    labels = [" ".join(label.get_text().split()) for label in axis.get_majorticklabels()]
    places = [float(place) for place in axis.get_majorticklocs()]
    return {place: label for place, label in zip(places, labels, strict=True) if label}


def _in_data(ax: "Axes", line: Any) -> bool:
    """Whether both coordinates of a line are data."""
    return line.get_transform().contains_branch(ax.transData)


def _series(label: Any) -> str | None:
    """An artist's label; None for those that matplotlib makes up."""
    return None if _AUTOMATIC_LABEL.fullmatch(str(label)) else str(label)


def _plain(values: Any) -> list[Any]:
    """Python's own numbers, one after the other; masked ones are None."""
    import numpy as np

    return np.ma.asarray(values).ravel().tolist()


def _whole(value: Any) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() else number
