"""New prose around earlier results: any edit of the text keeps each output at its code."""

import copy
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from helpers import WorkbookError
from helpers.report.incremental import page, with_new_prose
from helpers.report.workspace import Settings

CODE = ["import math", "x = 1\nx + 1", "print('two')"]
QUICK = Settings("quick")


def parameters(source="EPOCHS = 3"):
    return new_code_cell(source, metadata={"tags": ["parameters"]})


def executed():
    """What papermill makes of the code: each cell's output names it."""
    injected = new_code_cell("EPOCHS = 5", metadata={"tags": ["injected-parameters"]})
    cells = [new_markdown_cell("# Old title"), parameters(), injected]
    cells += [cell for code in CODE for cell in (new_code_cell(code), new_markdown_cell("Old text"))]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count, cell.outputs = count, [new_output("stream", text=cell.source)]
        cell.metadata |= {"papermill": {"duration": count}}
    about = {"papermill": {"duration": 60}, "workbook": {"after": ["01_a"], "stamp": {"threads": "1"}, "page": {}}}
    return new_notebook(cells=cells, metadata=about)


def retold():
    """The same code with other prose between, comments in it, and what an open JupyterLab saved."""
    codes = [new_code_cell(code + comment) for code, comment in zip(CODE, ("", "  # new", "\n"), strict=True)]
    codes[1].outputs = [new_output("stream", text="of an open JupyterLab")]
    codes[2].metadata.tags = ["key"]
    between = [new_markdown_cell("x"), new_code_cell(""), new_raw_cell("raw"), new_code_cell("# words")]
    cells = [new_markdown_cell("# New"), parameters("EPOCHS = 7"), *between, *codes, new_markdown_cell("end")]
    return new_notebook(cells=cells, metadata={"workbook": {"after": ["02_b"]}})


def test_any_prose_keeps_each_output_at_its_code_and_gives_the_pages_of_the_notebook_as_it_is_now():
    source, renewed = retold(), with_new_prose(executed(), retold())
    nbformat.validate(renewed)
    own = [cell for cell in renewed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    assert [cell.source for cell in own] == [cell.source for cell in source.cells]
    told = [
        (cell.source.split("  #")[0].strip(), cell.outputs[0].text) for cell in renewed.cells if cell.get("outputs")
    ]
    assert told == [("EPOCHS = 7", "EPOCHS = 3"), ("EPOCHS = 5", "EPOCHS = 5"), *zip(CODE, CODE, strict=True)]
    assert page(renewed, QUICK) == page(source, QUICK) != page(executed(), QUICK)
    about = {"after": ["02_b"], "stamp": {"threads": "1"}}
    assert renewed.metadata == {"papermill": {"duration": 60}, "workbook": about}
    with pytest.raises(WorkbookError, match="execute it again"):
        with_new_prose(executed(), new_notebook(cells=[new_code_cell(code) for code in reversed(CODE)]))


def test_pages_depend_on_prose_on_tags_and_on_what_they_show():
    notebook = new_notebook(cells=[new_markdown_cell("Text."), new_code_cell("x = 1")])
    then = page(notebook, QUICK)
    assert page(notebook, replace(QUICK, show_code="all")) != then != page(notebook, replace(QUICK, edition="full"))
    other, tagged, hidden = (copy.deepcopy(notebook) for _ in range(3))
    other.cells[0].source += "!"
    tagged.cells[1].metadata.tags = ["key"]
    hidden.cells[1].metadata.jupyter = {"source_hidden": True}
    assert all(page(edited, QUICK) != then for edited in (other, tagged, hidden))
