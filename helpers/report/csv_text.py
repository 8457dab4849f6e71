"""Rows as the text of a CSV file."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

# What makes a spreadsheet run a cell as a formula (OWASP, "CSV Injection"); the last four are full-width signs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.ASCII | re.IGNORECASE)


def csv_text(columns: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A header and a line for each row, with commas; files of it are UTF-8.

    Numbers keep all their digits. None and NaN are empty cells. A text that a spreadsheet would run as a formula, such
    as a class called "=1+1", has an apostrophe in front; numbers are left as they are.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def guarded(text: str) -> str:
    """CSV text that others may have written, without cells that a spreadsheet would run as formulas."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    stream = io.StringIO()
    cells = ([cell if _NUMBER.fullmatch(cell) else _cell(cell) for cell in row] for row in rows)
    csv.writer(stream, lineterminator="\n").writerows(cells)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A carriage return ends a line for some readers, quoted or not; Python 3.10 writes no NUL.
        text = value.replace("\r", "").replace("\0", "")
        return f"'{text}" if text.startswith(FORMULA_STARTS) else text
    return "" if isinstance(value, float) and math.isnan(value) else value
