"""The report command: ``python -m helpers.report``."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from helpers import ROOT
from helpers.files import print_anything, print_lines, start_in_utf8
from helpers.phrases import for_terminal
from helpers.report.clean import printable
from helpers.report.parameters import defaults, plan
from helpers.report.run import in_words
from helpers.report.workspace import (
    CODE,
    EDITIONS,
    FORMATS,
    QUICK,
    Refused,
    Run,
    Settings,
    Workspace,
    chosen_language,
    make_folder,
    nearest,
    read,
)

TIME_LIMITS = {"smoke": 600.0, QUICK: 3600.0}
"""Seconds for one notebook where --timeout says nothing; other profiles have no limit."""
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
REASONS_SHOWN = 3

_DESCRIPTION = "Executes notebooks and turns each into a report: one HTML page, one PDF, and its numbers as JSON."
_EPILOG = """\
examples:
  python -m helpers.report                        every notebook, with its own defaults
  python -m helpers.report 01 06 -p EPOCHS 2      two notebooks, two epochs each
  python -m helpers.report 02 --profile full      the settings of the original experiment
  python -m helpers.report 01 --profile smoke --format html
  python -m helpers.report 02 --sweep SEED=0..4 LEARNING_RATE=1e-3,3e-4 --jobs 2
  python -m helpers.report --scheduler tls://host:8786
  python -m helpers.report --list                 what there is to run, and with which parameters

A notebook runs again only if its code, its parameters, the helpers or libraries that it uses or its data changed; if
only text changed, its pages are drawn anew. --force runs all, and trains anew.
The reports go to reports/<profile>/, with index.html over them and all of them in workbook.pdf; figures, and the
numbers behind figures and tables, go to figures/<profile>/<notebook>/; sweeps to reports/<profile>/sweeps/<notebook>/.
A notebook's parameters come from its own defaults, then the profile, then -f, then -p: the last one counts.
The exit status is 0 if every notebook went well, 1 if one failed, 2 if nothing was run because of a mistake in the
command, 130 after Ctrl-C.
"""


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Runs the command for the notebooks below ``root`` and returns its exit status; see its --help."""
    if argv is None:
        start_in_utf8()
    print_anything()
    options = _parser().parse_intermixed_args(argv)
    workspace = Workspace(root.resolve())
    try:
        if options.list:
            lines = _list(workspace, options.notebooks)
        elif options.new:
            lines = workspace.add_notebook(*options.new)
        elif options.catalogues:
            from helpers.report.language import write_catalogues

            lines = write_catalogues(options.catalogues, workspace, options.notebooks)
        else:
            make = _verify if options.verify else _sweep if options.sweep or options.sweep_file else _reports
            return make(workspace, options, _settings(workspace, options))
        _print(lines)
        return OK
    except Refused as error:
        _say(f"error: {error}")
        return REFUSED
    except OSError as error:
        _say(f"error: {in_words(error)}")
        return FAILED
    except KeyboardInterrupt:  # while no notebook ran: those that do are told by name
        _say("interrupted")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.report",
        usage="%(prog)s [NOTEBOOK ...] [-p NAME VALUE] [...]; --help has all options, and examples",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    notebook = "a number (01), a name or a path; all numbered ones if none is given"
    add("notebooks", nargs="*", metavar="NOTEBOOK", help=notebook)
    catalogues = "writes the catalogues of a language, with an entry for each text of the notebooks, and ends"
    add("--catalogues", metavar="CODE", help=catalogues)
    add("--list", action="store_true", help="lists notebooks, their parameters and profiles, and ends")
    new = "begins a notebook of your own: copies the template and its profiles under a free number and a name, and ends"
    add("--new", nargs=2, metavar=("NUMBER", "NAME"), help=new)

    group = parser.add_argument_group("parameters")
    add, points = group.add_argument, group.add_mutually_exclusive_group().add_argument
    add("--profile", default=QUICK, metavar="NAME", help="quick (the default), smoke, real or full")
    assignment = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    add("-p", dest="assignments", help="sets a parameter", **assignment)
    add("-f", type=Path, dest="file", metavar="FILE.yaml", help="sets the parameters in a YAML file")
    grid = "runs one notebook at each point of a grid: values parted by commas, or a range such as 0..4"
    points("--sweep", nargs="+", action="extend", default=[], metavar="NAME=VALUES", help=grid)
    points("--sweep-file", type=Path, metavar="FILE.yaml", help="the same at each of a list of parameter sets")

    verify = (
        "runs executed notebooks that were handed in once more, or all in a folder, and says what is not as computed"
    )
    add("--verify", nargs="+", type=Path, metavar="FILE", help=verify)

    group = parser.add_argument_group("execution")
    group.add_argument("--force", action="store_true", help="runs also what has not changed, and trains anew")
    where = group.add_mutually_exclusive_group()
    jobs = "runs N notebooks at a time on this machine (as many as it has cores and memory for)"
    where.add_argument("--jobs", type=int, default=0, metavar="N", help=jobs)
    scheduler = "runs them on the workers of a Dask scheduler, such as tls://host:8786"
    where.add_argument("--scheduler", default="", metavar="ADDRESS", help=scheduler)
    threads = "computes with N threads in each notebook, and other last digits of the results than with 1, the default"
    group.add_argument("--threads", type=int, default=1, metavar="N", help=threads)
    limit = "stops a notebook that takes longer; 0 for no limit (smoke 600, quick 3600, others none)"
    group.add_argument("--timeout", type=float, metavar="SECONDS", help=limit)

    add = parser.add_argument_group("reports").add_argument
    formats = (*FORMATS, ",".join(FORMATS))
    pages = "which pages to make (both)"
    add("--format", choices=formats, type=str.lower, default=formats[-1], metavar=formats[-1], help=pages)
    code = "whose code the PDF shows: no cell's, that of the cells tagged key (the default), or all; HTML folds it"
    add("--show-code", choices=CODE, default="key", help=code)
    language = "the language of the reports: en, or one of notebooks/languages; counts before [tool.workbook] language"
    add("--lang", metavar="CODE", help=language)
    edition = "which PDFs to make: what one hands in (the default), or all that HTML has, cells tagged detail too"
    add("--edition", choices=EDITIONS, default="hand-in", help=edition)
    cover = "what stands on the first page of the PDFs; counts before [tool.workbook.cover] in pyproject.toml"
    add("--cover", type=Path, metavar="FILE.yaml", help=cover)
    return parser


def _settings(workspace: Workspace, options: argparse.Namespace) -> Settings:
    """What can be refused is, before the first notebook runs."""
    from helpers.report import cover
    from helpers.report.batch import jobs_for

    if options.profile not in (known := workspace.profiles()):
        raise Refused(f"there is no profile {options.profile!r}{nearest(options.profile, known)}")
    if options.jobs < 0 or options.threads < 1 or not (options.timeout or 0) >= 0:
        raise Refused("--jobs and --timeout are 0 or more, --threads 1 or more")
    default_limit = TIME_LIMITS.get(options.profile)
    return Settings(
        profile=options.profile,
        formats=options.format.split(","),
        time_limit=default_limit if options.timeout is None else options.timeout or None,
        show_code=options.show_code,
        edition=options.edition,
        language=chosen_language(workspace.root, options.lang),
        cover=cover.read(workspace.root, options.cover),
        jobs=options.jobs or jobs_for(options.threads),
        scheduler=options.scheduler,
        threads=options.threads,
        anew=time.time() if options.force else 0.0,
    )


def _reports(workspace: Workspace, options: argparse.Namespace, settings: Settings) -> int:
    """One report for each notebook, and what stands over them."""
    from helpers.report import book, index

    notebooks = workspace.choose(options.notebooks)
    values, notes = plan(
        workspace, notebooks, profile=options.profile, file=options.file, assignments=options.assignments
    )
    runs = [workspace.run(options.profile, notebook, values[notebook]) for notebook in notebooks]
    for note in notes:
        _say(f"note: {note}")
    _run(runs, settings)
    reports, problem = workspace.reports(options.profile), ""
    page = reports / "index.html"
    if any(run.is_written for run in runs) or book.is_outdated(reports, settings):
        documents = index.gathered(reports, settings.language)
        problem = book.write_book(reports, documents, settings)
        index.write_page(reports, documents, settings)
    return _close(runs, settings, page, problem)


def _sweep(workspace: Workspace, options: argparse.Namespace, settings: Settings) -> int:
    """One report for each point of a sweep over one notebook's parameters, and one over all of them."""
    from helpers.report import index, sweep

    notebooks = workspace.choose(options.notebooks) if options.notebooks else []
    if len(notebooks) != 1:
        raise Refused("a sweep takes one notebook, such as: python -m helpers.report 02 --sweep SEED=0..4")
    workspace.choose([sweep.SUMMARY])  # missed now, not when all points have run
    runs = sweep.points(
        workspace,
        notebooks[0],
        profile=options.profile,
        file=options.file,
        assignments=options.assignments,
        grid=options.sweep,
        sweep_file=options.sweep_file,
    )
    _run(runs, settings)
    # Also after Ctrl-C: what an earlier command wrote would show other numbers than the points' reports.
    over = sweep.summary(workspace, options.profile, runs)
    _run([over], replace(settings, jobs=1, scheduler="", anew=0.0))
    reports = workspace.reports(options.profile)
    index.write_page(reports, index.gathered(reports, settings.language), settings)
    return _close([*runs, over], settings, over.file(settings.formats[0]))


def _verify(workspace: Workspace, options: argparse.Namespace, settings: Settings) -> int:
    """A line for each hand-in, and what is wrong with it."""
    from helpers.report.verify import verify

    if options.notebooks or options.assignments or options.file or options.sweep or options.sweep_file:
        raise Refused(
            "--verify takes the parameters that the hand-ins hold, and no notebook, -p, -f or --sweep beside it"
        )
    paths = [
        path for given in options.verify for path in (sorted(given.glob("*.ipynb")) if given.is_dir() else [given])
    ]
    if missing := [str(path) for path in paths or options.verify if not path.is_file()]:
        raise Refused(f"there is no executed notebook {missing[0]}")
    are_good: list[bool] = []
    try:
        for verdict in verify(paths, replace(settings, time_limit=options.timeout or None), workspace.root):
            _print([*verdict.lines(), ""])
            are_good.append(verdict.is_good)
    except KeyboardInterrupt:
        _say(f"interrupted: {len(are_good)} of {len(paths)} hand-ins were compared; kernels were stopped")
        return INTERRUPTED
    return OK if all(are_good) else FAILED


def _run(runs: Sequence[Run], settings: Settings) -> None:
    """Does what there is to do, and says what and why."""
    from helpers.report.batch import run_all
    from helpers.report.incremental import look

    for folder in (runs[0].reports, runs[0].figures.parent):
        make_folder(folder)
    look(runs, settings)
    for run in runs:
        _say(f"{run.name}  {_why(run)}")

    def finished(run: Run) -> None:
        stays = not run.is_written and any(run.file(suffix).is_file() for suffix in FORMATS)
        failed = "failed, the report of an earlier run stays" if stays else "failed"
        _say(f"{run.name}  {f'{failed}: {run.error}' if run.error else 'ok'}")

    run_all([run for run in runs if run.is_due], settings, finished)


def _close(runs: Sequence[Run], settings: Settings, page: Path, problem: str = "") -> int:
    """Tells how all went, and gives the exit status."""
    rows = [("notebook", "state", "run s")]
    for run in runs:
        if not run.was_stopped:
            state = "FAILED" if run.error else "ok" if run.reasons else "drawn anew" if run.redraw else "unchanged"
            rows.append((run.name, state, "–" if run.execute_seconds is None else f"{run.execute_seconds:.1f}"))
    width = max(len(row[0]) for row in rows)
    _print(f"{name:{width}}  {state:10}  {seconds:>8}" for name, state, seconds in rows)
    _print([f"over all: {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}"])
    if problem:
        _say(f"error: {problem}")
    _tell_untranslated(settings.language)
    if stopped := ", ".join(run.name for run in runs if run.was_stopped):
        _say(f"interrupted: {stopped} did not end; kernels were stopped, what was finished is kept")
        return INTERRUPTED
    return FAILED if problem or any(run.error for run in runs) else OK


def _why(run: Run) -> str:
    """What is done with a notebook, and why."""
    if not run.is_due:
        return "unchanged"
    reasons = run.reasons or run.redraw
    more = len(reasons) - REASONS_SHOWN
    rest = f", and {more} more" if more > 0 else ""
    return f"{'runs' if run.reasons else 'is drawn anew'}: {', '.join(reasons[:REASONS_SHOWN])}{rest}"


def _tell_untranslated(code: str) -> None:
    from helpers.report.language import Language

    missing = sorted(Language.missing)
    Language.missing.clear()
    if missing:
        where, example = f"notebooks/languages/{code}", missing[0][:60]
        _say(f"note: {len(missing)} texts have no entry in {where} and stay English, such as {example!r}")


def _say(text: str) -> None:
    """A line to stderr above those of the notebooks under way. What notebooks say must not move a terminal's cursor."""
    from tqdm import tqdm

    tqdm.write(for_terminal(printable(text)), file=sys.stderr)


def _print(lines: Iterable[str]) -> None:
    print_lines(for_terminal(printable(line)) for line in lines)


def _list(workspace: Workspace, names: Sequence[str]) -> Iterator[str]:
    from helpers.report import document

    for notebook in workspace.choose(names):
        content = read(notebook)
        parameters = defaults(content, name=notebook.stem)
        profiles = [p for p in workspace.profiles() if p == QUICK or workspace.profile_file(p, notebook).is_file()]
        yield f"{notebook.stem}: {document.read(content, name=notebook.stem).title}"
        yield f"    profiles: {', '.join(profiles)}"
        yield from (f"    {name} = {value!r}" for name, value in parameters.items())
