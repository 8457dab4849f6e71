"""The report command while the clock of the machine is set forward or back by a year, in the middle of a run."""

import json
import os
import subprocess
import time

import nbformat
import pytest

from helpers import ROOT
from tests.command import report_command

YEAR = 366 * 24 * 3600
JUMPING = """\
import datetime, os, sys, time

real, real_ns = time.time, time.time_ns


def offset():
    try:
        with open(os.environ["CLOCK_OFFSET"]) as stream:
            return int(stream.read() or 0)
    except FileNotFoundError:
        return 0


class Kind(type):
    def __instancecheck__(self, thing):
        return isinstance(thing, datetime.datetime.__base__)


class Jumping(datetime.datetime, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: real() + offset()
time.time_ns = lambda: real_ns() + 10**9 * offset()
if "ipykernel_launcher" not in sys.orig_argv:  # pandas, which is imported there, takes no other datetime
    datetime.datetime = Jumping
"""
"""What Python imports at its start: `time` and `datetime` tell another time as soon as a file says by how much."""

SET = "import os; open(os.environ['CLOCK_OFFSET'], 'w').write('{}')"
TRAINING = """\
import torch
from helpers import CHECKPOINTS, models, train
from helpers.data import ImageData, Source
from helpers import record
labels = torch.arange(4).repeat(4)
images = ImageData(
    torch.zeros(16, 1, 2, 2, dtype=torch.uint8), labels, tuple("abcd"), "train", Source("zeros", "Zeros", "a test")
)
torch.manual_seed(0)
network = torch.nn.Sequential(models.Normalize([0.5], [0.5]), torch.nn.Flatten(), torch.nn.Linear(4, 4))
{set}
result = train.fit(network, images, images, epochs=3, checkpoint=CHECKPOINTS / "clock")
record.numbers([
    record.Number("seconds", "Seconds", result.history["seconds"].sum(), unit="s"),
    record.Number("resumed", "Epochs from a checkpoint", result.resumed_from),
], "results", "What the training gave.")"""


@pytest.fixture
def run(tmp_path):
    """Runs a notebook of these cells with the report command, and returns what the command said and the report."""
    python = tmp_path / "python"
    python.mkdir()
    (python / "sitecustomize.py").write_text(JUMPING)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(python), str(ROOT)]),
        "CLOCK_OFFSET": str(tmp_path / "offset"),
        "WORKBOOK_DATA": str(tmp_path / "data"),
    }

    def start(*sources: str) -> tuple[str, dict]:
        cells = [nbformat.v4.new_markdown_cell("# Time"), *map(nbformat.v4.new_code_cell, sources)]
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_time.ipynb")
        command = report_command(".", "--format", "html")
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        report = tmp_path / "reports" / "quick" / "01_time.json"
        return said, json.loads(report.read_text()) if report.exists() else {}

    return start


def test_a_clock_that_is_set_changes_no_outcome_and_no_duration(run, tmp_path):
    """Nor does it make a checkpoint of another year a worse one: the second run takes the first one's."""
    for jump, epochs_taken in ((YEAR, 0), (-YEAR, 3)):
        started = time.monotonic()
        cells = SET.format(jump), TRAINING.format(set=SET.format(-jump)), "import time; print(time.time())"
        said, report = run(*cells)
        elapsed = time.monotonic() - started
        assert report["status"] == "ok", said
        assert report["numbers"]["resumed"]["value"] == epochs_taken
        assert 0 < report["numbers"]["seconds"]["value"] < 60
        assert 0 < report["duration_seconds"] < elapsed
        notebook = nbformat.read(tmp_path / "reports" / "quick" / "01_time.ipynb", as_version=4)
        assert all(0 <= part.metadata.papermill.duration < elapsed for part in (notebook, *notebook.cells))
        told = float(notebook.cells[-1].outputs[0].text)
        assert told == pytest.approx(time.time() - jump, abs=100), "the clock was set"
