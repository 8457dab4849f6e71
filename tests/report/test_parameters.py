"""Which notebooks and values a command line means, and what is refused before anything runs."""

from pathlib import Path

import nbformat
import pytest

from helpers import ROOT
from helpers.report.parameters import plan
from helpers.report.workspace import Refused, UnreadableNotebook, Workspace, load, read
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


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    profile = workspace.notebooks / "profiles" / "full"
    profile.mkdir(parents=True)
    monkeypatch.chdir(profile)  # the folder from which the command is called must not matter
    return workspace


@pytest.fixture
def notebook(workspace):
    return write_notebook(workspace, "01_cnn_on_a")


@pytest.fixture
def values_of(workspace, notebook, tmp_path):
    """The values of notebook 01, for -p and for what stands in its profile and in a file."""

    def of(*assignments, profile: str = "", file: str = "") -> dict:
        path = tmp_path / "mine.yaml"
        path.write_text(file, encoding="utf-8")
        workspace.profile_file("full", notebook).write_text(profile, encoding="utf-8")
        return plan(workspace, [notebook], profile="full", file=path, assignments=assignments)[0][notebook]

    return of


def test_notebooks_are_found_by_number_name_or_path_and_in_the_order_of_their_numbers(workspace):
    paths = {name: write_notebook(workspace, name) for name in ("10_last", "2_second", "01_first", "template")}
    assert [path.stem for path in workspace.choose([])] == ["01_first", "2_second", "10_last"]
    for name in ("02", "2", "2_second", "notebooks/2_second.ipynb", str(paths["2_second"])):
        assert workspace.choose([name, "template", name]) == [paths["2_second"], paths["template"]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["07"], r"'07'.*01_again, 01_cnn_on_a, 06_fashion_mnist"),
        (["notebooks/01_cnn_on_b.ipynb"], "did you mean '01_cnn_on_a'"),
        (["1"], "several notebooks: 01_again, 01_cnn_on_a"),
        (["06", "../../../06_Fashion_MNIST.ipynb"], "would overwrite"),
        (["Index"], "would overwrite"),
    ],
)
def test_what_means_no_notebook_or_two_of_one_report_is_refused(workspace, notebook, names, message):
    for name in ("06_fashion_mnist", "01_again", "Index", "../06_Fashion_MNIST"):
        write_notebook(workspace, name)
    with pytest.raises(Refused, match=message):
        workspace.choose(names)


@pytest.mark.parametrize("line", ["EPOCHS = int(8)", "epochs = 8", "A = B = 8", "SIZES = (1, 2)", "%time"])
def test_a_parameters_cell_that_is_more_than_literals_is_refused(workspace, line):
    notebook = write_notebook(workspace, "03_wrong", f"SEED = -1\n{line}")
    with pytest.raises(UnreadableNotebook, match="03_wrong: line 2 of the parameters cell"):
        plan(workspace, [notebook])


def test_two_parameters_cells_and_files_that_are_no_notebooks_are_refused(workspace, notebook):
    made = nbformat.read(notebook, as_version=4)
    made.cells.append(nbformat.v4.new_code_cell("SEED = 1", metadata={"tags": ["parameters"]}))
    nbformat.write(made, notebook)
    with pytest.raises(UnreadableNotebook, match="2 cells are tagged 'parameters'"):
        plan(workspace, [notebook])
    for content in ("", "[1]", '{"nbformat": 4, "cells": [1]}', '{"nbformat": 3, "worksheets": []}'):
        notebook.write_text(content)
        with pytest.raises(UnreadableNotebook, match=r"cannot read the notebook .*01_cnn_on_a"):
            plan(workspace, [notebook])


def test_notebooks_are_read_as_nbformat_reads_them():
    path = ROOT / "notebooks" / "template.ipynb"
    assert read(path) == load(path)


def test_the_command_line_overrides_the_file_overrides_the_profile(values_of):
    profile = "EPOCHS: 90\nLEARNING_RATE: 1e-4\nDATASET: cifar100\n"
    values = values_of(("EPOCHS", "3"), ("EPOCHS", "2"), profile=profile, file="EPOCHS: 5\nDATASET: cifar10\n")
    assert values == {"EPOCHS": 2, "LEARNING_RATE": 1e-4, "DATASET": "cifar10"}


def test_a_parameter_that_only_some_notebooks_have_is_noted(workspace, notebook, tmp_path):
    other, bare = write_notebook(workspace, "02_other", "SEED = 0"), write_notebook(workspace, "03_bare", None)
    file = tmp_path / "mine.yaml"
    file.write_text("SEED: 7\n")
    values, notes = plan(workspace, [notebook, other, bare], file=file, assignments=[("EPOCHS", "2")])
    assert values == {notebook: {"EPOCHS": 2}, other: {"SEED": 7}, bare: {}}
    assert notes == [
        "SEED is not a parameter of 01_cnn_on_a, 03_bare",
        "EPOCHS is not a parameter of 02_other, 03_bare",
    ]
    with pytest.raises(Refused, match="no parameter 'SEEED' in 01_cnn_on_a, 02_other, 03_bare; did you mean 'SEED'"):
        plan(workspace, [notebook, other, bare], assignments=[("SEEED", "2")])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATASET", "C:\\[n]: 'x' \"y\" گربه", "C:\\[n]: 'x' \"y\" گربه"),
        ("EPOCHS", "None", None),
        ("EPOCHS", "010", 10),
        ("LEARNING_RATE", "1e-4", 1e-4),
        ("AUGMENT", "false", False),
        ("SEEDS", "[4, 5]", [4, 5]),
        ("IMAGE_SIZE", "32", 32),
    ],
)
def test_texts_of_the_command_line_become_values_of_the_defaults_kind(values_of, name, text, value):
    (found,) = values_of((name, text)).values()
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("learning_rate", "2"), r"no parameter 'learning_rate' in 01_cnn_on_a; did you mean 'LEARNING_RATE'\?"),
        (("EPOCHS", "1:30"), "EPOCHS must be a whole number .*8.* not '1:30'"),
        (("LEARNING_RATE", "true"), "LEARNING_RATE must be a number"),
        (("LEARNING_RATE", "nan"), "isn't a value that JSON can hold"),
        (("AUGMENT", "None"), "AUGMENT must be true or false"),
        (("SEEDS", "[1, x]"), "each entry of SEEDS must be a whole number"),
        (("SEEDS", "[1"), "-p SEEDS isn't YAML"),
        (("IMAGE_SIZE", "2024-01-01"), "IMAGE_SIZE must be a number or null .* not '2024-01-01'"),
        ("- EPOCHS\n", "mine.yaml.*as a map"),
        ("EPOCHS: [\n", "mine.yaml.*isn't YAML"),
        ("EPOCHS: 3\nSEED: 1\nEPOCHS: 5\n", "mine.yaml.*'EPOCHS' is there twice"),  # YAML would take the last one
        ("LEARNING_RATE: slow\n", "mine.yaml.*LEARNING_RATE must be a number"),
    ],
)
def test_a_value_of_another_kind_an_unknown_name_and_a_file_that_is_no_map_are_refused(values_of, given, message):
    with pytest.raises(Refused, match=message):
        values_of(file=given) if isinstance(given, str) else values_of(given)
