"""The command line: which notebooks and values it means, what it says, and what it refuses before anything runs."""

import errno
import re
import shlex
import shutil
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
from helpers.report.workspace import Run
from tests.command import write_notebook

CELL = """\
# Where the images come from.
DATASET = "auto"
EPOCHS = 8
LEARNING_RATE = 1e-3
AUGMENT = True
SEED = 0
SEEDS = [0, 1, 2]
IMAGE_SIZE = None
"""
WRONG = "notebooks/03_wrong.ipynb"


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_notebook(tmp_path, "01_cnn_on_a", parameters=CELL, text="# About *cnn_on_a*\n\nIt.")
    write_notebook(tmp_path, "02_transfer", parameters="EPOCHS = 6\nWEIGHTS = [None, 1]", text="# About *transfer*")
    write_notebook(tmp_path, "sweep", parameters="RESULTS = ''")
    profile = tmp_path / "notebooks" / "profiles" / "smoke" / "01_cnn_on_a.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("EPOCHS: 1\nIMAGE_SIZE: 16\nSEED: 9\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the folder from which the command is called must not matter
    return tmp_path


@pytest.fixture
def runs(monkeypatch):
    """Stands in for kernels and pages: notes what would have been run, and gives the ends that a test asks for."""
    runs = SimpleNamespace(asked=[], settings=None, failing="")

    def execute(source, run, settings, watch):
        runs.asked.append(run)
        runs.settings = settings

    def report(run, settings, executed):
        run.error = "ValueError: no" if run.name == runs.failing else ""
        run.is_written = True

    monkeypatch.setattr(kernel, "execute", execute)
    monkeypatch.setattr("helpers.report.batch.report", report)
    return runs


@pytest.fixture
def asked(root, runs):
    """The runs that a command asks for."""

    def of(*arguments: str) -> list[Run]:
        assert cli.main([*arguments, "--jobs", "1"], root=root) == 0
        return [run for run in runs.asked if run.name != "sweep"]

    return of


# What a command means


def test_every_notebook_is_run_at_its_own_defaults(asked, root, runs, capsys):
    for name in ("10_last", "template", "02_transfer-Copy1", "02_transfer (2)", "01_cnn_on_a - Copy"):
        write_notebook(root, name)
    found = [(run.name, run.parameters) for run in asked()]
    assert found == [("01_cnn_on_a", {}), ("02_transfer", {}), ("10_last", {})]
    assert (runs.settings.profile, tuple(runs.settings.formats)) == ("quick", ("html", "pdf"))
    assert runs.settings.time_limit == 3600
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split()[:2] == ["01_cnn_on_a", "ok"]
    assert rows[-1] == f"over all: {root / 'reports' / 'quick' / 'index.html'}"


@pytest.mark.parametrize("name", ["02", "2", "02_transfer", "notebooks/02_transfer.ipynb", "{}/02_transfer.ipynb"])
def test_notebooks_are_found_by_number_name_or_path(asked, root, name):
    names = name.format(root / "notebooks"), "sweep", "02"
    write_notebook(root, "02_transfer-Copy1")
    assert [run.name for run in asked(*names)] == ["02_transfer"]
    assert asked("02_transfer-Copy1")[-1].name == "02_transfer-Copy1"


def test_options_may_stand_anywhere_and_what_not_all_notebooks_take_is_noted(asked, runs, capsys):
    arguments = ["--format", "html", "01", "-p", "EPOCHS", "2", "--timeout", "9", "02", "-p", "SEEDS", "[3]"]
    assert [run.parameters for run in asked(*arguments)] == [{"EPOCHS": 2, "SEEDS": [3]}, {"EPOCHS": 2}]
    assert (tuple(runs.settings.formats), runs.settings.time_limit) == (("html",), 9)
    assert "note: SEEDS is not a parameter of 02_transfer" in capsys.readouterr().err
    asked("01", "--profile", "smoke", "--timeout", "0")
    assert runs.settings.time_limit is None


@pytest.mark.parametrize(
    ("option", "text", "values"),
    [
        ("-p", "DATASET=C:\\[n]: 'x' \"y\" گربه", ["C:\\[n]: 'x' \"y\" گربه"]),
        ("-p", "EPOCHS=None", [None]),
        ("-p", "EPOCHS=010", [10]),
        ("-p", "LEARNING_RATE=1e-4", [1e-4]),
        ("-p", "AUGMENT=false", [False]),
        ("-p", "SEEDS=[4, 5]", [[4, 5]]),
        ("-p", "IMAGE_SIZE=32", [32]),
        ("--sweep", "LEARNING_RATE=0..2", [0.0, 1.0, 2.0]),
        ("--sweep", "IMAGE_SIZE=None,16..17", [None, 16, 17]),
        ("--sweep", "SEEDS=[0,1],[2, 3],[4]", [[0, 1], [2, 3], [4]]),
        ("--sweep", "DATASET=no,1e3,0..1", ["no", "1e3", "0..1"]),
        ("--sweep", "DATASET='folder:/a,b',\"folder:/c,d\",shapes", ["folder:/a,b", "folder:/c,d", "shapes"]),
        ("--sweep", "DATASET=folder:/rock'n'roll,a=b,C:\\x,''", ["folder:/rock'n'roll", "a=b", "C:\\x", ""]),
    ],
)
def test_texts_of_the_command_line_become_values_of_the_defaults_kind(asked, option, text, values):
    name = text.partition("=")[0]
    given = [text] if option == "--sweep" else text.split("=", 1)
    found = [run.parameters[name] for run in asked("01", option, *given)]
    assert found == values and list(map(type, found)) == list(map(type, values))


def test_over_the_profile_counts_the_file_then_the_command_line_then_a_sweep_the_last_of_which_changes_first(
    asked, root
):
    Path("mine.yaml").write_text("IMAGE_SIZE: 24\nDATASET: shapes\n")
    given = ["-p", "DATASET", "cifar100", "-p", "DATASET", "cifar10", "-f", "mine.yaml"]
    found = asked("01", "--profile", "smoke", *given, "--sweep", "SEED=0..1", "LEARNING_RATE=1e-3,3e-4")
    below = {"EPOCHS": 1, "IMAGE_SIZE": 24, "DATASET": "cifar10"}
    grid = [{"SEED": seed, "LEARNING_RATE": rate} for seed in (0, 1) for rate in (0.001, 0.0003)]
    assert [run.varied for run in found] == grid
    assert [run.parameters for run in found] == [below | varied for varied in grid]


def test_a_file_lists_points(asked, root):
    Path("mine.yaml").write_text("- {SEED: 0, EPOCHS: 2}\n- {}\n- SEEDS: [4]\n  IMAGE_SIZE: null\n")
    found = [run.varied for run in asked("01", "--sweep-file", "mine.yaml")]
    assert found == [{"SEED": 0, "EPOCHS": 2}, {}, {"SEEDS": [4], "IMAGE_SIZE": None}]


def test_names_of_points_stay_the_same_and_are_file_names_that_differ_where_capitals_count_for_nothing(asked, runs):
    """These reports are looked for again on another machine, next year."""
    names = {
        "LEARNING_RATE=0.001,SEED=3": ["SEED=3", "LEARNING_RATE=1e-3"],
        "SEEDS=0+1~30536d6554": ["SEEDS=[0, 1]"],
        "DATASET=folder-mnt-Persian-food~743a6a3c8f": ["DATASET=folder:/mnt/Persian food"],
    }
    assert [asked("01", "--sweep", *grid)[-1].name for grid in names.values()] == [*names]
    runs.asked.clear()
    texts = ["adam", "Adam", "a b", "a-b", "a/b", "گربه", "سگ", "x" * 200, "x" * 201, "", "-", ".."]
    found = [run.name for run in asked("01", "--sweep", "DATASET=" + ",".join(f"'{text}'" for text in texts))]
    assert len({name.casefold() for name in found}) == len(texts)
    assert all(re.fullmatch(r"DATASET=[A-Za-z0-9._=,+~-]{0,100}", name) for name in found)


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


def test_as_many_run_at_once_as_the_machine_carries_or_one_on_a_gpu(monkeypatch):
    """Here memory ends before the cores do."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=13 * 2**30))
    monkeypatch.setattr(Path, "glob", lambda folder, name: [])
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert [jobs_for(threads) for threads in (1, 2, 8)] == [4, 3, 1]
    monkeypatch.setattr(Path, "glob", lambda folder, name: [folder / "nvidia0"])
    assert jobs_for(1) == 1


# What it refuses


def mistake(arguments: str, message: str, content: str | None = None, file: str = "elsewhere/mine.yaml") -> tuple:
    """A command, where it needs one with a file; and what is said of it."""
    return arguments, message, content, file


def cells(*sources: str) -> str:
    """A notebook of parameters cells."""
    made = [nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]}) for source in sources]
    return nbformat.writes(nbformat.v4.new_notebook(cells=made))


@pytest.mark.parametrize(
    ("arguments", "message", "content", "file"),
    [
        mistake("01 07", "there is no notebook '07' (there are: 01_cnn_on_a, 02_again"),
        mistake("--list notebooks/01_cnn_on_b.ipynb", "did you mean '01_cnn_on_a'"),
        mistake("2", "several notebooks: 02_again, 02_transfer"),
        mistake("06 ../06_Fashion_MNIST.ipynb", "would overwrite"),
        mistake("Index", "would overwrite"),
        mistake("--profile smok", "did you mean 'smoke'?"),
        mistake("02_transfer --profile smoke", "02_transfer.yaml: No such file"),
        mistake("01 02_transfer -p WEIGTHS 2", "no parameter 'WEIGTHS' in 01_cnn_on_a, 02_transfer; did you mean"),
        mistake("01 -p EPOCHS 1:30", "EPOCHS must be a whole number (its default is 8), not '1:30'"),
        mistake("01 -p LEARNING_RATE true", "LEARNING_RATE must be a number"),
        mistake("01 -p LEARNING_RATE nan", "isn't a value that JSON can hold"),
        mistake("01 -p AUGMENT None", "AUGMENT must be true or false"),
        mistake("01 -p SEEDS '[1, x]'", "each entry of SEEDS must be a whole number"),
        mistake("01 -p SEEDS [1", "-p SEEDS isn't YAML"),
        mistake("01 -p IMAGE_SIZE 2024-01-01", "IMAGE_SIZE must be a number or null (its default is None), not '2024"),
        mistake("01 --sweep SEDE=0..4", "did you mean 'SEED'"),
        mistake("01 --sweep SEED", "NAME=VALUES"),
        mistake("01 --sweep SEED=0,,1", "isn't a list of values"),
        mistake("01 --sweep SEED=4..0", "SEED must be a whole number (its default is 0), not '4..0'"),
        mistake("01 --sweep SEED=0,1,0", "points 1 and 3 are the same run: SEED = 0"),
        mistake("01 --sweep SEED=0..2 SEED=5", "each once"),
        mistake("01 --sweep SEED=0..4 -p SEED 3", "SEED is given in two places"),
        mistake("--sweep EPOCHS=0..3", "a sweep takes one notebook"),
        *(mistake(f"01 {option}", "are 0 or more") for option in ("--timeout -5", "--timeout nan", "--jobs -2")),
        mistake("01 --threads 0", "--threads 1 or more"),
        *(mistake(option, "usage: python") for option in ("--format docx", "--jobs 1 --scheduler tcp://a:1")),
        mistake("--new 1 x", "1 is the number of 01_cnn_on_a"),
        mistake("--new 11 a/b", "a name of letters"),
        mistake("01 -f mine.yaml", "as a map", "- EPOCHS\n"),
        mistake("01 -f mine.yaml", "isn't YAML", "EPOCHS: [\n"),
        # YAML would take the last one.
        mistake("01 -f mine.yaml", "'EPOCHS' is there twice", "EPOCHS: 3\nSEED: 1\nEPOCHS: 5\n"),
        mistake("01 -f mine.yaml", "LEARNING_RATE must be a number", "LEARNING_RATE: slow\n"),
        mistake("01 --sweep-file mine.yaml", "points 1 and 2 are the same run: the notebook as", "- {SEED: 0}\n- {}\n"),
        mistake("01 --sweep-file mine.yaml", "must hold a list", "SEED: 3"),
        mistake("01 --sweep-file mine.yaml", "point 2: SEED must be a whole", "- {}\n- {SEED: fast}"),
        mistake("01 --cover mine.yaml", "'author'; did you mean 'authors'", "author: Sara"),
        mistake("01 --cover mine.yaml", "logo cannot be used: ", "logo: mine.yaml"),
        mistake("01 --cover mine.yaml", "course cannot be used: ['a'] is no text", "course: [a]"),
        mistake("01 --cover mine.yaml", "authors cannot be used", "authors: [{name: Sara, no: 1}]"),
        mistake("01", "author in [tool.workbook] is unknown", "[tool.workbook]\nauthor = 'x'\n", "pyproject.toml"),
        *(
            mistake("03", "03_wrong: line 2 of the parameters cell", cells(f"SEED = -1\n{line}"), WRONG)
            for line in ("EPOCHS = int(8)", "epochs = 8", "A = B = 8", "SIZES = (1, 2)", "%time")
        ),
        mistake("03", "2 cells are tagged 'parameters'", cells("SEED = 0", "SEED = 1"), WRONG),
        *(
            mistake("03", "cannot read the notebook", content, WRONG)
            for content in ("", "[1]", '{"nbformat": 4, "cells": [1]}', '{"nbformat": 3, "worksheets": []}')
        ),
    ],
)
def test_mistakes_are_refused_before_anything_is_done(root, runs, capsys, arguments, message, content, file):
    for name in ("06_fashion_mnist", "02_again", "Index", "../06_Fashion_MNIST"):
        write_notebook(root, name)
    if content is not None:
        (root / file).write_text(content)
    try:
        status = cli.main(shlex.split(arguments), root=root)
    except SystemExit as error:  # as argparse ends
        status = error.code
    assert status == 2 and runs.asked == [] and not (root / "reports").exists()
    said = capsys.readouterr().err
    assert message in said
    assert content is None or Path(file).stem in said or "point" in message


def test_a_report_that_another_run_makes_or_that_cannot_be_written_is_left_alone(root, runs, capsys):
    (root / "reports/quick").mkdir(parents=True)
    with locked(root / "reports/quick/.01_cnn_on_a.lock"):
        assert cli.main(["01"], root=root) == 1
    assert "another run is making this report: wait until it has ended" in capsys.readouterr().err
    (root / "reports/smoke").write_text("a file in the way")
    assert cli.main(["01", "--profile", "smoke"], root=root) == 2
    assert "cannot write to" in capsys.readouterr().err and runs.asked == []


def test_a_page_that_another_program_has_open_is_told_before_its_notebook_runs(root, runs, monkeypatch, capsys):
    """Windows lets nobody write it."""
    page = root / "reports" / "quick" / "02_transfer.pdf"
    page.parent.mkdir(parents=True)
    page.touch()

    def refused(path: Path, *_: Path, **__: bool) -> None:
        raise PermissionError(errno.EACCES, "used by another process", str(path))

    monkeypatch.setattr(Path, "rename", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    assert cli.main(["--jobs", "1"], root=root) == 1
    assert [run.name for run in runs.asked] == ["01_cnn_on_a"]
    table, said = capsys.readouterr()
    stays = "02_transfer  failed, the report of an earlier run stays: 02_transfer.pdf can't be written (used by another"
    assert stays in said and str(root) not in said
    # Nor the book, which keeps the page over all from nobody.
    assert "error: workbook.pdf could not be made: workbook.pdf can't be written (used by another" in said
    assert (page.parent / "index.html").is_file() and "02_transfer  FAILED" in table


# What it does besides


def test_list_shows_titles_parameters_and_profiles(root, capsys):
    assert cli.main(["--list"], root=root) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        *("01_cnn_on_a: About cnn_on_a", "    profiles: quick, smoke"),
        *("    DATASET = 'auto'", "    EPOCHS = 8"),
    ]
    assert said[9:] == [
        *("02_transfer: About transfer", "    profiles: quick"),
        *("    EPOCHS = 6", "    WEIGHTS = [None, 1]"),
    ]


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
