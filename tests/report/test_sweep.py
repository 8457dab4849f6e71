"""A sweep by the command: a report for each point, one page over all, and only what is missing runs again."""

import csv
import json
import signal
import time

import nbformat
import pytest

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

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["01", "--format", "html", "--sweep", *arguments], root=tmp_path) == status
        lines = [line.split("  ", 1) for line in capsys.readouterr().err.splitlines() if "  " in line]
        return {name: what for name, what in lines if what.startswith(("runs", "unchanged"))}

    return run


def throw(error: Exception) -> None:
    raise error


def rows(folder) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_sweep_runs_what_is_missing_and_a_failed_point_stops_no_other(tmp_path, sweep):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    assert sweep("SEED=0,1", "RATE=0.1") == dict.fromkeys(
        ["RATE=0.1,SEED=0", "RATE=0.1,SEED=1"], "runs: never run before"
    )
    done = sweep("SEED=0,1,2,3,4,13", "RATE=0.1,0.2", "--jobs", "2", status=1)
    assert len(done) == 12 and [name for name, what in done.items() if what == "unchanged"] == [
        "RATE=0.1,SEED=0",
        "RATE=0.1,SEED=1",
    ]
    measured = {(row["RATE"], row["SEED"]): row for row in rows(folder)}
    assert len(measured) == 12
    for (rate, seed), row in measured.items():
        if seed == "13":
            assert row["run_state"] == "FAILED" and "an unlucky one" in row["run_error"] and not row["accuracy"]
        else:
            assert row["run_state"] == "ok" and float(row["accuracy"]) == pytest.approx(
                0.5 + float(rate) + int(seed) / 100
            )
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(f"{name}.html" in page.replace("%3D", "=").replace("%2C", ",") for name in done)
    assert "an unlucky one" in page
    assert "sweeps/01_small/index.html" in (tmp_path / "reports" / "quick" / "index.html").read_text(encoding="utf-8")
    about = json.loads((folder / "RATE=0.2,SEED=1.json").read_text(encoding="utf-8"))
    assert about["numbers"]["accuracy"]["value"] == pytest.approx(0.71)
    # Nothing of a point lies among the notebooks' own reports.
    assert {path.name for path in folder.parent.parent.iterdir()} == {"index.html", "sweeps"}


def states(folder) -> list[tuple[str, str]]:
    return [(row["run_state"], row["accuracy"][:4]) for row in rows(folder)]


@pytest.mark.parametrize("ends_by", ["Ctrl-C", "a worker's death"])
def test_results_of_earlier_code_are_not_told_as_good_where_the_new_code_has_not_run(
    tmp_path, sweep, monkeypatch, capsys, ends_by
):
    folder = tmp_path / "reports" / "quick" / "sweeps" / "01_small"
    sweep("SEED=0,10,13", "RATE=0.1", status=1)
    assert states(folder) == [("ok", "0.6"), ("ok", "0.7"), ("FAILED", "")]
    path = tmp_path / "notebooks" / "01_small.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("0.5 +", "0.25 +"), encoding="utf-8")
    asked, execute = [], kernel.execute

    def execute_once(order, watch):
        asked.append(order.name)
        if len(asked) == 1:
            return execute(order, watch)
        if ends_by == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.5)
        raise NotRun("no worker takes it")

    with monkeypatch.context() as patch:
        patch.setattr(kernel, "execute", execute_once)
        sweep("SEED=0,10,13", "RATE=0.1", status=130 if ends_by == "Ctrl-C" else 1)
    assert states(folder) == [("ok", "0.35"), ("outdated", ""), ("FAILED", "")]
    assert "something has changed since" in rows(folder)[1]["run_error"]
    assert "1 outdated" in (folder / "index.html").read_text(encoding="utf-8")
    # --force runs what is good: that stays.
    monkeypatch.setattr(kernel, "execute", lambda *_: throw(NotRun("no worker takes it")))
    sweep("SEED=0", "RATE=0.1", "--force", status=1)
    assert states(folder) == [("ok", "0.35")]


def test_sweep_may_be_given_once_for_each_parameter(tmp_path, sweep, monkeypatch, capsys):
    monkeypatch.setattr(kernel, "execute", lambda *_: throw(NotRun("not run")))
    monkeypatch.setattr("helpers.report.overview.write_sweep", lambda *_, **__: "")
    done = sweep("SEED=0,1", "--sweep", "RATE=0.1,0.2", status=1)
    assert list(done) == ["RATE=0.1,SEED=0", "RATE=0.2,SEED=0", "RATE=0.1,SEED=1", "RATE=0.2,SEED=1"]


def test_what_stands_over_the_points_is_told(tmp_path, sweep, monkeypatch, capsys):
    monkeypatch.setattr(kernel, "execute", lambda *_: throw(NotRun("not run")))
    for formats, told in (("html", "index.html and sweep.csv"), ("html,pdf", "index.html, sweep.pdf and sweep.csv")):
        assert cli.main(["01", "--sweep", "SEED=0,1", "--format", formats], root=tmp_path) == 1
        assert capsys.readouterr().out.splitlines()[-1].endswith(f"01_small, with {told} over them")


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
