"""The experiments' networks beside plain PyTorch, written down from the reports: every layer, in the usual order."""

from functools import partial

import pytest
import torch
from torch import nn

from helpers import models

GREY = {"mean": (0.3,), "std": (0.2,)}
COLOUR = {"mean": (0.1, 0.5, 0.8), "std": (0.15, 0.25, 0.35)}


def conv(width, size=3, *, norm=False, **options):
    norms = [nn.LazyBatchNorm2d()] if norm else []
    return [nn.LazyConv2d(width, size, **options), *norms, nn.ReLU()]


def pooled(width, size=3, **options):
    return [*conv(width, size, **options), nn.MaxPool2d(2)]


def block(width):
    """Twice convolution, BatchNorm and ReLU, then average pooling."""
    return [*(layer for _ in range(2) for layer in conv(width, norm=True, padding=1, bias=False)), nn.AvgPool2d(2)]


def stage(width):
    return [*conv(width), *conv(width), *pooled(width), nn.Dropout(0.25)]


def four(*widths, **options):
    return [*(layer for width in widths for layer in pooled(width, **options)), nn.AdaptiveAvgPool2d(1)]


def last(width):
    return [nn.Flatten(), nn.LazyLinear(width)]


def head(hidden, classes, *drops):
    return [*last(hidden), nn.ReLU(), *drops, nn.LazyLinear(classes)]


DROP, QUARTER, HALF = map(nn.Dropout, (0.4, 0.25, 0.5))
ARC2 = [*pooled(64, 2), DROP, *conv(64, 2), DROP, *head(64, 6)]
ARC3 = [*pooled(64, 2), QUARTER, *pooled(64, 2), *conv(64, 2), QUARTER, *head(64, 6)]
NETWORKS = [
    (partial(models.cnn_on_a, width=6, image_size=18, **GREY), 18, [*block(6), *block(12), *block(24), *last(80)]),
    (partial(models.arc2, 6, dropout=0.4, image_size=12, **GREY), 12, ARC2),
    (partial(models.arc2, dropout=0, **GREY), 28, [*pooled(64, 2), *conv(64, 2), *head(64, 10)]),
    (partial(models.arc3, 6, **COLOUR), 28, ARC3),
    (partial(models.resolution_cnn, 4, image_size=28, **COLOUR), 28, [*stage(32), *stage(64), *head(512, 4, HALF)]),
    (partial(models.cnn_model_2, 7, **COLOUR), 50, [*four(32, 64, 128, 256), *head(512, 7)]),
    (partial(models.optimized_cnn_model, **GREY), 46, [*four(16, 32, 64, 128), *head(256, 10)]),
    (partial(models.cnn_model, **COLOUR), 50, [*four(32, 64, 128, 256, norm=True), *head(512, 10, HALF)]),
]
CASES = pytest.mark.parametrize(("build", "size", "layers"), NETWORKS)


@CASES
def test_it_computes_what_the_report_says(build, size, layers):
    network, plain = build().eval(), nn.Sequential(*layers).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, len(build.keywords["mean"]), size, size), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(build.keywords[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    normalized = (images / 255 - mean) / std
    plain(normalized)  # which gives the layers their inputs
    own = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("normalize")}
    for name, tensor in own.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - (0 if "running_var" in name else 0.4))
    plain.load_state_dict(dict(zip(plain.state_dict(), own.values(), strict=True)))
    with torch.no_grad():
        expected = plain(normalized)
        torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.Dropout
    found, wanted = ([layer for layer in each if isinstance(layer, kinds)] for each in (network, plain))
    assert [getattr(layer, "p", None) for layer in found] == [getattr(layer, "p", None) for layer in wanted], "drops"


@CASES
def test_the_seed_decides_every_layers_weights_and_leaves_the_generator_alone(build, size, layers):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    default, first, again, other = build(), *(build(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]) and torch.equal(weights, default.state_dict()[name])
        if name.startswith(("conv", "fc")) and weights.any():
            assert not torch.equal(weights, other.state_dict()[name]), name


@pytest.mark.parametrize(
    ("build", "size", "parameters"),
    [
        (models.cnn_on_a, 32, 1_146_304 + (4096 * 10 + 10)),
        (models.arc2, 28, 320 + 16_448 + (9216 * 64 + 64) + 650),
        (models.arc3, 28, 320 + 2 * 16_448 + (1600 * 64 + 64) + 650),
        (models.resolution_cnn, 32, 412_298),
        (models.cnn_model_2, 46, 525_130),
        (models.optimized_cnn_model, 46, 133_034),
        (models.cnn_model, 46, 526_090),
    ],
)
def test_by_default_it_is_the_experiments(build, size, parameters):
    network = build(10)
    if build is models.cnn_model:
        assert network.normalize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert network.normalize.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert models.count_parameters(network) == parameters
    assert network(torch.zeros(2, network.normalize.mean.numel(), size, size)).shape == (2, 10)


def test_activations_keep_their_size_from_layer_to_layer():
    """He's weights: the mean square of what a layer gives before its ReLU is twice that of what it takes after one."""
    network = models.resolution_cnn().eval()
    shown = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.25 + 0.5
    sizes = {}
    for name, layer in network.named_children():
        before, shown = shown, layer(shown)
        if name.startswith(("conv", "fc")):
            sizes[name] = (shown.square().mean() / before.square().mean()).item()
    assert all(1.2 < sizes[name] < 3 for name in sizes if name != "fc2"), sizes
    assert sizes["fc2"] < 1
    assert not network.conv1_1.bias.any() and not network.fc1.bias.any()


@pytest.mark.parametrize(
    ("build", "smallest"),
    [(models.cnn_on_a, 8), (models.arc2, 5), (models.arc3, 11), (models.resolution_cnn, 22)],
)
def test_images_that_are_too_small_are_named(build, smallest):
    with pytest.raises(models.ModelError, match=f"images of {smallest - 1} px"):
        build(image_size=smallest - 1)
    build(image_size=smallest)


def test_images_below_46_px_are_named_when_they_come_and_a_deviation_of_zero_at_once():
    with pytest.raises(models.ModelError, match=r"64 x 45 px .* IMAGE_SIZE to 46"):
        models.cnn_model_2()(torch.zeros(1, 3, 45, 64))
    with pytest.raises(models.ModelError, match="positive std"):
        models.arc2(mean=[0.5], std=[0.0])
