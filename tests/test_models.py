import pytest
import torch

from helpers import models


def test_layer_table_counts_every_parameter_once_and_moves_nothing():
    network = models.cnn_on_a(7, image_size=16, width=4).train()
    statistics = network.bn1_1.running_mean.clone()
    table = models.layer_table(network, (3, 16, 16))
    everything, last = models.count_parameters(network), network.fc1.weight.numel() + 7
    assert table["parameters"].sum() == everything and table["parameters"].iloc[-1] == last
    network.fc1.requires_grad_(False)
    assert models.count_parameters(network, trainable_only=True) == everything - last
    assert dict(zip(table["layer"], table["output"], strict=True))["pool1"] == "4 × 8 × 8"
    assert torch.equal(network.bn1_1.running_mean, statistics)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize(("p", "layout"), [(0.25, torch.contiguous_format), (0.5, torch.channels_last)])
def test_dropout_drops_its_share_keeps_the_mean_and_follows_the_seed(p, layout):
    layer, ones = models.Dropout(p), torch.ones(16, 8, 33, 31).contiguous(memory_format=layout)
    with models.seeded(0):
        dropped, other = layer(ones), layer(ones)
    with models.seeded(0):
        assert torch.equal(layer(ones), dropped) and not torch.equal(other, dropped)
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert dropped.is_contiguous(memory_format=layout)
    # Neighbours are independent: both are dropped in p * p of the cases.
    zero = dropped == 0
    for axis in range(4):
        both = (zero & zero.roll(1, axis)).float().mean().item()
        assert both == pytest.approx(p * p, abs=0.015)
    assert torch.equal(layer.eval()(ones), ones)


def test_dropout_drops_everything_at_one_and_scales_the_gradient_as_the_activations():
    inputs = torch.rand(4, 6, 5, 5, requires_grad=True)
    outputs = models.Dropout(0.5)(inputs[:, ::2])  # neither in rows nor channels last
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad[:, ::2], (outputs / inputs[:, ::2]).detach())
    assert set(inputs.grad[:, ::2].unique().tolist()) == {0.0, 2.0}
    assert not models.Dropout(1.0)(torch.ones(3, 4)).any()
