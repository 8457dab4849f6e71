"""Which points a sweep has, what they are called, and what is refused before anything runs."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.report import sweep
from helpers.report.parameters import BadFile, BadValue
from helpers.report.sweep import BadSweep
from helpers.report.sweep.names import point_name
from helpers.report.sweep.values import values_of
from helpers.report.workspace import Refused, UnknownName, Workspace

CELL = """\
DATASET = "auto"
EPOCHS = 8
LEARNING_RATE = 1e-3
AUGMENT = True
SEED = 0
SEEDS = [0, 1, 2]
IMAGE_SIZE = None
"""


@pytest.fixture
def workspace(tmp_path):
    cells = [nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})]
    (tmp_path / "notebooks" / "profiles" / "smoke").mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "02_transfer.ipynb")
    return Workspace(tmp_path)


@pytest.fixture
def notebook(workspace):
    return workspace.notebooks / "02_transfer.ipynb"


@pytest.fixture
def varied(workspace, notebook):
    """The points' own values, for what stands behind --sweep and in the file."""

    def of(*grid, **options):
        return [point.varied for point in sweep.points(workspace, notebook, grid=grid, **options)]

    return of


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "points.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# The grid of the command line


def test_a_grid_has_every_combination_the_last_parameter_changing_first(varied):
    assert varied("SEED=0..1", "LEARNING_RATE=1e-3,3e-4") == [
        {"SEED": 0, "LEARNING_RATE": 0.001},
        {"SEED": 0, "LEARNING_RATE": 0.0003},
        {"SEED": 1, "LEARNING_RATE": 0.001},
        {"SEED": 1, "LEARNING_RATE": 0.0003},
    ]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("SEED=0..4", [0, 1, 2, 3, 4]),
        ("SEED=-1..1", [-1, 0, 1]),
        ("SEED=7..7", [7]),
        ("SEED=0..10..5,3", [0, 5, 10, 3]),
        ("SEED=0..9..4", [0, 4, 8]),
        ("SEED=4..0..-2", [4, 2, 0]),
        ("LEARNING_RATE=0.1..0.5..0.1", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("LEARNING_RATE=1e-4..5e-4..2e-4", [0.0001, 0.0003, 0.0005]),
        ("LEARNING_RATE=0..2", [0.0, 1.0, 2.0]),
        ("IMAGE_SIZE=None,16..32..16", [None, 16, 32]),
        ("EPOCHS= 2 , 4", [2, 4]),
        ("AUGMENT=true,false", [True, False]),
        ("SEEDS=[0,1],[2, 3],[4]", [[0, 1], [2, 3], [4]]),
        ("DATASET=shapes,cifar10", ["shapes", "cifar10"]),
        ("DATASET='folder:/a,b',\"folder:/c,d\",shapes", ["folder:/a,b", "folder:/c,d", "shapes"]),
        ("DATASET=folder:/rock'n'roll,a=b,''", ["folder:/rock'n'roll", "a=b", ""]),
        ("DATASET=0..4", ["0..4"]),
    ],
)
def test_values_are_read_by_the_kind_of_the_default(varied, text, values):
    name = text.partition("=")[0]
    found = [point[name] for point in varied(text)]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_steps_of_decimals_have_no_rounding_errors(varied):
    found = [point["LEARNING_RATE"] for point in varied("LEARNING_RATE=0..1..0.05")]
    assert found == [round(value, 2) for value in np.linspace(0, 1, 21).tolist()]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5, unique=True))
def test_any_text_can_be_given_in_quotes(texts):
    quoted = ",".join(f"'{text}'" if "'" not in text else f'"{text.replace(chr(34), "")}"' for text in texts)
    wanted = [text if "'" not in text else text.replace('"', "") for text in texts]
    if len(set(wanted)) == len(wanted):
        assert values_of("DATASET", quoted, "auto", where="--sweep", most=10) == wanted


@pytest.mark.parametrize(
    ("grid", "error", "says"),
    [
        (["SEDE=0..4"], UnknownName, "did you mean 'SEED'"),
        (["SEED"], BadSweep, "NAME=VALUES"),
        (["SEED="], BadSweep, "an empty value"),
        (["SEED=0,,1"], BadSweep, "an empty value"),
        (["SEED=4..0"], BadSweep, "is empty"),
        (["SEED=0..4..0"], BadSweep, "is empty"),
        (["SEED=0..4..-1"], BadSweep, "is empty"),
        (["SEED=0...4"], BadSweep, "isn't a range"),
        (["SEED=a..b"], BadSweep, "isn't a range"),
        (["LEARNING_RATE=0.1..0.5"], BadSweep, "needs a step"),
        (["SEED=0..1..0.5"], BadValue, "whole number"),
        (["SEED=0,1,0"], BadSweep, "the value 0 is given twice"),
        (["SEED=0..4,2"], BadSweep, "the value 2 is given twice"),
        (["LEARNING_RATE=1e-3,0.001"], BadSweep, "the value 0.001 is given twice"),
        (["SEED=0..2", "SEED=5"], BadSweep, "SEED is given twice"),
        (["SEED=fast"], BadValue, "whole number"),
        (["SEEDS=[0,1"], BadSweep, "']' is missing"),
        (["DATASET='a,b"], BadSweep, '"\'" is missing'),
        (["SEEDS=0,1"], BadValue, "a list"),
        (["SEED=0..10000"], BadSweep, "more than 10,000 values"),
        (["SEED=0..1e99999999"], BadSweep, "more than 10,000 values"),
        (["SEED=0..1e999999999999999999999"], BadSweep, "more than 10,000 values"),
        (["SEED=1..101", "EPOCHS=1..100"], BadSweep, "10,100 points"),
        ([], BadSweep, "no points"),
    ],
)
def test_what_cannot_be_swept_is_refused(varied, grid, error, says):
    with pytest.raises(error, match=re.escape(says)) as raised:
        varied(*grid)
    assert isinstance(raised.value, Refused)


# What lies below the points' own values


def test_profile_file_and_assignments_hold_in_every_point(workspace, notebook, write):
    workspace.profile_file("smoke", notebook).write_text("EPOCHS: 1\nIMAGE_SIZE: 16\nSEED: 9\n")
    found = sweep.points(
        workspace,
        notebook,
        profile="smoke",
        file=write("IMAGE_SIZE: 24\nDATASET: shapes\n"),
        assignments=[("DATASET", "cifar10")],
        grid=["SEED=0..1"],
    )
    below = {"EPOCHS": 1, "IMAGE_SIZE": 24, "DATASET": "cifar10"}
    assert [point.parameters for point in found] == [{**below, "SEED": 0}, {**below, "SEED": 1}]
    assert [point.varied for point in found] == [{"SEED": 0}, {"SEED": 1}]


def test_a_parameter_is_not_both_fixed_and_swept(varied, write):
    with pytest.raises(BadSweep, match="SEED is given in -p and in the sweep"):
        varied("SEED=0..4", assignments=[("SEED", "3")])
    with pytest.raises(BadSweep, match="SEED is given in -p and in the sweep"):
        varied(sweep_file=write("- {EPOCHS: 2}\n- {SEED: 1}"), assignments=[("SEED", "3")])
    with pytest.raises(BadSweep, match="SEED is given in --sweep and in"):
        varied("SEED=0..4", sweep_file=write("- {EPOCHS: 2}\n- {SEED: 1}"))


# The file


def test_a_list_of_maps_is_one_point_each(varied, write):
    text = "- {SEED: 0, EPOCHS: 2}\n- {LEARNING_RATE: 0.1}\n- {}\n- SEEDS: [4]\n  IMAGE_SIZE: null\n  EPOCHS: 3\n"
    assert varied(sweep_file=write(text)) == [
        {"SEED": 0, "EPOCHS": 2},
        {"LEARNING_RATE": 0.1},
        {},
        {"SEEDS": [4], "IMAGE_SIZE": None, "EPOCHS": 3},
    ]


def test_a_map_is_a_grid_of_lists_or_of_texts_as_on_the_command_line(varied, write):
    found = varied(sweep_file=write("EPOCHS: [2, 4]\nLEARNING_RATE: 1e-3,3e-4\nSEEDS: [[0, 1]]\nSEED: 0..1"))
    assert len(found) == 8
    assert found[0] == {"EPOCHS": 2, "LEARNING_RATE": 0.001, "SEEDS": [0, 1], "SEED": 0}
    assert found[-1] == {"EPOCHS": 4, "LEARNING_RATE": 0.0003, "SEEDS": [0, 1], "SEED": 1}


def test_each_point_of_a_file_runs_with_each_combination_of_the_grid(varied, write):
    assert varied("SEED=0..1", sweep_file=write("- {EPOCHS: 2}\n- {EPOCHS: 4, LEARNING_RATE: 0.1}")) == [
        {"EPOCHS": 2, "SEED": 0},
        {"EPOCHS": 2, "SEED": 1},
        {"EPOCHS": 4, "LEARNING_RATE": 0.1, "SEED": 0},
        {"EPOCHS": 4, "LEARNING_RATE": 0.1, "SEED": 1},
    ]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", BadSweep, "must hold a list of points"),
        ("- 3", BadSweep, "must hold a list of points"),
        ("- {1: 2}", BadSweep, "must hold a list of points"),
        ("[]", BadSweep, "no points"),
        ("{}", BadSweep, "no points"),
        ("- {SEED: ", BadFile, "isn't YAML"),
        ("- {SEED: 0}\n- {SEDE: 1}", UnknownName, "did you mean 'SEED'"),
        ("- {SEED: 0}\n- {SEED: fast}", BadValue, "point 2: SEED must be a whole number"),
        ("- {LEARNING_RATE: 1e-3}", BadValue, "write 1.0e-3"),
        ("SEED: 3", BadSweep, "needs a list of values, such as SEED: [3]"),
        ("SEED: []", BadSweep, "needs a list of values"),
        ("SEED: [0, 1, 0]", BadSweep, "points 1 and 3 are the same run: SEED = 0"),
        ("- {SEED: 1}\n- {EPOCHS: 2}\n- {EPOCHS: 2}", BadSweep, "points 2 and 3 are the same run: EPOCHS = 2"),
        ("- {}\n- {SEED: 0}", BadSweep, "points 1 and 2 are the same run: SEED = 0"),
    ],
)
def test_files_that_hold_no_sweep_are_refused(varied, write, text, error, says):
    with pytest.raises(error, match=re.escape(says)):
        varied(sweep_file=write(text))


def test_a_missing_file_is_refused(varied):
    with pytest.raises(BadFile, match="cannot read"):
        varied(sweep_file=Path("nowhere.yaml"))


# Names


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ({"SEED": 0, "LEARNING_RATE": 0.001}, "LEARNING_RATE=0.001,SEED=0"),
        ({"DATASET": "tf_net-b0.5"}, "DATASET=tf_net-b0.5"),
        ({"SEEDS": [0, 1]}, "SEEDS=0+1"),
        ({"IMAGE_SIZE": None, "AUGMENT": True}, "AUGMENT=True,IMAGE_SIZE=None"),
        ({"LEARNING_RATE": 1e-05}, "LEARNING_RATE=1e-05"),
        ({}, "as_it_is"),
        # Stable: these reports are looked for again on another machine, next year.
        ({"DATASET": "folder:/mnt/Persian food"}, "DATASET=folder-mnt-Persian-food~743a6a3c8f"),
    ],
)
def test_names_are_readable_and_stay_the_same(own, name):
    assert point_name(own) == name
    assert point_name(dict(reversed(own.items()))) == name


@pytest.mark.parametrize(
    "value",
    ["", "a b", "a/b", "..", "../..", "گربه", "x" * 300, "Adam", "a\nb", "a+b", "C:\\x", "*?[0]", "~", "-", ["a", "b"]],
)
def test_names_are_file_names_everywhere(value):
    name = point_name({"DATASET": value})
    assert re.fullmatch(r"DATASET=[A-Za-z0-9._=,+~-]*", name)
    assert len(f".{name}.running.ipynb") < 150


def test_different_values_never_share_a_name_where_capitals_count_for_nothing():
    texts = ["adam", "Adam", "ADAM", "a b", "a-b", "a/b", "گربه", "سگ", "x" * 200, "x" * 201, "a+b", "", "-"]
    values = [*texts, [], ["a", "b"], ["a+b"], ["a", "B"], [["a"], "b"], [1, 2], [12]]
    names = {point_name({"X": value}).casefold() for value in values}
    assert len(names) == len(values)


def test_names_do_not_tell_where_this_machine_keeps_its_files(monkeypatch):
    monkeypatch.setenv("HOME", "/home/mina")
    assert "mina" not in point_name({"DATASET": "folder:/home/mina/cats"})
    assert point_name({"DATASET": "folder:/home/mina/cats"}) != point_name({"DATASET": "folder:~/cats"})


# Tasks


def test_tasks_lie_in_a_folder_of_the_sweeps_of_their_notebook(workspace, notebook):
    points = sweep.points(workspace, notebook, grid=["SEED=0..1"], assignments=[("EPOCHS", "2")])
    first, second = sweep.tasks(workspace, "smoke", notebook, points)
    assert (first.name, first.parameters) == ("SEED=0", {"EPOCHS": 2, "SEED": 0})
    assert first.reports == second.reports == workspace.root / "reports" / "smoke" / "sweeps" / "02_transfer"
    assert second.figures == workspace.root / "figures" / "smoke" / "sweeps" / "02_transfer" / "SEED=1"
    assert (first.notebook, first.root) == (notebook, workspace.root)
