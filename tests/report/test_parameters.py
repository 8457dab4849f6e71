"""Which notebooks and values a command line means, and what is refused before anything runs."""

import json
from pathlib import Path

import nbformat
import pytest
import yaml
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers.report.parameters import plan
from helpers.report.workspace import Refused, UnreadableNotebook, Workspace
from tests import command

CELL = """\
# Where the images come from.
DATASET = "auto"
EPOCHS = 8
LEARNING_RATE = 1e-3
AUGMENT = True
SEEDS = [0, 1, 2]
IMAGE_SIZE = None
"""


def write_notebook(workspace: Workspace, name: str, cell: str | None = CELL) -> Path:
    return command.write_notebook(workspace.root, name, parameters=cell)


def write_profile(workspace: Workspace, profile: str, notebook: str, text: str) -> Path:
    path = workspace.notebooks / "profiles" / profile / f"{notebook}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    profile = workspace.notebooks / "profiles" / "full"
    profile.mkdir(parents=True)
    # The folder from which the command is called must not matter.
    monkeypatch.chdir(profile)
    return workspace


@pytest.fixture
def notebook(workspace):
    return write_notebook(workspace, "01_cnn_on_a")


def values_of(workspace, notebook, *assignments, **options):
    return plan(workspace, [notebook], assignments=assignments, **options).values[notebook]


# Which notebooks


def test_notebooks_are_found_in_the_order_of_their_numbers(workspace):
    for name in ("10_last", "2_second", "01_first", "template", "draft_3"):
        write_notebook(workspace, name)
    assert [path.stem for path in workspace.choose([])] == ["01_first", "2_second", "10_last"]


@pytest.mark.parametrize(
    "name",
    ["01", "1", "01_cnn_on_a", "notebooks/01_cnn_on_a.ipynb"],
)
def test_a_notebook_is_chosen_by_number_name_or_path(workspace, notebook, name):
    write_notebook(workspace, "11_other")
    assert workspace.choose([name]) == workspace.choose([name, str(notebook)]) == [notebook]


def test_an_unknown_notebook_is_refused_with_the_nearest_name(workspace, notebook):
    write_notebook(workspace, "06_fashion_mnist")
    with pytest.raises(Refused, match=r"did you mean '06_fashion_mnist'\?"):
        workspace.choose(["06_fashon_mnist"])
    with pytest.raises(Refused, match=r"'07'.*01_cnn_on_a, 06_fashion_mnist"):
        workspace.choose(["07"])
    with pytest.raises(Refused, match=r"did you mean 'notebooks/01_cnn_on_a.ipynb'"):
        workspace.choose(["notebooks/01_cnn_on_b.ipynb"])


def test_a_number_that_two_notebooks_share_is_refused(workspace, notebook):
    write_notebook(workspace, "01_again")
    with pytest.raises(Refused, match="several notebooks: 01_again, 01_cnn_on_a"):
        workspace.choose(["1"])


def test_two_notebooks_of_one_name_but_for_capitals_are_refused(workspace, notebook, tmp_path):
    other = tmp_path / "01_CNN_on_a.ipynb"
    other.write_bytes(notebook.read_bytes())
    with pytest.raises(Refused, match="overwrite each other"):
        workspace.choose(["1", str(other)])


@pytest.mark.parametrize("name", ["Index", "workbook", "01_a.last-good", ".01_a", "01\x1b[2J"])
def test_a_notebook_whose_report_another_file_would_overwrite_is_refused(workspace, name):
    path = write_notebook(workspace, name)
    with pytest.raises(Refused, match="cannot be called"):
        workspace.choose([str(path)])


def test_an_unknown_profile_is_refused_with_the_nearest_name(workspace):
    workspace.check_profile("quick")
    workspace.check_profile("full")
    with pytest.raises(Refused, match=r"no profile 'ful'; did you mean 'full'\? \(there are: quick, full\)"):
        workspace.check_profile("ful")


# What may stand in a parameters cell


@pytest.mark.parametrize(
    "line", ["import os", "EPOCHS = int(8)", "epochs = 8", "A = B = 8", "SIZES = (1, 2)", "MAP = {1: 2}", "%time"]
)
def test_a_parameters_cell_that_is_more_than_literals_is_refused(workspace, line):
    notebook = write_notebook(workspace, "03_wrong", f"SEED = -1\n{line}")
    with pytest.raises(UnreadableNotebook, match="03_wrong: line 2 of the parameters cell"):
        plan(workspace, [notebook])


def test_two_parameters_cells_are_refused(workspace):
    notebook = write_notebook(workspace, "03_wrong")
    made = nbformat.read(notebook, as_version=4)
    made.cells.append(nbformat.v4.new_code_cell("SEED = 1", metadata={"tags": ["parameters"]}))
    nbformat.write(made, notebook)
    with pytest.raises(UnreadableNotebook, match="2 cells are tagged 'parameters'"):
        plan(workspace, [notebook])


@pytest.mark.parametrize("content", ["", "[1]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_refused(workspace, content):
    path = workspace.notebooks / "04_broken.ipynb"
    path.write_text(content)
    with pytest.raises(UnreadableNotebook, match=r"cannot read the notebook .*04_broken"):
        plan(workspace, [path])


# What overrides what


def test_the_command_line_overrides_the_file_overrides_the_profile(workspace, notebook, tmp_path):
    write_profile(workspace, "full", "01_cnn_on_a", "EPOCHS: 90\nLEARNING_RATE: 1.0e-4\nDATASET: cifar100\n")
    file = tmp_path / "mine.yaml"
    file.write_text("EPOCHS: 5\nDATASET: cifar10\n")
    values = values_of(workspace, notebook, ("EPOCHS", "3"), ("EPOCHS", "2"), profile="full", file=file)
    assert values == {"EPOCHS": 2, "LEARNING_RATE": 1e-4, "DATASET": "cifar10"}


def test_a_parameter_that_only_some_notebooks_have_is_noted(workspace, notebook, tmp_path):
    other = write_notebook(workspace, "02_other", "SEED = 0")
    bare = write_notebook(workspace, "03_bare", None)
    file = tmp_path / "mine.yaml"
    file.write_text("SEED: 7\n")
    planned = plan(workspace, [notebook, other, bare], file=file, assignments=[("EPOCHS", "2")])
    assert planned.values == {notebook: {"EPOCHS": 2}, other: {"SEED": 7}, bare: {}}
    assert planned.notes == [
        "SEED is not a parameter of 01_cnn_on_a, 03_bare",
        "EPOCHS is not a parameter of 02_other, 03_bare",
    ]


# What values are taken


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATASET", "null", "null"),
        ("DATASET", "folder:/a b/[c]: d", "folder:/a b/[c]: d"),
        ("EPOCHS", "12", 12),
        ("LEARNING_RATE", "1e-4", 1e-4),
        ("AUGMENT", "false", False),
        ("SEEDS", "[4, 5]", [4, 5]),
        ("IMAGE_SIZE", "32", 32),
        ("IMAGE_SIZE", "null", None),
        ("IMAGE_SIZE", "None", None),
        ("EPOCHS", "None", None),
        ("EPOCHS", "010", 10),
        ("LEARNING_RATE", "010", 10.0),
    ],
)
def test_texts_of_the_command_line_become_values_of_the_defaults_kind(workspace, notebook, name, text, value):
    (found,) = values_of(workspace, notebook, (name, text)).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("EPOCHS", "two", "EPOCHS must be a whole number .*8.* not 'two'"),
        ("EPOCHS", "1:30", "EPOCHS must be a whole number"),
        ("EPOCHS", "", "EPOCHS must be a whole number"),
        ("LEARNING_RATE", "true", "LEARNING_RATE must be a number"),
        ("LEARNING_RATE", "nan", "isn't a value that JSON can hold"),
        ("AUGMENT", "None", "AUGMENT must be true or false"),
        ("SEEDS", "5", "SEEDS must be a list"),
        ("SEEDS", "[1, x]", "each entry of SEEDS must be a whole number"),
        ("SEEDS", "[0x_]", "cannot read"),
        ("EPOCHS", 5000 * "1", "EPOCHS"),
        ("SEEDS", "[1", "cannot read '\\[1'"),
        ("IMAGE_SIZE", "2024-01-01", "IMAGE_SIZE must be a number or null .* not '2024-01-01'"),
    ],
)
def test_a_value_of_another_kind_is_refused(workspace, notebook, name, text, message):
    with pytest.raises(Refused, match=message):
        values_of(workspace, notebook, (name, text))


def test_an_unknown_parameter_is_refused_with_the_nearest_name(workspace, notebook):
    other = write_notebook(workspace, "02_other", "DEVICE = 'auto'")
    bare = write_notebook(workspace, "03_bare", None)
    with pytest.raises(Refused, match=r"01_cnn_on_a has no parameter 'EPOCH'; did you mean 'EPOCHS'\?"):
        values_of(workspace, notebook, ("EPOCH", "2"))
    with pytest.raises(Refused, match="did you mean 'LEARNING_RATE'"):
        values_of(workspace, notebook, ("learning_rate", "2"))
    with pytest.raises(Refused, match="none of the chosen notebooks has a parameter 'DEVISE'; did you mean 'DEVICE'"):
        plan(workspace, [notebook, other], assignments=[("DEVISE", "cpu")])
    with pytest.raises(Refused, match="there is no cell tagged 'parameters'"):
        values_of(workspace, bare, ("EPOCHS", "2"))


# Files of parameters


AWKWARD = {
    "DATASET": "folder:C:\\new\\table 'x' \"y\" گربه\u2028\x85",
    "EPOCHS": 2**70,
    "LEARNING_RATE": 5e-324,
    "AUGMENT": False,
    "SEEDS": [],
    "IMAGE_SIZE": None,
}


@pytest.mark.parametrize("way", ["command line", "file", "profile"])
def test_values_reach_the_cells_that_papermill_makes_of_them(workspace, notebook, tmp_path, way):
    write_profile(workspace, "full", "01_cnn_on_a", yaml.safe_dump(AWKWARD))
    typed = [(name, value if name == "DATASET" else json.dumps(value)) for name, value in AWKWARD.items()]
    options = {
        "command line": {"assignments": typed},
        "file": {"file": workspace.profile_file("full", notebook)},
        "profile": {"profile": "full"},
    }
    values = plan(workspace, [notebook], **options[way]).values[notebook]
    read = load_notebook_node(str(notebook))
    made = parameterize_notebook(read, values, kernel_name="python3", language="python")
    namespace = {}
    for cell in made.cells[1:]:
        exec(cell.source, namespace)
    assert {name: namespace[name] for name in AWKWARD} == AWKWARD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the parameters in .*full.01_cnn_on_a.yaml: No such file"),
        ("BATCHSIZE: 3\nEPOCH: 1\n", "01_cnn_on_a.yaml: 01_cnn_on_a has no parameter 'BATCHSIZE'"),
        ("LEARNING_RATE: 1e-4\n", "01_cnn_on_a.yaml: LEARNING_RATE must be a number .*write 1.0e-3"),
    ],
)
def test_a_profile_that_does_not_fit_the_notebook_is_refused(workspace, notebook, text, message):
    if text:
        write_profile(workspace, "full", "01_cnn_on_a", text)
    with pytest.raises(Refused, match=message):
        values_of(workspace, notebook, profile="full")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- EPOCHS\n", ""),
        (b"1: 2\n", ""),
        (b"EPOCHS: [\n", ""),
        (b"\xff", ""),
        (b"SEEDS: [&a 1, *a]", "aliases .* aren't allowed"),  # a few lines of them are gigabytes
        (b"EPOCHS: 3\nSEED: 1\nEPOCHS: 5\n", "'EPOCHS' is there twice"),  # YAML would take the last one
    ],
)
def test_a_file_that_is_no_map_of_parameters_is_refused(workspace, notebook, tmp_path, content, message):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(Refused, match=f"mine.yaml.*{message}"):
        values_of(workspace, notebook, file=file)
