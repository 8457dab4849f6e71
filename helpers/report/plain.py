"""Notebook files as plain dictionaries: nbformat takes over a second to import, and is needed only to run and write."""

import json
from pathlib import Path
from typing import Any

from helpers.report.workspace import load


def read(path: Path) -> dict[str, Any]:
    """A notebook file as `workspace.load` gives it, in nbformat 4 with each source as one text, but not validated.

    Raises:
        UnreadableNotebook: if the file cannot be read or is no notebook.
    """
    try:
        notebook = json.loads(path.read_bytes())
        if notebook["nbformat"] != 4:
            return load(path)
        for cell in notebook["cells"]:
            cell["source"] = _text(cell["source"])
            if not isinstance(cell["cell_type"], str) or not isinstance(cell["metadata"], dict):
                return load(path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return load(path)  # whose message says what is wrong
    return notebook


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
