"""Files that are always whole (written under another name beside their place, then renamed), locks, notes, streams."""

import io
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_FORGOTTEN = 24 * 3600.0
"""Seconds after which a file that is still being written belongs to a process that was killed."""


def note(path: Path, pattern: str = "") -> None:
    """Says that a run depends on what lies at a place, or on there being nothing.

    What Python opens or lists is seen without it; this is for the rest: where only somebody looks whether there is
    anything, or a library opens a file in its own way. See `helpers.report.stamp`.

    Args:
        path: a file or folder. Of a folder the names, sizes and times count of what is in it, not of what is deeper.
        pattern: of the names in the folder that count, as in a shell; "" for all that aren't hidden.
    """
    sys.audit("workbook.note", os.fspath(path), pattern)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream to write a file with, which takes its place when the context ends well: flushed, at once, or not at all.

    After an error, a full disk say, or when the process is killed, the file that was there stays as it was. What a
    killed process leaves goes when a file is written there a day later.

    Args:
        path: its folder is made.

    Raises:
        OSError: as the operating system gives it, a full disk or a folder that can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(".*.part"):
        with suppress(OSError):  # another process was faster, or it is another user's
            if time.time() - left.stat().st_mtime > _FORGOTTEN:
                left.unlink()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _rename(temporary, path)
    finally:
        with suppress(OSError):  # the folder that did not let us write may not let us delete either
            temporary.unlink(missing_ok=True)


def _rename(path: Path, to: Path) -> None:
    """Waits where Windows has one of them open for a moment: to look for viruses, or to copy it to a server."""
    for seconds in (0.1, 0.3, 1.0) if sys.platform == "win32" else ():
        with suppress(PermissionError):
            os.replace(path, to)
            return
        time.sleep(seconds)
    os.replace(path, to)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether this process alone holds a lock, until the context ends; the system takes it from a killed process.

    Args:
        path: a file that is made for it, and removed.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(PermissionError):  # Windows removes no open file; there `release` does it
            path.unlink(missing_ok=True)  # whoever opened it before and gets it now notices, and makes another
        lock.release()


def print_lines(lines: Iterable[str]) -> None:
    """Prints the lines, unless whoever reads them, such as ``head``, has had enough."""
    try:
        for line in lines:
            print(line, flush=True)
    except BrokenPipeError:
        # At its end Python flushes what is left, and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def start_in_utf8() -> None:
    """Starts this program once more where Python reads file names as anything but UTF-8, as an old locale has it."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})


def print_anything() -> None:
    """Lets this process print what its terminal has no characters for: as escapes, and not with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
