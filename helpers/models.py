"""The networks of the experiments.

Each is an ``nn.Sequential`` of named layers, so that it prints as it reads, can be sliced, and a layer is
``network.conv2_1``. The first layer is always `Normalize`: the images' mean and standard deviation belong to the
weights and travel with them, to another data set, into a checkpoint. So every network takes images as the data comes,
uint8 from 0 to 255 or float from 0 to 1, of shape (N, C, H, W), and returns logits of shape (N, num_classes).
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor, nn

from helpers import WorkbookError


class ModelError(WorkbookError):
    """A network that cannot be built as it was asked for."""


class Normalize(nn.Module):
    """Turns uint8 images (0 to 255) or float images (0 to 1) into ``(x - mean) / std``, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise ModelError(f"Normalize needs one mean and one positive std a channel, got {mean} and {std}")
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        scaled = images if images.is_floating_point() else images.float() / 255
        return (scaled - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"channels={self.mean.numel()}"


class Dropout(nn.Dropout):
    """``nn.Dropout`` that draws a random byte for each activation, which on a processor takes a tenth of the time.

    (PyTorch draws a 64-bit number for each, one after the other: half of Arc2's training time.) The probability is
    rounded to a 256th. On a GPU it is PyTorch's own.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
    """

    def forward(self, activations: Tensor) -> Tensor:
        if not self.training or activations.device.type != "cpu":
            return super().forward(activations)
        dropped = round(self.p * 256)
        words = torch.empty(math.ceil(activations.numel() / 8), dtype=torch.int64).random_(-(2**63), None)
        # In the memory layout of the activations, whatever it is: which random byte goes where doesn't matter.
        random = words.view(torch.uint8).as_strided(activations.shape, activations.stride())
        mask = (random >= dropped).to(activations.dtype)
        return activations * mask.mul_(256 / max(1, 256 - dropped))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers inside come from ``seed``; the generator outside is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's, where weights are drawn; not that of every GPU
        yield


def cnn_on_a(
    num_classes: int = 80,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    width: int = 64,
    num_blocks: int = 3,
    seed: int = 0,
) -> nn.Sequential:
    """The CNN of experiment 01: VGG-style blocks, and one fully connected layer, fc1.

    A block is twice (conv 3x3 → BatchNorm → ReLU), then average pooling; each block has twice the channels of the
    one before, ``width`` in the first, so that conv2_1 takes ``width`` channels. What the last block leaves is
    averaged over the image: any size from ``2 ** num_blocks`` pixels on will do.

    After Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), with
    Ioffe and Szegedy's BatchNorm.

    Args:
        num_classes: outputs of fc1.
        mean, std: of the training images, one a channel, on the scale 0 to 1.
        width: channels of the first block; 64 in the experiment.
        num_blocks: how many blocks.
        seed: of the initial weights.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    channels = len(mean)
    with seeded(seed):
        for block in range(1, num_blocks + 1):
            for convolution in (1, 2):
                wider = width * 2 ** (block - 1)
                name = f"{block}_{convolution}"
                # BatchNorm has a bias of its own, which would make the convolution's idle.
                layers[f"conv{name}"] = nn.Conv2d(channels, wider, 3, padding=1, bias=False)
                layers[f"bn{name}"] = nn.BatchNorm2d(wider)
                layers[f"relu{name}"] = nn.ReLU()
                channels = wider
            layers[f"pool{block}"] = nn.AvgPool2d(2)
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)


def arc2(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
    image_size: int = 28,
    dropout: float = 0.25,
    seed: int = 0,
) -> nn.Sequential:
    """Arc2 of experiment 06: two 2x2 convolutions of 64 channels, pooling after the first, fc 9216→64→10 at 28 px.

    Args:
        num_classes: outputs.
        mean, std: of the training images, one a channel, on the scale 0 to 1.
        image_size: height and width in pixels; sets the inputs of the first fully connected layer.
        dropout: probability, after each convolution stage; 0 leaves it out.
        seed: of the initial weights.
    """
    return _fashion_network([True, False], num_classes, mean, std, image_size, dropout, seed)


def arc3(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.25,),
    image_size: int = 28,
    dropout: float = 0.25,
    seed: int = 0,
) -> nn.Sequential:
    """Arc3 of experiment 06: as `arc2` with a third convolution, and pooling after the second too, fc 1600→64→10."""
    return _fashion_network([True, True, False], num_classes, mean, std, image_size, dropout, seed)


def _fashion_network(
    pooled: list[bool],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    image_size: int,
    dropout: float,
    seed: int,
) -> nn.Sequential:
    """2x2 convolutions, one for each entry of ``pooled``, which says whether max-pooling follows."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    channels, size = len(mean), image_size
    with seeded(seed):
        for number, pools in enumerate(pooled, start=1):
            layers[f"conv{number}"] = nn.Conv2d(channels, 64, 2)
            channels, size = 64, size - 1
            if pools:
                layers[f"pool{number}"] = nn.MaxPool2d(2)
                size //= 2
            # The largest of four ReLUs is the ReLU of the largest: after the pooling it costs a quarter.
            layers[f"relu{number}"] = nn.ReLU()
            if dropout:
                layers[f"dropout{number}"] = Dropout(dropout)
        if size < 1:
            raise ModelError(f"images of {image_size} px are too small for {len(pooled)} convolutions; use 28 or more")
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels * size**2, 64)
        layers["relu_fc1"] = nn.ReLU()
        layers["fc2"] = nn.Linear(64, num_classes)
    return nn.Sequential(layers)


def layer_table(model: nn.Sequential, image_shape: Sequence[int]) -> pd.DataFrame:
    """One row for each layer of a network: its name, kind, output shape for one image, and parameters.

    Args:
        model: a sequence of layers.
        image_shape: (C, H, W) of one image.
    """
    rows = []
    shown = torch.zeros(1, *image_shape, device=next(model.parameters()).device)
    # Eval mode: looking must not move BatchNorm's statistics.
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        for name, layer in model.named_children():
            shown = layer(shown)
            shape = " × ".join(str(size) for size in shown.shape[1:])
            rows.append((name, type(layer).__name__, shape, count_parameters(layer)))
    for module, training in was_training.items():
        module.training = training
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "parameters"])


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """How many numbers the network learns (buffers, such as BatchNorm's statistics, don't count)."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)
