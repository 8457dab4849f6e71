"""Curves over settings, and the mark where a training was taken up again."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import plots

MEANS = pd.DataFrame({"after 2": [0.5, np.nan, 0.7], "after 5": [0.6, 0.8, 0.75]}, index=["head", "layer4", "all"])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_each_column_is_a_line_over_the_settings():
    ax = plots.setting_curves(MEANS, MEANS * 0 + 0.1, xlabel="what trains")
    drawn = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 3 and line.get_linestyle() != "None"]
    np.testing.assert_array_equal(drawn[0], MEANS["after 2"])
    np.testing.assert_array_equal(drawn[1], MEANS["after 5"])
    assert [label.get_text() for label in ax.get_xticklabels()] == list(MEANS.index)
    assert {text.get_text() for text in ax.texts} == set(MEANS.columns)
    assert ax.get_xlabel() == "what trains"


def test_whiskers_reach_one_standard_deviation():
    ax = plots.setting_curves(MEANS[["after 5"]], MEANS[["after 5"]] * 0 + 0.1)
    heights = np.diff([segment[:, 1] for segment in ax.collections[0].get_segments()])
    np.testing.assert_allclose(heights, 0.2)


def test_nothing_to_draw_and_stds_that_do_not_fit_are_refused():
    with pytest.raises(plots.PlotError, match="no means"):
        plots.setting_curves(MEANS.iloc[:0])
    with pytest.raises(plots.PlotError, match="same rows"):
        plots.setting_curves(MEANS, MEANS.iloc[:2])


def test_learning_curves_mark_where_a_training_was_resumed():
    history = pd.DataFrame({"train_loss": [3.0, 2.0, 1.0]}, index=pd.RangeIndex(1, 4, name="epoch"))
    (ax,) = plots.learning_curves(history, metrics=["loss"], resume_epoch=2, best_epoch=3)
    texts = {text.get_text() for text in ax.texts}
    assert {"resumed after: 2", "best: 3"} <= texts
    (ax,) = plots.learning_curves(history, metrics=["loss"], resume_epoch=2, best_epoch=2)
    assert "best and resumed after: 2" in {text.get_text() for text in ax.texts}


def test_a_single_run_has_no_whisker():
    ax = plots.setting_curves(MEANS[["after 5"]], MEANS[["after 5"]] * np.nan)
    assert not any(len(segment) for segment in ax.collections[0].get_segments())


def test_long_names_of_settings_are_wrapped():
    means = MEANS.rename(index={"all": "layer1 + layer2 + layer3 + layer4 + layer5"})
    label = plots.setting_curves(means).get_xticklabels()[-1].get_text()
    assert "\n" in label and label.replace("\n", " ") == means.index[-1]
