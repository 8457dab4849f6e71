"""Values as the cells of tables show them: numbers in figures, minus signs, units, the best one, the same decimals."""

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
# A number as tables show it, also with its deviation: "1,234", "+1.5%", "61.2% ± 1.3%".
_FIGURE = r"[+−]?[\d,]*\.?\d+(?:e[+-]?\d+)?"
_NUMBER = re.compile(rf"{_FIGURE}\s?%?(?: ± {_FIGURE}\s?%?)?")
_FIXED = re.compile(r"[+−]?[\d,]+(?:\.(\d+))?")


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
    """A plain value as text; floats get three decimals where no format is given."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return with_minus((form or ("{:,}" if isinstance(value, int) else "{:.3f}")).format(value))


def with_minus(text: str) -> str:
    """A formatted number with the real minus sign, which a zero, also one that was rounded to it, doesn't have."""
    is_zero = not re.search("[1-9]", text)
    return re.sub(r"(?<![\w.])-(?=[\d.])", "" if is_zero else "−", text)


def with_equal_decimals(column: Sequence[str]) -> list[str]:
    """The numbers of a column with as many decimals as the one that has most; other columns as they are."""
    found = [_FIXED.fullmatch(text) for text in column if text != NONE]
    if not all(found):
        return list(column)
    most = max((len(number[1] or "") for number in found), default=0)
    return [text if text == NONE else _padded(text, most) for text in column]


def _padded(text: str, decimals: int) -> str:
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<{decimals}}" if decimals else whole


def with_equal_deviations(column: Sequence[str]) -> list[str]:
    """The column with its deviations ("± 1.2") as wide as the widest, so that decimals stand below each other.

    A mean without a deviation gets as much room as one would take.
    """
    parts = [text.partition(" ± ") for text in column]
    widest = max((std for _, _, std in parts), key=len, default="")
    if not widest:
        return list(column)
    room = re.sub(r"\d|±", FIGURE_SPACE, f"\u00a0±\u00a0{widest}").replace(".", POINT_SPACE)
    return [
        f"{mean}{sign}{std:{FIGURE_SPACE}>{len(widest)}}" if sign else mean + room * (mean != NONE)
        for mean, sign, std in parts
    ]


def without_percent(column: Sequence[str]) -> list[str] | None:
    """The column's texts without their per-cent signs, which its heading can say once; None if not all have one."""
    figures = [text for text in column if text != NONE]
    if not figures or not all(text.endswith("%") and is_number(text) for text in figures):
        return None
    return [text.replace("%", "") for text in column]


def best(values: Sequence[Any], way: str) -> list[int]:
    """The places of the largest ("max") or smallest ("min") of plain values; equals share it, unless all are equal."""
    known = {value for value in values if value is not None}
    if len(known) < 2:
        return []
    target = max(known) if way == "max" else min(known)
    return [i for i, value in enumerate(values) if value == target]


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


def decimals_for(values: Sequence[float]) -> int:
    """How many decimals show each of the finite values with three figures at least, four decimals at most."""
    sizes = [abs(value) for value in values if math.isfinite(value) and not float(value).is_integer()]
    return max((min(4, max(0, 2 - math.floor(math.log10(size)))) for size in sizes), default=0)
