"""From an executed notebook to the files of its report: checked results, drawn pages, and only then new files."""

import fnmatch
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.report import clean
from helpers.report.workspace import Task, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from helpers.report.document import Document, Failure
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


class ReportWriter:
    """Writes one task's report.

    Attributes:
        files: what it has written.
    """

    def __init__(self, task: Task, settings: Settings, stamp: "Earlier | None") -> None:
        self.files: list[Path] = []
        self._task, self._settings, self._stamp = task, settings, stamp

    def write(self, executed: "NotebookNode") -> str:
        """Checks the results, draws every page, and only then touches the files of earlier runs.

        A failure that shows here only is told by the pages and the numbers, and not by the executed notebook, whose
        results are good: what the next command needs from it is new pages.

        Args:
            executed: the notebook.

        Returns:
            What failed in the run or in drawing its pages, or "".
        """
        import nbformat

        from helpers.report import numbers_file
        from helpers.report.document import Failure, read, with_failure

        ran = read(executed, name=self._task.name)
        document = _checked(executed, ran)
        pages, faults = self._draw(document)
        if faults and not document.failed:
            document = with_failure(document, "PageNotDrawn", "; ".join(faults))
            # Once more, so that the page that can be drawn says that the other one failed.
            pages, later_faults = self._draw(document)
            faults = [fault for fault in later_faults if fault not in faults]
        errors = [_in_words(block) for block in document.blocks if isinstance(block, Failure)]
        numbers = numbers_file.content(document, name=self._task.name, profile=self._settings.profile)
        self._put_stamp(executed, ran_well=not ran.failed, drawn_well=not document.failed)
        self._make_room(failed=document.failed)
        self._write("ipynb", nbformat.writes(executed))
        _write_drawings(document, self._task.figures)
        self._write("json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
        for suffix, page in pages.items():
            self._write(suffix, page)
        return "; ".join([*errors, *faults])

    def _put_stamp(self, executed: "NotebookNode", *, ran_well: bool, drawn_well: bool) -> None:
        """Only a run that went well is good for later commands, and only pages that did."""
        about = executed.metadata.setdefault("workbook", {})
        for kind, is_good in (("inputs", ran_well), ("page", drawn_well)):
            about.pop(kind, None)
            if self._stamp is not None and is_good:
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

    def file(self, suffix: str) -> Path:
        return self._task.reports / f"{self._task.name}.{suffix}"

    def _write(self, suffix: str, content: str | bytes) -> None:
        write(self.file(suffix), content)
        self.files.append(self.file(suffix))


def _checked(executed: "NotebookNode", document: "Document") -> "Document":
    """The document of a notebook; one that failed if results are missing."""
    from helpers.report.document import with_failure

    problem = "" if document.failed else missing_results(executed, document)
    return with_failure(document, "MissingResults", problem) if problem else document


def _in_words(failure: "Failure") -> str:
    cell = "" if failure.cell is None else f" (cell {failure.cell})"
    return f"{failure.name}: {failure.message}{cell}"


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
        return "the notebook recorded no figure, table or number (helpers.record does that)"
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


def fail(notebook: "NotebookNode", name: str, message: str) -> None:
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
