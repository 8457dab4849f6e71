"""What a notebook hands to its report: provenance, figures, tables, numbers and readings.

Each function shows its result in the notebook and puts the same thing, as plain data, into the cell's output (under
the MIME type `MIME`). So an executed notebook holds all that its report needs, wherever it was run; the report command
(and nothing here) writes files.
"""

import base64
import io
import platform
import re
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape, unescape
from importlib import metadata
from typing import Any, NamedTuple

from helpers import ROOT
from helpers.report import cells, tables
from helpers.report.alt_text import alt_text
from helpers.report.csv_text import csv_text
from helpers.report.figure_data import numbers_of
from helpers.report.minus_signs import with_minus_signs
from helpers.report.tables import Number, RecordError

MIME = "application/vnd.workbook.v1+json"
NAMES = "names a file: use lower-case ASCII letters, digits and _, such as 'test_accuracy', 100 at most"
LONGEST_NAME = 100
VERSIONS_SHOWN = ("torch", "torchvision", "timm", "scikit-learn", "pandas", "matplotlib")


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

    The numbers behind it are read from the drawing (see `helpers.report.figure_data.numbers_of`) and kept as CSV.

    Args:
        drawing: a matplotlib Figure, Axes, or array or list of Axes of one figure.
        name: snake_case; the file name under ``figures/``, unique in the notebook.
        caption: one sentence or two that a reader understands without the text.
        alt: what a screen reader says in place of the picture. If not given, what it shows in words, made of the same
            numbers (see `helpers.report.alt_text`); the caption, which is read aloud as well, where there are none.
    """
    made = drawn(_figure_of(drawing))
    bundle = {"text/plain": caption, "image/svg+xml": made.svg, "application/pdf": base64.b64encode(made.pdf).decode()}
    texts = {"name": _checked_name(name), "caption": caption, "alt": alt or made.alt or caption}
    _show({"kind": "figure", **texts, "csv": made.csv}, bundle)


class Drawn(NamedTuple):
    """A figure in the forms that a report needs; ``csv`` and ``alt`` are "" where no numbers are behind it."""

    svg: str
    pdf: bytes
    csv: str
    alt: str


def drawn(fig: Any) -> Drawn:
    """A matplotlib Figure as SVG and as PDF, the numbers behind it as CSV, and what it shows in words; closes it."""
    import matplotlib.pyplot as plt

    csv, alt = _attempted(_figure_csv, fig), _attempted(alt_text, fig)
    svg, pdf = _render(fig, "svg").decode(), _render(fig, "pdf")
    plt.close(fig)
    return Drawn(svg, pdf, csv, alt)


def _attempted(read: Callable[[Any], str], fig: Any) -> str:
    """What ``read`` makes of the drawing; "" with a warning where it fails."""
    try:
        return read(fig)
    except Exception as error:  # matplotlib can draw more than is foreseen here, and the figure itself is good
        warnings.warn(f"the numbers behind this figure could not be read from it: {error!r}", stacklevel=4)
        return ""


def _figure_csv(fig: Any) -> str:
    """The numbers behind the drawing as CSV; "" where there are none."""
    behind = numbers_of(fig)
    return "" if behind is None else csv_text(list(behind.columns), behind.itertuples(index=False, name=None))


def table(
    frame: Any,
    name: str,
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
    best: Mapping[str, str] | None = None,
    stds: Any = None,
    by_row: bool = False,
) -> None:
    """Shows a table; its values go into the report's numbers and its CSV file as they are, unrounded.

    A column of shares that ``formats`` shows as per cent has the sign once, in its heading. A column's numbers have
    equally many decimals.

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

    Raises:
        RecordError: if ``formats``, ``best`` or ``stds`` name what the table doesn't have.
    """
    content = tables.of_frame(frame, name, formats=formats or {}, best=best or {}, stds=stds, by_row=by_row)
    _show_table("table", name, caption, content)


def numbers(entries: Sequence[Number], name: str, caption: str) -> None:
    """Shows this run's results beside the figures that earlier reports gave, and records them.

    Numbers of one unit have equally many decimals; a unit that all of them have stands in the headings.

    Args:
        entries: the results; those with ``reported`` get their difference shown (this run less reported).
        name: snake_case, unique in the notebook.
        caption: says which earlier report, and whether data and settings are comparable.
    """
    _show_table("numbers", name, caption, tables.of_numbers(entries))


def reading(text: str) -> None:
    """Shows a conclusion. Compute every figure and comparison in ``text`` (Markdown) from the run's own numbers.

    Names that come from data, such as a class's, go through `literal` first. A hyphen before a negative number becomes
    a minus sign, as in tables.
    """
    text = with_minus_signs(text)
    _show({"kind": "reading", "text": text}, {"text/markdown": text, "text/plain": unescape(text)})


def literal(name: str) -> str:
    """A name on one line of Markdown as it is: none of its characters makes a link, a formula, a tag or a list."""
    return re.sub(r"[!-/:-@[-`{-~]", lambda mark: f"&#{ord(mark[0])};", " ".join(name.split()))


def _show(content: dict[str, Any], bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display({MIME: content, **bundle}, raw=True)


def _show_table(kind: str, name: str, caption: str, content: dict[str, Any]) -> None:
    html = cells.html_table(content["columns"], content["rows"], content["align"], content["bold"])
    plain = "\n".join(" | ".join(row) for row in [content["columns"], *content["rows"]])
    content = {"kind": kind, "name": _checked_name(name), "caption": caption, **content}
    _show(content, {"text/html": html, "text/plain": plain})


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


def is_name(name: Any) -> bool:
    """Whether a figure, table or number can be called so: its files have this name."""
    return isinstance(name, str) and re.fullmatch(r"[a-z_][a-z0-9_]*", name) is not None and len(name) <= LONGEST_NAME


def _checked_name(name: str) -> str:
    if not is_name(name):
        raise RecordError(f"{name!r} {NAMES}")
    return name


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
