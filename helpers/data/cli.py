"""``python -m helpers.data``: what data sets are here, and fetching those that are not."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers import DATA, WorkbookError
from helpers.data import catalogue
from helpers.data.errors import DataError, UnknownDataError
from helpers.data.fetch import fetch

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
examples:
  python -m helpers.data list                     which data sets are on this machine
  python -m helpers.data fetch cifar10            download and check one
  python -m helpers.data fetch cifar10 --url https://mirror.example.org/files

Data sets go to data/, or to the folder that the environment variable WORKBOOK_DATA names.
data/README.md says what lies where.
The exit status is 0 if all went well, 1 if a fetch failed, 2 for a mistake in the command, 130 after Ctrl-C.
"""


def main(argv: Sequence[str] | None = None, *, root: Path = DATA) -> int:
    """Runs the command.

    Args:
        argv: the arguments, of the process itself if None.
        root: the data folder.

    Returns:
        The exit status: 0 all well, 1 a fetch failed, 2 a name that does not exist, 130 interrupted.

    Raises:
        SystemExit: from argparse, after --help (0) or a malformed command line (2).
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "list":
            _list(root)
        else:
            _fetch(options, root)
        return OK
    except UnknownDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.data",
        description="Shows and fetches the data sets that the notebooks use.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("list", help="shows the data sets, and whether they are on this machine")
    fetching = commands.add_parser("fetch", help="downloads a data set and checks it")
    fetching.add_argument("name", metavar="NAME", help=", ".join(catalogue.ENTRIES))
    add_fetch_options(fetching)
    return parser


def add_fetch_options(fetching: argparse.ArgumentParser) -> None:
    """Adds --url and --timeout, which every command that downloads takes."""
    fetching.add_argument(
        "--url",
        metavar="BASE",
        action="append",
        default=[],
        help="folder of a mirror that holds the same files (http, https or file address); give it again for further "
        "mirrors, which are tried in order",
    )
    fetching.add_argument(
        "--timeout", type=_seconds, default=30, help="seconds to wait for a silent server (default: %(default)s)"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of seconds up to 3600")
    return seconds


def _fetch(options: argparse.Namespace, root: Path) -> None:
    folder = fetch(options.name, root=root, urls=options.url, timeout=options.timeout)
    print(f"{catalogue.get(options.name).title} lies in {catalogue.describe_where(folder)}")


def _list(root: Path) -> None:
    rows = [("name", "title", "state")]
    known = [*catalogue.ENTRIES.values(), *catalogue.LOCAL_SETS.values()]
    rows += [(entry.name, entry.title, _state(entry, root)) for entry in known]
    rows += [
        ("shapes", "Drawn shapes", "always here, drawn by code"),
        ("folder:<path>", "Your own images", "a folder for each class, see data/README.md"),
    ]
    print_rows(rows)
    cache = root / "cache"
    print(f"\n{catalogue.describe_where(cache)} holds {_megabytes(cache)} and can be deleted at any time.")


def print_rows(rows: Sequence[tuple[str, str, str]]) -> None:
    """Prints three columns, the first two as wide as their longest text."""
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for first, second, third in rows:
        print(f"{first:{widths[0]}}  {second:{widths[1]}}  {third}")


def _state(entry: catalogue.Entry | catalogue.LocalSet, root: Path) -> str:
    try:
        folder = catalogue.find(entry.name, root=root)
    except DataError as error:  # a broken link, say: the others are listed all the same
        return f"unclear: {error}"
    if folder is not None:
        return f"here, {_megabytes(folder)}, from {catalogue.describe_where(folder)}"
    if isinstance(entry, catalogue.LocalSet):
        return f"missing: put a folder there, {catalogue.describe_where(root)}/{entry.name}, see data/README.md"
    return f"missing: python -m helpers.data fetch {entry.name} ({entry.size / 1e6:.0f} MB)"


def _megabytes(folder: Path) -> str:
    """Size of all files in a folder and below it."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:,.0f} MB"
