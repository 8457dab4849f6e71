"""Values as the cells of tables show them: figures, minus signs, units, the best one, decimals below each other."""

import math
import numbers
import re
from collections.abc import Sequence
from html import escape
from typing import Any

NONE = "–"
"""Shown where there is no value."""
FIGURE_SPACE = "\u2007"
POINT_SPACE = "\u2008"
"""As wide as a digit, and as a full stop."""
NO_BREAK = "\u00a0"
MOST_FIGURES = 5
"""No number gets more of them only to have as many decimals as its neighbours."""
# A number as tables show it, also with its deviation: "1,234", "+1.5 points", "61.2 ± 1.3 %", "61.2% ± 1.3%".
_FIGURE = r"[+−]?[\d,]*\.?\d+(?:e[+-]?\d+)?"
_UNIT = r"(?:\s?(%|points))?"
_NUMBER = re.compile(rf"{_FIGURE}{_UNIT}(?: ± {_FIGURE}{_UNIT})?")
_FIXED = re.compile(r"[+−]?[\d,]+(?:\.(\d+))?")
# What stays as it is in Markdown (code, formulas, tags, addresses), or else a number's per-cent sign.
_TYPED_OR_PERCENT = re.compile(
    r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|\$[^$\n]+\$|<[^<>\n]*>|\]\([^()\n]*\)|https?://\S+|(?<=\d) ?%(?!\w)", re.DOTALL
)


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities become None, NumPy scalars become Python's."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)


def is_number(value: Any) -> bool:
    """Whether a plain value is a number, a missing one or a text that shows one."""
    if isinstance(value, str):
        return value == NONE or _NUMBER.fullmatch(value) is not None
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def shown(value: Any, form: str | None) -> str:
    """A plain value as text; floats get three decimals where no format is given.

    A share in per cent has its sign behind a space. Formatted with a sign of its own ("{:+.1%}") it is a difference of
    shares, which is counted in points; so it is where the format says so ("{:.1%} points").
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    form = form or ("{:,}" if isinstance(value, int) else "{:.3f}")
    text = with_minus(form.format(value))
    figures = text.removesuffix(" points").removesuffix("%")
    if figures == text or not is_number(figures):
        return text
    return f"{figures}{NO_BREAK}{'points' if '+' in form or text.endswith('points') else '%'}"


def with_deviation(value: Any, std: Any, form: str | None) -> str:
    """A plain value and its standard deviation, if it has one, as text; a unit stands behind both."""
    mean = shown(value, form)
    if std is None or value is None:
        return mean
    figures, space, unit = mean.partition(NO_BREAK)
    spread = shown(std, None if form is None else form.replace("+", "")).partition(NO_BREAK)[0]
    return f"{figures} ± {spread}{space}{unit}"


def with_minus(text: str) -> str:
    """A formatted number with the real minus sign, which a zero, also one that was rounded to it, doesn't have."""
    is_zero = not re.search("[1-9]", text)
    return re.sub(r"(?<![\w.])-(?=[\d.])", "" if is_zero else "−", text)


def in_prose(markdown: str) -> str:
    """The text with per-cent signs behind a space at which no line ends.

    So readings can be written with Python's own formats, such as ``f"{share:.1%}"``, and look like prose and tables.
    """
    return _TYPED_OR_PERCENT.sub(lambda found: f"{NO_BREAK}%" if found[0] in ("%", " %") else found[0], markdown)


def with_equal_decimals(column: Sequence[str]) -> list[str]:
    """The numbers of a column with as many decimals as the one that has most; other columns as they are.

    A number that would have more than `MOST_FIGURES` for it gets room for decimals instead.
    """
    found = [_FIXED.fullmatch(text) for text in column if text != NONE]
    if not all(found):
        return list(column)
    most = max((len(number[1] or "") for number in found), default=0)
    return [text if text == NONE else _with_room(_with_zeros(text, most), most) for text in column]


def _with_zeros(text: str, decimals: int) -> str:
    whole, _, part = text.partition(".")
    filled = max(len(part), min(decimals, MOST_FIGURES - len(re.sub(r"\D", "", whole).lstrip("0"))))
    return f"{whole}.{part:0<{filled}}" if filled else whole


def _with_room(text: str, decimals: int) -> str:
    """The number with space for as many decimals behind it."""
    point, part = text.partition(".")[1:]
    return text + POINT_SPACE * (decimals > 0 and not point) + FIGURE_SPACE * (decimals - len(part))


def with_equal_deviations(column: Sequence[str]) -> list[str]:
    """The column with room for decimals and deviations ("± 1.2"), so that decimal points stand below each other.

    A mean without a deviation gets as much room as one would take.
    """
    parts = [text.partition(" ± ") for text in column]
    most = max((len(mean.partition(".")[2]) for mean, _, _ in parts if _FIXED.fullmatch(mean)), default=0)
    of_stds = max((len(std.partition(".")[2]) for _, _, std in parts if _FIXED.fullmatch(std)), default=0)
    stds = [_with_room(std, of_stds) if sign else "" for _, sign, std in parts]
    widest = max(stds, key=len, default="")
    room = re.sub(r"\d|±", FIGURE_SPACE, f"\u00a0±\u00a0{widest}").replace(".", POINT_SPACE) if widest else ""
    rows = []
    for (mean, sign, _), std in zip(parts, stds, strict=True):
        aligned = _with_room(mean, most) if _FIXED.fullmatch(mean) else mean
        behind = f"{sign}{std:{FIGURE_SPACE}>{len(widest)}}" if sign else room
        rows.append(mean if mean == NONE else aligned + behind)
    return rows


def without_unit(column: Sequence[str]) -> tuple[list[str], str]:
    """The column's texts without the unit ("%" or "points") that all have, and that unit; "" if there is none."""
    found = [_NUMBER.fullmatch(text) for text in column if text != NONE]
    units = {number and (number[2] or number[1]) for number in found}
    unit = units.pop() if len(units) == 1 else None
    if not unit:
        return list(column), ""
    return [re.sub(rf"\s?{unit}", "", text) for text in column], unit


def best(values: Sequence[Any], texts: Sequence[str], way: str) -> list[int]:
    """The places of the largest ("max") or smallest ("min") of plain values; equals share it, unless all are equal.

    Equal are those that their texts show so: what a reader cannot tell apart is not told apart in bold.
    """
    known = [i for i, value in enumerate(values) if value is not None]
    if len({texts[i] for i in known}) < 2:
        return []
    winner = (max if way == "max" else min)(known, key=lambda i: values[i])
    return [i for i in known if texts[i] == texts[winner]]


def html_table(columns: list[str], rows: list[list[str]], align: list[str], bold: list[list[int]]) -> str:
    """The table as JupyterLab shows it."""
    head = "".join(f'<th style="text-align:{side}">{escape(c)}</th>' for c, side in zip(columns, align, strict=True))
    body = ""
    for i, row in enumerate(rows):
        cells = [f"<b>{escape(text)}</b>" if [i, j] in bold else escape(text) for j, text in enumerate(row)]
        body += (
            "<tr>"
            + "".join(f'<td style="text-align:{a}">{c}</td>' for c, a in zip(cells, align, strict=True))
            + "</tr>"
        )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def amount(value: float, decimals: int, *, sign: str = "") -> str:
    """A number in figures, "–" for one that isn't finite."""
    return with_minus(f"{value:{sign},.{decimals}f}") if math.isfinite(value) else NONE


def decimals_for(values: Sequence[float], *, figures: int = 3) -> int:
    """How many decimals show each of the finite values with three figures (or so many) at least; four at most."""
    sizes = [abs(value) for value in values if math.isfinite(value) and not float(value).is_integer()]
    return max((min(4, max(0, figures - 1 - math.floor(math.log10(size)))) for size in sizes), default=0)


def decimals_within(value: float) -> int:
    """How many decimals a number can have that is shown with `MOST_FIGURES` at most."""
    whole = f"{abs(value):.0f}".lstrip("0") if math.isfinite(value) else ""
    return max(0, MOST_FIGURES - len(whole))
