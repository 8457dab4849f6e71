"""The report command: ``python -m helpers.report``."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import ROOT
from helpers.report import closing, overview
from helpers.report.batch import Batch, run_batch
from helpers.report.incremental import FORCED, Work, look
from helpers.report.options import parser
from helpers.report.order import after, in_order, predecessors
from helpers.report.parameters import defaults, plan
from helpers.report.plain import read
from helpers.report.progress import Progress
from helpers.report.run import Outcome
from helpers.report.workspace import BOOK, QUICK, Refused, Task, Workspace, load, make_folder
from helpers.report.writing import Settings

if TYPE_CHECKING:
    from nbformat import NotebookNode

TIME_LIMITS = {"smoke": 600.0, QUICK: 3600.0}
"""Seconds for one notebook where --timeout says nothing; other profiles have no limit."""
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Runs the command.

    Args:
        argv: the arguments, of the process itself if None.
        root: the folder that holds ``notebooks/`` and gets ``reports/`` and ``figures/``.

    Returns:
        The exit status: 0 all well, 1 a notebook failed, 2 refused before anything ran, 130 interrupted.

    Raises:
        SystemExit: from argparse, after --help (0) or a malformed command line (2).
    """
    options = parser().parse_intermixed_args(argv)
    workspace = Workspace(root.resolve())
    try:
        if options.list:
            _print_to_the_end(_list(workspace, options.notebooks))
            return OK
        # Everything that can be refused is, before the first notebook runs.
        workspace.check_profile(options.profile)
        if options.sweep or options.sweep_file:
            return _sweep(workspace, options)
        return _reports(workspace, options)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:  # while no notebook ran: those that do are told by name
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _reports(workspace: Workspace, options: argparse.Namespace) -> int:
    """One report for each notebook, and what stands over them."""
    notebooks = workspace.choose(options.notebooks)
    planned = plan(workspace, notebooks, profile=options.profile, file=options.file, assignments=options.assignments)
    book = overview.book_settings(workspace, author=options.author, course=options.course)
    workspace.check_writable(options.profile)
    for note in planned.notes:
        print(f"note: {note}", file=sys.stderr)
    before = predecessors({notebook: after(read(notebook)) for notebook in notebooks}, workspace)
    tasks = [
        workspace.task(options.profile, notebook, planned.values[notebook]) for notebook in in_order(notebooks, before)
    ]
    declared = {notebook.stem: [earlier.stem for earlier in earliers] for notebook, earliers in before.items()}
    settings = _settings(options)
    works, outcomes, all_ended = _do(tasks, declared, settings, options)
    problem = ""
    if outcomes or overview.is_outdated(workspace, settings, book):
        problem = overview.write_book(workspace, settings, book)
        overview.write_index(workspace, options.profile)
    print(closing.table(works, outcomes))
    _print_place(workspace.reports(options.profile), ("index.html", BOOK))
    return _closed(works, outcomes, all_ended, problem)


def _sweep(workspace: Workspace, options: argparse.Namespace) -> int:
    """One report for each point of a sweep over one notebook's parameters, and a table of all."""
    from helpers.report import sweep

    notebooks = workspace.choose(options.notebooks) if options.notebooks else []
    if len(notebooks) != 1:
        raise Refused("a sweep takes one notebook, such as: python -m helpers.report 02 --sweep SEED=0..4")
    points = sweep.points(
        workspace,
        notebooks[0],
        profile=options.profile,
        file=options.file,
        assignments=options.assignments,
        grid=options.sweep,
        sweep_file=options.sweep_file,
    )
    tasks = sweep.tasks(workspace, options.profile, notebooks[0], points)
    for folder in (tasks[0].reports, tasks[0].figures.parent):
        make_folder(folder)
    settings = _settings(options)
    works, outcomes, all_ended = _do(tasks, {}, settings, options)
    # An outcome without files left the report of an earlier run.
    renewed = {name for name, outcome in outcomes.items() if outcome.files}
    outdated = [work.task.name for work in works if {*work.reasons} - {FORCED} and work.task.name not in renewed]
    problem = overview.write_sweep(workspace, settings, notebooks[0], points, outdated=outdated)
    print(closing.table(works, outcomes))
    _print_place(tasks[0].reports, overview.SWEEP_FILES)
    return _closed(works, outcomes, all_ended, problem)


def _print_place(folder: Path, over: Sequence[str]) -> None:
    print(f"in {closing.short(folder)}, with {overview.written(folder, over)} over them")


def _settings(options: argparse.Namespace) -> Settings:
    default_limit = TIME_LIMITS.get(options.profile)
    limit = default_limit if options.timeout is None else options.timeout or None
    return Settings(options.profile, options.formats, limit, options.show_code)


def _do(
    tasks: Sequence[Task], declared: dict[str, list[str]], settings: Settings, options: argparse.Namespace
) -> tuple[list[Work], dict[str, Outcome], bool]:
    """What there was to do, the outcomes of what ended, by name, and whether all did: Ctrl-C ends the rest."""
    works = look(tasks, settings, force=options.force, elsewhere=bool(options.scheduler))
    left = [work for work in works if not work.is_done]
    progress = Progress(sys.stderr)
    outcomes: dict[str, Outcome] = {}
    for work in works:
        progress.message(closing.why(work))

    def finished(work: Work, outcome: Outcome) -> None:
        outcomes[work.task.name] = outcome
        progress.message(closing.ended(outcome))

    batch = Batch(left, declared, options.jobs or 1, options.scheduler)
    all_ended = not left or run_batch(batch, settings, progress=progress, finished=finished)
    return works, outcomes, all_ended


def _closed(works: Sequence[Work], outcomes: dict[str, Outcome], all_ended: bool, problem: str) -> int:
    """The exit status, once what went wrong has been said; ``problem`` is with what stands over the reports."""
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    if not all_ended:
        stopped = [work.task.name for work in works if not work.is_done and work.task.name not in outcomes]
        print(
            f"interrupted: {', '.join(stopped)} did not end; kernels were stopped, what was finished is kept",
            file=sys.stderr,
        )
        return INTERRUPTED
    return FAILED if problem or any(outcome.error for outcome in outcomes.values()) else OK


def _print_to_the_end(lines: Iterable[str]) -> None:
    """Prints the lines, unless whoever reads them, such as ``head``, has had enough."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # At its end Python flushes what is left, and would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _list(workspace: Workspace, names: Sequence[str]) -> Iterator[str]:
    for notebook in workspace.choose(names):
        content = load(notebook)
        parameters = defaults(content, name=notebook.stem)
        profiles = [p for p in workspace.profiles() if p == QUICK or workspace.profile_file(p, notebook).is_file()]
        yield f"{notebook.stem}: {_title(content, notebook.stem)}"
        yield f"    profiles: {', '.join(profiles)}"
        yield from (f"    {name} = {value!r}" for name, value in parameters.items())


def _title(notebook: "NotebookNode", name: str) -> str:
    from helpers.report.document import read

    return read(notebook, name=name).title
