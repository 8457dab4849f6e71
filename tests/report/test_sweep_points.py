"""Which points a sweep has, what they are called, and what is refused before anything runs."""

import re

import pytest

from helpers.report import sweep
from helpers.report.workspace import Refused, Workspace
from tests.command import write_notebook

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
def points(tmp_path):
    """The runs for what stands behind --sweep and in the file."""
    notebook = write_notebook(tmp_path, "02_transfer", parameters=CELL)

    def of(*grid, text: str | None = None, **options):
        if text is not None:
            options["sweep_file"] = tmp_path / "points.yaml"
            options["sweep_file"].write_text(text, encoding="utf-8")
        return sweep.points(Workspace(tmp_path), notebook, grid=grid, **options)

    return of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("LEARNING_RATE=0..2", [0.0, 1.0, 2.0]),
        ("IMAGE_SIZE=None,16..17", [None, 16, 17]),
        ("SEEDS=[0,1],[2, 3],[4]", [[0, 1], [2, 3], [4]]),
        ("DATASET=no,1e3,0..1", ["no", "1e3", "0..1"]),
        ("DATASET='folder:/a,b',\"folder:/c,d\",shapes", ["folder:/a,b", "folder:/c,d", "shapes"]),
        ("DATASET=folder:/rock'n'roll,a=b,C:\\x,''", ["folder:/rock'n'roll", "a=b", "C:\\x", ""]),
    ],
)
def test_values_are_read_by_the_kind_of_the_default(points, text, values):
    found = [run.varied[text.partition("=")[0]] for run in points(text)]
    assert found == values and list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        (["SEDE=0..4"], "did you mean 'SEED'"),
        (["SEED"], "NAME=VALUES"),
        (["SEED=0,,1"], "isn't a list of values"),
        (["SEED=4..0"], "SEED must be a whole number (its default is 0), not '4..0'"),
        (["SEED=0,1,0"], "points 1 and 3 are the same run: SEED = 0"),
        (["SEED=0..2", "SEED=5"], "each once"),
    ],
)
def test_what_cannot_be_swept_is_refused(points, grid, says):
    with pytest.raises(Refused, match=re.escape(says)):
        points(*grid)


def test_a_grid_has_every_combination_the_last_changing_first_and_other_values_hold_in_every_point(points, tmp_path):
    profile, file = tmp_path / "notebooks/profiles/smoke/02_transfer.yaml", tmp_path / "mine.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("EPOCHS: 1\nIMAGE_SIZE: 16\nSEED: 9\n")
    file.write_text("IMAGE_SIZE: 24\nDATASET: shapes\n")
    found = points(
        "SEED=0..1", "LEARNING_RATE=1e-3,3e-4", profile="smoke", file=file, assignments=[("DATASET", "cifar10")]
    )
    below = {"EPOCHS": 1, "IMAGE_SIZE": 24, "DATASET": "cifar10"}
    grid = [{"SEED": seed, "LEARNING_RATE": rate} for seed in (0, 1) for rate in (0.001, 0.0003)]
    assert [run.varied for run in found] == grid
    assert [run.parameters for run in found] == [below | varied for varied in grid]
    with pytest.raises(Refused, match="SEED is given in two places"):
        points("SEED=0..4", assignments=[("SEED", "3")])


def test_a_file_lists_points(points):
    text = "- {SEED: 0, EPOCHS: 2}\n- {LEARNING_RATE: 1e-2}\n- {}\n- SEEDS: [4]\n  IMAGE_SIZE: null\n"
    expected = [{"SEED": 0, "EPOCHS": 2}, {"LEARNING_RATE": 0.01}, {}, {"SEEDS": [4], "IMAGE_SIZE": None}]
    assert [run.varied for run in points(text=text)] == expected
    for refused, says in (
        (text.replace("1e-2", "1e-3"), "points 2 and 3 are the same run: the notebook as it is"),
        ("SEED: 3", "must hold a list"),
        ("- {}\n- {SEED: fast}", "point 2: SEED must be a whole"),
    ):
        with pytest.raises(Refused, match=says):
            points(text=refused)


def test_names_stay_the_same_and_are_file_names_that_differ_where_capitals_count_for_nothing(points):
    """These reports are looked for again on another machine, next year."""
    names = {
        "LEARNING_RATE=0.001,SEED=3": ["SEED=3", "LEARNING_RATE=1e-3"],
        "SEEDS=0+1~30536d6554": ["SEEDS=[0, 1]"],
        "DATASET=folder-mnt-Persian-food~743a6a3c8f": ["DATASET=folder:/mnt/Persian food"],
    }
    assert [run.name for grid in names.values() for run in points(*grid)] == [*names]
    texts = ["adam", "Adam", "a b", "a-b", "a/b", "گربه", "سگ", "x" * 200, "x" * 201, "", "-", ".."]
    values = ",".join(f"'{text}'" for text in texts)
    names = [run.name for run in points(f"DATASET={values}")]
    assert len({name.casefold() for name in names}) == len(texts)
    assert all(re.fullmatch(r"DATASET=[A-Za-z0-9._=,+~-]{0,100}", name) for name in names)
