import pytest
import torch
from torch import nn

from helpers import models

BUILDERS = [models.cnn_model_2, models.optimized_cnn_model, models.cnn_model]


def layers_of(network, kind):
    return [layer for layer in network if isinstance(layer, kind)]


@pytest.mark.parametrize(("build", "parameters"), [*zip(BUILDERS, [525_130, 133_034, 526_090], strict=True)])
def test_parameter_counts_are_those_of_the_experiment(build, parameters):
    assert models.count_parameters(build()) == parameters
    hidden = build().fc2.in_features
    assert models.count_parameters(build(7)) == parameters - 3 * (hidden + 1)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("size", [46, 64])
def test_images_of_any_size_from_46_px_on_give_one_logit_a_class(build, size):
    network = build(5).eval()
    assert network(torch.zeros(2, 3, size, size, dtype=torch.uint8)).shape == (2, 5)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("shape", [(45, 64), (64, 45)])
def test_smaller_images_are_refused_by_name(build, shape):
    with pytest.raises(models.ModelError, match=f"{shape[1]} x {shape[0]} px .* IMAGE_SIZE to 46"):
        build()(torch.zeros(1, 3, *shape))


def test_the_layers_are_those_of_the_experiment():
    plain, half, regularised = (build() for build in BUILDERS)
    for network, widths in ((plain, [32, 64, 128, 256]), (half, [16, 32, 64, 128]), (regularised, [32, 64, 128, 256])):
        convolutions = layers_of(network, nn.Conv2d)
        assert [layer.out_channels for layer in convolutions] == widths
        assert {(layer.kernel_size, layer.padding) for layer in convolutions} == {((3, 3), (0, 0))}
        assert (network.fc1.in_features, network.fc1.out_features) == (widths[-1], 2 * widths[-1])
    assert not layers_of(plain, nn.BatchNorm2d) and not layers_of(plain, nn.Dropout)
    assert [layer.num_features for layer in layers_of(regularised, nn.BatchNorm2d)] == [32, 64, 128, 256]
    (dropout,) = layers_of(regularised, nn.Dropout)
    assert dropout.p == 0.5
    names = [name for name, _ in regularised.named_children()]
    assert names[:5] == ["normalize", "conv1", "bn1", "pool1", "relu1"]
    assert names[-4:] == ["fc1", "relu_fc1", "dropout", "fc2"]


def test_the_result_is_that_of_the_usual_order():
    """Convolution, BatchNorm, ReLU, pooling; here the ReLU comes last, which is the same."""
    network = models.cnn_model(seed=2).eval()
    with torch.no_grad():
        for norm in layers_of(network, nn.BatchNorm2d):
            norm.weight.uniform_(-1, 1)
            norm.running_mean.uniform_(-1, 1)
        images = torch.rand(2, 3, 50, 50)
        shown = network.normalize(images)
        for number in range(1, 5):
            convolved, norm = network.get_submodule(f"conv{number}")(shown), network.get_submodule(f"bn{number}")
            shown = nn.functional.max_pool2d(norm(convolved).relu(), 2)
        expected = network.fc2(network.fc1(shown.mean(dim=(2, 3))).relu())
        torch.testing.assert_close(network(images), expected)


def test_cnn_model_normalises_as_imagenet_does():
    layer = models.cnn_model().normalize
    assert layer.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert layer.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    other = models.cnn_model(mean=(0.1, 0.2, 0.3), std=(1, 1, 1)).normalize
    assert other.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_the_seed_decides_the_weights():
    first, again, other = (models.cnn_model(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.conv4.weight, again.conv4.weight)
    assert not torch.equal(first.conv4.weight, other.conv4.weight)
