"""The command line: what it says, what it refuses, and what it asks of a run."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers import ROOT
from helpers.report import batch, cli
from helpers.report.run import Outcome
from tests.command import report_command

HEAVY = (
    "torch",
    "papermill",
    "nbconvert",
    "nbclient",
    "nbformat",
    "typst",
    "pandas",
    "matplotlib",
    "IPython",
    "jinja2",
)


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
    """Stands in for ``run``: notes what would have been run, and gives the outcomes that a test asks for."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.failing = self.interrupted = ""

    def __call__(self, task, settings, *, stamp, execute, progress) -> Outcome:
        self.asked.append((task.name, settings, task.parameters))
        if task.name == self.interrupted:
            raise KeyboardInterrupt
        error = "ValueError: no" if task.name == self.failing else ""
        return Outcome(task.name, error=error, files=[Path(f"{task.name}.html")])


@pytest.fixture
def runs(monkeypatch):
    runs = Runs()
    monkeypatch.setattr(batch, "run", runs)
    return runs


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)


def test_help_imports_nothing_heavy_and_shows_examples():
    run = "runpy.run_module('helpers.report', run_name='__main__')"
    loaded = f"print('LOADED', sorted({{name.split('.')[0] for name in sys.modules}} & set({HEAVY})))"
    code = f"import runpy, sys; sys.argv = ['report', '--help']\ntry: {run}\nexcept SystemExit: {loaded}"
    said, loaded = python(code).stdout.split("LOADED")
    # Importing these is what takes seconds.
    assert loaded.strip() == "[]"
    for part in ("--profile", "-p NAME VALUE", "-f FILE.yaml", "--format", "--timeout", "--list", "examples:"):
        assert part in said
    assert all(len(line) <= 120 for line in said.splitlines())


def test_neither_the_command_nor_the_package_imports_what_is_heavy():
    loaded = "print([name for name in sys.modules if name.split('.')[0] in HEAVY])"
    code = f"import sys; HEAVY = {HEAVY}; import helpers.report.cli, helpers.report.__init__; {loaded}"
    assert python(code).stdout.strip() == "[]"


def test_every_notebook_is_run_at_its_own_defaults(root, runs, capsys):
    assert cli.main([], root=root) == 0
    assert [(name, parameters) for name, _, parameters in runs.asked] == [("01_cnn_on_a", {}), ("02_transfer", {})]
    settings = runs.asked[0][1]
    assert (settings.profile, tuple(settings.formats), settings.time_limit) == ("quick", ("html", "pdf"), 3600)
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split()[:2] == ["01_cnn_on_a", "ok"]
    assert rows[1].endswith("01_cnn_on_a.{html}")


def test_what_was_written_over_the_reports_is_told(root, runs, capsys):
    place = "in reports/quick" if Path.cwd() == root else f"in {root / 'reports' / 'quick'}"
    cli.main([], root=root)
    assert capsys.readouterr().out.splitlines()[-1] == f"{place}, with index.html over them"
    (root / "reports" / "quick" / "workbook.pdf").touch()
    cli.main(["--format", "html"], root=root)
    assert capsys.readouterr().out.splitlines()[-1] == f"{place}, with index.html over them"


def test_options_may_stand_anywhere(root, runs):
    arguments = ["--format", "html", "01", "-p", "EPOCHS", "2", "--timeout", "9", "02", "-p", "EPOCHS", "3"]
    assert cli.main(arguments, root=root) == 0
    assert [(name, parameters) for name, _, parameters in runs.asked] == [
        ("01_cnn_on_a", {"EPOCHS": 3}),
        ("02_transfer", {"EPOCHS": 3}),
    ]
    assert tuple(runs.asked[0][1].formats) == ("html",)
    assert runs.asked[0][1].time_limit == 9


def test_a_time_limit_of_zero_is_none(root, runs):
    assert cli.main(["01", "--profile", "smoke", "--timeout", "0"], root=root) == 0
    assert cli.main(["01", "--profile", "smoke"], root=root) == 0
    assert [settings.time_limit for _, settings, _ in runs.asked] == [None, 600]
    assert runs.asked[0][2] == {"EPOCHS": 1}


def test_a_parameter_that_only_some_have_is_noted(root, runs, capsys):
    assert cli.main(["-p", "SEEDS", "[3]"], root=root) == 0
    assert [parameters for _, _, parameters in runs.asked] == [{}, {"SEEDS": [3]}]
    assert "note: SEEDS is not a parameter of 01_cnn_on_a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["01", "07"], "there is no notebook '07'"),
        (["02_transfr"], "did you mean '02_transfer'?"),
        (["--profile", "smok"], "did you mean 'smoke'?"),
        (["--profile", "smoke"], "02_transfer.yaml: No such file"),
        (["-p", "EPOCH", "2"], "did you mean 'EPOCHS'?"),
        (["-p", "EPOCHS", "many"], "EPOCHS must be a whole number"),
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
    "arguments",
    [
        ["--format", "docx"],
        ["--timeout", "-1"],
        ["--timeout", "soon"],
        ["--colour"],
        ["--jobs", "0"],
        ["--jobs", "1", "--scheduler", "tcp://host:8786"],
    ],
)
def test_a_malformed_command_line_ends_with_the_usage(root, runs, capsys, arguments):
    with pytest.raises(SystemExit) as error:
        cli.main(arguments, root=root)
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
    assert cli.main([], root=root) == 1
    assert len(runs.asked) == 2
    printed = capsys.readouterr()
    assert [line.split()[1] for line in printed.out.splitlines()[1:3]] == ["FAILED", "ok"]
    assert "01_cnn_on_a  failed: ValueError: no" in printed.err
    assert (root / "reports" / "quick" / "index.html").exists()


def test_ctrl_c_ends_the_row(root, runs, capsys):
    runs.interrupted = "01_cnn_on_a"
    assert cli.main([], root=root) == 130
    assert len(runs.asked) == 1
    assert "interrupted: 01_cnn_on_a, 02_transfer did not end" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["helpers.report.cli.look", "helpers.report.overview.write_index"])
def test_ctrl_c_while_no_notebook_runs_is_no_crash(root, runs, capsys, monkeypatch, place):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    assert cli.main([], root=root) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"


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


def test_a_list_whose_reader_has_had_enough_ends_quietly(root):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(report_command(root, "--list"), cwd=ROOT, **pipes) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")
