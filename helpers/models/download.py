"""Downloading ImageNet weights: whole and verified, or not at all."""

import contextlib
import hashlib
import http.client
import os
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from helpers import DATA
from helpers.data.errors import FetchError
from helpers.data.fetch import CHUNK, failure_in_words
from helpers.models.architectures import Architecture
from helpers.models.weights import HUB_FILES, SUFFIXES, WeightsError, WeightsFile, by_hand, find, weights_folder

MAX_BYTES = 4_000_000_000
"""What a server may send: several times the largest network here."""

_HASH = re.compile(r"-([0-9a-f]{8,64})\.")  # of the SHA-256 sum, in the names of torchvision's and timm's files


def fetch(
    architecture: Architecture,
    *,
    root: Path = DATA,
    url: str | None = None,
    timeout: float = 30,
    progress: bool = True,
) -> WeightsFile | None:
    """Gets a network's ImageNet weights, unless they are on this machine already.

    From torchvision's or timm's server into ``data/weights/``, or where these have none from Hugging Face into its
    own cache.

    Args:
        architecture: of the network.
        root: the data folder.
        url: address of a mirror, the folder that holds the file; the library's own server if None.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show a progress bar and remarks on stderr.

    Returns:
        The file; None if Hugging Face's client put it out of sight.

    Raises:
        WeightsError: the download failed. Nothing of it is left.
    """
    if here := find(architecture, root=root):
        if progress:
            print(f"{architecture.name}: {here.origin}. Nothing to fetch.", file=sys.stderr)
        return here
    address = _verifiable(architecture)
    with _failures_as_weights_errors(architecture, root, timeout):
        if address is None:
            _fetch_from_hub(architecture)
        else:
            file = PurePosixPath(address).name
            source = f"{url.rstrip('/')}/{file}" if url else address
            # Under the network's own name, which the file of a server needn't bear.
            target = weights_folder(root) / f"{architecture.name}{_HASH.search(file)[0]}{file.rpartition('.')[2]}"
            download(source, target, sha256=_HASH.search(file)[1], timeout=timeout, progress=progress)
    return find(architecture, root=root)


def download(url: str, target: Path, *, sha256: str, timeout: float = 30, progress: bool = True) -> None:
    """One file of a server, put in place when it is whole.

    Args:
        url: its address.
        target: where it goes.
        sha256: the first digits of its SHA-256 sum, or all.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show a progress bar.

    Raises:
        FetchError: the file broke off, or is another one.
        OSError, http.client.HTTPException: the server or the disk failed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    received = 0
    # In a folder of its own on the same disk, so that the file moves in one step; it vanishes in any case.
    with tempfile.TemporaryDirectory(prefix=f".{target.stem}-", suffix=".part", dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        with urllib.request.urlopen(url, timeout=timeout) as response, part.open("wb") as file:
            announced = int(response.headers.get("Content-Length") or 0)
            with tqdm(
                total=announced or None, desc=target.name, unit="B", unit_scale=True, leave=False, disable=not progress
            ) as bar:
                while received <= MAX_BYTES and (chunk := response.read(CHUNK)):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    bar.update(len(chunk))
        if received < announced:
            raise FetchError(f"{target.name} broke off after {received:,} of {announced:,} bytes")
        if not digest.hexdigest().startswith(sha256):
            raise FetchError(f"what came as {target.name} is another file (its SHA-256 sum differs)")
        os.replace(part, target)


def _verifiable(architecture: Architecture) -> str | None:
    """The first address whose file can be read here, and has its SHA-256 sum in its name."""
    for url in architecture.urls:
        name = PurePosixPath(url).name
        if name.endswith(SUFFIXES) and _HASH.search(name):
            return url
    return None


def _fetch_from_hub(architecture: Architecture) -> None:
    """Hugging Face's client brings its own retries and checks."""
    if not architecture.hub_repository:
        raise FetchError("the library names no address for its weights")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, _, revision = architecture.hub_repository.partition("@")
    for name in HUB_FILES:
        with contextlib.suppress(EntryNotFoundError):
            hf_hub_download(repository, name, revision=revision or None)
            return
    raise FetchError(f"Hugging Face's repository {repository} holds none of {', '.join(HUB_FILES)}")


@contextlib.contextmanager
def _failures_as_weights_errors(architecture: Architecture, root: Path, timeout: float) -> Iterator[None]:
    """Turns whatever a download dies of into a WeightsError that says what to do."""
    try:
        yield
    except (FetchError, OSError, http.client.HTTPException, ValueError) as error:
        raise WeightsError(
            f"fetching the weights of {architecture.name} failed: {failure_in_words(error, timeout)}. "
            f"Nothing was kept. Try again, name a mirror with --url, or {by_hand(architecture, root=root)}."
        ) from error
