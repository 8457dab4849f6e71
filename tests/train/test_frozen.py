"""What frozen layers do: they compute as in evaluation, and run once over the data, also inside nested sequences."""

from collections import OrderedDict

import pandas as pd
import pytest
import torch
from timm.models._efficientnet_blocks import InvertedResidual
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


class Doubling(nn.Linear):
    """Works in place, on what it is given."""

    def forward(self, features):
        return super().forward(features.mul_(2))


def nested(trained: str) -> nn.Sequential:
    """Only one part trains."""
    with models.seeded(3):
        # Blocks that cannot be cut, with BatchNorm and a dropout inside.
        stage = nn.Sequential(*(InvertedResidual(8, 8, drop_path_rate=0.5) for _ in range(3)))
        layers = OrderedDict(normalize=models.Normalize([0.5] * 3, [0.25] * 3), conv1=nn.Conv2d(3, 8, 3), stage=stage)
        layers |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc1=nn.Linear(8, 4))
    network = nn.Sequential(layers).requires_grad_(False)
    network.get_submodule(trained).requires_grad_(True)
    return network


def flat(*more: nn.Module, seed: int = 0, convolution: type = nn.Conv2d, head: type = nn.Linear) -> nn.Sequential:
    """Normalize, convolution, then what is given, and pooling are frozen, the head trains."""
    with models.seeded(4):
        front = [models.Normalize([0.5] * 3, [0.25] * 3), convolution(3, 8, 3).requires_grad_(False)]
    with models.seeded(seed):
        return nn.Sequential(*front, *more, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head(8, 4))


def with_frozen_dropout() -> nn.Sequential:
    """Behind a layer that trains comes a frozen part, which drops nothing."""
    with models.seeded(5):
        frozen_part = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.9)).requires_grad_(False)
        return nn.Sequential(*flat()[:-1], nn.Linear(8, 8), frozen_part, nn.Linear(8, 4))


@pytest.mark.parametrize(
    ("make", "cached", "options"),
    [
        (lambda: nested("stage.2"), 4, {}),
        (lambda: nested("stage.1"), 3, {}),
        (lambda: nested("fc1"), 7, {}),
        (flat, 4, {}),
        (lambda: flat(*2 * [nn.Softplus()]), 6, {}),
        (lambda: flat(head=Doubling), 4, {}),
        (with_frozen_dropout, 4, {}),
        # What varies in training is not run once, nor what comes behind it.
        (lambda: flat(Noise()), 2, {}),
        (lambda: flat(nn.RReLU()), 2, {}),
        (lambda: flat(nn.Dropout2d(0.5)), 2, {}),
        (lambda: flat(models.Dropout(0.5)), 2, {}),
        (lambda: flat(nn.BatchNorm2d(8).requires_grad_(False)), 5, {}),
        (lambda: flat(nn.BatchNorm2d(8).requires_grad_(False)), 2, {"move_frozen_statistics": True}),
        (lambda: flat(convolution=AlwaysDropping), 0, {}),
        (lambda: Twice(*flat()), 0, {}),
        (lambda: nn.Sequential(Twice(*flat()[:2]), *flat()[2:]), 3, {}),
    ],
)
def test_leading_frozen_layers_run_once_and_change_no_number(fit, make, cached, options, tmp_path, monkeypatch):
    """With an augmentation, be it none, all layers run in every epoch. What is kept may be larger than the memory."""
    once, always = make(), make()
    expected = fit(always, augment=lambda batch: batch, **options)
    monkeypatch.setattr(storage, "SHARE", 0)
    monkeypatch.setattr("helpers.DATA", tmp_path)
    result = fit(once, **options)
    assert (result.cached_layers, expected.cached_layers) == (cached, 0)
    pd.testing.assert_frame_equal(*(each.history.drop(columns="seconds") for each in (result, expected)), rtol=1e-4)
    torch.testing.assert_close(once.state_dict(), always.state_dict(), rtol=1e-4, atol=1e-5)


def test_activations_are_found_again_by_a_training_with_the_same_as_far_as_they_are_kept(
    make_images, fit, convolved, monkeypatch
):
    def passed(network, **options):
        """How many images pass the frozen layers."""
        convolved.clear()
        result = fit(network, **options)
        assert result.cached_layers == 4
        # Beside two that show how many outputs there are, and twice two that show whether the layers vary.
        return sum(convolved) - 6

    other_weights, other_layers = flat(), flat()
    other_weights[1].weight.data += 1
    other_layers[1].dilation = (2, 2)
    networks = [flat(), flat(seed=1), other_weights, other_layers]
    assert [passed(network) for network in networks] == [48, 0, 48, 48]
    assert passed(flat(), val=make_images(4, seed=2)) == 16, "another validation set"
    frozen._kept.clear()
    monkeypatch.setattr(frozen, "KEPT_LIMIT", 32 * 8 * 4 - 1)  # one byte less than the training images' 8 features
    assert passed(flat()) == 32 + 16
    assert passed(flat()) == 32, "only val's can be kept"


def test_without_room_on_the_disk_frozen_layers_run_in_every_epoch(fit, monkeypatch):
    empty, expected, network = storage.empty, flat(), flat()
    fit(expected)
    frozen._kept.clear()

    def full_disk(shape, dtype):
        if shape[1:] == (8,):  # the activations; the logits have four columns
            raise storage.StorageError("no room")
        return empty(shape, dtype)

    monkeypatch.setattr(storage, "empty", full_disk)
    with pytest.warns(UserWarning, match="in every epoch, not once: no room"):
        result = fit(network)
    assert result.cached_layers == 0
    torch.testing.assert_close(network[-1].weight, expected[-1].weight)
