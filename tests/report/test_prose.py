"""New prose around earlier results: any edit of the text keeps each output at its code."""

import copy
from dataclasses import replace

import nbformat

from helpers.report.incremental import page, with_new_prose
from helpers.report.workspace import Settings

CODE = ["import math", "x = 1\nx + 1", "print('two')"]
PARAMETERS = "EPOCHS = 3"
QUICK = Settings("quick")


def new_source(*cells) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"workbook": {"after": ["01_a"]}})


def parameters_cell(source=PARAMETERS):
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def make_executed() -> nbformat.NotebookNode:
    """What papermill makes of the code: each cell's output names it."""
    cells = [nbformat.v4.new_markdown_cell("# Old title"), parameters_cell()]
    cells.append(nbformat.v4.new_code_cell("EPOCHS = 5", metadata={"tags": ["injected-parameters"]}))
    for number, source in enumerate(CODE):
        cells += [nbformat.v4.new_code_cell(source), nbformat.v4.new_markdown_cell(f"Old text {number}")]
    notebook = new_source(*cells)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.metadata.papermill = {"duration": count}
        cell.outputs = [nbformat.v4.new_output("stream", text=cell.source)]
    notebook.metadata.papermill = {"duration": 60}
    notebook.metadata.workbook |= {"stamp": {"code": {}}, "page": {}}
    return notebook


def retold() -> nbformat.NotebookNode:
    """The same code with other prose between, comments in it, and what an open JupyterLab saved."""
    prose = nbformat.v4.new_markdown_cell
    codes = [
        nbformat.v4.new_code_cell(code + comment) for code, comment in zip(CODE, ("", "  # new", "\n"), strict=True)
    ]
    codes[1].outputs = [nbformat.v4.new_output("stream", text="of an open JupyterLab")]
    codes[2].metadata.tags = ["key"]
    empty = [nbformat.v4.new_code_cell(""), nbformat.v4.new_raw_cell("raw"), nbformat.v4.new_code_cell("# words")]
    return new_source(prose("# New"), parameters_cell(f"{PARAMETERS}  # a"), prose("x"), *empty, *codes, prose("end"))


def test_any_prose_keeps_each_output_at_its_code_and_gives_the_pages_of_the_notebook_as_it_is_now():
    executed, source = make_executed(), retold()
    originals = copy.deepcopy((executed, source))
    renewed = with_new_prose(executed, source)
    nbformat.validate(renewed)
    assert (executed, source) == originals
    own = [cell for cell in renewed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    assert [(cell.id, cell.source) for cell in own] == [(cell.id, cell.source) for cell in source.cells]
    told = [(cell.source, cell.outputs[0].text) for cell in renewed.cells if cell.get("outputs")]
    assert [output for _, output in told] == [PARAMETERS, "EPOCHS = 5", *CODE]
    assert all(code.startswith(output) for code, output in told)
    assert page(renewed, QUICK, layout="same") == page(source, QUICK, layout="same")
    assert with_new_prose(renewed, executed).cells == executed.cells


def test_pages_depend_on_prose_on_metadata_and_on_what_they_show():
    notebook = new_source(nbformat.v4.new_markdown_cell("Text."), nbformat.v4.new_code_cell("x = 1"))
    then = page(notebook, QUICK)
    assert page(notebook, replace(QUICK, show_code="all")) != then != page(notebook, replace(QUICK, edition="full"))
    other, tagged = copy.deepcopy(notebook), copy.deepcopy(notebook)
    other.cells[0].source += "!"
    tagged.cells[1].metadata.tags = ["key"]
    assert all(page(edited, QUICK) != then for edited in (other, tagged))


def test_parameters_and_metadata_are_those_of_the_run_where_it_left_some():
    source = retold()
    source.cells[1].source = "EPOCHS = 7"
    source.metadata.workbook = {"after": ["02_b"]}
    renewed = with_new_prose(make_executed(), source)
    assert [cell.source for cell in renewed.cells][1:3] == [PARAMETERS, "EPOCHS = 5"]
    assert renewed.metadata.workbook == {"after": ["02_b"], "stamp": {"code": {}}, "page": {}}
    assert renewed.metadata.papermill == {"duration": 60}
    assert renewed.cells[-2].metadata == {"tags": ["key"], "papermill": {"duration": 5}}
