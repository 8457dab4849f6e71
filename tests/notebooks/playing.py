"""Plays a notebook's cells in one namespace, at the smoke profile, and notes what it trains and records."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
import yaml
from sklearn import metrics
from torch import nn

import helpers
from helpers import ROOT, record, train
from helpers.data import ImageData


def play(name: str, checkpoints: Path | None = None, **parameters: Any) -> dict[str, Any]:
    """The names that a notebook leaves, and besides: "fits", each training's (network, splits, options, result);
    "recorded", what it handed over, by name; "shown", the values of its numbers. Parameters go over the profile's.

    Without a folder for checkpoints none are kept: those of all notebooks are five gigabytes.
    """
    fits, recorded, fit = [], {}, train.fit

    def listening(network, *splits, **options):
        result = fit(network, *splits, **options | {"checkpoint": checkpoints and options["checkpoint"]})
        fits.append((network, splits, options, result))
        return result

    profile = yaml.safe_load((ROOT / "notebooks/profiles/smoke" / f"{name}.yaml").read_text())
    names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(helpers, "CHECKPOINTS", checkpoints or Path())
        patch.setattr(train, "fit", listening)
        patch.setattr(train, "inference_rate", lambda *_, **__: 1.0)  # measured for seconds, and no number to check
        patch.setattr(record, "_show", lambda content, bundle: recorded.setdefault(content.get("name"), content))
        patch.setattr(record, "figure", lambda axes, name, caption, **_: plt.close(np.ravel(axes)[0].figure))
        for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, name, "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names.update(profile | parameters)
    numbers = {n["name"]: n["value"] for content in recorded.values() for n in content.get("numbers", [])}
    return names | {"fits": fits, "recorded": recorded, "shown": numbers}


def table(space: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of a table that a notebook recorded."""
    content = space["recorded"][name]
    return [dict(zip(content["names"], row, strict=True)) for row in content["values"]]


def scores(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, and scikit-learn's means over the classes there are."""
    truth, guesses = labels.numpy(), logits.argmax(dim=1).numpy()
    options = {"labels": np.unique(truth), "average": "macro", "zero_division": 0}
    means = metrics.precision_recall_fscore_support(truth, guesses, **options)
    return dict(zip(("precision", "recall", "f1"), means, strict=False)) | {"test": (truth == guesses).mean()}


def answers(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The logits of a plain pass in eval mode."""
    with torch.no_grad():
        return network.cpu().eval()(images)


def hits(network: nn.Module, split: ImageData) -> np.ndarray:
    """For each image 1 if the network names its class, else 0."""
    return (answers(network, split.images).argmax(dim=1) == split.labels).double().numpy()


def pixels(split: ImageData) -> set[bytes]:
    """The images, each once."""
    return {image.tobytes() for image in split.images.numpy()}


def assert_disjoint(splits: Iterable[ImageData]) -> None:
    """No image is in two of them."""
    for one, other in combinations(map(pixels, splits), 2):
        assert not one & other
