"""What a notebook hands to its report: provenance, figures, tables, numbers and readings.

Each function shows its result in the notebook and puts the same thing, as plain data, into the cell's output (under
the MIME type `MIME`). So an executed notebook holds all that its report needs, wherever it was run; the report command
(and nothing here) writes files.
"""

import base64
import csv
import io
import itertools
import json
import math
import platform
import re
import subprocess
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from html import escape, unescape
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import NOTEBOOKS, PACKAGE, WorkbookError, reprs
from helpers.phrases import Said, plain, say, sentences, with_minus

__all__ = ["Number", "claims", "compared", "figure", "literal", "numbers", "provenance", "reading", "reported", "say"]
__all__ += ["sentences", "table"]
MIME = "application/vnd.workbook.v1+json"
VERSIONS_SHOWN = ("torch", "torchvision", "timm", "scikit-learn", "pandas", "matplotlib")
NAMES = "names a file: use lower-case ASCII letters, digits and _, such as 'test_accuracy', 100 at most, not 'aux'"
NONE = "–"  # shown where there is no value
SHARES = ("%", "points")  # units of shares and of differences of shares, which are shown times 100
MOST_FIGURES = 5  # no number gets more only to have as many decimals as its neighbours
MOST_ROWS = 200_000  # of a CSV file: one of more would be larger than all the rest of a notebook
REPORTED = Path("notebooks/reported")  # the earlier reports' figures and claims, a YAML file for each report
RANDOM = "random initialisation"  # how `helpers.models.backbone` begins the origin of weights that aren't pretrained
LONGEST_ALT = 300  # characters: about 20 seconds of speech
LEAST_PANEL = 1.5  # inches of width: a narrower part of a figure is not shown by itself on a narrow screen
MOST_PANELS = 12  # that are shown so: of more, the page would get too long
MOST_LISTED = 4  # values that are read one by one; of more, the lowest and the highest, and of a line its ends
NUMBERS_CSV = ("name", "label", "reported", "value", "std", "runs", "difference", "unit")
# What makes a spreadsheet run a cell as a formula (OWASP, "CSV Injection"); the last four are full-width signs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.ASCII | re.IGNORECASE)
# As tables show a number, also with its deviation: "1,234", "−1.5×10⁻⁷", "+61.2 ± 1.3".
_FIGURES = re.compile(r"[+−]?[\d,.]+(×10\S+)?( ± \S+)?|–")
# In references.bib: key, year in it, first author's name, title.
_WORK = re.compile(r"^@\w+{([^\d,]+(\d*)),\s+author = {([^,}]+)(?:(?!^@).)+?\stitle = {(.+?)},\n", re.DOTALL | re.M)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# Of figures and tables only the kernel knows the numbers. In JupyterLab this writes them into Markdown cells too, from
# the captions, and the works that are cited; elsewhere a reader finds the names there, and the works' keys.
_NUMBER_REFERENCES = """<script>
setTimeout((script) => {
  const notebook = script?.closest(".jp-Notebook"), numbers = {};
  if (!notebook || notebook.hasNumbers) return;
  notebook.hasNumbers = true;
  const renew = () => {
    for (const caption of notebook.querySelectorAll("[data-reference]"))
      numbers[caption.dataset.reference] = caption.textContent;
    for (const text of notebook.querySelectorAll(".jp-RenderedMarkdown"))
      for (let node, nodes = document.createTreeWalker(text, NodeFilter.SHOW_TEXT); (node = nodes.nextNode()); ) {
        node.written ??= node.data;
        node.data = node.written.replace(/@[\\w-]+/g, (name) => numbers[name] ?? name);
      }
  };
  new MutationObserver(renew).observe(notebook, {childList: true, subtree: true});
  renew();
}, 0, document.currentScript);
</script>"""

_numbered: dict[str, str] = {}  # figures and tables that were shown since `provenance`, as texts refer to them
_comparable = False  # whether `provenance` named real images, and no random weights in the place of pretrained ones


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
            WorkbookError: for no values.
        """
        from helpers.evaluate import mean_std  # which loads torch

        return cls(name, label, *mean_std(values), reported, unit)


@dataclass(frozen=True)
class Reported:
    """What an earlier report says.

    Attributes:
        title: as notebooks call it.
        figures: a DataFrame, one row a figure: "label", "value" (float, in the unit of a `Number`; NaN where there is
            none), "printed" (the digits as they stand there), "unit", "where", "what" (which split, while training or
            after, which epoch, which average), "wrong" (what is inconsistent there, or "") and "ours" (why a run has no
            such quantity, or "").
        claims: a DataFrame, one row a claim: "text", "where", "change" (what would change a run's verdict, or "") and
            "wrong".
    """

    title: str
    figures: Any
    claims: Any


def reported(name: str) -> Reported:
    """The figures and claims of an earlier report, from ``notebooks/reported/<name>.yaml``.

    Raises:
        WorkbookError: there is no such report, or the file lacks something or has what isn't known.
    """
    import pandas as pd
    import yaml

    # A workbook elsewhere, whose notebooks run with these helpers, has its own.
    path = (REPORTED if REPORTED.is_dir() else NOTEBOOKS / REPORTED.name) / f"{name}.yaml"

    def frame(rows: Mapping[str, Any], needed: Sequence[str], *more: str) -> pd.DataFrame:
        fields = [*needed, *more]
        for key, row in rows.items():
            if wrong := sorted({*needed} - {*row} or {*row} - {*fields}):
                raise WorkbookError(f"{path.name}: {key} has {', '.join(fields)}; {wrong[0]!r} is missing or unknown")
        return pd.DataFrame(list(rows.values()), list(rows), fields, dtype=object).fillna(dict.fromkeys(more, ""))

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        figures = frame(content["figures"], ("label", "value", "printed", "unit", "where", "what"), "wrong", "ours")
        claims = frame(content["claims"], ("text", "where"), "change", "wrong")
        return Reported(content["title"], figures.astype({"value": float}), claims)
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise WorkbookError(f"there is no report {name!r} in {REPORTED}, only {known or 'nothing'}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkbookError(
            f"{path.name} needs a title, figures and claims: {type(error).__name__}: {error}"
        ) from error


def provenance(
    namespace: Mapping[str, Any],
    *,
    data: Any,
    compute: Any,
    weights: str,
    key_figure: str = "",
    key_numbers: Sequence[str] = (),
) -> None:
    """Shows where the numbers of this notebook come from: the first output of every notebook.

    Args:
        namespace: the notebook's ``globals()``; its parameters (upper-case names with JSON-able values) are listed.
        data: what ``helpers.data.load`` returned: its ``source`` says what the images are and ``counts`` how many. Of
            several data sets a mapping, {"dogs": …}: from what to call each.
        compute: what ``helpers.train.choose_compute`` returned.
        weights: where the networks' initial weights come from, in words; of pretrained ones a backbone's ``origin``.
        key_figure: name of the figure that stands for the notebook on the page over all; the first one if not given.
        key_numbers: names of the numbers that do, or patterns such as "*_test"; the first four if not given. A run that
            records no figure or number of such a name has failed.

    From here on `numbers` and `compared` show differences to earlier reports, unless images stand in for others, or
    random weights for pretrained ones: what differs would be the images.

    Raises:
        WorkbookError: a parameter called SEEDS, or SEEDS_ and more, is no list of seeds.
    """
    global _comparable
    parameters = reprs.parameters(namespace)
    for name, value in parameters.items():
        if name.startswith("SEEDS") and not (isinstance(value, list) and value and all(type(n) is int for n in value)):
            raise WorkbookError(f"{name} is a list of whole numbers, one seed at least, such as [0]; not {value!r}.")
    sets = data if isinstance(data, Mapping) else {"": data}
    _comparable = RANDOM not in weights and not any(part.source.stand_in for part in sets.values())
    versions = [f"{package} {metadata.version(package)}" for package in VERSIONS_SHOWN]
    system = f"{platform.system()} {platform.machine()}"
    rows = [
        *_data_rows(sets),
        ["Initial weights", weights],
        ["Device", compute.description],
        ["Precision", compute.precision_description],
        ["Seed", str(parameters.get("SEED", "none"))],
        ["Parameters", ", ".join(f"{name} = {_brief(value)!r}" for name, value in parameters.items())],
        ["Versions", ", ".join([f"Python {platform.python_version()}", *versions, system])],
        ["Git commit", _git_commit()],
    ]
    key = {"key_figure": key_figure, "key_numbers": list(key_numbers)}
    _show_provenance(rows, _data_warning([part.source for part in sets.values()]), parameters=parameters, **key)


def opening(title: str, rows: Mapping[str, str], *, warning: str = "", incomplete: str = "") -> None:
    """Shows where the numbers of a report over other reports come from: its first output, in place of `provenance`.

    Args:
        title: of the report, in place of the notebook's own heading.
        rows: label -> what to say.
        warning: what a reader must know first, such as that images stand in for others.
        incomplete: which of the other reports there are, such as "9 of 12 points", if some are missing.
    """
    _show_provenance(list(map(list, rows.items())), warning, parameters={}, title=title, incomplete=incomplete)


def _show_provenance(rows: list[list[str]], warning: str, **more: Any) -> None:
    _numbered.clear()
    banner = f"<p><strong>{escape(warning)}</strong></p>" if warning else ""
    lines = [*filter(None, [warning]), *(f"{label}: {text}" for label, text in rows)]
    script = _NUMBER_REFERENCES.replace("{}", json.dumps(_works() if reprs.in_front_end() else {}), 1)
    bundle = {"text/html": f"{banner}{reprs.table(rows)}{script}", "text/plain": "\n".join(lines)}
    _show({"kind": "provenance", "rows": rows, "warning": warning, **more}, bundle)


def _works() -> dict[str, str]:
    """The works that texts can cite: {"@he2016": "He 2016, Deep Residual Learning for Image Recognition"}."""
    file = NOTEBOOKS / "references.bib"
    works = _WORK.findall(file.read_text(encoding="utf-8")) if file.is_file() else []
    return {f"@{key}": re.sub("[{}]", "", f"{author} {year or 'n.d.'}, {title}") for key, year, author, title in works}


def figure(drawing: Any, name: str, caption: str, *, alt: str | None = None, data: Any = None) -> None:
    """Shows a figure once, as vectors (SVG for the page, PDF for print), and closes it.

    The functions of `helpers.plots` say what they drew: of that are made the CSV file with the numbers behind the
    figure (of 200,000 at most), and the text that a screen reader says in place of it.

    Args:
        drawing: a matplotlib Figure, Axes, or array or list of Axes of one figure.
        name: snake_case; the file name under ``figures/``, unique in the notebook.
        caption: one sentence or two that a reader understands without the text.
        alt: what a screen reader says. If not given, what was drawn in words; the caption where nothing is known of it.
        data: a DataFrame of the numbers behind a figure of your own, for the CSV file; a named index is kept.

    Raises:
        WorkbookError: for a name that is no file's, or if ``drawing`` is no figure.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    fig = getattr(next(iter(np.ravel(drawing)), None), "figure", None)
    if not hasattr(fig, "savefig"):
        raise WorkbookError(f"record.figure needs a matplotlib Figure or Axes, not {type(drawing).__name__}")
    notes = {ax: ax.workbook for ax in fig.axes if hasattr(ax, "workbook")}
    files, panels = {}, _panels(fig) if len(fig.axes) > 1 else []
    # Neither a date nor random ids in the files: the same run gives the same bytes.
    with plt.rc_context({"svg.fonttype": "path", "svg.hashsalt": "workbook", "pdf.fonttype": 42}):
        for kind, date in (("svg", "Date"), ("pdf", "CreationDate")):
            buffer = io.BytesIO()
            fig.savefig(buffer, format=kind, metadata={date: None}, bbox_inches="tight")
            files[kind] = buffer.getvalue()
    plt.close(fig)
    content = {"kind": "figure", "name": name, "caption": caption, "alt": alt or _in_words(notes) or caption}
    bundle = {"image/svg+xml": files["svg"].decode(), "application/pdf": base64.b64encode(files["pdf"]).decode()}
    _show({**content, "csv": _csv_behind(notes, data), "panels": panels}, {"text/plain": caption, **bundle})
    _show({"kind": "caption"}, {"text/html": _caption("fig", name, caption), "text/plain": caption})


def table(
    frame: Any,
    name: str,
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
    best: Mapping[str, str] | None = None,
    stds: Any = None,
    links: Sequence[str] = (),
    detail: Sequence[str] = (),
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
        stds: a DataFrame with the same index and some of the columns: what is shown behind a "±" where it isn't NaN:
            standard deviations, or half of an interval. The caption says which.
        links: for each row the address, relative to the report, that its first cell leads to; "" for none.
        detail: columns that a report which is handed in leaves to its full edition.

    Raises:
        WorkbookError: if ``formats``, ``best`` or ``stds`` name what the table doesn't have.
    """
    flat = _flat(frame)
    names = [str(column) for column in flat.columns]
    formats, best = ({str(key): how for key, how in (given or {}).items()} for given in (formats, best))
    if unknown := sorted({*formats, *best} - {*names}):
        raise WorkbookError(f"table {name!r} has no {unknown[0]!r}; it has {', '.join(names)}")
    if wrong := sorted({*best.values()} - {"max", "min"}):
        raise WorkbookError(f"best takes 'max' or 'min', not {wrong[0]!r}")
    spreads = {} if stds is None else {str(column): [plain(value) for value in stds[column]] for column in stds}
    if stds is not None and not (spreads.keys() <= {*names} and stds.index.equals(frame.index)):
        raise WorkbookError("stds need the index of the table, and columns that it has")
    headings, columns, bold, values, behind = [], [], [], [], []
    for j, heading in enumerate(names):  # by position: columns may share a name
        form, spread = formats.get(heading, ""), spreads.get(heading, [None] * len(flat))
        values.append([plain(value) for value in flat.iloc[:, j]])
        means = [_shown(value, form) for value in values[-1]]
        has_spread = any(deviation is not None for deviation in spread)
        means = means if "e}" in form or has_spread else _evened(means)
        columns.append([_with_std(*cell, form) for cell in zip(means, spread, strict=True)])
        headings.append(_with_unit(heading, _unit(form)))
        bold.append(_best(values[-1], means, best.get(heading)))
        behind.append([heading, *values[-1]])
        if has_spread:
            behind.append([f"{heading} (±)", *spread])
    # A verdict is what a table is there for, also where it is the same in all rows.
    fixed = [j for j, name in enumerate(names) if name == "verdict" or (j == 0 and len(links))]
    kept, caption = _telling(headings, columns, caption, fixed=fixed)
    content = {
        "columns": [headings[j] for j in kept],
        "rows": [*zip(*(columns[j] for j in kept), strict=True)],
        "align": ["right" if all(map(_FIGURES.fullmatch, columns[j])) else "left" for j in kept],
        "bold": [(row, place) for place, j in enumerate(kept) for row in bold[j]],
        "names": names,
        "values": [*zip(*values, strict=True)],
        "csv": csv_text(zip(*behind, strict=True)),
        "links": list(links),
        "detail": [place for place, j in enumerate(kept) if names[j] in detail],
    }
    _show_table("table", name, caption, content)


def _telling(
    headings: Sequence[str], columns: Sequence[Sequence[str]], caption: str, *, fixed: Iterable[int]
) -> tuple[list[int], str]:
    """Which columns say something, beside those that are fixed, and the caption, which says what all rows share."""
    free = {j: {*column} for j, column in enumerate(columns) if j not in fixed and column}
    empty = {j for j, texts in free.items() if texts <= {"", NONE}}
    alike = [j for j, texts in free.items() if len(texts) == 1 and len(columns[j]) > 1 and j not in empty]
    # A table of a single column would say less than one with a column that is the same in all rows.
    if len(columns) - len(empty) - len(alike) < 2:
        alike = []
    said = [say("“{heading}” is “{text}”", heading=headings[j], text=columns[j][0]) for j in alike]
    kept = [j for j in range(len(columns)) if j not in {*empty, *alike}] or [*range(len(columns))]
    return kept, say("{caption} In all rows {said}.", caption=caption, said=said) if said else caption


def numbers(entries: Sequence[Number], name: str, caption: str) -> None:
    """Shows this run's results beside the figures that earlier reports gave, and records them.

    Numbers of one unit have equally many decimals; a unit that all of them have stands in the headings, others behind
    what they are of.

    Args:
        entries: the results; those with ``reported`` get their difference shown (this run less reported), where
            `provenance` allows it.
        name: snake_case, unique in the notebook.
        caption: says which earlier report, and whether data and settings are comparable.
    """
    _show_numbers(entries, name, caption)


def compared(
    source: Reported,
    measured: Mapping[str, float | Iterable[float]],
    name: str,
    caption: str,
    *,
    keys: Iterable[str] | None = None,
) -> None:
    """Shows and records, as `numbers` does, this run's results beside the same quantities of an earlier report.

    Args:
        source: from `reported`, in whose order the rows stand.
        measured: key of a figure there -> the result, or those of several runs; the `Number` has this key as its name.
        name: snake_case, unique in the notebook.
        caption: says how far data and settings are comparable.
        keys: of figures that are shown without a result; if not given, those that say why a run has none (``ours``).

    Raises:
        WorkbookError: for a key that the report does not have.
    """
    figures = source.figures
    chosen = {*measured, *(figures.index[figures["ours"] != ""] if keys is None else keys)}
    if unknown := sorted(chosen - {*figures.index}):
        raise WorkbookError(f"{source.title} has no figure {unknown[0]!r}")
    entries, about = [], {}
    for key, row in figures[figures.index.isin(chosen)].iterrows():
        values = measured.get(key, math.nan)
        values = values if isinstance(values, Iterable) else [values]
        entries.append(Number.of(key, row["label"], values, reported=row["value"], unit=row["unit"]))
        about[key] = row["where"], "" if key in measured else row["ours"] or NONE
    _show_numbers(entries, name, caption, about)


def _show_numbers(
    entries: Sequence[Number], name: str, caption: str, about: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Of `numbers`; ``about``: by name where a report has the figure, and why this run has no such number, or ""."""
    units = {entry.unit for entry in entries}
    forms = _forms(entries)
    headings = ["Quantity", "Where", "Reported earlier", "This run", "Difference"]
    shared = entries[0].unit if len(units) == 1 else ""
    headings[2:] = [_with_unit(heading, unit) for heading, unit in zip(headings[2:], _units(shared), strict=True)]
    if not shared and units & {*SHARES}:
        headings[4] += " (of %: points)"
    rows, recorded, behind = [], [], []
    for entry, form in zip(entries, forms, strict=True):
        known = {key: plain(value) for key, value in asdict(entry).items()}
        is_compared = _comparable and None not in (known["value"], known["reported"])
        difference = known["value"] - known["reported"] if is_compared else None
        figures = {
            "reported": _shown(known["reported"], form),
            "value": _with_std(_shown(known["value"], form), known["std"], form),
            "difference": _shown(difference, form.replace(":", ":+")),
        }
        where, missing = about[entry.name] if about else ("", "")
        label = entry.label if shared else _with_unit(entry.label, entry.unit)
        rows.append([label, where, figures["reported"], missing or figures["value"], figures["difference"]])
        if not missing:
            pairs = zip(figures.items(), _units(entry.unit), strict=True)
            texts = {key: f"{text} {unit}" if unit and text != NONE else text for (key, text), unit in pairs}
            recorded.append({**known, "shown": texts})
        unit = "share" if entry.unit in SHARES else entry.unit
        behind.append([(known | {"difference": difference, "unit": unit})[key] for key in NUMBERS_CSV])
    kept, caption = _telling(headings, [*zip(*rows, strict=True)], caption, fixed=[0, 3])
    content = {
        "columns": [headings[j] for j in kept],
        "rows": [[row[j] for j in kept] for row in rows],
        "align": ["left" if j < 2 else "right" for j in kept],
        "bold": [],
        "csv": csv_text([NUMBERS_CSV, *behind]),
        "numbers": recorded,
    }
    _show_table("numbers", name, caption, content)


def claims(source: Reported, answers: Mapping[str, tuple[str, str]], caption: str) -> None:
    """Shows the table ``claims``: what an earlier report claims, and what this run says of it.

    Args:
        source: from `reported`, whose claims are told in their order.
        answers: key of a claim there -> what was measured, and the verdict ("holds here", "does not hold here", "too
            close to tell", "not testable here"). What would change it is in the report's file.
        caption: says on which images, and how sure the verdicts are.

    Raises:
        WorkbookError: for a key that the report does not have.
    """
    if unknown := sorted({*answers} - {*source.claims.index}):
        raise WorkbookError(f"{source.title} has no claim {unknown[0]!r}")
    rows = source.claims[source.claims.index.isin(answers)]
    rows = rows.rename(columns={"text": "claim", "change": "what would change it"})
    rows[["this run", "verdict"]] = [answers[key] for key in rows.index]
    columns = ["claim", "where", "this run", "verdict", "what would change it"]
    table(rows[columns], "claims", caption, detail=["where", "what would change it"])


def reading(text: str, **values: Any) -> None:
    """Shows a conclusion. Compute every figure and comparison in ``text`` (Markdown) from the run's own numbers.

    Names that come from data, such as a class's, go through `literal` first. In the report, a hyphen before a negative
    number is a minus sign, as in tables.

    Args:
        text: the sentences; with ``values`` a template, as `say` takes it.
        values: what stands in the template.
    """
    said = say(text, **values) if values else text
    shown = re.sub(r"@(?:fig|tbl)-\w+", lambda name: _numbered.get(name[0], name[0]), said)
    _show({"kind": "reading", "text": said}, {"text/markdown": shown, "text/plain": unescape(shown)})


def literal(name: str) -> str:
    """A name on one line of Markdown as it is: none of its characters makes a link, a formula, a tag or a list."""
    return re.sub(r"[!-/:-@[-`{-~]", lambda mark: f"&#{ord(mark[0])};", " ".join(name.split()))


def is_name(name: Any) -> bool:
    """Whether a figure, table or number can be called so: its files have this name."""
    kept_by_windows = r"con|prn|aux|nul|(com|lpt)[0-9]"  # for devices, whatever the suffix
    return isinstance(name, str) and re.fullmatch(rf"(?!({kept_by_windows})$)[a-z_][a-z0-9_]{{,99}}", name) is not None


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows, the first one a header, as the text of a CSV file.

    Numbers keep all their digits. None and NaN are empty cells. A text that a spreadsheet would run as a formula, such
    as a class called "=1+1", has an apostrophe in front.
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([_csv_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        # A carriage return ends a line for some readers, quoted or not.
        text = value.replace("\r", "").replace("\0", "")
        return f"'{text}" if text.startswith(FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(text) else text
    return "" if isinstance(value, float) and math.isnan(value) else value


# What provenance says


def _brief(value: Any) -> Any:
    """A parameter's value as reports name it: of a folder elsewhere, the last part, as in `helpers.data.places`."""
    return re.sub(r"^folder:(?:/|\w:).*[/\\](?=.)", "folder:…/", value) if isinstance(value, str) else value


def _data_rows(sets: Mapping[str, Any]) -> list[list[str]]:
    """What the data sets are, where they come from, and how many images they have."""
    described = {
        "Data set": [part.source.title for part in sets.values()],
        "Source": [part.source.where for part in sets.values()],
        "Images": [part.counts for part in sets.values()],
    }
    rows = []
    for label, texts in described.items():
        named = [say("{name}: {text}.", name=name, text=text) for name, text in zip(sets, texts, strict=True)]
        rows.append([label, texts[0] if len(set(texts)) == 1 else sentences(named)])
    return rows


def _data_warning(sources: Sequence[Any]) -> str:
    """One warning over all stand-ins; "" where all images are real."""
    stand_ins = [source for source in sources if source.warning]
    if len(stand_ins) < 2 or len({source.title for source in stand_ins}) > 1:
        return sentences(source.warning for source in stand_ins)
    *others, last = dict.fromkeys(source.stands_in_for for source in stand_ins)
    wanted = say("{others} and {last}", others=others, last=last) if others else last
    return replace(stand_ins[0], stands_in_for=wanted).warning


def _git_commit() -> str:
    """The checkout's commit, and whether files were changed since; "not a git checkout" where git cannot say."""
    run = {"cwd": PACKAGE, "capture_output": True, "encoding": "utf-8", "timeout": 30, "check": True}
    try:
        # Unpacked within another project's checkout, its files are none of that commit's.
        subprocess.run(["git", "ls-files", "--error-unmatch", "."], **run)
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **run).stdout.strip()
        # Not `git status`, which lists a notebook with outputs also where a filter takes them off.
        changed = subprocess.run(["git", "diff", "--name-only", "HEAD"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return say("not a git checkout")
    return say("{commit}, with uncommitted changes", commit=commit) if changed else commit


# Into the cell's output


def _show(content: dict[str, Any], bundle: dict[str, Any]) -> None:
    from IPython.display import display

    if not is_name(content.get("name", "unnamed")):
        raise WorkbookError(f"{content['name']!r} {NAMES}")
    phrases = {text: text.phrase for text in _texts(content) if isinstance(text, Said)}
    display({MIME: content | ({"phrases": phrases} if phrases else {}), **bundle}, raw=True)


def _texts(content: Any) -> Iterator[str]:
    """All texts in plain data."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping | list | tuple):
        for item in content.values() if isinstance(content, Mapping) else content:
            yield from _texts(item)


def _show_table(kind: str, name: str, caption: str, content: dict[str, Any]) -> None:
    lines = []
    for i, row in enumerate([content["columns"], *content["rows"]]):
        tag, cells = "td" if i else "th", []
        for j, (text, side) in enumerate(zip(row, content["align"], strict=True)):
            shown = f"<b>{escape(text)}</b>" if (i - 1, j) in content["bold"] else escape(text)
            cells.append(f'<{tag} style="text-align:{side}">{shown}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    html = (
        f"{_caption('tbl', name, caption)}<table><thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"
    )
    _show({"kind": kind, "name": name, "caption": caption, **content}, {"text/html": html, "text/plain": caption})


def _caption(kind: str, name: str, caption: str) -> str:
    """As HTML, with the number that the figure or table has in the full report too, and how texts refer to it."""
    label, reference = {"fig": "Figure", "tbl": "Table"}[kind], f"@{kind}-{name}"
    count = 1 + sum(other.startswith(f"@{kind}-") for other in _numbered)
    number = _numbered.setdefault(reference, f"{label} {count}")
    about = f'<b data-reference="{reference}">{number}</b> <small style="opacity: 0.6">{reference}</small>'
    return f'<p dir="auto">{about} {escape(caption)}</p>'


# What a figure shows, as numbers and in words: from what its plots noted (see `helpers.plots.style.drawn`)


def _panels(fig: Any) -> list[list[float]]:
    """Left, top, width and height of what stands side by side in a figure, as shares of it; [] where nothing does.

    What is no panel, such as a colour bar, goes with the panel to its left; what is above or below with that row.
    """
    from matplotlib import rcParams

    fig.draw_without_rendering()
    whole = fig.get_tightbbox().padded(rcParams["savefig.pad_inches"])
    inches = fig.dpi_scale_trans.inverted()
    boxes = [ax.get_tightbbox().transformed(inches) for ax in fig.axes if ax.get_visible()]
    rows: list[list[Any]] = []
    for box in sorted((box for box in boxes if box.width > LEAST_PANEL), key=lambda box: -box.y1):
        if rows and box.y1 > (rows[-1][0].y0 + rows[-1][0].y1) / 2:
            rows[-1].append(box)
        else:
            rows.append([box])
    if not rows:
        return []
    tops = [whole.y1, *(max(box.y1 for box in row) for row in rows[1:]), whole.y0]
    found = []
    for row, ends in zip(rows, itertools.pairwise(tops), strict=True):
        sides = [whole.x0, *sorted(box.x0 for box in row)[1:], whole.x1]
        found += [(left, ends[0], right - left, ends[0] - ends[1]) for left, right in itertools.pairwise(sides)]
    if not len(rows) < len(found) <= MOST_PANELS:
        return []
    shares = (
        ((left - whole.x0) / whole.width, (whole.y1 - top) / whole.height, width / whole.width, height / whole.height)
        for left, top, width, height in found
    )
    return [[round(float(share), 4) for share in panel] for panel in shares]


def _csv_behind(notes: Mapping[Any, Mapping[str, Any]], data: Any) -> str:
    import pandas as pd

    frames = [note["frame"] for note in notes.values()] if data is None else [_flat(data)]
    # As objects: whole numbers stay whole where another panel lacks their column.
    frames = [frame.astype(object) for frame in frames]
    if len(frames) > 1:
        for frame, (ax, note) in zip(frames, notes.items(), strict=True):
            frame.insert(0, "panel", " ".join(ax.get_title().split()) or note["y"])
    count = sum(map(len, frames))
    if count > MOST_ROWS:
        about = f"this figure draws {count:,} numbers: its CSV file, which holds {MOST_ROWS:,} at most, is left out"
        warnings.warn(about, stacklevel=3)
    if not 0 < count <= MOST_ROWS:
        return ""
    whole = pd.concat(frames, ignore_index=True)
    return csv_text([whole.columns, *whole.where(whole.notna(), None).itertuples(index=False, name=None)])


def _in_words(notes: Mapping[Any, Mapping[str, Any]]) -> str:
    """What is drawn, panel by panel, in as many words as one hears through."""
    said = []
    for ax, note in notes.items():
        title = f"{ax.get_title()}: " if len(notes) > 1 and ax.get_title() else ""
        said.append(f"{title}{_pictures(note) if note['kind'] == 'images' else _values(note)}.")
    return textwrap.shorten(" ".join(said), LONGEST_ALT, placeholder=" …")


def _pictures(note: Mapping[str, Any]) -> str:
    """How many pictures, and of what; of predicted ones how many are right."""
    frame, x, y = note["frame"], note["x"], note["y"]
    right = f", {frame[x].eq(frame[y]).sum()} predicted rightly" if y else ""
    return f"{len(frame)} pictures{right}: {', '.join(frame[x].astype(str).unique())}"


def _values(note: Mapping[str, Any]) -> str:
    """The values of each line or kind of bar, and of a heat map's cells: all of a few, else the ends and extremes."""
    kind, x, y, series = (note[key] for key in ("kind", "x", "y", "series"))
    known, places = note["frame"].dropna(subset=y), x
    if kind == "matrix":  # one row of cells, each with a name of its own
        kind, places = "heat map", f"{series} and {x}"
        known = known.assign(**{x: known[series] + " and " + known[x], series: ""})
    said = []
    for name, part in known.groupby(series, sort=False) if series else [("", known)]:
        each = [
            f"{_spoken(value, note['percent'])} at {_spoken(place)}"
            for place, value in zip(part[x], part[y], strict=True)
        ]
        if len(each) > MOST_LISTED:
            ends = [f"from {each[0]}", f"to {each[-1]}"] if kind == "lines" else []
            each = [*ends, f"lowest {each[part[y].argmin()]}", f"highest {each[part[y].argmax()]}"]
        said.append(": ".join(filter(None, [str(name), ", ".join(each)])))
    return f"{kind[0].upper()}{kind[1:]} of {y} by {places}: {'; '.join(said) or 'without values'}"


def _spoken(value: Any, percent: bool = False) -> str:
    """Three figures, and no exponent for what can be said without."""
    if isinstance(value, str):
        return value
    number = 100 * value if percent else value
    return with_minus(f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}") + "%" * percent


# What a table shows of its values


def _flat(frame: Any) -> Any:
    """The frame with a named index as its first columns."""
    is_named = any(level is not None for level in frame.index.names)
    return frame.reset_index(drop=not is_named, allow_duplicates=True)


def _unit(form: str) -> str:
    """Of what a format shows times 100; a signed share is a difference of shares, which is counted in points."""
    is_difference = "points" in form or re.search(r"\+.*%}", form)
    return "points" if is_difference else "%" * ("%" in form)


def _with_unit(label: str, unit: str) -> str:
    return f"{label}, {unit}" if unit else label


def _units(unit: str) -> list[str]:
    """Units of the three figures: a difference of per cent is counted in points."""
    return [unit, unit, "points" if unit in SHARES else unit]


def _shown(value: Any, form: str) -> str:
    """A plain value as text, without the unit of its format; without a format floats get three decimals."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    text = (form or ("{:,}" if isinstance(value, int) else "{:.3f}")).format(value)
    text = text.removesuffix(" points").removesuffix("%").rstrip()
    if found := re.fullmatch(r"(.+)e([+-]\d+)", text):
        if abs(int(found[2])) < 5 and value:  # few zeros are read more easily
            text = f"{Decimal(text):{'+' * (text[0] == '+')},f}"
        else:
            text = f"{found[1]}×10{str(int(found[2])).translate(_RAISED)}" if value else "0"
    return with_minus(text)


def _with_std(mean: str, std: float | None, form: str) -> str:
    return mean if std is None or mean == NONE else f"{mean} ± {_shown(std, form.replace('+', ''))}"


def _best(values: Sequence[Any], texts: Sequence[str], how: str | None) -> list[int]:
    """The rows of the best entries. What looks equal is equally good, and none is best where all do."""
    known = [row for row, value in enumerate(values) if value is not None]
    if how is None or len({texts[row] for row in known}) < 2:
        return []
    best = {"max": max, "min": min}[how](known, key=values.__getitem__)
    return [row for row in known if texts[row] == texts[best]]


def _evened(texts: list[str]) -> list[str]:
    """Numbers with as many decimals as the one that has most, where "g" cut zeros off; other columns as they are."""
    if not all(map(_FIGURES.fullmatch, texts)) or {*"×±"} & {*"".join(texts)}:
        return texts
    parts = [text.partition(".") for text in texts]
    most = max((len(decimals) for _, _, decimals in parts), default=0)
    filled = [(whole, f"{decimals:0<{_decimals(len(decimals), most, whole)}}") for whole, _, decimals in parts]
    return [f"{whole}.{decimals}" if decimals and whole != NONE else whole for whole, decimals in filled]


def _decimals(own: int, most: int, whole: str) -> int:
    """Of a number beside others: as many as one of them needs, unless it has too many figures before the point."""
    return max(own, min(most, MOST_FIGURES - len(re.sub(r"^\D*0|\D", "", whole))))


def _forms(entries: Sequence[Number]) -> list[str]:
    """How to show the three figures of each; those of one unit with equally many decimals, whole ones without."""
    forms = []
    for entry in entries:
        # Beside a result that is missing, an earlier report's figure has its own digits alone.
        alike = [other for other in entries if other.unit == entry.unit] if math.isfinite(entry.value) else [entry]
        own, most = _needed(entry), max(map(_needed, alike))
        decimals = 0 if own < 0 else _decimals(own, most, f"{entry.value:.0f}")
        forms.append(f"{{:,.{decimals}{'%' if entry.unit in SHARES else 'f'}}}")
    return forms


def _needed(entry: Number) -> int:
    """Decimals of per cent: two; else for three figures of the result, two of its deviation, all of a report.

    Below 0 where all are whole numbers.
    """
    if entry.unit in SHARES:
        return 2
    needed = [-1]
    for value, figures in ((entry.value, 3), (entry.std, 2), (entry.reported, 0)):
        if value is not None and math.isfinite(value) and value % 1:
            printed = len(f"{value:.4f}".rstrip("0").partition(".")[2])
            needed.append(min(4, max(0, figures - 1 - math.floor(math.log10(abs(value))))) if figures else printed)
    return max(needed)
