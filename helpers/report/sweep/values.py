"""A parameter's values as they are typed behind --sweep: ranges, and lists with commas."""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from helpers.report.parameters import checked, parse
from helpers.report.workspace import Refused

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\.\.({_NUMBER}))?")
_CLOSING = {"[": "]", "{": "}"}


class BadSweep(Refused):
    """A sweep whose points cannot be told, or are none, too many or twice the same."""


def values_of(name: str, text: str, default: Any, *, where: str, most: int) -> list[Any]:
    """The values that ``text`` lists for a parameter with this default.

    Commas part the values, except within quotes and, where a value begins with one, brackets: "[0,1],[2,3]" are two
    lists and "'folder:/a,b',shapes" two texts. For numbers, "0..4" stands for 0, 1, 2, 3 and 4, "10..30..10" for 10, 20
    and 30, and "0.1..0.3..0.1" for 0.1, 0.2 and 0.3; both ends belong to it.

    Args:
        name: the parameter's.
        text: as it was typed.
        default: the parameters cell's value, whose kind the values must have.
        where: the text's origin, for messages.
        most: how many values there may be.

    Raises:
        BadSweep: for an empty value or range, a value twice, more than ``most``, a bracket or quote left open.
        BadValue: for a value of another kind than the default's.
    """
    values: list[Any] = []
    for item in _items(text, where):
        given = item[1:-1] if _is_quoted(item) else item
        texts = _range(given, where, most) if _may_be_range(item, default) else [given]
        values += [checked(name, parse(each, default), default, where=where) for each in texts]
        if len(values) > most:
            raise BadSweep(f"{where}: more than {most:,} values")
    seen: set[str] = set()
    for value in values:
        if repr(value) in seen:
            raise BadSweep(f"{where}: the value {value!r} is given twice")
        seen.add(repr(value))
    return values


def _items(text: str, where: str) -> Iterator[str]:
    """The parts between commas, without the blanks around them."""
    item, quote, brackets = "", "", ""
    for sign in text:
        if sign == "," and not quote and not brackets:
            yield _filled(item, where, text)
            item = ""
            continue
        begins = not item.strip() or (brackets and item.rstrip()[-1] in "[{,:")
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and begins:
            quote = sign
        elif sign in _CLOSING and (begins or brackets):
            brackets += _CLOSING[sign]
        elif brackets.endswith(sign):
            brackets = brackets[:-1]
        item += sign
    if quote or brackets:
        raise BadSweep(f"{where}: {(quote or brackets[-1])!r} is missing at the end of {text!r}")
    yield _filled(item, where, text)


def _filled(item: str, where: str, text: str) -> str:
    if not item.strip():
        raise BadSweep(f"{where}: an empty value in {text!r}; write '' in quotes for an empty text")
    return item.strip()


def _is_quoted(item: str) -> bool:
    return len(item) > 1 and item[0] in "'\"" and item.find(item[0], 1) == len(item) - 1


def _may_be_range(item: str, default: Any) -> bool:
    return ".." in item and (default is None or type(default) in (int, float))


def _range(text: str, where: str, most: int) -> list[str]:
    """The numbers from one end to the other, exactly as decimals, so that 0.1..0.3..0.1 ends with 0.3."""
    ends = _RANGE.fullmatch(text)
    if not ends:
        raise BadSweep(f"{where}: {text!r} isn't a range such as 0..4, or 0.1..0.5..0.1 with a step")
    try:
        return _steps(text, Decimal(ends[1]), Decimal(ends[2]), ends[3] and Decimal(ends[3]), where, most)
    except InvalidOperation as error:  # more digits than a decimal has
        raise BadSweep(f"{where}: {text} are more than {most:,} values") from error


def _steps(text: str, first: Decimal, last: Decimal, step: Decimal | None, where: str, most: int) -> list[str]:
    if step is None and (first % 1 or last % 1):
        raise BadSweep(f"{where}: {text} needs a step, as in 0.1..0.5..0.1")
    step = 1 if step is None else step
    if not step or (last - first) * step < 0:
        raise BadSweep(f"{where}: {text} is empty: its step doesn't lead from the first number to the last")
    steps = int((last - first) // step)
    if steps >= most:
        raise BadSweep(f"{where}: {text} are more than {most:,} values")
    return [f"{(first + i * step).normalize():f}" for i in range(steps + 1)]
