"""`fit` and `predict` beside a plain PyTorch loop that shares no code with them: history, weights and predictions."""

import copy
import hashlib
import time
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import models, train

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def mix(*numbers: int) -> int:
    """What the workbook promises: all that is random comes from a hash of seed, epoch and batch."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "big") >> 1


def plain_loss(name, logits, labels):
    if name == "l1":
        return (logits - torch.eye(logits.shape[1])[labels]).abs().mean()
    return -torch.log_softmax(logits, dim=1)[range(len(labels)), labels].mean()


def plain_loop(network, splits, options, optimizer):
    """Rows of the history, and the network's state after each epoch. Trains the network in place."""
    epochs, batch_size, seed = options["epochs"], options["batch_size"], options["seed"]
    images, labels = splits["train"].images, splits["train"].labels
    usable = len(labels) - (len(labels) % batch_size == 1)
    rows, states = [], []
    for epoch in range(1, epochs + 1):
        network.train()
        if not options["move_frozen_statistics"]:
            network[: options["frozen"]].eval()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(mix(seed, epoch)))[:usable]
        losses, correct = 0.0, 0
        for batch, chosen in enumerate(order.split(batch_size)):
            torch.manual_seed(mix(seed, epoch, batch))
            logits = network(options["augment"](images[chosen]) if options["augment"] else images[chosen])
            value = plain_loss(options["loss"], logits, labels[chosen])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses += value.item() * len(chosen)
            correct += (logits.argmax(1) == labels[chosen]).sum().item()
        row = {"train_loss": losses / usable, "train_accuracy": correct / usable}
        network.eval()
        for name, split in list(splits.items())[1:]:
            with torch.no_grad():
                logits = network(split.images)
            row[f"{name}_loss"] = plain_loss(options["loss"], logits, split.labels).item()
            row[f"{name}_accuracy"] = (logits.argmax(1) == split.labels).double().mean().item()
        rows.append(row)
        states.append(copy.deepcopy(network.state_dict()))
    return rows, states


def make_network() -> nn.Sequential:
    with models.seeded(3):
        # BatchNorm would leave a bias without a gradient, and Adam would take rounding errors for one.
        body = [nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)]
        return nn.Sequential(models.Normalize(MEAN, STD), *body, nn.Linear(6 * 36, 4))


PLAIN = {
    "sgd": lambda p, o: torch.optim.SGD(p, o["learning_rate"], o["momentum"], weight_decay=o["weight_decay"]),
    "adam": lambda p, o: torch.optim.Adam(p, o["learning_rate"], weight_decay=o["weight_decay"]),
    "adamw": lambda p, o: torch.optim.AdamW(p, o["learning_rate"], weight_decay=o["weight_decay"]),
}
OPTIONS = {"epochs": 3, "batch_size": 8, "loss": "cross_entropy", "seed": 0, "augment": None}
OPTIONS |= {"optimizer": "adam", "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.0}
OPTIONS |= {"move_frozen_statistics": False, "frozen": 0}
ONE_OPTION_EACH = [
    *({"optimizer": name, "weight_decay": decay} for name, decay in product(PLAIN, (0.0, 0.1))),
    {"optimizer": "sgd", "momentum": 0.5},
    {"loss": "l1"},
    {"seed": 1},
    {"epochs": 2, "batch_size": 17},  # of 35 images the last would be alone
    {"augment": train.RandomAffine(degrees=20, zoom=(0.8, 1.2), shift=0.1)},
    {"frozen": 3},  # of the network's layers
    {"frozen": 3, "move_frozen_statistics": True},
    {"frozen": 3, "augment": train.RandomAffine()},
]


@pytest.mark.parametrize("change", ONE_OPTION_EACH, ids=lambda change: " ".join(f"{k}={v}" for k, v in change.items()))
def test_history_weights_and_predictions_are_those_of_a_plain_loop(make_images, cpu, change):
    splits = {"train": make_images(12).subset(torch.arange(35))}
    splits |= {name: make_images(5, seed=seed) for name, seed in (("val", 1), ("second", 2), ("third", 3))}
    network, plain, options = make_network(), make_network(), {**OPTIONS, **change}
    for each in (network, plain):
        each[: options["frozen"]].requires_grad_(False)
    parameters = [parameter for parameter in plain.parameters() if parameter.requires_grad]
    rows, states = plain_loop(plain, splits, options, PLAIN[options["optimizer"]](parameters, options))
    del options["frozen"]
    result = fit(network, splits, cpu, **options)
    check(result, network, rows, states)
    with torch.no_grad():
        expected = plain(splits["val"].images)
    torch.testing.assert_close(train.predict(network, splits["val"], compute=cpu), expected, rtol=1e-3, atol=1e-4)


def test_an_optimizer_of_ones_own_has_a_rate_for_each_group(make_images, cpu):
    splits = {"train": make_images(9), "val": make_images(5, seed=1)}
    network, plain, options = make_network(), make_network(), dict(OPTIONS)

    def groups(model):
        body, head = model[1:-1].parameters(), model[-1].parameters()
        return torch.optim.SGD([{"params": body, "lr": 0.05}, {"params": head}], 0.2)

    rows, states = plain_loop(plain, splits, options, groups(plain))
    del options["frozen"]
    check(fit(network, splits, cpu, **{**options, "optimizer": groups}), network, rows, states)


def fit(network, splits, compute, **options):
    rest = dict(splits)
    return train.fit(network, rest.pop("train"), rest.pop("val"), extra=rest, compute=compute, **options)


def check(result, network, rows, states):
    """What `fit` gave and did is what the plain loop did."""
    history = result.history
    assert list(history.columns) == [*rows[0], "seconds"] and list(history.index) == list(range(1, len(rows) + 1))
    for column in rows[0]:
        assert history[column].tolist() == pytest.approx([row[column] for row in rows], rel=1e-4), column
    torch.testing.assert_close(dict(network.state_dict()), dict(states[-1]), rtol=1e-3, atol=1e-5)
    best = max(range(len(rows)), key=lambda i: rows[i]["val_accuracy"])
    assert result.best_epoch == best + 1
    torch.testing.assert_close(result.best_state, dict(states[best]), rtol=1e-3, atol=1e-5)


class InBfloat16(nn.Sequential):
    """A network that trains in bfloat16 by itself."""

    def forward(self, images):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            return super().forward(images).float()


@pytest.mark.parametrize("frozen", [0, 3])
def test_a_training_in_bfloat16_is_that_of_a_plain_loop_with_autocast(make_images, frozen):
    splits = {"train": make_images(12), "val": make_images(12, seed=1)}
    network, plain = make_network(), InBfloat16(*make_network())
    for each in (network, plain):
        each[:frozen].requires_grad_(False)
    options = OPTIONS | {"optimizer": "sgd", "learning_rate": 0.05, "frozen": frozen}
    rows, states = plain_loop(plain, splits, options, torch.optim.SGD(plain[frozen:].parameters(), 0.05, 0.9))
    del options["frozen"]
    history = fit(network, splits, train.choose_compute("cpu", "bfloat16"), **options).history
    for column in ("train_loss", "val_loss"):
        assert history[column].tolist() == pytest.approx([row[column] for row in rows], rel=0.01)
    torch.testing.assert_close(dict(network.state_dict()), dict(states[-1]), rtol=0.01, atol=0.01)
    assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())


class CountUp(torch.optim.Optimizer):
    """Adds 1 in each step: the network's answers after each epoch are known in advance."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 1.0})

    def step(self):
        with torch.no_grad():
            self.param_groups[0]["params"][0].add_(1)


class Threshold(nn.Module):
    """Takes images for the first class whose number is below its only weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, numbers):
        below = self.weight - numbers[:, 0]
        return torch.stack([below, -below], dim=1)


def test_the_best_epoch_is_the_first_of_the_highest_validation_accuracy_and_of_nothing_else(make_images, cpu):
    def numbers(*pairs):
        images = torch.tensor([[number] for number, _ in pairs])
        return replace(make_images(1), images=images, labels=torch.tensor([label for _, label in pairs]))

    # Right in the third and fourth epoch; the loss is least in the fourth.
    val = numbers((2.9, 0), (4.9, 1), (4.8, 1), (0.5, 0))
    other, training = numbers((4.5, 0)), numbers((1.5, 1), (1.6, 1))
    options = {"extra": {"a": other, "b": training}, "optimizer": lambda model: CountUp(model.parameters())}
    result = train.fit(Threshold(), training, val, epochs=6, compute=cpu, **options)
    history = result.history
    assert history["val_accuracy"].tolist() == [0.75, 0.75, 1.0, 1.0, 0.5, 0.5]
    assert history["a_accuracy"].tolist() == [0, 0, 0, 0, 1, 1]
    assert history["b_accuracy"].tolist() == [1, 0, 0, 0, 0, 0]
    assert result.best_epoch == 3 and result.best_state["weight"] == 3
    assert history["val_loss"].idxmin() == 4


def test_losses_and_evaluations_are_in_float32_whatever_the_network_trains_in(make_images):
    """bfloat16 has three digits; the logits have them anyway while training, their loss does not."""
    images = make_images(8)
    compute = train.choose_compute("cpu", "bfloat16")
    network = nn.Sequential(models.Normalize(MEAN, STD), nn.Flatten(), nn.Linear(192, 4))
    with compute.autocast():
        logits = network(images.images)
    assert logits.dtype == torch.bfloat16
    expected = F.cross_entropy(logits.float(), images.labels).item()
    assert F.cross_entropy(logits, images.labels).item() != pytest.approx(expected, rel=1e-5)
    options = {"epochs": 1, "optimizer": "sgd", "learning_rate": 1e-12}
    history = train.fit(network, images, images, compute=compute, **options).history
    assert history.loc[1, "train_loss"] == pytest.approx(expected, rel=1e-5)
    exact = F.cross_entropy(network(images.images), images.labels).item()
    assert history.loc[1, "val_loss"] == pytest.approx(exact, rel=1e-5) != pytest.approx(expected, rel=1e-5)


class Watched(nn.Linear):
    """Remembers in which mode it answered, and is slow but in training."""

    def forward(self, images):
        MODES.append((self.training, torch.is_grad_enabled()))
        time.sleep(0.0 if self.training or len(images) == 2 else 0.5)
        return super().forward(images.flatten(1).float())


MODES: list[tuple[bool, bool]] = []


@pytest.mark.parametrize("before", [True, False])
def test_modes_during_and_after(make_images, cpu, before):
    """Whatever mode a network comes in: it trains in train mode, is evaluated in eval mode and without a gradient."""
    images = make_images(4, size=4)
    network = nn.Sequential(Watched(48, 4)).train(before)
    MODES.clear()
    result = train.fit(network, images, images, epochs=1, batch_size=8, compute=cpu)
    assert MODES == [(False, False), (True, True), (True, True), (False, False)]
    assert not any(module.training for module in network.modules())
    assert result.history["seconds"].between(0, 0.45, inclusive="neither").all(), "evaluations don't count"

    network.train(before)
    MODES.clear()
    train.predict(network, images, compute=cpu)
    assert MODES == [(False, False)] and not any(module.training for module in network.modules())


def test_the_seed_decides_order_and_random_numbers_and_the_epoch_and_batch_too(make_images, cpu):
    images = make_images(8)
    images.images[:, 0, 0, 0] = torch.arange(32)

    def watch(seed):
        orders, drawn = [], []

        def look(batch):
            orders.extend(batch[:, 0, 0, 0].tolist())
            drawn.append(torch.rand(()).item())
            return batch / 255

        train.fit(make_network(), images, images, epochs=2, batch_size=8, augment=look, seed=seed, compute=cpu)
        return orders, drawn

    (orders, drawn), again, (others, drawn_others) = watch(0), watch(0), watch(1)
    assert again == (orders, drawn)
    passes = [orders[:32], orders[32:], others[:32], others[32:], list(range(32))]
    assert all(sorted(each) == passes[-1] for each in passes) and len(set(map(tuple, passes))) == 5
    assert len({*drawn, *drawn_others}) == 2 * 2 * 4
