"""Places on this machine: where what a user names lies, and how reports and messages call it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import helpers
from helpers.data.structures import DataError
from helpers.files import note

DEBIANS = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package of Fashion-MNIST puts its files, gzipped."""

_SHOWN = 5
# Control characters, what turns the direction of the text behind it, and bytes that are no UTF-8.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def find_path(text: str, folder: Path) -> Path:
    """What a path means: absolute, or from the repository's root or this folder, if something lies there."""
    # Not the working folder: it is another one in JupyterLab, under papermill and under the report command.
    places = [place / Path(text).expanduser() for place in (helpers.ROOT, folder)]
    for place in places:
        note(place)
    return next((place for place in places if os.path.lexists(place)), places[0])


def describe_where(path: Path) -> str:
    """A place as reports name it: readers recognise it, and it says nothing about how this machine is laid out.

    Paths inside the project are relative to its root, those in a data folder elsewhere begin with WORKBOOK_DATA; of any
    other path only the last part is left.
    """
    # No Path.resolve(): a link inside the project should keep the name that the project gives it.
    path = Path(os.path.abspath(path))
    if path.is_relative_to(helpers.ROOT):
        return showable(path.relative_to(helpers.ROOT).as_posix())
    if path.is_relative_to(helpers.DATA):
        return showable((Path("WORKBOOK_DATA") / path.relative_to(helpers.DATA)).as_posix())
    return "Debian's package dataset-fashion-mnist" if path == DEBIANS else showable(path.name)


def showable(name: str) -> str:
    """A file's name, which may hold anything but "/", as text that is safe in a terminal, a figure or a page."""
    return _UNSHOWABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), name)


def first_few(texts: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return separator.join(texts[:_SHOWN]) + more


def check_links(paths: Sequence[Path]) -> None:
    """Refuses links that lead nowhere: without them a data set, a class or an image would be missing in silence."""
    if broken := [describe_where(path) for path in paths if path.is_symlink() and not os.path.exists(path)]:
        raise DataError(
            f"symbolic links that lead nowhere, or back to where they began: {first_few(broken)}. Repair or delete them"
        )
