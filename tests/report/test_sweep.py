"""A sweep by the command: a report for each point, one over all, and only what is missing runs again."""

import csv
import shutil
import signal
import threading
import time

import nbformat
import pytest

from helpers import ROOT, record
from helpers.report import cli, kernel
from tests.command import executed_cell, write_notebook


@pytest.mark.slow
def test_a_sweep_runs_what_is_missing_and_a_failed_point_stops_no_other(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    failed, good, new = "RATE=0.1,SEED=13", "RATE=0.1,SEED=0", "RATE=0.1,SEED=10"
    in_kernel = kernel.execute

    def execute(source, run, settings, watch):
        """Only the notebook over three points is executed; those of fewer and the points themselves are made up."""
        if run.name == "sweep" and len(rows()) == 3:
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
        made = {} if run.name == "sweep" else {"stamp": {}}
        notebook.metadata |= {"papermill": {}, "workbook": made}
        return notebook

    def sweep(*arguments: str, status: int) -> dict[str, str]:
        """What the command said it would do, by point."""
        assert cli.main(["01", "--format", "html", "--sweep", "RATE=0.1", *arguments], root=tmp_path) == status
        lines = [line.split("  ", 1) for line in capsys.readouterr().err.splitlines() if "  " in line]
        return {name: what for name, what in lines if what.startswith(("runs", "unchanged"))}

    def rows() -> dict[str, dict[str, str]]:
        with (folder / "sweep.csv").open(encoding="utf-8-sig", newline="") as stream:
            return {row["report"]: row for row in csv.DictReader(stream)}

    monkeypatch.setattr(kernel, "execute", execute)
    write_notebook(tmp_path, "01_small", "measure()", parameters="SEED = 0\nRATE = 0.1")
    shutil.copy(ROOT / "notebooks" / "sweep.ipynb", tmp_path / "notebooks")
    first = sweep("SEED=13,0", status=1)
    assert first == dict.fromkeys([failed, good, "sweep"], "runs: never run before")
    done = sweep("SEED=13,0,10", "--jobs", "2", status=1)
    assert done[good] == "unchanged" and done[failed] == "runs: its last run failed"
    assert done[new] == "runs: never run before"
    measured = rows()
    assert {name: row["run_state"] for name, row in measured.items()} == {failed: "FAILED", good: "ok", new: "ok"}
    assert "an unlucky one" in measured[failed]["run_error"] and not measured[failed]["accuracy"]
    assert [measured[name]["accuracy"] for name in (good, new)] == ["0.6", "0.7"]
    page = (folder / "sweep.html").read_text(encoding="utf-8").replace("%3D", "=").replace("%2C", ",")
    assert all(f'href="{name}.html"' in page for name in measured)
    assert "an unlucky one" in page and "2 of 3 points" in page and 'href="../../index.html"' in page
    assert 'href="sweep.html"' in (folder / f"{good}.html").read_text(encoding="utf-8")
    assert "sweeps/01_small/sweep.html" in (tmp_path / "reports" / "quick" / "index.html").read_text(encoding="utf-8")
    # Nothing of a point lies among the notebooks' own reports, and the summary is none of the numbered ones.
    assert {path.name for path in folder.parent.parent.iterdir()} == {"index.html", "sweeps"}

    # Results of earlier code are not told as good where the new code has not run.
    write_notebook(tmp_path, "01_small", "interrupted()", parameters="SEED = 0\nRATE = 0.1")
    over = sweep("SEED=0,10,13", "--jobs", "1", status=130)["sweep"]
    assert over == "runs: reports/quick/sweeps/01_small/points.json"
    assert [row["run_state"] for row in rows().values()] == ["outdated", "outdated", "FAILED"]
    assert all("accuracy" not in row for row in rows().values())
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert "something has changed since" in page and "0 of 3 points" in page
