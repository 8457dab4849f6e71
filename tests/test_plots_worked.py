"""Numbers in grids, read back from the Axes."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from helpers import plots
from helpers.plots import PlotError

MATRICES = {"$input$": np.arange(36).reshape(6, 6) - 9, "kernel": np.eye(3), "output": [[1.25, -2]]}
WINDOWS = {"$input$": (1, 2, 3, 3), "output": (0, 1, 1, 1)}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def draw(**options):
    return plots.number_grids(MATRICES, signs=("∗", "="), windows=WINDOWS, **options)


def cells(ax):
    """(x, y) of the middle -> text."""
    return {text.get_position(): text.get_text() for text in ax.texts}


def test_every_number_stands_in_its_cell():
    placed = cells(draw())
    for (row, column), value in np.ndenumerate(MATRICES["$input$"]):
        assert placed[column + 0.5, row + 0.5] == str(value).replace("-", "−")
    # The smaller matrices are centred in height: 3 of 6 rows begin at 1.5, 1 of 6 at 2.5.
    assert [placed[7 + 0.5 + i, 1.5 + 0.5 + i] for i in range(3)] == ["1", "1", "1"]
    assert [placed[11.5, 3.0], placed[12.5, 3.0]] == ["1.25", "−2"]
    assert (placed[6.5, 3.0], placed[10.5, 3.0]) == ("∗", "=")
    assert set(MATRICES) <= set(placed.values())


def test_windows_frame_their_cells():
    frames = [patch.get_bbox().bounds for patch in draw().patches if patch.get_linewidth() == 2]
    assert frames == [(2.0, 1.0, 3.0, 3.0), (12.0, 2.5, 1.0, 1.0)]
    unmarked = plots.number_grids(MATRICES)
    assert {patch.get_linewidth() for patch in unmarked.patches if isinstance(patch, Rectangle)} == {0.5}


def test_numbers_stay_in_their_cells_on_a_printed_page():
    ax = plots.number_grids({"a": np.full((6, 24), -1234.0)})
    ax.figure.draw_without_rendering()
    assert ax.figure.get_tightbbox().width <= 6.3
    wide = draw()
    wide.figure.draw_without_rendering()
    cell = abs(np.subtract(*wide.transData.transform([(0, 0), (1, 0)])))[0]
    for text in wide.texts:
        if text.get_text() not in MATRICES:
            assert text.get_window_extent().width < cell
    assert min(text.get_fontsize() for text in wide.figure.findobj(Text) if text.get_text()) >= 6


def test_draws_into_the_given_axes_and_changes_no_settings():
    settings = dict(matplotlib.rcParams)
    figure, (left, right) = plt.subplots(1, 2)
    assert draw(ax=right) is right
    assert plt.get_fignums() == [figure.number]
    assert right.texts and not left.texts
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    ("matrices", "options", "message"),
    [
        ({}, {}, "at least one"),
        ({"a": [1, 2]}, {}, "rows, columns"),
        ({"a": np.zeros((2, 25))}, {}, "more than 24 columns"),
        ({"a": np.eye(2), "b": np.eye(2)}, {"signs": "∗="}, "1 signs"),
        ({"a": np.eye(2)}, {"windows": {"b": (0, 0, 1, 1)}}, "in 'b'"),
        ({"a": np.eye(2)}, {"windows": {"a": (1, 1, 2, 1)}}, "does not lie in 'a'"),
        ({"a": np.eye(2)}, {"windows": {"a": (-1, 0, 1, 1)}}, "does not lie in 'a'"),
    ],
)
def test_what_cannot_be_drawn_is_said(matrices, options, message):
    with pytest.raises(PlotError, match=message):
        plots.number_grids(matrices, **options)
