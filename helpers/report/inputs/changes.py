"""What differs between two fingerprints, in words."""

from collections.abc import Mapping
from difflib import SequenceMatcher

from helpers.report.inputs.on_disk import NOTHING

NEVER_RUN = "never run before"
_FOLLOWING = ("helpers", "data", "libraries")
_LONGEST = 40
"""Characters of a parameter's value in a message."""
_WORDS = {"parameters": "parameter ", "data": "data ", "libraries": "library ", "prose": "", "layout": "layout: "}


def changes(old: Mapping[str, Mapping[str, str]] | None, new: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Why something that was made from the state ``old`` has to be made again from ``new``.

    Args:
        old: a fingerprint of then; None if nothing was made.
        new: one of the same kinds, of now.

    Returns:
        "code of cell 7", "parameter EPOCHS: 3 → 5", "helpers.train.fit", "library torch: 2.6.0 → 2.7.0",
        "data cifar10: now on this machine" …; [] if nothing differs.
    """
    if old is None:
        return [NEVER_RUN]
    words = _of_code(old.get("code", {}), new.get("code", {}))
    consequences: list[str] = []
    for kind in new:
        if kind != "code":
            came_or_went = {*old.get(kind, {})} ^ {*new[kind]}
            for name, text in _of_kind(kind, old.get(kind, {}), new[kind]).items():
                # What is used that was not, or no longer, follows from other code or parameters, if these differ.
                (consequences if kind in _FOLLOWING and name in came_or_went else words).append(text)
    return words or consequences


def _of_code(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Of the cells only their order counts: an empty one in between changes numbers and nothing else."""
    then, now = sorted(old, key=int), sorted(new, key=int)
    matcher = SequenceMatcher(None, [old[cell] for cell in then], [new[cell] for cell in now], autojunk=False)
    words = []
    for what, start, end, new_start, new_end in matcher.get_opcodes():
        if what == "delete":
            words += [f"code of cell {cell}, which is gone" for cell in then[start:end]]
        elif what != "equal":
            words += [f"code of cell {cell}" for cell in now[new_start:new_end]]
    return words


def _of_kind(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return {name: f"{_WORDS.get(kind, '')}{name}{_how(kind, old.get(name), new.get(name))}" for name in names}


def _how(kind: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return " (new)" if old is None else " (no longer used)"
    if kind == "data":
        if NOTHING in (old, new):
            return ": now on this machine" if old == NOTHING else ": no longer on this machine"
        return ": other files"
    return f": {_short(old)} → {_short(new)}" if kind in ("parameters", "libraries") else ""


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
