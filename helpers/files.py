"""Files that are always whole (written under another name beside their place, then renamed), locks, and archives."""

import errno
import hashlib
import os
import re
import shutil
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

import psutil

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a network's file system without locks answers."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream to write a file with, which takes its place when the context ends well: flushed, at once, or not at all.

    After an error, a full disk say, or when the process is killed, the file that was there stays as it was. What a
    killed process leaves goes when any file is written there.

    Args:
        path: its folder is made.

    Raises:
        OSError: as the operating system gives it, a full disk or a folder that can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # the folder that did not let us write may not let us delete either
            temporary.unlink(missing_ok=True)


def leads_nowhere(path: Path | os.DirEntry) -> bool:
    """Whether it is a symbolic link to what isn't there, or one of links that lead in a circle."""
    return path.is_symlink() and not os.path.exists(path)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether this process alone holds a lock, until the context ends; the system takes it from a killed process.

    Args:
        path: a file that is made for it, and removed. Where the file system has no locks, everybody holds them.
    """
    import fcntl

    while True:
        with open(path, "w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                yield True
                return
            if not _has_name(stream, path):  # whoever held the lock removed the file after we had opened it
                continue
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def expansion(stream: BinaryIO) -> float:
    """How many times its own size a zip archive would unpack to, by what it says of its members; 0 if it is none.

    ``torch.save`` packs nothing and stays below 1; what is beyond is no file of its, and may be a decompression bomb.
    """
    if not zipfile.is_zipfile(stream):
        return 0.0
    with zipfile.ZipFile(stream) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    return unpacked / stream.seek(0, os.SEEK_END)


def memory_missing(error: Exception, *, size: int) -> bool:
    """Whether reading a file of so many bytes with PyTorch failed for want of memory, and not since the file lies.

    A file that packs nothing needs no more memory at once than it has bytes itself: one that asks for more is damaged.
    """
    if asked := re.search(r"can't allocate memory: you tried to allocate (\d+) bytes", str(error)):
        return int(asked[1]) <= size
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)  # PyTorch's is a RuntimeError


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of its own among the system's temporary ones, removed when the context ends.

    What killed processes left goes when any process makes one.
    """
    # Machines may share the folder; and the paths of sockets in it must be short.
    begin = f"workbook-{hashlib.blake2b(socket.gethostname().encode(), digest_size=3).hexdigest()}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{begin}*"):
        process = folder.name.removeprefix(begin).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
    prefix = f"{begin}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _has_name(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _temporary(path: Path) -> Path:
    # The folder may be shared by machines, whose processes we know nothing about.
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")


def _remove_leftovers(folder: Path) -> None:
    """Removes temporary files of processes that are no more."""
    pattern = re.compile(rf"\..+\.{re.escape(socket.gethostname())}-(\d+)\.part")
    for name in os.listdir(folder):
        match = pattern.fullmatch(name)
        if match and not psutil.pid_exists(int(match[1])):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
