"""Longer heads: what is copied is copied bit for bit, and what is frozen stays so under every optimizer."""

import pytest
import torch

from helpers import WorkbookError, models, train, transfer


@pytest.fixture
def network():
    """A small network for 3 classes whose BatchNorm statistics are not those of the start."""
    network = models.cnn_on_a(3, image_size=8, width=4, seed=1).train()
    network(torch.rand(32, 3, 8, 8))
    return network.eval()


@pytest.fixture
def images(make_images):
    return make_images(per_class=8, num_classes=5)


def test_an_extended_head_begins_with_the_old_rows_bit_for_bit(network):
    before, state = transfer.snapshot(network), torch.get_rng_state()
    extended, again, other = (transfer.extend_head(network, 4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    after, head = transfer.snapshot(extended), extended.fc1
    assert (head.in_features, head.out_features) == (network.fc1.in_features, 7)
    assert torch.equal(head.weight[:3], network.fc1.weight) and torch.equal(head.bias[:3], network.fc1.bias)
    assert torch.equal(transfer.head_rows(after), torch.cat([head.weight, head.bias[:, None]], dim=1))
    assert torch.equal(head.new.weight, again.fc1.new.weight)
    assert not torch.equal(head.new.weight, other.fc1.new.weight)
    assert all(torch.equal(after[name], value) for name, value in before.items() if not name.startswith("fc1"))
    assert all(parameter.requires_grad for parameter in extended.parameters())
    batch = torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        logits = extended.eval()(batch)
        assert torch.equal(logits[:, :3], network(batch)), "row i keeps class i"
        torch.testing.assert_close(logits, extended[:-1](batch) @ head.weight.T + head.bias)
        # Another network: whatever happens to it, the first one stays.
        for parameter in extended.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], value) for name, value in transfer.snapshot(network).items())


@pytest.mark.parametrize(("optimizer", "frozen_body"), [("sgd", True), ("adam", False), ("adamw", True)])
def test_frozen_rows_never_move_and_the_new_ones_do(network, images, cpu, optimizer, frozen_body):
    extended = transfer.extend_head(network, 2)
    extended.fc1.old.requires_grad_(False)
    if frozen_body:
        transfer.freeze_body(extended)
    before = transfer.snapshot(extended)
    options = {"learning_rate": 0.05, "weight_decay": 0.1} | ({"momentum": 0.9} if optimizer == "sgd" else {})
    train.fit(extended, images, images, epochs=2, batch_size=8, optimizer=optimizer, compute=cpu, **options)
    after = transfer.snapshot(extended)
    rows = (transfer.head_rows(after) - transfer.head_rows(before)).norm(dim=1)
    assert (rows[:3] == 0).all() and (rows[3:] > 0).all()
    assert all(torch.equal(after[name], before[name]) for name in ("fc1.old.weight", "fc1.old.bias"))
    body = [name for name in before if not name.startswith("fc1")]
    assert all(torch.equal(before[name], after[name]) for name in body) == frozen_body, "BatchNorm's statistics too"


def test_compare_weights_measures_what_it_says():
    before = {
        "a.weight": torch.tensor([[3.0]]),
        "a.bias": torch.tensor([4.0]),
        "b.weight": torch.zeros(2),
        "b.running_mean": torch.tensor([1.0]),
        "b.num_batches_tracked": torch.tensor(0),
    }
    after = {**before, "a.bias": torch.tensor([5.0]), "b.num_batches_tracked": torch.tensor(2)}
    table = transfer.compare_weights(before, after)
    assert table.index.tolist() == ["a", "b", "b (statistics)"]
    assert table["relative_change"].tolist() == pytest.approx([0.2, float("nan"), 0], nan_ok=True)
    assert table["verdict"].tolist() == ["changed", "frozen", "frozen"]


def trainable_children(model):
    return {name for name, child in model.named_children() if any(p.requires_grad for p in child.parameters())}


def test_the_last_stages_or_the_last_layers_with_weights_train_and_the_head():
    network = models.backbone("resnet18", weights="random").with_head(5, hidden=(7,))
    assert transfer.train_last_stages(network, 0) == []
    assert trainable_children(network) == {"fc1", "fc2"}, "the head is what follows the flattening"
    assert transfer.train_last_stages(network, 2) == ["layer3", "layer4"]
    assert trainable_children(network) == {"layer3", "layer4", "fc1", "fc2"}
    transfer.train_last_stages(network, None)
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(WorkbookError, match="5 stages"):
        transfer.train_last_stages(network, 6)
    names = transfer.train_last_layers(network, 4)
    assert names == ["layer4.1.conv2", "layer4.1.bn2", "fc1", "fc2"]
    trainable = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trainable == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")} - {"layer4.1.conv2.bias"}
    with pytest.raises(WorkbookError, match="with weights"):
        transfer.train_last_layers(network, 999)


def test_a_replaced_head_is_new_and_the_body_a_copy(network):
    carried = transfer.replace_head(network, 7, seed=2)
    assert carried.fc1.weight.shape == (7, network.fc1.in_features)
    assert torch.equal(carried.conv2_1.weight, network.conv2_1.weight)
    assert carried.conv2_1.weight is not network.conv2_1.weight and network.fc1.out_features == 3
    assert torch.equal(carried.fc1.weight, transfer.replace_head(network, 7, seed=2).fc1.weight)
    assert not torch.equal(carried.fc1.weight, transfer.replace_head(network, 7, seed=3).fc1.weight)
    for change in (transfer.replace_head, transfer.extend_head):
        with pytest.raises(WorkbookError, match=r"\(flatten\) must be an nn\.Linear .* not Flatten"):
            change(network[:-1], 7)
