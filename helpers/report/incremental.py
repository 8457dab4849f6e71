"""What of a command's runs is left to do: notebooks whose inputs changed run, others are at most drawn anew.

A run's inputs are in its executed notebook, as ``workbook.stamp``: what the kernel tells (see `helpers.report.stamp`),
the code, the parameters and the number of threads. Nothing is worked out from sources: what the stamp names
is looked at again. What only pages depend on is there as ``workbook.page``.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from helpers import NOTEBOOKS, WorkbookError
from helpers.report import clean, stamp
from helpers.report.parameters import defaults
from helpers.report.stamp import ABSENT, HASH, LIBRARY, Stamp, digest
from helpers.report.workspace import FORCED, LANGUAGES, Run, Settings, read

CODE, PARAMETER, THREADS = "code of cell ", "parameter ", "threads"
"""So the names in a stamp begin of what the kernel doesn't tell."""
_DRAWING = ("pypandoc_binary", "typst")
"""Libraries that pages are drawn with."""
_EXECUTION_TAGS = {"raises-exception", "skip-execution"}
"""By these a cell is run otherwise, or not at all."""
_LONGEST = 40
"""Characters of a value in a message."""


def look(runs: Iterable[Run], settings: Settings) -> None:
    """Tells each run why it has to be executed, or its pages drawn anew."""
    # Notebooks share helpers and data, points of a sweep their notebook: each is looked at once.
    state, notebook = cache(stamp.state), cache(read)
    for run in runs:
        then, page_then = earlier(run.file("ipynb"))
        run.reasons = [FORCED] if settings.anew else []
        if then is None:
            run.reasons.append(_why_unknown(run))
            continue
        run.reasons += changes(then, inputs(notebook(run.notebook), run, settings, then, state))
        if page_then is None:
            run.redraw = ["its last report was not finished"]
        else:
            run.redraw = changes(page_then, page(notebook(run.notebook), settings))
            run.redraw += _missing(run, settings)


def earlier(executed: Path) -> tuple[Stamp | None, Stamp | None]:
    """What the run and the pages were made from whose executed notebook this is; None for what did not go well."""
    try:
        about = json.loads(executed.read_bytes())["metadata"]["workbook"]
        return (about["stamp"], about.get("page")) if about["stamp"][THREADS] else (None, None)
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def inputs(
    notebook: Mapping[str, Any], run: Run, settings: Settings, names: Iterable[str], state: Callable = stamp.state
) -> Stamp:
    """What a run of the notebook would be made from now: of files and libraries those that an earlier stamp names."""
    # papermill replaces a cell that it injected itself in an earlier run; without parameters it leaves it there.
    cells = [cell for cell in notebook["cells"] if not (run.parameters and is_injected(cell))]
    code = enumerate(filter(None, map(_does, cells)), start=1)
    values = {**defaults(notebook, name=run.name), **run.parameters}
    own = {f"{CODE}{number}": digest(what) for number, what in code}
    own |= {f"{PARAMETER}{name}": _value(value) for name, value in sorted(values.items())}
    others = [name for name in names if not name.startswith((CODE, PARAMETER, THREADS))]
    return own | {name: state(name, run.root) for name in others} | {THREADS: str(settings.threads)}


def complete(executed: Mapping[str, Any], run: Run, settings: Settings) -> None:
    """Completes the stamp that the kernel has left in a notebook by what the notebook and the command know.

    A run on another machine took the data that lie there, of which this one knows nothing: of data and libraries the
    stamp has the names then, and the states on this machine. So its results stay good here until something changes.
    """
    made = executed["metadata"].get("workbook", {}).get("stamp")
    if made is not None:
        project = ("workbook/", "./")  # which is the same there, and may have changed here meanwhile
        others = [name for name in made if settings.scheduler and not name.startswith(project)]
        made |= inputs(executed, run, settings, others)


def page(notebook: Mapping[str, Any], settings: Settings) -> Stamp:
    """What decides only how a report looks, given the outputs of a run: none of what a run left in it counts."""
    cells = [
        [
            cell["cell_type"],
            cell["source"],
            cell.get("attachments"),
            sorted(_tags(cell)),
            cell["metadata"].get("jupyter"),
        ]
        for cell in notebook["cells"]
        if not is_injected(cell)
    ]
    return {
        "prose": digest(json.dumps(cells, sort_keys=True)),
        "layout": digest(_layout(), repr(settings.cover)),
        "code": settings.show_code,
        "edition": settings.edition,
        "language": settings.language,
    }


def with_new_prose(executed: Mapping[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """The notebook ``source`` with the outputs of an earlier run of the same code, and what that run says of itself.

    The code cells that do something have to be the same, one after the other.
    """
    injected = [cell for cell in executed["cells"] if is_injected(cell)]
    cells = source["cells"] = [cell for cell in source["cells"] if not is_injected(cell)]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    then, now = (
        [cell for cell in each if _does(cell) and not is_injected(cell)] for each in (executed["cells"], cells)
    )
    if [*map(_does, then)] != [*map(_does, now)]:
        raise WorkbookError("the notebook's code is not that of its earlier run: execute it again")
    for old, new in zip(then, now, strict=True):
        new |= {name: old[name] for name in ("outputs", "execution_count")}
    place = next((index + 1 for index, cell in enumerate(cells) if _is_parameters(cell)), 0)
    cells[place:place] = injected
    ran, about = executed["metadata"], source["metadata"]
    about |= {"papermill": ran["papermill"]}
    about["workbook"] = about.get("workbook", {}) | {"stamp": ran["workbook"]["stamp"]}
    return source


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


def _value(value: Any) -> str:
    """A value as JSON. Executed notebooks are handed on: where this machine keeps its files becomes a hash."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = clean.private(text)
    return text if shown == text else f"{shown} {digest(text)}"


@cache
def _layout() -> str:
    """How this command draws pages, whatever becomes of its files meanwhile."""
    works, texts = stamp.tree(NOTEBOOKS, "*.bib"), stamp.tree(LANGUAGES)
    drawing = [stamp.state(f"{LIBRARY}{library}", NOTEBOOKS) for library in _DRAWING]
    return digest(stamp.tree(Path(__file__).parent), works, texts, *drawing)


def changes(then: Stamp, now: Stamp) -> list[str]:
    """What differs, in words: "code of cell 7", "parameter EPOCHS: 3 → 5", "helpers/train/fit.py" …"""
    names = [name for name in dict.fromkeys([*now, *then]) if then.get(name, ABSENT) != now.get(name, ABSENT)]
    cells = [name for name in names if name.startswith(CODE)]
    if {*cells} - (then.keys() & now.keys()):  # one came or went, and those behind it have another number
        names = [name for name in names if name not in cells[1:]]
    words = []
    for name in names:
        old, new = (_told(each.get(name, ABSENT)) for each in (then, now))
        words.append(name.removeprefix("./") + (f": {old} → {new}" if old != new else ""))
    return words


def _told(state: str) -> str:
    return "there" if state.startswith(HASH) else textwrap.shorten(state, _LONGEST, placeholder="…")


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
