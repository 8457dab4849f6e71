"""A sweep: a report for each point, only what is missing runs, and the notebook over all tells NumPy's numbers."""

import io
import json
import shutil
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers import ROOT, record
from helpers.report import cli, kernel, sweep
from helpers.report.workspace import Workspace
from tests.command import executed_cell, write_notebook

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


@pytest.mark.slow
def test_a_sweep_runs_what_is_missing_and_a_failed_point_stops_no_other(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    failed, good, new = "RATE=0.1,SEED=13", "RATE=0.1,SEED=0", "RATE=0.1,SEED=10"
    in_kernel = kernel.execute

    def execute(source, run, settings, watch):
        """Only the notebook over the points is executed; the points themselves are made up."""
        if run.name == "sweep":
            return in_kernel(source, run, settings, watch)
        if "interrupted" in source:
            # As a terminal does it: to the main thread, once. The run ends when the command has noticed.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            while not watch.is_stopped:
                time.sleep(0.05)
        notebook = nbformat.reads(source, as_version=4)
        accuracy = 0.6 + run.parameters.get("SEED", 0) / 100
        number = record.Number("accuracy", "Test accuracy", accuracy, unit="%")
        outputs = executed_cell(lambda: record.numbers([number], "results", "R.")).outputs
        if run.name == failed:
            outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="an unlucky one", traceback=[])]
        notebook.cells[-1].outputs = outputs
        notebook.metadata |= {"papermill": {}, "workbook": {"stamp": {}}}
        return notebook

    def sweep(*arguments: str, status: int) -> dict[str, str]:
        """What the command said it would do, by point."""
        assert cli.main(["01", "--format", "html", "--sweep", "RATE=0.1", *arguments], root=tmp_path) == status
        lines = [line.split("  ", 1) for line in capsys.readouterr().err.splitlines() if "  " in line]
        return {name: what for name, what in lines if what.startswith(("runs", "unchanged"))}

    def states() -> dict[str, str]:
        return pd.read_csv(folder / "sweep.csv", index_col="report")["run_state"].to_dict()

    monkeypatch.setattr(kernel, "execute", execute)
    write_notebook(tmp_path, "01_small", "measure()", parameters="SEED = 0\nRATE = 0.1")
    shutil.copy(ROOT / "notebooks" / "sweep.ipynb", tmp_path / "notebooks")
    first = sweep("SEED=13,0", status=1)
    assert first == dict.fromkeys([failed, good, "sweep"], "runs: never run before")
    done = sweep("SEED=13,0,10", "--jobs", "2", status=1)
    assert done[good] == "unchanged" and done[failed] == "runs: its last run failed"
    assert done[new] == "runs: never run before"
    assert states() == {failed: "FAILED", good: "ok", new: "ok"}
    page = unquote((folder / "sweep.html").read_text(encoding="utf-8"))
    assert all(f'href="{name}.html"' in page for name in (failed, good, new))
    assert "an unlucky one" in page and "2 of 3 points" in page and 'href="../../index.html"' in page
    assert 'href="sweep.html"' in (folder / f"{good}.html").read_text(encoding="utf-8")
    # Nothing of a point lies among the notebooks' own reports, and the summary is none of the numbered ones.
    assert {path.name for path in folder.parent.parent.iterdir()} == {"index.html", "sweeps"}
    assert "sweeps/01_small/sweep.html" in (folder.parents[1] / "index.html").read_text(encoding="utf-8")

    # Results of earlier code are not told as good where the new code has not run.
    write_notebook(tmp_path, "01_small", "interrupted()", parameters="SEED = 0\nRATE = 0.1")
    over = sweep("SEED=0,10,13", "--jobs", "1", status=130)["sweep"]
    assert over == "runs: reports/quick/sweeps/01_small/points.json"
    assert states() == {good: "outdated", new: "outdated", failed: "FAILED"}
    assert "accuracy" not in (folder / "sweep.csv").read_text()
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert "something has changed since" in page and "0 of 3 points" in page


# The notebook over the points


def summarised(root: Path, *grid: str, texts: dict[int, str] | None = None, **options: Any) -> SimpleNamespace:
    """A sweep whose points left what `left` gives, or at some places other texts ("" for nothing): what is said of it.

    The notebook's cells run here.
    """
    workspace = Workspace(root)
    cell = "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())
    notebook = write_notebook(root, "02_transfer", parameters=cell)
    shutil.copy(ROOT / "notebooks" / "sweep.ipynb", workspace.notebooks)
    points = sweep.points(workspace, notebook, grid=grid, **options)
    points[0].reports.mkdir(parents=True, exist_ok=True)
    for i, point in enumerate(points):
        if text := (texts or {}).get(i, left(point.parameters)):
            point.file("json").write_text(text, encoding="utf-8")
            point.file("html").touch()
    task = sweep.summary(workspace, "quick", points)
    cells = [cell for cell in nbformat.read(task.notebook, as_version=4).cells if cell.cell_type == "code"]
    namespace, axes = {}, []

    def play() -> None:
        for cell in cells:
            exec(cell.source, namespace)
            namespace.update(task.parameters if "parameters" in cell.metadata.get("tags", []) else {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "rcParams", plt.rcParams.copy())
        patch.setattr(plt, "close", lambda figure: axes.extend(figure.axes))
        recorded = [output.data[record.MIME] for output in executed_cell(play).outputs]
    by_name = {each.get("name", each["kind"]): each for each in recorded}
    return SimpleNamespace(
        points=points,
        csv=pd.read_csv(points[0].reports / "sweep.csv"),
        recorded=by_name,
        frames={name: pd.DataFrame(of["values"], columns=of["names"]) for name, of in by_name.items() if "names" in of},
        readings="\n".join(each["text"] for each in recorded if each["kind"] == "reading"),
        axes=axes,
    )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Twelve points: one failed, one not run, ten good ones."""
    error = {"name": "ValueError", "message": f"no such shape {NASTY}", "cell": 7}
    texts, root = {4: left({}, error=error), 5: ""}, tmp_path_factory.mktemp("mixed")
    return summarised(root, "SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2", texts=texts)


def test_the_csv_file_holds_every_number_of_every_point_with_all_digits(mixed):
    rows = mixed.csv
    assert [*rows["point"]] == [*range(1, 13)] and [*rows["report"]] == [point.name for point in mixed.points]
    assert [*rows["run_state"]] == ["ok"] * 4 + ["FAILED", "not run"] + ["ok"] * 6
    assert rows["run_error"][4] == f"ValueError: no such shape {NASTY} (cell 7)"
    good = rows[rows["run_state"] == "ok"]
    assert [*good["test_accuracy"]] == [*map(accuracy, good["SEED"], good["LEARNING_RATE"])]
    assert {*good["test_accuracy (std)"]} == {0.01} and {*good["run_seconds"]} == {12.5}
    assert rows["test_accuracy"].isna().sum() == 2


def test_means_over_seeds_leave_out_what_did_not_end_well(mixed):
    means = pd.read_csv(io.StringIO(mixed.recorded["means"]["csv"])).set_index("LEARNING_RATE")
    for rate, seeds in SEEDS.items():
        values = [100 * accuracy(seed, rate) for seed in seeds]
        found = means.loc[rate, ["n", ACCURACY, f"{ACCURACY} (±)"]].tolist()
        assert found == pytest.approx([len(seeds), np.mean(values), np.std(values, ddof=1)], rel=1e-9)


def test_points_without_results_are_named_with_their_reasons(mixed):
    missing, pages = mixed.frames["missing"], [f"{point.name}.html" for point in mixed.points]
    assert mixed.recorded["provenance"]["incomplete"] == "10 of 12 points"
    assert "**2 of 12 points have no result**" in mixed.readings
    assert missing[["point", "state"]].values.tolist() == [[5, "FAILED"], [6, "not run"]]
    assert missing["why"][0] == f"ValueError: no such shape {NASTY} (cell 7)"
    assert mixed.recorded["missing"]["links"] == [pages[4], ""]
    assert mixed.recorded["points"]["links"] == [*pages[:5], "", *pages[6:]]
    assert mixed.frames["points"][ACCURACY].isna().tolist() == [i in (4, 5) for i in range(12)]


def test_where_nothing_ended_well_there_is_a_page_too(tmp_path):
    damaged = summarised(tmp_path, "SEED=0..1", texts={0: "{", 1: '{"error": null}'})
    assert [*damaged.csv["run_state"]] == ["not run", "not run"] and len(damaged.frames["points"]) == 2


def test_the_best_is_told_by_number_split_and_setting(mixed):
    best, other = mixed.readings.splitlines()[-4:-2]
    values = [100 * accuracy(seed, 0.001) for seed in SEEDS[0.001]]
    assert "(test images) is highest at LEARNING&#95;RATE &#61; 0&#46;001" in best and "lowest at" in best
    assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} % (mean ± sd of 3 points)" in best
    assert "(training images) is lowest at LEARNING&#95;RATE &#61; 0&#46;001" in other
    assert "chosen by validation images" in mixed.readings
    points, means = mixed.frames["points"], mixed.frames["means"]
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
