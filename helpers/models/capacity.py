"""The networks of experiment 07: one architecture, at two widths, and once with BatchNorm and dropout."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from helpers.models.layers import Dropout, ModelError, Normalize, seeded

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_SIZE = 46
"""Pixels: four times a 3x3 convolution without padding and then pooling leave one of them."""


def cnn_model_2(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    seed: int = 0,
) -> nn.Sequential:
    """CNNModel2 of experiment 07: four convolutions of 32 to 256 channels, fc 256→512→10; 525,130 parameters.

    Each convolution is 3x3 without padding and followed by max-pooling; what remains of the image is averaged. Images
    may have any size from 46 px on; smaller ones raise a `ModelError` when they are passed through.

    Args:
        num_classes: outputs.
        mean, std: of the training images, one a channel, on the scale 0 to 1.
        seed: of the initial weights.
    """
    return _network([32, 64, 128, 256], 512, num_classes, mean, std, seed)


def optimized_cnn_model(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    seed: int = 0,
) -> nn.Sequential:
    """OptimizedCNNModel of experiment 07: as `cnn_model_2` with half of every width; 133,034 parameters."""
    return _network([16, 32, 64, 128], 256, num_classes, mean, std, seed)


def cnn_model(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    seed: int = 0,
) -> nn.Sequential:
    """CNNModel of experiment 07: `cnn_model_2` with BatchNorm after every convolution and dropout 0.5 before fc2.

    It has 526,090 parameters. Mean and standard deviation are by default those of ImageNet, as in the experiment.
    """
    return _network([32, 64, 128, 256], 512, num_classes, mean, std, seed, regularised=True)


class NormalizeLarge(Normalize):
    """`Normalize` for images of `SMALLEST_SIZE` and more: of smaller ones the pooling would leave nothing."""

    def forward(self, images: Tensor) -> Tensor:
        if min(images.shape[-2:]) < SMALLEST_SIZE:
            height, width = images.shape[-2:]
            raise ModelError(
                f"images of {width} x {height} px are too small for four convolutions without padding, each followed "
                f"by pooling: set IMAGE_SIZE to {SMALLEST_SIZE} or more"
            )
        return super().forward(images)


def _network(
    widths: Sequence[int],
    hidden: int,
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    *,
    regularised: bool = False,
) -> nn.Sequential:
    """3x3 convolutions of these widths, each pooled, then two fully connected layers."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=NormalizeLarge(mean, std))
    channels = len(mean)
    with seeded(seed):
        for number, width in enumerate(widths, start=1):
            layers[f"conv{number}"] = nn.Conv2d(channels, width, 3)
            if regularised:
                layers[f"bn{number}"] = nn.BatchNorm2d(width)
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            # The largest of four ReLUs is the ReLU of the largest: after the pooling it costs a quarter.
            layers[f"relu{number}"] = nn.ReLU()
            channels = width
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels, hidden)
        layers["relu_fc1"] = nn.ReLU()
        if regularised:
            layers["dropout"] = Dropout(0.5)
        layers["fc2"] = nn.Linear(hidden, num_classes)
    return nn.Sequential(layers)
