import pytest
import torch

from helpers.train import RandomAffine


def test_without_amounts_nothing_changes_and_a_flip_mirrors_left_and_right():
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(RandomAffine(flip=0)(images), images.float() / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(RandomAffine(flip=1)(images), images.flip(3).float() / 255, atol=1e-5, rtol=0)
    torch.manual_seed(0)
    images = torch.rand(1, 1, 8, 8).expand(400, 1, 8, 8)
    flipped = (RandomAffine(flip=0.2)(images) - images[0].flip(2)).abs().amax((1, 2, 3)) < 1e-5
    assert flipped.sum().item() == pytest.approx(80, abs=25)


def spots(height, width, rows, columns, **amounts):
    """How much of a white spot there is after, in each of 200 images, and x and y of its centre from theirs."""
    images = torch.zeros(200, 1, height, width)
    images[..., slice(*rows), slice(*columns)] = 1.0
    torch.manual_seed(0)
    augmented = RandomAffine(flip=0, **amounts)(images)
    mass = augmented.sum((1, 2, 3))
    x, y = (
        (augmented.sum((1, axis)) * (torch.arange(size) - (size - 1) / 2)).sum(1) / mass
        for axis, size in ((2, width), (3, height))
    )
    return mass, x, y


def test_a_turn_is_at_most_so_many_degrees_either_way():
    _, x, y = spots(33, 33, (15, 18), (21, 24), degrees=30)
    angles = torch.atan2(y, x).rad2deg()
    assert -32 < angles.min() < -20 and 20 < angles.max() < 32


@pytest.mark.parametrize("zoom", [(0.5, 2.0), (1.2, 1.5)])
def test_zoom_is_drawn_between_its_bounds_and_enlarges_above_one(zoom):
    sides = spots(33, 33, (12, 21), (12, 21), zoom=zoom)[0].sqrt() / 9
    assert sides.aminmax() == pytest.approx(zoom, abs=0.09)


def test_a_shift_is_a_share_of_width_and_height_either_way():
    _, right, down = spots(40, 20, (18, 22), (9, 11), shift=0.25)
    for moved, most in ((down, 10), (right, 5)):
        assert -1.05 * most < moved.min() < -0.9 * most and 0.9 * most < moved.max() < 1.05 * most
        assert moved.abs().min() < 0.1 * most
    assert torch.corrcoef(torch.stack([down, right]))[0, 1].abs() < 0.25, "each way by an amount of its own"


def test_what_comes_in_from_outside_is_the_image_reflected():
    """A white column at the border shows twice at most: not smeared over what is empty, and nothing is black there."""
    images = torch.zeros(200, 1, 16, 16)
    images[..., 0] = 1.0
    torch.manual_seed(0)
    columns = RandomAffine(flip=0, shift=0.25)(images).mean(2).sum((1, 2))
    assert columns.max() == pytest.approx(2, abs=0.05)
    white = RandomAffine(flip=0.5, degrees=45, zoom=(0.5, 2), shift=0.25)(torch.ones(50, 1, 16, 16))
    torch.testing.assert_close(white, torch.ones_like(white))


def test_random_numbers_come_from_the_generator_and_bytes_and_floats_are_augmented_alike():
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    augment, results = RandomAffine(degrees=20, zoom=(0.8, 1.2), shift=0.1), []
    for seed, each in ((1, images), (1, images), (1, images.float() / 255), (2, images)):
        torch.manual_seed(seed)
        results.append(augment(each))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[3])
    torch.testing.assert_close(results[0], results[2])
