"""Files that are always whole (written under another name beside their place, then renamed), and locks."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

import psutil


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream to write a file with, which takes its place when the context ends well: flushed, at once, or not at all.

    After an error, a full disk say, or when the process is killed, the file that was there stays as it was. What a
    killed process leaves goes when the file is written the next time.

    Args:
        path: its folder is made.

    Raises:
        OSError: as the operating system gives it, a full disk or a folder that can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}.part")
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # the folder that did not let us write may not let us delete either
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether this process alone holds a lock, until the context ends; the system takes it from a killed process.

    Args:
        path: a file that is made for it, and removed.
    """
    import fcntl

    while True:
        with open(path, "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            if not _has_name(stream, path):  # whoever held the lock removed the file after we had opened it
                continue
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def _has_name(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _prefix(path: Path) -> str:
    # The folder may be shared by machines, whose processes we know nothing about.
    return f".{path.name}.{socket.gethostname()}-"


def _remove_leftovers(path: Path) -> None:
    """Removes temporary files of processes that are no more."""
    prefix = _prefix(path)
    for name in os.listdir(path.parent):
        process = name.removeprefix(prefix).removesuffix(".part")
        if name == f"{prefix}{process}.part" and process.isdecimal() and not psutil.pid_exists(int(process)):
            with suppress(OSError):
                (path.parent / name).unlink(missing_ok=True)
