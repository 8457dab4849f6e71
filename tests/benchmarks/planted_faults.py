"""Do the tests notice when something is wrong?

Faults that are easy to make and hard to see are planted one by one into a copy of the repository, and the tests of the
module are run on it: one of them has to fail. `tests/README.md` records the result.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from helpers import ROOT
from tests.benchmarks.planting.fault import Fault
from tests.benchmarks.planting.faults import FAULTS
from tests.benchmarks.planting.trial import PlantingError, check_import, copy_sources, first_failure, planted


def main(argv: Sequence[str]) -> int:
    """Prints a Markdown table; the exit status is 1 if a fault survived.

    Raises:
        PlantingError: a fault can't be planted, or the tests fail without any.
    """
    faults = _chosen(_parser().parse_args(argv).only)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder).resolve() / "copy"
        copy_sources(ROOT, copy)
        check_import(copy)
        if failed := first_failure(copy, sorted({test for fault in faults for test in fault.tests})):
            raise PlantingError(f"{failed} fails without any fault")
        survivors = _try_all(copy, faults)
    print(f"\n{len(faults) - len(survivors)} of {len(faults)} planted faults were caught")
    return int(bool(survivors))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks planted_faults", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the faults with one of these texts in their name")
    return parser


def _chosen(names: Sequence[str] | None) -> list[Fault]:
    chosen = [fault for fault in FAULTS if names is None or any(name in fault.name for name in names)]
    if not chosen:
        known = "\n".join(fault.name for fault in FAULTS)
        raise PlantingError(f"there is no fault {' or '.join(map(repr, names))}; there are:\n{known}")
    return chosen


def _try_all(copy: Path, faults: Sequence[Fault]) -> list[Fault]:
    """Prints a row for each fault, and returns those that no test noticed."""
    print("| fault | in | caught by | seconds |\n|---|---|---|---|")
    survivors = []
    for fault in faults:
        started = time.perf_counter()
        try:
            with planted(copy, fault):
                caught_by = first_failure(copy, fault.tests)
        except PlantingError as error:
            raise PlantingError(f"{fault.name}: {error}") from error
        if not caught_by:
            survivors.append(fault)
        by = f"`{caught_by.removeprefix('tests/')}`".replace("|", "\\|") if caught_by else "**nothing: it survived**"
        print(f"| {fault.name} | `{fault.file}` | {by} | {time.perf_counter() - started:.0f} |", flush=True)
    return survivors
