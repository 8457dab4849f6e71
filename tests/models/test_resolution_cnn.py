import pytest
import torch
from torch import nn

from helpers import models

PARAMETERS = {  # of the earlier report's table
    "conv1_1": 896,
    "conv1_2": 9248,
    "conv1_3": 9248,
    "conv2_1": 18_496,
    "conv2_2": 36_928,
    "conv2_3": 36_928,
    "fc1": 295_424,
    "fc2": 5130,
}


def test_it_has_the_layers_and_parameters_of_the_experiment():
    network = models.resolution_cnn(10)
    counts = {name: models.count_parameters(layer) for name, layer in network.named_children()}
    assert {name: count for name, count in counts.items() if count} == PARAMETERS
    assert models.count_parameters(network) == 412_298
    assert network(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 10)


def test_it_computes_what_the_description_says():
    """Convolutions without padding, each followed by ReLU; then pooling, dropout; written out with functions alone."""
    network = models.resolution_cnn(4, image_size=28, seed=1).eval()
    images = torch.rand(3, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    shown = (images - 0.5) / 0.25
    for stage in (1, 2):
        for number in (1, 2, 3):
            layer = getattr(network, f"conv{stage}_{number}")
            shown = nn.functional.conv2d(shown, layer.weight, layer.bias).relu()
        shown = nn.functional.max_pool2d(shown, 2)
    hidden = (shown.flatten(1) @ network.fc1.weight.T + network.fc1.bias).relu()
    torch.testing.assert_close(network(images), hidden @ network.fc2.weight.T + network.fc2.bias)


def test_dropout_follows_each_stage_and_the_first_fully_connected_layer():
    network = models.resolution_cnn()
    names = [name for name, _ in network.named_children()]
    rates = {name: layer.p for name, layer in network.named_children() if isinstance(layer, nn.Dropout)}
    assert rates == {"dropout1": 0.25, "dropout2": 0.25, "dropout_fc1": 0.5}
    assert names.index("pool1") < names.index("dropout1") < names.index("conv2_1")
    assert names.index("pool2") < names.index("dropout2") < names.index("fc1")
    assert names.index("fc1") < names.index("dropout_fc1") < names.index("fc2")


def test_the_seed_decides_the_weights():
    first, again, other = (models.resolution_cnn(seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.conv2_3.weight, again.conv2_3.weight)
    assert not torch.equal(first.conv2_3.weight, other.conv2_3.weight)


def test_activations_keep_their_size_from_layer_to_layer():
    """He's weights: the mean square of what a layer gives before its ReLU is twice that of what it takes after one."""
    network = models.resolution_cnn().eval()
    shown = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.25 + 0.5
    sizes = {}
    for name, layer in network.named_children():
        before, shown = shown, layer(shown)
        if name in PARAMETERS:
            sizes[name] = (shown.square().mean() / before.square().mean()).item()
    assert all(1.2 < sizes[name] < 3 for name in sizes if name != "fc2"), sizes
    assert sizes["fc2"] < 1
    assert not network.conv1_1.bias.any() and not network.fc1.bias.any()


def test_the_smallest_images_and_those_below():
    assert models.resolution_cnn(image_size=22).fc1.in_features == 64
    with pytest.raises(models.ModelError, match="21 px are too small"):
        models.resolution_cnn(image_size=21)
