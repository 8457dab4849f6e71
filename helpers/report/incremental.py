"""What of a command's tasks is left to do: notebooks whose inputs changed run, others are at most rendered anew."""

from collections.abc import Iterable
from dataclasses import dataclass

from helpers.report.inputs import Earlier, changes, earlier, fingerprint, page
from helpers.report.plain import read
from helpers.report.workspace import Task
from helpers.report.writing import Settings

FORCED = "--force"


@dataclass(frozen=True)
class Work:
    """What a task needs.

    Attributes:
        task: the task.
        stamp: what its run and its pages depend on now.
        reasons: why its notebook has to run, in words; [] if an earlier run is still good.
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

    Args:
        tasks: the command's.
        settings: of its reports.
        force: whether everything runs, whatever earlier runs left.
        elsewhere: whether notebooks run on other machines: then it doesn't matter which data sets lie on this one.

    Raises:
        UnreadableNotebook: for a file that is none.
    """
    return [_look(task, settings, force, elsewhere) for task in tasks]


def _look(task: Task, settings: Settings, force: bool, elsewhere: bool) -> Work:
    notebook = read(task.notebook)
    now = Earlier(
        fingerprint(notebook, parameters=task.parameters, root=task.root),
        page(notebook, show_code=settings.show_code),
    )
    if elsewhere:
        del now.inputs["data"]
    then = earlier(task.reports / f"{task.name}.ipynb")
    reasons = [FORCED] if force else changes(then and then.inputs, now.inputs)
    renders = [] if then is None else [*changes(then.page, now.page), *_missing(task, settings)]
    return Work(task, now, reasons, renders)


def _missing(task: Task, settings: Settings) -> list[str]:
    """Files of the report that aren't there, as if somebody had deleted them."""
    files = [f"{task.name}.{suffix}" for suffix in ("json", *settings.formats)]
    return [f"{name} is missing" for name in files if not (task.reports / name).is_file()]
