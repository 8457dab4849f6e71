"""What a book of all notebooks of a profile holds: its settings, its chapters, and what the summary says of each.

``helpers.report.pdf.book`` sets it.
"""

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.report.document import (
    DamagedNotebook,
    Document,
    Failure,
    Figure,
    Provenance,
    Reading,
    Table,
    read,
    with_code,
    with_failure,
)
from helpers.report.workspace import Refused, UnreadableNotebook, load

DEFAULT_TITLE = "Experiments in image classification"
_SENTENCE_END = re.compile(r"[.!?؟](?=\s+[^\sa-z]|\s*\Z)")
_ABBREVIATIONS = tuple(f" {word}" for word in ("vs.", "Fig.", "Figs.", "Eq.", "No.", "cf.", "e.g.", "i.e.", "etc."))
_PAIRED_MARKS = ("**", "`", "$")


class UnusableSettings(Refused):
    """A ``pyproject.toml`` whose settings of the book cannot be read."""


@dataclass(frozen=True)
class BookSettings:
    """What stands on the title page; no line is set for an empty author or course."""

    title: str = DEFAULT_TITLE
    author: str = ""
    course: str = ""


@dataclass(frozen=True)
class Chapter:
    """One notebook: its file name without the suffix, and what its last run left."""

    name: str
    document: Document


def settings(root: Path) -> BookSettings:
    """The settings in the table ``[tool.workbook]`` of ``root/pyproject.toml``: title, author and course, all optional.

    Raises:
        UnusableSettings: if the file cannot be read, or a setting is unknown or no text.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return BookSettings()
    table = _tool_table(path)
    for name, value in table.items():
        if name not in BookSettings.__dataclass_fields__ or not isinstance(value, str):
            raise UnusableSettings(
                f"{path.name}: {name} = {value!r} in [tool.workbook] is not a setting of the book; there are title, "
                "author and course, each a text"
            )
    return BookSettings(**table)


def _tool_table(path: Path) -> Mapping[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("workbook", {})
    except (OSError, ValueError, AttributeError) as error:
        raise UnusableSettings(f"cannot read the settings of the book in {path.name}: {error}; correct it") from error
    if not isinstance(table, dict):
        raise UnusableSettings(f"{path.name}: tool.workbook is not a table; write [tool.workbook], then title = …")
    return table


def chapters(reports: Path, *, show_code: str = "key") -> list[Chapter]:
    """The chapters from the executed notebooks in a profile's folder of reports, in the order of their numbers.

    A notebook that cannot be read is a chapter, too, that failed and says so: nothing is left out in silence.

    Args:
        reports: ``reports/<profile>``.
        show_code: whose code is shown, as for the reports: that of "all" cells, of those tagged "key", or of "none".
    """
    return [_chapter(path, show_code) for path in executed(reports)]


def executed(reports: Path) -> list[Path]:
    """The executed notebooks in a profile's folder of reports, in the order of their numbers."""
    paths = [path for path in reports.glob("[0-9]*.ipynb") if not path.name.endswith(".interrupted.ipynb")]
    return sorted(paths, key=lambda path: (_number(path), path.name))


def _chapter(path: Path, show_code: str) -> Chapter:
    try:
        document = _as_reported(read(load(path), name=path.stem), path.with_suffix(".json"))
    except (UnreadableNotebook, DamagedNotebook) as error:
        message = f"its executed notebook cannot be read: {type(error.__cause__).__name__}; run it again"
        failure = Failure(type(error).__name__, message, "", None)
        document = Document(path.stem, [failure], {}, {}, duration=None, finished=None, failed=True)
    return Chapter(path.stem, with_code(document, show_code))


def _as_reported(document: Document, numbers: Path) -> Document:
    """The document with the failure that showed only when its report was written, which its numbers tell of."""
    try:
        error = json.loads(numbers.read_text(encoding="utf-8"))["error"]
        name, message = error["name"], error["message"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or nothing that a run left
        return document
    return document if document.failed else with_failure(document, name, message)


def _number(path: Path) -> int:
    return int(re.match(r"\d+", path.name, re.ASCII)[0])


def finding(document: Document) -> str:
    """What the notebook found, in one sentence of Markdown that the run computed; "" where it has no reading.

    It is the first sentence of the reading below the table of results, or else of the last reading.
    """
    results = [i for i, block in enumerate(document.blocks) if _holds_results(block)]
    after = [block for block in document.blocks[max(results, default=0) :] if isinstance(block, Reading)]
    readings = after[:1] if results and after else [block for block in document.blocks if isinstance(block, Reading)]
    return first_sentence(readings[-1].text) if readings else ""


def first_sentence(text: str) -> str:
    """The first sentence of the text's first paragraph, emphasis, code, formulas and parentheses in it whole."""
    paragraph = re.split(r"\n[ \t]*\n", text.strip())[0]
    for end in _SENTENCE_END.finditer(paragraph):
        sentence = paragraph[: end.end()]
        is_whole = all(sentence.count(mark) % 2 == 0 for mark in _PAIRED_MARKS)
        if is_whole and sentence.count("(") == sentence.count(")") and not f" {sentence}".endswith(_ABBREVIATIONS):
            return sentence
    return paragraph


def key_figure(document: Document) -> Figure | None:
    """The figure that stands for the notebook, as its metadata says; else its first one, if it has any."""
    figures = [block for block in document.blocks if isinstance(block, Figure)]
    chosen = [figure for figure in figures if fnmatch.fnmatchcase(figure.name, document.key_figure)]
    return next(iter([*chosen, *figures]), None)


def is_stand_in(document: Document) -> bool | None:
    """Whether its images stand in for others; None for a run that ended before it said what they are."""
    sources = [block for block in document.blocks if isinstance(block, Provenance)]
    return any(source.stand_in for source in sources) if sources else None


def failure(document: Document) -> str:
    """What ended the run, in one line; "" if nothing did."""
    errors = [block for block in document.blocks if isinstance(block, Failure)]
    return " ".join(f"{errors[0].name}: {errors[0].message}".split()) if errors else ""


def commits(documents: Sequence[Document]) -> list[str]:
    """The git commits that the documents were made at, each once, that of the newest run first."""
    newest_first = sorted(documents, key=lambda document: document.finished or "", reverse=True)
    return list(dict.fromkeys(commit for document in newest_first if (commit := _commit(document).partition(",")[0])))


def has_uncommitted_changes(document: Document) -> bool:
    """Whether files had been changed since the commit that the run names."""
    return "," in _commit(document)


def _commit(document: Document) -> str:
    rows = [row for block in document.blocks if isinstance(block, Provenance) for row in block.rows]
    return dict(rows).get("Git commit", "")


def _holds_results(block: Any) -> bool:
    """Whether the block is a table of numbers: the document has its values elsewhere."""
    return isinstance(block, Table) and bool(block.rows) and not block.values
