"""The notebook over a sweep's points, its cells run in this process: its numbers against NumPy's, what it says."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import IPython.display
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers import ROOT
from helpers.record import MIME
from helpers.report import sweep
from helpers.report.workspace import Run, Workspace
from tests.command import write_notebook

DEFAULTS = {"DATASET": "auto", "EPOCHS": 6, "LEARNING_RATE": 0.001, "SEED": 0, "SEEDS": [0, 1], "IMAGE_SIZE": None}
STAND_IN = "STAND-IN DATA: drawn shapes, not CIFAR-100."
NASTY = "<script>alert('x')</script> $x_1$ *bold* |"
ACCURACY = f"Test accuracy {NASTY}, %"
SEEDS = {0.0001: [0, 1, 2, 3], 0.001: [0, 2, 3], 0.01: [0, 2, 3]}  # that ended well in `mixed`, for each rate


def accuracy(seed, rate, epochs=6):
    """What a network might reach; no two settings alike."""
    return 0.6 - 0.05 * (np.log10(rate) + 3) ** 2 + 0.01 * epochs + 0.004 * np.sin(7 * seed + epochs)


def number(label, value, unit="", std=None):
    return {"label": label, "unit": unit, "value": value, "std": std, "reported": None}


def left(parameters: dict[str, Any], **changes: Any) -> str:
    """What a run leaves as JSON."""
    values = DEFAULTS | parameters
    reached = accuracy(values["SEED"], values["LEARNING_RATE"], values["EPOCHS"])
    numbers = {
        "seconds_per_epoch": number("Training time an epoch", 0.25, "s"),
        "test_accuracy": number(f"Test accuracy {NASTY}", reached, "%", std=0.01),
        "train_loss": number("Training loss", 2 - reached),
    }
    about = {"title": "Transfer from A to B", "error": None, "stand_in": STAND_IN, "duration_seconds": 12.5}
    about |= {"provenance": {"Data set": "Drawn shapes", "Seed": "3"}, "key_numbers": ["test_*", "train_loss"]}
    return json.dumps(about | {"numbers": numbers} | changes)


@dataclass
class Summary:
    points: list[Run]
    csv: pd.DataFrame
    recorded: dict[str, dict]  # by name, or kind
    readings: str
    axes: list[plt.Axes]

    def frame(self, name: str) -> pd.DataFrame:
        return pd.DataFrame(self.recorded[name]["values"], columns=self.recorded[name]["names"])


def summarised(root: Path, *grid: str, texts: dict[int, str] | None = None, **options: Any) -> Summary:
    """A sweep whose points left what `left` gives, or at some places other texts ("" for nothing): what is said of it.

    The notebook's cells run here.
    """
    workspace = Workspace(root)
    cell = "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())
    notebook = write_notebook(root, "02_transfer", parameters=cell)
    (workspace.notebooks / "sweep.ipynb").write_bytes((ROOT / "notebooks" / "sweep.ipynb").read_bytes())
    points = sweep.points(workspace, notebook, grid=grid, **options)
    points[0].reports.mkdir(parents=True, exist_ok=True)
    for i, point in enumerate(points):
        if text := (texts or {}).get(i, left(point.parameters)):
            point.file("json").write_text(text, encoding="utf-8")
            point.file("html").touch()
    task = sweep.summary(workspace, "quick", points)
    shown, axes = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "rcParams", plt.rcParams.copy())
        patch.setattr(IPython.display, "display", lambda bundle, **_: shown.append(json.dumps(bundle[MIME])))
        patch.setattr(plt, "close", lambda figure: axes.extend(figure.axes))
        namespace = {}
        for cell in nbformat.read(task.notebook, as_version=4).cells:
            if cell.cell_type == "code":
                exec(cell.source, namespace)
                namespace |= task.parameters if "parameters" in cell.metadata.get("tags", []) else {}
    recorded = [json.loads(text) for text in shown]
    readings = "\n".join(each["text"] for each in recorded if each["kind"] == "reading")
    by_name = {each.get("name", each["kind"]): each for each in recorded}
    return Summary(points, pd.read_csv(points[0].reports / "sweep.csv"), by_name, readings, axes)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Twelve points: one failed, one not run, ten good ones."""
    error = {"name": "ValueError", "message": f"no such shape {NASTY}", "cell": 7}
    texts, root = {4: left({}, error=error), 5: ""}, tmp_path_factory.mktemp("mixed")
    return summarised(root, "SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2", texts=texts)


def test_the_csv_file_holds_every_number_of_every_point_with_all_digits(mixed):
    rows = mixed.csv
    assert [*rows["point"]] == [*range(1, 13)] and [*rows["report"]] == [point.name for point in mixed.points]
    assert [*zip(rows["SEED"], rows["LEARNING_RATE"], strict=True)] == [
        (seed, rate) for seed in range(4) for rate in (0.0001, 0.001, 0.01)
    ]
    assert [*rows["run_state"]] == ["ok"] * 4 + ["FAILED", "not run"] + ["ok"] * 6
    assert rows["run_error"][4] == f"ValueError: no such shape {NASTY} (cell 7)"
    good = rows[rows["run_state"] == "ok"]
    assert [*good["test_accuracy"]] == [*map(accuracy, good["SEED"], good["LEARNING_RATE"])]
    assert {*good["test_accuracy (std)"]} == {0.01} and {*good["run_seconds"]} == {12.5}
    assert rows["test_accuracy"].isna().sum() == 2


def test_means_over_seeds_leave_out_what_did_not_end_well(mixed):
    means = mixed.frame("means").set_index("LEARNING_RATE")
    behind = pd.read_csv(io.StringIO(mixed.recorded["means"]["csv"])).set_index("LEARNING_RATE")
    for rate, seeds in SEEDS.items():
        values = [100 * accuracy(seed, rate) for seed in seeds]
        assert means.loc[rate, "n"] == len(seeds)
        assert means.loc[rate, ACCURACY] == pytest.approx(np.mean(values), rel=1e-12)
        assert behind.loc[rate, f"{ACCURACY} (±)"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_points_without_results_are_named_with_their_reasons(mixed):
    missing, pages = mixed.frame("missing"), [f"{point.name}.html" for point in mixed.points]
    assert mixed.recorded["provenance"]["incomplete"] == "10 of 12 points"
    assert "**2 of 12 points have no result**" in mixed.readings
    assert missing[["point", "state"]].values.tolist() == [[5, "FAILED"], [6, "not run"]]
    assert missing["why"][0] == f"ValueError: no such shape {NASTY} (cell 7)"
    assert mixed.recorded["missing"]["links"] == [pages[4], ""]
    assert mixed.recorded["points"]["links"] == [*pages[:5], "", *pages[6:]]
    assert mixed.frame("points")[ACCURACY].isna().tolist() == [i in (4, 5) for i in range(12)]


def test_where_nothing_ended_well_there_is_a_page_too(tmp_path):
    damaged = summarised(tmp_path, "SEED=0..1", texts={0: "{", 1: '{"error": null}'})
    assert [*damaged.csv["run_state"]] == ["not run", "not run"] and len(damaged.frame("points")) == 2


def test_the_best_is_told_by_number_split_and_setting(mixed):
    best, other = mixed.readings.splitlines()[-4:-2]
    values = [100 * accuracy(seed, 0.001) for seed in SEEDS[0.001]]
    assert "(test images) is highest at LEARNING&#95;RATE &#61; 0&#46;001" in best and "lowest at" in best
    assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} % (mean ± sd of 3 points)" in best
    assert "(training images) is lowest at LEARNING&#95;RATE &#61; 0&#46;001" in other
    assert "chosen by validation images" in mixed.readings
    points, means = mixed.frame("points"), mixed.frame("means")
    assert [1, [*means].index(ACCURACY)] in mixed.recorded["means"]["bold"]
    assert [points[ACCURACY].astype(float).idxmax(), [*points].index(ACCURACY)] in mixed.recorded["points"]["bold"]


def test_where_a_name_does_not_tell_nothing_is_best_and_units_are_right(tmp_path):
    numbers = {
        "best_epoch": number("Epoch of the lowest validation loss", 3),
        "gap": number("Accuracy gap", 0.125, "points"),
        "speed": number("Training", 1234.5, "images/s"),
    }
    found = summarised(tmp_path, "EPOCHS=2", texts={0: left({}, numbers=numbers)})
    points = found.recorded["points"]
    assert points["bold"] == [] and found.readings == ""
    units = ["Epoch of the lowest validation loss", "Accuracy gap, points", "Training, images/s"]
    assert points["columns"][-3:] == units and points["rows"][0][-3:] == ["3", "12.50", "1,234"]


def test_the_opening_says_what_varies_what_is_fixed_and_where_it_comes_from(tmp_path):
    found = summarised(tmp_path, "SEED=0..2", texts={0: left({}, stand_in="")}, assignments=[("EPOCHS", "2")])
    opening = found.recorded["provenance"]
    assert opening["title"] == "Transfer from A to B: sweep over SEED"
    assert opening["warning"] == f"In 2 of 3 points: {STAND_IN}" and opening["incomplete"] == ""
    rows = dict(opening["rows"])
    assert (rows["Varied"], rows["Same in all points"], rows["Points"]) == ("SEED: 0, 1, 2", "EPOCHS = 2", "3 ok")
    assert rows["Data set"] == "Drawn shapes" and "Seed" not in rows


def test_amounts_lie_along_an_axis_that_spaces_them_evenly(mixed, tmp_path):
    panel, other = mixed.axes
    assert panel.get_xlabel() == "LEARNING_RATE" and other.get_ylabel() == "Training loss"
    assert panel.lines[0].get_xdata() == pytest.approx([*SEEDS])
    means = [100 * np.mean([accuracy(seed, rate) for seed in seeds]) for rate, seeds in SEEDS.items()]
    assert panel.lines[0].get_ydata() == pytest.approx(means)
    places = [panel.transData.transform((rate, 50))[0] for rate in SEEDS]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=0.01)
    linear = summarised(tmp_path, "LEARNING_RATE=0.1,0.2,0.3", "EPOCHS=2,4")
    assert linear.axes[0].get_xscale() == "linear"
    legend = linear.axes[0].figure.legends[0].get_texts()
    assert [text.get_text() for text in legend] == ["EPOCHS = 2", "EPOCHS = 4"]
    behind = pd.read_csv(io.StringIO(linear.recorded["sweep"]["csv"]))
    behind = behind[(behind["series"] == "EPOCHS = 4") & (behind["panel"] == ACCURACY)]
    assert behind[ACCURACY].tolist() == pytest.approx([100 * accuracy(0, rate, 4) for rate in (0.1, 0.2, 0.3)])


def test_what_is_no_amount_stands_side_by_side(tmp_path):
    panel = summarised(tmp_path, "DATASET=cifar10,'$a_b$',shapes", "SEED=0..1", "IMAGE_SIZE=None,16").axes[0]
    assert len(panel.containers) == 2 and len(panel.get_xticklabels()) == 3
    heights = [bar.get_height() for bar in panel.containers[0]]
    assert heights == pytest.approx([100 * np.mean([accuracy(seed, 0.001) for seed in (0, 1)])] * 3)
