"""What a trained network sees: its layers' outputs, and where the evidence for a class lies.

The network stays as it is, its modes included; it is looked at in evaluation mode. Layers are named as in
``network.named_modules()``: "layer1" or "layer1.0.conv2", say.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import WorkbookError
from helpers.models.describe import untouched


def activations(network: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Outputs of some layers for images (N, ...) as the network takes them: by layer, float32 (N, ...) on the CPU.

    Of a module that runs several times it is the last one. A WorkbookError names a layer that the network lacks.
    """
    with untouched(network), _outputs(network, layers) as outputs:
        network(images.to(_device(network)))
    return {name: outputs[name].detach().to("cpu", torch.float32, copy=True) for name in layers}


def grad_cam(network: nn.Module, images: Tensor, *, layer: str, classes: Tensor | None = None) -> Tensor:
    """Where in each image a layer finds evidence for a class (Grad-CAM).

    The layer's maps are added up, each weighted by the mean of the class's gradient over it; what is left above zero
    speaks for the class. Selvaraju et al., "Grad-CAM" (ICCV 2017).

    Args:
        network: any that gives logits.
        images: as the network takes them, (N, C, H, W).
        layer: one that gives feature maps, usually the last convolution or stage whose maps still tell places apart.
        classes: int64 (N,), the class to explain in each image. None: the predicted ones.

    Returns:
        float32 (N, H, W) on the CPU, enlarged to the images' size by bilinear interpolation, each divided by its
        maximum: 0 to 1, or all 0 where nothing speaks for the class.

    Raises:
        WorkbookError: no such layer or class, or a layer that gives no maps of more than one pixel.
    """
    with untouched(network), torch.enable_grad(), _outputs(network, [layer]) as outputs:
        logits = network(images.to(_device(network)))
        maps = outputs[layer]
        if maps.dim() != 4 or maps[0, 0].numel() == 1:
            raise WorkbookError(
                f"layer {layer!r} gives {tuple(maps.shape[1:])} for each image, no feature maps of (channels, height, "
                "width); choose an earlier layer"
            )
        classes = logits.argmax(dim=1) if classes is None else classes.to(logits.device)
        number, num_classes = logits.shape
        if classes.shape != (number,) or classes.min() < 0 or classes.max() >= num_classes:
            raise WorkbookError(
                f"classes are one for each of the {number} images, 0 to {num_classes - 1}; not {classes}"
            )
        # In evaluation mode images don't influence each other: the sum's gradient is that of each image's logit.
        (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), maps)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    evidence = (weights * maps.detach()).sum(dim=1, keepdim=True).relu().float()
    evidence = F.interpolate(evidence, images.shape[2:], mode="bilinear", align_corners=False)[:, 0].cpu()
    highest = evidence.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, evidence / highest, 0.0)


@contextmanager
def _outputs(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Fills a dictionary with the layers' outputs while the network runs; gradients go as far back as these."""
    # With duplicates: a module that the network runs twice has two names.
    modules = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    for name in layers:
        if name not in modules:
            near = difflib.get_close_matches(name, modules, n=5, cutoff=0.3) or list(modules)[:5]
            raise WorkbookError(f"the network has no layer {name!r} to look at; names near it: {', '.join(near)}")
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        outputs[name] = output.detach().requires_grad_(torch.is_grad_enabled())
        return outputs[name].clone()  # the next layer may be a ReLU that works in place

    with ExitStack() as hooks:
        for name in layers:
            hooks.enter_context(modules[name].register_forward_hook(partial(keep, name)))
        yield outputs


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
