"""The report command while the clock of the machine is set forward and back by a year, in the middle of a run."""

import json
import os
import subprocess
import time

import nbformat
import pytest

from helpers import ROOT
from tests.command import RESULT, report_command, write_notebook

pytestmark = pytest.mark.slow

YEAR = 366 * 24 * 3600
JUMPING = """\
import datetime, os, time

real = time.time


def offset():
    try:
        with open(os.environ["CLOCK_OFFSET"]) as stream:
            return int(stream.read() or 0)
    except FileNotFoundError:
        return 0


class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: real() + offset()
datetime.datetime = Jumping
"""
"""What Python imports at its start: `time` and `datetime` tell another time as soon as a file says by how much."""
SET = "import os; open(os.environ['CLOCK_OFFSET'], 'w').write('{}')"


def test_a_clock_that_is_set_changes_no_outcome_and_no_duration(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    search = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": search, "CLOCK_OFFSET": str(tmp_path / "offset")}
    write_notebook(tmp_path, "01", SET.format(YEAR), SET.format(-YEAR), "import time; print(time.time())", RESULT)
    started = time.monotonic()
    done = subprocess.run(
        report_command(".", "--format", "html"), cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    elapsed = time.monotonic() - started
    assert done.returncode == 0, done.stdout + done.stderr
    reports = tmp_path / "reports" / "quick"
    assert 0 < json.loads((reports / "01.json").read_text())["duration_seconds"] < elapsed
    notebook = nbformat.read(reports / "01.ipynb", as_version=4)
    assert all(0 <= part.metadata.papermill.duration < elapsed for part in (notebook, *notebook.cells))
    told = float(notebook.cells[-2].outputs[0].text)
    assert told == pytest.approx(time.time() - YEAR, abs=100), "the clock was set"
