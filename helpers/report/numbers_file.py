"""What a run measured, for other programs: the content of ``reports/<profile>/<notebook>.json``."""

import math
from typing import Any

from helpers.report.document import Document, Failure, Figure, Provenance, Table


def content(document: Document, *, name: str, profile: str) -> dict[str, Any]:
    """Everything that ``document`` recorded, unrounded, as strict JSON has it.

    Args:
        document: what ``document.read`` returned.
        name: the notebook's file name without its suffix.
        profile: the profile of the run.

    Returns:
        Keys in a fixed order: "notebook", "profile", "title", "status" ("ok" or "failed"), "error" (None, or its
        "name", "message" and "cell"), "duration_seconds", "finished", "stand_in" (a warning, or ""), "provenance",
        "parameters", "numbers" (by name: "label", "value", "std", "runs", "reported", "unit", "shown"), "tables" (by
        name: "caption", "columns", "values"), "figures" (by name: "caption", "alt"), "key_figure" (a name, or "") and
        "key_numbers" (names). None stands for NaN and infinities.
    """
    sources = [block for block in document.blocks if isinstance(block, Provenance)]
    made = {
        "notebook": name,
        "profile": profile,
        "title": document.title,
        "status": "failed" if document.failed else "ok",
        "error": _error(document),
        "duration_seconds": document.duration,
        "finished": document.finished,
        "stand_in": next((source.warning for source in sources if source.stand_in), ""),
        "provenance": {label: text for source in sources for label, text in source.rows},
        "parameters": document.parameters,
        "numbers": {key: _without(number, "name") for key, number in document.numbers.items()},
        "tables": {block.name: _table(block) for block in document.blocks if _has_values(block)},
        "figures": {
            block.name: {"caption": block.caption, "alt": block.alt}
            for block in document.blocks
            if isinstance(block, Figure)
        },
        "key_figure": document.key_figure,
        "key_numbers": document.key_numbers,
    }
    return _strict(made)


def _error(document: Document) -> dict[str, Any] | None:
    failures = [block for block in document.blocks if isinstance(block, Failure)]
    return {"name": failures[0].name, "message": failures[0].message, "cell": failures[0].cell} if failures else None


def _has_values(block: Any) -> bool:
    """Whether ``block`` is a table that "numbers" doesn't hold already."""
    return isinstance(block, Table) and (bool(block.values) or not block.rows)


def _table(table: Table) -> dict[str, Any]:
    return {"caption": table.caption, "columns": table.names or table.columns, "values": table.values}


def _without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def _strict(value: Any) -> Any:
    """``value`` without NaN and infinities, which JSON doesn't have."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
