"""What `helpers.data.sets` and `helpers.models.packaged` declare, read from their sources.

Importing them would import PyTorch. What counts is what they give by name as plain values, as in
``PublicSet(name="cifar10", folder="cifar-10-batches-py", …)``.
"""

import ast
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from helpers import ROOT
from helpers.report.inputs.imports import module_at


def data_sets() -> list[str]:
    """The names of the catalogue."""
    return list(_folders_of_sets())


def places(name: str, *, data: Path) -> list[Path]:
    """Where a data set of the catalogue may lie, the preferred place first.

    Args:
        name: from `data_sets`.
        data: the data folder.
    """
    folder, system_folder = _folders_of_sets()[name]
    prefixes = dict.fromkeys((Path("/usr"), Path("/usr/local"), Path(sys.prefix)))
    return [data / folder, *(prefix / system_folder for prefix in prefixes if system_folder)]


@lru_cache(maxsize=1)
def packaged_weights() -> list[tuple[str, str, str]]:
    """The network, the package's module and the file in it, for each package that brings weights."""
    found = _declared("models/packaged.py", "PackagedWeights")
    return [(weights["network"], weights["module"], weights["file"]) for weights in found]


@lru_cache(maxsize=1)
def _folders_of_sets() -> dict[str, tuple[str, str]]:
    downloads = _declared("data/sets.py", "PublicSet")
    folders = {entry["name"]: (entry["folder"], entry.get("system_folder", "")) for entry in downloads}
    return folders | {local["name"]: (local["name"], "") for local in _declared("data/sets.py", "LocalSet")}


def _declared(file: str, kind: str) -> list[dict[str, Any]]:
    """The plain values given by name in each call of ``kind`` in a file of helpers."""
    tree = module_at(ROOT / "helpers" / file).tree
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == kind]
    return [{k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)} for call in calls]
