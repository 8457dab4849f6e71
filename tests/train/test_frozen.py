"""What frozen layers do: they compute as in evaluation, and run once over the data, also inside nested sequences."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers import models, storage, train, transfer
from helpers.train import frozen
from helpers.train.frozen import run


@pytest.fixture(autouse=True)
def convolved(monkeypatch):
    """How many images each convolution took, one after the other; and nothing is kept from the test before."""
    frozen._kept.clear()
    convolve, counts = nn.functional.conv2d, []

    def counted(images, *arguments, **options):
        counts.append(len(images))
        return convolve(images, *arguments, **options)

    monkeypatch.setattr(nn.functional, "conv2d", counted)
    return counts


def as_they_are(batch):
    """With an augmentation, frozen layers run in every epoch."""
    return batch


class Residual(nn.Module):
    """A block that cannot be cut, with a dropout inside, as EfficientNet's have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images):
        return images + self.dropout(self.bn(self.conv(images)).relu())


def nested_network(num_classes: int) -> nn.Sequential:
    with models.seeded(3):
        stage = nn.Sequential(Residual(8), Residual(8), Residual(8))
        layers = OrderedDict(normalize=models.Normalize([0.5] * 3, [0.25] * 3), conv1=nn.Conv2d(3, 8, 3), stage=stage)
        layers |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc1=nn.Linear(8, num_classes))
    return nn.Sequential(layers)


@pytest.mark.parametrize(("trained", "cached"), [("stage.2", 4), ("stage.1", 3), ("fc1", 7)])
def test_a_nested_front_is_cached_up_to_the_first_layer_that_trains(make_images, cpu, trained, cached):
    images, val = make_images(6), make_images(3, seed=1, split="val")
    states = []
    for cache in (True, False):
        network = nested_network(images.num_classes)
        transfer.freeze(network)
        network.get_submodule(trained).requires_grad_(True)
        result = train.fit(
            network, images, val, epochs=2, batch_size=8, augment=None if cache else as_they_are, compute=cpu
        )
        assert result.cached_layers == (cached if cache else 0)
        states.append(network.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


class Twice(nn.Sequential):
    """Does not do what its layers one after the other would do."""

    def forward(self, images):
        return super().forward(2 * images)


def test_a_sequence_with_a_way_of_its_own_is_not_cut(make_images, cpu):
    network = Twice(*nested_network(4))
    network[:-1].requires_grad_(False)
    result = train.fit(network, make_images(4), make_images(2, seed=1, split="val"), epochs=1, compute=cpu)
    assert result.cached_layers == 0


def frozen_network(*, seed: int = 0, padding: int = 0) -> nn.Sequential:
    """Normalize, convolution and pooling are frozen, the head trains."""
    with models.seeded(4):
        front = [models.Normalize([0.5] * 3, [0.25] * 3), nn.Conv2d(3, 8, 3, padding=padding)]
    with models.seeded(seed):
        network = nn.Sequential(*front, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    network[1].requires_grad_(False)
    return network


@pytest.fixture
def through_front(make_images, cpu, convolved):
    """Trains a network and tells how many images pass its frozen layers, and the losses."""
    images, val = make_images(8), make_images(4, seed=1, split="val")

    def train_it(network, images=images, val=val):
        convolved.clear()
        result = train.fit(network, images, val, epochs=3, compute=cpu)
        assert result.cached_layers == 4 and result.cache_seconds > 0
        # Beside two that show how many outputs there are, and twice two that show whether the layers vary.
        return sum(convolved) - 6, result.history.drop(columns="seconds")

    return train_it


def test_another_training_finds_the_activations_again(make_images, through_front):
    assert through_front(frozen_network())[0] == 32 + 16
    assert through_front(frozen_network(seed=1))[0] == 0, "another head"
    assert through_front(frozen_network(), val=make_images(4, seed=2))[0] == 16, "another validation set"


class Scaled(nn.Conv2d):
    """A layer of one's own."""

    factor = 1.0

    def forward(self, images):
        return super().forward(images) * self.factor


def own_layer(network):
    network[1].__class__ = Scaled


def edited_layer(network):
    class Scaled(nn.Conv2d):
        factor = 1.0

        def forward(self, images):
            return super().forward(images) + self.factor

    network[1].__class__ = Scaled


def attribute(network):
    own_layer(network)
    network[1].factor = 2.0


def weights(network):
    with torch.no_grad():
        network[1].bias[3] += 1.0


def setting(network):
    network[2] = nn.AdaptiveMaxPool2d(1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (own_layer, edited_layer),
        (own_layer, attribute),
        (own_layer, weights),
        (own_layer, setting),
    ],
)
def test_activations_are_never_stale(through_front, first, second):
    numbers = []
    for change in (first, first, second, second):
        network = frozen_network()
        change(network)
        numbers.append(through_front(network))
    passed = [number for number, _ in numbers]
    assert passed == [48, 0, 48, 0]
    frozen._kept.clear()
    fresh = frozen_network()
    second(fresh)
    expected = through_front(fresh)[1]
    assert numbers[2][1].equals(expected) and numbers[3][1].equals(expected) and not numbers[0][1].equals(expected)


def test_layers_that_work_in_place_change_no_activations(make_images, cpu):
    class Doubling(nn.Linear):
        def forward(self, features):
            return super().forward(features.mul_(2))

    images, val = make_images(8), make_images(4, seed=1, split="val")
    losses = []
    for cache in (True, True, False):
        network = frozen_network()
        network[-1] = Doubling(8, 4)
        nn.init.constant_(network[-1].weight, 0.1)
        nn.init.zeros_(network[-1].bias)
        result = train.fit(
            network,
            images,
            val,
            epochs=2,
            learning_rate=1e-9,
            optimizer="sgd",
            compute=cpu,
            augment=None if cache else as_they_are,
        )
        losses += result.history["val_loss"].tolist()
    assert losses == pytest.approx([losses[0]] * 6, rel=1e-5)


def test_a_frozen_part_behind_a_trained_layer_drops_nothing(make_images, cpu):
    images, val = make_images(8), make_images(4, seed=1, split="val")
    losses = []
    for cache in (True, False):
        network = frozen_network()
        with models.seeded(5):
            network[-1] = nn.Linear(8, 8)
            network.append(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.9)).requires_grad_(False))
            network.append(nn.Linear(8, 4))
        result = train.fit(network, images, val, epochs=2, compute=cpu, augment=None if cache else as_they_are)
        assert result.cached_layers == (4 if cache else 0)
        losses.append(result.history["train_loss"].tolist())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_layer_that_draws_something_is_not_run_once(make_images, cpu):
    class Noise(nn.Module):
        def forward(self, images):
            return images + torch.randn_like(images) if self.training else images

    images, val = make_images(8), make_images(4, seed=1, split="val")
    for layer in (Noise(), nn.RReLU(), nn.Dropout2d(0.5)):
        network = nn.Sequential(*frozen_network()[:2], layer, *frozen_network()[2:])
        network[1].requires_grad_(False)
        assert train.fit(network, images, val, epochs=1, compute=cpu).cached_layers == 2


class AlwaysDropping(nn.Conv2d):
    """Drops in any mode, as F.dropout() does where nobody tells it the mode."""

    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5)


def test_a_frozen_layer_of_ones_own_that_draws_in_any_mode_is_not_run_once(make_images, cpu):
    network = frozen_network()
    network[1].__class__ = AlwaysDropping
    images = make_images(8)
    assert train.fit(network, images, images, epochs=1, compute=cpu).cached_layers == 0


def test_what_is_kept_is_bounded(make_images, cpu, monkeypatch, through_front):
    images, val = make_images(8), make_images(4, seed=1, split="val")
    activations = len(images) * 8 * 4  # 8 features in float32
    monkeypatch.setattr(frozen, "KEPT_LIMIT", 2 * activations)
    for bias in range(4):
        network = frozen_network()
        nn.init.constant_(network[1].bias, float(bias))
        train.fit(network, images, val, epochs=1, compute=cpu)
        assert sum(activations.nbytes for activations, _ in frozen._kept.values()) <= 2 * activations
    assert len(frozen._kept) >= 2, "the last ones stay"

    monkeypatch.setattr(frozen, "KEPT_LIMIT", activations - 1)
    assert through_front(frozen_network())[0] == 32 + 16
    assert through_front(frozen_network())[0] == 32, "only val's can be kept"


def mapped_files(folder: Path) -> int:
    return sum(f"{folder}/" in line for line in Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at Linux's list of mapped files")
def test_large_activations_lie_in_a_file_and_give_the_same(make_images, cpu, monkeypatch, tmp_path):
    images, val = make_images(16), make_images(4, seed=1, split="val")
    monkeypatch.setattr("helpers.DATA", tmp_path)
    front, results = frozen_network()[:4].eval(), []
    for share in (storage.SHARE, 0):
        monkeypatch.setattr(storage, "SHARE", share)
        frozen._kept.clear()
        network = frozen_network()
        train.fit(network, images, val, epochs=2, batch_size=8, compute=cpu)
        activations = run(front, images.images, cpu)
        assert mapped_files(tmp_path) == (share == 0)
        results.append((network[-1].weight, activations.clone()))
        del activations
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    assert mapped_files(tmp_path) == 0 and list((tmp_path / "cache").iterdir()) == []


def test_without_room_on_the_disk_frozen_layers_run_in_every_epoch(make_images, cpu, monkeypatch):
    images, val = make_images(8), make_images(4, seed=1, split="val")

    empty = storage.empty

    def full_disk(shape, dtype):
        if shape[1:] == (8,):  # the activations; the logits have four columns
            raise storage.StorageError("no room")
        return empty(shape, dtype)

    results = []
    for allocate in (empty, full_disk):
        monkeypatch.setattr(storage, "empty", allocate)
        frozen._kept.clear()
        network = frozen_network()
        if allocate is full_disk:
            with pytest.warns(UserWarning, match="in every epoch, not once: no room"):
                result = train.fit(network, images, val, epochs=2, compute=cpu)
            assert (result.cached_layers, result.cache_seconds) == (0, 0)
        else:
            train.fit(network, images, val, epochs=2, compute=cpu)
        results.append(network[-1].weight)
    torch.testing.assert_close(*results)
