"""Too little memory: the error says which sizes to try."""

import pytest
import torch
from torch import nn

from helpers import WorkbookError, train


class Greedy(nn.Linear):
    """Asks for more than any machine has, once images pass it in the given mode."""

    in_training = True

    def forward(self, images):
        if self.training == self.in_training and len(images) > 2:
            torch.empty(2**55, dtype=torch.uint8)
        return super().forward(images.flatten(1).float())


@pytest.mark.parametrize(
    ("size", "in_training", "advice"),
    [
        (8, True, r"try BATCH_SIZE = 8 instead of 16\. \(.*allocate"),
        (30, True, "try BATCH_SIZE = 8 instead of 16, or IMAGE_SIZE = 21 instead of 30"),
        (30, False, "try IMAGE_SIZE = 21 instead of 30"),  # evaluation chooses its own batches
    ],
)
def test_an_error_says_which_sizes_to_try(make_images, cpu, size, in_training, advice):
    images, network = make_images(8, size=size), nn.Sequential(Greedy(3 * size**2, 4))
    network[0].in_training = in_training
    with pytest.raises(WorkbookError, match=f"The memory is not enough: {advice}"):
        train.fit(network, images, images, epochs=1, batch_size=16, compute=cpu)


def test_other_errors_stay_what_they_are(make_images, cpu):
    class Broken(Greedy):
        def forward(self, images):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train.predict(nn.Sequential(Broken(192, 4)), make_images(8), compute=cpu)
