"""The page over all notebooks of a profile, from the files that their runs left: cards, and one table of results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.record import is_name
from helpers.report import durations
from helpers.report.compared import compared, key_numbers
from helpers.report.html import environment, svg_picture
from helpers.report.workspace import BOOK

THUMBNAIL_BYTES = 600_000
"""A larger drawing is not shown on its card: thirty of them would make the page slow."""
FILES = {
    "html": "Page",
    "pdf": "PDF",
    "ipynb": "Notebook",
    "json": "Numbers",
    "last-good.html": "Last good page",
    "last-good.pdf": "Last good PDF",
}
"""Suffixes of a notebook's files beside the index, and what their links are called."""


@dataclass(frozen=True)
class Entry:
    """One notebook on the index.

    Attributes:
        name: its file name without the suffix.
        content: what ``numbers_file.content`` gave for its last run.
        drawings: SVG text of its figures, by name, in the notebook's order.
        files: link text -> relative path of those of its files that exist.
    """

    name: str
    content: dict[str, Any]
    drawings: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def entries(reports: Path, figures: Path) -> list[Entry]:
    """Every notebook that left its numbers in ``reports``, whichever command ran it.

    Args:
        reports: the folder of a profile's reports.
        figures: the folder of the same profile's drawings, one folder for each notebook.

    Returns:
        Entries in the order of their names. A file that isn't a run's numbers is passed over.
    """
    found = []
    for path in sorted(reports.glob("*.json")):
        content = _content(path)
        if content is not None:
            drawings = _drawings(figures / path.stem, list(content["figures"]))
            files = {text: f"{path.stem}.{suffix}" for suffix, text in FILES.items()}
            present = {text: name for text, name in files.items() if (reports / name).is_file()}
            found.append(Entry(path.stem, content, drawings, present))
    return found


def links(reports: Path) -> dict[str, str]:
    """What else lies in ``reports``: link text -> relative path of the book and of each sweep's page."""
    found = {"The whole book (PDF)": BOOK} if (reports / BOOK).is_file() else {}
    sweeps = sorted(path.parent.name for path in reports.glob("sweeps/*/sweep.html"))
    return found | {f"Sweep of {name}": f"sweeps/{name}/sweep.html" for name in sweeps}


def render(found: list[Entry], *, profile: str, links: Mapping[str, str] | None = None) -> str:
    """The page, self-contained as the notebooks' pages are; its links lead to the files beside it.

    Args:
        found: what ``entries`` returned, or made by hand.
        profile: the profile's name.
        links: what ``links`` returned, for the top of the page.

    Returns:
        HTML5: a card for each notebook, and one table of the results that an earlier report gave beside this run's.
    """
    failed = [entry.name for entry in found if entry.content["status"] != "ok"]
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            profile=profile,
            links=links or {},
            cards=[_card(entry) for entry in found],
            failed=failed,
            stand_ins=sum(bool(entry.content["stand_in"]) for entry in found),
            compared=[group for entry in found if (group := _compared(entry))["rows"]],
            duration=durations.in_words(sum(entry.content["duration_seconds"] or 0 for entry in found)),
        )
    )


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content if isinstance(content, dict) and {"notebook", "status", "figures"} <= set(content) else None


def _drawings(folder: Path, names: list[str]) -> dict[str, str]:
    paths = {name: folder / f"{name}.svg" for name in names if is_name(name)}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}


def _card(entry: Entry) -> dict[str, Any]:
    content = entry.content
    seconds = content["duration_seconds"]
    return {
        "name": entry.name,
        "title": content["title"],
        "failed": content["status"] != "ok",
        "error": content["error"],
        "stand_in": content["stand_in"],
        "data": content["provenance"].get("Data set", ""),
        "duration": "" if seconds is None else durations.in_words(seconds),
        "numbers": [
            (number["label"], number["shown"]["value"])
            for number in key_numbers(content["numbers"], content.get("key_numbers", []))
        ],
        "thumbnail": _thumbnail(entry),
        "page": entry.files.get("Page") or next(iter(entry.files.values()), None),
        "files": entry.files,
    }


def _thumbnail(entry: Entry) -> dict[str, Any] | None:
    """The key figure, or else the first one, that is small enough, with its alternative text."""
    key = entry.content.get("key_figure")
    for name, svg in sorted(entry.drawings.items(), key=lambda drawing: drawing[0] != key):
        if len(svg) <= THUMBNAIL_BYTES:
            return {"alt": entry.content["figures"][name]["alt"], **svg_picture(svg)}
    return None


def _compared(entry: Entry) -> dict[str, Any]:
    """A notebook's part of the table."""
    content, stand_in = entry.content, bool(entry.content["stand_in"])
    rows = compared(content["numbers"], content.get("key_numbers", []), stand_in=stand_in)
    return {"title": content["title"], "stand_in": stand_in, "rows": rows}
