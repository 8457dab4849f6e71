"""The notebook over a sweep's points, its cells run in this process: its numbers against NumPy's, what it says."""

import csv
import io
import json

import IPython.display
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers import ROOT
from helpers.record import MIME
from helpers.report import sweep
from helpers.report.workspace import Workspace
from tests.command import write_notebook

DEFAULTS = {"DATASET": "auto", "EPOCHS": 6, "LEARNING_RATE": 0.001, "SEED": 0, "SEEDS": [0, 1], "IMAGE_SIZE": None}
STAND_IN = "STAND-IN DATA: drawn shapes, not CIFAR-100."
NASTY = "<script>alert('x')</script> $x_1$ *bold* |"
ACCURACY = f"Test accuracy {NASTY}, %"


def accuracy(seed, rate, epochs=6):
    """What a network might reach; no two settings alike."""
    return 0.6 - 0.05 * (np.log10(rate) + 3) ** 2 + 0.01 * epochs + 0.004 * np.sin(7 * seed + epochs)


def number(label, value, unit="", std=None):
    return {"label": label, "unit": unit, "value": value, "std": std, "reported": None}


class Sweep:
    """A sweep in a folder, and what its points' runs left there."""

    def __init__(self, root, grid, **options):
        self.workspace = Workspace(root)
        self.notebook = self.workspace.notebooks / "02_transfer.ipynb"
        cell = "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())
        write_notebook(root, self.notebook.stem, parameters=cell)
        (self.workspace.notebooks / "sweep.ipynb").write_bytes((ROOT / "notebooks" / "sweep.ipynb").read_bytes())
        self.points = sweep.points(self.workspace, self.notebook, grid=grid, **options)
        self.folder = self.workspace.reports("quick") / "sweeps" / "02_transfer"
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, skip=(), **changes):
        """Every point but those at the places ``skip`` ends well."""
        for i, point in enumerate(self.points):
            if i not in skip:
                self.ran(point, **changes)
        return self

    def ran(self, point, *, error=None, stand_in=STAND_IN, numbers=None):
        """Leaves the files of a point's run."""
        values = {**DEFAULTS, **point.parameters}
        reached = accuracy(values["SEED"], values["LEARNING_RATE"], values["EPOCHS"])
        numbers = numbers or {
            "seconds_per_epoch": number("Training time an epoch", 0.25, "s"),
            "test_accuracy": number(f"Test accuracy {NASTY}", reached, "%", std=0.01),
            "train_loss": number("Training loss", 2 - reached),
        }
        content = {
            "title": "Transfer from A to B",
            "error": error and {"name": "ValueError", "message": error, "cell": 7},
            "stand_in": stand_in,
            "provenance": {"Data set": "Drawn shapes", "Seed": "3"},
            "key_numbers": ["test_*", "train_loss"],
            "numbers": numbers,
            "duration_seconds": 12.5,
        }
        (self.folder / f"{point.name}.json").write_text(json.dumps(content), encoding="utf-8")
        (self.folder / f"{point.name}.html").touch()

    def rows(self):
        """sweep.csv as dictionaries."""
        sweep.summary(self.workspace, "quick", self.points)
        return list(csv.DictReader(io.StringIO((self.folder / "sweep.csv").read_text(encoding="utf-8-sig"))))


@pytest.fixture
def make(tmp_path):
    return lambda *grid, **options: Sweep(tmp_path, grid, **options)


def summary(made):
    """Runs the notebook's cells over a sweep; returns what it recorded, by kind and name, and its figure's axes."""
    task = sweep.summary(made.workspace, "quick", made.points)
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
    found = {content.get("name", content["kind"]): content for content in recorded}
    return {**found, "readings": "\n".join(each["text"] for each in recorded if each["kind"] == "reading")}, axes


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Twelve points: one failed, one not run, ten good ones."""
    made = Sweep(tmp_path_factory.mktemp("mixed"), ["SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2"]).run(skip=(4, 5))
    made.ran(made.points[4], error=f"no such shape {NASTY}")
    return made


@pytest.fixture(scope="module")
def of_mixed(mixed):
    return summary(mixed)


def frame(content):
    return pd.DataFrame(content["values"], columns=content["names"])


def test_the_csv_file_holds_every_number_of_every_point_with_all_digits(mixed):
    rows = mixed.rows()
    assert [row["point"] for row in rows] == [str(i + 1) for i in range(12)]
    assert [row["report"] for row in rows] == [point.name for point in mixed.points]
    assert [(int(row["SEED"]), float(row["LEARNING_RATE"])) for row in rows] == [
        (seed, rate) for seed in range(4) for rate in (0.0001, 0.001, 0.01)
    ]
    assert [row["run_state"] for row in rows] == ["ok"] * 4 + ["FAILED", "not run"] + ["ok"] * 6
    for i, row in enumerate(rows):
        if i not in (4, 5):
            assert float(row["test_accuracy"]) == accuracy(int(row["SEED"]), float(row["LEARNING_RATE"]))
            assert (row["test_accuracy (std)"], row["run_seconds"]) == ("0.01", "12.5")
        else:
            assert row["test_accuracy"] == "" and row["run_error"]
    assert rows[4]["run_error"] == f"ValueError: no such shape {NASTY} (cell 7)"


def test_a_damaged_file_is_no_result(make):
    made = make("SEED=0..1").run()
    for point, text in zip(made.points, ["{", '{"error": null}'], strict=True):
        (made.folder / f"{point.name}.json").write_text(text)
    assert [row["run_state"] for row in made.rows()] == ["not run", "not run"]
    assert len(summary(made)[0]["points"]["rows"]) == 2, "there is a page where nothing ended well"


def test_means_over_seeds_leave_out_what_did_not_end_well(mixed, of_mixed):
    found, _ = of_mixed
    means = frame(found["means"]).set_index("LEARNING_RATE")
    deviations = pd.read_csv(io.StringIO(found["means"]["csv"])).set_index("LEARNING_RATE")[f"{ACCURACY} (±)"]
    for rate, seeds in {0.0001: [0, 1, 2, 3], 0.001: [0, 2, 3], 0.01: [0, 2, 3]}.items():
        values = [100 * accuracy(seed, rate) for seed in seeds]
        assert means.loc[rate, "n"] == len(seeds)
        assert means.loc[rate, ACCURACY] == pytest.approx(np.mean(values), rel=1e-12)
        assert deviations[rate] == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_points_without_results_are_named_with_their_reasons(mixed, of_mixed):
    found, _ = of_mixed
    assert found["provenance"]["incomplete"] == "10 of 12 points"
    assert "**2 of 12 points have no result**" in found["readings"]
    missing = frame(found["missing"])
    assert missing[["point", "state"]].values.tolist() == [[5, "FAILED"], [6, "not run"]]
    assert missing["why"][0] == f"ValueError: no such shape {NASTY} (cell 7)"
    assert found["missing"]["links"] == [f"{mixed.points[4].name}.html", ""]
    assert found["points"]["links"] == [f"{point.name}.html" if i != 5 else "" for i, point in enumerate(mixed.points)]
    assert frame(found["points"])[ACCURACY].isna().tolist() == [i in (4, 5) for i in range(12)]


def test_the_best_is_told_by_number_split_and_setting(of_mixed):
    found, _ = of_mixed
    best, other = found["readings"].splitlines()[-4:-2]
    values = [100 * accuracy(seed, 0.001) for seed in (0, 2, 3)]
    assert "(test images) is highest at LEARNING&#95;RATE &#61; 0&#46;001" in best and "lowest at" in best
    assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} % (mean ± sd of 3 points)" in best
    assert "(training images) is lowest at LEARNING&#95;RATE &#61; 0&#46;001" in other
    assert "chosen by validation images" in found["readings"]
    assert [1, found["means"]["names"].index(ACCURACY)] in found["means"]["bold"]
    points = frame(found["points"])
    assert [points[ACCURACY].astype(float).idxmax(), list(points).index(ACCURACY)] in found["points"]["bold"]


def test_where_a_name_does_not_tell_nothing_is_best_and_units_are_right(make):
    numbers = {
        "best_epoch": number("Epoch of the lowest validation loss", 3),
        "gap": number("Accuracy gap", 0.125, "points"),
        "speed": number("Training", 1234.5, "images/s"),
    }
    found, _ = summary(make("EPOCHS=2").run(numbers=numbers))
    assert found["points"]["bold"] == [] and found["readings"] == ""
    columns, row = found["points"]["columns"], found["points"]["rows"][0]
    assert columns[-3:] == ["Epoch of the lowest validation loss", "Accuracy gap, points", "Training, images/s"]
    assert row[-3:] == ["3", "12.50", "1,234"]


def test_the_opening_says_what_varies_what_is_fixed_and_where_it_comes_from(make):
    made = make("SEED=0..2", assignments=[("EPOCHS", "2")]).run()
    made.ran(made.points[0], stand_in="")
    opening = summary(made)[0]["provenance"]
    assert opening["title"] == "Transfer from A to B: sweep over SEED"
    assert opening["warning"] == f"In 2 of 3 points: {STAND_IN}" and opening["incomplete"] == ""
    rows = dict(opening["rows"])
    assert (rows["Varied"], rows["Same in all points"], rows["Points"]) == ("SEED: 0, 1, 2", "EPOCHS = 2", "3 ok")
    assert rows["Data set"] == "Drawn shapes" and "Seed" not in rows


def test_amounts_lie_along_an_axis_that_spaces_them_evenly(of_mixed, make):
    panel, other = of_mixed[1]
    assert panel.get_xlabel() == "LEARNING_RATE" and other.get_ylabel() == "Training loss"
    line = panel.lines[0]
    assert line.get_xdata() == pytest.approx([0.0001, 0.001, 0.01])
    good = {0.0001: [0, 1, 2, 3], 0.001: [0, 2, 3], 0.01: [0, 2, 3]}
    means = [100 * np.mean([accuracy(seed, rate) for seed in seeds]) for rate, seeds in good.items()]
    assert line.get_ydata() == pytest.approx(means)
    places = [panel.transData.transform((rate, 50))[0] for rate in good]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=0.01)
    found, (panel, _) = summary(make("LEARNING_RATE=0.1,0.2,0.3", "EPOCHS=2,4").run())
    assert panel.get_xscale() == "linear"
    assert [text.get_text() for text in panel.figure.legends[0].get_texts()] == ["EPOCHS = 2", "EPOCHS = 4"]
    behind = pd.read_csv(io.StringIO(found["sweep"]["csv"]))
    behind = behind[(behind["series"] == "EPOCHS = 4") & (behind["panel"] == ACCURACY)]
    assert behind[ACCURACY].tolist() == pytest.approx([100 * accuracy(0, rate, 4) for rate in (0.1, 0.2, 0.3)])


def test_what_is_no_amount_stands_side_by_side(make):
    panel = summary(make("DATASET=cifar10,'$a_b$',shapes", "SEED=0..1", "IMAGE_SIZE=None,16").run())[1][0]
    assert len(panel.containers) == 2 and len(panel.get_xticklabels()) == 3
    heights = [bar.get_height() for bar in panel.containers[0]]
    assert heights == pytest.approx([100 * np.mean([accuracy(seed, 0.001) for seed in (0, 1)])] * 3)
