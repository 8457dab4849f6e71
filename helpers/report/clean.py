"""Printed text as a page can show it: without progress bars, terminal codes and warnings that name a machine's paths.

Everything works line by line and in one pass, so that a line of several megabytes costs no more than its length.
"""

import os
import re
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

from helpers import DATA, ROOT

# Colours and cursor movements (CSI), window titles and links (OSC), other two-character escapes.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
# Control characters and lone surrogates: neither HTML nor Typst takes them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# tqdm with a known total ("name:  40%|████      | 4/10 [00:01<00:02, …]") and without ("name: 7it [00:01, 6.9it/s]").
_PROGRESS = re.compile(r"\d+%\|.{0,400}\||\d+\s?\w{1,9} \[\d+:\d\d(?::\d\d)?, ")
# "/usr/lib/python3/x.py:12: UserWarning: text", also Windows paths and "<frozen importlib._bootstrap>:1: …". The source
# line, indented by two, ends a message of several lines; where it is missing, one line is dropped.
_WARNING = re.compile(
    r"^[ \t]*(?:/|[A-Za-z]:\\|<)[^\n]{0,400}?:\d+: \w{0,60}Warning\b[^\n]*\n?"
    r"(?:(?:(?!  \S)[^\n]*\n){0,19}  \S[^\n]*\n?)?",
    re.MULTILINE,
)


def printable(text: str) -> str:
    """``text`` without terminal codes, control characters (but tab and newline) and lone surrogates."""
    return _UNPRINTABLE.sub("", _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", ""))


def printed(text: str, stream: str) -> str:
    """What a terminal is left with after ``text``: of a line rewritten with carriage returns the last state only.

    Progress bars, and lines that were cleared, are dropped altogether; of "stderr" also Python's warnings, from their
    first to their source line: they name files of the machine.
    """
    kept = []
    for line in _TERMINAL.sub("", text).split("\n"):
        state = next((state for state in reversed(line.split("\r")) if state), "")
        rewritten = "\r" in line.rstrip("\r")
        if not is_progress(state) and (state.strip() or not rewritten):
            kept.append(_UNPRINTABLE.sub("", state))
    shown = "\n".join(kept)
    return _WARNING.sub("", shown) if stream == "stderr" else shown


def is_progress(line: str) -> bool:
    """Whether ``line`` is a tqdm bar; these are at most as wide as a terminal."""
    return len(line) < 1000 and _PROGRESS.search(line) is not None


def private(text: str) -> str:
    """``text`` without where this machine keeps its files, for pages that are handed on.

    A path below the repository becomes relative to it, the data folder "data", the home folder "~", and the folders of
    Python and its packages "…".
    """
    # Path.home() raises where there is no home folder, as in some containers.
    names, pattern = _places(Path(os.path.expanduser("~")))

    def shown(found: re.Match[str]) -> str:
        name, slash = names[found["folder"]], found["slash"] or ""
        return name + slash if name else "" if slash else "."

    return pattern.sub(shown, text)


@lru_cache(maxsize=1)
def _places(home: Path) -> tuple[dict[str, str], re.Pattern[str]]:
    """Folders of this machine and what pages call them, longest first: of two that fit, the inner one counts."""
    python = [sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    found = {**dict.fromkeys(python, "…"), str(home): "~", str(home.resolve()): "~", str(ROOT): "", str(DATA): "data"}
    names = {folder: found[folder] for folder in sorted(found, key=len, reverse=True) if Path(folder).name}
    # Windows's paths are also written with slashes, and in a text of Python with two backslashes.
    names = {folder.replace("\\", sign): name for folder, name in names.items() for sign in ("\\\\", "\\", "/")}
    choices = "|".join(map(re.escape, names))
    return names, re.compile(rf"(?<![\w.~…-])(?P<folder>{choices})(?:(?P<slash>[/\\])|(?![\w-]|\.\w))")
