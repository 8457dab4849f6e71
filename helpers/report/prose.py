"""New prose around the results of an earlier run: what changed in the text only need not be executed again."""

import copy
from typing import TYPE_CHECKING

from helpers import WorkbookError
from helpers.report.inputs.sources import CodeCell, code_cells

if TYPE_CHECKING:
    from nbformat import NotebookNode

_OF_A_RUN = ("papermill", "execution")
"""What a run leaves in the metadata of each cell."""
_OF_A_NOTEBOOKS_RUN = ("papermill", "kernelspec", "language_info")
_OF_A_WORKBOOKS_RUN = ("peak_mib", "inputs", "page")


class OtherCode(WorkbookError):
    """A notebook whose code isn't that of the run."""


def with_new_prose(executed: "NotebookNode", source: "NotebookNode") -> "NotebookNode":
    """The notebook as it is now, with the outputs of an earlier run of the same code.

    From ``source`` come text, the order of the cells, metadata, and the code's comments and layout; from ``executed``
    outputs, execution counts, the cell that papermill injected, and what the run left in the metadata. The parameters
    cell is the run's if its values have changed since: they don't belong to these results.

    Args:
        executed: nbformat 4; stays as it is.
        source: likewise. Outputs in it don't count.

    Raises:
        OtherCode: unless the code cells that do something are the same, one after the other.
    """
    import nbformat

    renewed = nbformat.v4.upgrade(copy.deepcopy(source))
    executed = copy.deepcopy(executed)
    renewed.cells = [cell for cell in renewed.cells if not _is_injected(cell)]
    for cell in renewed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    for now, then in _pairs(renewed, executed):
        new, old = renewed.cells[now.index], executed.cells[then.index]
        new.outputs, new.execution_count = old.outputs, old.execution_count
        _keep(new.metadata, old.metadata, _OF_A_RUN)
        if now.does != then.does:
            new.source = old.source
    _inject(renewed, executed)
    _keep(renewed.metadata, executed.metadata, _OF_A_NOTEBOOKS_RUN)
    _keep(renewed.metadata.setdefault("workbook", {}), executed.metadata.get("workbook", {}), _OF_A_WORKBOOKS_RUN)
    return renewed


def _pairs(renewed: "NotebookNode", executed: "NotebookNode") -> list[tuple[CodeCell, CodeCell]]:
    now, then = (_running(notebook) for notebook in (renewed, executed))
    if [_compared(cell) for cell in now] != [_compared(cell) for cell in then]:
        raise OtherCode("the notebook's code is not that of its earlier run: execute it again")
    return list(zip(now, then, strict=True))


def _running(notebook: "NotebookNode") -> list[CodeCell]:
    return [cell for cell in code_cells(notebook) if cell.does and not cell.is_injected]


def _compared(cell: CodeCell) -> str:
    return "parameters" if cell.is_parameters else cell.does


def _inject(renewed: "NotebookNode", executed: "NotebookNode") -> None:
    """Puts the cell with the run's own parameters where papermill would."""
    injected = [cell for cell in executed.cells if _is_injected(cell)]
    parameters = [cell.index for cell in code_cells(renewed) if cell.is_parameters]
    place = parameters[0] + 1 if parameters else 0
    renewed.cells[place:place] = injected


def _is_injected(cell: "NotebookNode") -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])


def _keep(new: "NotebookNode", old: "NotebookNode", keys: tuple[str, ...]) -> None:
    for key in keys:
        new.pop(key, None)
        if key in old:
            new[key] = old[key]
