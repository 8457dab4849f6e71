"""One notebook from file to finished report: execute, check that results are there, draw the pages, write the files."""

import fnmatch
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import locked
from helpers.report import clean
from helpers.report.progress import Progress, Row
from helpers.report.workspace import Task, load, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from helpers.report.document import Document
    from helpers.report.engine import Watch
    from helpers.report.inputs import Earlier

FORMATS = ("html", "pdf")
CODE = ("none", "key", "all")


@dataclass(frozen=True)
class Settings:
    """How the reports are made.

    Attributes:
        profile: whose parameters they are; reports name it.
        formats: of the page, from `FORMATS`.
        time_limit: seconds that all cells of one notebook together may take, or None.
        show_code: whose code reports show, from `CODE`. HTML folds code, so "key" leaves it all there.
    """

    profile: str
    formats: Sequence[str] = FORMATS
    time_limit: float | None = None
    show_code: str = "key"


@dataclass
class Outcome:
    """What became of one notebook.

    Attributes:
        name: the notebook's, without ``.ipynb``.
        error: why it failed, or "".
        execute_seconds, render_seconds: how long both halves took.
        peak_mib: the most memory that the kernel held, None if unknown.
        files: what was written into the reports folder.
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
    """Runs a notebook and writes its report, a failed run's too.

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
        stamp: what the run and its pages depend on now.
        progress: shows what is going on.

    Returns:
        The outcome, as from `run`; nothing was executed.
    """
    from helpers.report.prose import with_new_prose

    with progress.row(task.name) as row:
        job = _Job(task, settings, row, stamp)
        return _alone(job, lambda: with_new_prose(load(job.file("ipynb")), load(task.notebook)))


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
    except Exception as error:  # A fault in one report, ours included, must not take the others along.
        if not job.outcome.files:
            job.keep_interrupted()
        job.outcome.error = "; ".join(filter(None, [job.outcome.error, f"{type(error).__name__}: {error}"]))
    finally:
        job.running.unlink(missing_ok=True)


def missing_results(notebook: "NotebookNode", document: "Document") -> str:
    """What a run that finished should have recorded and did not, in words; "" if nothing is missing.

    A notebook's metadata names the figures, tables and numbers that it must record: ``workbook.expects``, and what
    stands for it on the index, ``workbook.key_figure`` and ``workbook.key_numbers``. Names may be patterns, "*_roc"
    say, where a parameter decides how many there are; one result at least has to match. The text may name more, as
    ``@fig-NAME`` and ``@tbl-NAME``.
    """
    from helpers.report import references
    from helpers.report.document import Figure, Table

    recorded = {block.name for block in document.blocks if isinstance(block, Figure | Table)} | set(document.numbers)
    if not recorded:
        return "the notebook recorded no figure, table or number (helpers.report.record does that)"
    key_figure = [document.key_figure] if document.key_figure else []
    expected = [*notebook.metadata.get("workbook", {}).get("expects", []), *key_figure, *document.key_numbers]
    missing = [name for name in dict.fromkeys(expected) if not fnmatch.filter(recorded, name)]
    if missing:
        return f"the notebook's metadata expects results that the run did not record: {', '.join(missing)}"
    unknown = references.missing(document)
    if unknown:
        return f"the text refers to figures or tables that the run did not record: {', '.join(unknown)}"
    unusable = [name for name, number in document.numbers.items() if not _finite(number["value"])]
    return f"numbers that aren't finite: {', '.join(unusable)}" if unusable else ""


class _Job:
    """One notebook's way to its files, and what became of it so far."""

    def __init__(self, task: Task, settings: Settings, row: Row, stamp: "Earlier | None") -> None:
        self.outcome = Outcome(task.name)
        self._task, self._settings, self._row, self._stamp = task, settings, row, stamp
        self.running = task.reports / f".{task.name}.running.ipynb"
        self.lock = task.reports / f".{task.name}.lock"

    def execute(self, execute: Execute | None) -> "NotebookNode":
        """The executed notebook, which holds an error output if the run failed for whatever reason."""
        from helpers.report import engine

        self._row.step("starting the kernel" if execute is None else "waiting for a worker")
        self.running.unlink(missing_ok=True)
        watch = engine.Watch(self._row, self._settings.time_limit)
        started = time.monotonic()
        failure: Exception | None = None
        try:
            (execute or engine.execute)(self._task, self.running, watch)
        except Exception as error:  # From a cell's exception to a kernel that would not start.
            failure = error
        self.outcome.peak_mib = watch.peak_mib
        executed = load(self.running if self.running.exists() else self._task.notebook)
        if failure is not None and not isinstance(failure, engine.RunFailed):
            _fail(executed, type(failure).__name__, str(failure))
        # As the notebook has it: a worker may have been waited for.
        self.outcome.execute_seconds = (
            executed.metadata.get("papermill", {}).get("duration") or time.monotonic() - started
        )
        self._forget_folders(executed)
        if watch.peak_mib:
            executed.metadata.setdefault("workbook", {})["peak_mib"] = round(watch.peak_mib)
        return executed

    def report(self, executed: "NotebookNode") -> None:
        """Checks the results, draws every page, and only then touches the files of earlier runs."""
        import nbformat

        from helpers.report import numbers_file
        from helpers.report.document import Failure

        self._row.step("writing the report")
        started = time.monotonic()
        document = self._checked(executed)
        pages, faults = self._draw(document)
        if faults and not document.failed:
            document = self._failed(executed, "PageNotDrawn", "; ".join(faults))
            # Once more, so that the page that can be drawn says that the other one failed.
            pages, later_faults = self._draw(document)
            faults = [fault for fault in later_faults if fault not in faults]
        failures = [block for block in document.blocks if isinstance(block, Failure)]
        errors = [f"{block.name}: {block.message} (cell {block.cell})" for block in failures]
        self.outcome.error = "; ".join([*errors, *faults])
        numbers = numbers_file.content(document, name=self._task.name, profile=self._settings.profile)
        self._put_stamp(executed, document)
        self._make_room(failed=document.failed)
        self._write("ipynb", nbformat.writes(executed))
        _write_drawings(document, self._task.figures)
        self._write("json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
        for suffix, page in pages.items():
            self._write(suffix, page)
        self.outcome.render_seconds = time.monotonic() - started

    def keep_interrupted(self) -> None:
        """Keeps the cells that ran before Ctrl-C, or before a fault of ours: they may have taken hours."""
        if self.running.exists():
            self.running.replace(self.file("interrupted.ipynb"))

    def _checked(self, executed: "NotebookNode") -> "Document":
        """The document in the notebook; one that failed if results are missing."""
        from helpers.report.document import read

        document = read(executed, name=self._task.name)
        problem = "" if document.failed else missing_results(executed, document)
        return self._failed(executed, "MissingResults", problem) if problem else document

    def _failed(self, executed: "NotebookNode", name: str, message: str) -> "Document":
        from helpers.report.document import read

        _fail(executed, name, message)
        return read(executed, name=self._task.name)

    def _put_stamp(self, executed: "NotebookNode", document: "Document") -> None:
        """Only a run that went well is good for later commands."""
        about = executed.metadata.setdefault("workbook", {})
        for kind in ("inputs", "page"):
            about.pop(kind, None)
            if self._stamp is not None and not document.failed:
                about[kind] = getattr(self._stamp, kind)

    def _draw(self, document: "Document") -> tuple[dict[str, str | bytes], list[str]]:
        """The pages by format, and for each that could not be drawn, why."""
        pages: dict[str, str | bytes] = {}
        faults: list[str] = []
        for suffix, draw in (("html", self._html), ("pdf", self._pdf)):
            if suffix not in self._settings.formats:
                continue
            try:
                pages[suffix] = draw(document)
            except Exception as error:  # Whatever a page's maker stumbles on, the other page and the numbers are good.
                message = clean.private(clean.printable(f"{type(error).__name__}: {error}"))
                faults.append(f"the {suffix.upper()} page could not be drawn: {message}")
        return pages, faults

    def _html(self, document: "Document") -> str:
        from helpers.report import html
        from helpers.report.document import with_code

        folded = document if self._settings.show_code != "none" else with_code(document, "none")
        return html.render(folded, name=self._task.name, profile=self._settings.profile)

    def _pdf(self, document: "Document") -> bytes:
        from helpers.report import pdf
        from helpers.report.document import with_code

        return pdf.render(with_code(document, self._settings.show_code))

    def _make_room(self, *, failed: bool) -> None:
        """A good report that a failure would replace becomes the last good one; other pages of earlier runs go."""
        was_good = _status(self.file("json")) == "ok"
        for suffix in FORMATS:
            page, last_good = self.file(suffix), self.file(f"last-good.{suffix}")
            if failed and was_good and page.exists():
                page.replace(last_good)
            if not failed:
                last_good.unlink(missing_ok=True)
            # Also a page of a format that this run does not make: it would show other numbers than the new ones.
            page.unlink(missing_ok=True)
        self.file("interrupted.ipynb").unlink(missing_ok=True)

    def _forget_folders(self, executed: "NotebookNode") -> None:
        """A report may be handed on: where this machine keeps its files is nobody's business."""
        from helpers.report.document import private

        root = self._task.root
        paths = executed.metadata.setdefault("papermill", {})
        for key, path in (("input_path", self._task.notebook), ("output_path", self.file("ipynb"))):
            paths[key] = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        paths["parameters"] = private(paths.get("parameters", {}))

    def file(self, suffix: str) -> Path:
        return self._task.reports / f"{self._task.name}.{suffix}"

    def _write(self, suffix: str, content: str | bytes) -> None:
        write(self.file(suffix), content)
        self.outcome.files.append(self.file(suffix))


def _status(numbers_file: Path) -> str:
    try:
        return json.loads(numbers_file.read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError):
        return "none"


def _write_drawings(document: "Document", folder: Path) -> None:
    """Each figure as SVG and PDF, and the numbers behind figures and tables as CSV; what an earlier run drew goes."""
    from helpers.report.document import Figure, Table

    files: dict[Path, str | bytes] = {}
    for block in document.blocks:
        if isinstance(block, Figure):
            files |= {folder / f"{block.name}.svg": block.svg, folder / f"{block.name}.pdf": block.pdf}
        if isinstance(block, Figure | Table) and block.csv:
            # A table may have the name of a figure.
            place = folder / "tables" if isinstance(block, Table) else folder
            files[place / f"{block.name}.csv"] = block.csv
    for stale in [*folder.glob("*.*"), *folder.glob("tables/*.csv")]:
        if stale.suffix in (".svg", ".pdf", ".csv") and stale not in files:
            stale.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)


def _fail(notebook: "NotebookNode", name: str, message: str) -> None:
    """Marks the notebook as failed by an error after its last code cell that ran, or in its first one."""
    import nbformat

    from helpers.report import engine

    if all(cell.cell_type != "code" for cell in notebook.cells):
        notebook.cells.append(nbformat.v4.new_code_cell())

    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ran = [cell for cell in code_cells if cell.execution_count is not None]
    for cell in ran[-1:] or code_cells[:1]:
        engine.add_failure(cell, name, message)


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
