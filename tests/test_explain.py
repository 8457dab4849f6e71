"""Activations and Grad-CAM against torchvision's feature extractor and another Grad-CAM."""

import copy
from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from helpers import WorkbookError, explain, models


@pytest.fixture(scope="module")
def resnet():
    """torchvision's network with random weights and BatchNorm statistics that do something."""
    with models.seeded(0):
        network = torchvision.models.resnet18(num_classes=7)
        network(torch.rand(8, 3, 64, 64))
    return network.eval()


@pytest.fixture
def sequence(resnet):
    """The same layers as a sequence, those up to layer4 in a sequence of their own; in train mode and partly frozen.

    Fails a test that leaves it otherwise.
    """
    layers = OrderedDict(copy.deepcopy(resnet).named_children())
    head = {"average": layers.pop("avgpool"), "flatten": nn.Flatten(), "fc": layers.pop("fc")}
    network = nn.Sequential(OrderedDict(body=nn.Sequential(layers), **head)).train()
    network.body.layer1.requires_grad_(False)
    network.body.layer1.eval()
    before = copy.deepcopy(network)
    yield network
    torch.testing.assert_close(network.state_dict(), before.state_dict(), rtol=0, atol=0)
    for module, same in zip(network.modules(), before.modules(), strict=True):
        assert module.training == same.training and not module._forward_hooks
    for parameter, same in zip(network.parameters(), before.parameters(), strict=True):
        assert parameter.requires_grad == same.requires_grad and parameter.grad is None


@pytest.fixture
def images():
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_activations_are_those_of_torchvisions_feature_extractor(resnet, sequence, images):
    names = {"body.relu": "relu", "body.layer3": "layer3", "body.layer1.1": "layer1.1", "fc": "fc"}
    expected = create_feature_extractor(resnet, {name: name for name in names.values()})(images)
    found = explain.activations(sequence, images, list(names))
    assert list(found) == list(names)
    for ours, theirs in names.items():
        assert torch.equal(found[ours], expected[theirs]), ours
        assert found[ours].dtype == torch.float32 and not found[ours].requires_grad


def cam_network():
    with models.seeded(3):
        layers = {"conv": nn.Conv2d(3, 5, 3), "relu": nn.ReLU(), "average": nn.AdaptiveAvgPool2d(1)}
        return nn.Sequential(OrderedDict(**layers, flatten=nn.Flatten(), fc=nn.Linear(5, 4)))


def reference(network, layer, images, classes):
    """Grad-CAM of one image after the other, by hooks on the whole network."""
    maps = []
    for image, label in zip(images, classes, strict=True):
        kept = {}

        def keep(_module, _inputs, output, kept=kept):
            kept["activation"] = output
            output.register_hook(lambda gradient: kept.update(gradient=gradient))

        hook = layer.register_forward_hook(keep)
        network(image[None])[0, label].backward()
        hook.remove()
        network.zero_grad()
        weights = kept["gradient"][0].mean(dim=(1, 2))
        cam = torch.einsum("k,khw->hw", weights, kept["activation"][0].detach()).clamp(min=0)
        cam = F.interpolate(cam[None, None], image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
        maps.append(cam / cam.max() if cam.max() > 0 else cam)
    return torch.stack(maps)


@pytest.mark.parametrize("classes", [torch.tensor([0, 6, 3, 3]), None])
def test_grad_cam_inside_a_resnet_is_that_of_another_implementation_also_where_it_is_frozen(
    resnet, sequence, images, classes
):
    predicted = resnet(images).argmax(dim=1)
    expected = reference(resnet, resnet.layer2[0], images, predicted if classes is None else classes)
    assert (expected.amax(dim=(1, 2)) > 0).sum() >= 2
    with torch.no_grad():  # one of its stages is frozen anyway
        found = explain.grad_cam(sequence, images, layer="body.layer2.0", classes=classes)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_where_nothing_speaks_for_a_class_the_map_is_empty(images):
    network = cam_network()
    torch.nn.init.constant_(network.fc.weight, -1)
    assert torch.equal(explain.grad_cam(network, images, layer="relu"), torch.zeros(4, 64, 64))


@pytest.mark.parametrize(
    ("layer", "classes", "message"),
    [
        ("fc", None, "no feature maps"),
        ("average", None, "no feature maps"),
        ("relu", [0, 1, 2, 4], "0 to 3"),
        ("relu", [0, -1, 0, 0], "0 to 3"),
        ("conv1", None, r"no layer 'conv1'.*near it:.*conv"),
    ],
)
def test_layers_without_a_map_and_what_does_not_exist_are_refused(images, layer, classes, message):
    with pytest.raises(WorkbookError, match=message):
        explain.grad_cam(cam_network(), images, layer=layer, classes=classes and torch.tensor(classes))
