"""Networks that learned on ImageNet, as a body for heads of one's own.

Kornblith, Shlens and Le, "Do better ImageNet models transfer better?" (2019), on what such a body is good for.
"""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from helpers import DATA
from helpers.models import architectures
from helpers.models.architectures import Architecture
from helpers.models.describe import untouched
from helpers.models.download import fetch
from helpers.models.layers import Dropout, ModelError, Normalize, seeded
from helpers.models.weights import WeightsError, WeightsFile, find, how_to_get, load, named_file
from helpers.reprs import Row, TableRepr


@dataclass(frozen=True, repr=False)
class Backbone(TableRepr):
    """A network without its head, and where its weights are from.

    Attributes:
        name: of the network.
        body: from images (N, 3, H, W), uint8 or float from 0 to 1, to features (N, num_features). In eval mode and
            frozen. Its first layer, ``normalize``, has the mean and standard deviation that the weights were trained
            with.
        num_features: how many features the body gives for an image.
        pretrained: whether it has weights from a file.
        origin: which weights these are, as a report says it.
        how_to_get: what to do to have ImageNet weights, a sentence; "" if there is nothing to do.
        native_size: height and width in pixels of the images that the weights were trained on.
    """

    name: str
    body: nn.Sequential
    num_features: int
    pretrained: bool
    origin: str
    how_to_get: str
    native_size: int

    def __repr__(self) -> str:
        return f"<Backbone {self.name}: {self.num_features:,} features, weights: {self.origin}>"

    def _rows(self) -> list[Row]:
        missing = [("To have ImageNet weights", self.how_to_get)] if self.how_to_get else []
        return [
            ("Network", self.name),
            ("Weights", self.origin),
            ("Features", f"{self.num_features:,} for an image"),
            ("Native size", f"{self.native_size} × {self.native_size} px"),
            *missing,
        ]

    def with_head(
        self, num_classes: int, *, hidden: Sequence[int] = (), dropout: float = 0.0, seed: int = 0
    ) -> nn.Sequential:
        """A new network: a copy of the body, and a head of fully connected layers fc1, fc2, …, one output a class.

        Args:
            num_classes: outputs of the last layer.
            hidden: widths of the layers before it. A ReLU follows each.
            dropout: probability, after each of these ReLUs; without hidden layers, before the only layer. 0: none.
            seed: of the head's initial weights.

        Returns:
            A network on the CPU that shares no tensor with the body, in train mode; every parameter of it trains.
        """
        # The body may be on another device by now: whoever trains or predicts with a network moves it there.
        layers = OrderedDict(copy.deepcopy(self.body).cpu().named_children())
        widths = [self.num_features, *hidden, num_classes]
        if dropout and not hidden:
            layers["dropout"] = Dropout(dropout)
        with seeded(seed):
            for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
                layers[f"fc{number}"] = nn.Linear(inputs, outputs)
                if number <= len(hidden):
                    layers[f"relu_fc{number}"] = nn.ReLU()
                    if dropout:
                        layers[f"dropout_fc{number}"] = Dropout(dropout)
        return nn.Sequential(layers).requires_grad_(True).train()


def backbone(name: str, *, weights: str = "auto", seed: int = 0, root: Path = DATA) -> Backbone:
    """A network's body, with ImageNet weights where they can be had.

    Args:
        name: "resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2" or "efficientnet_b0", which are torchvision's,
            or any name of ``timm.list_models()``.
        weights: "auto": ImageNet weights if they are on this machine, else random ones; "imagenet": they must be
            there; "download": as "imagenet", and fetched when missing; "random"; or the path of a file, absolute or
            from the repository's root or ``data/weights/``: a state dict of torchvision's or timm's network.
        seed: of random weights.
        root: the data folder.

    Raises:
        ModelError: no such network, or one that gives no features for an image.
        WeightsError: weights that must be there are not (the message says how to get them), or don't fit.
    """
    architecture = architectures.get(name)
    file = _weights_file(architecture, weights, root)
    network = architectures.build(architecture, seed)
    if file:
        load(network, architecture, file)
    body = _sequence(network, architecture).eval().requires_grad_(False)
    missing = file is None and weights != "random"
    return Backbone(
        name=name,
        body=body,
        num_features=_shown(body, architecture).shape[1],
        pretrained=file is not None,
        origin=file.origin if file else _random_origin(missing),
        how_to_get=how_to_get(architecture, root=root) if missing else "",
        native_size=architecture.native_size,
    )


def best_backbone(names: Sequence[str], *, weights: str = "auto", seed: int = 0, root: Path = DATA) -> Backbone:
    """The first of these networks whose ImageNet weights are on this machine; if none's are, the first.

    With weights="download", "random" or a path it is the first in any case.

    Args:
        names: of networks, the preferred one first.
        weights, seed, root: as for `backbone`.

    Raises:
        ModelError: no names, or an unknown one.
        WeightsError: as from `backbone`.
    """
    if not names:
        raise ModelError("best_backbone needs the name of one network at least")
    best = names[0]
    if weights in ("auto", "imagenet"):
        best = next((name for name in names if find(architectures.get(name), root=root)), best)
    return backbone(best, weights=weights, seed=seed, root=root)


def _weights_file(architecture: Architecture, weights: str, root: Path) -> WeightsFile | None:
    if weights == "random":
        return None
    if weights not in ("auto", "imagenet", "download"):
        return named_file(weights, root=root)
    file = fetch(architecture, root=root) if weights == "download" else find(architecture, root=root)
    if file is None and weights != "auto":
        raise WeightsError(
            f"ImageNet weights of {architecture.name} are not on this machine. {how_to_get(architecture, root=root)}"
        )
    return file


def _random_origin(missing: bool) -> str:
    return f"random initialisation{': ImageNet weights not on this machine' if missing else ', as asked for'}"


def _sequence(network: nn.Module, architecture: Architecture) -> nn.Sequential:
    """The network without its head as a sequence of layers, `Normalize` first."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(architecture.mean, architecture.std))
    if architecture.name in architectures.TORCHVISION:
        layers.update((name, layer) for name, layer in network.named_children() if name not in architecture.head)
        # MobileNetV2 calls the function instead.
        layers.setdefault("avgpool", nn.AdaptiveAvgPool2d(1))
    elif _runs_in_order(network, architecture):
        # Where timm's heads were, and where a network has no normalisation, there is a layer that does nothing.
        layers.update((name, layer) for name, layer in network.named_children() if not isinstance(layer, nn.Identity))
    else:
        layers["body"] = network
    layers["flatten"] = nn.Flatten()  # changes nothing where the pooling has done it; the head begins behind it
    return nn.Sequential(layers)


def _runs_in_order(network: nn.Module, architecture: Architecture) -> bool:
    """Whether a network does no more than run its children one after the other, found by trying."""
    tensors_outside_children = [*network.parameters(recurse=False), *network.buffers(recurse=False)]
    if tensors_outside_children:
        return False
    try:
        in_order = _shown(nn.Sequential(*network.children()), architecture)
    except ModelError:  # children that don't fit one behind the other
        return False
    return torch.equal(in_order.flatten(1), _shown(network, architecture))


def _shown(network: nn.Module, architecture: Architecture) -> torch.Tensor:
    """What a network answers to one image of random colours."""
    # torchvision's take any size, and a small one is quick; some of timm's take none but their own.
    size = 64 if architecture.name in architectures.TORCHVISION else architecture.native_size
    image = torch.rand(1, len(architecture.mean), size, size, generator=torch.Generator().manual_seed(0))
    try:
        with untouched(network):
            answer = network(image)
    except Exception as error:  # networks fail in their own ways
        raise ModelError(
            f"{architecture.name} can't be used here: shown an image of {size} x {size} px, it fails ({error})"
        ) from error
    if not isinstance(answer, torch.Tensor):
        raise ModelError(
            f"{architecture.name} can't be used here: shown an image of {size} x {size} px, it gives no tensor of "
            f"features, but a {type(answer).__name__}"
        )
    return answer
