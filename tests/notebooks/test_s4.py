"""05 and 06 at smoke: what they record is computed anew."""

import re

import numpy as np
import pytest
import torch

from helpers import record
from helpers.data import lower_resolution
from tests.notebooks.playing import answers, assert_disjoint, hits, play, scores

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def resolution():
    return play("05_resolution")


@pytest.fixture(scope="module")
def fashion():
    return play("06_fashion_mnist", DATASET="fashion_mnist_subset", TEST_PER_CLASS=10)


def test_no_image_is_in_two_splits(resolution, fashion):
    assert_disjoint(resolution["images"].all)
    assert_disjoint(fashion["images"].all)


def test_05_tests_each_network_on_the_images_that_it_says(resolution):
    """TOTV asks the network of the first resolution and TVTV each one's own, about test images of that resolution."""
    sharpest = resolution["RESOLUTIONS"][0]
    for (test, size, seed), logits in resolution["logits"].items():
        asked = resolution["networks"][sharpest if test == "TOTV" else size, seed]
        torch.testing.assert_close(
            logits, answers(asked, resolution["lowered"][size].test.images), rtol=1e-3, atol=1e-3
        )
        if test == "TVTV" and size != sharpest:
            assert not torch.equal(logits, resolution["logits"]["TOTV", size, seed])


def test_05_trains_each_network_on_its_own_resolution_as_the_text_says(resolution):
    assert len(resolution["fits"]) == len(resolution["RESOLUTIONS"]) * len(resolution["SEEDS"])
    for (_, splits, options, _), (size, _) in zip(resolution["fits"], resolution["networks"], strict=True):
        for part, of_all in zip(splits, (resolution["images"].train, resolution["images"].val), strict=True):
            assert torch.equal(part.images, lower_resolution(of_all, size).images)
            assert torch.equal(part.labels, of_all.labels)
        assert options["optimizer"] == "sgd" and options["momentum"] == 0.9 and "augment" not in options


def test_05_records_what_its_logits_give(resolution):
    names, truth, numbers = resolution, resolution["images"].test.labels, dict(resolution["shown"])
    for test, sizes in (("TOTV", (32, 16, 8)), ("TVTV", (16, 8))):
        for size in sizes:
            over_seeds = [scores(names["logits"][test, size, seed], truth) for seed in names["SEEDS"]]
            for ending, score in {"": "test", "_precision": "precision", "_f1": "f1"}.items():
                mean = np.mean([each[score] for each in over_seeds])
                assert numbers.pop(f"{test.lower()}_{size}{ending}") == pytest.approx(mean)
    assert not numbers
    for test in ("TOTV", "TVTV"):
        for row in names["recorded"][f"{test.lower()}_classes"]["values"]:
            mine = truth == names["images"].class_names.index(row[0])
            for size, value in zip((32, 16, 8), row[1:], strict=True):
                logits = [names["logits"][test, size, seed][mine] for seed in names["SEEDS"]]
                guesses = torch.stack(logits).argmax(dim=2)
                assert value == pytest.approx((guesses == truth[mine]).float().mean().item())


def test_05_measures_its_training_images_with_nothing_dropped(resolution):
    for size, known in zip(resolution["RESOLUTIONS"], resolution["undropped"]["train"], strict=True):
        split = resolution["lowered"][size].train
        right = hits(resolution["networks"][size, resolution["SEEDS"][0]], split).mean()
        assert known == pytest.approx(right, abs=1.01 / len(split))


def test_06_chooses_rates_on_validation_and_records_what_its_logits_give(fashion):
    names, truth = fashion, fashion["images"].test.labels
    reached = {}
    for name, rate, seed in names["keys"]:
        result = names["tried"][name, rate, seed][1]
        reached.setdefault(name, {}).setdefault(rate, []).append(result.history["val_accuracy"].iloc[-1])
    budgets = {len(rates) for rates in reached.values()}
    assert len(budgets) == 1, "equal budgets"
    for name, rates in reached.items():
        assert np.mean(rates[names["RATE"][name]]) == max(np.mean(values) for values in rates.values())
    for kind, ending in (("all_logits", "_test"), ("tuned_logits", "_tuned_test")):
        for (name, seed), logits in names[kind].items():
            network = names["runs"][name, seed][0] if kind == "all_logits" else names["tuned"][name, seed]
            torch.testing.assert_close(logits, answers(network, names["images"].test.images), rtol=1e-2, atol=1e-2)
            key = re.sub("[ ,]+", "_", name.lower()) + ending
            assert names["shown"][key] == pytest.approx(scores(logits, truth)["test"])
    for row in names["recorded"]["comparisons"]["values"]:
        kind = "all_logits" if "both" in row[0] else "tuned_logits"
        arcs = re.findall(r"Arc\d", row[0])
        one, other = ("Adam", "SGD") if row[0].startswith("Adam") else arcs
        way = arcs[0] if len(arcs) == 1 else re.search("SGD|Adam", row[0])[0]
        pair = [f"{way} {end}" if len(arcs) == 1 else f"{end} {way}" for end in (one, other)]
        accuracies = [scores(names[kind][name, 0], truth)["test"] for name in pair]
        assert row[1] == pytest.approx(accuracies[0] - accuracies[1])


def test_06_trains_as_its_text_says(fashion):
    asked = {options["label"]: (network, options) for network, _, options, _ in fashion["fits"]}
    for label, (network, options) in asked.items():
        assert options["optimizer"] == ("sgd" if "SGD" in label else "adam")
        assert options.get("loss", "cross_entropy") == ("l1" if "L1" in label else "cross_entropy")
        drops = [name for name, layer in network.named_children() if isinstance(layer, torch.nn.Dropout)]
        last = "dropout3" if "Arc3" in label else "dropout2"
        assert drops == ([] if "no dropout" in label else ["dropout1", last])
        assert network.fc1.in_features == (1600 if "Arc3" in label else 9216)


def test_the_contradictions_of_table_9_are_those_that_06_counts(fashion):
    """Is there a recall and a precision that are printed so, and whose F1 is printed as it is?"""
    figures, contradict, far = record.reported("S4").figures["value"], 0, 0
    for accuracy, f1, precision in figures.loc["arc2_adam_0_accuracy":].to_numpy().reshape(40, 3):
        recalls = np.linspace(accuracy - 0.0005, accuracy + 0.0005, 11)
        precisions = np.linspace(precision - 0.005, precision + 0.005, 11)
        possible = 2 / (1 / recalls[:, None] + 1 / precisions)
        contradict += not ((possible >= f1 - 0.005) & (possible <= f1 + 0.005)).any()
        far += abs(2 / (1 / accuracy + 1 / precision) - f1) > 0.015
    assert (contradict, far) == (24, 17)
    table = fashion["recorded"]["table_9"]["values"]
    assert [sum(row[column] for row in table) for column in (1, 2, 3)] == [24, 17, 18]
