"""What the files of a sweep's points are called."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from helpers.report.clean import private

AS_IT_IS = "as_it_is"
"""The name of a point that changes nothing."""
LONGEST = 100
"""Characters: suffixes and temporary names must fit into the 255 bytes that file systems allow."""
_PLAIN = re.compile(r"[a-z0-9._-]+")


def point_name(varied: Mapping[str, Any]) -> str:
    """A readable file name, such as "LEARNING_RATE=0.001,SEED=0": unique, and the same on every machine and day.

    What file names cannot say exactly (blanks, slashes, letters beyond ASCII, capitals, which some file systems don't
    tell apart from small ones, or more than 100 characters) becomes hyphens or is cut; a hash of the values follows.

    Args:
        varied: parameter -> value, as JSON has them; their order doesn't matter.
    """
    if not varied:
        return AS_IT_IS
    full = ",".join(f"{name}={_readable(value)}" for name, value in sorted(varied.items()))
    safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", private(full))
    if safe == full and len(safe) <= LONGEST and all(map(_is_plain, varied.values())):
        return safe
    digest = hashlib.sha256(json.dumps(varied, sort_keys=True).encode()).hexdigest()[:10]
    return f"{safe[: LONGEST - len(digest) - 1]}~{digest}"


def _readable(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_readable, value))
    return value if isinstance(value, str) else repr(value)


def _is_plain(value: Any) -> bool:
    """Whether `_readable` says exactly what the value is, to those who know the parameter's kind."""
    if isinstance(value, list):
        return bool(value) and all(_is_plain(entry) and not isinstance(entry, list) for entry in value)
    return not isinstance(value, dict) and (not isinstance(value, str) or _PLAIN.fullmatch(value) is not None)
