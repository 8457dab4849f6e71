"""Notebooks 01 and 02, played at the smoke profile: what they train on, choose by and record, by code of its own."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from helpers import ROOT, record
from tests.notebooks.playing import play

EXTRACT = (Path(__file__).parent / "S0.txt").read_text(encoding="utf-8")
NOTEBOOKS = ROOT / "notebooks"
FIRST, SECOND = "01_cnn_on_a", "02_transfer_a_to_b"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def first(checkpoints):
    with pytest.MonkeyPatch.context() as patch:
        return play(FIRST, patch, checkpoints)


@pytest.fixture(scope="module")
def second(checkpoints, first):
    with pytest.MonkeyPatch.context() as patch:
        return play(SECOND, patch, checkpoints, SEEDS_A=[0, 1])  # the second run has a network on A of its own


def plain_accuracy(network, split, classes) -> float:
    """Of one network on a split's images of some classes, all logits in one go."""
    of_classes = torch.tensor([label in classes for label in split.labels.tolist()])
    with torch.no_grad():
        guesses = network.cpu().eval()(split.images[of_classes]).argmax(dim=1)
    return (guesses == split.labels[of_classes]).double().mean().item()


def check_first(space) -> None:
    _, (trained, chosen_by), options, _ = space["fits"][0]
    assert len(space["fits"]) == 1 and options["optimizer"] == "adam" and "augment" not in options
    assert {*trained.labels.tolist()} == {*chosen_by.labels.tolist()} == {*range(space["NUM_CLASSES_A"])}
    pixels = [{image.tobytes() for image in part.images.numpy()} for part in (trained, chosen_by, space["a"].test)]
    assert not (pixels[0] & pixels[1] or pixels[0] & pixels[2] or pixels[1] & pixels[2])
    history, numbers = space["history"], space["shown"]
    assert numbers["chosen_epoch"] == 1 + int(np.argmax(history["val_accuracy"]))
    network = space["networks"][space["first"]]
    accuracy = plain_accuracy(network, space["a"].test, range(space["NUM_CLASSES_A"]))
    assert numbers["test_accuracy"] == pytest.approx(accuracy)
    assert numbers["test_accuracy"] == pytest.approx(history.loc[numbers["chosen_epoch"], "test_accuracy"])
    assert numbers["test_accuracy_last"] == pytest.approx(history["test_accuracy"].iloc[-1])


def check_second(space) -> None:
    on_a, on_b = space["fits"][: len(space["SEEDS_A"])], space["fits"][len(space["SEEDS_A"]) :]
    border, methods = space["NUM_CLASSES_A"], space["NAMES"]
    for network_a, _, options, result in on_a:
        assert {*options["train"].labels.tolist()} == {*range(border)}
        assert torch.equal(network_a.conv1_1.weight.cpu(), result.best_state["conv1_1.weight"])
    budgets = {method: [] for method in methods}
    for _, _, options, _ in on_b:
        for split in (options["train"], options["val"]):
            assert {*split.labels.tolist()} == {*range(border, space["num_classes"])}
        if found := re.match(r"method (\d), rate", options["label"]):
            budgets[int(found[1])].append((options["learning_rate"], options["epochs"]))
    tried = {method: budget[: len(space["LEARNING_RATE"])] for method, budget in budgets.items()}
    assert tried[1] == tried[2] == tried[3] == [(rate, space["EPOCHS"]) for rate in space["LEARNING_RATE"]]

    images, seed = space["images"], space["first"]
    groups = {"a": range(border), "b": range(border, space["num_classes"]), "all": range(space["num_classes"])}
    for method in methods:
        means = {}
        for rate in space["LEARNING_RATE"]:
            network = space["grid"][method, seed, rate][0]
            means[rate] = sum(plain_accuracy(network, images.val, groups[part]) for part in "ab") / 2
        assert means[space["rates"][method]] == pytest.approx(max(means.values())), "chosen on validation images"
        for group, classes in groups.items():
            runs = [plain_accuracy(space["networks"][method, seed], images.test, classes) for seed in space["SEEDS"]]
            assert space["shown"][f"method_{method}_{group}"] == pytest.approx(np.mean(runs))

    moves = {1: lambda name: True, 2: lambda name: name.startswith("fc1"), 3: lambda name: name.startswith("fc1.new")}
    for (method, seed), network in space["networks"].items():
        start = space["before"][method, seed]
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value.cpu(), start[name])}
        trained = {name for name, value in start.items() if moves[method](name) and "normalize" not in name}
        assert moved == trained, f"method {method}"
        chosen = on_a[space["SEEDS"].index(seed) % len(on_a)][3].best_state
        assert torch.equal(start["fc1.old.weight"], chosen["fc1.weight"])

    for count, learned in space["few"].items():
        (part,) = {id(o["train"]): o["train"] for _, _, o, _ in on_b if len(o["train"]) == 2 * count}.values()
        assert part.labels.bincount()[border:].tolist() == [count] * (space["num_classes"] - border)
        for (method, _, _), (network, *_) in learned.items():
            accuracy = space["few_hits"][method, count][space["inside"]["B"]].mean()
            assert accuracy == pytest.approx(plain_accuracy(network, images.test, groups["b"]))


@pytest.mark.slow
def test_01_chooses_its_epoch_on_validation_and_measures_that_network(first):
    check_first(first)


@pytest.mark.slow
def test_02_trains_on_b_alone_what_each_method_lets_go_of(second):
    check_second(second)
    assert second["result_a"].resumed_from == second["EPOCHS_A"], "the network is that of 01"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"train": b.train, "epochs": EPOCHS', '"train": images.train, "epochs": EPOCHS'),
        ("val=b.val", "val=images.test"),
        ("networks_a[seed].load_state_dict(result.best_state)", "pass"),
        ("if method == 3:", "if method == 4:"),
        ('tried.groupby("method")["mean"].idxmax()', 'tried.groupby("method")["mean"].idxmin()'),
    ],
    ids=["trains on A as well", "validates on test", "last epoch of A", "method 3 is method 2", "worst rate"],
)
def test_a_fault_in_02_is_noticed(right, wrong, checkpoints, first, monkeypatch):
    space = play(SECOND, monkeypatch, checkpoints, {right: wrong})
    with pytest.raises(AssertionError):
        check_second(space)


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


def test_the_full_profiles_take_over_the_reported_settings():
    figures = record.reported("S0").figures["value"]
    profiles = {
        name: yaml.safe_load((NOTEBOOKS / "profiles/full" / f"{name}.yaml").read_text()) for name in (FIRST, SECOND)
    }
    of_a = profiles[FIRST]
    assert of_a["LEARNING_RATE"] == figures["learning_rate"] and of_a["EPOCHS"] == figures["epochs"]
    assert of_a["BATCH_SIZE"] == figures["batch_size"] and of_a["NUM_CLASSES_A"] == figures["classes_a"]
    assert profiles[SECOND]["LEARNING_RATE_A"] == of_a["LEARNING_RATE"]
    assert profiles[SECOND]["EPOCHS_A"] == of_a["EPOCHS"] and profiles[SECOND]["WIDTH"] == of_a["WIDTH"]


def test_every_claim_is_judged_in_one_of_the_two_notebooks():
    sources = "".join(json.dumps(json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())) for name in (FIRST, SECOND))
    assert all(f'\\"{key}\\": ' in sources for key in record.reported("S0").claims.index)
