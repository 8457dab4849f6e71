"""What the tests of networks share: a machine without weights of its own, and a small network's."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

from helpers.models import Backbone, backbone, seeded

SMALL = "mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights but those of installed packages, and no connection to Hugging Face."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder."""
    (tmp_path / "data/weights").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def random_backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Backbone]:
    """Networks without weights of ImageNet, each built once."""
    return functools.cache(lambda name: backbone(name, weights="random", root=tmp_path_factory.mktemp("data")))


@pytest.fixture
def small_state() -> dict[str, Tensor]:
    """What a file of weights for the small network holds, its head of 1000 classes included."""
    with seeded(8):
        state = timm.create_model(SMALL, num_classes=0).state_dict()
    return {**state, "classifier.weight": torch.zeros(1000, 1024), "classifier.bias": torch.zeros(1000)}
