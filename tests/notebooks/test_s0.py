"""Notebooks 01 and 02, played at the smoke profile: what they train on, choose by and record, by code of its own."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import ROOT, record
from tests.notebooks.playing import assert_disjoint, hits, play

EXTRACT = (Path(__file__).parent / "S0.txt").read_text(encoding="utf-8")
NOTEBOOKS = ROOT / "notebooks"
FIRST, SECOND = "01_cnn_on_a", "02_transfer_a_to_b"


@pytest.fixture(scope="module")
def first(checkpoints):
    return play(FIRST, checkpoints)


@pytest.fixture(scope="module")
def second(checkpoints, first):
    return play(SECOND, checkpoints, SEEDS_A=[0, 1])  # the second run has a network on A of its own


def plain_accuracy(network, split, classes) -> float:
    """Of one network on a split's images of some classes."""
    return hits(network, split)[np.isin(split.labels, [*classes])].mean()


@pytest.mark.slow
def test_01_chooses_its_epoch_on_validation_and_measures_that_network(first):
    _, (trained, chosen_by), options, _ = first["fits"][0]
    assert len(first["fits"]) == 1 and options["optimizer"] == "adam" and "augment" not in options
    assert {*trained.labels.tolist()} == {*chosen_by.labels.tolist()} == {*range(first["NUM_CLASSES_A"])}
    assert_disjoint([trained, chosen_by, first["a"].test])
    history, numbers = first["history"], first["shown"]
    assert numbers["chosen_epoch"] == 1 + int(np.argmax(history["val_accuracy"]))
    network = first["networks"][first["first"]]
    accuracy = plain_accuracy(network, first["a"].test, range(first["NUM_CLASSES_A"]))
    assert numbers["test_accuracy"] == pytest.approx(accuracy)
    assert numbers["test_accuracy"] == pytest.approx(history.loc[numbers["chosen_epoch"], "test_accuracy"])
    assert numbers["test_accuracy_last"] == pytest.approx(history["test_accuracy"].iloc[-1])


@pytest.mark.slow
def test_01_compares_nothing_where_the_last_epoch_is_the_chosen_one(checkpoints):
    recorded = play(FIRST, checkpoints, EPOCHS=1)["recorded"]
    assert len(recorded["chosen"]["rows"]) == 1
    assert "the last epoch is chosen" in str(recorded["claims"]["rows"])


@pytest.mark.slow
def test_02_trains_on_b_alone_what_each_method_lets_go_of(second):
    assert second["result_a"].resumed_from == second["EPOCHS_A"], "the network is that of 01"
    on_a, on_b = second["fits"][: len(second["SEEDS_A"])], second["fits"][len(second["SEEDS_A"]) :]
    border, methods = second["NUM_CLASSES_A"], second["NAMES"]
    for network_a, _, options, result in on_a:
        assert {*options["train"].labels.tolist()} == {*range(border)}
        assert torch.equal(network_a.conv1_1.weight.cpu(), result.best_state["conv1_1.weight"])
    budgets = {method: [] for method in methods}
    for _, _, options, _ in on_b:
        for split in (options["train"], options["val"]):
            assert {*split.labels.tolist()} == {*range(border, second["num_classes"])}
        if found := re.match(r"method (\d), rate", options["label"]):
            budgets[int(found[1])].append((options["learning_rate"], options["epochs"]))
    tried = {method: budget[: len(second["LEARNING_RATE"])] for method, budget in budgets.items()}
    assert tried[1] == tried[2] == tried[3] == [(rate, second["EPOCHS"]) for rate in second["LEARNING_RATE"]]

    images, seed = second["images"], second["first"]
    groups = {"a": range(border), "b": range(border, second["num_classes"]), "all": range(second["num_classes"])}
    for method in methods:
        means = {}
        for rate in second["LEARNING_RATE"]:
            network = second["grid"][method, seed, rate][0]
            means[rate] = sum(plain_accuracy(network, images.val, groups[part]) for part in "ab") / 2
        assert means[second["rates"][method]] == pytest.approx(max(means.values())), "chosen on validation images"
        for group, classes in groups.items():
            runs = [plain_accuracy(second["networks"][method, seed], images.test, classes) for seed in second["SEEDS"]]
            assert second["shown"][f"method_{method}_{group}"] == pytest.approx(np.mean(runs))

    moves = {1: lambda name: True, 2: lambda name: name.startswith("fc1"), 3: lambda name: name.startswith("fc1.new")}
    for (method, seed), network in second["networks"].items():
        start = second["before"][method, seed]
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value.cpu(), start[name])}
        trained = {name for name, value in start.items() if moves[method](name) and "normalize" not in name}
        assert moved == trained, f"method {method}"
        chosen = on_a[second["SEEDS"].index(seed) % len(on_a)][3].best_state
        assert torch.equal(start["fc1.old.weight"], chosen["fc1.weight"])

    for count, learned in second["few"].items():
        (part,) = {id(o["train"]): o["train"] for _, _, o, _ in on_b if len(o["train"]) == 2 * count}.values()
        assert part.labels.bincount()[border:].tolist() == [count] * (second["num_classes"] - border)
        for (method, _, _), (network, *_) in learned.items():
            accuracy = second["few_hits"][method, count][second["inside"]["B"]].mean()
            assert accuracy == pytest.approx(plain_accuracy(network, images.test, groups["b"]))


def printed(name: str) -> list[str]:
    """The weights of a tensor as the report prints it."""
    return re.findall(r"-?\d\.\d{4}", EXTRACT[EXTRACT.index(f"\n{name}\n") :].split("\n\n")[0])


def test_reported_figures_are_those_of_the_source():
    figures = record.reported("S0").figures
    (settings,) = re.findall(r"learning\\ rate = (\S+), epochs = (\d+), batch\\ size = (\d+)", EXTRACT)
    assert [*map(float, settings)] == figures["value"][["learning_rate", "epochs", "batch_size"]].tolist()
    assert "از epoch پنجاهم به بعد" in EXTRACT and figures["value"]["gap_level_from"] == 50
    assert "باید 80 نورون لایه آخر شبکه قبلی نگه داشته شوند و تنها 20 نورون اضافه شوند" in EXTRACT
    assert "شامل 100 نورون" in EXTRACT
    assert figures["value"][["classes_a", "classes_b", "classes"]].tolist() == [80, 20, 100]

    after = {1: "newModel1", 2: "new_model2", 3: "new_model3"}
    new = [weight for name in after.values() for weight in printed(f"{name}.fc1.weight")[18:]]
    assert figures["printed"]["fc1_new_rows_std"].split() == new and len(new) == 54
    assert figures["value"]["fc1_new_rows_std"] == round(float(np.std([*map(float, new)])), 4)
    for method, name in after.items():
        for part, count in (("conv2_1", None), ("fc1", 18)):
            old, moved = (printed(f"{model}.{part}.weight")[:count] for model in ("my_model", name))
            key = f"method_{method}_{part.replace('fc1', 'fc1_old')}_change"
            if "→" in figures["printed"][key]:
                assert figures["printed"][key].split() == [*old, "→", *moved]
            old, moved = (np.array(weights, dtype=float) for weights in (old, moved))
            change = math.sqrt(((moved - old) ** 2).sum() / (old**2).sum())
            assert figures["value"][key] == round(change, 4), key


def test_every_claim_is_judged_in_one_of_the_two_notebooks():
    sources = "".join(json.dumps(json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())) for name in (FIRST, SECOND))
    assert all(f'\\"{key}\\": ' in sources for key in record.reported("S0").claims.index)
