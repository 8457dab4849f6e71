"""What of a command's tasks is left to do: notebooks whose inputs changed run, others are at most rendered anew."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from helpers import DATA
from helpers.report.inputs import Disk, Earlier, Fingerprint, Inputs, changes, earlier, page
from helpers.report.inputs.changes import NEVER_RUN
from helpers.report.workspace import Settings, Task, read

FORCED = "--force"
FAILED = "its last run failed"
NO_STAMP = "its last run left no stamp"
NOT_DRAWN = "its last report was not finished"


@dataclass(frozen=True)
class Work:
    """What a task needs.

    Attributes:
        task: the task.
        stamp: what its run and its pages will depend on: if only the pages are drawn, the run is the earlier one.
        reasons: why its notebook has to run, in words, `FORCED` first; [] if an earlier run is still good.
        renders: why its pages have to be drawn anew, if it doesn't run; [] if they are still good.
    """

    task: Task
    stamp: Earlier
    reasons: list[str]
    renders: list[str]

    @property
    def is_done(self) -> bool:
        return not (self.reasons or self.renders)


def look(tasks: Iterable[Task], settings: Settings, *, force: bool, elsewhere: bool) -> list[Work]:
    """What each task needs.

    A run on another machine takes the data that lie there, of which this one knows nothing. Its stamp says what lay on
    this machine, as every stamp does; a command whose notebooks run elsewhere does not compare that. So results from
    elsewhere stay good here until something changes, the data on this machine included.

    Args:
        tasks: the command's.
        settings: of its reports.
        force: whether everything runs, whatever earlier runs left.
        elsewhere: whether notebooks run on other machines.

    Raises:
        UnreadableNotebook: for a file that is none.
    """
    disk, seen = Disk(DATA), {}
    works = []
    for task in tasks:
        # All points of a sweep are of one notebook.
        if task.notebook not in seen:
            notebook = read(task.notebook)
            seen[task.notebook] = (
                Inputs(notebook, root=task.root, disk=disk),
                page(notebook, show_code=settings.show_code),
            )
        inputs, pages = seen[task.notebook]
        now = Earlier(inputs.fingerprint(task.parameters), pages)
        works.append(_work(task, now, settings, force=force, elsewhere=elsewhere))
    return works


def _work(task: Task, now: Earlier, settings: Settings, *, force: bool, elsewhere: bool) -> Work:
    then = earlier(task.reports / f"{task.name}.ipynb")
    compared = _without_data(now.inputs) if elsewhere else now.inputs
    reasons = [_why_unknown(task)] if then is None else changes(then.inputs, compared)
    if force:
        reasons = [FORCED, *reasons]
    if then is None or reasons:
        return Work(task, now, reasons, [])
    renders = [NOT_DRAWN] if then.page is None else [*changes(then.page, now.page), *_missing(task, settings)]
    return Work(task, Earlier(then.inputs, now.page), [], renders)


def _without_data(inputs: Fingerprint) -> Fingerprint:
    return {kind: states for kind, states in inputs.items() if kind != "data"}


def _why_unknown(task: Task) -> str:
    """Why nothing is known of an earlier run."""
    numbers = _numbers(task)
    if numbers is not None and numbers.get("status") != "ok":
        return FAILED
    return NO_STAMP if (task.reports / f"{task.name}.ipynb").is_file() else NEVER_RUN


def _missing(task: Task, settings: Settings) -> list[str]:
    """Files of the report that aren't there, as if somebody had deleted them, or numbers that can't be read."""
    numbers = _numbers(task)
    missing = [] if numbers else [f"{task.name}.json"]
    pages = [f"{task.name}.{suffix}" for suffix in settings.formats]
    missing += [name for name in pages if not (task.reports / name).is_file()]
    # What else lies there, such as the numbers behind figures, is written with these.
    drawings = [f"{name}.{suffix}" for name in (numbers or {}).get("figures", ()) for suffix in ("svg", "pdf")]
    missing += [name for name in drawings if not (task.figures / name).is_file()]
    return [f"{name} is missing" for name in missing]


def _numbers(task: Task) -> dict | None:
    """What the last run's numbers file holds; None if there is none that can be read."""
    try:
        content = json.loads((task.reports / f"{task.name}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
