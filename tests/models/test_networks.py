"""The experiments' networks beside plain PyTorch, written down from the reports: every layer, in the usual order."""

import pytest
import torch
from torch import nn

from helpers import models

GREY = {"mean": (0.3,), "std": (0.2,)}
COLOUR = {"mean": (0.1, 0.5, 0.8), "std": (0.15, 0.25, 0.35)}


def conv(channels, width, size=3, **options):
    return [nn.Conv2d(channels, width, size, **options), nn.ReLU()]


def block(channels, width):
    """Twice convolution, BatchNorm and ReLU, then average pooling."""
    layers = []
    for inputs in (channels, width):
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return [*layers, nn.AvgPool2d(2)]


def pooled(channels, width, size=3, *, norm=False):
    norms = [nn.BatchNorm2d(width)] if norm else []
    return [nn.Conv2d(channels, width, size), *norms, nn.ReLU(), nn.MaxPool2d(2)]


def stage(channels, width):
    return [*conv(channels, width), *conv(width, width), *pooled(width, width), nn.Dropout(0.25)]


def head(*sizes, dropout=None):
    drops = [nn.Dropout(dropout)] if dropout else []
    if len(sizes) == 2:
        return [nn.Flatten(), nn.Linear(*sizes)]
    return [nn.Flatten(), nn.Linear(sizes[0], sizes[1]), nn.ReLU(), *drops, nn.Linear(sizes[1], sizes[2])]


def four(a, b, c, d, *, channels=3, norm=False):
    widths = ((channels, a), (a, b), (b, c), (c, d))
    return [*(layer for pair in widths for layer in pooled(*pair, norm=norm)), nn.AdaptiveAvgPool2d(1)]


def dropped(layers, rate):
    return [*layers, nn.Dropout(rate)]


NETWORKS = [
    (
        models.cnn_on_a,
        {"width": 6, "image_size": 18, **GREY},
        18,
        [*block(1, 6), *block(6, 12), *block(12, 24), *head(96, 80)],
    ),
    (
        models.arc2,
        {"num_classes": 6, "dropout": 0.4, "image_size": 12, **GREY},
        12,
        [*dropped(pooled(1, 64, 2), 0.4), *dropped(conv(64, 64, 2), 0.4), *head(64 * 16, 64, 6)],
    ),
    (models.arc2, {"dropout": 0, **GREY}, 28, [*pooled(1, 64, 2), *conv(64, 64, 2), *head(9216, 64, 10)]),
    (
        models.arc3,
        {"num_classes": 6, **COLOUR},
        28,
        [
            *dropped(pooled(3, 64, 2), 0.25),
            *pooled(64, 64, 2),
            *dropped(conv(64, 64, 2), 0.25),
            *head(1600, 64, 6),
        ],
    ),
    (
        models.resolution_cnn,
        {"num_classes": 4, "image_size": 28, **COLOUR},
        28,
        [*stage(3, 32), *stage(32, 64), *head(64 * 4, 512, 4, dropout=0.5)],
    ),
    (models.cnn_model_2, {"num_classes": 7, **COLOUR}, 50, [*four(32, 64, 128, 256), *head(256, 512, 7)]),
    (models.optimized_cnn_model, GREY, 46, [*four(16, 32, 64, 128, channels=1), *head(128, 256, 10)]),
    (models.cnn_model, COLOUR, 50, [*four(32, 64, 128, 256, norm=True), *head(256, 512, 10, dropout=0.5)]),
]
CASES = pytest.mark.parametrize(("build", "options", "size", "layers"), NETWORKS)


def weighted(layers):
    """The layers with weights of their own and the dropouts, in order, with what they are set to."""
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.Dropout
    chosen = [layer for layer in layers if isinstance(layer, kinds)]
    return [layer.p if isinstance(layer, nn.Dropout) else str(layer) for layer in chosen]


@CASES
def test_it_computes_what_the_report_says(build, options, size, layers):
    network, plain = build(**options).eval(), nn.Sequential(*layers).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not name.startswith("normalize"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - (0 if "running_var" in name else 0.4))
    own = {name: value for name, value in network.state_dict().items() if not name.startswith("normalize")}
    plain.load_state_dict(dict(zip(plain.state_dict(), own.values(), strict=True)))
    images = torch.randint(0, 256, (2, len(options["mean"]), size, size), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(options[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    expected = plain((images / 255 - mean) / std)
    with torch.no_grad():
        torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert weighted(network) == weighted(plain), "and drops in training what it should"


@CASES
def test_the_seed_decides_every_layers_weights_and_leaves_the_generator_alone(build, options, size, layers):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    default, first, again, other = build(**options), *(build(**options, seed=seed) for seed in (0, 0, 1))
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


def test_images_below_46_px_are_named_when_they_come():
    with pytest.raises(models.ModelError, match=r"64 x 45 px .* IMAGE_SIZE to 46"):
        models.cnn_model_2()(torch.zeros(1, 3, 45, 64))
