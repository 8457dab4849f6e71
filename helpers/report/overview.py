"""What stands over a profile's reports: ``index.html``, a card for each, and ``workbook.pdf``, all as one book."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.report import clean
from helpers.report.workspace import BOOK, Workspace, write
from helpers.report.writing import Settings

if TYPE_CHECKING:
    from helpers.report.book import BookSettings
    from helpers.report.sweep import Point

FEWEST_CHAPTERS = 2


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

    path = workspace.reports(settings.profile) / BOOK
    path.unlink(missing_ok=True)
    if "pdf" not in settings.formats:
        return ""
    found = chapters(workspace.reports(settings.profile), show_code=settings.show_code)
    if len(found) < FEWEST_CHAPTERS:
        return ""
    try:
        write(path, render_book(found, **asdict(book), profile=settings.profile))
    except PdfError as error:
        return clean.private(f"{BOOK} could not be made: {error}")
    return ""


def write_sweep(workspace: Workspace, settings: Settings, notebook: Path, points: "Sequence[Point]") -> str:
    """Writes what stands over a sweep's reports, and the index that leads to it.

    Returns:
        Why the sweep's PDF could not be made, or "".
    """
    from helpers.report import sweep
    from helpers.report.pdf import PdfError

    problem = ""
    write_index(workspace, settings.profile)  # the sweep's own one leads there if it is there
    try:
        sweep.write_summary(workspace, settings.profile, notebook, points, formats=settings.formats)
    except PdfError as error:
        problem = clean.private(f"the sweep's PDF could not be made: {error}")
    write_index(workspace, settings.profile)  # and it leads to the sweep
    return problem


def is_missing(workspace: Workspace, settings: Settings) -> bool:
    """Whether somebody has deleted what stood over the reports, or some of them have never had it."""
    reports = workspace.reports(settings.profile)
    wants_book = "pdf" in settings.formats and len(list(reports.glob("[0-9]*.json"))) >= FEWEST_CHAPTERS
    return not (reports / "index.html").is_file() or (wants_book and not (reports / BOOK).is_file())
