"""The networks of the experiments: 01 and 02 (`cnn_on_a`), 05, 06 and 07.

All take ``num_classes``, the outputs of their last layer; ``mean`` and ``std`` of the training images, one a channel,
on the scale 0 to 1; and ``seed``, of the initial weights. ``image_size`` (height and width in pixels), where one is
asked for, sets the inputs of the first fully connected layer.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from helpers.models.layers import Dropout, ModelError, Normalize, seeded

Channels = Sequence[float]
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALLEST_SIZE = 46
"""Pixels: four times a 3x3 convolution without padding and then pooling leave one of them."""


def cnn_on_a(
    num_classes: int = 80,
    *,
    mean: Channels = MEAN,
    std: Channels = STD,
    image_size: int = 32,
    width: int = 64,
    seed: int = 0,
) -> nn.Sequential:
    """The CNN of experiment 01: three VGG-style blocks, and one fully connected layer, fc1.

    A block is twice (conv 3x3 → BatchNorm → ReLU), then average pooling; each block has twice the channels of the
    one before, ``width`` in the first, so that conv2_1 takes ``width`` channels. What the last block leaves is
    flattened: 4,096 inputs of fc1 at 64 channels and 32 px.

    After Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), with
    Ioffe and Szegedy's BatchNorm.

    Raises:
        ModelError: images of less than 8 px, which are too small for three poolings.
    """
    size = image_size // 8
    if size < 1:
        raise ModelError(f"images of {image_size} px are too small for three poolings; use 8 or more")
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    channels = len(mean)
    with seeded(seed):
        for block in (1, 2, 3):
            for convolution in (1, 2):
                wider = width * 2 ** (block - 1)
                name = f"{block}_{convolution}"
                # BatchNorm has a bias of its own, which would make the convolution's idle.
                layers[f"conv{name}"] = nn.Conv2d(channels, wider, 3, padding=1, bias=False)
                layers[f"bn{name}"] = nn.BatchNorm2d(wider)
                layers[f"relu{name}"] = nn.ReLU()
                channels = wider
            layers[f"pool{block}"] = nn.AvgPool2d(2)
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels * size**2, num_classes)
    return nn.Sequential(layers)


def resolution_cnn(
    num_classes: int = 10, *, mean: Channels = MEAN, std: Channels = STD, image_size: int = 32, seed: int = 0
) -> nn.Sequential:
    """The CNN of experiment 05: two stages of three 3x3 convolutions without padding, and two fully connected layers.

    A stage is three times (conv → ReLU), max-pooling and dropout 0.25; the first has 32 channels, the second 64. Then
    come fc1 with 512 outputs, ReLU, dropout 0.5, and fc2. At 32 px, three channels and ten classes it has 412,298
    parameters.

    Layers before a ReLU begin with the weights of He et al., "Delving deep into rectifiers" (2015), and biases of 0.
    PyTorch's own have a sixth of that variance: over six convolutions the image fades so far that plain SGD rests at
    chance for its first hundreds of steps.

    Raises:
        ModelError: images of less than 22 px, which are too small for six convolutions without padding.
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


def arc2(
    num_classes: int = 10,
    *,
    mean: Channels = MEAN[:1],
    std: Channels = STD[:1],
    image_size: int = 28,
    dropout: float = 0.25,
    seed: int = 0,
) -> nn.Sequential:
    """Arc2 of experiment 06: two 2x2 convolutions of 64 channels, pooling after the first, fc 9216→64→10 at 28 px.

    ``dropout`` is the probability after each convolution stage; 0 leaves it out.
    """
    return _fashion_network(2, num_classes, mean, std, image_size, dropout, seed)


def arc3(
    num_classes: int = 10,
    *,
    mean: Channels = MEAN[:1],
    std: Channels = STD[:1],
    image_size: int = 28,
    dropout: float = 0.25,
    seed: int = 0,
) -> nn.Sequential:
    """Arc3 of experiment 06: as `arc2` with a third convolution, and a second pooling before it, fc 1600→64→10.

    Dropout follows the first pooling and the third convolution. The experiment's report names one pooling alone, but
    1,600 inputs of the first fully connected layer take two; a second one after the third convolution would give as
    many.
    """
    return _fashion_network(3, num_classes, mean, std, image_size, dropout, seed)


def _fashion_network(
    convolutions: int,
    num_classes: int,
    mean: Channels,
    std: Channels,
    image_size: int,
    dropout: float,
    seed: int,
) -> nn.Sequential:
    """2x2 convolutions, pooled but for the last one; dropout after the first and the last."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    channels, size = len(mean), image_size
    with seeded(seed):
        for number in range(1, convolutions + 1):
            layers[f"conv{number}"] = nn.Conv2d(channels, 64, 2)
            channels, size = 64, size - 1
            if number < convolutions:
                layers[f"pool{number}"] = nn.MaxPool2d(2)
                size //= 2
            # The largest of four ReLUs is the ReLU of the largest: after the pooling it costs a quarter.
            layers[f"relu{number}"] = nn.ReLU()
            if dropout and number in (1, convolutions):
                layers[f"dropout{number}"] = Dropout(dropout)
        if size < 1:
            raise ModelError(f"images of {image_size} px are too small for {convolutions} convolutions; use 28 or more")
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(channels * size**2, 64)
        layers["relu_fc1"] = nn.ReLU()
        layers["fc2"] = nn.Linear(64, num_classes)
    return nn.Sequential(layers)


def cnn_model_2(num_classes: int = 10, *, mean: Channels = MEAN, std: Channels = STD, seed: int = 0) -> nn.Sequential:
    """CNNModel2 of experiment 07: four convolutions of 32 to 256 channels, fc 256→512→10; 525,130 parameters.

    Each convolution is 3x3 without padding and followed by max-pooling; what remains of the image is averaged. Images
    may have any size from 46 px on; smaller ones raise a `ModelError` when they are passed through.
    """
    return _capacity_network([32, 64, 128, 256], 512, num_classes, mean, std, seed)


def optimized_cnn_model(
    num_classes: int = 10, *, mean: Channels = MEAN, std: Channels = STD, seed: int = 0
) -> nn.Sequential:
    """OptimizedCNNModel of experiment 07: as `cnn_model_2` with half of every width; 133,034 parameters."""
    return _capacity_network([16, 32, 64, 128], 256, num_classes, mean, std, seed)


def cnn_model(
    num_classes: int = 10, *, mean: Channels = IMAGENET_MEAN, std: Channels = IMAGENET_STD, seed: int = 0
) -> nn.Sequential:
    """CNNModel of experiment 07: `cnn_model_2` with BatchNorm after every convolution and dropout 0.5 before fc2.

    It has 526,090 parameters. Mean and standard deviation are by default those of ImageNet, as in the experiment.
    """
    return _capacity_network([32, 64, 128, 256], 512, num_classes, mean, std, seed, regularised=True)


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


def _capacity_network(
    widths: Sequence[int],
    hidden: int,
    num_classes: int,
    mean: Channels,
    std: Channels,
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
