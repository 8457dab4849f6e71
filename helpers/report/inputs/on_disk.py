"""What of data sets and weights lies on this machine, by names, sizes and times of files: nothing is read.

It decides whether "auto" means real images or a stand-in, and weights from ImageNet or random ones.
"""

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from helpers import ROOT
from helpers.report import clean
from helpers.report.inputs import catalogues
from helpers.report.inputs.sources import CodeCell, digest

NOTHING = "nothing"
_DEPTH = 2
"""Folders below a data set's: splits and classes. `helpers.data.folder` doesn't look deeper either."""
_WEIGHTS_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
_SHORTEST_NAME = 4

Files = list[tuple[str, int, int]]
"""Path below a folder, size in bytes, time of the last change in nanoseconds."""


def data_sets(cells: Sequence[CodeCell], parameters: Mapping[str, Any], *, data: Path) -> dict[str, str]:
    """What lies on this machine of the data sets that a notebook may load.

    Args:
        cells: of code. In a call with ``own="…"``, as ``helpers.data.load`` takes it, the first argument decides.
        parameters: of the run.
        data: the data folder.

    Returns:
        Data set -> `NOTHING`, or how many files with a hash. Folders have the names that reports may show.
    """
    found: dict[str, Files] = {}
    for name in sorted(_named_sets(cells, parameters)):
        files = found.setdefault(clean.private(name), [])
        for number, place in enumerate(_places(name, data)):
            files += [(f"{number}/{path}", *stamp) for path, *stamp in scan(place, depth=_DEPTH)]
    return {name: _state(files) for name, files in found.items()}


def weights(cells: Sequence[CodeCell], parameters: Mapping[str, Any], *, data: Path) -> dict[str, str]:
    """What lies on this machine of the weights that a notebook may begin with: {"weights": …}, as of data sets.

    A file belongs to a network that the parameters or the code name if its own name begins with the network's.

    Args:
        cells: of code.
        parameters: of the run.
        data: the data folder.
    """
    texts = {*_texts(parameters), *_texts_in(cells)}
    names = tuple(text for text in texts if len(text) >= _SHORTEST_NAME and text.isidentifier())
    files: Files = []
    for folder in (data / "weights", _cache("TORCH_HOME", "torch") / "hub" / "checkpoints"):
        files += [file for file in scan(folder, depth=0) if file[0].startswith(names)]
    for repository in _folders(_hub_cache()):  # named as in "models--timm--resnet18.a1_in1k"
        if repository.name.rpartition("--")[2].startswith(names):
            files += [(f"{repository.name}/{path}", *stamp) for path, *stamp in scan(repository, depth=_DEPTH)]
    for name, module, path in catalogues.packaged_weights():
        if name in names:
            files += _packaged(module, path)
    for text in _texts(parameters):
        if text.endswith(_WEIGHTS_SUFFIXES):
            path = Path(text).expanduser()
            files += [file for place in (path, ROOT / path, data / "weights" / path) for file in _stamp(place)]
    return {"weights": _state(files)}


def scan(folder: Path, *, depth: int) -> Files:
    """The files in a folder and ``depth`` levels of folders below it, in no order; [] if there is none.

    Hidden ones are left out. Links count as what they lead to.
    """
    return list(_scan(os.fspath(folder), "", depth))


def _scan(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, int, int]]:
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if depth:
                    yield from _scan(entry.path, f"{prefix}{entry.name}/", depth - 1)
                continue
            try:
                status = entry.stat()
            except OSError:  # a link that leads nowhere
                continue
            yield f"{prefix}{entry.name}", status.st_size, status.st_mtime_ns


def _state(files: Files) -> str:
    if not files:
        return NOTHING
    return f"{len(files)} files {digest(*(f'{path} {size} {time}' for path, size, time in sorted(files)))}"


def _named_sets(cells: Sequence[CodeCell], parameters: Mapping[str, Any]) -> set[str]:
    """Names of data sets, and "folder:…", that may be loaded."""
    named = set(_texts(parameters))
    for call in (node for cell in cells for node in cell.nodes if isinstance(node, ast.Call)):
        own = next((keyword.value for keyword in call.keywords if keyword.arg == "own"), None)
        if own is None:
            continue
        asked = _value(call.args[0], parameters) if call.args else None
        chosen = _value(own, parameters) if asked == "auto" else asked
        # Where that is known only while the code runs, any name in the code may be meant.
        named |= set(_texts_in(cells)) if chosen is None else {chosen}
    known = catalogues.data_sets()
    return {name for name in named if name in known or name.startswith("folder:")}


def _places(name: str, data: Path) -> list[Path]:
    """Where a data set may lie, as `helpers.data.load` looks for it."""
    if not name.startswith("folder:"):
        return catalogues.places(name, data=data)
    path = Path(name.removeprefix("folder:")).expanduser()
    return [path] if path.is_absolute() else [ROOT / path, data / path]


def _value(node: ast.expr, parameters: Mapping[str, Any]) -> str | None:
    """The text that an expression stands for; None if only running the code tells."""
    value = parameters.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    return value if isinstance(value, str) else None


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, in lists and maps too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _texts_in(cells: Sequence[CodeCell]) -> Iterator[str]:
    constants = (node.value for cell in cells for node in cell.nodes if isinstance(node, ast.Constant))
    return (value for value in constants if isinstance(value, str))


def _packaged(module: str, path: str) -> Files:
    """A package's file, without its time: that is when the package was installed."""
    spec = find_spec(module)
    folders = (spec and spec.submodule_search_locations) or []
    stamps = [stamp for folder in folders for stamp in _stamp(Path(folder, path))]
    return [(f"{module}/{path}", size, 0) for _, size, _ in stamps]


def _stamp(file: Path) -> Files:
    try:
        status = file.stat()
    except OSError:
        return []
    return [(file.name, status.st_size, status.st_mtime_ns)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _cache(variable: str, name: str) -> Path:
    """Where a library keeps downloads: in the folder of its variable, or under its name where caches are kept."""
    own = os.environ.get(variable)
    return Path(own or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", name)).expanduser()


def _hub_cache() -> Path:
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(own).expanduser() if own else _cache("HF_HOME", "huggingface") / "hub"
