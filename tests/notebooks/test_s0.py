"""Notebooks 01 and 02, played at the smoke profile: what they train on, choose by and record, by code of its own."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from helpers import ROOT, record
from tests.notebooks.playing import assert_disjoint, hits, play

pytestmark = pytest.mark.slow

FIRST, SECOND = "01_cnn_on_a", "02_transfer_a_to_b"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Of both notebooks: the second takes a network up that the first has trained."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def first(checkpoints):
    return play(FIRST, checkpoints, BATCH_SIZE=8)


@pytest.fixture(scope="module")
def second(checkpoints, first):
    # The second run has a network on A of its own; B has several batches, the last of them short.
    return play(SECOND, checkpoints, SEEDS_A=[0, 1], BATCH_SIZE=8)


def plain_accuracy(network, split, classes) -> float:
    """Of one network on a split's images of some classes."""
    return hits(network, split)[np.isin(split.labels, [*classes])].mean()


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


def test_01_compares_nothing_where_the_last_epoch_is_the_chosen_one():
    recorded = play(FIRST, EPOCHS=1)["recorded"]
    assert len(recorded["chosen"]["rows"]) == 1
    assert "the last epoch is chosen" in str(recorded["claims"]["rows"])


def judged_01(first, monkeypatch, val_loss: dict[int, float], later_gain: float = 0.0) -> dict:
    """What 01 leaves after it has judged a training of 90 epochs, of these losses and as many images' gain at 80."""
    val = np.interp(range(1, 91), *zip(*val_loss.items(), strict=True))
    accuracy = np.where(np.arange(1, 91) == 80, 0.5 + later_gain, 0.5)
    columns = {"train_loss": np.interp(range(1, 91), (1, 20, 90), (2, 1.3, 0.82)), "val_loss": val}
    history = pd.DataFrame(columns | {"val_accuracy": accuracy}, index=pd.RangeIndex(1, 91, name="epoch"))
    for name in ("claims", "reading"):
        monkeypatch.setattr(record, name, lambda *_, **__: None)
    names = first | {"history": history, "EPOCHS": 90, "PATIENCE": 10, "is_last": False}
    for cell in nbformat.read(ROOT / "notebooks" / f"{FIRST}.ipynb", as_version=4).cells:
        if "evaluate.read_curves(" in cell.source or "record.claims(" in cell.source:
            exec(cell.source, names)
    return names


def test_01_takes_a_later_lower_loss_for_no_overfitting(first, monkeypatch):
    start = {1: 2.2, 20: 1.50, 31: 1.51}
    falls = judged_01(first, monkeypatch, start | {90: 1.30})
    assert falls["curves"].verdict == "overfits" and falls["later"], "the gap grew, and a lower loss came later"
    assert not falls["rose"] and falls["level"] <= 80
    rises = judged_01(first, monkeypatch, start | {90: 1.55})
    assert rises["rose"] and rises["overfitted"] == "does not hold here"


def test_01_lets_training_stop_where_no_later_accuracy_is_clearly_higher(first, monkeypatch):
    losses, images = {1: 2.2, 20: 1.50, 90: 1.55}, len(first["a"].val)
    error = np.sqrt((0.5 * images + 2) * (0.5 * images + 2) / (images + 4) ** 3)  # as if 2 more were right, and 2 wrong
    assert judged_01(first, monkeypatch, losses, 1.8 * error)["suffices"] == "holds here"
    assert judged_01(first, monkeypatch, losses, 2.2 * error)["suffices"] == "does not hold here"
    assert judged_01(first, monkeypatch, {1: 2.2, 20: 1.50, 31: 1.51, 90: 1.45})["suffices"] == "does not hold here"


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
        epochs = {o["epochs"] for _, _, o, _ in on_b if o["train"] is part}
        batches = [len(split.labels.split(second["BATCH_SIZE"])) for split in (second["b"].train, part)]
        assert [epoch * batches[1] for epoch in epochs] == [second["EPOCHS"] * batches[0]], "as many steps as with all"
        for (method, _, _), (network, *_) in learned.items():
            accuracy = second["few_hits"][method, count][second["inside"]["B"]].mean()
            assert accuracy == pytest.approx(plain_accuracy(network, images.test, groups["b"]))


def test_02_tests_which_method_is_ahead_at_each_rate_that_one_of_them_chose(second, monkeypatch):
    border, seeds = second["NUM_CLASSES_A"], second["SEEDS"]
    names, of_b = second["judged"].__globals__, range(border, second["num_classes"])
    chosen = names["rates"][1]
    (other,) = {*second["LEARNING_RATE"]} - {chosen}
    monkeypatch.setitem(names, "rates", {1: chosen, 2: other, 3: chosen})
    said, _ = second["judged"]((1, 2, "B"))
    for rate, runs in ((chosen, seeds), (other, [second["first"]])):
        one, two = (
            np.mean(
                [plain_accuracy(second["trained"][method, seed, rate][0], second["images"].test, of_b) for seed in runs]
            )
            for method in (1, 2)
        )
        assert f"{100 * (one - two):+.1f} at {rate:g}".replace("-", "−") in said
    right, wrong = np.ones((1, len(second["labels"]))), np.zeros((1, len(second["labels"])))
    for reverse, verdict in ((right, "does not hold here"), (wrong, "holds here")):
        at_rate = {(1, chosen): right, (2, chosen): wrong, (1, other): 1 - reverse, (2, other): reverse}
        monkeypatch.setitem(names, "at_rate", at_rate)
        assert second["judged"]((1, 2, "B"))[1] == verdict
