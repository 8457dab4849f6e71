"""The network of experiment 05."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from helpers.models.layers import Dropout, ModelError, Normalize, seeded


def resolution_cnn(
    num_classes: int = 10,
    *,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
    image_size: int = 32,
    seed: int = 0,
) -> nn.Sequential:
    """The CNN of experiment 05: two stages of three 3x3 convolutions without padding, and two fully connected layers.

    A stage is three times (conv → ReLU), max-pooling and dropout 0.25; the first has 32 channels, the second 64. Then
    come fc1 with 512 outputs, ReLU, dropout 0.5, and fc2. At 32 px, three channels and ten classes it has 412,298
    parameters.

    Layers before a ReLU begin with the weights of He et al., "Delving deep into rectifiers" (2015), and biases of 0.
    PyTorch's own have a sixth of that variance: over six convolutions the image fades so far that plain SGD rests at
    chance for its first hundreds of steps.

    Args:
        num_classes: outputs of fc2.
        mean, std: of the training images, one a channel, on the scale 0 to 1.
        image_size: height and width in pixels, 22 or more; sets the inputs of fc1.
        seed: of the initial weights.

    Raises:
        ModelError: images that are too small for six convolutions without padding.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    channels, size = len(mean), image_size
    with seeded(seed):
        for stage, width in ((1, 32), (2, 64)):
            for number in (1, 2, 3):
                layers[f"conv{stage}_{number}"] = nn.Conv2d(channels, width, 3)
                channels, size = width, size - 2
                if number < 3:
                    layers[f"relu{stage}_{number}"] = nn.ReLU()
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
            size //= 2
            # The largest of four ReLUs is the ReLU of the largest: after the pooling it costs a quarter.
            layers[f"relu{stage}_3"] = nn.ReLU()
            layers[f"dropout{stage}"] = Dropout(0.25)
        if size < 1:
            raise ModelError(f"images of {image_size} px are too small for six 3x3 convolutions; use 22 or more")
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels * size**2, 512)
        layers["relu_fc1"] = nn.ReLU()
        layers["dropout_fc1"] = Dropout(0.5)
        for layer in layers.values():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        # Not the last one: large first logits, and so gradients, would switch many a ReLU off for ever.
        layers["fc2"] = nn.Linear(512, num_classes)
    return nn.Sequential(layers)
