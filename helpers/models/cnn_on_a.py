"""The network of experiments 01 and 02."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from helpers.models.layers import Normalize, seeded


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
