"""Damaged notebook files: whatever is changed in them, reading one gives a document or the named error, and soon."""

import copy
import json
import random
import time
from types import SimpleNamespace
from unittest.mock import patch

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import WorkbookError, record
from helpers.report import document, parameters
from helpers.report.document import Document
from helpers.report.workspace import load

MUTANTS = 150
SLOWEST = 5.0  # seconds for a file of some kilobytes, on a busy machine
REPLACEMENTS = [None, True, 0, -1, 1.5, 1e300, "", "text", "\x00\ud800", "a" * 5000, [], ["text"], [[1]], {}, {"a": {}}]


@pytest.fixture(scope="module")
def executed():
    """The JSON text of an executed notebook with an output of every kind."""
    bundles = []
    with patch("IPython.display.display", lambda bundle, raw: bundles.append(bundle)):
        data = SimpleNamespace(source=SimpleNamespace(title="A", where="B", warning=""), counts="3 images")
        compute = SimpleNamespace(description="a processor", precision_description="float32")
        record.provenance({"SEED": 0}, data=data, compute=compute, weights="random")
        record.figure(plt.figure(figsize=(1, 1)), "figure", "A figure.")
        record.table(pd.DataFrame({"a": [0.5, 1]}), "table", "A table.")
        record.numbers([record.Number("accuracy", "Accuracy", 0.5)], "numbers", "Numbers.")
        record.reading("It is **so**.")
    outputs = [new_output("display_data", data=bundle) for bundle in bundles]
    outputs.append(new_output("display_data", data={"text/html": "<b>x</b>", "text/plain": "x"}))
    outputs.append(new_output("stream", name="stdout", text="printed\n"))
    outputs.append(new_output("error", ename="ValueError", evalue="wrong", traceback=["line"]))
    cells = [
        new_markdown_cell("# A title\n\ntext", attachments={"a.png": {"image/png": "aaaa"}}),
        new_code_cell("SEED = 0\nNAMES = ['a']", metadata={"tags": ["parameters"]}),
        new_code_cell("f()", execution_count=1, outputs=outputs, metadata={"tags": ["key"]}),
    ]
    papermill = {"parameters": {"SEED": 1}, "duration": 3.5, "end_time": "2026-01-02T03:04:05.678901"}
    workbook = {"key_figure": "figure", "key_numbers": ["accuracy"]}
    return nbformat.writes(new_notebook(cells=cells, metadata={"papermill": papermill, "workbook": workbook}))


def with_other_values(text, rng):
    """The file with one to three of its values replaced by others, or taken out: JSON still, but no notebook's."""
    content = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        if not content:
            break
        holder, key = place_in(content, rng)
        if rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(rng.choice(REPLACEMENTS))
    return json.dumps(content).encode()


def place_in(content, rng):
    """A list or dictionary somewhere in the content, and an index or key of it."""
    while True:
        key = rng.choice(list(content) if isinstance(content, dict) else range(len(content)))
        if not (isinstance(content[key], dict | list) and content[key]) or rng.random() < 0.2:
            return content, key
        content = content[key]


@pytest.mark.filterwarnings("ignore")  # nbformat's, about what it repairs
def test_a_damaged_notebook_gives_a_document_or_the_named_error_and_soon(tmp_path, executed):
    path = tmp_path / "01_damaged.ipynb"
    path.write_text(executed, encoding="utf-8")
    whole = document.read(load(path), name=path.stem)
    assert (whole.title, whole.failed, len(whole.numbers)) == ("A title", True, 1)
    outcomes = {"read": 0, "refused": 0}
    rng = random.Random(0)
    for _ in range(MUTANTS):
        path.write_bytes(with_other_values(executed, rng))
        started = time.monotonic()
        try:
            notebook = load(path)
            parameters.defaults(notebook, name=path.stem)
            assert isinstance(document.read(notebook, name=path.stem), Document)
            outcomes["read"] += 1
        except WorkbookError as error:
            assert path.stem in str(error)
            outcomes["refused"] += 1
        assert time.monotonic() - started < SLOWEST
    assert min(outcomes.values()) > MUTANTS / 20
