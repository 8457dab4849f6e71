"""New prose around earlier results: any edit of the text keeps each output at its code."""

import copy

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import WorkbookError
from helpers.report.incremental import page, with_new_prose

CODE = ["import math", "x = 1\nx + 1", "print('two')", "if x:\n    print('three')"]
PARAMETERS = "EPOCHS = 3"


def new_source(*cells) -> nbformat.NotebookNode:
    about = {"expects": ["results"], "key_figure": "curves"}
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"workbook": about})


def parameters_cell(source=PARAMETERS):
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def make_executed(*, injected: bool = True) -> nbformat.NotebookNode:
    """What papermill makes of the code: each cell's output names it."""
    cells = [nbformat.v4.new_markdown_cell("# Old title"), parameters_cell()]
    if injected:
        cells.append(nbformat.v4.new_code_cell("EPOCHS = 5", metadata={"tags": ["injected-parameters"]}))
    for number, source in enumerate(CODE):
        cells += [nbformat.v4.new_code_cell(source), nbformat.v4.new_markdown_cell(f"Old text {number}")]
    notebook = new_source(*cells)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.metadata.papermill = {"duration": count}
        cell.outputs = [nbformat.v4.new_output("stream", text=cell.source)]
    notebook.metadata.papermill = {"duration": 60}
    notebook.metadata.language_info = {"name": "python", "version": "3.11.2"}
    notebook.metadata.workbook |= {"stamp": {"code": {}}, "page": {}}
    return notebook


def outputs(notebook):
    return [(cell.source, [o.text for o in cell.outputs]) for cell in notebook.cells if cell.cell_type == "code"]


prose_cells = st.lists(
    st.builds(
        lambda make, text: make(text),
        st.sampled_from(
            [
                nbformat.v4.new_markdown_cell,
                nbformat.v4.new_raw_cell,
                lambda text: nbformat.v4.new_code_cell(""),
                lambda text: nbformat.v4.new_code_cell("# " + text.replace("\n", " ").replace("\r", " ")),
            ]
        ),
        st.text(st.characters(exclude_categories=["C"]), max_size=20),
    ),
    max_size=3,
)
comments = st.sampled_from(["", "\n", "  # a comment", "\n\n# one more\n"])


@st.composite
def sources(draw):
    """The same code with any prose between, and comments in the code."""
    cells = []
    for source in [None, *CODE]:
        cells += draw(prose_cells)
        if source is None:
            cells.append(parameters_cell(PARAMETERS + draw(comments)))
        else:
            cells.append(nbformat.v4.new_code_cell(source + draw(comments)))
    cells += draw(prose_cells)
    for number, cell in enumerate(cells):
        cell.id = f"s{number}"
        if cell.cell_type == "code" and draw(st.booleans()):
            cell.outputs = [nbformat.v4.new_output("stream", text="of an open JupyterLab")]
    return new_source(*cells)


@settings(deadline=None, max_examples=40)
@given(source=sources(), injected=st.booleans())
def test_any_prose_keeps_each_output_at_its_code_and_gives_the_pages_of_the_notebook_as_it_is_now(source, injected):
    executed = make_executed(injected=injected)
    originals = copy.deepcopy((executed, source))
    renewed = with_new_prose(executed, source)
    nbformat.validate(renewed)
    assert (executed, source) == originals
    own = [cell for cell in renewed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    assert [(cell.id, cell.cell_type, cell.source) for cell in own] == [
        (cell.id, cell.cell_type, cell.source) for cell in source.cells
    ]
    told = [(code, output) for code, output in outputs(renewed) if output]
    assert [output for _, output in told] == [output for _, output in outputs(executed)]
    assert all(code.startswith(output[0]) for code, output in told)
    assert page(renewed, "key", layout=dict) == page(source, "key", layout=dict)
    assert with_new_prose(renewed, source) == renewed
    assert with_new_prose(renewed, executed).cells == executed.cells


def test_pages_depend_on_prose_on_metadata_and_on_whose_code_they_show():
    notebook = new_source(nbformat.v4.new_markdown_cell("Text."), nbformat.v4.new_code_cell("x = 1"))
    then = page(notebook, "key")
    assert page(notebook, "all") != then
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="3\n")]
    assert page(notebook, "key") == then
    retold, tagged, expecting = (copy.deepcopy(notebook) for _ in range(3))
    retold.cells[0].source += "!"
    tagged.cells[1].metadata.tags = ["key"]
    expecting.metadata.workbook = {"expects": ["other"]}
    assert all(page(edited, "key") != then for edited in (retold, tagged, expecting))


def test_parameters_and_metadata_are_those_of_the_run_where_it_left_some():
    changed, text = parameters_cell("EPOCHS = 7"), nbformat.v4.new_markdown_cell("text")
    source = new_source(changed, text, *map(nbformat.v4.new_code_cell, CODE))
    source.metadata.workbook = {"expects": ["other"]}
    source.cells[2].metadata.tags = ["key"]
    renewed = with_new_prose(make_executed(), source)
    assert [cell.source for cell in renewed.cells][:3] == [PARAMETERS, "EPOCHS = 5", "text"]
    assert renewed.metadata.workbook == {"expects": ["other"], "stamp": {"code": {}}, "page": {}}
    assert renewed.metadata.papermill == {"duration": 60} and renewed.metadata.language_info.version == "3.11.2"
    assert renewed.cells[3].metadata == {"tags": ["key"], "papermill": {"duration": 3}}


@pytest.mark.parametrize("code", [CODE[:-1], [*CODE, "print('four')"], CODE[::-1], ["import cmath", *CODE[1:]]])
def test_other_code_is_refused(code):
    source = new_source(parameters_cell(), *map(nbformat.v4.new_code_cell, code))
    with pytest.raises(WorkbookError, match="execute it again"):
        with_new_prose(make_executed(), source)
