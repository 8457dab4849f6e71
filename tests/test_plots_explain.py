"""Feature maps, filters and heat maps, read back from the Axes."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from helpers import plots
from helpers.plots import PlotError

NAMES = ("circle", "a rather long name that has to be cut", "گربه")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def shown(ax):
    return [np.asarray(image.get_array()) for image in ax.images]


def test_a_row_shows_a_layers_strongest_channels_the_strongest_first():
    maps = torch.zeros(5, 2, 4)
    maps[[1, 3, 4], 0, 0] = torch.tensor([2.0, -9.0, 5.0])
    ax = plots.feature_maps({"conv_$1": maps, "deep": torch.rand(2, 1, 1)}, channels=3)
    assert texts(ax)[:5] == ["3", "4", "1", "conv_$1", "5 × 2 × 4"]
    assert texts(ax)[-2:] == ["deep", "2 × 1 × 1"]
    first, second, *_ = shown(ax)
    # Each from its lowest to its highest activation, the sign kept.
    assert first[0, 0] == 0 and (first.ravel()[1:] == 1).all()
    assert second[0, 0] == 1 and second.sum() == 1
    assert len(ax.images) == 3 + 2


def test_the_image_comes_first_and_maps_keep_their_proportions():
    image = torch.randint(0, 256, (3, 6, 12), dtype=torch.uint8)
    ax = plots.feature_maps({"conv": torch.rand(9, 3, 6)}, image=image)
    assert len(ax.images) == 1 + 8 and texts(ax)[:2] == ["image", "3 × 6 × 12"]
    np.testing.assert_array_equal(shown(ax)[0], image.permute(1, 2, 0))
    for picture in ax.images:
        left, right, bottom, top = picture.get_extent()
        assert (right - left, top - bottom) == pytest.approx((1, 0.5))
    bottoms = [picture.get_extent()[2] for picture in ax.images[:2]]
    assert ax.images[1].get_extent()[3] < bottoms[0]


def test_names_and_numbers_stay_apart_and_inside():
    layers = {f"body.layer{i}.0.conv": torch.rand(2048, 4, 4) for i in range(6)}
    figure = plots.feature_maps(layers, image=torch.zeros(1, 4, 4, dtype=torch.uint8)).figure
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert all(not box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[i + 1 :])
    assert min(box.x0 for box in boxes) >= 0 and min(box.y0 for box in boxes) >= 0


def test_a_constant_map_and_a_constant_filter_are_dark():
    assert not shown(plots.feature_maps({"a": torch.full((1, 2, 2), 7.0)}))[0].any()
    assert not shown(plots.filters(torch.full((1, 3, 2, 2), 7.0)))[0].any()


def test_filters_of_three_channels_are_colours_each_scaled_by_itself():
    weights = torch.randn(5, 3, 2, 4) * torch.tensor([1.0, 10, 100, 0.1, 5])[:, None, None, None]
    ax = plots.filters(weights, columns=4)
    assert len(ax.images) == 5
    for picture, kernel in zip(shown(ax), weights, strict=True):
        expected = (kernel - kernel.min()) / (kernel.max() - kernel.min())
        np.testing.assert_allclose(picture, expected.permute(1, 2, 0), atol=1e-6)
    places = [picture.get_extent() for picture in ax.images]
    assert len({place[3] for place in places[:4]}) == 1 and places[4][3] < places[0][2]
    assert texts(ax) == ["5 filters of 3 × 2 × 4 weights"]
    assert places[4][0] == places[0][0] and places[1][0] > places[0][1]


@pytest.mark.parametrize("channels", [1, 4])
def test_filters_of_other_channels_are_grey(channels):
    weights = torch.randn(3, channels, 3, 3)
    for picture, kernel in zip(shown(plots.filters(weights)), weights.mean(dim=1), strict=True):
        expected = ((kernel - kernel.min()) / (kernel.max() - kernel.min()))[..., None].expand(3, 3, 3)
        np.testing.assert_allclose(picture, expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_heat_stands_beside_the_image_and_wrong_predictions_are_marked(channels):
    images = torch.full((3, channels, 8, 8), 100, dtype=torch.uint8)
    cams = torch.zeros(3, 8, 8)
    cams[:, :4] = 1
    ax = plots.cam_overlay(images, cams, torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]), NAMES)
    assert [frame.get_linestyle() == "-" for frame in ax.patches] == [True, False, True]
    assert sum("✗" in text for text in texts(ax)) == 1 and sum("✓" in text for text in texts(ax)) == 2
    for pair in shown(ax):
        assert (pair[:, :8] == 100).all() and (pair[:, 8:-8] == 255).all()
        hot, cold = pair[:4, -8:].astype(float), pair[4:, -8:].astype(float)
        assert hot.mean() > 100 > cold.mean()  # brightness alone tells them apart


def test_what_lies_under_the_heat_can_still_be_seen():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[..., ::2] = 255
    for heat in (0.0, 0.5, 1.0):
        pair = shown(plots.cam_overlay(images, torch.full((1, 8, 8), heat), [0], [0], NAMES))[0].astype(float)
        assert (pair[:, -8::2] - pair[:, -7::2]).min() > 40


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.feature_maps({}),
        lambda: plots.feature_maps({"a": torch.zeros(1, 3, 4, 4)}),
        lambda: plots.feature_maps({"a": torch.full((3, 4, 4), torch.nan)}),
        lambda: plots.feature_maps({"a": torch.zeros(3, 4, 4)}, image=torch.zeros(3, 4, 4)),
        lambda: plots.feature_maps({"a": torch.zeros(3, 4, 4)}, channels=0),
        lambda: plots.filters(torch.zeros(3, 3, 3)),
        lambda: plots.filters(torch.full((1, 3, 3, 3), torch.inf)),
        lambda: plots.cam_overlay(torch.zeros(2, 3, 4, 4).byte(), torch.zeros(2, 4, 5), [0, 0], [0, 0], NAMES),
        lambda: plots.cam_overlay(torch.zeros(1, 3, 4, 4).byte(), torch.full((1, 4, 4), 1.1), [0], [0], NAMES),
        lambda: plots.cam_overlay(torch.zeros(1, 3, 4, 4).byte(), torch.full((1, 4, 4), torch.nan), [0], [0], NAMES),
        lambda: plots.cam_overlay(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), [0], [0], NAMES),
        lambda: plots.cam_overlay(torch.zeros(1, 4, 4).byte(), torch.zeros(1, 4), [0], [0], NAMES),
    ],
)
def test_what_cannot_be_drawn_is_an_error(draw):
    with pytest.raises(PlotError):
        draw()
    assert not plt.get_fignums()
