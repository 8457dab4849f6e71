"""Which of a notebook's numbers stand on the index and in the book's summary, and how."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

NUMBERS_SHOWN = 4
NO_DIFFERENCE = "–"

Numbers = Mapping[str, Mapping[str, Any]]
"""By name, as ``Document.numbers`` has them."""


def key_numbers(numbers: Numbers, patterns: Sequence[str]) -> list[Mapping[str, Any]]:
    """The numbers that the notebook calls its key ones; else the first ones, those reported earlier before others."""
    named = dict.fromkeys(name for pattern in patterns for name in fnmatch.filter(numbers, pattern))
    first = sorted(numbers.values(), key=lambda number: number["reported"] is None)[:NUMBERS_SHOWN]
    return [numbers[name] for name in named] or first


def compared(numbers: Numbers, patterns: Sequence[str], *, stand_in: bool) -> list[dict[str, str]]:
    """The numbers for which an earlier report gave a figure, beside it; where it gave none, the key ones.

    Args:
        numbers: of a run.
        patterns: names of its key numbers.
        stand_in: whether its images stand in for the earlier report's. Their numbers are no better or worse than the
            reported ones: no difference is shown.

    Returns:
        Texts: "label", "reported", "value", "difference".
    """
    reported = [number for number in numbers.values() if number["reported"] is not None]
    rows = [{"label": number["label"], **number["shown"]} for number in reported or key_numbers(numbers, patterns)]
    return [{**row, "difference": NO_DIFFERENCE} for row in rows] if stand_in else rows
