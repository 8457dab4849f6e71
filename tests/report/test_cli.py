"""The command line: what it says, what it refuses, and what it asks of a run."""

import errno
import io
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import joblib
import nbformat
import psutil
import pytest

from helpers import ROOT
from helpers.files import locked
from helpers.report import cli, kernel
from helpers.report.batch import jobs_for
from helpers.report.watch import Watch
from helpers.report.workspace import Run, Settings
from tests.command import write_notebook

HEAVY = ("torch", "papermill", "nbclient", "nbformat", "typst", "pandas", "matplotlib", "IPython", "jinja2")


@pytest.fixture
def root(tmp_path):
    write_notebook(tmp_path, "01_cnn_on_a", parameters='EPOCHS = 8\nDATASET = "auto"', text="# About *cnn_on_a*\n\nIt.")
    write_notebook(tmp_path, "02_transfer", parameters="EPOCHS = 6\nSEEDS = [0, 1]", text="# About *transfer*")
    profile = tmp_path / "notebooks" / "profiles" / "smoke" / "01_cnn_on_a.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("EPOCHS: 1\n")
    return tmp_path


class Runs:
    """Stands in for kernels and pages: notes what would have been run, and gives the ends that a test asks for."""

    def __init__(self) -> None:
        self.asked: list[Run] = []
        self.settings: Settings | None = None
        self.failing = ""

    def execute(self, source: str, run: Run, settings: Settings, watch: Watch) -> None:
        self.asked.append(run)
        self.settings = settings

    def report(self, run: Run, settings: Settings, executed: None) -> None:
        run.error = "ValueError: no" if run.name == self.failing else ""
        run.is_written = True


@pytest.fixture
def runs(monkeypatch):
    runs = Runs()
    monkeypatch.setattr(kernel, "execute", runs.execute)
    monkeypatch.setattr("helpers.report.batch.report", runs.report)
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
    assert cli.main(["--jobs", "1"], root=root) == 0
    assert [(run.name, run.parameters) for run in runs.asked] == [("01_cnn_on_a", {}), ("02_transfer", {})]
    assert (runs.settings.profile, tuple(runs.settings.formats)) == ("quick", ("html", "pdf"))
    assert runs.settings.time_limit == 3600
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split()[:2] == ["01_cnn_on_a", "ok"]
    assert rows[-1] == f"over all: {root / 'reports' / 'quick' / 'index.html'}"


def test_options_may_stand_anywhere_and_what_not_all_notebooks_take_is_noted(root, runs, capsys):
    arguments = ["--format", "html", "01", "-p", "EPOCHS", "2", "--timeout", "9", "02", "-p", "SEEDS", "[3]"]
    assert cli.main([*arguments, "--jobs", "1"], root=root) == 0
    assert [run.parameters for run in runs.asked] == [{"EPOCHS": 2}, {"EPOCHS": 2, "SEEDS": [3]}]
    assert (tuple(runs.settings.formats), runs.settings.time_limit) == (("html",), 9)
    assert "note: SEEDS is not a parameter of 01_cnn_on_a" in capsys.readouterr().err
    assert cli.main(["01", "--profile", "smoke", "--timeout", "0"], root=root) == 0
    assert (runs.asked[-1].parameters, runs.settings.time_limit) == ({"EPOCHS": 1}, None)


def test_a_page_that_another_program_has_open_is_told_before_its_notebook_runs(root, runs, monkeypatch, capsys):
    """Windows lets nobody write it."""
    page = root / "reports" / "quick" / "02_transfer.pdf"
    page.parent.mkdir(parents=True)
    page.touch()

    def rename(path: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "used by another process", str(path), None, str(target))

    def unlink(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "used by another process", str(path))

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert cli.main(["--jobs", "1"], root=root) == 1
    assert [run.name for run in runs.asked] == ["01_cnn_on_a"]
    table, said = capsys.readouterr()
    stays = "02_transfer  failed, the report of an earlier run stays: 02_transfer.pdf can't be written (used by another"
    assert stays in said and str(root) not in said
    # Nor the book, which keeps the page over all from nobody.
    assert "error: workbook.pdf could not be made: workbook.pdf can't be written (used by another" in said
    assert (page.parent / "index.html").is_file() and "02_transfer  FAILED" in table


def test_as_many_run_at_once_as_the_machine_carries_or_one_on_a_gpu(monkeypatch):
    """Here memory ends before the cores do."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=13 * 2**30))
    monkeypatch.setattr(Path, "glob", lambda folder, name: [])
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert [jobs_for(threads) for threads in (1, 2, 8)] == [4, 3, 1]
    monkeypatch.setattr(Path, "glob", lambda folder, name: [folder / "nvidia0"])
    assert jobs_for(1) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("01 07", "error: there is no notebook '07'"),
        ("--profile smok", "did you mean 'smoke'?"),
        ("--profile smoke", "02_transfer.yaml: No such file"),
        ("-p EPOCH 2", "did you mean 'EPOCHS'?"),
        ("--list 09", "there is no notebook '09'"),
        ("01 --sweep EPOCH=0..3", "did you mean 'EPOCHS'"),
        ("--sweep EPOCHS=0..3", "a sweep takes one notebook"),
        *((f"01 {option}", "are 0 or more") for option in ("--timeout -5", "--timeout nan", "--jobs -2")),
        ("01 --threads 0", "--threads 1 or more"),
        *(
            (option, "usage: python")
            for option in ("--format docx", "--timeout soon", "--jobs 1 --scheduler tcp://a:1")
        ),
        ("--new 1 x", "1 is the number of 01_cnn_on_a"),
        ("--new 11 a/b", "a name of letters"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(root, runs, capsys, arguments, message):
    write_notebook(root, "sweep")
    try:
        status = cli.main(arguments.split(), root=root)
    except SystemExit as error:  # as argparse ends
        status = error.code
    assert status == 2 and message in capsys.readouterr().err
    assert runs.asked == [] and not (root / "reports").exists()


def test_a_new_notebook_is_a_copy_of_the_template_under_a_name_of_its_own(root, runs, capsys):
    for name in ("template.ipynb", "profiles/smoke/template.yaml"):
        shutil.copy(ROOT / "notebooks" / name, root / "notebooks" / name)
    for name, stem, title in (
        ("label_smoothing", "09_label_smoothing", "Label smoothing"),
        ("برچسب نرم", "10_برچسب_نرم", "برچسب نرم"),
    ):
        assert cli.main(["--new", stem[:2], name], root=root) == 0
        assert capsys.readouterr().out.split("\n")[2] == f"its report: python -m helpers.report {stem[:2]}"
        made, template = (nbformat.read(root / "notebooks" / f"{name}.ipynb", 4) for name in (stem, "template"))
        heading, code = (new for new, old in zip(made.cells, template.cells, strict=True) if new != old)
        assert f"# {title}\n" in heading.source and f'CHECKPOINTS / "{stem}"' in code.source
    assert cli.main(["09", "10", "--profile", "smoke", "--jobs", "1"], root=root) == 0 and len(runs.asked) == 2


def test_a_report_that_another_run_makes_or_that_cannot_be_written_is_left_alone(root, runs, capsys):
    (root / "reports/quick").mkdir(parents=True)
    with locked(root / "reports/quick/.01_cnn_on_a.lock"):
        assert cli.main(["01"], root=root) == 1
    assert "another run is making this report: wait until it has ended" in capsys.readouterr().err
    (root / "reports/smoke").write_text("a file in the way")
    assert cli.main(["01", "--profile", "smoke"], root=root) == 2
    assert "cannot write to" in capsys.readouterr().err and runs.asked == []


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


def test_a_terminal_that_lacks_characters_ends_no_command(root, runs, monkeypatch):
    name = "03_شکل–é"
    write_notebook(root, name, parameters='WHERE = "داده"')
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    runs.failing = name
    assert cli.main(["--list"], root=root) == 0
    assert cli.main(["--jobs", "1"], root=root) == 1
    assert cli.main(["04_هیچ"], root=root) == 2
    for stream in streams:
        stream.flush()
        assert b"03_" in stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("chosen", "after", "order"),
    [("312", {}, "312"), ("21", {"2": "1"}, "12"), ("23", {"2": "1"}, "23"), ("123", {"1": "2", "2": "1"}, "312")],
)
def test_what_a_notebook_takes_something_over_from_comes_first(tmp_path, runs, chosen, after, order):
    """Where two wait for each other, others come first."""
    for number in "123":
        write_notebook(tmp_path, f"0{number}_it", after=[f"0{other}_it" for other in after.get(number, "")])
    assert cli.main([*chosen, "--format", "html", "--jobs", "1"], root=tmp_path) == 0
    assert [run.name[1] for run in runs.asked] == [*order]
