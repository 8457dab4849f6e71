"""Fetching a public data set: whole and verified, or not at all."""

import contextlib
import gzip
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from helpers import DATA, downloads
from helpers.data import catalogue
from helpers.data.catalogue import Download, Entry, describe_where
from helpers.data.errors import FetchError
from helpers.downloads import DownloadError, Expected

CHUNK = 1 << 16
MAX_UNPACKED = 2_000_000_000
"""Bytes that an archive may hold: ten times the largest that the catalogue has."""
MAX_EXPANSION = 20
"""How many times its own size an archive may hold. Images hardly shrink, so that 20 is far beyond honest ones."""

_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError)


def fetch(
    name: str, *, root: Path = DATA, urls: Sequence[str] = (), timeout: float = 30, progress: bool = True
) -> Path:
    """Puts a data set into the data folder, unless a whole one is on this machine already.

    Args:
        name: of the catalogue: "fashion_mnist", "cifar10" or "cifar100".
        root: the data folder.
        urls: addresses of mirrors, folders that hold the downloads, tried in order; the data set's own server if none.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show progress bars and remarks on stderr.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownDataError: for a name that the catalogue lacks.
        MissingDataError: for a data set that nobody offers for download; the message says what to do.
        FetchError: the download failed. Files that were in the folder are as they were; what has come lies beside it
            for the next try, as it does after Ctrl-C.
    """
    return fetch_entry(catalogue.get(name), root=root, urls=urls, timeout=timeout, progress=progress)


def fetch_entry(
    entry: Entry, *, root: Path, urls: Sequence[str] = (), timeout: float = 30, progress: bool = True
) -> Path:
    """`fetch` for an entry, which need not be in the catalogue."""
    for folder in catalogue.folders(entry, root=root):
        if not damaged_files(entry, folder):
            if progress:
                print(f"{entry.title} is here already, and whole: nothing to fetch.", file=sys.stderr)
            return folder
    target = Path(root) / entry.folder
    # On the data folder's own disk, so that finished files move in one step.
    parts = Path(root) / f".{entry.name}.part"
    with _failures_as_fetch_errors(entry, parts, root=root), downloads.unfinished(parts):
        new = [_download(download, urls or [entry.url], parts, timeout, progress) for download in entry.downloads]
        with tempfile.TemporaryDirectory(dir=parts) as scratch:
            if entry.archive:
                new = _unpack(new[0], entry, Path(scratch))
            _move(new, target)
        shutil.rmtree(parts)
    return target


def damaged_files(entry: Entry, folder: Path) -> list[str]:
    """The data set's files that are missing in this folder, or have another content than they should."""
    return [name for name, md5 in entry.files.items() if _content_md5(catalogue.file_in(entry, folder, name)) != md5]


def _content_md5(path: Path | None) -> str:
    """MD5 sum of a file's content, unpacked if it is gzipped: gzip files of one content differ in their headers."""
    if path is None:
        return ""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except _UNREADABLE:
        return ""
    return digest.hexdigest()


def _download(download: Download, bases: Sequence[str], folder: Path, timeout: float, progress: bool) -> Path:
    """One file of the servers, with the length and the MD5 sum that it must have."""
    path = folder / download.file
    addresses = [f"{base.rstrip('/')}/{download.file}" for base in bases]
    expected = Expected("md5", download.md5, download.size)
    downloads.download(addresses, path, expected, timeout=timeout, progress=progress)
    return path


def _unpack(archive: Path, entry: Entry, scratch: Path) -> list[Path]:
    """The data set's files out of an archive; all others in it are left there.

    Each is written under the name that the catalogue gives it, so that no path inside the archive is ever used. What
    can't be unpacked is deleted: it has the sum that it should have, and another try would bring the same.
    """
    try:
        unpacked = _members(archive, entry, scratch)
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        archive.unlink()
        raise FetchError(f"{archive.name} cannot be unpacked: {error}") from error
    except FetchError:
        archive.unlink()
        raise
    return unpacked


def _members(archive: Path, entry: Entry, scratch: Path) -> list[Path]:
    limit = min(MAX_UNPACKED, MAX_EXPANSION * archive.stat().st_size)
    wanted = {f"{entry.folder}/{name}": scratch / name for name in entry.files}
    seen: set[str] = set()
    # "r|": from start to end, whatever positions the archive claims for its members.
    with gzip.open(archive) as plain, tarfile.open(fileobj=_Limited(plain, limit), mode="r|") as tar:
        for member in tar:
            _check_member(member, limit, seen)
            if member.isdir():
                continue
            seen.add(member.name)
            if member.name in wanted:
                with tar.extractfile(member) as source, wanted[member.name].open("wb") as file:
                    shutil.copyfileobj(source, file)
    if missing := [Path(name).name for name in wanted if name not in seen]:
        raise FetchError(f"{archive.name} lacks {', '.join(missing)}")
    return list(wanted.values())


class _Limited:
    """A stream that ends with an error where an archive turns out too large, whatever sizes its members declare."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _too_large(self._limit)
        return content


def _check_member(member: tarfile.TarInfo, limit: int, seen: set[str]) -> None:
    """Refuses an archive that no honest maker of data sets would pack."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise FetchError(f"the archive would write outside its folder: {member.name!r}")
    if member.issparse() or not (member.isfile() or member.isdir()):
        raise FetchError(f"the archive holds a link, a device or a file with holes: {member.name!r}")
    if member.name in seen:
        raise FetchError(f"the archive holds two files of one name: {member.name!r}")
    if member.size > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> FetchError:
    return FetchError(f"the archive would unpack to more than {limit / 1e6:,.1f} MB")


def _move(files: list[Path], target: Path) -> None:
    """Puts finished files into their folder, over damaged ones that may be there."""
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        os.replace(file, target / file.name)
        if file.suffix == ".gz":
            # Readers prefer the unpacked file, which may be the damaged one.
            (target / file.stem).unlink(missing_ok=True)


@contextlib.contextmanager
def _failures_as_fetch_errors(entry: Entry, parts: Path, *, root: Path) -> Iterator[None]:
    """Turns whatever a fetch dies of into a FetchError that says what to do."""
    try:
        yield
    except (FetchError, DownloadError, OSError) as error:
        raise FetchError(
            f"fetching {entry.title} failed: {downloads.failure_in_words(error)}. "
            f"{downloads.describe_kept(parts, describe_where(parts))}. "
            f"Try again, name a mirror with --url, or {catalogue.by_hand(entry, root=root)}."
        ) from error
