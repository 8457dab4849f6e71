"""What the tests of networks share: a machine without weights of its own, and a small network's."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.models import architectures


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights but those of installed packages; of all servers only those on this computer, without a proxy."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder."""
    (tmp_path / "data/weights").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def small() -> str:
    """Name of a small network of timm's."""
    return "mobilenetv3_small_050"


@pytest.fixture
def small_state(small: str) -> dict[str, Tensor]:
    """What a file of weights for the small network holds, its head of 1000 classes included."""
    state = architectures.build(architectures.get(small), seed=8).state_dict()
    return {**state, "classifier.weight": torch.zeros(1000, 1024), "classifier.bias": torch.zeros(1000)}
