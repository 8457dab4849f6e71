"""What frozen layers do: they compute as in evaluation, and run once over the data, also inside nested sequences."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from helpers import models, train, transfer
from helpers.train.frozen import run, train_mode


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
        result = train.fit(network, images, val, epochs=2, batch_size=8, cache_frozen=cache, compute=cpu)
        assert result.cached_layers == (cached if cache else 0)
        states.append(network.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_frozen_blocks_drop_nothing_and_keep_their_statistics():
    network = nested_network(4)
    network.stage[0].requires_grad_(False)
    train_mode(network)
    assert not network.stage[0].training and not network.stage[0].dropout.training
    assert network.stage[1].dropout.training and network.fc1.training

    train_mode(network, move_frozen_statistics=True)
    assert network.stage[0].bn.training


class Twice(nn.Sequential):
    """Does not do what its layers one after the other would do."""

    def forward(self, images):
        return super().forward(2 * images)


def test_a_sequence_with_a_way_of_its_own_is_not_cut(make_images, cpu):
    network = Twice(*nested_network(4))
    network[:-1].requires_grad_(False)
    result = train.fit(network, make_images(4), make_images(2, seed=1, split="val"), epochs=1, compute=cpu)
    assert result.cached_layers == 0


def test_run_gives_what_the_layers_give(cpu):
    layers, images = nested_network(4).eval()[:3], torch.rand(70, 3, 300, 300)  # more than one batch
    with torch.no_grad():
        torch.testing.assert_close(run(layers, images, cpu), layers(images))
    assert run(layers, images[:0], cpu).shape == (0, 8, 298, 298)
