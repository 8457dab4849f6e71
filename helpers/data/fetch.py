"""Downloading a public data set: whole and verified, or not at all."""

import contextlib
import errno
import gzip
import hashlib
import http.client
import os
import shutil
import socket
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from helpers import DATA
from helpers.data import catalogue
from helpers.data.catalogue import Download, Entry, describe_where
from helpers.data.errors import FetchError

CHUNK = 1 << 16
MAX_UNPACKED = 2_000_000_000
"""Bytes that an archive may hold: ten times the largest that the catalogue has."""
MAX_EXPANSION = 20
"""How many times its own size an archive may hold. Images hardly shrink, so that 20 is far beyond honest ones."""

_UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError)


def fetch(name: str, *, root: Path = DATA, url: str | None = None, timeout: float = 30, progress: bool = True) -> Path:
    """Puts a data set into the data folder, unless a whole one is on this machine already.

    Args:
        name: of the catalogue: "fashion_mnist", "cifar10" or "cifar100".
        root: the data folder.
        url: address of a mirror, the folder that holds the downloads; the data set's own server if None.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show progress bars and remarks on stderr.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownDataError: for a name that the catalogue lacks.
        MissingDataError: for a data set that nobody offers for download; the message says what to do.
        FetchError: the download failed. Nothing of it is left, and files that were there are as they were.
    """
    return fetch_entry(catalogue.get(name), root=root, url=url, timeout=timeout, progress=progress)


def fetch_entry(
    entry: Entry, *, root: Path, url: str | None = None, timeout: float = 30, progress: bool = True
) -> Path:
    """`fetch` for an entry, which need not be in the catalogue."""
    for folder in catalogue.folders(entry, root=root):
        if not damaged_files(entry, folder):
            if progress:
                print(f"{entry.title} is here already, and whole: nothing to fetch.", file=sys.stderr)
            return folder
    target = Path(root) / entry.folder
    base = (url or entry.url).rstrip("/") + "/"
    with _failures_as_fetch_errors(entry, base, root=root, timeout=timeout), _scratch(entry, Path(root)) as scratch:
        new = [_download(download, base, scratch, timeout, progress) for download in entry.downloads]
        if entry.archive:
            new = _unpack(new[0], entry, scratch)
        _move(new, target)
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


@contextlib.contextmanager
def _scratch(entry: Entry, root: Path) -> Iterator[Path]:
    """A folder on the data folder's own disk, so that finished files move in one step; it vanishes in any case."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{entry.name}-", suffix=".part", dir=root) as folder:
        yield Path(folder)


def _download(download: Download, base: str, folder: Path, timeout: float, progress: bool) -> Path:
    """One file of the server, with the length and the MD5 sum that it must have."""
    path = folder / download.file
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    with (
        urllib.request.urlopen(base + download.file, timeout=timeout) as response,
        path.open("wb") as file,
        tqdm(
            total=download.size, desc=download.file, unit="B", unit_scale=True, leave=False, disable=not progress
        ) as bar,
    ):
        _check_length(download, response.headers.get("Content-Length"))
        # Never more than one chunk beyond the known length, whatever a server goes on sending.
        while received <= download.size and (chunk := response.read(CHUNK)):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if received < download.size:
        raise FetchError(f"{download.file} broke off after {received:,} of {download.size:,} bytes")
    if received > download.size or digest.hexdigest() != download.md5:
        raise FetchError(f"what came as {download.file} is another file (its length or MD5 sum differs)")
    return path


def _check_length(download: Download, announced: str | None) -> None:
    """Refuses a page that stands in for the file, such as a login page of a network, before reading it."""
    if announced is not None and announced != str(download.size):
        raise FetchError(
            f"the server announces {announced} bytes for {download.file}, which has {download.size:,}: "
            "this is another file"
        )


def _unpack(archive: Path, entry: Entry, scratch: Path) -> list[Path]:
    """The data set's files out of an archive; all others in it are left there.

    Each is written under the name that the catalogue gives it, so that no path inside the archive is ever used.
    """
    limit = min(MAX_UNPACKED, MAX_EXPANSION * archive.stat().st_size)
    wanted = {f"{entry.folder}/{name}": scratch / name for name in entry.files}
    unpacked = []
    total = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                total += member.size
                _check_member(member, total, limit)
                if member.isfile() and member.name in wanted:
                    with tar.extractfile(member) as source, wanted[member.name].open("wb") as file:
                        shutil.copyfileobj(source, file)
                    unpacked.append(wanted[member.name])
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise FetchError(f"{archive.name} cannot be unpacked: {error}") from error
    if missing := [name for name in entry.files if scratch / name not in unpacked]:
        raise FetchError(f"{archive.name} lacks {', '.join(missing)}")
    return unpacked


def _check_member(member: tarfile.TarInfo, total: int, limit: int) -> None:
    """Refuses an archive that no honest maker of data sets would pack."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise FetchError(f"the archive would write outside its folder: {member.name!r}")
    if not (member.isfile() or member.isdir()):
        raise FetchError(f"the archive holds a link or a device: {member.name!r}")
    if total > limit:
        raise FetchError(f"the archive would unpack to more than {limit / 1e6:,.1f} MB")


def _move(files: list[Path], target: Path) -> None:
    """Puts finished files into their folder, over damaged ones that may be there."""
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        os.replace(file, target / file.name)
        if file.suffix == ".gz":
            # Readers prefer the unpacked file, which may be the damaged one.
            (target / file.stem).unlink(missing_ok=True)


@contextlib.contextmanager
def _failures_as_fetch_errors(entry: Entry, base: str, *, root: Path, timeout: float) -> Iterator[None]:
    """Turns whatever a download dies of into a FetchError that says what to do."""
    try:
        yield
    except (FetchError, OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(
            f"fetching {entry.title} from {base} failed: {failure_in_words(error, timeout)}. Nothing was kept. "
            f"Try again, name a mirror with --url, or {catalogue.by_hand(entry, root=root)}."
        ) from error


def failure_in_words(error: Exception, timeout: float) -> str:
    """What a download died of, in words.

    Args:
        error: what it raised.
        timeout: seconds that it waited for a silent server.
    """
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return failure_in_words(error.reason, timeout)
    if isinstance(error, TimeoutError):
        return f"the server said nothing for {timeout:g} seconds"
    if isinstance(error, socket.gaierror):
        return "the server's name is not found (no connection to the internet?)"
    if isinstance(error, ConnectionError):
        return f"the connection broke or was refused ({error.strerror or error})"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if isinstance(error, PermissionError):
        return f"no permission to write into {describe_where(Path(error.filename or ''))}"
    return str(error)
