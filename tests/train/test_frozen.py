"""What frozen layers do: they compute as in evaluation, and run once over the data, also inside nested sequences."""

from collections import OrderedDict

import pandas as pd
import pytest
import torch
from torch import nn

from helpers import models, storage, train
from helpers.train import frozen


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


@pytest.fixture
def fit(make_images, cpu):
    """Trains a network for two epochs on a few images."""
    images, val = make_images(8), make_images(4, seed=1, split="val")

    def fitted(network, *, val=val, **options):
        return train.fit(network, images, val, epochs=2, batch_size=8, compute=cpu, **options)

    return fitted


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


def nested_network() -> nn.Sequential:
    with models.seeded(3):
        stage = nn.Sequential(Residual(8), Residual(8), Residual(8))
        layers = OrderedDict(normalize=models.Normalize([0.5] * 3, [0.25] * 3), conv1=nn.Conv2d(3, 8, 3), stage=stage)
        layers |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc1=nn.Linear(8, 4))
    return nn.Sequential(layers)


@pytest.mark.parametrize(("trained", "cached"), [("stage.2", 4), ("stage.1", 3), ("fc1", 7)])
def test_a_nested_front_is_cached_up_to_the_first_layer_that_trains(fit, trained, cached):
    states = []
    for augment in (None, as_they_are):
        network = nested_network()
        network.requires_grad_(False)
        network.get_submodule(trained).requires_grad_(True)
        assert fit(network, augment=augment).cached_layers == (0 if augment else cached)
        states.append(dict(network.state_dict()))
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)


def frozen_network(*, seed: int = 0) -> nn.Sequential:
    """Normalize, convolution and pooling are frozen, the head trains."""
    with models.seeded(4):
        front = [models.Normalize([0.5] * 3, [0.25] * 3), nn.Conv2d(3, 8, 3)]
    with models.seeded(seed):
        network = nn.Sequential(*front, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    network[1].requires_grad_(False)
    return network


class Twice(nn.Sequential):
    """Does not do what its layers one after the other would do."""

    def forward(self, images):
        return super().forward(2 * images)


class Noise(nn.Module):
    def forward(self, images):
        return images + torch.randn_like(images) if self.training else images


class AlwaysDropping(nn.Conv2d):
    """Drops in any mode, as F.dropout() does where nobody tells it the mode."""

    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5)


def test_a_front_that_varies_or_goes_its_own_way_is_not_run_once(fit):
    for layer in (Noise(), nn.RReLU(), nn.Dropout2d(0.5), models.Dropout(0.5)):
        network = frozen_network().insert(2, layer)
        assert fit(network).cached_layers == 2, "up to the layer"
    moving = frozen_network().insert(2, nn.BatchNorm2d(8).requires_grad_(False))
    assert fit(moving, move_frozen_statistics=True).cached_layers == 2
    assert fit(Twice(*frozen_network())).cached_layers == 0
    network = frozen_network()
    network[1].__class__ = AlwaysDropping
    assert fit(network).cached_layers == 0


@pytest.fixture
def through_front(fit, convolved):
    """Trains a network and tells how many images pass its frozen layers, and the losses."""

    def passed(network, **options):
        convolved.clear()
        result = fit(network, **options)
        assert result.cached_layers == 4 and result.cache_seconds > 0
        # Beside two that show how many outputs there are, and twice two that show whether the layers vary.
        return sum(convolved) - 6, result.history.drop(columns="seconds")

    return passed


def test_another_training_finds_the_activations_again_as_far_as_they_are_kept(make_images, through_front, monkeypatch):
    assert through_front(frozen_network())[0] == 32 + 16
    assert through_front(frozen_network(seed=1))[0] == 0, "another head"
    assert through_front(frozen_network(), val=make_images(4, seed=2))[0] == 16, "another validation set"
    frozen._kept.clear()
    monkeypatch.setattr(frozen, "KEPT_LIMIT", 32 * 8 * 4 - 1)  # one byte less than the training images' 8 features
    assert through_front(frozen_network())[0] == 32 + 16
    assert through_front(frozen_network())[0] == 32, "only val's can be kept"


class Scaled(nn.Conv2d):
    """A layer of one's own."""

    factor = 1.0

    def forward(self, images):
        return super().forward(images) * self.factor


def test_activations_are_never_stale(through_front):
    def trained(**changes):
        network = frozen_network()
        network[1].__class__ = Scaled
        for name, value in changes.items():
            network[1].register_parameter(name, value) if name == "bias" else setattr(network[1], name, value)
        return through_front(network)

    first, again, scaled, moved = trained(), trained(), trained(factor=2.0), trained(bias=None)
    assert [passed for passed, _ in (first, again, scaled, moved)] == [48, 0, 48, 48]
    frozen._kept.clear()
    assert trained(factor=2.0)[1].equals(scaled[1]) and not first[1].equals(scaled[1])


class Doubling(nn.Linear):
    """Works in place, on what it is given."""

    def forward(self, features):
        return super().forward(features.mul_(2))


def drops(network):
    """Behind a layer that trains comes a frozen part, which drops nothing."""
    with models.seeded(5):
        network[-1] = nn.Linear(8, 8)
        network.append(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.9)).requires_grad_(False))
        network.append(nn.Linear(8, 4))


@pytest.mark.parametrize("change", [lambda network: setattr(network[-1], "__class__", Doubling), drops])
def test_losses_are_those_of_layers_that_run_in_every_epoch(fit, change):
    losses = []
    for augment in (None, as_they_are):
        network = frozen_network()
        change(network)
        losses.append(fit(network, augment=augment).history.drop(columns="seconds"))
    pd.testing.assert_frame_equal(*losses, rtol=1e-4)


def test_without_room_on_the_disk_frozen_layers_run_in_every_epoch(fit, monkeypatch):
    empty, expected, network = storage.empty, frozen_network(), frozen_network()
    fit(expected)
    frozen._kept.clear()

    def full_disk(shape, dtype):
        if shape[1:] == (8,):  # the activations; the logits have four columns
            raise storage.StorageError("no room")
        return empty(shape, dtype)

    monkeypatch.setattr(storage, "empty", full_disk)
    with pytest.warns(UserWarning, match="in every epoch, not once: no room"):
        result = fit(network)
    assert (result.cached_layers, result.cache_seconds) == (0, 0)
    torch.testing.assert_close(network[-1].weight, expected[-1].weight)
