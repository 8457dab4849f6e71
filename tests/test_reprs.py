"""Objects as the last line of a cell, their HTML and plain text; and errors."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell

from helpers import reprs
from helpers.report import clean
from helpers.train import Result


def result(epochs: int = 3) -> Result:
    columns = {
        "train_loss": [1.0, 0.5, 1 / 3],
        "train_accuracy": [0.6, 0.7, 0.8],
        "val_loss": [1.5, 0.75, 0.5],
        "val_accuracy": [0.4, 0.625, 0.5],
        "<i>b</i>_loss": 2.0,
        "<i>b</i>_accuracy": 0.25,
        "learning_rate": 0.1,
        "seconds": 2.0,
    }
    history = pd.DataFrame(columns, index=pd.RangeIndex(1, 4, name="epoch"))[:epochs]
    return Result(history, 2 if epochs else 0, {"weight": torch.zeros(1000)}, resumed_from=epochs // 3, cached_layers=7)


def cells(html: str) -> list[list[str]]:
    """The texts of each row of the first table."""
    rows = BeautifulSoup(html, "html.parser").find("table").find_all("tr")
    return [[" ".join(cell.get_text().split()) for cell in row.find_all(["th", "td"])] for row in rows]


@pytest.mark.parametrize("epochs", [3, 0])
def test_a_cell_shows_a_table_whose_names_are_text(epochs):
    forms, _ = DisplayFormatter().format(result(epochs))
    assert set(forms) == {"text/html", "text/plain"}
    assert len(forms["text/plain"]) < 700 and "tensor(" not in forms["text/plain"]
    assert all(len(row) == 2 and all(row) for row in cells(forms["text/html"]))
    assert not BeautifulSoup(forms["text/html"], "html.parser").find_all(["script", "b", "i", "em", "code", "a"])


def test_a_result_sums_up_its_training():
    assert cells(result()._repr_html_()) == [
        ["Epochs finished", "3, 1 of them from a checkpoint"],
        ["Best epoch", "2, validation accuracy 62.5%"],
        ["Training, last epoch", "loss 0.333, accuracy 80.0%"],
        ["Validation, last epoch", "loss 0.500, accuracy 50.0%"],
        ["<i>b</i>, last epoch", "loss 2.000, accuracy 25.0%"],
        ["Training time", "6.0 s, 2.00 s an epoch"],
        ["Frozen layers", "7 run once over the data"],
    ]
    beginning = "<Result: epochs finished: 3, 1 of them from a checkpoint; best epoch: 2, validation accuracy 62.5%; "
    assert repr(result()).startswith(beginning)


def test_what_is_written_into_the_form_counts_for_cells_that_run_afterwards(monkeypatch):
    shown: list = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    names = {"EPOCHS": 3, "RATES": [0.1, None], "DATASET": "auto", "_HIDDEN": 1, "PATH": Path(), "other": 2}
    reprs.parameter_form(names)
    assert not shown  # nobody looks on

    monkeypatch.setattr(reprs, "in_front_end", lambda: True)
    reprs.parameter_form(names)
    *fields, said = shown[0].children[0].children
    assert [(field.description, field.value) for field in fields] == [
        ("EPOCHS", "3"),
        ("RATES", "[0.1, None]"),
        ("DATASET", "auto"),
    ]
    for field, text in zip(fields, ["12", "[None, 1e-3]", "cifar10:cat,dog"], strict=True):
        field.value = text
    assert names == names | {"EPOCHS": 12, "RATES": [None, 1e-3], "DATASET": "cifar10:cat,dog"}
    names["RATES"] = [0.5]  # by a cell, which asks for the parameter again when it runs once more
    fields[0].value = "4"
    assert names == names | {"EPOCHS": 4, "RATES": [None, 1e-3]}
    fields[0].value = "many"
    assert names["EPOCHS"] == 4 and "EPOCHS must be a whole number" in said.value


def test_an_error_of_ours_is_a_sentence_and_the_notebooks_own_lines(monkeypatch):
    cell = "from helpers import data\ndef mine():\n    data.load('nowhere', own='cifar10')\nmine()"
    sentence, *lines = traceback_of(cell, monkeypatch)
    assert sentence.startswith("DataError: ") and "\n" not in sentence
    assert lines == ["    line 4, in module: mine()", "    line 3, in mine: data.load('nowhere', own='cifar10')"]


def test_a_bug_of_ones_own_keeps_its_traceback(monkeypatch):
    text = "\n".join(traceback_of("def mine():\n    return 1 / 0\nmine()", monkeypatch))
    assert "Traceback" in text and "return 1 / 0" in text and text.endswith("ZeroDivisionError: division by zero")


def traceback_of(source: str, monkeypatch) -> list[str]:
    """What a notebook shows of the error of a cell."""
    shell, shown = InteractiveShell(), []
    monkeypatch.setattr(shell, "_showtraceback", lambda kind, error, lines: shown.extend(lines))
    shell.run_cell(source)
    return [clean.printable(line) for line in shown]
