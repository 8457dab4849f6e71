"""What of a command's runs is left to do: notebooks whose inputs changed run, others are at most drawn anew.

A run's inputs are in its executed notebook, as ``workbook.stamp``: what the kernel tells (see `helpers.report.stamp`),
the code, the parameters and the number of threads. Nothing is worked out from sources: what the stamp names
is looked at again. What only pages depend on is there as ``workbook.page``.
"""

import copy
import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import NOTEBOOKS, WorkbookError
from helpers.report import clean, stamp
from helpers.report.parameters import defaults
from helpers.report.stamp import ABSENT, CHANGED, Kinds, digest
from helpers.report.workspace import FORCED, LANGUAGES, Run, Settings, read

if TYPE_CHECKING:
    from nbformat import NotebookNode

_DRAWING = ("nbconvert", "pypandoc_binary", "typst")
"""Libraries that pages are drawn with."""
_EXECUTION_TAGS = {"raises-exception", "skip-execution"}
"""By these a cell is run otherwise, or not at all."""
_OF_A_RUN = ("papermill", "execution", "kernelspec", "language_info")
"""What a run leaves in metadata of cells and notebooks, and below in the workbook's own."""
_OF_A_WORKBOOKS_RUN = ("stamp", "page")
_LONGEST = 40
"""Characters of a value in a message."""


def look(runs: Iterable[Run], settings: Settings) -> None:
    """Tells each run why it has to be executed, or its pages drawn anew."""
    # Notebooks share helpers and data, points of a sweep their notebook: each is looked at once.
    state, notebook, versions, layout = map(cache, (stamp.state, read, stamp.versions, _layout))
    for run in runs:
        then, page_then = earlier(run.file("ipynb"))
        run.reasons = [FORCED] if settings.anew else []
        if then is None:
            run.reasons.append(_why_unknown(run))
            continue
        now = of_notebook(notebook(run.notebook), run) | of_machine(then, run.root, settings, state, versions)
        run.reasons += changes(then, now)
        if page_then is None:
            run.redraw = ["its last report was not finished"]
        else:
            page_now = page(notebook(run.notebook), settings, layout())
            run.redraw = [name for name in page_now if page_then.get(name) != page_now[name]]
            run.redraw += _missing(run, settings)


def earlier(executed: Path) -> tuple[Kinds | None, dict[str, str] | None]:
    """What the run and the pages were made from whose executed notebook this is; None for what did not go well."""
    try:
        about = json.loads(executed.read_bytes())["metadata"]["workbook"]
        is_whole = about["stamp"].keys() == {"code", "parameters", "files", "libraries", "machine"}
        return (about["stamp"], about.get("page")) if is_whole else (None, None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def complete(executed: "NotebookNode", run: Run, settings: Settings) -> None:
    """Completes the stamp that the kernel has left in a notebook by what the notebook and the command know.

    A run on another machine took the data that lie there, of which this one knows nothing: of data and libraries the
    stamp has the names then, and the states on this machine. So its results stay good here until something changes.
    """
    made = executed.metadata.get("workbook", {}).get("stamp")
    if made is None:
        return
    made |= of_notebook(executed, run)
    made["machine"] = {"threads": str(settings.threads)}
    if settings.scheduler:
        project = ("workbook/", "./")  # which is the same there, and may have changed here meanwhile
        others = [name for name in made["files"] if not name.startswith(project)]
        made["files"] |= {name: stamp.state(name, run.root) for name in others}
        made["libraries"] = stamp.versions(made["libraries"])


def page(notebook: Mapping[str, Any], settings: Settings, layout: str | None = None) -> dict[str, str]:
    """What decides only how a report looks, given the outputs of a run: none of what a run left in it counts."""
    cells = [
        [cell["cell_type"], cell["source"], _told(cell["metadata"]), cell.get("attachments")]
        for cell in notebook["cells"]
        if not is_injected(cell)
    ]
    about = _told(notebook["metadata"])
    workbook = {key: value for key, value in about.pop("workbook", {}).items() if key not in _OF_A_WORKBOOKS_RUN}
    written = json.dumps([cells, about, workbook], sort_keys=True, ensure_ascii=False)
    return {
        "prose": digest(written),
        "layout": digest(
            layout or _layout(), settings.show_code, settings.edition, settings.language, repr(settings.cover)
        ),
    }


def with_new_prose(executed: "NotebookNode", source: "NotebookNode") -> "NotebookNode":
    """The notebook as it is now, with the outputs of an earlier run of the same code.

    Text, the order of the cells, metadata, and the code's comments and layout are of ``source``; outputs, the cell that
    papermill injected and what the run left in the metadata are of ``executed``. The parameters cell is the run's, too,
    if its values have changed since: they don't belong to these results. The code cells that do something have to be
    the same, one after the other.
    """
    renewed, executed = copy.deepcopy(source), copy.deepcopy(executed)
    renewed.cells = [cell for cell in renewed.cells if not is_injected(cell)]
    for cell in renewed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    now, then = (
        [cell for cell in notebook.cells if _does(cell) and not is_injected(cell)] for notebook in (renewed, executed)
    )
    if [_does(cell) for cell in now] != [_does(cell) for cell in then]:
        raise WorkbookError("the notebook's code is not that of its earlier run: execute it again")
    for new, old in zip(now, then, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
        new.metadata |= {key: old.metadata[key] for key in _OF_A_RUN if key in old.metadata}
        if _is_parameters(new) and stamp.does(new.source) != stamp.does(old.source):
            new.source = old.source
    place = next((index + 1 for index, cell in enumerate(renewed.cells) if _is_parameters(cell)), 0)
    renewed.cells[place:place] = [cell for cell in executed.cells if is_injected(cell)]
    renewed.metadata |= {key: executed.metadata[key] for key in _OF_A_RUN if key in executed.metadata}
    about = executed.metadata.get("workbook", {})
    kept = {key: about[key] for key in _OF_A_WORKBOOKS_RUN if key in about}
    renewed.metadata["workbook"] = {**renewed.metadata.get("workbook", {}), **kept}
    return renewed


def of_notebook(notebook: Mapping[str, Any], run: Run) -> Kinds:
    """The kinds "code" and "parameters"."""
    # papermill replaces a cell that it injected itself in an earlier run; without parameters it leaves it there.
    cells = [cell for cell in notebook["cells"] if not (run.parameters and is_injected(cell))]
    code = enumerate((cell for cell in cells if cell["cell_type"] == "code"), start=1)
    does = {str(number): _does(cell) for number, cell in code if not _is_parameters(cell)}
    values = {**defaults(notebook, name=run.name), **run.parameters}
    return {
        "code": {number: digest(what) for number, what in does.items() if what},
        "parameters": {name: _value(value) for name, value in sorted(values.items())},
    }


def of_machine(
    then: Kinds, root: Path, settings: Settings, state: Callable = stamp.state, versions: Callable = stamp.versions
) -> Kinds:
    """The kinds "files", "libraries" and "machine" of an earlier stamp, as they are now."""
    return {
        "files": {name: state(name, root) for name in then["files"]},
        "libraries": versions(tuple(then["libraries"])),
        "machine": {"threads": str(settings.threads)},
    }


def _does(cell: Mapping[str, Any]) -> str:
    """What a cell does; "" for nothing. Parameters count with their values."""
    if cell["cell_type"] != "code":
        return ""
    if _is_parameters(cell):
        return "parameters"
    does = stamp.does(cell["source"], is_cell=True)
    return " ".join([does, *sorted(_tags(cell) & _EXECUTION_TAGS)]) if does else ""


def _tags(cell: Mapping[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def _is_parameters(cell: Mapping[str, Any]) -> bool:
    return "parameters" in _tags(cell)


def is_injected(cell: Mapping[str, Any]) -> bool:
    return "injected-parameters" in _tags(cell)


def _told(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without what a run leaves there; papermill gives tags to cells without any."""
    return {key: value for key, value in metadata.items() if key not in _OF_A_RUN and (key, value) != ("tags", [])}


def _value(value: Any) -> str:
    """A value as JSON. Executed notebooks are handed on: where this machine keeps its files becomes a hash."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = clean.private(text)
    return text if shown == text else f"{shown} {digest(text)}"


def _layout() -> str:
    works, texts = stamp.tree(NOTEBOOKS, "*.bib"), stamp.tree(LANGUAGES)
    return digest(stamp.tree(Path(__file__).parent), works, texts, repr(stamp.versions(_DRAWING)))


def changes(then: Kinds, now: Kinds) -> list[str]:
    """What differs, in words: "code of cell 7", "parameter EPOCHS: 3 → 5", "helpers/train/fit.py" …"""
    words = []
    for kind, new in now.items():
        old = then.get(kind, {})
        if kind == "code":
            words += _code_changes(old, new)
        else:
            names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
            words += [_in_words(kind, name, old.get(name), new.get(name)) for name in names]
    return words


def _code_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Of the cells only their order counts: an empty one in between changes numbers and nothing else."""
    then, now = ([cells[number] for number in sorted(cells, key=int)] for cells in (old, new))
    if then == now:
        return []
    changed = [f"code of cell {number}" for number in sorted(new, key=int) if new[number] not in then]
    return changed or ["code, of which cells are gone or have moved"]


def _in_words(kind: str, name: str, old: str | None, new: str | None) -> str:
    if kind == "files":
        path = name.removeprefix("./")
        states = {new == ABSENT: " (gone)", old == ABSENT: " (new)", old == CHANGED: f" ({CHANGED})"}
        return path + states.get(True, "")
    what = {"parameters": "parameter ", "libraries": "library "}.get(kind, "") + name
    old, new = (textwrap.shorten(text or "none", _LONGEST, placeholder="…") for text in (old, new))
    return f"{what}: {old} → {new}"


def _why_unknown(run: Run) -> str:
    """Why nothing is known of an earlier run."""
    if run.numbers().get("status", "ok") != "ok":
        return "its last run failed"
    return "its last run left no stamp" if run.file("ipynb").is_file() else "never run before"


def _missing(run: Run, settings: Settings) -> list[str]:
    """Files of the report that aren't there, as if somebody had deleted them, or numbers that can't be read."""
    numbers = run.numbers()
    files = [run.file(suffix) for suffix in settings.formats]
    # What else lies there, such as the numbers behind figures, is written with these.
    files += [run.figures / f"{name}.{suffix}" for name in numbers.get("figures", ()) for suffix in ("svg", "pdf")]
    missing = [f"{run.name}.json"] * (not numbers) + [file.name for file in files if not file.is_file()]
    return [f"{name} is missing" for name in missing]
