"""A sweep by the command: a report for each point, one over all, and only what is missing runs again."""

import csv
import shutil
import signal
import threading
import time

import pytest

from helpers import ROOT
from helpers.report import cli, kernel
from helpers.report.run import NotRun
from tests.command import write_notebook

RESULT = """\
from helpers import record
if SEED == 13:
    raise ValueError("an unlucky one")
record.numbers([record.Number("accuracy", "Test accuracy", 0.5 + RATE + SEED / 100, unit="%")], "results", "R.")"""


@pytest.fixture
def sweep(tmp_path, capsys):
    """Runs a sweep over notebook 01; returns what the command said it would do, by point."""
    write_notebook(tmp_path, "01_small", RESULT, parameters="SEED = 0\nRATE = 0.1")
    shutil.copy(ROOT / "notebooks" / "sweep.ipynb", tmp_path / "notebooks")

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["01", "--format", "html", "--jobs", "1", "--sweep", *arguments], root=tmp_path) == status
        lines = [line.split("  ", 1) for line in capsys.readouterr().err.splitlines() if "  " in line]
        return {name: what for name, what in lines if what.startswith(("runs", "unchanged"))}

    return run


@pytest.mark.slow
def test_a_sweep_runs_what_is_missing_and_a_failed_point_stops_no_other(tmp_path, sweep, monkeypatch):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"

    def rows() -> dict[str, dict[str, str]]:
        with (folder / "sweep.csv").open(encoding="utf-8", newline="") as stream:
            return {row["report"]: row for row in csv.DictReader(stream)}

    failed, good, new = "RATE=0.1,SEED=13", "RATE=0.1,SEED=0", "RATE=0.1,SEED=10"
    first = sweep("SEED=13,0", "RATE=0.1", status=1)
    assert first == dict.fromkeys([failed, good, "sweep"], "runs: never run before")
    done = sweep("SEED=13,0,10", "RATE=0.1", "--jobs", "2", status=1)
    assert done[good] == "unchanged" and done[failed] == "runs: its last run failed"
    assert done[new] == "runs: never run before" and done["sweep"] != "unchanged"
    measured = rows()
    assert {name: row["run_state"] for name, row in measured.items()} == {failed: "FAILED", good: "ok", new: "ok"}
    assert "an unlucky one" in measured[failed]["run_error"] and not measured[failed]["accuracy"]
    assert float(measured[good]["accuracy"]) == pytest.approx(0.6)
    assert float(measured[new]["accuracy"]) == pytest.approx(0.7)
    page = (folder / "sweep.html").read_text(encoding="utf-8").replace("%3D", "=").replace("%2C", ",")
    assert all(f'href="{name}.html"' in page for name in measured)
    assert "an unlucky one" in page and "2 of 3 points" in page and 'href="../../index.html"' in page
    assert 'href="sweep.html"' in (folder / f"{good}.html").read_text(encoding="utf-8")
    assert "sweeps/01_small/sweep.html" in (tmp_path / "reports" / "quick" / "index.html").read_text(encoding="utf-8")
    # Nothing of a point lies among the notebooks' own reports, and the summary is none of the numbered ones.
    assert {path.name for path in folder.parent.parent.iterdir()} == {"index.html", "sweeps"}

    # Results of earlier code are not told as good where the new code has not run, here for Ctrl-C.
    execute = kernel.execute

    def interrupted(source, run, settings, watch):
        if run.name in (good, "sweep"):
            return execute(source, run, settings, watch)
        # As a terminal does it: to the main thread, once. The run ends when the command has noticed.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        while not watch.is_stopped:
            time.sleep(0.05)
        raise NotRun("no worker takes it")

    monkeypatch.setattr(kernel, "execute", interrupted)
    write_notebook(tmp_path, "01_small", RESULT.replace("0.5", "0.25"), parameters="SEED = 0\nRATE = 0.1")
    sweep("SEED=0,10,13", "RATE=0.1", status=130)
    states = [(row["run_state"], row["accuracy"]) for row in rows().values()]
    assert states == [("ok", "0.35"), ("outdated", ""), ("FAILED", "")]
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert "something has changed since" in page and "1 of 3 points" in page
