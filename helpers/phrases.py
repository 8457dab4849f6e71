"""Texts that remember how they were made, so that a run can be told in another language without running again."""

import math
import re
import string
from collections.abc import Iterable
from functools import reduce
from typing import Any

_RUNS_LEFT = "[\u0590-\u065f\u066d-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"
"""Hebrew, Arabic and Persian letters, and no digits."""


class Said(str):
    """A text that was made by `say`; ``phrase`` is its template and its values, plain data."""

    phrase: list[Any]


def say(template: str, **values: Any) -> Said:
    """A caption, label or entry of a table with computed values in it; negative numbers get a real minus sign.

    Args:
        template: the sentence, such as "Loss of {network} over {epochs} epochs.", as `str.format` reads it.
        values: what stands in it, shares and the like unrounded. One may be such a text itself, a phrase of its own, or
            a list, whose entries are told one after the other: "{networks}" of ["VGG16", "ResNet-18"].
    """
    said = Said(_Sentence().vformat(template, (), {name: _joined(value) for name, value in values.items()}))
    said.phrase = [template, {name: _kept(value) for name, value in values.items()}]
    return said


def sentences(texts: Iterable[str]) -> str:
    """Several texts as one, without those that are empty."""
    told = list(filter(None, texts))
    return reduce(lambda one, other: say("{one} {other}", one=one, other=other), told) if told else ""


def plain(value: Any) -> Any:
    """A value as JSON has it: what is missing or infinite becomes None, NumPy scalars become Python's."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return None if str(value) in ("<NA>", "NaT") else str(value)


def with_minus(text: str) -> str:
    """A formatted number with the real minus sign, which a zero, also one that was rounded to it, doesn't have."""
    is_zero = not re.search("[1-9]", text)
    return re.sub(r"(?<![\w.])-(?=[\d.])", "" if is_zero else "−", text)


def per_cent_apart(text: str) -> str:
    """A text with the sign of per cent behind a blank at which no line ends, however its numbers were formatted."""
    return re.sub(r"(?<=\d) ?%(?![\w%])", "\u00a0%", text)


def isolated(text: str) -> str:
    """A text between Unicode's isolates, so that it turns nothing around that is written in the other direction."""
    return f"\u2068{text}\u2069"


def runs_left(text: str) -> bool:
    """Whether it has letters that run from right to left."""
    return re.search(_RUNS_LEFT, text) is not None


def for_terminal(line: str) -> str:
    """A line with its names isolated that run from right to left; not paths, which are copied from there."""
    word = rf"[^\s/\\]*{_RUNS_LEFT}[^\s/\\]*"
    return re.sub(rf"(?<!\S){word}(?: {word})*(?!\S)", lambda name: isolated(name[0]), line)


def set_apart(name: str) -> str:
    """A name as it stands in English: isolated where it has letters that run from right to left."""
    return isolated(name) if runs_left(name) else name


class _Sentence(string.Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        text = format(value, spec)
        if not isinstance(value, str):
            return with_minus(text)
        return text if isinstance(value, Said) else set_apart(text)


def _joined(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return ", ".join(each if isinstance(each, Said) else set_apart(str(each)) for each in value)


def _kept(value: Any) -> Any:
    """A value as an executed notebook keeps it: a phrase as its template and values, a list as "listed"."""
    if isinstance(value, list | tuple):
        return {"listed": [_kept(entry) for entry in value]}
    return {"phrase": value.phrase} if isinstance(value, Said) else plain(value)
