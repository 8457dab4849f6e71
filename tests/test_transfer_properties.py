"""Longer heads of any size: what is copied is copied bit for bit, and what is frozen stays so under every optimizer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import train, transfer
from helpers.data import ImageData, Source

# The same examples in every run.
of_heads = settings(max_examples=20, deadline=None, derandomize=True)
of_trainings = settings(max_examples=20, deadline=None, derandomize=True)

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**31)
SOURCE = Source("random", "Random colours", "made by a test")
CPU = train.choose_compute("cpu", "float32")


def make_network(features, classes, seed):
    """A body and a head "fc1" of ``classes`` rows, for images of 3 x 2 x 2 pixels."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(3, features, 2))
    network.add_module("bn1", nn.BatchNorm2d(features))
    network.add_module("relu", nn.ReLU())
    network.add_module("flatten", nn.Flatten())
    network.add_module("fc1", nn.Linear(features, classes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def make_images(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(2 * classes) % classes
    images = torch.rand(len(labels), 3, 2, 2, generator=generator)
    return ImageData(images, labels, tuple(map(str, range(classes))), "train", SOURCE)


def is_same(one, other):
    return one.shape == other.shape and torch.equal(one, other)


@of_heads
@given(features=SIZES, old=SIZES, new=SIZES, seed=SEEDS)
def test_an_extended_head_begins_with_the_old_rows_bit_for_bit(features, old, new, seed):
    network = make_network(features, old, seed)
    before = transfer.snapshot(network)
    extended = transfer.extend_head(network, new, seed=seed)
    after = transfer.snapshot(extended)
    head = extended.fc1
    assert (head.in_features, head.out_features) == (features, old + new)
    assert is_same(head.weight[:old], network.fc1.weight) and is_same(head.bias[:old], network.fc1.bias)
    assert is_same(head.weight[old:], head.new.weight) and is_same(head.bias[old:], head.new.bias)
    assert is_same(transfer.head_rows(after), torch.cat([head.weight, head.bias[:, None]], dim=1))
    assert all(is_same(after[name], value) for name, value in before.items() if not name.startswith("fc1"))
    assert all(parameter.requires_grad for parameter in extended.parameters())
    # Another network: whatever happens to it, the first one stays.
    with torch.no_grad():
        for parameter in extended.parameters():
            parameter.zero_()
    assert all(is_same(before[name], value) for name, value in transfer.snapshot(network).items())


@of_heads
@given(features=SIZES, old=SIZES, new=SIZES, images=SIZES, seed=SEEDS)
def test_the_old_classes_logits_come_first_and_are_the_old_network_s(features, old, new, images, seed):
    network = make_network(features, old, seed).eval()
    extended = transfer.extend_head(network, new, seed=seed).eval()
    batch = torch.rand(images, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        logits, body = extended(batch), extended[:-1](batch)
        assert is_same(logits[:, :old], network(batch))
        torch.testing.assert_close(logits, body @ extended.fc1.weight.T + extended.fc1.bias)


@of_heads
@given(features=SIZES, old=SIZES, new=st.integers(-3, 9), seed=SEEDS)
def test_new_rows_come_from_the_seed_alone(features, old, new, seed):
    network = make_network(features, old, 0)
    if new < 1:
        with pytest.raises(transfer.TransferError):
            transfer.extend_head(network, new, seed=seed)
        return
    state = torch.get_rng_state()
    first, again, other = (transfer.extend_head(network, new, seed=s).fc1.new for s in (seed, seed, seed + 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert is_same(first.weight, again.weight) and is_same(first.bias, again.bias)
    assert not torch.equal(first.weight, other.weight)


@of_heads
@given(features=SIZES, old=SIZES, new=SIZES, seed=SEEDS)
def test_a_replaced_head_is_of_the_new_size_and_the_body_a_copy_bit_for_bit(features, old, new, seed):
    network = make_network(features, old, seed)
    before = transfer.snapshot(network)
    replaced = transfer.replace_head(network, new, seed=seed)
    assert replaced.fc1.weight.shape == (new, features)
    after = transfer.snapshot(replaced)
    assert all(is_same(after[name], value) for name, value in before.items() if not name.startswith("fc1"))
    assert all(is_same(before[name], value) for name, value in transfer.snapshot(network).items())


@of_trainings
@given(
    sizes=st.tuples(SIZES, SIZES, SIZES),
    frozen_body=st.booleans(),
    optimizer=st.sampled_from(["sgd", "adam", "adamw"]),
    learning_rate=st.floats(1e-3, 0.5),
    momentum=st.floats(0, 0.99),
    weight_decay=st.floats(1e-4, 0.5),
    seed=SEEDS,
)
def test_frozen_rows_never_move_and_the_new_ones_do(
    sizes, frozen_body, optimizer, learning_rate, momentum, weight_decay, seed
):
    features, old, new = sizes
    extended = transfer.extend_head(make_network(features, old, seed), new, seed=seed)
    transfer.freeze_old_rows(extended)
    if frozen_body:
        transfer.freeze_body(extended)
    before = transfer.snapshot(extended)
    options = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    images = make_images(old + new, seed)
    train.fit(extended, images, images, epochs=2, batch_size=8, optimizer=optimizer, compute=CPU, seed=seed, **options)
    after = transfer.snapshot(extended)
    assert is_same(after["fc1.old.weight"], before["fc1.old.weight"])
    assert is_same(after["fc1.old.bias"], before["fc1.old.bias"])
    rows = transfer.row_change(before, after)
    assert (rows[:old] == 0).all() and (rows[old:] > 0).all()
    body = [name for name in before if not name.startswith("fc1")]
    assert all(is_same(before[name], after[name]) for name in body) == frozen_body


@of_trainings
@given(sizes=st.tuples(SIZES, SIZES, SIZES), optimizer=st.sampled_from(["sgd", "adam", "adamw"]), seed=SEEDS)
def test_rows_that_trained_before_stay_once_they_are_frozen(sizes, optimizer, seed):
    """An optimizer remembers: its momentum, or Adam's averages, must not move them on."""
    features, old, new = sizes
    extended = transfer.extend_head(make_network(features, old, seed), new, seed=seed)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    warm = kinds[optimizer](extended.parameters(), lr=0.05, weight_decay=0.1, **options)
    images = make_images(old + new, seed)
    train.fit(extended, images, images, epochs=1, optimizer=lambda _: warm, compute=CPU)
    transfer.freeze_old_rows(extended)
    before = transfer.snapshot(extended)
    train.fit(extended, images, images, epochs=1, optimizer=lambda _: warm, compute=CPU)
    rows = transfer.row_change(before, transfer.snapshot(extended))
    assert (rows[:old] == 0).all() and (rows[old:] > 0).all()
