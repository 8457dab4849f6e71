"""What stands over a profile's reports: ``index.html``, a card for each, and ``workbook.pdf``, all as one book."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.report import clean
from helpers.report.workspace import BOOK, Settings, Workspace, write

if TYPE_CHECKING:
    from helpers.report.book import BookSettings

FEWEST_CHAPTERS = 2
MADE_FROM = f".{BOOK}.made-from"
"""Beside the book: a hash of what it was made from."""


def book_settings(workspace: Workspace, *, author: str | None, course: str | None) -> "BookSettings":
    """The book's settings in pyproject.toml, with the command line's over them.

    Raises:
        UnusableSettings: if those in pyproject.toml cannot be read.
    """
    from helpers.report import book

    given = {"author": author, "course": course}
    return replace(book.settings(workspace.root), **{name: text for name, text in given.items() if text is not None})


def write_index(workspace: Workspace, profile: str) -> None:
    """Writes ``index.html`` over the reports that lie in the profile's folder, whichever command made them."""
    from helpers.report import index

    reports = workspace.reports(profile)
    entries = index.entries(reports, workspace.figures(profile))
    write(reports / "index.html", index.render(entries, profile=profile, links=index.links(reports)))


def write_book(workspace: Workspace, settings: Settings, book: "BookSettings") -> str:
    """Writes ``workbook.pdf`` from the executed notebooks in the profile's folder.

    A book of earlier runs goes where there is none now: it would show other numbers than the reports.

    Returns:
        Why it could not be made, or "". One notebook makes no book; neither do commands that make no PDF.
    """
    from helpers.report.book import chapters
    from helpers.report.pdf import PdfError
    from helpers.report.pdf.book import render_book

    reports = workspace.reports(settings.profile)
    for file in (BOOK, MADE_FROM):
        (reports / file).unlink(missing_ok=True)
    if "pdf" not in settings.formats:
        return ""
    made_from = _made_from(reports, settings, book)
    found = chapters(reports, show_code=settings.show_code)
    if len(found) < FEWEST_CHAPTERS:
        return ""
    try:
        write(reports / BOOK, render_book(found, **asdict(book), profile=settings.profile))
    except PdfError as error:
        return clean.private(f"{BOOK} could not be made: {error}")
    write(reports / MADE_FROM, made_from)
    return ""


def is_outdated(workspace: Workspace, settings: Settings, book: "BookSettings") -> bool:
    """Whether what should stand over the reports isn't there, or is a book of other settings or other reports."""
    from helpers.report.book import executed

    reports = workspace.reports(settings.profile)
    if not (reports / "index.html").is_file():
        return True
    has_book = (reports / BOOK).is_file()
    if "pdf" not in settings.formats:
        return False
    if len(executed(reports)) < FEWEST_CHAPTERS:
        return has_book
    made_from = reports / MADE_FROM
    is_of_these = made_from.is_file() and made_from.read_text() == _made_from(reports, settings, book)
    return not (has_book and is_of_these)


def written(folder: Path, names: Sequence[str]) -> str:
    """Those of the files that are there, in words."""
    return " and ".join(", ".join(name for name in names if (folder / name).is_file()).rsplit(", ", 1))


def _made_from(reports: Path, settings: Settings, book: "BookSettings") -> str:
    """A hash of what a book is made from: its settings, and the executed notebooks as sizes and times tell them."""
    from helpers.report.book import executed

    states = [(path.name, path.stat()) for path in executed(reports)]
    chapters = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    about = json.dumps([asdict(book), settings.show_code, chapters], sort_keys=True)
    return hashlib.blake2b(about.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
