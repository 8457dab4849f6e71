"""What every contestant is told, and the network that each of them trains."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from helpers import models, transfer

MOMENTUM = 0.9


@dataclass(frozen=True)
class Job:
    """One training. Everything is JSON-able, since it runs in a process of its own.

    Attributes:
        contestant: a name of `tests.benchmarks.contestants.CONTESTANTS`.
        folder: with ``train``, ``val`` and ``test``, each with a folder for each class; classes sort alike everywhere.
        epochs: with one pass over the validation images after each.
        batch_size: images a step; the last batch may be smaller.
        learning_rate: constant, of SGD with `MOMENTUM`.
        workers: processes that decode images, where a contestant has such.
        seed: of the initial weights, and of the order of the images.
        precision: "auto", "float32" or "bfloat16"; the peers compute in float32.
        image_size: pixels that images are resized to; None: as they come.
        num_classes: outputs of the network.
        pixels: height and width of the images that the network gets.
        mean, std: of the training images, a number a channel, on the scale 0 to 1.
        body: name of a pretrained network, which is frozen and gets a linear head; "": a CNN trained from scratch.
        weights_root: the data folder in which the body's weights are looked for.
    """

    contestant: str
    folder: str
    epochs: int
    batch_size: int
    learning_rate: float
    workers: int
    seed: int
    precision: str
    image_size: int | None
    num_classes: int
    pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    body: str = ""
    weights_root: str = ""

    def network(self) -> nn.Sequential:
        """The untrained network: the same weights for every contestant with this seed."""
        if not self.body:
            return models.resolution_cnn(
                self.num_classes, mean=self.mean, std=self.std, image_size=self.pixels, seed=self.seed
            )
        body = models.backbone(self.body, root=Path(self.weights_root))
        network = body.with_head(self.num_classes, seed=self.seed)
        transfer.freeze_body(network)
        return network
