from itertools import pairwise

import pytest
import torch
from torch import nn

from helpers import models


def test_cnn_on_a_has_the_layers_of_the_experiment():
    network = models.cnn_on_a(80)
    assert isinstance(network.conv2_1, nn.Conv2d)
    assert network.conv2_1.in_channels == 64
    assert network.conv2_1.kernel_size == (3, 3)
    assert network.fc1.out_features == 80
    kinds = [type(layer).__name__ for layer in network]
    assert kinds[1:8] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "AvgPool2d"]


def test_cnn_on_a_parameter_count_follows_from_its_widths():
    widths = [3, 16, 16, 32, 32, 64, 64]
    convolutions = sum(9 * a * b for a, b in pairwise(widths))
    batch_norms = sum(2 * width for width in widths[1:])
    expected = convolutions + batch_norms + 64 * 80 + 80
    assert models.count_parameters(models.cnn_on_a(80, width=16)) == expected


@pytest.mark.parametrize(
    ("build", "inputs", "parameters"),
    [
        # conv 2x2: 1→64, 64→64; fc 9216→64→10
        (models.arc2, 9216, 320 + 16_448 + (9216 * 64 + 64) + 650),
        (models.arc3, 1600, 320 + 2 * 16_448 + (1600 * 64 + 64) + 650),
    ],
)
def test_fashion_networks_have_the_sizes_of_the_experiment(build, inputs, parameters):
    network = build()
    assert network.fc1.in_features == inputs
    assert network.fc1.out_features == network.fc2.in_features == 64
    assert models.count_parameters(network) == parameters
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_dropout_can_be_left_out_and_changes_no_weight():
    with_dropout, without = models.arc2(seed=3), models.arc2(seed=3, dropout=0)
    assert sum(isinstance(layer, nn.Dropout) for layer in with_dropout) == 2
    assert not any(isinstance(layer, nn.Dropout) for layer in without)
    assert torch.equal(with_dropout.fc1.weight, without.fc1.weight)


def test_images_that_are_too_small_are_named():
    with pytest.raises(models.ModelError, match="3 px"):
        models.arc3(image_size=3)


def test_normalize_takes_uint8_and_float_alike():
    layer = models.Normalize([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    normalized = layer(images)
    torch.testing.assert_close(normalized, layer(images.float() / 255))
    torch.testing.assert_close(normalized[:, 1], (images[:, 1] / 255 - 0.4) / 0.2)


def test_normalize_refuses_a_zero_std():
    with pytest.raises(models.ModelError, match="positive std"):
        models.Normalize([0.5], [0.0])


def test_seed_decides_the_weights_and_leaves_the_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, again, other = models.arc3(seed=5), models.arc3(seed=5), models.arc3(seed=6)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


def test_layer_table_counts_every_parameter_once_and_moves_nothing():
    network = models.cnn_on_a(7, width=4, num_blocks=2).train()
    statistics = network.bn1_1.running_mean.clone()
    table = models.layer_table(network, (3, 16, 16))
    assert table["parameters"].sum() == models.count_parameters(network)
    assert dict(zip(table["layer"], table["output"], strict=True))["pool1"] == "4 × 8 × 8"
    assert torch.equal(network.bn1_1.running_mean, statistics)
    assert all(module.training for module in network.modules())


def test_count_parameters_can_leave_out_frozen_ones():
    network = models.arc3()
    network.fc1.requires_grad_(False)
    everything = models.count_parameters(network)
    assert models.count_parameters(network, trainable_only=True) == everything - (1600 * 64 + 64)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p, layout):
    ones = torch.ones(16, 8, 33, 31).contiguous(memory_format=layout)
    torch.manual_seed(0)
    dropped = models.Dropout(p)(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert dropped.is_contiguous(memory_format=layout)
    # Neighbours are independent: both are dropped in p * p of the cases.
    zero = dropped == 0
    for axis in range(4):
        both = (zero & zero.roll(1, axis)).float().mean().item()
        assert both == pytest.approx(p * p, abs=0.015)


def test_dropout_scales_the_gradient_as_it_scales_the_activations():
    inputs = torch.rand(4, 6, requires_grad=True)
    torch.manual_seed(0)
    outputs = models.Dropout(0.5)(inputs)
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, (outputs / inputs).detach())
    assert set(inputs.grad.unique().tolist()) == {0.0, 2.0}


def test_dropout_follows_the_seed_and_rests_in_eval_mode():
    layer, images = models.Dropout(0.25), torch.rand(5, 3, 7, 7)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(layer(images))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(layer.eval()(images), images)


def test_relu_after_pooling_is_pooling_after_relu():
    network = models.arc2(dropout=0).eval()
    images = torch.rand(3, 1, 28, 28)
    convolved = network.conv1(network.normalize(images))
    other_way = torch.nn.functional.max_pool2d(convolved.relu(), 2)
    assert torch.equal(network.relu1(network.pool1(convolved)), other_way)


def test_dropout_can_be_compiled():
    """torch.compile refuses to write into a view with strides of its own."""
    layer, images = models.Dropout(0.25), torch.rand(5, 3, 7, 7)
    outputs = []
    for forward in (layer, torch.compile(layer, backend="aot_eager")):
        torch.manual_seed(1)
        outputs.append(forward(images))
    assert torch.equal(*outputs)


def test_dropout_takes_any_layout_and_drops_everything_at_one():
    layer, images = models.Dropout(0.5), torch.ones(8, 6, 5, 5)
    dropped = layer(images[:, ::2])  # neither in rows nor channels last
    assert dropped.shape == (8, 3, 5, 5) and set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not models.Dropout(1.0)(images).any()
