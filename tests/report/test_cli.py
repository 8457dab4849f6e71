"""The command line: what it says, what it refuses, and what it asks of a run."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest

from helpers import ROOT
from helpers.files import locked
from helpers.report import cli, kernel
from helpers.report.run import Outcome
from helpers.report.workspace import Settings

GLOB = Path.glob
HEAVY = ("torch", "papermill", "nbclient", "nbformat", "typst", "pandas", "matplotlib", "IPython", "jinja2")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "notebooks"
    (folder / "profiles" / "smoke").mkdir(parents=True)
    for name, lines in {
        "01_cnn_on_a": 'EPOCHS = 8\nDATASET = "auto"',
        "02_transfer": "EPOCHS = 6\nSEEDS = [0, 1]",
    }.items():
        cells = [
            nbformat.v4.new_markdown_cell(f"# About *{name[3:]}*\n\nA paragraph."),
            nbformat.v4.new_code_cell(lines, metadata={"tags": ["parameters"]}),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    (folder / "profiles" / "smoke" / "01_cnn_on_a.yaml").write_text("EPOCHS: 1\n")
    return tmp_path


class Runs:
    """Stands in for kernels and pages: notes what would have been run, and gives the outcomes that a test asks for."""

    def __init__(self) -> None:
        self.asked: list[kernel.Order] = []
        self.settings: Settings | None = None
        self.failing = self.interrupted = ""

    @property
    def names(self) -> list[str]:
        return [order.name for order in self.asked]

    def execute(self, order: kernel.Order, watch: kernel.Watch) -> nbformat.NotebookNode:
        self.asked.append(order)
        return nbformat.v4.new_notebook(metadata={"papermill": {}})

    def write_report(self, executed, task, settings, outcome: Outcome) -> None:
        self.settings = settings
        if task.name == self.interrupted:
            raise KeyboardInterrupt
        outcome.error = "ValueError: no" if task.name == self.failing else ""
        outcome.files = [Path(f"{task.name}.html")]


@pytest.fixture
def runs(monkeypatch):
    runs = Runs()
    monkeypatch.setattr(kernel, "execute", runs.execute)
    monkeypatch.setattr("helpers.report.run.write_report", runs.write_report)
    return runs


@pytest.mark.slow
def test_help_imports_nothing_heavy_and_shows_examples():
    run = "runpy.run_module('helpers.report', run_name='__main__')"
    loaded = f"print('LOADED', sorted({{name.split('.')[0] for name in sys.modules}} & set({HEAVY})))"
    code = f"import runpy, sys; sys.argv = ['report', '--help']\ntry: {run}\nexcept SystemExit: {loaded}"
    call = [sys.executable, "-c", code]
    answer = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    said, loaded = answer.stdout.split("LOADED")
    # Importing these is what takes seconds.
    assert loaded.strip() == "[]"
    for part in ("--profile", "-p NAME VALUE", "-f FILE.yaml", "--format", "--timeout", "--list", "examples:"):
        assert part in said
    assert all(len(line) <= 120 for line in said.splitlines())


def test_every_notebook_is_run_at_its_own_defaults(root, runs, capsys):
    assert cli.main([], root=root) == 0
    assert [(order.name, order.parameters) for order in runs.asked] == [("01_cnn_on_a", {}), ("02_transfer", {})]
    assert (runs.settings.profile, tuple(runs.settings.formats)) == ("quick", ("html", "pdf"))
    assert {order.time_limit for order in runs.asked} == {3600}
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split()[:2] == ["01_cnn_on_a", "ok"]
    assert rows[1].endswith("01_cnn_on_a.{html}")
    over_all = f"in {root / 'reports' / 'quick'}, with index.html over them"
    assert rows[-1] == over_all
    (root / "reports" / "quick" / "workbook.pdf").touch()
    cli.main(["--format", "html"], root=root)
    assert capsys.readouterr().out.splitlines()[-1] == over_all


def test_options_may_stand_anywhere_and_what_not_all_notebooks_take_is_noted(root, runs, capsys):
    arguments = ["--format", "html", "01", "-p", "EPOCHS", "2", "--timeout", "9", "02", "-p", "SEEDS", "[3]"]
    assert cli.main(arguments, root=root) == 0
    assert [order.parameters for order in runs.asked] == [{"EPOCHS": 2}, {"EPOCHS": 2, "SEEDS": [3]}]
    assert tuple(runs.settings.formats) == ("html",)
    assert runs.asked[0].time_limit == 9
    assert "note: SEEDS is not a parameter of 01_cnn_on_a" in capsys.readouterr().err
    assert cli.main(["01", "--profile", "smoke", "--timeout", "0"], root=root) == 0
    assert (runs.asked[-1].parameters, runs.asked[-1].time_limit) == ({"EPOCHS": 1}, None)


@pytest.mark.parametrize(
    ("arguments", "gpus", "jobs", "threads"),
    [
        ([], [], 4, 1),
        ([], [1], 1, 1),
        (["--jobs", "9"], [], 9, 1),
        (["--threads", "2"], [], 3, 2),
        (["--threads", "8", "--jobs", "2"], [], 2, 8),
    ],
)
def test_each_notebook_has_one_thread_and_there_are_as_many_as_the_machine_carries_or_one_on_a_gpu(
    root, runs, monkeypatch, arguments, gpus, jobs, threads
):
    """Whatever the machine, the results come from the same number of threads. Here memory ends before the cores do."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=13 * 2**30))
    monkeypatch.setattr(Path, "glob", lambda folder, name: GLOB(folder, name) if folder != Path("/dev") else gpus)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert cli.main(["01", *arguments], root=root) == 0
    assert [(order.threads, order.anew) for order in runs.asked] == [(threads, 0)]
    assert runs.settings.jobs == jobs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["01", "07"], "there is no notebook '07'"),
        (["--profile", "smok"], "did you mean 'smoke'?"),
        (["--profile", "smoke"], "02_transfer.yaml: No such file"),
        (["-p", "EPOCH", "2"], "did you mean 'EPOCHS'?"),
        (["-f", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--list", "09"], "there is no notebook '09'"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(root, runs, capsys, arguments, message):
    assert cli.main(arguments, root=root) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert runs.asked == []
    assert not (root / "reports").exists()


@pytest.mark.parametrize(
    "arguments", ["--format docx", "--timeout soon", "--jobs 0", "--jobs 1 --scheduler tcp://host:8786"]
)
def test_a_malformed_command_line_ends_with_the_usage(root, runs, capsys, arguments):
    with pytest.raises(SystemExit) as error:
        cli.main(arguments.split(), root=root)
    assert error.value.code == 2
    assert "usage: python -m helpers.report" in capsys.readouterr().err
    assert runs.asked == []


def test_a_reports_folder_that_cannot_be_written_is_refused(root, runs, capsys):
    (root / "reports").write_text("a file in the way")
    assert cli.main([], root=root) == 2
    assert "cannot write to" in capsys.readouterr().err
    assert runs.asked == []


def test_one_failure_is_told_and_the_others_go_on(root, runs, capsys):
    runs.failing = "01_cnn_on_a"
    assert cli.main(["--jobs", "1"], root=root) == 1
    assert len(runs.asked) == 2
    printed = capsys.readouterr()
    assert [line.split()[1] for line in printed.out.splitlines()[1:3]] == ["FAILED", "ok"]
    assert "01_cnn_on_a  failed: ValueError: no" in printed.err
    assert (root / "reports" / "quick" / "index.html").exists()


def test_two_runs_of_one_notebook_do_not_meet(root, runs, capsys):
    (root / "reports/quick").mkdir(parents=True)
    with locked(root / "reports/quick/.01_cnn_on_a.lock"):
        assert cli.main(["01"], root=root) == 1
    assert "another run is making this report: wait until it has ended" in capsys.readouterr().err
    assert runs.asked == []


def test_ctrl_c_ends_the_row(root, runs, capsys):
    runs.interrupted = "01_cnn_on_a"
    assert cli.main(["--jobs", "1"], root=root) == 130
    assert len(runs.asked) == 1
    assert "interrupted: 01_cnn_on_a, 02_transfer did not end" in capsys.readouterr().err


def test_list_shows_titles_parameters_and_profiles(root, capsys):
    assert cli.main(["--list"], root=root) == 0
    assert capsys.readouterr().out.splitlines() == [
        "01_cnn_on_a: About cnn_on_a",
        "    profiles: quick, smoke",
        "    EPOCHS = 8",
        "    DATASET = 'auto'",
        "02_transfer: About transfer",
        "    profiles: quick",
        "    EPOCHS = 6",
        "    SEEDS = [0, 1]",
    ]


# In which order


def declare(root: Path, **after: object) -> None:
    """Writes notebooks, ``_2=["1"]`` for one that is to run after 01."""
    for path in (root / "notebooks").glob("*.ipynb"):
        path.unlink()
    for number in range(1, 5):
        about = {"workbook": {"after": after[f"_{number}"]}} if f"_{number}" in after else {}
        notebook = nbformat.v4.new_notebook(metadata=about)
        nbformat.write(notebook, root / "notebooks" / f"0{number}_{'abcd'[number - 1]}.ipynb")


@pytest.mark.parametrize(
    ("chosen", "after", "order"),
    [
        ("312", {}, "312"),
        *(("21", {"_2": [name]}, "12") for name in ("01_a", "1", 1)),
        ("23", {"_2": ["1"]}, "23"),
    ],
)
def test_what_a_notebook_takes_something_over_from_comes_first(root, runs, chosen, after, order):
    declare(root, **after)
    assert cli.main([*chosen, "--format", "html"], root=root) == 0
    assert [name[1] for name in runs.names] == [*order]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"_1": ["3"], "_3": ["2"], "_2": ["1"]}, "01_a after 03_c after 02_b after 01_a"),
        (
            {"_2": ["01_aa"]},
            "02_b want it after another notebook, but there is no notebook '01_aa'; did you mean '01_a'",
        ),
        ({"_2": "01_a"}, "list of names"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused(root, runs, capsys, after, message):
    declare(root, **after)
    assert cli.main([], root=root) == 2
    said = capsys.readouterr().err
    # A circle may be told from any of its notebooks on.
    assert message in said or (" after " in message and all(name in said for name in message.split(" after ")))
    assert runs.asked == []
