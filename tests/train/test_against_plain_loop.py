"""`fit` and `predict` beside a plain PyTorch loop that shares no code with them: history, weights and predictions."""

import copy
import hashlib
import sys
from types import SimpleNamespace

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
    smoothing = getattr(name, "label_smoothing", 0)
    targets = torch.eye(logits.shape[1])[labels] * (1 - smoothing) + smoothing / logits.shape[1]
    return -(torch.log_softmax(logits, dim=1) * targets).sum(dim=1).mean()


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


def two_rates(model):
    """An optimizer of one's own, with a rate for each group."""
    body, head = model[1:-1].parameters(), model[-1].parameters()
    return torch.optim.SGD([{"params": body, "lr": 0.05}, {"params": head}], 0.2)


OPTIONS = {"epochs": 3, "batch_size": 8, "loss": "cross_entropy", "seed": 0, "augment": None}
OPTIONS |= {"optimizer": "adam", "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.0}
OPTIONS |= {"move_frozen_statistics": False, "frozen": 0}
ONE_OPTION_EACH = [
    {"optimizer": "sgd", "weight_decay": 0.1, "momentum": 0.5},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 0.1, "seed": 1},
    {"optimizer": two_rates},
    {"loss": "l1"},
    {"loss": nn.CrossEntropyLoss(label_smoothing=0.2)},
    {"epochs": 2, "batch_size": 17},  # of 35 images the last would be alone
    {"augment": train.RandomAffine(degrees=20, zoom=(0.8, 1.2), shift=0.1)},
    {"frozen": 3},  # of the network's layers
    {"frozen": 3, "move_frozen_statistics": True},
]


@pytest.mark.parametrize("change", ONE_OPTION_EACH, ids=lambda change: " ".join(change))
def test_history_weights_and_predictions_are_those_of_a_plain_loop(make_images, cpu, change):
    splits = {"train": make_images(12).subset(torch.arange(35))}
    splits |= {"val": make_images(5, seed=1), "second": make_images(5, seed=2)}
    many = make_images(300, seed=3)  # no whole number of evaluation batches, each of another accuracy
    splits["third"] = many.subset(many.labels.argsort())
    # In whatever mode a network comes, it trains in train mode and is evaluated in eval mode.
    network, plain, options = make_network().eval(), make_network(), {**OPTIONS, **change}
    for each in (network, plain):
        each[: options["frozen"]].requires_grad_(False)
    parameters = [parameter for parameter in plain.parameters() if parameter.requires_grad]
    optimizer = PLAIN.get(options["optimizer"], lambda parameters, options: two_rates(plain))(parameters, options)
    rows, states = plain_loop(plain, splits, options, optimizer)
    del options["frozen"]
    extra = {name: splits[name] for name in ("second", "third")}
    result = train.fit(network, splits["train"], splits["val"], extra=extra, compute=cpu, **options)
    history = result.history
    assert list(history.columns) == [*rows[0], "seconds"] and list(history.index) == list(range(1, len(rows) + 1))
    for column in rows[0]:
        assert history[column].tolist() == pytest.approx([row[column] for row in rows], rel=1e-4), column
    torch.testing.assert_close(dict(network.state_dict()), dict(states[-1]), rtol=1e-3, atol=1e-5)
    best = max(range(len(rows)), key=lambda i: rows[i]["val_accuracy"])  # the first of them
    assert result.best_epoch == best + 1
    torch.testing.assert_close(result.best_state, dict(states[best]), rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        expected = plain(splits["val"].images)
    assert not any(module.training for module in network.modules())
    logits = train.predict(network.train(), splits["val"], compute=cpu)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)
    assert not logits.requires_grad


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
    torch.testing.assert_close(train.predict(network, images, compute=compute), network(images.images).detach())


def test_small_gradients_are_scaled_in_float16(make_images):
    """A millionth of the loss at a million times the rate is the same training, if no gradient is lost on the way."""
    images, losses = make_images(8), []
    for precision, tiny in (("float32", 1.0), ("float16", 1e-6)):
        options = {"epochs": 3, "optimizer": "sgd", "learning_rate": 0.01 / tiny, "batch_size": 8}
        options["loss"] = lambda logits, labels, tiny=tiny: tiny * F.cross_entropy(logits, labels)
        compute = train.choose_compute("cpu", precision)
        network = models.cnn_on_a(4, image_size=8, width=4, seed=0)
        history = train.fit(network, images, images, compute=compute, **options).history
        losses.append(history["train_loss"] / tiny)
        with compute.autocast():
            assert network(images.images).dtype == getattr(torch, precision)
    assert losses[0].iloc[-1] < 0.9 * losses[0].iloc[0]
    assert losses[1].tolist() == pytest.approx(losses[0].tolist(), rel=0.02)


def test_evaluations_do_not_count_as_time_of_a_training(make_images, cpu, monkeypatch):
    clock = [0]

    class Slow(nn.Linear):
        def forward(self, images):
            clock[0] += 1 if self.training else 100
            return super().forward(images.flatten(1).float())

    monkeypatch.setattr(sys.modules["helpers.train.fit"], "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    images = make_images(4, size=4)
    result = train.fit(Slow(48, 4), images, images, epochs=1, batch_size=8, compute=cpu)
    assert result.history["seconds"].tolist() == [2]
