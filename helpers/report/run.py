"""From an executed notebook to the files of its report: checked results, drawn pages, and only then new files."""

import errno
import fnmatch
import json
import math
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import WorkbookError
from helpers.report import clean
from helpers.report.workspace import FORMATS, Run, Settings, read, write

if TYPE_CHECKING:
    from helpers.report.document import Document


def report(run: Run, settings: Settings, executed: dict[str, Any] | None) -> None:
    """Writes the report of an executed notebook; if that is None, of its earlier run, with the prose of now."""
    from helpers.report.document import private
    from helpers.report.incremental import complete, with_new_prose

    if executed is None:
        executed = with_new_prose(read(run.file("ipynb")), read(run.notebook))
    else:
        about = executed["metadata"]["papermill"]
        run.execute_seconds = about.get("duration")
        # A report may be handed on: where this machine keeps its files is nobody's business.
        about |= {"input_path": run.notebook.name, "output_path": run.file("ipynb").name}
        about["parameters"] = private(about.get("parameters", {}))
        complete(executed, run, settings)
    write_report(executed, run, settings)


def in_words(error: Exception) -> str:
    """An error as a line for the user: what lies outside of the workbook by what it is, others by their kind too."""
    if isinstance(error, WorkbookError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"the disk is full, the report was not written ({error.strerror}): free some space, then run it again"
    if isinstance(error, PermissionError):
        name = Path(error.filename2 or error.filename or "the report").name
        return f"{name} can't be written ({error.strerror}): close it elsewhere or allow writing, then run it again"
    return f"{type(error).__name__}: {error}"


def write_report(executed: dict[str, Any], run: Run, settings: Settings) -> None:
    """Checks the results, draws every page, and only then touches the files of earlier runs.

    A failure that shows here only is told by the numbers, the index and the book, one of the results by the pages, too;
    not by the executed notebook, whose results are good: what the next command needs from it is new pages.
    """
    from helpers.report import index
    from helpers.report.document import read as document_of
    from helpers.report.document import with_failure
    from helpers.report.incremental import page

    ran = document_of(executed, name=run.name)
    problem = "" if ran.failure else missing_results(ran)
    document = with_failure(ran, "MissingResults", problem) if problem else ran
    pages, faults = _draw(document, run, settings)
    if faults and not document.failure:
        document, faults = with_failure(document, "PageNotDrawn", "; ".join(faults)), []
    run.error = "; ".join(map(str, filter(None, [document.failure, *faults])))
    # Only a run that went well is good for later commands, and only pages that did.
    about = executed["metadata"].setdefault("workbook", {})
    if ran.failure:
        about.pop("stamp", None)
    about.pop("page", None)
    if not document.failure:
        about["page"] = page(executed, settings)
    numbers = index.numbers(document, name=run.name, profile=settings.profile)
    files = {
        **_drawings(document, run.figures),
        run.file("ipynb"): json.dumps(executed, indent=1, ensure_ascii=False) + "\n",
        run.file("json"): json.dumps(numbers, indent=2, ensure_ascii=False) + "\n",
        **pages,
    }
    _make_room(run, files, failed=bool(document.failure))
    for path, content in files.items():
        write(path, content)
    run.is_written = True


def _draw(document: "Document", run: Run, settings: Settings) -> tuple[dict[Path, str | bytes], list[str]]:
    """The pages, and for each that could not be drawn, why."""
    from helpers.report import render
    from helpers.report.document import selected
    from helpers.report.language import translated

    told = translated(document, settings.language, run.notebook.stem)
    folded = selected(told, code="none" if settings.show_code == "none" else "all")
    printed = selected(told, code=settings.show_code, edition=settings.edition)
    makers = {
        "html": lambda: render.html(folded, name=run.name, profile=settings.profile, overview=run.overview),
        "pdf": lambda: render.pdf(printed, settings.cover),
    }
    pages: dict[Path, str | bytes] = {}
    faults: list[str] = []
    with ThreadPoolExecutor() as pool:  # pandoc and Typst are programs of their own
        drawn = {suffix: pool.submit(makers[suffix]) for suffix in FORMATS if suffix in settings.formats}
    for suffix, page in drawn.items():
        try:
            pages[run.file(suffix)] = page.result()
        except Exception as error:  # Whatever a page's maker stumbles on, the other page and the numbers are good.
            message = clean.private(clean.printable(f"{type(error).__name__}: {error}"))
            faults.append(f"the {suffix.upper()} page could not be drawn: {message}")
    return pages, faults


def _make_room(run: Run, files: Collection[Path], *, failed: bool) -> None:
    """A good report that a failure would replace becomes the last good one; other pages and drawings of before go."""
    was_good = run.numbers().get("status") == "ok"
    for suffix in FORMATS:
        page, last_good = run.file(suffix), run.file(f"last-good.{suffix}")
        if failed and was_good and page.exists():
            page.replace(last_good)
        if not failed:
            last_good.unlink(missing_ok=True)
        # Also a page of a format that this run does not make: it would show other numbers than the new ones.
        page.unlink(missing_ok=True)
    for drawing in [*run.figures.glob("*.*"), *run.figures.glob("tables/*.csv")]:
        if drawing.suffix in (".svg", ".pdf", ".csv") and drawing not in files:
            drawing.unlink()


def missing_results(document: "Document") -> str:
    """What a run that finished should have recorded and did not, in words; "" if nothing is missing.

    That are its key figure and numbers (see `record.provenance`), the figures and tables that the text names as
    ``@fig-NAME`` and ``@tbl-NAME``, and works in references.bib, named as ``[@KEY]``.
    """
    from helpers.report import render
    from helpers.report.document import Figure, Table

    recorded = {block.name for block in document.blocks if isinstance(block, Figure | Table)} | set(document.numbers)
    if not recorded:
        return "the notebook recorded no figure, table or number (helpers.record does that)"
    key = filter(None, [document.key_figure, *document.key_numbers])
    if missing := [name for name in key if not fnmatch.filter(recorded, name)]:
        return f"record.provenance names key results that the run did not record: {', '.join(missing)}"
    unknown = render.unknown(document)
    if unknown:
        return f"the text refers to what the run did not record, or references.bib lacks: {', '.join(unknown)}"
    values = {name: number["value"] for name, number in document.numbers.items()}
    unusable = [name for name, value in values.items() if value is None or not math.isfinite(value)]
    return f"numbers that aren't finite: {', '.join(unusable)}" if unusable else ""


def _drawings(document: "Document", folder: Path) -> dict[Path, str | bytes]:
    """Each figure as SVG and PDF, and the numbers behind figures and tables as CSV."""
    from helpers.report.document import Figure, Table

    files: dict[Path, str | bytes] = {}
    for block in document.blocks:
        if isinstance(block, Figure):
            files |= {folder / f"{block.name}.svg": block.svg, folder / f"{block.name}.pdf": block.pdf}
        if isinstance(block, Figure | Table) and block.csv:
            # A table may have the name of a figure.
            place = folder / "tables" if isinstance(block, Table) else folder
            files[place / f"{block.name}.csv"] = block.csv
    return files
