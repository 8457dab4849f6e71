"""What of data sets and weights lies on this machine, by names, sizes and times of files: nothing is read.

It decides whether "auto" means real images or a stand-in, and weights from ImageNet or random ones.
"""

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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


@dataclass(frozen=True)
class Named:
    """What a notebook's code names that may be data or weights.

    Attributes:
        loads: the arguments "which" and ``own`` of each call that has ``own=…``, as ``helpers.data.load`` takes it.
        texts: all that stand in the code.
    """

    loads: list[tuple[ast.expr | None, ast.expr]]
    texts: frozenset[str]


class Disk:
    """What lies on this machine. Each folder is looked at once: make a new one for a new look.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.scan: Callable[..., Files] = lru_cache(maxsize=None)(scan)


def named(cells: Sequence[CodeCell]) -> Named:
    """What code names."""
    nodes = [node for cell in cells for node in cell.nodes]
    loads = [
        (node.args[0] if node.args else None, keyword.value)
        for node in nodes
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "own"
    ]
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return Named(loads, frozenset(texts))


def data_sets(code: Named, parameters: Mapping[str, Any], disk: Disk) -> dict[str, str]:
    """What lies on this machine of the data sets that a notebook may load.

    Args:
        code: what it names. In a call with ``own="…"`` the first argument decides.
        parameters: of the run.
        disk: where to look.

    Returns:
        Data set -> `NOTHING`, or how many files with a hash. Folders have the names that reports may show.
    """
    found: dict[str, Files] = {}
    for name in sorted(_named_sets(code, parameters)):
        files = found.setdefault(clean.private(name), [])
        for number, place in enumerate(_places(name, disk.data)):
            files += [(f"{number}/{path}", *stamp) for path, *stamp in disk.scan(place, depth=_DEPTH)]
    return {name: _state(files) for name, files in found.items()}


def weights(code: Named, parameters: Mapping[str, Any], disk: Disk) -> dict[str, str]:
    """What lies on this machine of the weights that a notebook may begin with: {"weights": …}, as of data sets.

    A file belongs to a network that the parameters or the code name if its own name begins with the network's.

    Args:
        code: what it names.
        parameters: of the run.
        disk: where to look.
    """
    texts = {*_texts(parameters), *code.texts}
    names = tuple(text for text in texts if len(text) >= _SHORTEST_NAME and text.isidentifier())
    files: Files = []
    for folder in (disk.data / "weights", _cache("TORCH_HOME", "torch") / "hub" / "checkpoints"):
        files += [file for file in disk.scan(folder, depth=0) if file[0].startswith(names)]
    for repository in _folders(_hub_cache()):  # named as in "models--timm--resnet18.a1_in1k"
        if repository.name.rpartition("--")[2].startswith(names):
            files += [(f"{repository.name}/{path}", *stamp) for path, *stamp in disk.scan(repository, depth=_DEPTH)]
    for name, module, path in catalogues.packaged_weights():
        if name in names:
            files += _packaged(module, path)
    for text in _texts(parameters):
        if text.endswith(_WEIGHTS_SUFFIXES):
            path = Path(text).expanduser()
            files += [file for place in (path, ROOT / path, disk.data / "weights" / path) for file in _stamp(place)]
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
            try:
                is_folder, status = entry.is_dir(), entry.stat()
            except OSError:  # a link that leads nowhere, or in a circle
                continue
            if not is_folder:
                yield f"{prefix}{entry.name}", status.st_size, status.st_mtime_ns
            elif depth:
                yield from _scan(entry.path, f"{prefix}{entry.name}/", depth - 1)


def _state(files: Files) -> str:
    if not files:
        return NOTHING
    return f"{len(files)} files {digest(*(f'{path} {size} {time}' for path, size, time in sorted(files)))}"


def _named_sets(code: Named, parameters: Mapping[str, Any]) -> set[str]:
    """Names of data sets, and "folder:…", that may be loaded."""
    names = set(_texts(parameters))
    for which, own in code.loads:
        asked = None if which is None else _value(which, parameters)
        chosen = _value(own, parameters) if asked == "auto" else asked
        # Where that is known only while the code runs, any name in the code may be meant.
        names |= code.texts if chosen is None else {chosen}
    known = catalogues.data_sets()
    return {name for name in names if name in known or name.startswith("folder:")}


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
