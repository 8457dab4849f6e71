"""Backbones compute what the libraries' own networks do, in pieces that can be frozen, cut and given heads."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.transforms.functional import normalize

from helpers import models
from helpers.models import Backbone, ModelError, backbone, best_backbone, flat_layers, seeded, stages

PACKAGED = ("tf_efficientnet_lite0", "mobilenet_v2")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def random_backbone(name: str, tmp_path: Path) -> Backbone:
    return backbone(name, weights="random", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("tf_efficientnet_lite0", True),
        ("mobilenetv3_small_050", True),
        ("resnet10t", True),
        ("levit_128s", False),
        ("bat_resnext26ts", True),  # takes no image of 64 px
        ("inception_v3", True),  # likewise
    ],
)
def test_any_network_of_timm_keeps_what_it_computes(name, cut, tmp_path):
    with seeded(5):
        reference = timm.create_model(name, pretrained=False, num_classes=0).eval()
    shaped = backbone(name, weights="random", seed=5, root=tmp_path)
    size = reference.pretrained_cfg["input_size"][-1]
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(normalize(images, reference.pretrained_cfg["mean"], reference.pretrained_cfg["std"]))
        assert torch.equal(shaped.body(images), expected)
    assert expected.shape == (1, shaped.num_features)
    # Cut into its parts where it only runs them in order; a network with a way of its own stays in one piece.
    assert ("body" not in dict(shaped.body.named_children())) == cut


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
        ("vgg16", ["features.2", "features.7", "features.14", "features.21", "features.28"]),
        ("mobilenet_v2", ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "conv_head"]),
        ("tf_efficientnet_lite0", ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "conv_head"]),
    ],
)
def test_stages_lie_between_halvings_and_cover_the_body_once(name, expected, tmp_path):
    shaped = random_backbone(name, tmp_path)
    network = shaped.with_head(10, hidden=(8,))
    found = stages(network)
    assert list(found) == expected == list(stages(shaped.body))
    assert list(stages(shaped.body, 96)) == expected
    staged = [parameter for layers in found.values() for layer in layers for parameter in layer.parameters()]
    body = [parameter for part, parameter in network.named_parameters() if not part.startswith("fc")]
    assert [id(parameter) for parameter in staged] == [id(parameter) for parameter in body]


@pytest.mark.parametrize("name", ["resnet18", "vgg16", "tf_efficientnet_lite0"])
def test_maps_of_one_pixel_begin_no_stage(name, tmp_path):
    body = random_backbone(name, tmp_path).body
    assert list(stages(body, 32)) == list(stages(body))


def test_stages_are_found_for_grey_images():
    assert list(stages(models.arc2(), 28)) == ["conv1", "conv2"]


def test_only_plain_sequences_are_cut():
    class Residual(nn.Sequential):
        def forward(self, inputs):
            return inputs + super().forward(inputs)

    for network in (Residual(nn.Conv2d(3, 3, 1)), torchvision.models.resnet18()):
        for cut in (stages, flat_layers):
            with pytest.raises(ModelError, match=r"has a forward\(\) of its own"):
                cut(network)


def test_stages_of_a_network_in_one_piece_are_that_piece(tmp_path):
    shaped = random_backbone("levit_128s", tmp_path)
    assert list(stages(shaped.body, 224)) == ["body"]


def test_looking_for_stages_moves_nothing(tmp_path):
    network = random_backbone("resnet18", tmp_path).with_head(3)
    network.layer1.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    stages(network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes


def test_flat_layers_open_plain_sequences_only():
    class Residual(nn.Sequential):
        def forward(self, inputs):
            return inputs + super().forward(inputs)

    relu = nn.ReLU()
    inner = nn.Sequential(nn.Conv2d(3, 3, 1), relu, relu)
    network = nn.Sequential(inner, Residual(nn.Conv2d(3, 3, 1)), nn.Flatten())
    layers = flat_layers(network)
    assert [name for name, _ in layers] == ["0.0", "0.1", "0.2", "1", "2"]
    shown = images = torch.rand(2, 3, 4, 4)
    for _, layer in layers:
        shown = layer(shown)
    assert torch.equal(shown, network(images))


def test_head_of_the_experiment_on_resnet50(tmp_path):
    shaped = random_backbone("resnet50", tmp_path)
    network = shaped.with_head(196, hidden=(1024,))
    assert [name for name, _ in network.named_children()][-3:] == ["fc1", "relu_fc1", "fc2"]
    assert (network.fc1.in_features, network.fc1.out_features, network.fc2.out_features) == (2048, 1024, 196)
    assert len(list(shaped.body.parameters())) == 159
    assert len(list(network.parameters())) == 163
    assert len(list(shaped.with_head(196).parameters())) == len(list(torchvision.models.resnet50().parameters())) == 161
    assert network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape == (2, 196)


def test_head_of_the_experiment_on_vgg16(tmp_path):
    network = random_backbone("vgg16", tmp_path).with_head(10, hidden=(4096, 4096), dropout=0.5)
    head = [(name, type(layer).__name__) for name, layer in network.named_children()][4:]
    kinds = ["Linear", "ReLU", "Dropout"]
    names = ["fc1", "relu_fc1", "dropout_fc1", "fc2", "relu_fc2", "dropout_fc2", "fc3"]
    assert head == list(zip(names, [*kinds, *kinds, "Linear"], strict=True))
    assert network.fc1.in_features == 25088
    assert network.dropout_fc1.p == 0.5


def test_a_network_with_head_shares_nothing_and_trains_everything(tmp_path):
    shaped = random_backbone("resnet18", tmp_path)
    shaped.body.requires_grad_(False)
    network, again = shaped.with_head(4, seed=2), shaped.with_head(4, seed=2)
    assert all(parameter.requires_grad for parameter in network.parameters()) and network.training
    assert not any(parameter.requires_grad for parameter in shaped.body.parameters()) and not shaped.body.training
    before = {name: tensor.clone() for name, tensor in shaped.body.state_dict().items()}
    loss = network(torch.rand(4, 3, 32, 32)).square().mean()
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= parameter.grad
    assert all(torch.equal(before[name], tensor) for name, tensor in shaped.body.state_dict().items())
    assert torch.equal(again.conv1.weight, shaped.body.conv1.weight)
    assert not torch.equal(network.conv1.weight, again.conv1.weight)
    assert not torch.equal(shaped.with_head(4, seed=3).fc1.weight, again.fc1.weight)


class Away(nn.Linear):
    """On the meta device, which every machine has, in the place of a GPU; it comes back with zeros for weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, device="meta")

    def _apply(self, move, recurse=True):
        return super()._apply(lambda tensor: move(torch.zeros_like(tensor, device="cpu")), recurse)


def test_a_new_head_on_a_body_that_was_moved_is_all_on_the_cpu():
    shaped = Backbone("moved", nn.Sequential(nn.Flatten(), Away(12, 5)), 5, True, "", "", 2)
    network = shaped.with_head(3)
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert network(torch.rand(2, 3, 2, 2)).shape == (2, 3)
    assert {parameter.device.type for parameter in shaped.body.parameters()} == {"meta"}  # left where it is


def test_dropout_without_hidden_layers_stands_before_the_only_one(tmp_path):
    network = random_backbone("resnet18", tmp_path).with_head(4, dropout=0.2)
    assert [name for name, _ in network.named_children()][-3:] == ["flatten", "dropout", "fc1"]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "vgg16"])
def test_random_weights_are_torchvisions_of_the_same_seed(name, tmp_path):
    with seeded(5):
        reference = torchvision.models.get_model(name, weights=None).state_dict()
    for key, tensor in backbone(name, weights="random", seed=5, root=tmp_path).body[1:].state_dict().items():
        assert torch.equal(tensor, reference[key])


def test_seed_decides_random_weights(tmp_path):
    first, again, other = (backbone("resnet18", weights="random", seed=seed, root=tmp_path) for seed in (1, 1, 2))
    assert torch.equal(first.body.conv1.weight, again.body.conv1.weight)
    assert not torch.equal(first.body.conv1.weight, other.body.conv1.weight)


@pytest.mark.parametrize("name", PACKAGED)
def test_auto_takes_weights_out_of_packages_and_says_so(name, tmp_path):
    shaped = backbone(name, root=tmp_path)
    assert shaped.pretrained and shaped.how_to_get == ""
    assert shaped.origin.startswith("ImageNet, from the package ")
    assert (" 0.1.0 " if name.startswith("tf") else " 1.3.2 ") in shaped.origin
    assert shaped.origin.endswith("(other names than timm's, in timm's order)")
    assert not torch.equal(next(shaped.body.parameters()), next(random_backbone(name, tmp_path).body.parameters()))


def test_auto_without_weights_is_random_and_says_how_to_get_them(tmp_path):
    shaped = backbone("resnet18", seed=4, root=tmp_path)
    assert not shaped.pretrained
    assert shaped.origin == "random initialisation: ImageNet weights not on this machine"
    assert "python -m helpers.data fetch resnet18" in shaped.how_to_get and "resnet18.pth" in shaped.how_to_get
    asked_for = backbone("resnet18", weights="random", seed=4, root=tmp_path)
    assert torch.equal(asked_for.body.conv1.weight, shaped.body.conv1.weight)
    assert asked_for.origin == "random initialisation, as asked for" and asked_for.how_to_get == ""


def test_imagenet_demands_the_weights(tmp_path):
    with pytest.raises(ModelError, match=r"resnet34 are not on this machine.*fetch resnet34"):
        backbone("resnet34", weights="imagenet", root=tmp_path)


def test_best_backbone_is_the_first_with_weights(tmp_path):
    assert best_backbone(["resnet18", "mobilenet_v2", "tf_efficientnet_lite0"], root=tmp_path).name == "mobilenet_v2"
    none_at_hand = best_backbone(["resnet18", "resnet34"], root=tmp_path)
    assert (none_at_hand.name, none_at_hand.pretrained) == ("resnet18", False)
    assert best_backbone(["resnet18", "mobilenet_v2"], weights="random", root=tmp_path).name == "resnet18"
    with pytest.raises(ModelError, match="resnet18"):
        best_backbone(["resnet18", "resnet34"], weights="imagenet", root=tmp_path)
    with pytest.raises(ModelError, match="one network"):
        best_backbone([], root=tmp_path)


@pytest.mark.parametrize(
    ("name", "near"), [("ResNet50", "resnet50"), ("efficientnet-b0", "efficientnet_b0"), ("hf-hub:timm/resnet18", "")]
)
def test_unknown_names_are_answered_with_near_ones(name, near, tmp_path):
    with pytest.raises(ModelError, match=f"no network .*{near}"):
        backbone(name, root=tmp_path)


def test_networks_that_give_no_features_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.models.pretrained._build", lambda name, seed: nn.Conv2d(4, 1, 1))
    with pytest.raises(ModelError, match="levit_128s can't be used here: shown an image of 224 x 224 px, it fails"):
        random_backbone("levit_128s", tmp_path)


def test_normalization_is_the_first_layer_of_every_body(tmp_path):
    for name in ("resnet18", "tf_efficientnet_lite0", "levit_128s"):
        layer = random_backbone(name, tmp_path).body[0]
        assert isinstance(layer, models.Normalize)
        expected = (0.5,) * 3 if name.startswith("tf") else (0.485, 0.456, 0.406)
        assert layer.mean.flatten().tolist() == pytest.approx(expected)
