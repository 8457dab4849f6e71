"""Plays a notebook's cells in one namespace, at the smoke profile, and notes what it trains and records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import yaml

import helpers
from helpers import ROOT, record, train


def cells(name: str) -> list[Any]:
    """A notebook's cells."""
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells


def play(
    name: str, patch: pytest.MonkeyPatch, checkpoints: Path, faults: Mapping[str, str] | None = None, **parameters: Any
) -> dict[str, Any]:
    """The names that a notebook leaves, and besides: "fits", each training's (network, splits, options, result);
    "recorded", what it handed over, by name; "shown", the values of its numbers.

    Args:
        name: of the notebook.
        patch: undone by whoever made it.
        checkpoints: their folder.
        faults: pieces of its cells, and what stands in their place.
        parameters: over those of the profile.
    """
    fits, recorded, fit = [], {}, train.fit

    def listening(network, *splits, **options):
        result = fit(network, *splits, **options)
        fits.append((network, splits, options, result))
        return result

    patch.setenv("LOKY_MAX_CPU_COUNT", "1")  # trainings side by side would not be listened to in other processes
    patch.setattr(helpers, "CHECKPOINTS", checkpoints)
    patch.setattr(train, "fit", listening)
    patch.setattr(record, "_show", lambda content, bundle: recorded.setdefault(content.get("name"), content))
    patch.setattr(record, "figure", lambda axes, name, caption, **_: plt.close(np.ravel(axes)[0].figure))
    profile = yaml.safe_load((ROOT / "notebooks/profiles/smoke" / f"{name}.yaml").read_text())
    names = {"__name__": "__main__"}
    for cell in cells(name):
        source = cell.source
        for right, wrong in (faults or {}).items():
            source = source.replace(right, wrong)
        if cell.cell_type == "code":
            exec(compile(source, name, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names.update(profile | parameters)
    numbers = {n["name"]: n["value"] for content in recorded.values() for n in content.get("numbers", [])}
    return names | {"fits": fits, "recorded": recorded, "shown": numbers}
