import numpy as np
import pytest
import torch
from PIL import Image

from helpers.data import DataError, ImageData, Source, lower_resolution

SOURCE = Source("random", "Random colours", "made by a test")


def image_data(images):
    return ImageData(images, torch.arange(len(images)) % 2, ("a", "b"), "val", SOURCE)


def random_images(height=32, width=32, channels=3):
    shape = (5, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [16, 8, 5, 2])
@pytest.mark.parametrize("shape", [(32, 32), (20, 32)])
def test_it_does_what_pillow_does(size, shape):
    images = random_images(*shape)
    lowered = lower_resolution(image_data(images), size)
    for image, result in zip(images, lowered.images, strict=True):
        file = Image.fromarray(image.permute(1, 2, 0).numpy())
        small = file.resize((size, size), Image.Resampling.BILINEAR)
        expected = np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(result.permute(1, 2, 0).numpy() - expected).max() <= 2  # each step rounds


def test_everything_but_the_pixels_stays():
    data = image_data(random_images())
    lowered = lower_resolution(data, 8)
    assert lowered.images.shape == data.images.shape and lowered.images.dtype == torch.uint8
    assert not torch.equal(lowered.images, data.images)
    assert torch.equal(lowered.labels, data.labels)
    assert (lowered.class_names, lowered.split, lowered.source) == (data.class_names, data.split, data.source)
    assert lower_resolution(data, 32) is data


@pytest.mark.parametrize("size", [1, 21, 64])
def test_sizes_that_lower_nothing_are_refused(size):
    with pytest.raises(DataError, match="2 to 20 pixels for images of 20 × 32"):
        lower_resolution(image_data(random_images(20, 32)), size)
