"""The tables of a sweep: all points, means over seeds, what went wrong; and all numbers as CSV."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from helpers import record
from helpers.record import csv_of_table, csv_text
from helpers.report.document import Table
from helpers.report.sweep.results import (
    OK,
    Quantity,
    Result,
    good,
    groups,
    mean_and_std,
    quantities,
    recorded,
)

MOST_COLUMNS = 8
"""Numbers that a table shows; all are in the CSV file."""
FEWEST_COLUMNS = 6
"""Numbers that a table shows if there are so many, when fewer are key ones."""
MOST_ROWS = 1000
"""Points that a page's table shows; the CSV files have all."""
LONGEST_ERROR = 400


def shown_quantities(results: Sequence[Result]) -> list[Quantity]:
    """The numbers that tables show: the key ones, then others while there is room."""
    every = quantities(results)
    keys = sum(quantity.is_key for quantity in every)
    return every[: min(MOST_COLUMNS, max(keys, FEWEST_COLUMNS))]


def of_points(results: Sequence[Result], *, number: int) -> Table:
    """All points in their order: parameters, state and numbers, the best in bold; each row leads to its page."""
    shown = shown_quantities(results)
    headings = _headings(shown, taken=["Point", *results[0].values, "State", "Run, s"])
    mixed = len({bool(result.about["stand_in"]) for result in results if result.about}) > 1
    frame, stds = [], []
    for result in results:
        numbers = [result.numbers.get(quantity.name, {}) for quantity in shown]
        frame.append(
            {
                "Point": str(result.number),
                **{name: _parameter(value) for name, value in result.values.items()},
                "State": _state(result, mixed),
                **{heading: given.get("value") for heading, given in zip(headings, numbers, strict=True)},
                "Run, s": result.seconds,
            }
        )
        stds.append({heading: given.get("std") for heading, given in zip(headings, numbers, strict=True)})
    formats = {"Run, s": "{:,.1f}", **_parameter_formats(results), **_formats(results, shown, headings)}
    content = _content(frame, stds, "points", formats, _best(shown, headings))
    state = content["names"].index("State")
    bold = [*content["bold"], *([i, state] for i, result in enumerate(results) if result.state != OK)]
    caption = f"{_rows_shown(results)} in the order of the sweep. A number in bold is the best of its column."
    links = [quote(result.page) for result in results]
    return _table("points", caption, {**content, "bold": bold}, number, links)


def of_means(results: Sequence[Result], by: Sequence[str], seeds: Sequence[str], *, number: int) -> Table:
    """Mean and standard deviation of each number over the seeds, for each set of values of the other parameters.

    Args:
        results: all points; those that ended well count.
        by: the other parameters that vary.
        seeds: the parameters to average over.
        number: of the table in the document.
    """
    shown = shown_quantities(results)
    headings = _headings(shown, taken=[*by, "n"])
    frame, stds = [], []
    for group in groups(results, by):
        means = [_mean(group, quantity) for quantity in shown]
        own = {name: _parameter(group[0].values[name]) for name in by}
        frame.append({**own, "n": len(good(group)), **dict(zip(headings, (mean for mean, _ in means), strict=True))})
        stds.append(dict(zip(headings, (std for _, std in means), strict=True)))
    formats = {**_parameter_formats(results, by), **_formats(results, shown, headings)}
    caption = (
        f"Means over the points that differ in {' and '.join(seeds)} alone, ± their sample standard deviation; n: how "
        "many of them ended well, which alone count. The best mean of a column is in bold."
    )
    return _table("means", caption, _content(frame, stds, "means", formats, _best(shown, headings)), number)


def of_errors(results: Sequence[Result], *, number: int) -> Table:
    """Why points have no numbers; empty if all have."""
    bad = [result for result in results if result.state != OK][:MOST_ROWS]
    rows = [[str(result.number), result.state, _cut(result.error)] for result in bad]
    caption = "Points without results, none of which takes part in any mean, figure or comparison."
    links = [quote(result.page) for result in bad]
    return Table("errors", caption, ["Point", "State", "Why"], rows, ["right", "left", "left"], [], number, links=links)


def csv_of_points(results: Sequence[Result]) -> str:
    """A line for each point: parameters, state, error, seconds, and every number unrounded, shares as shares."""
    every = quantities(results)
    with_std = {quantity.name for quantity in every if any(_std(result, quantity) is not None for result in results)}
    header = ["point", "report", *results[0].values, "run_state", "run_error", "run_seconds"]
    header += [text for quantity in every for text in _csv_columns(quantity, with_std)]
    rows = []
    for result in results:
        row = [result.number, result.point.name, *map(_parameter, result.values.values())]
        row += [result.state, result.error, result.seconds]
        for quantity in every:
            row += [recorded(result, quantity), *([_std(result, quantity)] if quantity.name in with_std else [])]
        rows.append(row)
    return csv_text([header, *rows])


def described(values: Mapping[str, Any]) -> str:
    """Values of parameters in words: "EPOCHS = 2, WIDTH = 16"."""
    return ", ".join(f"{name} = {shown_value(value)}" for name, value in values.items())


def shown_value(value: Any) -> str:
    """A parameter's value as tables and figures show it: texts without quotes."""
    return value if isinstance(value, str) else repr(value)


def figures_of(quantity: Quantity, mean: float, std: float | None) -> str:
    """A number with its unit, and its deviation if it has one."""
    scale = 100 if quantity.unit in record.SHARES else 1
    decimals = 2 if quantity.unit in record.SHARES else record.decimals_for([mean])
    spread = "" if std is None else f" ± {record.amount(scale * std, decimals)}"
    return f"{record.amount(scale * mean, decimals)}{spread} {quantity.unit}".rstrip()


def _content(
    frame: list[dict[str, Any]],
    stds: list[dict[str, Any]],
    name: str,
    formats: Mapping[str, str],
    best: Mapping[str, str],
) -> dict[str, Any]:
    import pandas as pd

    # Of objects, lest a missing number makes floats of whole ones.
    return record.table_content(
        pd.DataFrame(frame, dtype=object),
        name,
        formats=formats,
        best=best,
        stds=pd.DataFrame(stds, index=range(len(frame)), dtype=object),
        by_row=False,
    )


def _rows_shown(results: Sequence[Result]) -> str:
    if len(results) <= MOST_ROWS:
        return "All points"
    return f"The first {MOST_ROWS:,} of {len(results):,} points"


def _table(name: str, caption: str, content: Mapping[str, Any], number: int, links: Sequence[str] = ()) -> Table:
    return Table(
        name,
        caption,
        content["columns"],
        content["rows"][:MOST_ROWS],
        content["align"],
        [(row, column) for row, column in content["bold"] if row < MOST_ROWS],
        number,
        content["values"][:MOST_ROWS],
        content["names"],
        csv_of_table(content),
        list(links[:MOST_ROWS]),
    )


def _headings(quantities: Sequence[Quantity], *, taken: Sequence[str]) -> list[str]:
    """A heading for each number, with its unit unless that is of shares, which the table adds; no two alike."""
    used, headings = set(taken), []
    for quantity in quantities:
        heading = f"{quantity.label}, {quantity.unit}" if quantity.unit not in ("", *record.SHARES) else quantity.label
        headings.append(heading if heading not in used else f"{heading} ({quantity.name})")
        used.add(headings[-1])
    return headings


def _formats(results: Sequence[Result], quantities: Sequence[Quantity], headings: Sequence[str]) -> dict[str, str]:
    formats = {}
    for quantity, heading in zip(quantities, headings, strict=True):
        values = [given for result in results if (given := recorded(result, quantity)) is not None]
        of_shares = {"%": "{:.2%}", "points": "{:+.2%}"}
        formats[heading] = of_shares.get(quantity.unit) or f"{{:,.{record.decimals_for(values)}f}}"
    return formats


def _parameter_formats(results: Sequence[Result], names: Sequence[str] | None = None) -> dict[str, str]:
    """Numbers as they were given, with all digits."""
    return dict.fromkeys(results[0].values if names is None else names, "{!r}")


def _best(quantities: Sequence[Quantity], headings: Sequence[str]) -> dict[str, str]:
    return {heading: quantity.better for quantity, heading in zip(quantities, headings, strict=True) if quantity.better}


def _parameter(value: Any) -> Any:
    """A number as it is, everything else as text: None is a value too."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown_value(value)


def _state(result: Result, mixed: bool) -> str:
    return f"{result.state}, stand-in data" if mixed and result.about and result.about["stand_in"] else result.state


def _mean(group: Sequence[Result], quantity: Quantity) -> tuple[float | None, float | None]:
    values = [given for result in group if (given := recorded(result, quantity)) is not None]
    return mean_and_std(values) if values else (None, None)


def _std(result: Result, quantity: Quantity) -> float | None:
    return result.numbers.get(quantity.name, {}).get("std")


def _csv_columns(quantity: Quantity, with_std: set[str]) -> list[str]:
    return [quantity.name, *([f"{quantity.name} (std)"] if quantity.name in with_std else [])]


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"
