"""What stands over a profile's reports: ``index.html``, a card for each, and ``workbook.pdf``, all as one book."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.report.workspace import Settings, Workspace

if TYPE_CHECKING:
    from helpers.report.book import BookSettings


def book_settings(workspace: Workspace, *, author: str | None, course: str | None) -> "BookSettings":
    """The book's settings in pyproject.toml, with the command line's over them.

    Raises:
        UnusableSettings: if those in pyproject.toml cannot be read.
    """
    from helpers.report import book

    return book.settings(workspace.root, author=author, course=course)


def write_index(workspace: Workspace, profile: str) -> None:
    """Writes ``index.html`` over the reports that lie in the profile's folder, whichever command made them."""
    from helpers.report import index

    index.write_page(workspace.reports(profile), workspace.figures(profile), profile)


def write_book(workspace: Workspace, settings: Settings, about: "BookSettings") -> str:
    """Writes ``workbook.pdf`` from the executed notebooks in the profile's folder; why it could not be made, or ""."""
    from helpers.report import book

    reports, profile = workspace.reports(settings.profile), settings.profile
    return book.write_book(reports, about, profile=profile, show_code=settings.show_code, formats=settings.formats)


def is_outdated(workspace: Workspace, settings: Settings, about: "BookSettings") -> bool:
    """Whether what should stand over the reports isn't there, or is a book of other settings or other reports."""
    from helpers.report import book

    reports = workspace.reports(settings.profile)
    if not (reports / "index.html").is_file():
        return True
    return book.is_outdated(reports, about, show_code=settings.show_code, formats=settings.formats)


def written(folder: Path, names: Sequence[str]) -> str:
    """Those of the files that are there, in words."""
    return " and ".join(", ".join(name for name in names if (folder / name).is_file()).rsplit(", ", 1))
