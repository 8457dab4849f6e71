"""07 and 08, which follow report S3: numbers recomputed, and who trained on what."""

import shutil

import numpy as np
import pytest
import torch
from sklearn import metrics

from tests.notebooks.playing import assert_disjoint, hits, pixels, play, scores, table

pytestmark = pytest.mark.slow

SEVEN, EIGHT = "07_capacity_and_regularisation", "08_pretrained_comparisons"


@pytest.fixture(scope="module")
def spaces(tmp_path_factory):
    """What each notebook leaves, played at the smoke profile, the second with the checkpoints of the first."""
    checkpoints = tmp_path_factory.mktemp("checkpoints")
    yield play(SEVEN, checkpoints), play(EIGHT, checkpoints)
    shutil.rmtree(checkpoints)


def expected(stem, space, name, labels):
    """Numbers of a network, from the logits, labels and history of its runs."""
    rows = []
    for seed in space["SEEDS"]:
        row, history = scores(space["logits"][name, seed], labels), space["results"][name, seed].history
        for metric, column in (("train", "train_accuracy"), ("val", "val_accuracy")):
            row |= {metric: history[column].iloc[-1], f"{metric}_loss": history[f"{metric}_loss"].iloc[-1]}
        rows.append(row | {"best_val": history["val_accuracy"].max()})
    return {f"{stem}_{metric}": np.mean([row[metric] for row in rows]) for metric in rows[0]}


def test_recorded_numbers_are_those_of_the_logits_and_histories(spaces):
    seven, eight = spaces
    images, numbers = seven["images"], {}
    for name, stem in seven["stems"].items():
        numbers |= expected(stem, seven, name, images.test.labels)
        known = hits(seven["networks"][name, 0], images.train).mean()
        numbers[f"{stem}_gap"] = known - seven["results"][name, 0].history["val_accuracy"].iloc[-1]
    probabilities = seven["logits"]["CNNModel2", 0].softmax(1)
    numbers["cnn_model_2_auc"] = min(
        metrics.roc_auc_score(images.test.labels == k, probabilities[:, k]) for k in range(10)
    )
    for name, used in eight["used"].items():
        numbers |= expected(eight["stems"][name], eight, name, used.test.labels)
    recorded = seven["shown"] | eight["shown"]
    assert not [key for key in eight["in_report"] if not key.startswith("cnnmodel")], "the report's are not random"
    assert {f"{stem}_test" for stem in seven["stems"].values()} < {*recorded}
    checked = {name: value for name, value in recorded.items() if not name.endswith("_parameters")}
    assert checked == pytest.approx({name: numbers[name] for name in checked}, abs=1e-6)


def test_a_change_is_measured_on_the_same_test_images(spaces):
    space, _ = spaces
    right = {name: hits(network, space["images"].test).mean() for (name, _), network in space["changed"].items()}
    rows = table(space, "ablation")
    assert len(rows) == 7
    for row in rows:
        name, against = space["PAIRS"][row["change"]]
        assert row["test"] == pytest.approx(right[name]) and row["against"] == against
        assert row["difference"] == pytest.approx(right[name] - right[row["against"]])


def test_nothing_is_trained_or_chosen_on_test_images(spaces):
    seven, eight = spaces
    for space, sets in ((seven, [seven["images"]]), (eight, eight["sets"].values())):
        trains, vals, tests = set(), set(), set()
        for images in sets:
            assert_disjoint(images.all)
            trains, vals, tests = trains | pixels(images.train), vals | pixels(images.val), tests | pixels(images.test)
        for _, splits, options, _ in space["fits"]:
            learns, watches = map(pixels, splits)
            assert not (learns | watches) & tests
            if options["label"].startswith("by heart"):
                assert learns == watches and learns < trains
            elif not options["label"].startswith("negatives"):
                assert learns <= trains and watches <= vals


def test_trainings_are_as_the_text_says(spaces):
    space, _ = spaces
    epochs = {}
    for _, _, options, _ in space["fits"]:
        assert (options["optimizer"], options["learning_rate"], options["batch_size"]) == ("adam", 0.001, 32)
        assert bool(options["augment"]) == options["label"].startswith(("CNNModel,", "augmentation"))
        assert "weight_decay" not in options and "loss" not in options
        epochs[options["label"].rpartition(", ")[0]] = options["epochs"]
    assert len({epochs[name] for name in ("BatchNorm", "dropout", "augmentation", "CNNModel2", "CNNModel")}) == 1
    assert {number for name, number in epochs.items() if name.startswith("by heart")} == {2}


def test_only_what_should_train_moves(spaces):
    """Weights and statistics: of fc1 and fc2, in one training of conv4 too, or of the last ten layers with weights."""
    _, space = spaces
    first = space["fits"][0]
    assert first[3].resumed_from == first[2]["epochs"], "its first network is that of 07"
    rates = {"CNNModel, set 1": 0.005, "CNNModel, set 2": 0.005, "resnet18": 0.001, "mobilenet_v2": 0.001}
    for _, _, options, _ in space["fits"][1:]:
        start = next((name for name in rates if options["label"].startswith(name)), None)
        assert options["learning_rate"] == rates.get(start, 0.005) and options.get("optimizer", "adam") == "adam"
        assert bool(options.get("augment")) == (start not in ("resnet18", "mobilenet_v2"))
    for (name, seed), network in (space["networks"] | space["changed"]).items():
        before, after = space["made"][name](seed).state_dict(), network.state_dict()
        layers = {key.rpartition(".")[0] for key, value in after.items() if not torch.equal(value.cpu(), before[key])}
        if name in space["backbones"]:
            assert len(layers) == 10
        else:
            assert layers == ({"conv4", "bn4"} if "conv4" in name else set()) | {"fc1", "fc2"}


def test_random_convolutions_are_all_that_differs(spaces):
    _, space = spaces
    random, as_above = (space["made"][name](0).eval() for name in ("random convolutions", space["FC"]))
    for layer in ("fc1", "fc2"):
        assert torch.equal(getattr(random, layer).weight, getattr(as_above, layer).weight)
    assert not torch.equal(random.conv4.weight, as_above.conv4.weight)
    with torch.no_grad():
        normed = random[: [*random._modules].index("bn4") + 1](space["photographs"].train.images)
    assert normed.mean().abs() < 0.1 and normed.std() == pytest.approx(1, abs=0.1)
