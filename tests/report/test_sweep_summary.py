"""The page over a sweep: its numbers against NumPy's, its states, links and figures."""

import csv
import io
import json
from unittest.mock import patch
from urllib.parse import unquote

import html5lib
import nbformat
import numpy as np
import pandas as pd
import pypdf
import pytest
from bs4 import BeautifulSoup

from helpers import record
from helpers.record import Number
from helpers.report import numbers_file, sweep
from helpers.report.document import Document, Failure, Figure, Markdown, Provenance, Reading
from helpers.report.sweep import figure, results, tables
from helpers.report.sweep.summary import summary
from helpers.report.workspace import Workspace

DEFAULTS = {"DATASET": "auto", "EPOCHS": 6, "LEARNING_RATE": 0.001, "SEED": 0, "SEEDS": [0, 1], "IMAGE_SIZE": None}
STAND_IN = "STAND-IN DATA: drawn shapes, not CIFAR-100."
NASTY = "<script>alert('x')</script> $x_1$ *bold* |"


def accuracy(seed, rate, epochs=6):
    """What a network might reach; no two settings alike."""
    return 0.6 - 0.05 * (np.log10(rate) + 3) ** 2 + 0.01 * epochs + 0.004 * np.sin(7 * seed + epochs)


def recorded(numbers):
    shown = []
    with patch("IPython.display.display", lambda bundle, raw: shown.append(bundle[record.MIME])):
        record.numbers(numbers, "results", "")
    return shown[0]["numbers"]


class Sweep:
    """A sweep in a folder, and what its points' runs left there."""

    def __init__(self, root, grid, **options):
        self.workspace = Workspace(root)
        self.notebook = self.workspace.notebooks / "02_transfer.ipynb"
        cell = "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())
        self.notebook.parent.mkdir(exist_ok=True)
        cells = [nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]})]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.notebook)
        self.points = sweep.points(self.workspace, self.notebook, grid=grid, **options)
        self.folder = sweep.sweep_folder(self.workspace, "quick", self.notebook)
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, skip=(), **changes):
        """Every point but those at the places ``skip`` ends well."""
        for i, point in enumerate(self.points):
            if i not in skip:
                self.ran(point, **changes)
        return self

    def ran(self, point, *, error="", stand_in=STAND_IN, parameters=None, numbers=None, seconds=12.5):
        """Leaves the files of a point's run."""
        values = {**DEFAULTS, **point.parameters}
        reached = accuracy(values["SEED"], values["LEARNING_RATE"], values["EPOCHS"])
        numbers = numbers or [
            Number("seconds_per_epoch", "Training time an epoch", 0.25, unit="s"),
            Number("test_accuracy", f"Test accuracy {NASTY}", reached, 0.01, 3, 0.7, "%"),
            Number("train_loss", "Training loss", 2 - reached),
        ]
        failure = [Failure("ValueError", error, "", 7)] if error else []
        document = Document(
            title="Transfer from A to B",
            blocks=[Provenance([("Data set", "Drawn shapes"), ("Seed", "3")], stand_in), *failure],
            numbers={number["name"]: number for number in recorded(numbers)},
            parameters=parameters or values,
            duration=seconds,
            finished="2026-11-22T12:00:00+00:00",
            failed=bool(error),
            key_numbers=("test_*", "train_loss"),
        )
        content = numbers_file.content(document, name=point.name, profile="quick")
        (self.folder / f"{point.name}.json").write_text(json.dumps(content), encoding="utf-8")
        (self.folder / f"{point.name}.html").touch()

    def written(self, **options):
        return sweep.write_summary(self.workspace, "quick", self.notebook, self.points, **options)

    def results(self):
        return results.read(self.folder, self.points, DEFAULTS)

    def document(self):
        return summary(self.results(), notebook="02_transfer", profile="quick")

    def table(self, name):
        found = self.results()
        if name == "means":
            changing = results.varying(found)
            seeds = [parameter for parameter in changing if results.is_seed(parameter)]
            by = [parameter for parameter in changing if parameter not in seeds]
            return tables.of_means(found, by, seeds, number=1)
        return {"points": tables.of_points, "errors": tables.of_errors}[name](found, number=1)

    def rows(self):
        """sweep.csv as dictionaries."""
        self.written(formats=[])
        return list(csv.DictReader(io.StringIO((self.folder / "sweep.csv").read_text(encoding="utf-8"))))

    def drawn(self):
        """The first figure's axes."""
        drawings, why = figure.drawings(self.results())
        assert not why
        return drawings[0].figure.axes


@pytest.fixture
def make(tmp_path):
    return lambda *grid, **options: Sweep(tmp_path, grid, **options)


@pytest.fixture
def mixed(make):
    """Twelve points: one failed, one not run, one whose report is of other parameters, nine good ones."""
    made = make("SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2").run(skip=(4, 5, 6))
    made.ran(made.points[4], error=f"no such shape {NASTY}")
    made.ran(made.points[6], parameters={**DEFAULTS, **made.points[6].parameters, "EPOCHS": 2})
    return made


# Numbers


def test_the_csv_file_holds_every_number_of_every_point_with_all_digits(make):
    made = make("SEED=0..2", "LEARNING_RATE=1e-3,3e-4").run()
    rows = made.rows()
    assert [row["point"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [row["report"] for row in rows] == [point.name for point in made.points]
    assert [(int(row["SEED"]), float(row["LEARNING_RATE"])) for row in rows] == [
        (0, 0.001),
        (0, 0.0003),
        (1, 0.001),
        (1, 0.0003),
        (2, 0.001),
        (2, 0.0003),
    ]
    assert [float(row["test_accuracy"]) for row in rows] == [
        accuracy(seed, rate) for seed in (0, 1, 2) for rate in (0.001, 0.0003)
    ]
    assert {row["test_accuracy (std)"] for row in rows} == {"0.01"}
    assert {(row["run_state"], row["run_error"], row["run_seconds"]) for row in rows} == {("ok", "", "12.5")}
    assert "train_loss (std)" not in rows[0]


def test_points_without_results_have_no_numbers_and_say_why(mixed):
    rows = mixed.rows()
    states = [row["run_state"] for row in rows]
    assert states == ["ok"] * 4 + ["FAILED", "not run", "outdated"] + ["ok"] * 5
    assert [row["test_accuracy"] for row in rows[4:7]] == ["", "", ""]
    assert rows[4]["run_error"] == f"ValueError: no such shape {NASTY} (cell 7)"
    assert rows[6]["run_error"] == "its report is of a run with EPOCHS = 2, not 6"
    shown = mixed.table("errors")
    assert [row[:2] for row in shown.rows] == [["5", "FAILED"], ["6", "not run"], ["7", "outdated"]]
    assert shown.links[1] == ""


def test_an_unreadable_file_is_a_point_that_has_not_run(make):
    made = make("SEED=0..2").run()
    for i, text in enumerate(["{", '{"status": "ok"}']):
        (made.folder / f"{made.points[i].name}.json").write_text(text)
    assert [row["run_state"] for row in made.rows()] == ["not run", "not run", "ok"]


def test_means_over_seeds_leave_out_what_did_not_end_well(mixed):
    table = mixed.table("means")
    assert table.names[:2] == ["LEARNING_RATE", "n"]
    good = {0.0001: [0, 1, 3], 0.001: [0, 2, 3], 0.01: [0, 2, 3]}
    assert mixed.points[4].varied == {"SEED": 1, "LEARNING_RATE": 0.001}
    frame = pd.read_csv(io.StringIO(table.csv)).set_index("LEARNING_RATE")
    for rate, seeds in good.items():
        values = [accuracy(seed, rate) for seed in seeds]
        row = frame.loc[rate]
        assert row["n"] == 3
        label = f"Test accuracy {NASTY}"
        assert row[label] == pytest.approx(np.mean(values), rel=1e-12)
        assert row[f"{label} (std)"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_a_setting_without_any_good_point_keeps_its_row(make):
    made = make("SEED=0..1", "EPOCHS=2,4").run(skip=(0, 2))
    rows = made.table("means").rows
    assert [row[:3] for row in rows] == [["2", "0", "–"], ["4", "2", rows[1][2]]]


def test_best_values_are_bold_among_points_and_among_means(mixed):
    for name, column in (("points", 4), ("means", 2)):
        table = mixed.table(name)
        accuracies = [row[column] for row in table.values]
        losses = [row[column + 1] for row in table.values]
        best = accuracies.index(max(value for value in accuracies if value is not None))
        assert best == losses.index(min(value for value in losses if value is not None))
        assert {(best, column), (best, column + 1)} <= set(table.bold)
        assert sum(place[1] == column for place in table.bold) == 1


def test_a_number_whose_name_does_not_tell_has_no_best(make):
    numbers = [Number("best_epoch", "Epoch of the lowest validation loss", 3), Number("gap", "Accuracy gap", 0.1)]
    found = results.quantities(make("SEED=0..1").run(numbers=numbers).results())
    assert [quantity.better for quantity in found] == ["", ""]


def test_key_numbers_stand_first_and_the_rest_is_in_the_csv_file(make):
    numbers = [Number(f"extra_{i}", f"Extra {i}", i / 10) for i in range(8)] + [Number("test_b", "Test", 0.5)]
    made = make("SEED=0..1").run(numbers=numbers)
    assert made.table("points").names == [
        "Point",
        "SEED",
        "State",
        "Test",
        *(f"Extra {i}" for i in range(5)),
        "Run, s",
    ]
    assert "3 more numbers" in texts(made.document(), Markdown)
    assert made.rows()[0]["extra_7"] == "0.7"


def test_parameters_are_shown_as_they_were_given(make, tmp_path):
    file = tmp_path / "points.yaml"
    file.write_text("- {LEARNING_RATE: 0.00003}\n- {IMAGE_SIZE: 16, SEEDS: [3]}\n- {DATASET: shapes}\n")
    made = make(sweep_file=file).run()
    table = made.table("points")
    assert table.names[1:5] == ["LEARNING_RATE", "IMAGE_SIZE", "SEEDS", "DATASET"]
    assert [row[1:5] for row in table.rows] == [
        ["3e-05", "None", "[0, 1]", "auto"],
        ["0.001", "16", "[3]", "auto"],
        ["0.001", "None", "[0, 1]", "shapes"],
    ]


# What the page says


def texts(document, kind):
    return "\n".join(block.text for block in document.blocks if isinstance(block, kind))


def test_conclusions_name_the_best_and_the_worst_setting(make):
    made = make("SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2").run()
    best = [accuracy(seed, 0.001) for seed in range(4)]
    said = texts(made.document(), Reading).splitlines()[0]
    assert "is highest at LEARNING&#95;RATE &#61; 0&#46;001" in said
    assert f"{100 * np.mean(best):.2f} ± {100 * np.std(best, ddof=1):.2f} % (mean ± sd of 4 points)" in said
    assert texts(made.document(), Reading).count("lowest") == 2


def test_the_provenance_says_what_varies_what_is_fixed_and_how_points_ended(make):
    made = make("SEED=0..20", assignments=[("EPOCHS", "2")]).run()
    rows = dict(made.document().blocks[0].rows)
    assert rows["Varied"] == "SEED: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 9 more"
    assert rows["Same in all points"] == "EPOCHS = 2"
    assert rows["Points"] == "21 points: 21 ended well"
    assert rows["Time"] == "4 min 22 s, all points together"
    assert rows["Data set"] == "Drawn shapes"
    assert "Seed" not in rows


@pytest.mark.parametrize("real", [0, 1, 3])
def test_stand_in_data_is_said_of_the_points_that_have_it(make, real):
    made = make("SEED=0..2").run()
    for point in made.points[:real]:
        made.ran(point, stand_in="")
    warning = made.document().blocks[0].warning
    assert warning == {0: STAND_IN, 1: f"In 2 of 3 points: {STAND_IN}", 3: ""}[real]
    marked = ["stand-in" in row[2] for row in made.table("points").rows]
    assert marked == ([False, True, True] if real == 1 else [False] * 3)


def test_the_html_page_is_valid_and_leads_to_every_page_that_is_there(mixed):
    (mixed.workspace.reports("quick") / "index.html").touch()
    mixed.written(formats=["html"])
    text = (mixed.folder / "index.html").read_text(encoding="utf-8")
    parser = html5lib.HTMLParser()
    parser.parse(text)
    assert parser.errors == []
    soup = BeautifulSoup(text, "html.parser")
    assert soup.find("script") is None
    links = [unquote(link["href"]) for link in soup.select("table a")]
    present = [f"{point.name}.html" for i, point in enumerate(mixed.points) if i != 5]
    assert links[:11] == present
    assert all((mixed.folder / link).is_file() for link in links)
    assert (mixed.folder / soup.select_one(".eyebrow a")["href"]).resolve() == mixed.workspace.reports(
        "quick"
    ) / "index.html"
    assert soup.select_one(".badge").get_text() == "9 of 12 points"
    assert STAND_IN in soup.select_one(".stand-in").get_text()
    assert "9 ended well, 1 failed, 1 not run, 1 outdated" in soup.get_text()
    assert NASTY in soup.get_text()


def test_a_complete_sweep_says_so(make):
    made = make("SEED=0..1").run()
    made.written(formats=["html"])
    soup = BeautifulSoup((made.folder / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert soup.select_one(".badge").get_text() == "Complete"
    assert soup.select_one(".eyebrow a")["href"] == "index.html"
    assert "Points without results" not in soup.get_text()


def test_a_long_table_of_the_pdf_has_its_header_on_every_page(make):
    made = make("SEED=1..40", "LEARNING_RATE=1e-4,1e-3,1e-2").run(skip=(0,))
    assert made.written(formats=["pdf"])[-1] == made.folder / "sweep.pdf"
    pages = [page.extract_text() for page in pypdf.PdfReader(made.folder / "sweep.pdf").pages]
    with_rows = [page for page in pages if page.count(" ok ") > 1 or page.count("\nok\n") > 1]
    assert len(with_rows) > 1
    assert all("LEARNING_RATE" in page and "State" in page for page in with_rows)
    assert "STAND-IN DATA" in pages[0]
    assert "1 not run" in pages[0]


def test_more_points_than_a_page_takes_are_in_the_csv_file(make, monkeypatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 2)
    made = make("SEED=0..4").run(skip=(0, 1, 2))
    table = made.table("points")
    assert (len(table.rows), len(table.links), len(made.rows())) == (2, 2, 5)
    assert table.caption.startswith("The first 2 of 5 points")
    assert all(row < 2 for row, _ in table.bold)
    assert len(made.table("errors").rows) == 2


# Figures


def test_a_figure_shows_means_deviations_and_points_along_a_logarithmic_axis(make):
    made = make("SEED=0..3", "LEARNING_RATE=1e-4,1e-3,1e-2").run(skip=(4,))
    panel = made.drawn()[0]
    assert panel.get_xscale() == "log"
    assert panel.get_xlabel() == "LEARNING_RATE"
    (bars,) = panel.containers
    line, _, (whiskers,) = bars.lines
    assert line.get_xdata().tolist() == [0.0001, 0.001, 0.01]
    good = {0.0001: [0, 1, 2, 3], 0.001: [0, 2, 3], 0.01: [0, 1, 2, 3]}
    values = [[accuracy(seed, rate) for seed in seeds] for rate, seeds in good.items()]
    assert line.get_ydata() == pytest.approx([np.mean(group) for group in values])
    half = [np.ptp(path.vertices[:, 1]) / 2 for path in whiskers.get_paths()]
    assert half == pytest.approx([np.std(group, ddof=1) for group in values])
    assert len(panel.lines[-1].get_xdata()) == 11
    assert [ax.get_ylabel().split()[0] for ax in made.drawn()] == ["Test", "Training"]


def test_a_second_parameter_gives_a_named_line_for_each_value(make):
    made = make("LEARNING_RATE=0.1..0.3..0.1", "EPOCHS=2,4")
    made.run(numbers=[Number("test_accuracy", "Accuracy", 0.5, unit="%")])
    (panel,) = made.drawn()
    assert panel.get_xscale() == "linear"
    assert {text.get_text() for text in panel.texts} == {"EPOCHS = 2", "EPOCHS = 4"}
    made.run()
    figure_legend = made.drawn()[0].figure.legends[0]
    assert [text.get_text() for text in figure_legend.get_texts()] == ["EPOCHS = 2", "EPOCHS = 4"]


def test_categories_stand_side_by_side_under_their_names(make):
    made = make("DATASET=cifar10,'$a_b$',shapes", "SEED=0..1", "IMAGE_SIZE=None,16").run()
    panel = made.drawn()[0]
    assert panel.get_xlabel() == "DATASET"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["cifar10", "$a_b$", "shapes"]
    places = [bars.lines[0].get_transform().transform((1, 0.5))[0] for bars in panel.containers]
    assert len(set(places)) == 2
    block = next(block for block in made.document().blocks if isinstance(block, Figure))
    frame = pd.read_csv(io.StringIO(block.csv))
    assert set(frame["DATASET"]) == {"cifar10", "$a_b$", "shapes"}
    points = frame[(frame["IMAGE_SIZE"] == 16) & (frame["DATASET"] == "shapes")]
    assert points[f"Test accuracy {NASTY}"].dropna().tolist() == [accuracy(seed, 0.001) for seed in (0, 1)]


def test_of_seeds_alone_the_figure_shows_mean_and_band(make):
    panel = make("SEED=0..4").run().drawn()[0]
    values = [accuracy(seed, 0.001) for seed in range(5)]
    dots, mean = panel.lines
    assert dots.get_ydata() == pytest.approx(values)
    assert mean.get_ydata() == pytest.approx([np.mean(values)] * 2)
    (band,) = panel.patches
    assert band.get_height() == pytest.approx(2 * np.std(values, ddof=1))


def test_more_settings_than_lines_can_show_are_dots_against_each_parameter(make):
    made = make("LEARNING_RATE=1e-4,1e-3,1e-2,1e-1", "EPOCHS=1..8", "DATASET=a,b").run()
    drawings, why = figure.drawings(made.results())
    assert [drawing.name for drawing in drawings] == ["sweep_epochs", "sweep_learning_rate", "sweep_dataset"]
    assert not why
    dots, means = drawings[0].figure.axes[0].lines
    assert len(dots.get_xdata()) == 64
    of_first = [accuracy(0, rate, 1) for rate in (1e-4, 1e-3, 1e-2, 1e-1)]
    assert means.get_ydata()[0] == pytest.approx(np.mean(of_first))


def test_a_number_that_some_points_lack_keeps_the_colours_of_the_lines(make):
    made = make("LEARNING_RATE=0.1..0.3..0.1", "EPOCHS=2,4").run()
    for point in made.points:
        if point.varied["EPOCHS"] == 2:
            made.ran(point, numbers=[Number("test_accuracy", "Test accuracy", 0.5, unit="%")])
    first, second = made.drawn()
    colours = {bars.get_label(): bars.lines[0].get_color() for bars in first.containers}
    assert {bars.get_label(): bars.lines[0].get_color() for bars in second.containers} == {
        "EPOCHS = 4": colours["EPOCHS = 4"]
    }
    assert len(set(colours.values())) == 2


@pytest.mark.parametrize(
    ("skip", "why"),
    [
        ((0, 1, 2), "There is no figure: no point has ended well yet."),
        ((1, 2), "There is no figure: all points that ended well have the same parameters."),
    ],
)
def test_without_anything_to_draw_the_page_says_why(make, skip, why):
    made = make("EPOCHS=2,4,6").run(skip=skip)
    assert why in texts(made.document(), Markdown)
    files = {path.name for path in made.written()}
    assert files == {"sweep.csv", "index.html", "sweep.pdf"}


def test_a_page_in_a_format_that_is_not_asked_for_again_goes(make):
    made = make("SEED=0..1").run()
    assert {path.name for path in made.written()} >= {"index.html", "sweep.pdf"}
    made.written(formats=["html"])
    assert (made.folder / "index.html").is_file()
    assert not (made.folder / "sweep.pdf").exists()


def test_figures_lie_with_the_drawings_and_those_of_an_earlier_sweep_go(make):
    made = make("SEED=0..1", "EPOCHS=2,4").run()
    figures = made.workspace.figures("quick") / "sweeps" / "02_transfer"
    written = made.written(formats=[])
    drawings = [figures / f"sweep_epochs.{suffix}" for suffix in ("svg", "pdf", "csv")]
    assert written == [made.folder / "sweep.csv", made.folder / "means.csv", *drawings]
    assert all(path.is_file() for path in written)
    later = make("LEARNING_RATE=0.1,0.2").run()
    assert {path.name for path in later.written(formats=[])} == {
        "sweep.csv",
        *(f"sweep_learning_rate.{suffix}" for suffix in ("svg", "pdf", "csv")),
    }
    assert not any(path.exists() for path in [*drawings, made.folder / "means.csv"])
