"""Files from web servers: whole and verified, or kept aside so that the next try goes on where this one ended.

`unfinished` makes the folder where a file lies until it is whole, `download` fills it; whoever called moves the file to
where it belongs. A file is known by the sum of its content, so that it doesn't matter how many tries it took, or from
which of several servers each part of it came.
"""

import contextlib
import errno
import hashlib
import http.client
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from helpers import WorkbookError, files

MAX_BYTES = 4_000_000_000
"""What a server may send of a file whose size nobody knows: several times the largest that the workbook asks for."""
TRIES = 5
"""Connections to one server for one file, as long as each brings more of it."""

_CHUNK = 1 << 16


class DownloadError(WorkbookError):
    """A file that no server gave whole; the message says of each why not."""


class DiskError(DownloadError):
    """A file that this machine can't store."""


class _WrongFileError(DownloadError):
    """What came isn't the file, or not the part of it that was asked for."""


@dataclass(frozen=True)
class Expected:
    """What tells that a file is the right one.

    Attributes:
        algorithm: "md5" or "sha256".
        digest: the first hexadecimal digits of its sum, or all.
        size: in bytes; None if only the server knows.
    """

    algorithm: str
    digest: str
    size: int | None = None


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Makes a folder for files that are being downloaded, for this process alone; removes it if nothing is left in it.

    Raises:
        DownloadError: another process downloads into it.
        DiskError: it can't be made; or for an error of the operating system in the context.
    """
    try:
        with _disk_errors():
            folder.mkdir(parents=True, exist_ok=True)
            with files.locked(folder / "lock") as alone:
                if not alone:
                    raise DownloadError("another process is downloading the same file: wait for it, or end it")
                yield
    finally:
        with contextlib.suppress(OSError):  # files are left, which is what the folder is for
            folder.rmdir()


def describe_kept(folder: Path, where: str) -> str:
    """What `unfinished` has left in a folder for the next try, a sentence; ``where`` names the folder."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if not size:
        return "Nothing was kept"
    return f"The {size / 1e6:,.1f} MB that came are kept in {where}, and the next try goes on from there"


def download(
    urls: Sequence[str], path: Path, expected: Expected, *, timeout: float = 30, progress: bool = True
) -> None:
    """Brings one file, from the first server that gives it whole.

    What an earlier try has left at ``path`` isn't asked for again (HTTP's Range, with If-Range where the server has
    named the file's version). If the whole turns out to be wrong then, it is fetched once more from its start.

    Args:
        urls: addresses of the file, the preferred one first.
        path: in a folder that `unfinished` made. After an error, or Ctrl-C, holds what has come so far.
        expected: what the file must be.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show a progress bar on stderr.

    Raises:
        DownloadError: no server gave it.
        DiskError: no room, or no permission to write.
    """
    failures = []
    with _disk_errors(), _Part(path, expected) as part:
        if part.is_right:
            return
        for url in urls:
            try:
                _fill(part, url, timeout, progress)
                return
            except DiskError:
                raise
            except (DownloadError, OSError, http.client.HTTPException, ValueError) as error:
                failures.append(f"{url}: {failure_in_words(error, timeout)}")
    raise DownloadError("; ".join(failures))


def failure_in_words(error: Exception, timeout: float = 0) -> str:
    """What a download died of, in words, on one line.

    Args:
        error: what it raised.
        timeout: seconds that it waited for a silent server, where that may be the reason.
    """
    # Servers write part of it: their words must not move the terminal's cursor.
    return "".join(letter if letter.isprintable() else " " for letter in _in_words(error, timeout))


def _in_words(error: Exception, timeout: float) -> str:
    if isinstance(error, urllib.error.HTTPError):
        if 300 <= error.code < 400:
            return f"the server leads in circles, or to an address that can't be followed ({error.code})"
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return _in_words(error.reason, timeout)
    if isinstance(error, TimeoutError):
        return f"the server said nothing for {timeout:g} seconds"
    if isinstance(error, socket.gaierror):
        return "the server's name is not found (no connection to the internet?)"
    if isinstance(error, ConnectionError):
        return f"the connection broke or was refused ({error.strerror or error})"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if isinstance(error, OSError) and error.filename:  # a path's last part will do; the rest is nobody's business
        reason = "no permission" if isinstance(error, PermissionError) else error.strerror
        return f"{reason}: {Path(os.fsdecode(error.filename)).name}"
    return str(error) or type(error).__name__


class _Part:
    """What has come of a file so far, and the sum of it."""

    def __init__(self, path: Path, expected: Expected) -> None:
        self.name, self.expected = path.name, expected
        self.size = 0
        self._path, self._source_path = path, path.with_name(f"{path.name}.source")
        self._sum = hashlib.new(expected.algorithm, usedforsecurity=False)
        self._file = path.open("a+b")
        self._read_what_is_there()

    def __enter__(self) -> "_Part":
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            if self.is_right:
                self._file.flush()
                os.fsync(self._file.fileno())
        if self.is_right or not self.size:
            self._source_path.unlink(missing_ok=True)
        if not self.size:
            self._path.unlink(missing_ok=True)

    @property
    def limit(self) -> int:
        """How many bytes it may have."""
        return MAX_BYTES if self.expected.size is None else self.expected.size

    @property
    def is_right(self) -> bool:
        """Whether it is the whole file."""
        complete = self.expected.size in (None, self.size)
        return complete and self._sum.hexdigest().startswith(self.expected.digest)

    def version_from(self, url: str) -> str:
        """How the server at this address calls the version that has come so far; "" if that is from elsewhere."""
        try:
            source, _, version = self._source_path.read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):  # nobody wrote it, or a crash spoilt it
            return ""
        return version if source == url else ""

    def restart(self, url: str = "", version: str = "") -> None:
        """Drops what has come; the next bytes are the file's first."""
        with _disk_errors():
            self._file.truncate(0)
            self._source_path.write_text(f"{url}\n{version}", encoding="utf-8")
        self.size = 0
        self._sum = hashlib.new(self.expected.algorithm, usedforsecurity=False)

    def append(self, chunk: bytes) -> None:
        with _disk_errors():
            self._file.write(chunk)
            self._file.flush()  # a full disk shows here, and not when the file is closed
        self._sum.update(chunk)
        self.size += len(chunk)

    def _read_what_is_there(self) -> None:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            self._sum.update(chunk)
            self.size += len(chunk)
        if self.size >= self.limit and not self.is_right:
            self.restart()


def _fill(part: _Part, url: str, timeout: float, progress: bool) -> None:
    """Completes a file from one server: goes on where the connection broke, starts over where that came out wrong."""
    for _ in range(TRIES):
        begun = part.size
        try:
            _receive(part, url, timeout, progress)
            if part.is_right:
                return
            raise _WrongFileError(f"what came as {part.name} is another file (its {_sum_name(part)} sum differs)")
        except DiskError:
            raise
        except _WrongFileError as error:
            part.restart()
            failure, hopeless = error, begun == 0  # else the fault may lie in what was there before
        except (DownloadError, OSError, http.client.HTTPException, ValueError) as error:
            if part.is_right:  # whoever announced more was wrong
                return
            failure, hopeless = error, part.size <= begun
        if hopeless:
            break
    raise failure


def _receive(part: _Part, url: str, timeout: float, progress: bool) -> None:
    """One answer of the server, to its end or to the file's."""
    request = urllib.request.Request(url, headers=_range(part, url))
    with _opened(request, timeout) as response:
        length = _number(response.headers.get("Content-Length"))
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            _check_range(part, response.headers.get("Content-Range", ""))
        else:
            _check_length(part, length)
            part.restart(url, _version(response.headers))
        announced = None if length is None else part.size + length
        end = min(part.limit, part.limit if announced is None else announced)
        with tqdm(
            desc=part.name,
            total=part.expected.size or announced,
            initial=part.size,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=not progress,
        ) as bar:
            # read1 gives what has come; read would lose the beginning of a piece whose end doesn't come.
            while part.size < end and (chunk := response.read1(min(_CHUNK, end - part.size))):
                part.append(chunk)
                bar.update(len(chunk))
    whole = part.expected.size or announced
    if whole and part.size < whole:
        raise DownloadError(f"{part.name} broke off after {part.size:,} of {whole:,} bytes")


@contextlib.contextmanager
def _opened(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _WrongFileError("the server's file is shorter than what has come of it before") from error
        raise
    with response:
        yield response


def _range(part: _Part, url: str) -> dict[str, str]:
    """The headers that ask for the rest of a file; none if there is nothing of it yet."""
    if not part.size:
        return {}
    # Another server has another name for the version of the same file.
    version = part.version_from(url)
    return {"Range": f"bytes={part.size}-", **({"If-Range": version} if version else {})}


def _version(headers: http.client.HTTPMessage) -> str:
    """What the server calls this version of the file, for If-Range: its tag, but no weak one (W/…), or its date."""
    candidates = headers.get("ETag", ""), headers.get("Last-Modified", "")
    return next((text for text in candidates if re.fullmatch(r'"[!#-~]{1,200}"|[A-Z][\w ,:]{10,40}', text, re.A)), "")


def _check_range(part: _Part, content_range: str) -> None:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range.strip())
    fits = match and _number(match[1]) == part.size
    if not fits or (part.expected.size is not None and match[2] not in ("*", str(part.expected.size))):
        raise _WrongFileError(f"the server sends another part of {part.name} than it was asked for")


def _check_length(part: _Part, announced: int | None) -> None:
    """Refuses a page that stands in for the file, such as a login page of a network, before reading it."""
    expected = part.expected.size
    if announced is None or (announced <= MAX_BYTES if expected is None else announced == expected):
        return
    known = "" if expected is None else f", which has {expected:,}"
    raise DownloadError(f"the server announces {announced:,} bytes for {part.name}{known}: this is another file")


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _sum_name(part: _Part) -> str:
    return {"md5": "MD5", "sha256": "SHA-256"}[part.expected.algorithm]


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Errors of this machine's own files as `DiskError`: no other server would help."""
    try:
        yield
    except OSError as error:
        raise DiskError(failure_in_words(error)) from error
