"""A sweep by the command: a report for each point, one over all, and only what is missing runs again."""

import csv
import shutil
import signal
import time

import nbformat
import pytest

from helpers import ROOT
from helpers.report import cli, kernel
from helpers.report.run import NotRun

RESULT = """\
from helpers import record
if SEED == 13:
    raise ValueError("an unlucky one")
record.numbers([record.Number("accuracy", "Test accuracy", 0.5 + RATE + SEED / 100, unit="%")], "results", "R.")"""


@pytest.fixture
def sweep(tmp_path, capsys):
    """Runs a sweep over notebook 01; returns what the command said it would do, by point."""
    cells = [
        nbformat.v4.new_markdown_cell("# A small experiment"),
        nbformat.v4.new_code_cell("SEED = 0\nRATE = 0.1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(RESULT),
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_small.ipynb")
    shutil.copy(ROOT / "notebooks" / "sweep.ipynb", tmp_path / "notebooks")

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["01", "--format", "html", "--jobs", "1", "--sweep", *arguments], root=tmp_path) == status
        lines = [line.split("  ", 1) for line in capsys.readouterr().err.splitlines() if "  " in line]
        return {name: what for name, what in lines if what.startswith(("runs", "unchanged"))}

    return run


def rows(folder) -> dict[str, dict[str, str]]:
    """The lines of sweep.csv by point."""
    with (folder / "sweep.csv").open(encoding="utf-8", newline="") as stream:
        return {row["report"]: row for row in csv.DictReader(stream)}


def test_a_sweep_runs_what_is_missing_and_a_failed_point_stops_no_other(tmp_path, sweep):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    first = sweep("SEED=0,1", "RATE=0.1")
    assert first == dict.fromkeys(["RATE=0.1,SEED=0", "RATE=0.1,SEED=1", "sweep"], "runs: never run before")
    done = sweep("SEED=0,1,13", "RATE=0.1,0.2", "--jobs", "2", status=1)
    assert len(done) == 7 and [name for name, what in done.items() if what == "unchanged"] == list(first)[:2]
    measured = rows(folder)
    assert len(measured) == 6
    for row in measured.values():
        if row["SEED"] == "13":
            assert row["run_state"] == "FAILED" and "an unlucky one" in row["run_error"] and not row["accuracy"]
        else:
            assert row["run_state"] == "ok"
            assert float(row["accuracy"]) == pytest.approx(0.5 + float(row["RATE"]) + int(row["SEED"]) / 100)
    page = (folder / "sweep.html").read_text(encoding="utf-8").replace("%3D", "=").replace("%2C", ",")
    assert all(f'href="{name}.html"' in page for name in measured)
    assert "an unlucky one" in page and "4 of 6 points" in page and 'href="../../index.html"' in page
    assert 'href="sweep.html"' in (folder / "RATE=0.1,SEED=0.html").read_text(encoding="utf-8")
    assert "sweeps/01_small/sweep.html" in (tmp_path / "reports" / "quick" / "index.html").read_text(encoding="utf-8")
    # Nothing of a point lies among the notebooks' own reports, and the summary is none of the numbered ones.
    assert {path.name for path in folder.parent.parent.iterdir()} == {"index.html", "sweeps"}
    # Only two have anything to do: those that failed. Their results are the same, and so is the page over them.
    done = sweep("SEED=0,1,13", "RATE=0.1,0.2", status=1)
    assert sorted(name for name, what in done.items() if what != "unchanged" and name != "sweep") == [
        "RATE=0.1,SEED=13",
        "RATE=0.2,SEED=13",
    ]


def test_results_of_earlier_code_are_not_told_as_good_where_the_new_code_has_not_run(tmp_path, sweep, monkeypatch):
    """Be it for a worker's death or for Ctrl-C."""
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    path = tmp_path / "notebooks" / "01_small.ipynb"
    source, execute, status = path.read_text(encoding="utf-8"), kernel.execute, 1
    sweep("SEED=0,10,13", "RATE=0.1", status=1)

    def execute_some(order, watch):
        if order.name in ("RATE=0.1,SEED=0", "sweep"):
            return execute(order, watch)
        if status == 130:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.5)
        raise NotRun("no worker takes it")

    monkeypatch.setattr(kernel, "execute", execute_some)
    for status, constant, accuracy in ((1, "0.25 +", 0.35), (130, "0.75 +", 0.85)):
        path.write_text(source.replace("0.5 +", constant), encoding="utf-8")
        sweep("SEED=0,10,13", "RATE=0.1", status=status)
        states = [(row["run_state"], row["accuracy"]) for row in rows(folder).values()]
        assert states == [("ok", str(accuracy)), ("outdated", ""), ("FAILED", "")]
        page = (folder / "sweep.html").read_text(encoding="utf-8")
        assert "something has changed since" in page and "1 of 3 points" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["01", "--sweep", "SED=0..3"], "did you mean 'SEED'"),
        (["--sweep", "SEED=0..3"], "a sweep takes one notebook"),
        (["01", "--sweep", "SEED"], "SEED"),
        (["01", "--sweep", "SEED=a"], "SEED"),
    ],
)
def test_what_is_refused_before_anything_runs(tmp_path, sweep, capsys, arguments, words):
    assert cli.main(arguments, root=tmp_path) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()
