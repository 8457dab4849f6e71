"""What an Axes draws, as lists of plain numbers and names: one part for each artist."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_AUTOMATIC_LABEL = re.compile(r"_(child|container|image)\d+|_nolegend_")

Part = dict[str, Any]
"""Column -> values, a list each, or one value for all rows."""


def panels_of(figure: "Figure") -> list["Axes"]:
    """The figure's Axes but for colour bars."""
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def count_of(panels: Sequence["Axes"]) -> int:
    """Numbers that the Axes draw, about, without looking at any of them."""
    return sum(_count(ax) for ax in panels)


def parts_of(ax: "Axes") -> list[Part]:
    """What the Axes draw: a part for each artist that holds numbers, with columns as `numbers_of` has them."""
    parts = [part for part in _parts(ax) if rows_of(part)]
    nameless = Counter(part["kind"] for part in parts if part.get("series") is None)
    numbers: Counter[str] = Counter()
    for part in parts:
        kind = part["kind"]
        if part.get("series") is None and nameless[kind] > 1:
            numbers[kind] += 1
            part["series"] = f"{kind} {numbers[kind]}"
    return parts


def rows_of(part: Part) -> int:
    return max((len(values) for values in part.values() if isinstance(values, list)), default=0)


def _count(ax: "Axes") -> int:
    from matplotlib.collections import LineCollection

    shown = sum(len(line.get_xdata()) for line in ax.lines) + len(ax.patches)
    for collection in ax.collections:
        is_lines = isinstance(collection, LineCollection)
        shown += len(collection.get_paths() if is_lines else collection.get_offsets())
    return shown + (rows_of(_noted(ax)) or sum(values.size for _, values in _heat_maps(ax)))


def _noted(ax: "Axes") -> Part:
    """What `helpers.plots.style.note_numbers` noted; it may name the panel itself."""
    return dict(getattr(ax, "numbers_behind", {}))


def _parts(ax: "Axes") -> Iterator[Part]:
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.container import BarContainer, ErrorbarContainer, StemContainer

    inside = _in_containers(ax)
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    for container in bars:
        yield _bars(ax, container, len(bars))
    curves = [_line(ax, line, line.get_label()) for line in _free_lines(ax, inside) if _in_data(ax, line)]
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer) and not any(container is of.errorbar for of in bars):
            curves.append(_with_error_bars(ax, container))
        if isinstance(container, StemContainer):
            curves.append(_line(ax, container.markerline, container.get_label()))
    yield from _joined(curves, list(_bands(ax)))
    for line in _free_lines(ax, inside):
        if not _in_data(ax, line):
            yield from _marks(ax, line)
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            yield _scattered(ax, collection)
        if isinstance(collection, LineCollection) and id(collection) not in inside:
            yield _range(ax, collection)
    if noted := _noted(ax):
        yield noted
    else:
        for image, values in _heat_maps(ax):
            yield _cells(ax, image, values)


def _in_containers(ax: "Axes") -> set[int]:
    """Ids of the artists that a container holds, such as the caps of its error bars."""
    groups = [*ax.containers, *(getattr(container, "errorbar", None) for container in ax.containers)]
    return {id(artist) for group in groups if group is not None for artist in group.get_children()}


def _free_lines(ax: "Axes", inside: set[int]) -> list[Any]:
    """Lines that are drawn for themselves: not by a container, and not by `boxplot`."""
    free = [line for line in ax.lines if id(line) not in inside]
    boxes = [line for line in free if _is_box(line)]
    return [line for line in free if not boxes or not (_is_box(line) or line.get_label() == "_nolegend_")]


def _is_box(line: Any) -> bool:
    """Whether it is a rectangle, as `boxplot` draws them."""
    corners = list(zip(line.get_xdata(), line.get_ydata(), strict=True)) if len(line.get_xdata()) == 5 else []
    return len(corners) == 5 and corners[0] == corners[4] and len(set(corners)) == 4


def unread(ax: "Axes") -> set[str]:
    """Kinds of artists that draw numbers, other than those that `_parts` reads."""
    from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection, QuadMesh
    from matplotlib.patches import PathPatch, Polygon, StepPatch, Wedge

    inside = _in_containers(ax)
    read = (FillBetweenPolyCollection, PathCollection, QuadMesh)
    found = {type(patch).__name__ for patch in ax.patches if type(patch) in (PathPatch, Polygon, StepPatch, Wedge)}
    for collection in ax.collections:
        if isinstance(collection, read) or id(collection) in inside or not _in_data(ax, collection):
            continue
        if not isinstance(collection, LineCollection) or not _range(ax, collection):
            found.add(type(collection).__name__)
    return found | {"box plot" for line in ax.lines if _is_box(line)}


def _line(ax: "Axes", line: Any, label: Any) -> Part:
    kind = "points" if line.get_linestyle() in ("None", "none", "", " ") else "line"
    x = _named(ax.xaxis, line.get_xdata(orig=True), line.get_xdata(orig=False))
    y = _named(ax.yaxis, line.get_ydata(orig=True), line.get_ydata(orig=False))
    return {"kind": kind, "series": _series(label), "x": x, "y": y}


def _with_error_bars(ax: "Axes", container: Any) -> Part:
    """Points with the ends of their error bars; the bars alone where the points themselves are not drawn."""
    line, _, bars = container.lines
    label = container.get_label()
    if line is not None:
        part = _line(ax, line, label)
        count = len(part["x"])
        return {**part, **_ends(container, "y", count), **_ends(container, "x", count, prefix="x_")}
    part = {"kind": "points", "series": _series(label)}
    if container.has_xerr:
        y = [path.vertices[0, 1].item() for path in bars[0].get_paths()]
        part |= {"y": _named(ax.yaxis, y), **_ends(container, "x", len(y), prefix="x_")}
    if container.has_yerr:
        x = [path.vertices[0, 0].item() for path in bars[-1].get_paths()]
        part |= {"x": _named(ax.xaxis, x), **_ends(container, "y", len(x))}
    return part


def _ends(container: Any, along: str, count: int, *, prefix: str = "") -> Part:
    """Lower and upper ends of an ErrorbarContainer's upright ("y") or lying ("x") bars, if it has ``count`` of them."""
    wanted = container is not None and (container.has_yerr if along == "y" else container.has_xerr)
    # matplotlib draws the lying ones first.
    paths = container.lines[2][-1 if along == "y" else 0].get_paths() if wanted else []
    if len(paths) != count:
        return {}
    ends = [path.vertices[:, 1 if along == "y" else 0] for path in paths]
    return {
        f"{prefix}lower": [end.min().item() for end in ends],
        f"{prefix}upper": [end.max().item() for end in ends],
    }


def _bars(ax: "Axes", container: Any, groups: int) -> Part:
    """One of ``groups`` containers, whose bars stand side by side at each named tick."""
    lying = container.orientation == "horizontal"
    bars = container.patches
    bottoms = [float(bar.get_x() if lying else bar.get_y()) for bar in bars]
    widths = [abs(bar.get_height() if lying else bar.get_width()) for bar in bars]
    starts = [bar.get_y() if lying else bar.get_x() for bar in bars]
    middles = [start + width / 2 for start, width in zip(starts, widths, strict=True)]
    names = _names(ax.yaxis if lying else ax.xaxis)
    return {
        "kind": "bar",
        "series": _series(container.get_label()),
        "category": [_category(names, *bar, groups) for bar in zip(middles, widths, strict=True)],
        "value": _plain(container.datavalues),
        **({"bottom": bottoms} if any(bottoms) else {}),
        **_ends(container.errorbar, "x" if lying else "y", len(bars)),
    }


def _category(names: dict[float, str], middle: float, width: float, groups: int) -> Any:
    """The name of the nearest tick if the bar is in that tick's group, else the bar's own place."""
    tick = min(names, key=lambda place: abs(place - middle), default=None)
    in_group = tick is not None and abs(tick - middle) < 0.999 * groups * width / 2
    return names[tick] if in_group else _whole(middle)


def _bands(ax: "Axes") -> Iterator[Part]:
    """What `fill_between` drew: a polygon for each stretch without a gap, along its one side and back on the other."""
    from matplotlib.collections import FillBetweenPolyCollection

    for band in ax.collections:
        if not isinstance(band, FillBetweenPolyCollection):
            continue
        upright = band.t_direction == "x"
        along, across = (0, 1) if upright else (1, 0)
        places: list[float] = []
        first: list[float] = []
        second: list[float] = []
        for path in band.get_paths():
            points = (len(path.vertices) - 3) // 2
            there = path.vertices[1 : points + 1]
            back = path.vertices[points + 2 : 2 * points + 2][::-1]
            places += there[:, along].tolist()
            first += there[:, across].tolist()
            second += back[:, across].tolist()
        yield {"kind": "band", "series": _series(band.get_label()), **_between(ax, upright, places, first, second)}


def _between(ax: "Axes", upright: bool, places: list[float], lower: list[float], upper: list[float]) -> Part:
    """Columns of stretches from one value to another, each at a place on the other axis."""
    if upright:
        return {"x": _named(ax.xaxis, places), "lower": lower, "upper": upper}
    return {"y": _named(ax.yaxis, places), "x_lower": lower, "x_upper": upper}


def _range(ax: "Axes", collection: Any) -> Part:
    """What `vlines` or `hlines` drew; nothing for segments that are neither all upright nor all lying."""
    segments = [segment.tolist() for segment in collection.get_segments() if len(segment) == 2]
    if len(segments) < len(collection.get_segments()) or not _in_data(ax, collection):
        return {}
    for along, across in ((0, 1), (1, 0)):
        if segments and all(start[along] == end[along] for start, end in segments):
            ends = [sorted((start[across], end[across])) for start, end in segments]
            places, lower, upper = [start[along] for start, _ in segments], *map(list, zip(*ends, strict=True))
            columns = _between(ax, along == 0, places, lower, upper)
            return {"kind": "range", "series": _series(collection.get_label()), **columns}
    return {}


def _joined(curves: list[Part], bands: list[Part]) -> Iterator[Part]:
    """The curves, each with the band of its label beside it; then the bands that belong to no curve."""
    by_label = {curve["series"]: curve for curve in curves if curve["series"]}
    left = []
    for band in bands:
        curve = by_label.get(band["series"])
        if curve is None or "x" not in band:
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


def _scattered(ax: "Axes", collection: Any) -> Part:
    x, y = collection.get_offsets().T
    part = {"kind": "points", "series": _series(collection.get_label())}
    part |= {"x": _named(ax.xaxis, x), "y": _named(ax.yaxis, y)}
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
    }


def _named(axis: "Axis", values: Any, places: Any = None) -> list[Any]:
    """Values along an axis: their names, if all have one, else as they are. ``places``: as numbers, if they differ."""
    names = _names(axis)
    numbers = _plain(values if places is None else places)
    return [names[place] for place in numbers] if names and all(place in names for place in numbers) else _plain(values)


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
    found = {place: label for place, label in zip(places, labels, strict=True) if label}
    return {} if all(_says(label, place) for place, label in found.items()) else found


def _says(label: str, place: float) -> bool:
    """Whether a tick's label is the number of its place, also in per cent, and so no name."""
    try:
        number = float(label.replace("−", "-").replace(",", "").removesuffix("%"))
    except ValueError:
        return False
    return math.isclose(number / 100 if label.endswith("%") else number, place, rel_tol=0.01)


def _in_data(ax: "Axes", artist: Any) -> bool:
    """Whether both coordinates of an artist are data."""
    return all(artist.get_transform().contains_branch_seperately(ax.transData))


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
