"""The report command: ``python -m helpers.report``."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import ROOT
from helpers.report.parameters import defaults, plan
from helpers.report.progress import Progress
from helpers.report.run import CODE, FORMATS, Outcome, Settings, run
from helpers.report.workspace import QUICK, Refused, Workspace, load, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

TIME_LIMITS = {"smoke": 600.0, QUICK: 3600.0}
"""Seconds for one notebook where --timeout says nothing; other profiles have no limit."""
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = "Executes notebooks and turns each into a report: one HTML page, one PDF, and its numbers as JSON."
_EPILOG = """\
examples:
  python -m helpers.report                        every notebook, with its own defaults
  python -m helpers.report 01 06 -p EPOCHS 2      two notebooks, two epochs each
  python -m helpers.report 02 --profile full      the settings of the original experiment
  python -m helpers.report 01 --profile smoke --format html
  python -m helpers.report --list                 what there is to run, and with which parameters

The reports go to reports/<profile>/, with an index.html over them, the drawings to figures/<profile>/<notebook>/.
A notebook's parameters come from its own defaults, then the profile, then -f, then -p: the last one counts.
The exit status is 0 if every notebook went well, 1 if one failed, 2 if nothing was run because of a mistake in the
command, 130 after Ctrl-C.
"""


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
    options = _parser().parse_intermixed_args(argv)
    workspace = Workspace(root.resolve())
    try:
        if options.list:
            _print_to_the_end(_list(workspace, options.notebooks))
            return OK
        return _run_all(workspace, options)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="a number (01), a name or a path; all numbered ones if none is given",
    )
    parser.add_argument("--profile", default=QUICK, metavar="NAME", help="quick (the default), smoke or full")
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="assignments",
        metavar=("NAME", "VALUE"),
        help="sets a parameter",
    )
    parser.add_argument("-f", type=Path, dest="file", metavar="FILE.yaml", help="sets the parameters in a YAML file")
    parser.add_argument(
        "--format",
        type=_formats,
        default=FORMATS,
        dest="formats",
        metavar="html,pdf",
        help="which pages to make (both)",
    )
    parser.add_argument(
        "--show-code",
        choices=CODE,
        default="key",
        help="whose code the PDF shows: no cell's, that of the cells tagged key (the default), or all; HTML folds it",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="stops a notebook that takes longer; 0 for no limit (smoke 600, quick 3600, others none)",
    )
    parser.add_argument("--list", action="store_true", help="lists notebooks, their parameters and profiles, and ends")
    return parser


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(part.strip().lower() for part in text.split(","))
    if not set(formats) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"{text!r} isn't html, pdf or html,pdf")
    return formats


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of seconds")
    return seconds


def _run_all(workspace: Workspace, options: argparse.Namespace) -> int:
    # Everything that can be refused is, before the first notebook runs.
    notebooks = workspace.choose(options.notebooks)
    workspace.check_profile(options.profile)
    planned = plan(workspace, notebooks, profile=options.profile, file=options.file, assignments=options.assignments)
    workspace.check_writable(options.profile)
    for note in planned.notes:
        print(f"note: {note}", file=sys.stderr)
    default_limit = TIME_LIMITS.get(options.profile)
    limit = default_limit if options.timeout is None else options.timeout or None
    settings = Settings(options.profile, options.formats, limit, options.show_code)
    outcomes, finished = _run_each(workspace, planned.values, settings)
    print(_summary(outcomes, workspace.reports(options.profile)))
    _write_index(workspace, options.profile)
    if not finished:
        stopped = notebooks[len(outcomes)].stem
        print(f"interrupted in {stopped}: its kernel was stopped, what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    return FAILED if any(outcome.error for outcome in outcomes) else OK


def _run_each(
    workspace: Workspace, values: Mapping[Path, dict[str, Any]], settings: Settings
) -> tuple[list[Outcome], bool]:
    """The outcomes of the notebooks that ran, and whether all did: Ctrl-C ends the row."""
    progress = Progress(sys.stderr)
    outcomes: list[Outcome] = []
    for notebook, parameters in values.items():
        try:
            outcome = run(notebook, workspace, settings, parameters=parameters, progress=progress)
        except KeyboardInterrupt:
            return outcomes, False
        outcomes.append(outcome)
        progress.message(f"{outcome.name}  {'failed: ' + outcome.error if outcome.error else 'ok'}")
    return outcomes, True


def _summary(outcomes: Sequence[Outcome], folder: Path) -> str:
    """The closing table: one line for each notebook."""
    rows = [("notebook", "state", "run s", "report s", "peak MiB", "files")]
    for outcome in outcomes:
        suffixes = ",".join(path.name.removeprefix(f"{outcome.name}.") for path in outcome.files)
        rows.append(
            (
                outcome.name,
                "FAILED" if outcome.error else "ok",
                f"{outcome.execute_seconds:.1f}",
                f"{outcome.render_seconds:.1f}",
                "–" if outcome.peak_mib is None else f"{outcome.peak_mib:.0f}",
                suffixes and f"{outcome.name}.{{{suffixes}}}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for name, state, *figures, files in rows:
        right = [figure.rjust(width) for figure, width in zip(figures, widths[2:5], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), state.ljust(widths[1]), *right, files]).rstrip())
    return "\n".join([*lines, f"in {_short(folder)}, with index.html over them"])


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


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


def _write_index(workspace: Workspace, profile: str) -> None:
    from helpers.report import index

    entries = index.entries(workspace.reports(profile), workspace.root / "figures" / profile)
    write(workspace.reports(profile) / "index.html", index.render(entries, profile=profile))
