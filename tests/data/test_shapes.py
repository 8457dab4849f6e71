import math

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from helpers import data
from helpers.data import shapes


def test_no_image_comes_again_in_another_split_under_other_noise():
    """Averages over 8 x 8 pixels lose the noise: what is drawn must differ, not only its grain."""
    train, *others = (
        nn.functional.avg_pool2d(shapes.draw(20, 5, 32, 5, stream=name)[0].float(), 8).flatten(1)
        for name in ("train", "val", "test")
    )
    assert min(torch.cdist(train, other, p=math.inf).min() for other in others) > 12


def test_asking_for_more_changes_no_image_and_another_seed_does(monkeypatch):
    state = torch.get_rng_state()
    more = shapes.draw(30, 11, 32, 3)[0].unflatten(0, (30, 11))
    monkeypatch.setattr(shapes, "CHUNK_PIXELS", 3 * 32 * 32)
    fewer = shapes.draw(7, 5, 32, 3)[0].unflatten(0, (7, 5))
    assert fewer.shape == (7, 5, 3, 32, 32) and fewer.dtype == torch.uint8
    assert torch.equal(more[:7, :5], fewer) and torch.equal(state, torch.get_rng_state())
    assert not torch.equal(fewer, shapes.draw(7, 5, 32, 4)[0].unflatten(0, (7, 5)))


def test_the_last_20_of_100_classes_have_fillings_that_the_first_80_do_not_have():
    pairs = [name.split() for name in shapes.class_names(100)]
    known, new = ({filling for filling, _ in part} for part in (pairs[:80], pairs[80:]))
    assert len(known) == len(new) == 5 and known.isdisjoint(new)
    for part in (pairs[:80], pairs[80:]):
        assert {outline for _, outline in part} == set(shapes.OUTLINES)


@pytest.mark.parametrize("arguments", [(0, 1, 32), (201, 1, 32), (5, 0, 32), (5, 1, 7)])
def test_what_cannot_be_drawn_is_refused(arguments):
    with pytest.raises(data.DataError):
        shapes.draw(*arguments)


def test_colour_does_not_give_the_class_away():
    colours = []
    for stream in ("train", "test"):
        images, labels = shapes.draw(10, 100, 16, 0, stream=stream)
        colours.append((images.float().mean(dim=(2, 3)).numpy(), labels.numpy()))
    accuracy = LinearDiscriminantAnalysis().fit(*colours[0]).score(*colours[1])
    assert accuracy < 0.16  # chance is 0.1, and its standard deviation over 1,000 images 0.01
