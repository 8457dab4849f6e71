"""The names of lines, each where its line ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, offset_copy
from numpy.typing import NDArray

from helpers.plots.style import FONT_SIZE, points_high

Ends = Sequence[tuple[str, Line2D]]
"""Names and their lines."""

LEADER = {"arrowstyle": "-", "color": "#888888", "linestyle": (0, (1, 2)), "linewidth": 0.8}
"""From a line's end to its name: dotted, and in no line's colour, so that nobody takes it for data."""
BESIDE = 7
"""Points from the axes' edge to the names right of it."""
AFTER = 6
"""Points from a line's end to its name, where that stands among the curves."""
FARTHEST = 1.5
"""Heights of a line of text by which a name may be moved up or down among the curves."""
AROUND = 2
"""Points round a name that have to be free of curves: about half a marker."""


@dataclass
class _Label:
    """A line's name and the line's last finite point."""

    text: str
    line: Line2D
    x: float
    y: float
    shown: Annotation | None = None


def label_ends(ax: Axes, ends: Ends) -> None:
    """Names each line right of the axes, at the height where it ends, moved apart where they would overlap.

    A line that ends earlier has its name beside its own end, if nothing is drawn there, else right of the axes, too.
    Dotted leaders go to the names that are away from their lines' ends. To be called when all else is drawn.
    """
    label_all_ends({ax: ends})


def label_all_ends(panels: Mapping[Axes, Ends]) -> None:
    """Does so in several Axes of one figure."""
    labels = {ax: _last_points(ends) for ax, ends in panels.items()}
    for ax, own in labels.items():
        _write_right(ax, own)
    early = {ax: [label for label in own if label.x < max(own, key=_x).x] for ax, own in labels.items()}
    if not any(early.values()):
        return
    # With all the names on the right the axes are as narrow as they can be: what is free now stays free.
    next(iter(panels)).get_figure(root=True).draw_without_rendering()
    for ax, own in labels.items():
        inside = _write_among(ax, early[ax])
        if inside:
            _write_right(ax, [label for label in own if label not in inside])


def _x(label: _Label) -> float:
    return label.x


def _last_points(ends: Ends) -> list[_Label]:
    labels = []
    for text, line in ends:
        x, y = line.get_xdata(orig=False), line.get_ydata(orig=False)
        finite = np.flatnonzero(np.isfinite(y))
        if len(finite):
            labels.append(_Label(text, line, x[finite[-1]], y[finite[-1]]))
    return labels


def _write_right(ax: Axes, labels: Sequence[_Label]) -> None:
    """Names right of the axes, in place of those that are there."""
    if not labels:
        return
    ax.get_ylim()  # settles the limits, on which the transform depends
    ends = np.array([_in_axes(ax, label) for label in labels])
    high = points_high(ax)
    heights = spread(ends[:, 1], 1.3 * FONT_SIZE / high)
    beside = offset_copy(ax.transAxes, ax.figure, x=BESIDE, units="points")
    for label, (x, y), height in zip(labels, ends, heights, strict=True):
        at_its_end = x > 0.94 and abs(height - y) * high < FONT_SIZE / 3
        # From the middle of the text's left side: from its centre a leader would cross the names above and below.
        leader = None if at_its_end else {**LEADER, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3}
        _write(ax, label, xytext=(1, height), textcoords=beside, arrowprops=leader)


def _write_among(ax: Axes, labels: Sequence[_Label]) -> list[_Label]:
    """Names beside those ends where there is room for them; returns these labels."""
    written: list[_Label] = []
    line = 1.3 * FONT_SIZE / points_high(ax)
    for x in dict.fromkeys(label.x for label in labels):
        here = [label for label in labels if label.x == x]
        ends = np.array([_in_axes(ax, label)[1] for label in here])
        # Half a line away from the upper and the lower edge.
        heights = line / 2 + (1 - line) * spread((ends - line / 2) / (1 - line), line / (1 - line))
        for label, moved in zip(here, (heights - ends) * points_high(ax), strict=True):
            if abs(moved) <= FARTHEST * FONT_SIZE and _is_free(ax, _box_after(ax, label, moved), written):
                _write(ax, label, xytext=(AFTER, moved), textcoords="offset points", arrowprops=None)
                written.append(label)
    return written


def _write(ax: Axes, label: _Label, **where: object) -> None:
    if label.shown is not None:
        label.shown.remove()
    look = {"color": label.line.get_color(), "fontsize": FONT_SIZE, "va": "center"}
    label.shown = ax.annotate(
        label.text, xy=(label.x, label.y), annotation_clip=False, parse_math=False, **look, **where
    )


def _in_axes(ax: Axes, label: _Label) -> NDArray[np.float64]:
    """The end as a share of the axes' width and height."""
    return (ax.transData + ax.transAxes.inverted()).transform((label.x, label.y))


def _box_after(ax: Axes, label: _Label, moved: float) -> Bbox:
    """Where the name would stand, in pixels, after its line's end and ``moved`` points up."""
    point = ax.figure.dpi / 72
    size = Text.get_window_extent(label.shown)
    x, y = ax.transData.transform((label.x, label.y))
    return Bbox.from_bounds(x + AFTER * point, y + moved * point - size.height / 2, size.width, size.height)


def _is_free(ax: Axes, box: Bbox, written: Sequence[_Label]) -> bool:
    """Whether no curve, band, mark or name is there, nor the axes' right edge."""
    around = box.padded(AROUND * ax.figure.dpi / 72)
    drawn = [(line, line.get_path(), False) for line in ax.lines]
    drawn += [(band, path, True) for band in ax.collections for path in band.get_paths()]
    if any(
        artist.get_transform().transform_path(path).intersects_bbox(around, filled=filled)
        for artist, path, filled in drawn
    ):
        return False
    names = (Text.get_window_extent(label.shown) for label in written)
    return box.x1 <= ax.bbox.x1 and not any(around.overlaps(name) for name in names)


def spread(wanted: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """The heights (0 to 1) nearest to ``wanted``, in its order from bottom to top, at least ``spacing`` apart.

    Without the steps of ``spacing`` the heights only have to be in order: that is isotonic regression. Heights go
    beyond 0 to 1 where that range has no room.
    """
    from sklearn.isotonic import isotonic_regression  # slow to import, see helpers.evaluate.metrics

    order = np.argsort(wanted, kind="stable")
    steps = spacing * np.arange(len(wanted))
    heights = np.empty(len(wanted))
    heights[order] = np.clip(isotonic_regression(wanted[order] - steps), 0, max(0.0, 1 - steps[-1])) + steps
    return heights
