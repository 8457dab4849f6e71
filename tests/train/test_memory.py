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


def test_a_step_says_which_sizes_to_try(make_images, cpu):
    images, network = make_images(8), nn.Sequential(Greedy(3 * 8 * 8, 4))
    small = make_images(8, size=30)
    with pytest.raises(WorkbookError, match=r"try BATCH_SIZE = 8 instead of 16\. \(.*allocate"):
        train.fit(network, images, images, epochs=1, batch_size=16, compute=cpu)
    with pytest.raises(WorkbookError, match=r"BATCH_SIZE = 8 instead of 16, or IMAGE_SIZE = 21 instead of 30"):
        train.fit(nn.Sequential(Greedy(2700, 4)), small, small, epochs=1, batch_size=16, compute=cpu)


def test_evaluation_chooses_its_own_batches(make_images, cpu):
    images, network = make_images(8, size=30), nn.Sequential(Greedy(2700, 4))
    network[0].in_training = False
    with pytest.raises(WorkbookError, match=r"not enough: try IMAGE_SIZE = 21 instead of 30"):
        train.predict(network, images, compute=cpu)


def test_other_errors_stay_what_they_are(make_images, cpu):
    class Broken(Greedy):
        def forward(self, images):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied") if self.training else ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train.predict(nn.Sequential(Broken(192, 4)), make_images(8), compute=cpu)
