"""Notebooks at the edges of their parameters: one seed, two classes, few images, weights that are missing."""

import math

import pytest

from tests.notebooks.playing import play

pytestmark = pytest.mark.slow
WITHOUT_RESNET = {"WEIGHTS": "auto", "BACKBONES": ["seresnet50", "tf_efficientnet_lite0"]}
EDGES = {
    "01_cnn_on_a": {"EPOCHS": 1, "NUM_CLASSES_A": 2, "SEEDS": [0, 1]},
    "02_transfer_a_to_b": {"EPOCHS": 1, "EPOCHS_A": 1, "SEEDS": [3], "NUM_CLASSES_A": 9, "IMAGES_OF_B": [99]},
    "03_resnet_strategies": {"SEEDS": [3], "SEEDS_BODY": [0, 1], "CHECKPOINT_EVERY": 2},
    "04_freezing_depth": {"EPOCHS": [1], "SEEDS": [3], "UNFROZEN": [], **WITHOUT_RESNET},  # a frozen body alone
    "05_resolution": {"EPOCHS": 1, "NUM_CLASSES": 3, "TRAIN_PER_CLASS": 2, "SEEDS": [3]},
    "06_fashion_mnist": {"EPOCHS": 1, "DROPOUT": 0, "SEEDS": [0, 1]},
    "07_capacity_and_regularisation": {"EPOCHS": [1, 1, 1], "SEEDS": [0, 1], "NUM_CLASSES": 3},
    "08_pretrained_comparisons": {"EPOCHS": [1, 1, 1], "SEEDS": [3], "NETWORKS": ["resnet18"]},
}


@pytest.mark.parametrize("name", EDGES)
def test_its_numbers_are_finite_at_the_edges_of_its_parameters(name):
    space = play(name, **EDGES[name])
    assert space["shown"] and all(map(math.isfinite, space["shown"].values()))
    if name.startswith("04"):
        assert "nan" not in str(space["recorded"]["claims"]["rows"]), "a depth that did not run has no time"
