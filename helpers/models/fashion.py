"""The networks of experiment 06."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from helpers.models.layers import Dropout, ModelError, Normalize, seeded


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
