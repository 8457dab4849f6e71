"""One notebook from file to finished report: execute it, or take an earlier run, and have its report written."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import WorkbookError
from helpers.files import locked
from helpers.report.progress import Progress, Row
from helpers.report.workspace import Task, load
from helpers.report.writing import ReportWriter, Settings, fail

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from helpers.report.engine import Watch
    from helpers.report.inputs import Earlier


ONE_AT_A_TIME = threading.Lock()
"""What several threads must not do at once: Python 3.11 fails when two of them read sources into syntax trees, and the
libraries that draw pages import parts of themselves when they are needed, unguarded."""


class NotRun(WorkbookError):
    """A notebook that was not run, for reasons that lie outside of it; what its earlier runs left stays as it is."""


@dataclass
class Outcome:
    """What became of one notebook.

    Attributes:
        name: the notebook's, without ``.ipynb``.
        error: why it failed, or was not run, or "".
        execute_seconds, render_seconds: how long both halves took.
        peak_mib: the most memory that the kernel held, None if unknown.
        files: what was written into the reports folder; [] if the report there is still that of an earlier run.
    """

    name: str
    error: str = ""
    execute_seconds: float = 0.0
    render_seconds: float = 0.0
    peak_mib: float | None = None
    files: list[Path] = field(default_factory=list)


Execute = Callable[[Task, Path, "Watch"], None]
"""Runs a task's notebook, as ``engine.execute`` does, and writes the executed one to the path after each cell."""


def run(
    task: Task,
    settings: Settings,
    *,
    stamp: "Earlier | None" = None,
    execute: Execute | None = None,
    progress: Progress,
) -> Outcome:
    """Runs a notebook and writes its report, a failed run's too; but none if it didn't run at all (`NotRun`).

    Args:
        task: what to run, and where its report goes.
        settings: formats, code shown and time limit.
        stamp: what the run depends on, for the executed notebook to carry if the run goes well.
        execute: runs the notebook; ``engine.execute`` if None.
        progress: shows what is going on.

    Returns:
        The outcome. Errors of the notebook and of its report are in it, not raised, so that other notebooks go on.

    Raises:
        KeyboardInterrupt: after the kernel has been stopped and the part that ran kept as <notebook>.interrupted.ipynb.
    """
    with progress.row(task.name) as row:
        job = _Job(task, settings, row, stamp)
        return _alone(job, lambda: job.execute(execute))


def render_again(task: Task, settings: Settings, *, stamp: "Earlier", progress: Progress) -> Outcome:
    """Writes a report anew from what the notebook's last run gave and the prose that the notebook has now.

    Args:
        task: whose report it is.
        settings: formats and code shown.
        stamp: what that run depended on, and its pages do now.
        progress: shows what is going on.

    Returns:
        The outcome, as from `run`; nothing was executed. Nothing is written either if another command has run the
        notebook since ``stamp`` was made.
    """
    from helpers.report.inputs import earlier
    from helpers.report.prose import with_new_prose

    def renewed() -> "NotebookNode":
        executed = task.reports / f"{task.name}.ipynb"
        then = earlier(executed)
        if then is None or then.inputs != stamp.inputs:
            raise NotRun("another command has run it meanwhile: run this one again")
        with ONE_AT_A_TIME:
            return with_new_prose(load(executed), load(task.notebook))

    with progress.row(task.name) as row:
        return _alone(_Job(task, settings, row, stamp), renewed)


def _alone(job: "_Job", executed: "Callable[[], NotebookNode]") -> Outcome:
    """Makes the report of what ``executed`` returns, unless another run is making the same one."""
    try:
        with locked(job.lock) as alone:
            if alone:
                _report(job, executed)
            else:
                job.outcome.error = "another run is making this report: wait until it has ended"
    except OSError as error:
        job.outcome.error = f"the file {job.lock.name} of another run is in the way: delete it ({error.strerror})"
    return job.outcome


def _report(job: "_Job", executed: "Callable[[], NotebookNode]") -> None:
    try:
        job.report(executed())
    except KeyboardInterrupt:
        job.keep_interrupted()
        raise
    except NotRun as error:
        job.outcome.error = str(error)
    except Exception as error:  # A fault in one report, ours included, must not take the others along.
        if not job.outcome.files:
            job.keep_interrupted()
        job.outcome.error = "; ".join(filter(None, [job.outcome.error, f"{type(error).__name__}: {error}"]))
    finally:
        job.running.unlink(missing_ok=True)


class _Job:
    """One notebook's way to its files, and what became of it so far."""

    def __init__(self, task: Task, settings: Settings, row: Row, stamp: "Earlier | None") -> None:
        self._task, self._settings, self._row = task, settings, row
        self._writer = ReportWriter(task, settings, stamp)
        self.outcome = Outcome(task.name, files=self._writer.files)
        self.running = task.reports / f".{task.name}.running.ipynb"
        self.lock = task.reports / f".{task.name}.lock"

    def execute(self, execute: Execute | None) -> "NotebookNode":
        """The executed notebook, which holds an error output if the run failed for whatever reason.

        Raises:
            NotRun: as from ``execute``.
        """
        from helpers.report import engine

        self._row.step("starting the kernel" if execute is None else "waiting for a worker")
        self.running.unlink(missing_ok=True)
        watch = engine.Watch(self._row, self._settings.time_limit)
        started = time.monotonic()
        failure: Exception | None = None
        try:
            (execute or engine.execute)(self._task, self.running, watch)
        except NotRun:
            raise
        except Exception as error:  # From a cell's exception to a kernel that would not start.
            failure = error
        self.outcome.peak_mib = watch.peak_mib
        executed = load(self.running if self.running.exists() else self._task.notebook)
        if failure is not None and not isinstance(failure, engine.RunFailed):
            fail(executed, type(failure).__name__, str(failure))
        # As the notebook has it: a worker may have been waited for.
        self.outcome.execute_seconds = (
            executed.metadata.get("papermill", {}).get("duration") or time.monotonic() - started
        )
        self._forget_folders(executed)
        if watch.peak_mib:
            executed.metadata.setdefault("workbook", {})["peak_mib"] = round(watch.peak_mib)
        return executed

    def report(self, executed: "NotebookNode") -> None:
        self._row.step("writing the report")
        started = time.monotonic()
        with ONE_AT_A_TIME:
            self.outcome.error = self._writer.write(executed)
        self.outcome.render_seconds = time.monotonic() - started

    def keep_interrupted(self) -> None:
        """Keeps the cells that ran before Ctrl-C, or before a fault of ours: they may have taken hours."""
        if self.running.exists():
            self.running.replace(self._writer.file("interrupted.ipynb"))

    def _forget_folders(self, executed: "NotebookNode") -> None:
        """A report may be handed on: where this machine keeps its files is nobody's business."""
        from helpers.report.document import private

        root = self._task.root
        paths = executed.metadata.setdefault("papermill", {})
        for key, path in (("input_path", self._task.notebook), ("output_path", self._writer.file("ipynb"))):
            paths[key] = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        paths["parameters"] = private(paths.get("parameters", {}))
