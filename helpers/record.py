"""What a notebook hands to its report: provenance, figures, tables, numbers and readings.

Each function shows its result in the notebook and puts the same thing, as plain data, into the cell's output (under
the MIME type `MIME`). So an executed notebook holds all that its report needs, wherever it was run; the report command
(and nothing here) writes files.
"""

import base64
import csv
import io
import math
import platform
import re
import subprocess
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape, unescape
from importlib import metadata
from typing import Any

from helpers import ROOT, WorkbookError

MIME = "application/vnd.workbook.v1+json"
VERSIONS_SHOWN = ("torch", "torchvision", "timm", "scikit-learn", "pandas", "matplotlib")
NAMES = "names a file: use lower-case ASCII letters, digits and _, such as 'test_accuracy', 100 at most"
NONE = "–"
"""Shown where there is no value."""
NO_BREAK = "\u00a0"
KEYS = ("reported", "value", "difference")
SHARES = ("%", "points")
"""Units of values that are shares, or differences of shares, and shown times 100."""
MOST_FIGURES = 5
"""No number gets more of them only to have as many decimals as its neighbours."""
MOST_ROWS = 200_000
"""A figure of more numbers gets no CSV file: it would be larger than all the rest of a notebook."""
LONGEST_ALT = 300
"""Characters: about 20 seconds of speech."""
MOST_LISTED = 5
"""Values that are read one by one; of more, the lowest and the highest."""
# What makes a spreadsheet run a cell as a formula (OWASP, "CSV Injection"); the last four are full-width signs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.ASCII | re.IGNORECASE)
# A number as tables show it, also with its deviation: "1,234", "+1.5 points", "61.2 ± 1.3 %", "61.2% ± 1.3%".
_FIGURE, _UNIT = r"[+−]?[\d,]*\.?\d+(?:e[+-]?\d+)?", r"(?:\s?(%|points))?"
_SHOWN = re.compile(rf"{_FIGURE}{_UNIT}(?: ± {_FIGURE}{_UNIT})?|–")
_FIXED = re.compile(r"[+−]?[\d,]+(?:\.(\d+))?")

Write = Callable[[float], str]
"""A number as it is said, with its unit."""


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

    @classmethod
    def of(
        cls, name: str, label: str, values: Iterable[float], *, reported: float | None = None, unit: str = ""
    ) -> "Number":
        """The mean of a result over several runs; its sample standard deviation where there are two or more.

        Args:
            values: of the runs, one at least; otherwise as the attributes.

        Raises:
            RecordError: for no values.
        """
        import numpy as np

        runs = np.array([float(value) for value in values])
        if not len(runs):
            raise RecordError(f"the number {name!r} needs the value of one run at least")
        std = float(runs.std(ddof=1)) if len(runs) > 1 else None
        return cls(name, label, float(runs.mean()), std, len(runs), reported, unit)


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
    _show_provenance({"rows": rows, "warning": warning, "parameters": parameters})


def opening(title: str, rows: Mapping[str, str], *, warning: str = "", incomplete: str = "") -> None:
    """Shows where the numbers of a report over other reports come from: its first output, in place of `provenance`.

    Args:
        title: of the report, in place of the notebook's own heading.
        rows: label -> what to say.
        warning: what a reader must know first, such as that images stand in for others.
        incomplete: which of the other reports there are, such as "9 of 12 points", if some are missing.
    """
    content = {"rows": [[label, text] for label, text in rows.items()], "warning": warning, "parameters": {}}
    _show_provenance({**content, "title": title, "incomplete": incomplete})


def _show_provenance(content: dict[str, Any]) -> None:
    rows, warning = content["rows"], content["warning"]
    html = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in rows)
    banner = f"<p><strong>{escape(warning)}</strong></p>" if warning else ""
    plain = "\n".join(f"{label}: {text}" for label, text in rows)
    bundle = {"text/html": f"{banner}<table>{html}</table>", "text/plain": "\n".join(filter(None, [warning, plain]))}
    _show({"kind": "provenance", **content}, bundle)


def figure(drawing: Any, name: str, caption: str, *, alt: str | None = None, data: Any = None) -> None:
    """Shows a figure once, as vectors (SVG for the page, PDF for print), and closes it.

    The functions of `helpers.plots` say what they drew: of that are made the CSV file with the numbers behind the
    figure, and the text that a screen reader says in place of it.

    Args:
        drawing: a matplotlib Figure, Axes, or array or list of Axes of one figure.
        name: snake_case; the file name under ``figures/``, unique in the notebook.
        caption: one sentence or two that a reader understands without the text.
        alt: what a screen reader says. If not given, what was drawn in words; the caption where nothing is known of it.
        data: a DataFrame of the numbers behind a figure of your own, for the CSV file; a named index is kept.

    Raises:
        RecordError: for a name that is no file's, or if ``drawing`` is no figure.
    """
    import matplotlib.pyplot as plt

    texts, fig = {"name": _checked_name(name), "caption": caption}, _figure_of(drawing)
    notes = {ax: ax.workbook for ax in fig.axes if hasattr(ax, "workbook")}
    svg, pdf = _render(fig, "svg").decode(), base64.b64encode(_render(fig, "pdf")).decode()
    plt.close(fig)
    content = {"kind": "figure", **texts, "alt": alt or _in_words(notes) or caption, "csv": _csv_behind(notes, data)}
    _show(content, {"text/plain": caption, "image/svg+xml": svg, "application/pdf": pdf})


def table(
    frame: Any,
    name: str,
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
    best: Mapping[str, str] | None = None,
    stds: Any = None,
    by_row: bool = False,
    links: Sequence[str] = (),
) -> None:
    """Shows a table; its values go into the report's numbers and its CSV file as they are, unrounded.

    A column of shares that ``formats`` shows as per cent has the sign once, in its heading.

    Args:
        frame: a pandas DataFrame; a named index becomes the first columns, an unnamed one is dropped.
        name: snake_case, unique in the notebook.
        caption: what the table shows, units included.
        formats: column -> format string, such as "{:.1%}"; with a sign ("{:+.1%}"), or with "points" behind it, for
            differences of shares, which are in points. Other floats get three decimals. NaN is shown as "–".
        best: column -> "max" or "min": the best entry of that column is set in bold.
        stds: a DataFrame with the same index and some of the columns: standard deviations, shown behind a "±" where
            they aren't NaN.
        by_row: a row, not a column, holds numbers of one kind: ``formats`` and ``best`` go by what its first cell says.
        links: for each row the address, relative to the report, that its first cell leads to; "" for none.

    Raises:
        RecordError: if ``formats``, ``best`` or ``stds`` name what the table doesn't have.
    """
    content = _table_content(frame, name, formats=formats or {}, best=best or {}, stds=stds, by_row=by_row)
    _show_table("table", name, caption, {**content, "links": list(links)})


def numbers(entries: Sequence[Number], name: str, caption: str) -> None:
    """Shows this run's results beside the figures that earlier reports gave, and records them.

    Numbers of one unit have equally many decimals; a unit that all of them have stands in the headings.

    Args:
        entries: the results; those with ``reported`` get their difference shown (this run less reported).
        name: snake_case, unique in the notebook.
        caption: says which earlier report, and whether data and settings are comparable.
    """
    units = {entry.unit for entry in entries}
    decimals = {unit: max(_decimals(entry) for entry in entries if entry.unit == unit) for unit in units}
    figures = [_three_figures(entry, decimals[entry.unit]) for entry in entries]
    texts = [_with_units(three, entry.unit) for three, entry in zip(figures, entries, strict=True)]
    shared = _units(units.pop()) if len(units) == 1 else ["", "", ""]
    shown = ("Reported earlier", "This run", "Difference")
    headings = [f"{heading}, {unit}" if unit else heading for heading, unit in zip(shown, shared, strict=True)]
    cells = figures if any(shared) else texts
    recorded = [
        {**{key: _plain(value) for key, value in asdict(entry).items()}, "shown": dict(zip(KEYS, three, strict=True))}
        for entry, three in zip(entries, texts, strict=True)
    ]
    content = {
        "columns": ["Quantity", *headings],
        "rows": [[entry.label, *three] for entry, three in zip(entries, cells, strict=True)],
        "align": ["left", "right", "right", "right"],
        "bold": [],
        "numbers": recorded,
    }
    _show_table("numbers", name, caption, content)


def reading(text: str) -> None:
    """Shows a conclusion. Compute every figure and comparison in ``text`` (Markdown) from the run's own numbers.

    Names that come from data, such as a class's, go through `literal` first. In the report, a hyphen before a negative
    number is a minus sign, as in tables.
    """
    _show({"kind": "reading", "text": text}, {"text/markdown": text, "text/plain": unescape(text)})


def literal(name: str) -> str:
    """A name on one line of Markdown as it is: none of its characters makes a link, a formula, a tag or a list."""
    return re.sub(r"[!-/:-@[-`{-~]", lambda mark: f"&#{ord(mark[0])};", " ".join(name.split()))


def is_name(name: Any) -> bool:
    """Whether a figure, table or number can be called so: its files have this name."""
    return isinstance(name, str) and re.fullmatch(r"[a-z_][a-z0-9_]{,99}", name) is not None


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows, the first one a header, as the text of a CSV file.

    Numbers keep all their digits. None and NaN are empty cells. A text that a spreadsheet would run as a formula, such
    as a class called "=1+1", has an apostrophe in front.
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([_csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def csv_of_table(content: Mapping[str, Any]) -> str:
    """The CSV file of a recorded table: its values, and behind each column with standard deviations a column of these.

    Of recorded numbers all that is known of each; what is shown as per cent is a share here.
    """
    if "numbers" in content:
        rows = []
        for number in content["numbers"]:
            value, reported = number["value"], number["reported"]
            difference = None if value is None or reported is None else value - reported
            about = [number[key] for key in ("std", "runs")]
            unit = "share" if number.get("unit") in SHARES else number.get("unit")
            rows.append([number["name"], number["label"], reported, value, *about, difference, unit])
        return csv_text([["name", "label", "reported", "value", "std", "runs", "difference", "unit"], *rows])
    names, stds = content.get("names", []), content.get("stds", [])
    spread = [j for j in range(len(names)) if any(row[j] is not None for row in stds)]
    header = [text for j, name in enumerate(names) for text in [name, *[f"{name} (std)"] * (j in spread)]]
    rows = [
        [cell for j, value in enumerate(row) for cell in ([value, stds[i][j]] if j in spread else [value])]
        for i, row in enumerate(content.get("values", []))
    ]
    return csv_text([header, *rows]) if names else ""


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        # A carriage return ends a line for some readers, quoted or not.
        text = value.replace("\r", "").replace("\0", "")
        return f"'{text}" if text.startswith(FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(text) else text
    return "" if isinstance(value, float) and math.isnan(value) else value


# What provenance says


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


def _is_parameter(name: str, value: Any) -> bool:
    if not name.isupper() or name.startswith("_"):
        return False
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str | int | float | bool | None) for item in items)


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


# Into the cell's output


def _show(content: dict[str, Any], bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display({MIME: content, **bundle}, raw=True)


def _show_table(kind: str, name: str, caption: str, content: dict[str, Any]) -> None:
    rows = [(texts, [j for place, j in content["bold"] if place == i]) for i, texts in enumerate(content["rows"])]
    head = _html_row("th", content["columns"], content["align"])
    body = "".join(_html_row("td", texts, content["align"], bold) for texts, bold in rows)
    html = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    content = {"kind": kind, "name": _checked_name(name), "caption": caption, **content}
    _show(content, {"text/html": html, "text/plain": caption})


def _html_row(tag: str, texts: Sequence[str], align: Sequence[str], bold: Sequence[int] = ()) -> str:
    cells = [f"<b>{escape(text)}</b>" if j in bold else escape(text) for j, text in enumerate(texts)]
    pairs = zip(cells, align, strict=True)
    return "".join(["<tr>", *(f'<{tag} style="text-align:{side}">{cell}</{tag}>' for cell, side in pairs), "</tr>"])


def _checked_name(name: str) -> str:
    if not is_name(name):
        raise RecordError(f"{name!r} {NAMES}")
    return name


def _figure_of(drawing: Any) -> Any:
    import numpy as np

    fig = getattr(next(iter(np.ravel(drawing)), None), "figure", None)
    if not hasattr(fig, "savefig"):
        raise RecordError(f"record.figure needs a matplotlib Figure or Axes, not {type(drawing).__name__}")
    return fig


def _render(fig: Any, kind: str) -> bytes:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    # Neither a date nor random ids in the files: the same run gives the same bytes.
    stamp = {"Date": None} if kind == "svg" else {"CreationDate": None}
    with plt.rc_context({"svg.fonttype": "path", "svg.hashsalt": "workbook", "pdf.fonttype": 42}):
        fig.savefig(buffer, format=kind, metadata=stamp, bbox_inches="tight")
    return buffer.getvalue()


# What a figure shows, as numbers and in words: from what its plots noted (see `helpers.plots.style.drawn`)


def _csv_behind(notes: Mapping[Any, Mapping[str, Any]], data: Any) -> str:
    import pandas as pd

    # As objects: whole numbers stay whole where another panel lacks their column.
    frames = [note["frame"].astype(object) for note in notes.values()] if data is None else [_flat(data)]
    if len(frames) > 1:
        for frame, (ax, note) in zip(frames, notes.items(), strict=True):
            frame.insert(0, "panel", " ".join(ax.get_title().split()) or note["y"])
    count = sum(map(len, frames))
    if count > MOST_ROWS:
        about = f"this figure draws {count:,} numbers: its CSV file, which holds {MOST_ROWS:,} at most, is left out"
        warnings.warn(about, stacklevel=3)
    if not 0 < count <= MOST_ROWS:
        return ""
    return pd.concat(frames, ignore_index=True).to_csv(index=False, lineterminator="\n")


def _in_words(notes: Mapping[Any, Mapping[str, Any]]) -> str:
    """What is drawn, panel by panel, in as many words as one hears through."""
    said, marks = [], {}
    for ax, note in notes.items():
        say = {"images": _pictures_in_words, "matrix": _matrix_in_words}.get(note["kind"], _series_in_words)
        text = say(note, _writer(ax, note["y"]))
        title = f"{ax.get_title()}: " if len(notes) > 1 and ax.get_title() else ""
        said.append(f"{title}{text[:1].upper()}{text[1:]}.")
        if "marked" in note["frame"]:
            named = note["frame"].dropna(subset="marked")
            marks |= dict.fromkeys(
                f"{mark} {_spoken(x)}" for mark, x in zip(named["marked"], named[note["x"]], strict=True)
            )
    if marks:
        said.append(f"Marked: {', '.join(marks)}.")
    text = " ".join(" ".join(said).split())
    if len(text) <= LONGEST_ALT:
        return text
    head = text[: LONGEST_ALT - 2]
    end = max(head.rfind(mark) for mark in (", ", "; ", ". "))
    return f"{head[:end] if end > 0 else head} …"


def _series_in_words(note: Mapping[str, Any], write: Write) -> str:
    """Lines with their first, last and best values; bars and points by name."""
    frame, kind, x, y = (note[key] for key in ("frame", "kind", "x", "y"))
    frame = frame.dropna(subset=y)
    parts = frame.groupby(note["series"], sort=False) if note["series"] else [("", frame)]
    is_course = kind == "lines" and not frame[x].map(type).eq(str).any()
    say = _course if is_course else _listed
    courses = {str(name): say(part[x], part[y], write) for name, part in parts}
    said = [
        f"{name}{'' if values.startswith('from ') else ':'} {values}" if name else values
        for name, values in courses.items()
    ]
    if len(said) > 1 and len(set(courses.values())) == 1:  # as of ROC curves: what tells them apart is in their names
        said = [*courses, f"each {next(iter(courses.values()))}"]
    mark = "; " if any(", " in text for text in said) else ", "
    about = f"{'line' if kind == 'lines' and len(said) == 1 else kind} of {y} {'over' if is_course else 'by'} {x}"
    return f"{about}: {mark.join(said) or 'without values'}"


def _course(places: Any, values: Any, write: Write) -> str:
    first, last = values.iloc[0], values.iloc[-1]
    if len(values) == 1:
        return f"{write(first)} at {_spoken(places.iloc[0])}"
    is_lower_better = re.search(r"\b(loss|error)\b", str(values.name), re.IGNORECASE)
    best = values.min() if is_lower_better else values.max()
    course = f"from {write(first)} to {write(last)}"
    if best in (first, last):
        return course
    place = places.iloc[values.tolist().index(best)]
    return f"{course} ({'lowest' if is_lower_better else 'highest'} {write(best)} at {_spoken(place)})"


def _listed(names: Any, values: Any, write: Write) -> str:
    """Names and their values; of many, those with the lowest and the highest."""
    if len(values) <= MOST_LISTED:
        return ", ".join(f"{name} {write(value)}" for name, value in zip(names, values, strict=True))
    if values.nunique() == 1:
        return f"{write(values.iloc[0])} at all {len(values)}"
    said = []
    for word, end in (("lowest", values.min()), ("highest", values.max())):
        there = names[values == end]
        said.append(f"{word} {write(end)} at {there.iloc[0] if len(there) == 1 else f'{len(there)} of {len(values)}'}")
    return ", ".join(said)


def _matrix_in_words(note: Mapping[str, Any], write: Write) -> str:
    """The cells' range; of classes against classes what stands on the diagonal, and the most beside it."""
    frame, x, y, series = (note[key] for key in ("frame", "x", "y", "series"))
    known = frame.dropna(subset=y)
    parts = [name for name in frame if name not in (x, y, series) and frame[name].map(type).eq(str).all()]
    named = "".join(f" ({', '.join(frame[name].unique())})" for name in parts)
    text = f"heat map of {series} by {x}{named}, {len(frame):,} cells {_range(known[y], write)}"
    on = known[series].eq(known[x]) & known[series].map(type).eq(str)
    if not on.any():
        return text
    text += f", on the diagonal {_range(known.loc[on, y], write)}, {write(known.loc[on, y].mean())} on average"
    beside = known[~on]
    if beside.empty:
        return text
    most = beside.loc[beside[y].idxmax()]
    return f"{text}, the most beside it {write(most[y])}: {most[series]} as {most[x]}"


def _pictures_in_words(note: Mapping[str, Any], write: Write) -> str:
    frame, x, y = (note[key] for key in ("frame", "x", "y"))
    if not x:
        return f"{len(frame)} {frame.columns[0]}s"
    if not y:
        return f"pictures: {', '.join(frame[x].astype(str).unique())}"
    right = frame[x].eq(frame[y])
    named = frame[x].where(right, frame[x] + " taken for " + frame[y])
    return f"{right.sum()} of {len(frame)} pictures predicted rightly: {', '.join(named.unique())}"


def _range(values: Any, write: Write) -> str:
    if values.nunique() < 2:
        return f"all {write(values.iloc[0])}" if len(values) else "without values"
    return f"from {write(values.min())} to {write(values.max())}"


def _writer(ax: Any, quantity: str) -> Write:
    """How to say the numbers of a quantity: shares as per cent, where its axis does so."""
    from matplotlib.ticker import FuncFormatter

    forms = (axis.get_major_formatter() for axis in (ax.xaxis, ax.yaxis))
    if not any(isinstance(form, FuncFormatter) and form(0.5, 0) == "50%" for form in forms):
        return lambda value: _spoken(value) + "%" * quantity.startswith("%")
    return lambda value: f"{_with_minus(f'{100 * value:.1f}') if abs(value) >= 0.0005 else _spoken(100 * value)}%"


def _spoken(value: Any) -> str:
    """Three figures, and no exponent for what can be said without."""
    return _with_minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}")


# What a table holds: headings and cells as they are shown, and values as they are


def _table_content(
    frame: Any,
    table_name: str,
    *,
    formats: Mapping[str, str],
    best: Mapping[str, str],
    stds: Any = None,
    by_row: bool = False,
) -> dict[str, Any]:
    """What is recorded of a DataFrame's table; see `table` for the arguments.

    Returns:
        "columns" (headings), "rows" of texts, "align", "bold" ([row, column] of the best); "names" of the columns,
        their "values" as JSON has them, and the "stds" of all values, [] if there are none.
    """
    flat = _flat(frame)
    names = [str(column) for column in flat.columns]
    values = [[_plain(value) for value in row] for row in flat.itertuples(index=False, name=None)]
    keys = [str(row[0]) for row in values] if by_row else names
    formats, best = ({str(key): how for key, how in given.items()} for given in (formats, best))
    unknown = sorted({*formats, *best} - {*keys})
    if unknown:
        raise RecordError(f"table {table_name!r} has no {unknown[0]!r}; it has {', '.join(keys)}")
    if wrong := sorted({*best.values()} - {"max", "min"}):
        raise RecordError(f"best takes 'max' or 'min', not {wrong[0]!r}")
    spread = _deviations(frame, stds, names)
    means, rows = [], []
    for i, row in enumerate(values):
        forms = [formats.get(keys[i if by_row else j]) for j in range(len(names))]
        means.append([_shown(value, form) for value, form in zip(row, forms, strict=True)])
        rows.append([_with_std(*cell) for cell in zip(means[i], spread[i], forms, strict=True)])
    align = ["right" if all(_SHOWN.fullmatch(row[j]) for row in rows) else "left" for j in range(len(names))]
    headings = list(names)
    for j, name in enumerate(names):
        column = [row[j] for row in rows]
        if unit := _unit(column):
            headings[j] = f"{name}, {unit}"
            column = [re.sub(rf"\s?{unit}", "", text) for text in column]
        for row, text in zip(rows, column if by_row else _same_decimals(column), strict=True):
            row[j] = text
    content = {"columns": headings, "rows": rows, "align": align, "bold": _bold(values, means, keys, best, by_row)}
    return {**content, "names": names, "values": values, "stds": spread if stds is not None else []}


def _plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities become None, NumPy scalars become Python's."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)


def _amount(value: float, decimals: int, *, sign: str = "") -> str:
    """A number in figures, "–" for one that isn't finite."""
    return _with_minus(f"{value:{sign},.{decimals}f}") if math.isfinite(value) else NONE


def _decimals_for(values: Sequence[float], *, figures: int = 3) -> int:
    """How many decimals show each of the finite values with three figures (or so many) at least; four at most."""
    sizes = [abs(value) for value in values if math.isfinite(value) and not float(value).is_integer()]
    return max((min(4, max(0, figures - 1 - math.floor(math.log10(size)))) for size in sizes), default=0)


def _with_minus(text: str) -> str:
    """A formatted number with the real minus sign, which a zero, also one that was rounded to it, doesn't have."""
    is_zero = not re.search("[1-9]", text)
    return re.sub(r"(?<![\w.])-(?=[\d.])", "" if is_zero else "−", text)


def _flat(frame: Any) -> Any:
    """The frame with a named index as its first columns."""
    named = any(level is not None for level in frame.index.names)
    return frame.reset_index(allow_duplicates=True) if named else frame


def _deviations(frame: Any, stds: Any, names: list[str]) -> list[list[Any]]:
    """The standard deviation of each cell, None where there is none."""
    if stds is None:
        return [[None] * len(names) for _ in range(len(frame))]
    if not ({str(column) for column in stds.columns} <= {*names} and stds.index.equals(frame.index)):
        raise RecordError("stds need the index of the table, and columns that it has")
    given = {str(column): stds[column].to_list() for column in stds.columns}
    return [[_plain(given[name][i]) if name in given else None for name in names] for i in range(len(frame))]


def _bold(
    values: list[list[Any]], means: list[list[str]], keys: list[str], best: Mapping[str, str], by_row: bool
) -> list[list[int]]:
    """Row and column of the best entries. What looks equal is equally bold, and nothing where all do."""
    found = []
    for k, key in enumerate(keys):  # by position: columns may share a name
        line = [(k, j) for j in range(1, len(values[k]))] if by_row else [(i, k) for i in range(len(values))]
        known = [(i, j) for i, j in line if values[i][j] is not None]
        if key in best and len({means[i][j] for i, j in known}) > 1:
            winner = (max if best[key] == "max" else min)(known, key=lambda place: values[place[0]][place[1]])
            found += [[i, j] for i, j in known if means[i][j] == means[winner[0]][winner[1]]]
    return found


def _shown(value: Any, form: str | None) -> str:
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
    text = _with_minus(form.format(value))
    figures = text.removesuffix(" points").removesuffix("%")
    if figures == text or not _SHOWN.fullmatch(figures):
        return text
    return f"{figures}{NO_BREAK}{'points' if '+' in form or text.endswith('points') else '%'}"


def _with_std(mean: str, std: Any, form: str | None) -> str:
    """A value's text with its standard deviation, if it has one; a unit stands behind both."""
    if std is None or mean == NONE:
        return mean
    figures, space, unit = mean.partition(NO_BREAK)
    spread = _shown(std, form and form.replace("+", "")).partition(NO_BREAK)[0]
    return f"{figures} ± {spread}{space}{unit}"


def _unit(column: Sequence[str]) -> str:
    """The unit ("%" or "points") that all of the column's numbers have, or ""."""
    found = [_SHOWN.fullmatch(text) for text in column if text != NONE]
    units = {number and (number[2] or number[1]) for number in found}
    return (units.pop() or "") if len(units) == 1 else ""


def _same_decimals(column: list[str]) -> list[str]:
    """The numbers of a column with as many decimals as the one that has most; other columns as they are."""
    found = [_FIXED.fullmatch(text) for text in column if text != NONE]
    most = max((len(number[1] or "") for number in found), default=0) if all(found) else 0
    filled = []
    for text in column:
        whole, _, part = text.partition(".")
        digits = len(re.sub(r"\D", "", whole).lstrip("0"))
        decimals = max(len(part), min(most, MOST_FIGURES - digits))
        filled.append(f"{whole}.{part:0<{decimals}}" if most and decimals and text != NONE else text)
    return filled


def _decimals(entry: Number) -> int:
    """Decimals that a number needs: two for per cent, else for three figures, two of its deviation, all of a report."""
    if entry.unit in SHARES:
        return 2
    std = [] if entry.std is None else [entry.std]
    needed = max(_decimals_for([entry.value]), _decimals_for(std, figures=2))
    if entry.reported is None or float(entry.reported).is_integer():
        return needed
    return max(needed, min(4, len(repr(float(entry.reported)).partition(".")[2])))


def _three_figures(entry: Number, shared: int) -> list[str]:
    """Reported, measured (± std) and their difference, without units; decimals as ``shared``, if that is not absurd."""
    known = [value for value in (entry.value, entry.std, entry.reported) if value is not None and math.isfinite(value)]
    whole = entry.unit not in SHARES and all(float(value).is_integer() for value in known)
    digits = len(f"{abs(entry.value):.0f}".lstrip("0")) if math.isfinite(entry.value) else 0
    decimals = 0 if whole else min(shared, max(_decimals(entry), MOST_FIGURES - digits))
    scale = 100 if entry.unit in SHARES else 1
    measured = _amount(scale * entry.value, decimals)
    if entry.std is not None and math.isfinite(entry.std) and measured != NONE:
        measured += f" ± {_amount(scale * entry.std, decimals)}"
    if entry.reported is None:
        return [NONE, measured, NONE]
    difference = _amount(scale * (entry.value - entry.reported), decimals, sign="+")
    return [_amount(scale * entry.reported, decimals), measured, difference]


def _units(unit: str) -> list[str]:
    """Units of the three figures: a difference of per cent is counted in points."""
    return [unit, unit, "points" if unit in SHARES else unit]


def _with_units(figures: list[str], unit: str) -> list[str]:
    pairs = zip(figures, _units(unit), strict=True)
    return [f"{figure} {its_unit}" if unit and figure != NONE else figure for figure, its_unit in pairs]
