"""What a notebook hands to its report: provenance, figures, tables, numbers and readings.

Each function shows its result in the notebook and puts the same thing, as plain data, into the cell's output (under
the MIME type `MIME`). So an executed notebook holds all that its report needs, wherever it was run; the report command
(and nothing here) writes files.
"""

import base64
import io
import math
import numbers as abstract_numbers
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape, unescape
from importlib import metadata
from typing import Any

from helpers import ROOT, WorkbookError

MIME = "application/vnd.workbook.v1+json"
VERSIONS_SHOWN = ("torch", "torchvision", "timm", "scikit-learn", "pandas", "matplotlib")


class RecordError(WorkbookError):
    """A figure, table or number that cannot be recorded as it was given."""


@dataclass(frozen=True)
class Number:
    """One result of a run, with the figure that an earlier report gave for it, if any.

    Attributes:
        name: snake_case key, unique in the notebook.
        label: what a reader sees.
        value: the measured value; a share (0 to 1) where ``unit`` is "%", shown times 100.
        std: standard deviation over ``runs`` runs, in the unit of ``value``.
        reported: the earlier report's figure, in the unit of ``value``.
        unit: "%", "s", "images/s", "" …
    """

    name: str
    label: str
    value: float
    std: float | None = None
    runs: int = 1
    reported: float | None = None
    unit: str = ""


def provenance(namespace: Mapping[str, Any], *, data: Any, compute: Any, weights: str) -> None:
    """Shows where the numbers of this notebook come from: the first output of every notebook.

    Args:
        namespace: the notebook's ``globals()``; its parameters (upper-case names with JSON-able values) are listed.
        data: what ``helpers.data.load`` returned: its ``source`` says what the images are and ``counts`` how many. Of
            several data sets a mapping, {"dogs": …}: from what to call each.
        compute: what ``helpers.train.choose_compute`` returned.
        weights: where the networks' initial weights come from, in words.
    """
    parameters = {name: value for name, value in namespace.items() if _is_parameter(name, value)}
    sets = data if isinstance(data, Mapping) else {"": data}
    rows = [
        *_data_rows(sets),
        ["Initial weights", weights],
        ["Device", compute.description],
        ["Precision", compute.precision_description],
        ["Seed", str(parameters.get("SEED", "none"))],
        ["Parameters", ", ".join(f"{name} = {value!r}" for name, value in parameters.items())],
        ["Versions", _versions()],
        ["Git commit", _git_commit()],
    ]
    warning = _data_warning([part.source for part in sets.values()])
    html = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in rows)
    banner = f"<p><strong>{escape(warning)}</strong></p>" if warning else ""
    plain = "\n".join(f"{label}: {text}" for label, text in rows)
    _show(
        {"kind": "provenance", "rows": rows, "warning": warning, "parameters": parameters},
        {"text/html": f"{banner}<table>{html}</table>", "text/plain": "\n".join(filter(None, [warning, plain]))},
    )


def _data_rows(sets: Mapping[str, Any]) -> list[list[str]]:
    """What the data sets are, where they come from, and how many images they have."""
    described = {
        "Data set": [(name, part.source.title) for name, part in sets.items()],
        "Source": [(name, part.source.where) for name, part in sets.items()],
        "Images": [(name, part.counts) for name, part in sets.items()],
    }
    rows = []
    for label, texts in described.items():
        alike = len({text for _, text in texts}) == 1
        named = [texts[0][1]] if alike else [f"{name}: {text}" if name else text for name, text in texts]
        rows.append([label, ". ".join(named)])
    return rows


def _data_warning(sources: Sequence[Any]) -> str:
    """One warning over all stand-ins; "" where all images are real."""
    stand_ins = [source for source in sources if source.warning]
    if len(stand_ins) < 2 or len({source.title for source in stand_ins}) > 1:
        return " ".join(source.warning for source in stand_ins)
    replaced = list(dict.fromkeys(source.stands_in_for for source in stand_ins))
    names = replaced[0] if len(replaced) == 1 else f"{', '.join(replaced[:-1])} or {replaced[-1]}"
    return replace(stand_ins[0], stands_in_for=names).warning


def figure(drawing: Any, name: str, caption: str, *, alt: str | None = None) -> None:
    """Shows a figure once, as vectors (SVG for the page, PDF for print), and closes it.

    Args:
        drawing: a matplotlib Figure, Axes, or array or list of Axes of one figure.
        name: snake_case; the file name under ``figures/``, unique in the notebook.
        caption: one sentence or two that a reader understands without the text.
        alt: what a screen reader says; the caption if not given.
    """
    import matplotlib.pyplot as plt

    fig = _figure_of(drawing)
    bundle = {"text/plain": caption, "image/svg+xml": _render(fig, "svg").decode()}
    bundle["application/pdf"] = base64.b64encode(_render(fig, "pdf")).decode()
    plt.close(fig)
    _show({"kind": "figure", "name": _checked_name(name), "caption": caption, "alt": alt or caption}, bundle)


def table(
    frame: Any,
    name: str,
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
    best: Mapping[str, str] | None = None,
) -> None:
    """Shows a table; its values go into the report's numbers as they are, unrounded.

    Args:
        frame: a pandas DataFrame; a named index becomes the first columns, an unnamed one is dropped.
        name: snake_case, unique in the notebook.
        caption: what the table shows, units included.
        formats: column -> format string, such as "{:.1%}"; other floats get three decimals. NaN is shown as "–".
        best: column -> "max" or "min": the best entry of that column is set in bold.

    Raises:
        RecordError: if ``formats`` or ``best`` name a column that the table doesn't have.
    """
    named = any(level is not None for level in frame.index.names)
    flat = frame.reset_index(allow_duplicates=True) if named else frame
    columns = [str(column) for column in flat.columns]
    values = [[_plain(value) for value in row] for row in flat.itertuples(index=False, name=None)]
    formats, best = ({str(column): how for column, how in (given or {}).items()} for given in (formats, best))
    unknown = sorted({*formats, *best} - set(columns))
    if unknown:
        raise RecordError(f"table {name!r} has no column {unknown[0]!r}; its columns are {', '.join(columns)}")
    cells = [[_cell(value, formats.get(column)) for value, column in zip(row, columns, strict=True)] for row in values]
    align = ["right" if all(_is_number(row[i]) for row in values) else "left" for i in range(len(columns))]
    # By position: names of columns need be neither texts nor different.
    chosen = [i for i, column in enumerate(columns) if column in best]
    bold = [[row, i] for i in chosen for row in _best(flat.iloc[:, i], best[columns[i]])]
    content = {"columns": columns, "rows": cells, "align": align, "bold": bold}
    _show(
        {"kind": "table", "name": _checked_name(name), "caption": caption, **content, "values": values},
        {"text/html": _html_table(**content), "text/plain": flat.to_string(index=False)},
    )


def numbers(entries: Sequence[Number], name: str, caption: str) -> None:
    """Shows this run's results beside the figures that earlier reports gave, and records them.

    Args:
        entries: the results; those with ``reported`` get their difference shown (this run less reported).
        name: snake_case, unique in the notebook.
        caption: says which earlier report, and whether data and settings are comparable.
    """
    columns = ["Quantity", "Reported earlier", "This run", "Difference"]
    rows = [[entry.label, *_three_figures(entry)] for entry in entries]
    content = {"columns": columns, "rows": rows, "align": ["left", "right", "right", "right"], "bold": []}
    recorded = [{key: _plain(value) for key, value in asdict(entry).items()} for entry in entries]
    _show(
        {"kind": "numbers", "name": _checked_name(name), "caption": caption, **content, "numbers": recorded},
        {"text/html": _html_table(**content), "text/plain": "\n".join(" | ".join(row) for row in rows)},
    )


def reading(text: str) -> None:
    """Shows a conclusion. Compute every figure and comparison in ``text`` (Markdown) from the run's own numbers.

    Names that come from data, such as a class's, go through `literal` first.
    """
    _show({"kind": "reading", "text": text}, {"text/markdown": text, "text/plain": unescape(text)})


def literal(name: str) -> str:
    """A name on one line of Markdown as it is: none of its characters makes a link, a formula, a tag or a list."""
    return re.sub(r"[!-/:-@[-`{-~]", lambda mark: f"&#{ord(mark[0])};", " ".join(name.split()))


def _show(content: dict[str, Any], bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display({MIME: content, **bundle}, raw=True)


def _is_parameter(name: str, value: Any) -> bool:
    if not name.isupper() or name.startswith("_"):
        return False
    if isinstance(value, list):
        return all(isinstance(item, str | int | float | bool | None) for item in value)
    return isinstance(value, str | int | float | bool | None)


def _figure_of(drawing: Any) -> Any:
    while not hasattr(drawing, "savefig"):
        if hasattr(drawing, "figure"):
            drawing = drawing.figure
        elif hasattr(drawing, "flat"):
            drawing = drawing.flat[0]
        elif isinstance(drawing, list | tuple) and drawing:
            drawing = drawing[0]
        else:
            raise RecordError(f"record.figure needs a matplotlib Figure or Axes, not {type(drawing).__name__}")
    return drawing


def _render(fig: Any, kind: str) -> bytes:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    # Neither a date nor random ids in the files: the same run gives the same bytes.
    stamp = {"Date": None} if kind == "svg" else {"CreationDate": None}
    with plt.rc_context({"svg.fonttype": "path", "svg.hashsalt": "workbook", "pdf.fonttype": 42}):
        fig.savefig(buffer, format=kind, metadata=stamp, bbox_inches="tight")
    return buffer.getvalue()


def _checked_name(name: str) -> str:
    if not (name.isascii() and name.isidentifier() and name == name.lower()):
        raise RecordError(f"{name!r} names a file: use lower-case ASCII letters, digits and _, such as 'test_accuracy'")
    return name


def _plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities become None, NumPy scalars become Python's."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, abstract_numbers.Integral):
        return int(value)
    if isinstance(value, abstract_numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any, form: str | None) -> str:
    if value is None:
        return "–"
    if form is not None and _is_number(value):
        return _with_minus(form.format(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _with_minus(f"{value:,}")
    return _with_minus(f"{value:.3f}") if isinstance(value, float) else str(value)


def _with_minus(text: str) -> str:
    """A formatted number with the real minus sign, which a zero, also one that was rounded to it, doesn't have."""
    is_zero = not re.search("[1-9]", text)
    return re.sub(r"(?<![\w.])-(?=[\d.])", "" if is_zero else "−", text)


def _best(column: Any, way: str) -> list[int]:
    if way not in ("max", "min"):
        raise RecordError(f"best takes 'max' or 'min', not {way!r}")
    if column.isna().all():
        return []
    target = column.max() if way == "max" else column.min()
    return [row for row, value in enumerate(column) if value == target]


def _html_table(columns: list[str], rows: list[list[str]], align: list[str], bold: list[list[int]]) -> str:
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


def _three_figures(entry: Number) -> list[str]:
    """Reported, measured (± std) and their difference, as text with the unit."""
    unit = f" {entry.unit}" if entry.unit else ""
    difference_unit = " points" if entry.unit == "%" else unit
    measured = _amount(entry.value, entry.unit)
    if entry.std is not None and measured != "–":
        measured += f" ± {_amount(entry.std, entry.unit)}"
    reported, difference = "–", "–"
    if entry.reported is not None:
        reported = _amount(entry.reported, entry.unit) + unit
        if math.isfinite(entry.value):
            difference = _amount(entry.value - entry.reported, entry.unit, sign="+") + difference_unit
    return [reported, measured + unit * (measured != "–"), difference]


def _amount(value: float, unit: str, *, sign: str = "") -> str:
    """A number in figures: shares times 100 with two decimals, others with three or four digits and no exponent."""
    if not math.isfinite(value):
        return "–"
    if unit == "%":
        text = f"{value * 100:{sign}.2f}"
    elif float(value).is_integer() or abs(value) >= 1000:
        text = f"{value:{sign},.0f}"
    else:
        text = f"{value:{sign}.3g}"
    return _with_minus(text)


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in VERSIONS_SHOWN:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found) + f", {platform.system()} {platform.machine()}"


def _git_commit() -> str:
    """The checkout's commit, and whether files were changed since; "not a git checkout" where git cannot say."""
    run = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 10, "check": True}
    try:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **run).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"
    return f"{commit}, with uncommitted changes" if changed else commit
