"""``python -m tests.benchmarks NAME …``: runs the `main` of that benchmark, whose arguments are the options."""

import argparse
import importlib
import inspect
import os
import sys

from helpers import WorkbookError

NAMES = ("frozen", "loop", "neighbours", "scaling")


def main(name: str, *arguments: str) -> None:
    benchmark = importlib.import_module(f"tests.benchmarks.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks {name}",
        description=benchmark.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, parameter in inspect.signature(benchmark.main).parameters.items():
        usual = parameter.default
        if usual is parameter.empty:
            how = {"required": True}
        elif isinstance(usual, tuple):
            how = {"nargs": "*", "type": type(usual[0]), "default": usual}
        else:
            how = {"type": type(usual), "default": usual}
        parser.add_argument(f"--{option.replace('_', '-')}", help="default: %(default)s", **how)
    benchmark.main(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: python -m tests.benchmarks {{{','.join(NAMES)}}} [--help]")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        main(*sys.argv[1:])
    except WorkbookError as error:
        sys.exit(str(error))
