"""Downloading ImageNet weights: whole and verified, or not at all."""

import contextlib
import hashlib
import http.client
import os
import re
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from helpers import DATA
from helpers.data.errors import FetchError
from helpers.data.fetch import CHUNK, failure_in_words
from helpers.models.architectures import Architecture
from helpers.models.weights import (
    HUB_FILES,
    SUFFIXES,
    WeightsError,
    WeightsFile,
    by_hand,
    find,
    misfit,
    weights_folder,
)

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
) -> WeightsFile:
    """Gets a network's ImageNet weights, unless they are on this machine already.

    timm's come from Hugging Face into its own cache, as far as they are there; all others, and those of a mirror, into
    ``data/weights/``. What doesn't fit the network isn't kept.

    Args:
        architecture: of the network.
        root: the data folder.
        url: address of a mirror, the folder that holds the file; the library's own server if None. Networks whose
            weights are on Hugging Face only have no mirror.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show a progress bar and remarks on stderr.

    Returns:
        The file.

    Raises:
        WeightsError: there is nothing to download, or it failed. Nothing of it is left.
    """
    if here := find(architecture, root=root):
        if progress:
            print(f"{architecture.name}: {here.origin}. Nothing to fetch.", file=sys.stderr)
        return here
    address = _verifiable(architecture)
    from_hub = architecture.hub_repository and not url
    if not from_hub and address is None:
        raise WeightsError(_no_address(architecture, root))
    with _failures_as_weights_errors(architecture, root, timeout):
        if from_hub:
            _fetch_from_hub(architecture)
        else:
            file = PurePosixPath(address).name
            source = f"{url.rstrip('/')}/{file}" if url else address
            # Under the network's own name, which the file of a server needn't bear.
            target = weights_folder(root) / f"{architecture.name}{_HASH.search(file)[0]}{file.rpartition('.')[2]}"
            download(
                source,
                target,
                sha256=_HASH.search(file)[1],
                check=lambda path: _check_fits(architecture, path),
                timeout=timeout,
                progress=progress,
            )
    found = find(architecture, root=root)
    if found is None:
        raise WeightsError(
            f"the weights of {architecture.name} were fetched, but aren't where they are looked for: "
            f"{by_hand(architecture, root=root)}"
        )
    return found


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    check: Callable[[Path], None] = lambda path: None,
    timeout: float = 30,
    progress: bool = True,
) -> None:
    """One file of a server, put in place when it is whole.

    Args:
        url: its address.
        target: where it goes.
        sha256: the first digits of its SHA-256 sum, or all.
        check: is given the whole file before it is put in place; what it raises keeps the file from there.
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
        check(part)
        os.replace(part, target)


def _verifiable(architecture: Architecture) -> str | None:
    """The first address whose file can be read here, and has its SHA-256 sum in its name."""
    for url in architecture.urls:
        name = PurePosixPath(url).name
        if name.endswith(SUFFIXES) and _HASH.search(name):
            return url
    return None


def _no_address(architecture: Architecture, root: Path) -> str:
    """Why there is nothing that could be downloaded from the library's server, or from a mirror of it."""
    if architecture.hub_repository:
        return (
            f"the weights of {architecture.name} come through Hugging Face's client, for which there is no --url: "
            f"leave it out, or {by_hand(architecture, root=root)}"
        )
    return (
        f"no ImageNet weights are published for {architecture.name}: take another network, "
        f"or {by_hand(architecture, root=root)}"
    )


def _check_fits(architecture: Architecture, path: Path) -> None:
    if problems := misfit(architecture, path):
        raise FetchError(f"the file that came doesn't fit the network ({problems})")


def _fetch_from_hub(architecture: Architecture) -> None:
    """Into the cache of Hugging Face's client, which retries and verifies by itself."""
    repository, _, revision = architecture.hub_repository.partition("@")
    path = _through_hubs_client(repository, revision or None)
    try:
        _check_fits(architecture, path)
    except FetchError:
        # Both the file and the link to it that the cache has under the file's name.
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise


def _through_hubs_client(repository: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in HUB_FILES:
        try:
            return Path(hf_hub_download(repository, name, revision=revision))
        except LocalEntryNotFoundError as error:  # so it calls every failure to connect; an EntryNotFoundError as well
            raise FetchError("Hugging Face can't be reached (no connection to the internet?)") from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client has dozens, and those of the libraries below it
            if isinstance(error, MemoryError) or getattr(error, "errno", None):  # this machine's, not the client's
                raise
            words = " ".join(str(error).split()) or type(error).__name__
            raise FetchError(f"Hugging Face's client says: {words}") from error
    raise FetchError(f"Hugging Face's repository {repository} holds none of {', '.join(HUB_FILES)}")


@contextlib.contextmanager
def _failures_as_weights_errors(architecture: Architecture, root: Path, timeout: float) -> Iterator[None]:
    """Turns whatever a download dies of into a WeightsError that says what to do."""
    try:
        yield
    except (FetchError, OSError, http.client.HTTPException, ValueError) as error:
        mirror = "name a mirror with --url, " if _verifiable(architecture) else ""
        raise WeightsError(
            f"fetching the weights of {architecture.name} failed: {failure_in_words(error, timeout)}. "
            f"Nothing was kept. Try again, {mirror}or {by_hand(architecture, root=root)}."
        ) from error
