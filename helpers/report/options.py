"""The command line of ``python -m helpers.report``."""

import argparse
from pathlib import Path

from helpers.report.workspace import QUICK
from helpers.report.writing import CODE, FORMATS

_DESCRIPTION = "Executes notebooks and turns each into a report: one HTML page, one PDF, and its numbers as JSON."
_EPILOG = """\
examples:
  python -m helpers.report                        every notebook, with its own defaults
  python -m helpers.report 01 06 -p EPOCHS 2      two notebooks, two epochs each
  python -m helpers.report 02 --profile full      the settings of the original experiment
  python -m helpers.report 01 --profile smoke --format html
  python -m helpers.report 02 --sweep SEED=0..4 LEARNING_RATE=1e-3,3e-4 --jobs 2
  python -m helpers.report --scheduler tcp://host:8786
  python -m helpers.report --list                 what there is to run, and with which parameters

A notebook runs again only if its code, its parameters, the helpers or libraries that it uses or its data changed; if
only text changed, its pages are drawn anew. --force runs all.
The reports go to reports/<profile>/, with index.html over them and all of them in workbook.pdf; figures, and the
numbers behind figures and tables, go to figures/<profile>/<notebook>/; sweeps to reports/<profile>/sweeps/<notebook>/.
A notebook's parameters come from its own defaults, then the profile, then -f, then -p: the last one counts.
The exit status is 0 if every notebook went well, 1 if one failed, 2 if nothing was run because of a mistake in the
command, 130 after Ctrl-C.
"""


def parser() -> argparse.ArgumentParser:
    """The parser; use its ``parse_intermixed_args``, so that options may stand anywhere."""
    made = argparse.ArgumentParser(
        prog="python -m helpers.report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="a number (01), a name or a path; all numbered ones if none is given",
    )
    made.add_argument("--list", action="store_true", help="lists notebooks, their parameters and profiles, and ends")
    _add_parameters(made.add_argument_group("parameters"))
    _add_execution(made.add_argument_group("execution"))
    _add_reports(made.add_argument_group("reports"))
    return made


def _add_parameters(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--profile", default=QUICK, metavar="NAME", help="quick (the default), smoke or full")
    group.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="assignments",
        metavar=("NAME", "VALUE"),
        help="sets a parameter",
    )
    group.add_argument("-f", type=Path, dest="file", metavar="FILE.yaml", help="sets the parameters in a YAML file")
    group.add_argument(
        "--sweep",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUES",
        help="runs one notebook at each point of a grid: values parted by commas, or a range such as 0..4",
    )
    group.add_argument(
        "--sweep-file", type=Path, metavar="FILE.yaml", help="the same at each of a list of parameter sets"
    )


def _add_execution(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--force", action="store_true", help="runs also what has not changed since its last run")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=_jobs, metavar="N", help="runs N notebooks at a time on this machine (1)")
    where.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="runs them on the workers of a Dask scheduler, such as tcp://host:8786",
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="stops a notebook that takes longer; 0 for no limit (smoke 600, quick 3600, others none)",
    )


def _add_reports(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        type=_formats,
        default=FORMATS,
        dest="formats",
        metavar="html,pdf",
        help="which pages to make (both)",
    )
    group.add_argument(
        "--show-code",
        choices=CODE,
        default="key",
        help="whose code the PDF shows: no cell's, that of the cells tagged key (the default), or all; HTML folds it",
    )
    group.add_argument("--author", help="on the title page of workbook.pdf")
    group.add_argument("--course", help="likewise")


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(part.strip().lower() for part in text.split(","))
    if not set(formats) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"{text!r} isn't html, pdf or html,pdf")
    return formats


def _jobs(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of notebooks")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of seconds")
    return seconds
