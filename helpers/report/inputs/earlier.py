"""What an executed notebook says of its own run."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from helpers.report.inputs.gather import Fingerprint

_END = 2**17
"""Bytes at the end of an executed notebook, which hold its own metadata; before these are megabytes of drawings."""


class Earlier(NamedTuple):
    """What a run and its pages were made from: as `fingerprint` and `page` gave it.

    Attributes:
        inputs: of the run.
        page: of its pages; None if these could not be finished.
    """

    inputs: Fingerprint
    page: Fingerprint | None


def earlier(executed: Path) -> Earlier | None:
    """What the run was made from whose executed notebook this is.

    It is in the metadata: ``workbook.inputs``, which only a run that went well may write there, and ``workbook.page``,
    which only pages may that went well, too.

    Args:
        executed: ``reports/<profile>/<notebook>.ipynb``.

    Returns:
        None if there is no such file, or it isn't of a run that went well.
    """
    try:
        about = _metadata(executed)["workbook"]
        return Earlier(_checked(about["inputs"]), _checked(about["page"]) if "page" in about else None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _metadata(notebook: Path) -> dict[str, Any]:
    with notebook.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
        end = file.read()
        # nbformat writes a line for each key, sorted and indented by a space a level: the cells come before, and no
        # text in them can look like this, since its line breaks are written as \n.
        start = end.rfind(b'\n "metadata": {')
        if start >= 0:
            try:
                return json.loads(b"{" + end[start:])["metadata"]
            except ValueError:
                pass  # written by something else
        file.seek(0)
        return json.load(file)["metadata"]


def _checked(stored: Any) -> Fingerprint:
    if not all(isinstance(value, str) for states in stored.values() for value in states.values()):
        raise TypeError("this is no fingerprint")
    return stored
