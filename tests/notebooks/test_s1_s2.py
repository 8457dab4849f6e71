"""03 and 04, which follow reports S1 and S2: what trained on what, at which rate, chosen by what; and recorded numbers
recomputed by code of its own."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.nn import functional as F

from helpers import evaluate, models
from tests.notebooks.playing import answers, assert_disjoint, hits, play, table

pytestmark = pytest.mark.slow

STRATEGIES, DEPTHS = "03_resnet_strategies", "04_freezing_depth"


def check_splits(space):
    """Disjoint; and every training learns from the training images and is watched on the validation images."""
    images = space["images"]
    assert_disjoint(images.all)
    for _, splits, _, _ in space["fits"]:
        assert splits[0] is images.train, "trains on the training images"
        assert splits[1] is images.val, "watched on the validation images"


def check_rates(space, name, chosen, rates):
    """Each of these rates is tried for as long, and the one chosen that has the best validation accuracy."""
    tried = [run for run in space["fits"] if run[2]["label"].startswith(f"{name}, rate")][: len(rates)]
    ends = [result.history.iloc[-1] for *_, result in tried]
    assert len({len(result.history) for *_, result in tried}) == 1
    assert [options["learning_rate"] for _, _, options, _ in tried] == rates
    best = max(zip(ends, rates, strict=True), key=lambda pair: (pair[0]["val_accuracy"], -pair[0]["val_loss"]))
    assert chosen == pytest.approx(best[1])
    return {options.get("optimizer", "adam") for _, _, options, _ in tried}


def test_03_trains_chooses_and_records_what_it_says():
    space = play(STRATEGIES)
    check_splits(space)
    images = space["images"]
    factors = space["RATE_FACTORS"]
    for name in ("scratch", "extraction"):
        rates = [factor * space["LEARNING_RATE"] for factor in factors]
        assert check_rates(space, name, space["chosen"][name] * space["LEARNING_RATE"], rates) == {"adam"}
    tuned = [run for run in space["fits"] if run[2]["label"].startswith("fine-tuning, rate")][: len(factors)]
    for factor, (network, _, options, _) in zip(factors, tuned, strict=True):
        groups = options["optimizer"](network).param_groups
        assert [group["lr"] for group in groups] == [factor * rate for rate in reversed(space["LEARNING_RATES_TUNED"])]
        assert [len(group["params"]) for group in groups] == [len([*network.parameters()]) - 4, 4]

    body = space["backbone"].body.cpu().state_dict()
    for (name, _), network in space["networks"].items():
        state = network.cpu().state_dict()
        moved = [not torch.equal(state[key], value) for key, value in body.items() if "normalize" not in key]
        assert not any(moved) if name == "extraction" else all(moved), name

    for name in space["RUNS"]:
        key = name.replace("-", "_")
        networks = [network for (kind, _), network in space["networks"].items() if kind == name]
        right = [hits(network, images.test) for network in networks]
        assert space["shown"][f"{key}_test"] == pytest.approx(np.mean(right))
        lasts = [space["results"][name, seed].history.iloc[-1] for seed in space["RUNS"][name]]
        for column in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            if name != "scratch" or "accuracy" in column:
                assert space["shown"][f"{key}_{column}"] == pytest.approx(np.mean([last[column] for last in lasts]))
            else:  # the report's is another quantity
                assert f"{key}_{column}" not in space["shown"]
    check_svm(space)
    assert space["maps"]["conv1"].min() == 0, "the stage's ReLU is behind its convolution"
    right = space["hits"]
    check_comparisons(space, [(right["fine-tuning"], right[name]) for name in space["rivals"]])
    for name, key in (("fine-tuning", "tuned"), ("extraction", "head")):
        network = space["networks"][name, space["RUNS"][name][0]]
        found = [space["after"][key], space["after"][f"{key}_val"]]
        assert found == pytest.approx([hits(network, split).mean() for split in (images.train, images.val)])


def check_svm(space):
    """scikit-learn's machine, fitted anew on the body's features of the training images."""
    images, row = space["images"], table(space, "svm")[0 if space["kernel"] == "linear" else 1]
    features = {split.split: answers(space["backbone"].body, split.images).numpy() for split in images.all}
    machine = make_pipeline(StandardScaler(), SVC(kernel=space["kernel"].lower(), C=row["C"]))
    machine.fit(features["train"], images.train.labels.numpy())
    assert space["machine"]["scale"].mean_ == pytest.approx(features["train"].mean(axis=0), abs=1e-3)
    assert row["support vectors"] == machine[-1].n_support_.sum()
    for name, split in (("svm_test", images.test), ("svm_train_accuracy", images.train)):
        accuracy = machine.score(features[split.split], split.labels.numpy())
        assert space["shown"][name] == pytest.approx(accuracy)


def check_comparisons(space, pairs):
    """As `evaluate.compare` has it, for all comparisons together."""
    for row, pair in zip(table(space, "comparisons"), pairs, strict=True):
        found = evaluate.compare(*pair, comparisons=len(pairs))
        assert (row["difference"], row["low"], row["high"]) == (found.difference, found.low, found.high)
        assert (row["interval over"], row["verdict"]) == (found.sampled, found.verdict)
        assert "comparisons" not in row, "the caption tells how many"


def test_04_trains_chooses_and_records_what_it_says():
    space = play(DEPTHS)
    check_splits(space)
    images, results, depths = space["images"], space["results"], space["depths"]
    chosen = {row["what trains"]: row["chosen"] for row in table(space, "rates")}
    for name, title in space["TITLES"].items():
        rate = space["LEARNING_RATE_SGD" if name == "SGD" else "LEARNING_RATE"]
        optimizers = check_rates(space, name, chosen[title], [factor * rate for factor in space["RATE_FACTORS"]])
        assert optimizers == {"sgd" if name == "SGD" else "adam"}
        accuracies = [hits(space["networks"][name, seed], images.test).mean() for seed in space["RUNS"][name]]
        (shown,) = [n["value"] for n in space["recorded"]["results"]["numbers"] if n["label"].startswith(f"{title}:")]
        assert shown == pytest.approx(np.mean(accuracies))

    body = space["backbone"].body.cpu().state_dict()
    for count, depth in depths.items():
        blocks = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
        trains = blocks if count is None else blocks[len(blocks) - count :]
        state = space["networks"][depth, space["RUNS"][depth][0]].cpu().state_dict()
        moved = {key for key, value in body.items() if not torch.equal(state[key], value)}
        assert moved == {key for key in body if key.split(".")[0] in trains}, depth

    length = max(space["EPOCHS"])
    validated = {
        depth: [results[depth, seed].history["val_accuracy"].iloc[-1] for seed in space["RUNS"][depth]]
        for depth in depths.values()
    }
    highest = max(np.mean(values) for values in validated.values())
    ties = [depth for depth, values in validated.items() if np.mean(values) == pytest.approx(highest)]
    assert space["tied"] == ties and space["chosen"] == ties[0], "of equal ones the smallest depth"
    right, head = space["hits"], space["head"]
    check_comparisons(space, [(right[name], right[head]) for name in space["named"]])
    for key, name in {"frozen": depths[0], "unfrozen": depths[1], "sgd": "SGD", "vgg16": "other"}.items():
        losses = [results[name, seed].history["train_loss"].iloc[1] for seed in space["RUNS"][name]]
        assert length == 2 and space["shown"][f"{key}_loss_2_of_2"] == pytest.approx(np.mean(losses))

    rows, seeds = table(space, "backbones"), space["SEEDS"]
    for row, name in zip(rows, (depths[0], "other"), strict=True):
        on_train, on_val = (
            np.mean([hits(space["networks"][name, seed], split).mean() for seed in seeds])
            for split in (images.train, images.val)
        )
        assert row["gap"] == pytest.approx(on_train - on_val)
    assert space["wider"].difference == pytest.approx(rows[1]["gap"] - rows[0]["gap"]), "the table's gaps"

    # The last stage's maps, averaged over their places, are the body's output.
    features = [answers(space["backbone"].body, split.images).numpy() for split in (images.train, images.val)]
    linear = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-1, 5, 7)))
    linear.fit(features[0], images.train.labels.numpy())
    assert space["probes"].iloc[-1, 0] == pytest.approx(linear.score(features[1], images.val.labels.numpy()))
    # So they are where the last stage ends with a BatchNorm and a ReLU behind the convolution that names it.
    mobile = models.backbone("mobilenet_v2", weights="random").body
    *_, (name, given) = space["probe_inputs"](mobile, images.val).items()
    assert name == "conv_head" and given == pytest.approx(answers(mobile, images.val.images).numpy(), abs=1e-5)

    # Normalised as ResNet-18's images are.
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    network, inputs = space["plain"][1:].train(), (images.train.images[:16] / 255 - mean) / std
    weights = [layer.weight for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    loss = F.cross_entropy(network(inputs), images.train.labels[:16])
    gradients = torch.autograd.grad(loss, [weights[0], weights[-1]])
    first, last = (np.sqrt(np.mean(gradient.numpy() ** 2)) for gradient in gradients)
    assert space["arrives"]["VGG16 with PyTorch's start"] == pytest.approx(first / last, rel=1e-3)
    he = [layer for layer in space["he"].modules() if isinstance(layer, torch.nn.Conv2d)]
    assert not any(layer.bias.any() for layer in he), "zero, as torchvision starts them"
