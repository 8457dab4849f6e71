"""All notebooks of a profile as one book, ``workbook.pdf``: cover, contents, a summary, a chapter for each."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers import WorkbookError
from helpers.phrases import Said, say
from helpers.report import clean, render
from helpers.report.cover import Cover
from helpers.report.document import Document, Failure, read, selected, with_failure
from helpers.report.index import finding
from helpers.report.language import Language, translated
from helpers.report.workspace import BOOK, Settings, UnreadableNotebook, left, load, write

FEWEST_CHAPTERS = 2


Chapters = Mapping[str, Document]
"""Notebooks' names, and what their last runs left, in their order."""

# The file in a profile's folder


def write_book(reports: Path, how: Settings) -> str:
    """Writes ``workbook.pdf`` from the executed notebooks in a profile's folder; returns why it could not, or "".

    One notebook makes no book. One of earlier runs goes in any case: it would show other numbers than the reports.
    """
    (reports / BOOK).unlink(missing_ok=True)
    if "pdf" not in how.formats:
        return ""
    found = chapters(reports, how)
    if len(found) < FEWEST_CHAPTERS:
        return ""
    try:
        write(reports / BOOK, pdf(found, how))
    except WorkbookError as error:
        return clean.private(f"{BOOK} could not be made: {error}")
    return ""


def is_outdated(reports: Path, how: Settings) -> bool:
    """Whether the book over the reports is missing, or older than one of them, or should not be there."""
    book, found = reports / BOOK, executed(reports)
    if "pdf" not in how.formats or len(found) < FEWEST_CHAPTERS or not book.is_file():
        return "pdf" in how.formats and book.is_file() != (len(found) >= FEWEST_CHAPTERS)
    return any(path.stat().st_mtime_ns > book.stat().st_mtime_ns for path in found)


def chapters(reports: Path, how: Settings) -> Chapters:
    """The chapters from the executed notebooks in a profile's folder of reports.

    A notebook that cannot be read is a chapter, too, that failed and says so: nothing is left out in silence.
    """
    read = {path.stem: _document(path) for path in executed(reports)}
    parts = {name: selected(each, code=how.show_code, edition=how.edition) for name, each in read.items()}
    return {name: translated(each, Language(how.language, name)) for name, each in parts.items()}


def executed(reports: Path) -> list[Path]:
    """The executed notebooks in a profile's folder of reports, in the order of their numbers."""
    paths = [path for path in reports.glob("[0-9]*.ipynb") if not path.name.endswith(".interrupted.ipynb")]
    return sorted(paths, key=lambda path: (int(re.match(r"\d+", path.name, re.ASCII)[0]), path.name))


def _document(path: Path) -> Document:
    try:
        document = read(load(path), name=path.stem)
    except UnreadableNotebook as error:
        message = f"its executed notebook cannot be read: {type(error.__cause__).__name__}; run it again"
        return with_failure(Document(path.stem), type(error).__name__, message)
    # A failure that showed only when the report was written, which its numbers tell of.
    error = None if document.failure else left(path.with_suffix(".json")).get("error")
    return with_failure(document, error["name"], error["message"]) if error else document


# Its pages


def pdf(chapters: Chapters, how: Settings) -> bytes:
    """The book as a PDF on A4 paper, its figures and tables numbered by chapter; the full edition lists them."""

    def make(pictures: render.Pictures) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        language = Language(how.language)
        blocks = _summary(chapters, language)
        for number, (name, document) in enumerate(chapters.items(), 1):
            line = " · ".join(filter(None, [name, render.facts(document)]))
            opening = {"title": document.title, "facts": line, "failed": bool(document.failure)}
            blocks += [{"kind": "chapter", "chapter": number, **opening}]
            blocks += render.described(document, pictures, paper=True, chapter=number)
        cover = how.cover or Cover()
        title = language.known(cover.title) or language.told("Experiments in image classification")
        facts = _facts([*chapters.values()], how.profile, language)
        about = {"title": title, "cover": cover.described(pictures, title, language), "facts": facts}
        return {**about, "book": True, "full": how.edition == "full"}, blocks

    return render.typeset(make, level=2, language=how.language)


def _facts(documents: Sequence[Document], profile: str, language: Language) -> str:
    """The last line of the title page: when, and how much of it failed or rests on stand-in data."""
    failed = sum(bool(document.failure) for document in documents)
    stand_ins = sum(bool(document.stand_in) for document in documents)
    newest = max((document.finished for document in documents if document.finished), default="")
    count = len(documents)
    facts = [
        language.day(newest) if newest else "",
        say(
            "{count} notebooks, of which {failed} failed" if failed else "{count} notebooks", count=count, failed=failed
        ),
        say("profile {profile}", profile=profile),
        say("stand-in data in {some} of {count} chapters", some=stand_ins, count=count) if stand_ins else "",
    ]
    return " · ".join(language.told(fact) if isinstance(fact, Said) else fact for fact in facts if fact)


def _summary(chapters: Chapters, language: Language) -> list[dict[str, Any]]:
    """Which notebooks failed, how much rests on stand-in data, and for each its chapter and what it found."""
    blocks: list[dict[str, Any]] = [{"kind": "unnumbered", "level": 1, "text": language.told("Summary")}]
    count = len(chapters)
    lines = [
        f"{language.told('Chapter')} {number}, {name}. {_in_a_line(document.failure)}"
        for number, (name, document) in enumerate(chapters.items(), 1)
        if document.failure
    ]
    if lines:
        label = language.told(say("{some} of {count} notebooks failed", some=len(lines), count=count))
        blocks += [{"kind": "alarms", "label": label, "lines": lines}]
    stand_ins = sum(bool(document.stand_in) for document in chapters.values())
    warning = say(
        "STAND-IN DATA in {some} of {count} chapters. Such numbers say how the methods behave, nothing about the data "
        "sets that the images stand in for.",
        some=stand_ins,
        count=count,
    )
    blocks += [{"kind": "warning", "text": language.told(warning)}] if stand_ins else []
    for number, document in enumerate(chapters.values(), 1):
        state = f"{language.told('Failed')}. {_in_a_line(document.failure)}" if document.failure else ""
        about = {"chapter": number, "title": document.title, "state": state}
        blocks += [{"kind": "finding", "text": finding(document), "format": "markdown", **about}]
    return blocks


def _in_a_line(failure: Failure) -> str:
    return " ".join(str(failure).split())
