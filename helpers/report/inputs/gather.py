"""The fingerprint of a notebook's run, and that of its pages."""

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import DATA, ROOT
from helpers.report import clean
from helpers.report.inputs import on_disk
from helpers.report.inputs.imports import used
from helpers.report.inputs.on_disk import Disk
from helpers.report.inputs.sources import CodeCell, code_cells, digest
from helpers.report.parameters import defaults

Fingerprint = dict[str, dict[str, str]]
"""What something depends on: kind -> name -> state, in texts that can be stored as JSON."""

WEIGHTS_MODULE = "helpers.models.weights"
"""Every way to pretrained weights leads through it."""
NOT_NUMBERS = {"IPython", "ipykernel", "ipywidgets", "psutil", "tqdm", "typing_extensions"}
"""Libraries that decide no number and no figure."""
_DRAWING = {"nbconvert", "pypandoc_binary", "typst"}
"""Libraries that pages are drawn with."""
_DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "pandas": ("pandas", "numpy"),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn", "scipy"),
    "yaml": ("pyyaml",),
}
"""What pip calls a library that is imported under another name, and on which others its numbers depend."""


class Inputs:
    """What runs of one notebook depend on: read once, for runs with many sets of parameters.

    Args:
        notebook: as for `fingerprint`.
        root: likewise.
        disk: what lies on this machine.

    Raises:
        UnreadableNotebook: if the parameters cell breaks its rules.
    """

    def __init__(self, notebook: Mapping[str, Any], *, root: Path, disk: Disk) -> None:
        cells = _running(notebook)
        self._defaults = defaults(notebook, name="the notebook")
        self._code = {str(cell.number): digest(cell.does) for cell in cells if cell.does}
        self._used = used(cells, [root, ROOT])
        self._versions = _versions(self._used.libraries)
        self._named = on_disk.named(cells)
        self._disk = disk

    def fingerprint(self, parameters: Mapping[str, Any]) -> Fingerprint:
        """That of a run with these parameters, as far as they override the notebook's own."""
        values = {**self._defaults, **parameters}
        on_this_machine = on_disk.data_sets(self._named, values, self._disk)
        if WEIGHTS_MODULE in self._used.modules:
            on_this_machine |= on_disk.weights(self._named, values, self._disk)
        return {
            "code": dict(self._code),
            "parameters": {name: _parameter(value) for name, value in sorted(values.items())},
            "helpers": _sorted(self._used.modules),
            "data": on_this_machine,
            "libraries": dict(self._versions),
        }


def fingerprint(
    notebook: Mapping[str, Any], *, parameters: Mapping[str, Any], root: Path = ROOT, data: Path = DATA
) -> Fingerprint:
    """Everything that decides what a run of the notebook gives, but for the device: equal fingerprints, equal results.

    Args:
        notebook: nbformat 4, as `helpers.report.plain.read` or nbformat gives it. Its outputs don't count.
        parameters: of the run, as far as they override the notebook's own.
        root: the kernel's working folder, whose modules are the project's as well.
        data: the data folder.

    Returns:
        By kind:
        - "code": number of the code cell -> hash of what it does. Comments, layout and cells that do nothing
          don't count; of the cells' tags those count by which a cell runs otherwise or not at all.
        - "parameters": name -> value as JSON, from the parameters cell and ``parameters``.
        - "helpers": module of the project -> hash of what it does, for each that the code imports, directly or not.
        - "data": data set that may be loaded -> what of it lies on this machine; "weights" likewise, where the code
          can reach pretrained ones.
        - "libraries": Python's version and those of the libraries that the code and the modules import.

    Raises:
        UnreadableNotebook: if the parameters cell breaks its rules.
    """
    return Inputs(notebook, root=root, disk=Disk(data)).fingerprint(parameters)


def helpers_used(notebook: Mapping[str, Any], *, root: Path = ROOT) -> dict[str, str]:
    """The kind "helpers" of the notebook's `fingerprint` alone: no parameters and no data are looked at."""
    return _sorted(used(_running(notebook), [root, ROOT]).modules)


def page(notebook: Mapping[str, Any], *, show_code: str) -> Fingerprint:
    """What decides only how a report looks, given the outputs of a run.

    Args:
        notebook: as for `fingerprint`.
        show_code: whose code the pages show.

    Returns:
        By kind: "prose", all that stands in the notebook but its outputs; and "layout", the modules and templates that
        draw pages, the libraries that they use, and ``show_code``.
    """
    cells = [
        [cell["cell_type"], cell["source"], cell["metadata"], cell.get("attachments")] for cell in notebook["cells"]
    ]
    written = json.dumps([cells, notebook["metadata"]], sort_keys=True, ensure_ascii=False)
    layout = {"helpers.report": _hash_of_report(), "code shown": show_code}
    return {
        "prose": {"prose": digest(written)},
        "layout": layout | _versions({"nbconvert", "typst", "pypandoc_binary"}),
    }


def _running(notebook: Mapping[str, Any]) -> list[CodeCell]:
    """The cells whose code decides what a run gives; parameters count with their values."""
    return [cell for cell in code_cells(notebook) if not cell.is_parameters]


def _sorted(modules: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(modules.items()))


def _parameter(value: Any) -> str:
    """A value as JSON. Executed notebooks are handed on: where this machine keeps its files becomes a hash."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = clean.private(text)
    return text if shown == text else f"{shown} {digest(text)}"


def _versions(libraries: set[str]) -> dict[str, str]:
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for library in sorted(libraries - NOT_NUMBERS):
        for distribution in _DISTRIBUTIONS.get(library, (library,)):
            if version := _version(distribution):
                found[distribution] = version
    return found


@lru_cache
def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def _hash_of_report() -> str:
    """A hash of all files of helpers.report, templates and fonts too."""
    folder = Path(__file__).resolve().parent.parent
    hashed = blake2b(digest_size=8)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            hashed.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()
