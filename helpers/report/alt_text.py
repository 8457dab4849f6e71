"""What a figure shows in words, for those who have it read aloud."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from helpers.report.figure_parts import Part, count_of, panels_of, parts_of, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

LONGEST = 300
"""Characters: about 20 seconds of speech."""
MOST_LISTED = 5
"""Values that are read one by one; of more, the lowest and the highest."""
MOST_READ = 20_000
"""A figure of more numbers has so few that can be said that they aren't looked for."""

Write = Callable[[float], str]
"""A number as it is said, with its unit."""


def alt_text(figure: "Figure") -> str:
    """The kind of the figure, and of each panel its lines with their first, last and best values, its bars, or so.

    Such as "Lines of loss over epoch: training from 4.02 to 1.15, validation from 3.97 to 1.46 (lowest 1.42 at 5)." Of
    pictures, what they are called. Numbers of shares are per cent where the axis has it so.

    Returns:
        300 characters at most; "" for a figure of which there is nothing to say, and for one of more than 20,000
        numbers.
    """
    panels = panels_of(figure)
    if count_of(panels) > MOST_READ:
        return ""
    parts = [parts_of(ax) for ax in panels]
    said = [_panel(ax, own, named=len(panels) > 1) for ax, own in zip(panels, parts, strict=True)]
    # Panels over the same axis often have the same marks.
    marks = dict.fromkeys(_mark(part) for own in parts for part in _of(own, "mark"))
    said.append(f"Marked: {', '.join(marks)}." if marks else "")
    return _cut(" ".join(" ".join(filter(None, said)).split()))


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    head = text[: LONGEST - 2]
    end = max(head.rfind(mark) for mark in (", ", "; ", ". "))
    return f"{head[:end] if end > 0 else head} …"


def _mark(part: Part) -> str:
    return f"{part['series']} {_number((part.get('x') or part['y'])[0])}"


def _panel(ax: "Axes", parts: Sequence[Part], *, named: bool) -> str:
    title = next((part["panel"] for part in parts if "panel" in part), ax.get_title() if named else "")
    sentences = [text for say in (_curves, _bars, _cells, _pictures, _others) if (text := say(ax, parts))]
    if not sentences and (words := [text.get_text() for text in ax.texts if text.get_text()]):
        sentences = [", ".join(words)]
    if not sentences:
        return ""
    text = ". ".join(sentence[:1].upper() + sentence[1:] for sentence in sentences)
    return f"{title}: {text}." if title else f"{text}."


def _of(parts: Sequence[Part], *kinds: str) -> list[Part]:
    return [part for part in parts if part["kind"] in kinds]


def _curves(ax: "Axes", parts: Sequence[Part]) -> str:
    """Lines and points: where each begins and ends, and its best value if that is neither."""
    curves = [part for part in _of(parts, "line", "points") if "x" in part and "y" in part]
    if not curves:
        return ""
    kind = "lines" if len(curves) > 1 else "line"
    kind = kind if any(part["kind"] == "line" for part in curves) else "points"
    lying = any(isinstance(y, str) for part in curves for y in part["y"])
    along, across = (ax.yaxis, ax.xaxis) if lying else (ax.xaxis, ax.yaxis)
    names = [part["series"] or "" for part in curves]
    courses = [_course(part, across, lying=lying) for part in curves]
    by = "by" if lying or any(isinstance(x, str) for part in curves for x in part["x"]) else "over"
    start = kind + _about(across, "of") + _about(along, by)
    if len(set(courses)) == 1 and (entries := _legend(ax)):
        # As of ROC curves, which all lead from 0 to 1: what tells them apart is in the legend.
        return f"{start}: {_joined(entries)}"
    return f"{start}: {_joined([_with_name(*pair) for pair in zip(names, courses, strict=True)])}"


def _joined(texts: Sequence[str]) -> str:
    return ("; " if any(", " in text for text in texts) else ", ").join(texts)


def _with_name(name: str, values: str) -> str:
    return f"{name}{'' if values.startswith('from ') else ':'} {values}" if name else values


def _course(part: Part, axis: "Axis", *, lying: bool) -> str:
    """The course of a curve in words."""
    write = _writer(axis)
    places, values = (part["y"], part["x"]) if lying else (part["x"], part["y"])
    known = [pair for pair in zip(places, values, strict=True) if _is_finite(pair[1])]
    if not known:
        return "without values"
    if any(isinstance(place, str) for place, _ in known):
        return _listed(known, write)
    if len(known) == 1:
        return f"{write(known[0][1])} at {_number(known[0][0])}"
    if part["kind"] == "points":
        return f"{len(known)} {_range([value for _, value in known], write)}"
    (_, first), (_, last) = known[0], known[-1]
    pick = _better(axis.get_label_text(), rises=last >= first)
    place, best = pick(known, key=lambda pair: pair[1])
    course = f"from {write(first)} to {write(last)}"
    if best in (first, last):
        return course
    return f"{course} ({'lowest' if pick is min else 'highest'} {write(best)} at {_number(place)})"


def _better(quantity: str, *, rises: bool) -> Callable[..., Any]:
    """Which end of the values is the better one; where the quantity doesn't say it, that to which the curve leads."""
    if re.search(r"\b(loss|error)\b", quantity, re.IGNORECASE):
        return min
    return max if rises or re.search(r"\b(accuracy|precision|recall|F1)\b", quantity, re.IGNORECASE) else min


def _legend(ax: "Axes") -> list[str]:
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend is not None else []


def _bars(ax: "Axes", parts: Sequence[Part]) -> str:
    bars = _of(parts, "bar")
    if not bars:
        return ""
    upright = ax.containers and getattr(ax.containers[0], "orientation", "") != "horizontal"
    along, across = (ax.xaxis, ax.yaxis) if upright else (ax.yaxis, ax.xaxis)
    write = _writer(across)
    values = [_listed(list(zip(part["category"], part["value"], strict=True)), write) for part in bars]
    series = [_with_name(part["series"] or "", text) for part, text in zip(bars, values, strict=True)]
    return f"bars{_about(across, 'of')}{_about(along, 'by')}: {_joined(series)}"


def _listed(values: Sequence[tuple[Any, float]], write: Write) -> str:
    """Names and their values; of many, those with the lowest and the highest."""
    known = [(str(name), value) for name, value in values if _is_finite(value)]
    if len(known) <= MOST_LISTED:
        return ", ".join(f"{name} {write(value)}" for name, value in known) or "without values"
    ends = [pick(value for _, value in known) for pick in (min, max)]
    if ends[0] == ends[1]:
        return f"{write(ends[0])} at all {len(known)}"
    said = []
    for word, end in zip(("lowest", "highest"), ends, strict=True):
        there = [name for name, value in known if value == end]
        said.append(f"{word} {write(end)} at {there[0] if len(there) == 1 else f'{len(there)} of {len(known)}'}")
    return ", ".join(said)


def _cells(ax: "Axes", parts: Sequence[Part]) -> str:
    """Heat maps: how many cells from where to where, and of a confusion matrix what stands on the diagonal."""
    sentences = []
    for part in _of(parts, "cell"):
        if isinstance(part.get("series"), list):
            titles = dict.fromkeys(part["series"])
            sentences.append(f"numbers in grids: {', '.join(f'{title} ({_size(part, title)})' for title in titles)}")
            continue
        write = _writer(None, unit="%" if _colour_bar(ax).startswith("%") else "")
        about = [_about(ax.yaxis, "of"), _about(ax.xaxis, "by")]
        kind = f"heat map{''.join(about) if all(about) else ''}"
        text = f"{kind}, {rows_of(part):,} cells {_range(part['value'], write)}"
        same = zip(part["row"], part["column"], part["value"], strict=True)
        diagonal = [value for row, column, value in same if row == column and isinstance(row, str)]
        if finite := [value for value in diagonal if _is_finite(value)]:
            text += f", on the diagonal {_range(finite, write)}, {write(sum(finite) / len(finite))} on average"
        sentences.append(text)
    return ". ".join(sentences)


def _size(part: Part, title: str) -> str:
    rows, columns = (
        1 + max(place for name, place in zip(part["series"], part[side], strict=True) if name == title)
        for side in ("row", "column")
    )
    return f"{rows} × {columns}"


def _colour_bar(ax: "Axes") -> str:
    """What the colours are."""
    bars = [image.colorbar for image in [*ax.images, *ax.collections] if image.colorbar is not None]
    return bars[0].ax.get_ylabel() if bars else ""


def _pictures(ax: "Axes", parts: Sequence[Part]) -> str:
    for part in _of(parts, "picture"):
        pairs = list(zip(part["true"], part["predicted"], strict=True))
        wrong = [f"{true} taken for {guess}" for true, guess in pairs if true != guess]
        found = f"{len(pairs) - len(wrong)} of {len(pairs)} pictures predicted rightly"
        return (
            f"{found}; {', '.join(dict.fromkeys(wrong))}"
            if wrong
            else f"{found}: {', '.join(dict.fromkeys(part['true']))}"
        )
    names = getattr(ax, "picture_names", [])
    return f"pictures: {', '.join(dict.fromkeys(names))}" if names else ""


def _others(ax: "Axes", parts: Sequence[Part]) -> str:
    """Bands and stretches that belong to no curve: how far they reach."""
    said = []
    for part in _of(parts, "band", "range"):
        axis, sides = (ax.yaxis, ("lower", "upper")) if "lower" in part else (ax.xaxis, ("x_lower", "x_upper"))
        reach = _range([value for side in sides for value in part[side]], _writer(axis))
        said.append(f"{part['kind']} {part['series'] or ''} {reach}")
    return ", ".join(said)


def _about(axis: "Axis", word: str) -> str:
    """What an axis is, behind a word; "" where it doesn't say."""
    label = " ".join(axis.get_label_text().split())
    return f" {word} {label}" if label else ""


def _range(values: Sequence[float], write: Write) -> str:
    known = [value for value in values if _is_finite(value)]
    if len(set(known)) < 2:
        return f"all {write(known[0])}" if known else "without values"
    return f"from {write(min(known))} to {write(max(known))}"


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _writer(axis: "Axis | None", *, unit: str = "") -> Write:
    """How to write an axis's numbers: shares as per cent, where the axis does so."""
    from matplotlib.ticker import FuncFormatter

    form = None if axis is None else axis.get_major_formatter()
    if isinstance(form, FuncFormatter) and form(0.5, 0) == "50%":
        return lambda value: f"{100 * value:.1f}%".replace("-", "−") if abs(value) >= 0.0005 else _tiny(value)
    return lambda value: f"{_number(value)}{unit}"


def _tiny(share: float) -> str:
    return f"{_number(100 * share)}%"


def _number(value: Any) -> str:
    """Three figures, and no exponent for what can be said without."""
    if not isinstance(value, int | float):
        return str(value)
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return re.sub(r"^-", "−", text)
