"""What a trained network sees: its layers' outputs, its first filters, and where the evidence for a class lies."""

import difflib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import WorkbookError
from helpers.models import flat_layers
from helpers.models.describe import untouched


class ExplainError(WorkbookError):
    """A layer or a class that the network does not have, or a layer without feature maps."""


def activations(network: nn.Sequential, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Outputs of some layers for some images, in evaluation mode.

    Args:
        network: stays as it is, its modes included.
        images: as the network takes them, (N, ...).
        layers: names as `helpers.models.flat_layers` gives them, or of any other module inside, in whatever order:
            "layer1" or "layer1.0.conv2", say. Of a module that runs several times it is the last output.

    Returns:
        By layer, in the order asked for: float32 (N, ...) on the CPU.

    Raises:
        ExplainError: for a name that the network lacks.
    """
    # With duplicates: a module that the network runs twice has two names.
    modules = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    for name in layers:
        if name not in modules:
            raise _no_layer(name, list(modules))
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        # A copy: the next layer may be a ReLU that works in place.
        outputs[name] = output.to("cpu", torch.float32, copy=True)

    hooks = [
        modules[name].register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name in layers
    ]
    try:
        with untouched(network):
            network(images.to(_device(network)))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: outputs[name] for name in layers}


def first_filters(network: nn.Module) -> Tensor:
    """Weights of the first convolution, a copy: float32 (out, in, height, width) on the CPU.

    Raises:
        ExplainError: the network has no convolution.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight.detach().to("cpu", torch.float32, copy=True)
    raise ExplainError("this network has no two-dimensional convolution, so that there are no first filters to show")


def last_convolution(network: nn.Sequential, *, image_size: int = 64) -> str:
    """The layer that Grad-CAM usually looks at: the last convolution, with the normalisation and ReLU behind it.

    Convolutions that see a single pixel don't count, such as those behind global average pooling. It is found by
    showing the network one black image.

    Args:
        network: stays as it is.
        image_size: height and width of the image in pixels. Give that of your images where they are smaller: a deep
            network leaves one pixel of them earlier.

    Returns:
        A name of `helpers.models.flat_layers`.

    Raises:
        ExplainError: no convolution gives maps of more than one pixel.
        ModelError: the network is no plain sequence.
    """
    found, size = "", None
    shown = torch.zeros(1, first_filters(network).shape[1], image_size, image_size, device=_device(network))
    with untouched(network):
        for name, layer in flat_layers(network):
            shown = layer(shown)
            if shown.dim() != 4:
                break
            convolves = any(isinstance(module, nn.Conv2d) for module in layer.modules())
            if convolves and min(shown.shape[2:]) > 1:
                found, size = name, shown.shape
            elif shown.shape == size:
                found = name
            else:
                size = None  # what follows another layer doesn't belong to the convolution, whatever its shape
    if not found:
        raise ExplainError(
            f"no convolution of this network gives maps of more than one pixel for images of {image_size} px"
        )
    return found


def grad_cam(network: nn.Sequential, images: Tensor, *, layer: str, classes: Tensor | None = None) -> Tensor:
    """Where in each image a layer finds evidence for a class (Grad-CAM).

    The layer's maps are added up, each weighted by the mean of the class's gradient over it; what is left above zero
    speaks for the class. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization" (ICCV 2017).

    Args:
        network: stays as it is: modes, ``requires_grad`` and ``.grad``. All of it may be frozen.
        images: as the network takes them, (N, C, H, W).
        layer: whose output to look at: a name of `helpers.models.flat_layers`, or of a sequence around some of them,
            such as "layer4"; `last_convolution` gives the usual one.
        classes: int64 (N,), the class to explain in each image. None: the predicted ones.

    Returns:
        float32 (N, H, W) on the CPU, enlarged to the images' size by bilinear interpolation, each divided by its
        maximum: 0 to 1, or all 0 where nothing speaks for the class.

    Raises:
        ExplainError: no such layer or class, or a layer that gives no maps of more than one pixel.
        ModelError: the network is no plain sequence.
    """
    front, rest = _cut(network, layer)
    with untouched(network):
        maps = front(images.to(_device(network))).detach()
        if maps.dim() != 4 or maps[0, 0].numel() == 1:
            raise ExplainError(
                f"layer {layer!r} gives {tuple(maps.shape[1:])} for each image, no feature maps of (channels, height, "
                "width); choose an earlier layer, last_convolution(network) say"
            )
        with torch.enable_grad():
            maps.requires_grad_()
            logits = rest(maps.clone())  # a copy: the next layer may be a ReLU that works in place
            chosen = _classes(classes, logits)
            # In evaluation mode images don't influence each other: the sum's gradient is that of each image's logit.
            gradient = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), maps)[0]
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        evidence = (weights * maps).sum(dim=1, keepdim=True).relu().float()
        evidence = F.interpolate(evidence, images.shape[2:], mode="bilinear", align_corners=False)[:, 0].cpu()
    highest = evidence.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, evidence / highest, 0.0)


def _cut(network: nn.Sequential, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The layers up to and with ``layer``, and those behind it."""
    flat = flat_layers(network)
    inside = [i for i, (name, _) in enumerate(flat) if f"{name}.".startswith(f"{layer}.")]
    if not inside:
        raise _no_layer(layer, [name for name, _ in flat])
    end = inside[-1] + 1
    modules = [module for _, module in flat]
    return nn.Sequential(*modules[:end]), nn.Sequential(*modules[end:])


def _no_layer(name: str, known: Sequence[str]) -> ExplainError:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.3) or known[:5]
    return ExplainError(f"the network has no layer {name!r} to look at; names near it: {', '.join(near)}")


def _classes(classes: Tensor | None, logits: Tensor) -> Tensor:
    if classes is None:
        return logits.argmax(dim=1)
    number, num_classes = logits.shape
    if classes.shape != (number,) or classes.min() < 0 or classes.max() >= num_classes:
        raise ExplainError(f"classes are one for each of the {number} images, 0 to {num_classes - 1}; not {classes}")
    return classes.to(logits.device)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
