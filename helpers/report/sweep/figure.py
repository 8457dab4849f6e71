"""The figures of a sweep: its key numbers against the parameters that vary."""

import itertools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.report.sweep.results import (
    Quantity,
    Result,
    good,
    groups,
    is_seed,
    key_of,
    mean_and_std,
    quantities,
    recorded,
    varying,
)
from helpers.report.sweep.tables import described, shown_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHTS = {1: 2.9, 2: 2.6, 3: 4.8, 4: 4.8}
"""Inches, by the number of panels."""
MOST_LINES = 7
"""More cannot be told apart by colour and shape."""
MOST_FIGURES = 4
MOST_TICKS = 8
MARKERS = "osD^vPX"


@dataclass(frozen=True)
class Drawing:
    """A figure and what stands beneath it."""

    figure: "Figure"
    name: str
    caption: str


@dataclass(frozen=True)
class Layout:
    """What a figure shows against what.

    Attributes:
        x: the parameter along the axis.
        lines: those that tell one line from another; of these no two points of a line differ.
        seeds: those over which means are taken.
        is_scatter: whether the points have too many values of other parameters for lines.
    """

    x: str
    lines: Sequence[str] = ()
    seeds: Sequence[str] = ()
    is_scatter: bool = False


def drawings(results: Sequence[Result]) -> tuple[list[Drawing], str]:
    """The figures of the points that ended well, and why there is none ("" if there is one).

    Up to four key numbers, a panel each, against the parameter with most values, numbers before others. Each set of
    values of the other parameters is a line; where these are too many, each parameter gets a figure of dots.
    """
    shown = [quantity for quantity in quantities(results) if quantity.is_key][: max(HEIGHTS)]
    usable = good(results)
    changing = varying(usable)
    if not usable:
        return [], "no point has ended well yet"
    if not shown:
        return [], "the notebook recorded no number"
    if not changing:
        return [], "all points that ended well have the same parameters"
    return [_drawing(usable, shown, layout) for layout in _layouts(usable, changing)], ""


def _layouts(results: Sequence[Result], changing: Sequence[str]) -> list[Layout]:
    seeds = [name for name in changing if is_seed(name)]
    others = [name for name in changing if not is_seed(name)]
    if not others:
        return [Layout(seeds[0])]
    ranked = sorted(others, key=lambda name: (not _is_numeric(results, name), -len(groups(results, [name]))))
    lines = [name for name in others if name != ranked[0]]
    if len(groups(results, lines)) > MOST_LINES:
        return [Layout(name, is_scatter=True) for name in ranked[:MOST_FIGURES]]
    return [Layout(ranked[0], lines, seeds)]


def _is_numeric(results: Sequence[Result], name: str) -> bool:
    """Whether a parameter's values are amounts; a seed's number is only its name."""
    values = [result.values[name] for result in results]
    return not is_seed(name) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _drawing(results: Sequence[Result], shown: Sequence[Quantity], layout: Layout) -> Drawing:
    import matplotlib
    from matplotlib.figure import Figure

    from helpers.plots import style

    count = len(shown)
    with matplotlib.rc_context(style.STYLE):
        # Not by pyplot, which may open windows outside of notebooks.
        figure = Figure(figsize=(style.WIDTH, HEIGHTS[count]), layout="constrained")
        axes = figure.subplots(math.ceil(count / 2), min(count, 2), squeeze=False).flat
        for ax in axes[count:]:
            ax.remove()
        lines: dict[str, Any] = {}
        for ax, quantity in zip(axes, shown, strict=False):
            lines |= _panel(ax, results, quantity, layout)
        if len(lines) > 1:
            _name_lines(figure, axes[0], lines, direct=count == 1 and _is_numeric(results, layout.x))
    return Drawing(figure, f"sweep_{layout.x.lower()}", _caption(results, shown, layout))


def _panel(ax: "Axes", results: Sequence[Result], quantity: Quantity, layout: Layout) -> dict[str, Any]:
    """Draws one number; returns the lines by what they stand for."""
    from helpers.plots import style

    numeric = _is_numeric(results, layout.x)
    place = _places(ax, results, layout.x) if numeric else _categories(ax, results, layout.x)
    unit = "" if quantity.unit in ("", "%") else f", {quantity.unit}"
    ax.set_xlabel(layout.x, parse_math=False)
    ax.set_ylabel(textwrap.fill(f"{quantity.label}{unit}", 28), parse_math=False)
    if quantity.unit == "%":
        style.percent_ticks(ax.yaxis)
    elif quantity.unit == "points":
        ax.yaxis.set_major_formatter(lambda difference, _: f"{100 * difference:.4g}")
    style.tidy(ax)
    _note(ax, results, quantity, layout)
    if layout.is_scatter or is_seed(layout.x):
        _scatter(ax, _having(results, quantity), quantity, layout.x, place)
        return {}
    series = groups(results, layout.lines)
    labels = _labels([{name: group[0].values[name] for name in layout.lines} for group in series])
    lines = {}
    for i, (label, group) in enumerate(zip(labels, series, strict=True)):
        # A line keeps its colour in every panel, also where another has no numbers.
        known = sorted(_having(group, quantity), key=place)
        aside = 0 if numeric else 0.7 * (i - (len(series) - 1) / 2) / len(series)
        if known:
            lines[label] = _line(ax, known, quantity, layout.x, place, label=label, look=_look(i, numeric), aside=aside)
    return lines


def _note(ax: "Axes", results: Sequence[Result], quantity: Quantity, layout: Layout) -> None:
    import pandas as pd

    from helpers.plots import style

    rows = [{**result.values, quantity.label: recorded(result, quantity)} for result in _having(results, quantity)]
    style.drawn(
        ax,
        pd.DataFrame(rows, columns=[*results[0].values, quantity.label]),
        kind="points",
        x=layout.x,
        y=quantity.label,
    )


def _having(results: Sequence[Result], quantity: Quantity) -> list[Result]:
    return [result for result in results if recorded(result, quantity) is not None]


def _labels(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """What lines are called: long values are cut, unless two lines would be called the same."""
    from helpers.plots import style

    short = [
        described({name: style.shortened(shown_value(value), 30) for name, value in own.items()}) for own in values
    ]
    return short if len(set(short)) == len(values) else [described(own) for own in values]


def _scatter(
    ax: "Axes", results: Sequence[Result], quantity: Quantity, x: str, place: Callable[[Result], float]
) -> None:
    """A dot for each point, and their means: of all over the seeds, else at each value."""
    from helpers.plots import style

    values = [recorded(result, quantity) for result in results]
    dots = {"color": style.PALETTE[0], "markersize": 4, "alpha": 0.6, "markeredgewidth": 0, "label": "points"}
    ax.plot([place(result) for result in results], values, "o", **dots)
    if not is_seed(x):
        repeated = groups(results, [x])
        means = [mean_and_std([recorded(result, quantity) for result in group])[0] for group in repeated]
        bars = {"color": "black", "markersize": 16, "markeredgewidth": 1.4, "label": "mean"}
        ax.plot([place(group[0]) for group in repeated], means, "_", **bars)
        return
    mean, std = mean_and_std(values)
    ax.axhline(mean, color=style.GREY, linewidth=1, linestyle="--", zorder=1.5, label="mean")
    if std is not None:
        ax.axhspan(mean - std, mean + std, color=style.GREY, alpha=0.15, linewidth=0)


def _look(i: int, joined: bool) -> dict[str, Any]:
    from helpers.plots import style

    look = style.line_look(i) if joined else {"color": style.PALETTE[i], "linestyle": "none"}
    return {**look, "marker": MARKERS[i]}


def _line(
    ax: "Axes",
    results: Sequence[Result],
    quantity: Quantity,
    x: str,
    place: Callable[[Result], float],
    *,
    label: str,
    look: Mapping[str, Any],
    aside: float,
) -> Any:
    """The means with their deviations, and the single points where any mean is of several; returns the line.

    All are drawn ``aside`` of their places: dots of one category stand beside each other.
    """
    import numpy as np
    from matplotlib.transforms import Affine2D

    repeated = groups(results, [x])
    means = [mean_and_std([recorded(result, quantity) for result in group]) for group in repeated]
    where = {"transform": Affine2D().translate(aside, 0) + ax.transData} if aside else {}
    line = ax.errorbar(
        [place(group[0]) for group in repeated],
        np.array([mean for mean, _ in means]),
        [math.nan if std is None else std for _, std in means],
        **look,
        **where,
        markersize=4.5,
        capsize=3,
        elinewidth=1,
        label=label or "mean",
    )
    if len(repeated) < len(results):
        small = {"color": look["color"], "markersize": 3, "markeredgewidth": 0, "alpha": 0.6}
        values = [recorded(result, quantity) for result in results]
        ax.plot([place(result) for result in results], values, "o", label=f"{label} points".strip(), **small, **where)
    return line[0]


def _places(ax: "Axes", results: Sequence[Result], x: str) -> Callable[[Result], float]:
    """Numbers along the axis, a logarithmic one where they lie more evenly there; ticks at them where there is room."""
    values = sorted({result.values[x] for result in results})
    logarithmic = (
        values[0] > 0 and values[-1] >= 8 * values[0] and _evenness(list(map(math.log, values))) > _evenness(values)
    )
    along = list(map(math.log, values)) if logarithmic else values
    if logarithmic:
        ax.set_xscale("log")
    if len(values) <= MOST_TICKS and _evenness(along) > 0.09:
        ax.set_xticks(values, list(map(shown_value, values)))
        ax.minorticks_off()
    return lambda result: result.values[x]


def _evenness(values: Sequence[float]) -> float:
    """The smallest step between sorted values as a share of their range."""
    return min((b - a for a, b in itertools.pairwise(values)), default=1) / ((values[-1] - values[0]) or 1)


def _categories(ax: "Axes", results: Sequence[Result], x: str) -> Callable[[Result], float]:
    """Values side by side in the order of the sweep, named as far as there is room."""
    from helpers.plots import style

    places: dict[str, int] = {}
    for result in results:
        places.setdefault(key_of(result.values[x]), len(places))
    names = [shown_value(group[0].values[x]) for group in groups(results, [x])]
    room = (80 if ax.get_subplotspec().get_gridspec().ncols == 1 else 36) // len(names)
    upright = max(map(len, names)) > 3 * room
    labels = [style.shortened(name, 24) if upright else textwrap.fill(name, max(room, 3)) for name in names]
    ax.set_xticks(range(len(names)), labels, parse_math=False, rotation=90 if upright else 0)
    ax.set_xlim(-0.5, len(names) - 0.5)
    return lambda result: places[key_of(result.values[x])]


def _name_lines(figure: "Figure", ax: "Axes", lines: Mapping[str, Any], *, direct: bool) -> None:
    """Says which line is which, beside the lines' ends or above the panels."""
    from helpers.plots import style

    if direct:
        for name, line in lines.items():
            line.set_label(name)
        style.name_lines(ax, list(lines.values()))
        return
    columns = max(1, min(len(lines), 90 // (max(map(len, lines)) + 7)))
    figure.legend(list(lines.values()), list(lines), loc="outside upper left", ncols=columns)


def _caption(results: Sequence[Result], shown: Sequence[Quantity], layout: Layout) -> str:
    start = f"{'; '.join(quantity.label for quantity in shown)}, against {layout.x}."
    if is_seed(layout.x):
        return f"{start} One dot for each point; dashed: their mean, grey: ± one sample standard deviation."
    if layout.is_scatter:
        return f"{start} One dot for each point, which differ in other parameters, too; bars: their means."
    if not layout.seeds:
        return start
    over = " and ".join(layout.seeds)
    return f"{start} Means over {over} with ± one sample standard deviation; small dots: the single points."
