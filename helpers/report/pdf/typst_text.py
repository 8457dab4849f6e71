"""Text on its way into Typst: always a string literal, so that nothing in it can be read as markup or code."""

import re
from collections.abc import Iterable

from helpers.report.clean import printable

ZERO_WIDTH_SPACE = "\u200b"
LINE_COLUMNS = 94
"""Characters of 8 pt code that fit the width of the page's text."""

# A long word breaks after these, but within neither 0.125 nor 1e-05.
_JOINT = re.compile(r"(?<=\w)(?:[/\\_,;:]+|[.-]+(?=[^\W\d]))")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def quoted(text: str) -> str:
    """The text as a Typst string literal on one line of source."""
    return f'"{printable(text).translate(_ESCAPES)}"'


def array(items: Iterable[str]) -> str:
    """Typst's array of pieces of source, also of one or none."""
    return f"({''.join(item + ', ' for item in items)})"


def breakable(text: str, *, longest: int = 30, part: int = 15) -> str:
    """The text with places to break in words longer than ``longest`` characters, which could be wider than the page.

    They break after "/", "_", "." and the like; what is longer even so, every ``part`` characters.
    """
    too_long = re.compile(rf"[^\s{ZERO_WIDTH_SPACE}]{{{longest + 1},}}")

    def jointed(match: re.Match[str]) -> str:
        return _JOINT.sub(rf"\g<0>{ZERO_WIDTH_SPACE}", match.group())

    def cut(match: re.Match[str]) -> str:
        word = match.group()
        return ZERO_WIDTH_SPACE.join(word[i : i + part] for i in range(0, len(word), part))

    return too_long.sub(cut, too_long.sub(jointed, text))


def words(text: str, *, longest: int = 30) -> str:
    """A string literal of running text: a caption, a title, a table's cell. Words beyond ``longest`` may break."""
    return quoted(breakable(printable(text), longest=longest))


def code(text: str) -> str:
    """A string literal of program text; a line breaks only where it could not fit otherwise."""
    return quoted(breakable(printable(text).expandtabs(4).rstrip(), longest=LINE_COLUMNS - 20, part=LINE_COLUMNS // 2))


def shortened(text: str, *, first: int = 14, last: int = 4) -> str:
    """Printed text in lines of at most `LINE_COLUMNS` characters: the first and last ones, the others only counted."""
    lines = [line.expandtabs(8).rstrip() for line in printable(text).rstrip().split("\n")]
    # Where each printed line starts; the text itself, which may be one line of millions of characters, is cut later.
    starts = [(line, at) for line in lines for at in range(0, max(1, len(line)), LINE_COLUMNS)]
    left_out = len(starts) - first - last
    # A line or two less are not worth a gap.
    cuts = left_out >= 6
    shown = starts[:first] + starts[-last:] if cuts else starts
    printed = [line[at : at + LINE_COLUMNS] for line, at in shown]
    if cuts:
        printed.insert(first, f"… {left_out:,} more lines …")
    return "\n".join(printed)
