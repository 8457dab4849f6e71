"""All notebooks of a profile as one book, ``workbook.pdf``: title page, contents, a summary, a chapter for each."""

import fnmatch
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.record import telling
from helpers.report import clean, render
from helpers.report.cover import Cover
from helpers.report.document import (
    DamagedNotebook,
    Document,
    Failure,
    Provenance,
    read,
    selected,
    with_failure,
)
from helpers.report.index import COMPARED, compared, finding, first_sentence
from helpers.report.workspace import BOOK, Settings, UnreadableNotebook, load, write

DEFAULT_TITLE = "Experiments in image classification"
FEWEST_CHAPTERS = 2
MADE_FROM = f".{BOOK}.made-from"
"""Beside the book: a hash of what it was made from."""
_COLUMNS = [*COMPARED, "Images"]
_ALIGN = ["left", "right", "right", "right", "left"]
_IMAGES = {True: "stand-in", False: "real", None: "–"}


@dataclass(frozen=True)
class Chapter:
    """One notebook: its file name without the suffix, and what its last run left."""

    name: str
    document: Document


# The file in a profile's folder


def write_book(reports: Path, how: Settings) -> str:
    """Writes ``workbook.pdf`` from the executed notebooks in a profile's folder of reports.

    A book of earlier runs goes where there is none now: it would show other numbers than the reports.

    Args:
        reports: the folder.
        how: the reports are made; without the format "pdf" there is no book.

    Returns:
        Why it could not be made, or "". One notebook makes no book.
    """
    for file in (BOOK, MADE_FROM):
        (reports / file).unlink(missing_ok=True)
    if "pdf" not in how.formats:
        return ""
    made_from = _made_from(reports, how)
    found = chapters(reports, how)
    if len(found) < FEWEST_CHAPTERS:
        return ""
    try:
        write(reports / BOOK, pdf(found, how))
    except render.PdfError as error:
        return clean.private(f"{BOOK} could not be made: {error}")
    write(reports / MADE_FROM, made_from)
    return ""


def is_outdated(reports: Path, how: Settings) -> bool:
    """Whether the book that should stand over the reports isn't there, or is of other settings or other reports."""
    if "pdf" not in how.formats:
        return False
    has_book = (reports / BOOK).is_file()
    if len(executed(reports)) < FEWEST_CHAPTERS:
        return has_book
    made_from = reports / MADE_FROM
    is_of_these = made_from.is_file() and made_from.read_text() == _made_from(reports, how)
    return not (has_book and is_of_these)


def _made_from(reports: Path, how: Settings) -> str:
    """A hash of a book's cover, of what it shows, and of the executed notebooks as sizes and times tell them."""
    states = [(path.name, path.stat()) for path in executed(reports)]
    of = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    text = json.dumps([repr(how.cover), how.show_code, how.edition, of], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def chapters(reports: Path, how: Settings) -> list[Chapter]:
    """The chapters from the executed notebooks in a profile's folder of reports, in the order of their numbers.

    A notebook that cannot be read is a chapter, too, that failed and says so: nothing is left out in silence.

    Args:
        reports: ``reports/<profile>``.
        how: whose code is shown, and in which edition.
    """
    read = {path.stem: _document(path) for path in executed(reports)}
    return [Chapter(name, selected(each, code=how.show_code, edition=how.edition)) for name, each in read.items()]


def executed(reports: Path) -> list[Path]:
    """The executed notebooks in a profile's folder of reports, in the order of their numbers."""
    paths = [path for path in reports.glob("[0-9]*.ipynb") if not path.name.endswith(".interrupted.ipynb")]
    return sorted(paths, key=lambda path: (int(re.match(r"\d+", path.name, re.ASCII)[0]), path.name))


def _document(path: Path) -> Document:
    try:
        document = read(load(path), name=path.stem)
    except (UnreadableNotebook, DamagedNotebook) as error:
        message = f"its executed notebook cannot be read: {type(error.__cause__).__name__}; run it again"
        document = Document(path.stem, [], {}, {}, duration=None, finished=None, failed=False)
        return with_failure(document, type(error).__name__, message)
    try:  # a failure that showed only when the report was written, which its numbers tell of
        error = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["error"]
        return document if document.failed else with_failure(document, error["name"], error["message"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or nothing that a run left
        return document


# Its pages


def pdf(chapters: Sequence[Chapter], how: Settings) -> bytes:
    """The book as a PDF on A4 paper; the same chapters give the same bytes.

    Args:
        chapters: in their order, numbered from 1; figures and tables are numbered by chapter.
        how: the cover, the profile of the runs, and the edition: the full one lists figures and tables.

    Raises:
        PdfError: if Typst could not set it.
    """

    def make(pictures: render.Pictures) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        described = [
            render.described(chapter.document, pictures, paper=True, chapter=number)
            for number, chapter in enumerate(chapters, 1)
        ]
        blocks = _summary(chapters, described)
        for number, (chapter, its_blocks) in enumerate(zip(chapters, described, strict=True), 1):
            document = chapter.document
            line = " · ".join(filter(None, [chapter.name, render.facts(document)]))
            opening = {"title": document.title, "facts": line, "failed": document.failed}
            blocks += [{"kind": "chapter", "chapter": number, **opening}, *its_blocks]
        cover = how.cover or Cover()
        title = cover.title or DEFAULT_TITLE
        about = {"title": title, "cover": cover.described(pictures, title), "facts": _facts(chapters, how.profile)}
        return {**about, "book": True, "lists": _lists(blocks) if how.edition == "full" else []}, blocks

    return render.typeset(make, level=2)


def _lists(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All figures, and all tables, with the first sentence of their captions."""
    lists = []
    for kind, title in (("figure", "Figures"), ("table", "Tables")):
        numbered = [block for block in blocks if block["kind"] == kind and "number" in block]
        lines = [{"number": b["number"], "anchor": b["anchor"], "text": first_sentence(b["caption"])} for b in numbered]
        lists += [{"title": title, "lines": lines}] if lines else []
    return lists


def _facts(chapters: Sequence[Chapter], profile: str) -> list[dict[str, str]]:
    """What the title page says below: when, from which commit, how much of it failed or rests on stand-in data."""
    documents = [chapter.document for chapter in chapters]
    failed = sum(document.failed for document in documents)
    stand_ins = sum(bool(_is_stand_in(document)) for document in documents)
    newest_first = sorted(documents, key=lambda document: document.finished or "", reverse=True)
    commits = list(dict.fromkeys(filter(None, (_commit(document)[0] for document in newest_first))))
    more = len(commits) - 1
    others = f"; {more} other commit{'' if more == 1 else 's'} in other chapters" if more > 0 else ""
    changed = sum(bool(_commit(document)[1]) for document in documents)
    dirty = f"; files had been changed since in {changed} of {len(chapters)}" if changed else ""
    newest = max((document.finished for document in documents if document.finished), default="")
    rows = {
        "Newest run": render.day(newest) if newest else "",
        "Profile": profile,
        "Notebooks": f"{len(chapters)}{f', of which {failed} failed' if failed else ''}",
        "Images": f"stand-in data in {stand_ins} of {len(chapters)} chapters" if stand_ins else "",
        "Git commit": commits[0] + others + dirty if commits else "",
    }
    return [{"label": label, "text": text} for label, text in rows.items() if text]


def _commit(document: Document) -> tuple[str, str]:
    """The git commit that the run names, and what it says of uncommitted changes."""
    rows = [row for block in document.blocks if isinstance(block, Provenance) for row in block.rows]
    commit, _, changes = dict(rows).get("Git commit", "").partition(",")
    return commit, changes


def _summary(chapters: Sequence[Chapter], described: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    opening = {"kind": "unnumbered", "level": 1, "text": "Summary"}
    return [opening, *_states(chapters), *_comparison(chapters), *_findings(chapters, described)]


def _states(chapters: Sequence[Chapter]) -> list[dict[str, Any]]:
    """Which notebooks failed, and how much of the book rests on stand-in data."""
    count = len(chapters)
    lines = [
        f"Chapter {number}, {chapter.name}. {_failure(chapter.document)}"
        for number, chapter in enumerate(chapters, 1)
        if chapter.document.failed
    ]
    label = f"{len(lines)} of {count} notebooks failed"
    stand_ins = sum(bool(_is_stand_in(chapter.document)) for chapter in chapters)
    where = "all chapters" if stand_ins == count else f"{stand_ins} of {count} chapters"
    warning = (
        f"STAND-IN DATA in {where}. Such numbers say how the methods behave, nothing about the data sets that the "
        "images stand in for."
    )
    alarms = [{"kind": "alarms", "label": label, "lines": lines}] if lines else []
    return alarms + ([{"kind": "warning", "text": warning}] if stand_ins else [])


def _comparison(chapters: Sequence[Chapter]) -> list[dict[str, Any]]:
    """One table of all numbers that an earlier report gave, below the names of their chapters."""
    rows: list[list[str]] = []
    for number, chapter in enumerate(chapters, 1):
        document = chapter.document
        found = compared(document.numbers, document.key_numbers)
        if found:
            rows.append([f"{number}\u2002{document.title}"])
            rows += [[*row, _IMAGES[_is_stand_in(document)]] for row in found]
    if not rows:
        return []
    caption = (
        "Figures of earlier reports and of these runs; without such a report, the notebook's key numbers. "
        "Numbers from stand-in images, or from random weights for pretrained ones, are not held against these."
    )
    full = [row for row in rows if len(row) > 1]
    kept, caption = telling(_COLUMNS, list(zip(*full, strict=True)), caption, fixed=[0, 2])
    table = {"kind": "table", "name": "", "caption": caption, "number": "S.1", "anchor": "table-S.1"}
    table |= {"columns": [_COLUMNS[j] for j in kept], "align": [_ALIGN[j] for j in kept], "bold": [], "links": []}
    table["rows"] = [[row[j] for j in kept] if len(row) > 1 else row for row in rows]
    return [{"kind": "unnumbered", "level": 2, "text": "Reported and measured"}, table]


def _findings(chapters: Sequence[Chapter], described: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """For each notebook its chapter, one sentence, and its key figure."""
    blocks: list[dict[str, Any]] = [{"kind": "unnumbered", "level": 2, "text": "Chapter by chapter"}]
    for number, (chapter, its_blocks) in enumerate(zip(chapters, described, strict=True), 1):
        document = chapter.document
        about = {"title": document.title, "state": f"Failed. {_failure(document)}" if document.failed else ""}
        sentence = finding(document)
        figures = [block for block in its_blocks if block["kind"] == "figure" and "number" in block]
        chosen = [figure for figure in figures if fnmatch.fnmatchcase(figure["name"], document.key_figure)]
        key = {"figure": (chosen or figures)[0]} if figures else {}
        blocks.append({"kind": "finding", "chapter": number, "text": sentence, "format": "markdown", **about, **key})
    return blocks


def _is_stand_in(document: Document) -> bool | None:
    """Whether its images stand in for others; None for a run that ended before it said what they are."""
    sources = [block for block in document.blocks if isinstance(block, Provenance)]
    return any(source.stand_in for source in sources) if sources else None


def _failure(document: Document) -> str:
    """What ended the run, in one line."""
    errors = [block for block in document.blocks if isinstance(block, Failure)]
    return " ".join(f"{errors[0].name}: {errors[0].message}".split()) if errors else ""
