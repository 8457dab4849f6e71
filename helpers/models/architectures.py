"""What torchvision and timm know about a network: how it is built, and what its ImageNet weights expect.

Both libraries take seconds to import, so that they are imported inside functions only.
"""

import difflib
import re
from dataclasses import dataclass

from torch import nn

from helpers.models.layers import ModelError, seeded

TORCHVISION = ("resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2", "efficientnet_b0")
"""The networks that come from torchvision; any other name is timm's."""

_TIMMS_RELEASES = "pytorch-image-models"
"""Part of the addresses of files with timm's own names for tensors. Behind its other addresses are files as a paper's
authors left them, which timm rewrites while it loads them."""


@dataclass(frozen=True)
class Architecture:
    """A network by name, before it is built.

    Attributes:
        name: as `helpers.models.backbone` takes it.
        mean, std: of the images that its weights were trained on, one a channel, on the scale 0 to 1.
        native_size: height and width in pixels that its weights were trained at.
        urls: where its ImageNet weights can be downloaded as files that fit it, the preferred ones first.
        hub_repository: name of the Hugging Face repository that holds them, which goes before ``urls``; "" if there is
            none.
        head: names of the layers that tell ImageNet's classes apart, which a backbone goes without.
        trained_on: the images that the weights were trained on.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    native_size: int
    urls: tuple[str, ...]
    hub_repository: str
    head: tuple[str, ...]
    trained_on: str = "ImageNet"

    @property
    def published(self) -> bool:
        """Whether the library names a place where weights can be had."""
        return bool(self.urls or self.hub_repository)

    def is_head(self, tensor_name: str) -> bool:
        """Whether a tensor of the network's state belongs to its head."""
        return any(tensor_name.startswith(f"{layer}.") for layer in self.head)


def get(name: str) -> Architecture:
    """The network of this name.

    Raises:
        ModelError: neither library has it; the message suggests the nearest names.
    """
    return _from_torchvision(name) if name in TORCHVISION else _from_timm(name)


def build(architecture: Architecture, seed: int) -> nn.Module:
    """The library's own network with random weights; timm's without a head, torchvision's with its 1000 classes."""
    with seeded(seed):
        if architecture.name in TORCHVISION:
            import torchvision

            return torchvision.models.get_model(architecture.name, weights=None)
        import timm

        return timm.create_model(architecture.name, pretrained=False, num_classes=0)


def _from_torchvision(name: str) -> Architecture:
    import torchvision

    weights = torchvision.models.get_model_weights(name)
    # Not all that an enumeration holds is ImageNet as the network expects it: VGG16's IMAGENET1K_FEATURES wants
    # images on another scale.
    usable = [entry for entry in weights if entry.name.startswith("IMAGENET1K_V")]
    usable.sort(key=lambda entry: entry is not weights.DEFAULT)
    transforms = usable[0].transforms()
    return Architecture(
        name=name,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        native_size=transforms.crop_size[0],
        urls=tuple(entry.url for entry in usable),
        hub_repository="",
        head=("fc", "classifier"),
    )


def _from_timm(name: str) -> Architecture:
    import timm
    from timm.models import get_pretrained_cfg

    try:
        known = get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        names = dict.fromkeys([*TORCHVISION, *timm.list_models()])  # some are in both
        near = difflib.get_close_matches(name.lower(), names, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ModelError(
            f"there is no network {name!r}.{hint} It is {', '.join(TORCHVISION)}, or a name of timm.list_models()"
        ) from None
    on_imagenet = known.num_classes == 1000 or re.search(r"in\d+k", known.tag or "")
    layers = known.classifier or ()
    return Architecture(
        name=name,
        mean=tuple(known.mean),
        std=tuple(known.std),
        native_size=known.input_size[-1],
        urls=(known.url,) if _TIMMS_RELEASES in (known.url or "") else (),
        hub_repository=known.hf_hub_id or "",
        head=(layers,) if isinstance(layers, str) else tuple(layers),
        trained_on="ImageNet" if on_imagenet else f"timm's weights {known.tag!r}",
    )
