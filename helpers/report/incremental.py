"""What of a command's tasks is left to do: notebooks whose inputs changed run, others are at most drawn anew.

A run's inputs are in its executed notebook, as ``workbook.stamp``: what the kernel tells (see `helpers.report.stamp`),
the code, the parameters and the number of threads. Nothing is worked out from sources: what the stamp names
is looked at again. What only pages depend on is there as ``workbook.page``.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import ROOT, WorkbookError
from helpers.report import clean, stamp
from helpers.report.parameters import defaults
from helpers.report.stamp import ABSENT, CHANGED, Kinds, digest
from helpers.report.workspace import Settings, Task, read

if TYPE_CHECKING:
    from nbformat import NotebookNode

FORCED = "--force"

_DRAWING = ("nbconvert", "pypandoc_binary", "typst")
"""Libraries that pages are drawn with."""
_EXECUTION_TAGS = {"raises-exception", "skip-execution"}
"""By these a cell is run otherwise, or not at all."""
_OF_A_RUN = ("papermill", "execution", "kernelspec", "language_info")
"""What a run leaves in metadata of cells and notebooks, and below in the workbook's own."""
_OF_A_WORKBOOKS_RUN = ("stamp", "page")
_LONGEST = 40
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Work:
    """What a task needs."""

    task: Task
    stamp: Kinds | None  # of its earlier run, if that is known
    reasons: list[str]  # why its notebook has to run, in words, `FORCED` first; [] if an earlier run is still good
    renders: list[str]  # why its pages have to be drawn anew, if it doesn't run; [] if they are still good

    @property
    def is_done(self) -> bool:
        return not (self.reasons or self.renders)


def look(tasks: Iterable[Task], settings: Settings) -> list[Work]:
    """What each task needs.

    A run on another machine takes the data that lie there, of which this one knows nothing. Its stamp says what of the
    same names lies on this machine (see `complete`); a command whose notebooks run elsewhere does not compare that. So
    results from elsewhere stay good here until something changes, the data on this machine included.
    """
    # Notebooks share helpers and data, points of a sweep their notebook: each is looked at once.
    state, notebook, versions, layout = map(cache, (stamp.state, read, stamp.versions, _layout))

    def work(task: Task) -> Work:
        then, page_then = earlier(task.file("ipynb"))
        reasons = [FORCED] if settings.anew else []
        if then is None:
            return Work(task, None, [*reasons, _why_unknown(task)], [])
        now = _of_notebook(notebook(task.notebook), task) | {
            "files": {name: state(name, task.root) for name in then["files"]},
            "libraries": versions(tuple(then["libraries"])),
        }
        now["machine"] = {"threads": str(settings.threads)}
        if not settings.scheduler:
            now["data"] = {name: state(name, task.root) for name in then["data"]}
        reasons += _changes(then, now)
        if reasons or page_then is None:
            return Work(task, then, reasons, [] if reasons else ["its last report was not finished"])
        page_now = page(notebook(task.notebook), settings, layout)
        return Work(task, then, [], [*_changes(page_then, page_now), *_missing(task, settings)])

    return [work(task) for task in tasks]


def earlier(executed: Path) -> tuple[Kinds | None, Kinds | None]:
    """What the run and the pages were made from whose executed notebook this is; None for what did not go well."""
    try:
        about = json.loads(executed.read_bytes())["metadata"]["workbook"]
        return _checked(about["stamp"], {"code", "parameters", "files", "data", "libraries", "machine"}), (
            _checked(about["page"], {"prose", "layout"}) if "page" in about else None
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None


def complete(executed: "NotebookNode", task: Task, settings: Settings) -> None:
    """Completes the stamp that the kernel has left in a notebook by what the notebook and the command know.

    Of a run on another machine the project's files stay as they were there; of data and libraries it takes the names,
    and the states on this machine.
    """
    made = executed.metadata.get("workbook", {}).get("stamp")
    if made is None:
        return
    made |= _of_notebook(executed, task)
    made["machine"] = {"threads": str(settings.threads)}
    if settings.scheduler:
        made["data"] = {name: stamp.state(name, task.root) for name in made["data"]}
        made["libraries"] = stamp.versions(made["libraries"])


def page(notebook: Mapping[str, Any], settings: Settings, layout: Callable[[], dict[str, str]] | None = None) -> Kinds:
    """What decides only how a report looks, given the outputs of a run: none of what a run left in it counts."""
    cells = [
        [cell["cell_type"], cell["source"], _told(cell["metadata"]), cell.get("attachments")]
        for cell in notebook["cells"]
        if not _is_injected(cell)
    ]
    about = _told(notebook["metadata"])
    workbook = {key: value for key, value in about.pop("workbook", {}).items() if key not in _OF_A_WORKBOOKS_RUN}
    written = json.dumps([cells, about, workbook], sort_keys=True, ensure_ascii=False)
    how = {"code shown": settings.show_code, "edition": settings.edition, "cover": digest(repr(settings.cover))}
    works = ROOT / "notebooks" / "references.bib"
    prose = {"prose": digest(written), works.name: digest(works.read_bytes() if works.is_file() else b"")}
    return {"prose": prose, "layout": (layout or _layout)() | how}


def with_new_prose(executed: "NotebookNode", source: "NotebookNode") -> "NotebookNode":
    """The notebook as it is now, with the outputs of an earlier run of the same code.

    Text, the order of the cells, metadata, and the code's comments and layout are of ``source``; outputs, the cell that
    papermill injected and what the run left in the metadata are of ``executed``. The parameters cell is the run's, too,
    if its values have changed since: they don't belong to these results.

    Raises:
        WorkbookError: unless the code cells that do something are the same, one after the other.
    """
    import nbformat

    renewed, executed = nbformat.v4.upgrade(copy.deepcopy(source)), copy.deepcopy(executed)
    renewed.cells = [cell for cell in renewed.cells if not _is_injected(cell)]
    for cell in renewed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    now, then = (list(_doing(notebook["cells"])) for notebook in (renewed, executed))
    if [_does(cell) for cell in now] != [_does(cell) for cell in then]:
        raise WorkbookError("the notebook's code is not that of its earlier run: execute it again")
    for new, old in zip(now, then, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
        new.metadata |= {key: old.metadata[key] for key in _OF_A_RUN if key in old.metadata}
        if _is_parameters(new) and stamp.does(new.source) != stamp.does(old.source):
            new.source = old.source
    place = next((index + 1 for index, cell in enumerate(renewed.cells) if _is_parameters(cell)), 0)
    renewed.cells[place:place] = [cell for cell in executed.cells if _is_injected(cell)]
    renewed.metadata |= {key: executed.metadata[key] for key in _OF_A_RUN if key in executed.metadata}
    about = executed.metadata.get("workbook", {})
    kept = {key: about[key] for key in _OF_A_WORKBOOKS_RUN if key in about}
    renewed.metadata["workbook"] = {**renewed.metadata.get("workbook", {}), **kept}
    return renewed


def _of_notebook(notebook: Mapping[str, Any], task: Task) -> Kinds:
    """The kinds "code" and "parameters"."""
    # papermill replaces a cell that it injected itself in an earlier run; without parameters it leaves it there.
    cells = [cell for cell in notebook["cells"] if not (task.parameters and _is_injected(cell))]
    code = enumerate((cell for cell in cells if cell["cell_type"] == "code"), start=1)
    does = {str(number): _does(cell) for number, cell in code if not _is_parameters(cell)}
    values = {**defaults(notebook, name=task.name), **task.parameters}
    return {
        "code": {number: digest(what) for number, what in does.items() if what},
        "parameters": {name: _value(value) for name, value in sorted(values.items())},
    }


def _does(cell: Mapping[str, Any]) -> str:
    """What a code cell does; "" for nothing. Parameters count with their values."""
    if _is_parameters(cell):
        return "parameters"
    does = stamp.does(cell["source"], is_cell=True)
    return " ".join([does, *sorted(_tags(cell) & _EXECUTION_TAGS)]) if does else ""


def _doing(cells: Iterable[Any]) -> Iterator[Any]:
    return (cell for cell in cells if cell["cell_type"] == "code" and not _is_injected(cell) and _does(cell))


def _tags(cell: Mapping[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def _is_parameters(cell: Mapping[str, Any]) -> bool:
    return "parameters" in _tags(cell)


def _is_injected(cell: Mapping[str, Any]) -> bool:
    return "injected-parameters" in _tags(cell)


def _told(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata without what a run leaves there; papermill gives tags to cells without any."""
    return {key: value for key, value in metadata.items() if key not in _OF_A_RUN and (key, value) != ("tags", [])}


def _value(value: Any) -> str:
    """A value as JSON. Executed notebooks are handed on: where this machine keeps its files becomes a hash."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = clean.private(text)
    return text if shown == text else f"{shown} {digest(text)}"


def _layout() -> dict[str, str]:
    return {"helpers.report": stamp.tree(Path(__file__).parent)} | stamp.versions(_DRAWING)


def _checked(stored: Any, kinds: set[str]) -> Kinds:
    if stored.keys() != kinds or not all(isinstance(s, str) for states in stored.values() for s in states.values()):
        raise TypeError("this is no stamp")
    return stored


def _changes(then: Kinds, now: Kinds) -> list[str]:
    """What differs, in words: "code of cell 7", "parameter EPOCHS: 3 → 5", "helpers/train/fit.py" …"""
    words = _code_changes(then.get("code", {}), now.get("code", {}))
    for kind in now:
        if kind != "code":
            old, new = then[kind], now[kind]
            names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
            words += [_in_words(kind, name, old.get(name), new.get(name)) for name in names]
    return words


def _code_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Of the cells only their order counts: an empty one in between changes numbers and nothing else."""
    then, now = sorted(old, key=int), sorted(new, key=int)
    matcher = SequenceMatcher(None, [old[cell] for cell in then], [new[cell] for cell in now], autojunk=False)
    words = []
    for what, start, end, new_start, new_end in matcher.get_opcodes():
        if what == "delete":
            words += [f"code of cell {cell}, which is gone" for cell in then[start:end]]
        elif what != "equal":
            words += [f"code of cell {cell}" for cell in now[new_start:new_end]]
    return words


def _in_words(kind: str, name: str, old: str | None, new: str | None) -> str:
    if kind in ("files", "data"):
        path = name.removeprefix("./")
        states = {new == ABSENT: " (gone)", old == ABSENT: " (new)", old == CHANGED: f" ({CHANGED})"}
        return path + states.get(True, "")
    what = {"parameters": "parameter ", "libraries": "library ", "layout": "layout: "}.get(kind, "") + name
    if old is None or new is None:
        return what + (" (new)" if old is None else " (no longer used)")
    if kind in ("prose", "layout"):
        return what
    old, new = (text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…" for text in (old, new))
    return f"{what}: {old or 'none'} → {new or 'none'}"


def _why_unknown(task: Task) -> str:
    """Why nothing is known of an earlier run."""
    if task.numbers().get("status", "ok") != "ok":
        return "its last run failed"
    return "its last run left no stamp" if task.file("ipynb").is_file() else "never run before"


def _missing(task: Task, settings: Settings) -> list[str]:
    """Files of the report that aren't there, as if somebody had deleted them, or numbers that can't be read."""
    numbers = task.numbers()
    missing = [] if numbers else [f"{task.name}.json"]
    pages = [f"{task.name}.{suffix}" for suffix in settings.formats]
    missing += [name for name in pages if not (task.reports / name).is_file()]
    # What else lies there, such as the numbers behind figures, is written with these.
    drawings = [f"{name}.{suffix}" for name in numbers.get("figures", ()) for suffix in ("svg", "pdf")]
    missing += [name for name in drawings if not (task.figures / name).is_file()]
    return [f"{name} is missing" for name in missing]
