"""Files from web servers, whole and verified. What a broken download has brought is kept, and the next goes on there.

A file is known by its MD5 sum, so that it doesn't matter how many tries it took, or from which of several servers each
part of it came: it is whole as soon as its sum is right.
"""

import gzip
import hashlib
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from helpers import DATA
from helpers.data import sets
from helpers.data.places import showable
from helpers.data.structures import DataError
from helpers.files import locked

MAX_BYTES = 4_000_000_000
"""What a server may send: several times the largest file that the workbook asks for."""
TRIES = 5
"""Connections to one server for one file, as long as each brings more of it."""
TIMEOUT = 30.0
"""Seconds to wait for a server that says nothing."""


def download(urls: Sequence[str], path: Path, md5: str) -> None:
    """Completes a file, from the first of these addresses that gives the rest of it; a progress bar shows how it goes.

    What an earlier try has left isn't asked for again (HTTP's Range). If the whole turns out to be wrong then, it is
    fetched once more from its start. A DataError says why no server gave it, and what was kept.
    """
    failures = []
    with locked(path.with_name(f".{path.name}.lock")) as alone:
        if not alone:
            raise DataError("another process is downloading the same file: wait for it, or end it")
        for url in urls:
            if _has_sum(path, md5) or not (failure := _fill(path, url, md5)):
                return
            failures.append(f"{url}: {failure}")
    size = _size(path)
    kept = f"{size / 1e6:,.1f} MB are kept, and the next try goes on from there" if size else "nothing was kept"
    raise DataError(f"{'; '.join(failures)} ({kept})")


def _fill(path: Path, url: str, md5: str) -> str:
    """Completes a file from one server; returns why it could not."""
    for _ in range(TRIES):
        begun = _size(path)
        try:
            _receive(path, url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = _in_words(error)
            if getattr(error, "code", None) != 416:  # what is asked for lies behind the file's end
                if _size(path) <= begun:
                    return failure
                continue
        if _has_sum(path, md5):
            return ""
        path.unlink(missing_ok=True)
        failure = "what came is another file: its MD5 sum differs"
        if not begun:  # else the fault may lie in what was there before
            return failure
    return failure


def _receive(path: Path, url: str) -> None:
    """One answer of the server, to its end."""
    size = _size(path)
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if getattr(response, "status", None) != http.client.PARTIAL_CONTENT:
            size = 0
        length = int(response.headers.get("Content-Length") or 0)
        whole = size + length if length else None
        bar = tqdm(desc=path.name, total=whole, initial=size, unit="B", unit_scale=True, leave=False)
        with path.open("ab" if size else "wb") as file, bar:
            # read1 gives what has come; read would lose the beginning of a piece whose end doesn't come.
            while chunk := response.read1(1 << 16):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES / 1e9:g} GB came")
                file.write(chunk)
                bar.update(len(chunk))
    if whole and size < whole:
        raise ValueError(f"broke off after {size:,} of {whole:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _has_sum(path: Path, md5: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == md5


def _in_words(error: Exception) -> str:
    """What a download died of, on one line; servers write part of it, which must not move the terminal's cursor."""
    error = error.reason if type(error) is urllib.error.URLError else error
    return showable(" ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split()))


def fetch(name: str, *, root: Path = DATA, urls: Sequence[str] = ()) -> Path:
    """Puts a public data set into the data folder, unless a whole one is on this machine already; returns its folder.

    Mirrors at ``urls``, folders that hold the downloads, are tried in order; the data set's own server if none.

    Raises:
        DataError: for a data set that nobody offers for download, or a download that failed. Files that were in the
            folder are as they were; what has come lies beside it for the next try, as it does after Ctrl-C.
    """
    known = sets.get(name)
    if here := sets.find(name, root=root):
        with suppress(DataError):  # damaged
            sets.read(known, here, image_size=1, channels=3, cache=None)
            return here
    if not known.megabytes:
        raise DataError(f"{name} can't be fetched. {sets.how_to_get(known, root=root)}")
    from torchvision import datasets

    kind = getattr(datasets, known.torchvision)
    if hasattr(kind, "resources"):
        server, wanted = kind.mirrors[0], kind.resources
    else:
        server, wanted = kind.url.rpartition("/")[0], [(kind.filename, kind.tgz_md5)]
    folder, parts = root / known.folder, root / f".{name}.part"  # on one disk, so that finished files move in one step
    try:
        parts.mkdir(parents=True, exist_ok=True)
        for file, md5 in wanted:
            download([f"{base.rstrip('/')}/{file}" for base in urls or [server]], parts / file, md5)
        with tempfile.TemporaryDirectory(dir=parts) as unpacked:
            for file, _ in wanted:
                _unpack(parts / file, Path(unpacked))
            folder.mkdir(parents=True, exist_ok=True)
            for file in known.files:
                next(Path(unpacked).rglob(file)).replace(folder / file)
    except (DataError, OSError) as error:
        with suppress(OSError):  # something is kept
            parts.rmdir()
        how = sets.how_to_get(known, root=root)
        raise DataError(f"fetching {known.title} failed: {error}. Try again: {how}") from error
    shutil.rmtree(parts)
    return folder


def _unpack(packed: Path, folder: Path) -> None:
    """Puts what is in a download, whose sum is right, into a folder."""
    if packed.name.endswith(".tar.gz"):
        shutil.unpack_archive(packed, folder, filter="data")
    else:
        with gzip.open(packed) as content, open(folder / packed.stem, "wb") as file:
            shutil.copyfileobj(content, file)
