"""What is recorded lies beside the report as files: from a cell's outputs to the folder."""

import base64
import json

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from helpers import plots, record
from helpers.report.document import read
from helpers.report.run import write_drawings


@pytest.fixture
def outputs(monkeypatch):
    """The outputs of a cell, as Jupyter would save them."""
    saved = []

    def display(bundle, raw):
        saved.append(nbformat.v4.new_output("display_data", json.loads(json.dumps(bundle, allow_nan=False))))

    monkeypatch.setattr("IPython.display.display", display)
    yield saved
    plt.close("all")


def document(outputs):
    return read(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]), name="x")


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def bars():
    return plots.bars_with_error(pd.DataFrame({"دقت": [1 / 3, 2 / 3]}, index=["a", "b"]))


def test_figures_and_tables_are_saved_tables_in_a_folder_of_their_own(outputs, tmp_path):
    """A table may have a figure's name."""
    record.figure(bars(), "results", "A caption.")
    record.table(pd.DataFrame({"class": ["گربه"], "share": [1 / 3]}), "classes", "A caption.")
    record.numbers([record.Number("a", "A", 1 / 3, unit="%")], "results", "A caption.")
    write_drawings(document(outputs), tmp_path)
    assert files(tmp_path) == {"results.svg", "results.pdf", "results.csv", "tables/classes.csv", "tables/results.csv"}
    assert "<svg" in (tmp_path / "results.svg").read_text()
    assert (tmp_path / "results.pdf").read_bytes() == base64.b64decode(outputs[0].data["application/pdf"])
    assert pd.read_csv(tmp_path / "results.csv")["accuracy"].tolist() == [1 / 3, 2 / 3]
    assert pd.read_csv(tmp_path / "tables" / "classes.csv").to_dict("list") == {"class": ["گربه"], "share": [1 / 3]}
    assert pd.read_csv(tmp_path / "tables" / "results.csv")["value"].tolist() == [1 / 3]


def test_files_of_an_earlier_run_go_and_others_stay(outputs, tmp_path):
    record.figure(bars(), "old", "A caption.")
    record.table(pd.DataFrame({"a": [1]}), "old", "A caption.")
    write_drawings(document(outputs), tmp_path)
    (tmp_path / "notes.txt").write_text("kept")
    outputs.clear()
    record.figure(plt.figure(), "new", "A figure that no function of helpers.plots drew.")
    write_drawings(document(outputs), tmp_path)
    assert files(tmp_path) == {"new.svg", "new.pdf", "notes.txt"}
