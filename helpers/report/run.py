"""One notebook from file to finished report: execute, check that results are there, draw the pages, write the files."""

import fnmatch
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.files import locked
from helpers.report import clean
from helpers.report.progress import Progress
from helpers.report.workspace import Workspace, load, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from helpers.report.document import Document

FORMATS = ("html", "pdf")
CODE = ("none", "key", "all")


@dataclass(frozen=True)
class Settings:
    """How the reports are made.

    Attributes:
        profile: names the folder below ``reports/`` and ``figures/``.
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


def run(
    notebook: Path,
    workspace: Workspace,
    settings: Settings,
    *,
    parameters: dict[str, Any],
    progress: Progress,
) -> Outcome:
    """Runs a notebook and writes its report, a failed run's too.

    Args:
        notebook: the file to run.
        workspace: where reports and drawings go.
        settings: profile, formats and time limit.
        parameters: values for the notebook's parameters cell to override.
        progress: shows what is going on.

    Returns:
        The outcome. Errors of the notebook and of its report are in it, not raised, so that other notebooks go on.

    Raises:
        KeyboardInterrupt: after the kernel has been stopped and the part that ran kept as <notebook>.interrupted.ipynb.
    """
    job = _Job(notebook, workspace, settings, progress)
    with progress:
        try:
            with locked(job.lock) as alone:
                if alone:
                    _run_alone(job, parameters)
                else:
                    job.outcome.error = "another run is making this report: wait until it has ended"
        except OSError as error:
            job.outcome.error = f"the file {job.lock.name} of another run is in the way: delete it ({error.strerror})"
    return job.outcome


def _run_alone(job: "_Job", parameters: dict[str, Any]) -> None:
    try:
        executed = job.execute(parameters)
        job.report(executed)
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
    say, where a parameter decides how many there are; one result at least has to match.
    """
    from helpers.report.document import Figure, Table

    recorded = {block.name for block in document.blocks if isinstance(block, Figure | Table)} | set(document.numbers)
    if not recorded:
        return "the notebook recorded no figure, table or number (helpers.report.record does that)"
    key_figure = [document.key_figure] if document.key_figure else []
    expected = [*notebook.metadata.get("workbook", {}).get("expects", []), *key_figure, *document.key_numbers]
    missing = [name for name in dict.fromkeys(expected) if not fnmatch.filter(recorded, name)]
    if missing:
        return f"the notebook's metadata expects results that the run did not record: {', '.join(missing)}"
    unusable = [name for name, number in document.numbers.items() if not _finite(number["value"])]
    return f"numbers that aren't finite: {', '.join(unusable)}" if unusable else ""


class _Job:
    """One notebook's way to its files, and what became of it so far."""

    def __init__(self, notebook: Path, workspace: Workspace, settings: Settings, progress: Progress) -> None:
        self.outcome = Outcome(notebook.stem)
        self._notebook, self._workspace, self._settings, self._progress = notebook, workspace, settings, progress
        self._reports = workspace.reports(settings.profile)
        self.running = self._reports / f".{notebook.stem}.running.ipynb"
        self.lock = self._reports / f".{notebook.stem}.lock"

    def execute(self, parameters: dict[str, Any]) -> "NotebookNode":
        """The executed notebook, which holds an error output if the run failed for whatever reason."""
        from helpers.report import engine

        self._progress.start(self._notebook.stem, "starting the kernel")
        self.running.unlink(missing_ok=True)
        watch = engine.Watch(self._progress, self._settings.time_limit)
        started = time.monotonic()
        failure: Exception | None = None
        try:
            engine.execute(
                self._notebook, self.running, parameters=parameters, folder=self._workspace.root, watch=watch
            )
        except Exception as error:  # From a cell's exception to a kernel that would not start.
            failure = error
        self.outcome.execute_seconds = time.monotonic() - started
        self.outcome.peak_mib = watch.peak_mib
        executed = load(self.running if self.running.exists() else self._notebook)
        if failure is not None and not isinstance(failure, engine.RunFailed):
            _fail(executed, type(failure).__name__, str(failure))
        self._forget_folders(executed)
        if watch.peak_mib:
            executed.metadata.setdefault("workbook", {})["peak_mib"] = round(watch.peak_mib)
        return executed

    def report(self, executed: "NotebookNode") -> None:
        """Checks the results, draws every page, and only then touches the files of earlier runs."""
        import nbformat

        from helpers.report import numbers_file
        from helpers.report.document import Failure

        self._progress.step("writing the report")
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
        numbers = numbers_file.content(document, name=self._notebook.stem, profile=self._settings.profile)
        self._make_room(failed=document.failed)
        self._write("ipynb", nbformat.writes(executed))
        _write_drawings(document, self._workspace.figures(self._settings.profile, self._notebook))
        self._write("json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
        for suffix, page in pages.items():
            self._write(suffix, page)
        self.outcome.render_seconds = time.monotonic() - started

    def keep_interrupted(self) -> None:
        """Keeps the cells that ran before Ctrl-C, or before a fault of ours: they may have taken hours."""
        if self.running.exists():
            self.running.replace(self._file("interrupted.ipynb"))

    def _checked(self, executed: "NotebookNode") -> "Document":
        """The document in the notebook; one that failed if results are missing."""
        from helpers.report.document import read

        document = read(executed, name=self._notebook.stem)
        problem = "" if document.failed else missing_results(executed, document)
        return self._failed(executed, "MissingResults", problem) if problem else document

    def _failed(self, executed: "NotebookNode", name: str, message: str) -> "Document":
        from helpers.report.document import read

        _fail(executed, name, message)
        return read(executed, name=self._notebook.stem)

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
        return html.render(folded, name=self._notebook.stem, profile=self._settings.profile)

    def _pdf(self, document: "Document") -> bytes:
        from helpers.report import pdf
        from helpers.report.document import with_code

        return pdf.render(with_code(document, self._settings.show_code))

    def _make_room(self, *, failed: bool) -> None:
        """A good report that a failure would replace becomes the last good one; other pages of earlier runs go."""
        was_good = _status(self._file("json")) == "ok"
        for suffix in FORMATS:
            page, last_good = self._file(suffix), self._file(f"last-good.{suffix}")
            if failed and was_good and page.exists():
                page.replace(last_good)
            if not failed:
                last_good.unlink(missing_ok=True)
            # Also a page of a format that this run does not make: it would show other numbers than the new ones.
            page.unlink(missing_ok=True)
        self._file("interrupted.ipynb").unlink(missing_ok=True)

    def _forget_folders(self, executed: "NotebookNode") -> None:
        """A report may be handed on: where this machine keeps its files is nobody's business."""
        from helpers.report.document import private

        root = self._workspace.root
        paths = executed.metadata.setdefault("papermill", {})
        for key, path in (("input_path", self._notebook), ("output_path", self._file("ipynb"))):
            paths[key] = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        paths["parameters"] = private(paths.get("parameters", {}))

    def _file(self, suffix: str) -> Path:
        return self._reports / f"{self._notebook.stem}.{suffix}"

    def _write(self, suffix: str, content: str | bytes) -> None:
        write(self._file(suffix), content)
        self.outcome.files.append(self._file(suffix))


def _status(numbers_file: Path) -> str:
    try:
        return json.loads(numbers_file.read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError):
        return "none"


def _write_drawings(document: "Document", folder: Path) -> None:
    from helpers.report.document import Figure

    drawings = {f"{block.name}.svg": block.svg for block in document.blocks if isinstance(block, Figure)}
    for stale in folder.glob("*.svg"):
        if stale.name not in drawings:
            stale.unlink()
    for name, svg in drawings.items():
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / name, svg)


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
