"""What a recorded table holds: its headings and cells as they are shown, and its values as they are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from helpers import WorkbookError
from helpers.report import cells
from helpers.report.csv_text import csv_text

SHOWN = ("Reported earlier", "This run", "Difference")
KEYS = ("reported", "value", "difference")
"""What the texts of a number are called, in the same order."""
SHARES = ("%", "points")
"""Units of values that are shares, or differences of shares, and shown times 100."""


class RecordError(WorkbookError):
    """A figure, table or number that cannot be recorded as it was given."""


@dataclass(frozen=True)
class Number:
    """One result of a run, with the figure that an earlier report gave for it, if any.

    Attributes:
        name: snake_case key, unique in the notebook.
        label: what a reader sees.
        value: the measured value; a share (0 to 1) where ``unit`` is "%", and a difference of two shares where it is
            "points": both are shown times 100.
        std: standard deviation over ``runs`` runs, in the unit of ``value``; None or NaN if there is none.
        reported: the earlier report's figure, in the unit of ``value``.
        unit: "%", "points", "s", "images/s", "" …
    """

    name: str
    label: str
    value: float
    std: float | None = None
    runs: int = 1
    reported: float | None = None
    unit: str = ""


def of_frame(
    frame: Any,
    table_name: str,
    *,
    formats: Mapping[str, str],
    best: Mapping[str, str],
    stds: Any,
    by_row: bool,
) -> dict[str, Any]:
    """The content of a DataFrame's table; see `helpers.report.record.table` for what the arguments are.

    Returns:
        "columns" (headings), "rows" of texts, "align", "bold" ([row, column] of the best); "names" of the columns,
        their "values" as JSON has them, and both as "csv".

    Raises:
        RecordError: if ``formats``, ``best`` or ``stds`` name what the table doesn't have.
    """
    named = any(level is not None for level in frame.index.names)
    flat = frame.reset_index(allow_duplicates=True) if named else frame
    names = [str(column) for column in flat.columns]
    values = [[cells.plain(value) for value in row] for row in flat.itertuples(index=False, name=None)]
    formats, best = ({str(key): how for key, how in given.items()} for given in (formats, best))
    _check_keys(table_name, [*formats, *best], [str(row[0]) for row in values] if by_row else names, set(best.values()))
    spread = _deviations(frame, stds, names)
    forms = [[formats.get(str(row[0]) if by_row else name) for name in names] for row in values]
    places = [[(i, j) for j in range(len(names))] for i in range(len(values))]
    means = [[cells.shown(values[i][j], forms[i][j]) for i, j in row] for row in places]
    texts = [[cells.with_deviation(values[i][j], spread[i][j], forms[i][j]) for i, j in row] for row in places]
    columns, rows = _tidied(names, texts, equal_decimals=not by_row)
    align = ["right" if all(cells.is_number(row[j]) for row in texts) else "left" for j in range(len(names))]
    content = {"columns": columns, "rows": rows, "align": align, "bold": _bold(values, means, names, best, by_row)}
    return {**content, "names": names, "values": values, "csv": _table_csv(names, values, spread)}


def _check_keys(table_name: str, keys: Sequence[str], known: Sequence[str], ways: set[str]) -> None:
    unknown = sorted({*keys} - {*known})
    if unknown:
        raise RecordError(f"table {table_name!r} has no {unknown[0]!r}; it has {', '.join(known)}")
    if not ways <= {"max", "min"}:
        raise RecordError(f"best takes 'max' or 'min', not {sorted(ways - {'max', 'min'})[0]!r}")


def _deviations(frame: Any, stds: Any, names: list[str]) -> list[list[Any]]:
    """The standard deviation of each cell, None where there is none."""
    if stds is None:
        return [[None] * len(names) for _ in range(len(frame))]
    if not ({str(column) for column in stds.columns} <= {*names} and stds.index.equals(frame.index)):
        raise RecordError("stds need the index of the table, and columns that it has")
    given = {str(column): stds[column].to_list() for column in stds.columns}
    return [[cells.plain(given[name][i]) if name in given else None for name in names] for i in range(len(frame))]


def _tidied(names: list[str], texts: list[list[str]], *, equal_decimals: bool) -> tuple[list[str], list[list[str]]]:
    """Headings and cells: a unit that all of a column have is in its heading, and decimals are as many."""
    headings, columns = [], []
    for j, name in enumerate(names):
        column = [row[j] for row in texts]
        bare, unit = cells.without_unit(column)
        headings.append(f"{name}, {unit}" if unit else name)
        columns.append(cells.with_equal_deviations(cells.with_equal_decimals(bare)) if equal_decimals else bare)
    return headings, [list(row) for row in zip(*columns, strict=True)]


def _bold(
    values: list[list[Any]], means: list[list[str]], names: list[str], best: Mapping[str, str], by_row: bool
) -> list[list[int]]:
    """Row and column of the best entries: in their columns, or in their rows behind the first cell."""
    if by_row:
        chosen = [(i, best[str(row[0])]) for i, row in enumerate(values) if str(row[0]) in best]
        return [[i, j + 1] for i, way in chosen for j in cells.best(values[i][1:], means[i][1:], way)]
    # By position: columns may share a name.
    chosen = [(j, best[name]) for j, name in enumerate(names) if name in best]
    columns = {j: ([row[j] for row in values], [row[j] for row in means]) for j, _ in chosen}
    return [[i, j] for j, way in chosen for i in cells.best(*columns[j], way)]


def _table_csv(names: list[str], values: list[list[Any]], spread: list[list[Any]]) -> str:
    """The values, and behind each column that has standard deviations a column of these."""
    with_std = [any(row[j] is not None for row in spread) for j in range(len(names))]
    header = [text for j, name in enumerate(names) for text in ([name, f"{name} (std)"] if with_std[j] else [name])]
    rows = [
        [cell for j, value in enumerate(row) for cell in ([value, spread[i][j]] if with_std[j] else [value])]
        for i, row in enumerate(values)
    ]
    return csv_text(header, rows)


def of_numbers(entries: Sequence[Number]) -> dict[str, Any]:
    """The content of a table of numbers; see `helpers.report.record.numbers`.

    Returns:
        As of `of_frame`, with "numbers" (`Number`'s attributes, and as "shown" its texts with their units) in place of
        names and values.
    """
    units = {entry.unit for entry in entries}
    decimals = {unit: max(_decimals(entry) for entry in entries if entry.unit == unit) for unit in units}
    figures = [_three_figures(entry, decimals[entry.unit]) for entry in entries]
    with_units = [_with_units(three, entry.unit) for three, entry in zip(figures, entries, strict=True)]
    shared = units.pop() if len(units) == 1 else ""
    headings = [f"{column}, {unit}" if shared else column for column, unit in zip(SHOWN, _units(shared), strict=True)]
    aligned = _aligned(figures, [entry.unit for entry in entries])
    if not shared:
        aligned = [_with_units(three, entry.unit) for three, entry in zip(aligned, entries, strict=True)]
    rows = [[entry.label, *three] for entry, three in zip(entries, aligned, strict=True)]
    align = ["left", "right", "right", "right"]
    content = {"columns": ["Quantity", *headings], "rows": rows, "align": align, "bold": []}
    recorded = [
        {
            **{key: cells.plain(value) for key, value in asdict(entry).items()},
            "shown": dict(zip(KEYS, texts, strict=True)),
        }
        for entry, texts in zip(entries, with_units, strict=True)
    ]
    return {**content, "numbers": recorded, "csv": _numbers_csv(entries)}


def _decimals(entry: Number) -> int:
    """Decimals that a number needs: two for per cent, else for three figures, two of its deviation, all of a report."""
    if entry.unit in SHARES:
        return 2
    std = [] if entry.std is None else [entry.std]
    needed = max(cells.decimals_for([entry.value]), cells.decimals_for(std, figures=2))
    if entry.reported is None or float(entry.reported).is_integer():
        return needed
    return max(needed, min(4, len(repr(float(entry.reported)).partition(".")[2])))


def _three_figures(entry: Number, shared: int) -> list[str]:
    """Reported, measured (± std) and their difference, without units; decimals as ``shared``, if that is not absurd."""
    known = [value for value in (entry.value, entry.std, entry.reported) if value is not None and math.isfinite(value)]
    whole = entry.unit not in SHARES and all(float(value).is_integer() for value in known)
    decimals = 0 if whole else min(shared, max(_decimals(entry), cells.decimals_within(entry.value)))
    scale = 100 if entry.unit in SHARES else 1
    measured = cells.amount(scale * entry.value, decimals)
    if entry.std is not None and math.isfinite(entry.std) and measured != cells.NONE:
        measured += f" ± {cells.amount(scale * entry.std, decimals)}"
    if entry.reported is None:
        return [cells.NONE, measured, cells.NONE]
    difference = cells.amount(scale * (entry.value - entry.reported), decimals, sign="+")
    return [cells.amount(scale * entry.reported, decimals), measured, difference]


def _aligned(figures: Sequence[Sequence[str]], units: Sequence[str]) -> list[list[str]]:
    """The figures with room, so that decimal points of one unit stand below each other in each column."""
    rows = [list(three) for three in figures]
    for unit in dict.fromkeys(units):
        members = [i for i, its_unit in enumerate(units) if its_unit == unit]
        for column in range(len(SHOWN)):
            for i, text in zip(members, cells.with_equal_deviations([rows[i][column] for i in members]), strict=True):
                rows[i][column] = text
    return rows


def _units(unit: str) -> list[str]:
    """Units of the three figures: a difference of per cent is counted in points."""
    return [unit, unit, "points" if unit in SHARES else unit]


def _with_units(figures: list[str], unit: str) -> list[str]:
    pairs = zip(figures, _units(unit), strict=True)
    return [f"{figure} {its_unit}" if unit and figure != cells.NONE else figure for figure, its_unit in pairs]


def _numbers_csv(entries: Sequence[Number]) -> str:
    """All that is known of each number, unrounded; what is shown as per cent is a share here."""
    header = ["name", "label", "reported", "value", "std", "runs", "difference", "unit"]
    rows = []
    for entry in entries:
        difference = None if entry.reported is None else entry.value - entry.reported
        figures = [cells.plain(value) for value in (entry.reported, entry.value, entry.std, entry.runs, difference)]
        rows.append([entry.name, entry.label, *figures, "share" if entry.unit in SHARES else entry.unit])
    return csv_text(header, rows)
