"""Downloading ImageNet weights: whole and verified, or not at all."""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from helpers import DATA
from helpers.data.download import download
from helpers.data.structures import DataError
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

_HASH = re.compile(r"-([0-9a-f]{8,64})\.")  # of the SHA-256 sum, in the names of torchvision's and timm's files


def fetch(
    architecture: Architecture,
    *,
    root: Path = DATA,
    urls: Sequence[str] = (),
    timeout: float = 30,
    progress: bool = True,
) -> WeightsFile:
    """Gets a network's ImageNet weights, unless they are on this machine already.

    timm's come from Hugging Face into its own cache, as far as they are there; all others, and those of a mirror, into
    ``data/weights/``. What doesn't fit the network isn't kept.

    Args:
        architecture: of the network.
        root: the data folder.
        urls: addresses of mirrors, folders that hold the file, tried in order; the library's own server if none.
            Networks whose weights are on Hugging Face only have no mirror.
        timeout: seconds to wait for a server that says nothing.
        progress: whether to show a progress bar and remarks on stderr.

    Returns:
        The file.

    Raises:
        WeightsError: there is nothing to download, or it failed. What has come lies beside the weights for the next
            try, as it does after Ctrl-C.
    """
    if here := find(architecture, root=root):
        if progress:
            print(f"{architecture.name}: {here.origin}. Nothing to fetch.", file=sys.stderr)
        return here
    address = _verifiable(architecture)
    from_hub = architecture.hub_repository and not urls
    if not from_hub and address is None:
        raise WeightsError(_no_address(architecture, root))
    if from_hub:
        with _failures_as_weights_errors(architecture, root):
            _fetch_from_hub(architecture)
    else:
        _fetch_from_server(architecture, address, urls, root=root, timeout=timeout, progress=progress)
    found = find(architecture, root=root)
    if found is None:
        raise WeightsError(
            f"the weights of {architecture.name} were fetched, but aren't where they are looked for: "
            f"{by_hand(architecture, root=root)}"
        )
    return found


def _fetch_from_server(
    architecture: Architecture, address: str, mirrors: Sequence[str], *, root: Path, timeout: float, progress: bool
) -> None:
    """Into the data folder, as soon as the file is whole and fits."""
    file = PurePosixPath(address).name
    digest = _HASH.search(file)
    # Under the network's own name, which the file of a server needn't bear.
    target = weights_folder(root) / f"{architecture.name}{digest[0]}{file.rpartition('.')[2]}"
    addresses = [f"{mirror.rstrip('/')}/{file}" for mirror in mirrors] or [address]
    with _failures_as_weights_errors(architecture, root):
        unchecked = target.with_name(f".{target.name}")
        download(addresses, unchecked, f"sha256:{digest[1]}", timeout=timeout, progress=progress)
        _check_fits(architecture, unchecked)
        unchecked.replace(target)


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
    """Deletes a file that doesn't fit: it is what the server has, and another try would bring the same."""
    if problems := misfit(architecture, path):
        # Hugging Face's cache has a link under the file's name.
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise DataError(f"the file that came doesn't fit the network ({problems})")


def _fetch_from_hub(architecture: Architecture) -> None:
    """Into the cache of Hugging Face's client, which retries and verifies by itself."""
    repository, _, revision = architecture.hub_repository.partition("@")
    _check_fits(architecture, _through_hubs_client(repository, revision or None))


def _through_hubs_client(repository: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in HUB_FILES:
        try:
            return Path(hf_hub_download(repository, name, revision=revision))
        except LocalEntryNotFoundError as error:  # so it calls every failure to connect; an EntryNotFoundError as well
            raise DataError("Hugging Face can't be reached (no connection to the internet?)") from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client has dozens, and those of the libraries below it
            if isinstance(error, MemoryError) or getattr(error, "errno", None):  # this machine's, not the client's
                raise
            words = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"Hugging Face's client says: {words}") from error
    raise DataError(f"Hugging Face's repository {repository} holds none of {', '.join(HUB_FILES)}")


@contextlib.contextmanager
def _failures_as_weights_errors(architecture: Architecture, root: Path) -> Iterator[None]:
    """Turns whatever a download dies of into a WeightsError that says what to do."""
    try:
        yield
    except (DataError, OSError) as error:
        mirror = "name a mirror with --url, " if _verifiable(architecture) else ""
        raise WeightsError(
            f"fetching the weights of {architecture.name} failed: {error}. Try again, {mirror}or "
            f"{by_hand(architecture, root=root)}."
        ) from error
