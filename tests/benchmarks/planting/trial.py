"""Runs tests on a copy of the repository, as it is and with a fault in it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from helpers import WorkbookError
from tests.benchmarks.planting.fault import Fault

TIME_LIMIT = 600
"""Seconds that the tests of one fault may take: a fault may well make them endless."""
NO_SOURCES = (".git", ".venv", "data", "reports", "figures", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
"""What a copy without git leaves out, in any folder but `helpers` and `tests`, which have a `data` of their own."""

_ALL_PASSED, _SOME_FAILED = 0, 1  # pytest's exit statuses


class PlantingError(WorkbookError):
    """A fault that can't be planted, or tests that can't be run: no test has had its say."""


def copy_sources(root: Path, target: Path) -> None:
    """Copies what git tracks or would track, as it lies in the folder; without git all that no run has written."""
    listing = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(listing, capture_output=True, text=True)
    except FileNotFoundError:
        answer = None
    if answer is None or answer.returncode:
        shutil.copytree(root, target, ignore=_not_sources, dirs_exist_ok=True)
        return
    for name in filter(None, answer.stdout.split("\0")):
        if (root / name).is_file():  # a tracked file may have been deleted
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def check_import(copy: Path) -> None:
    """Makes sure that tests in the copy import its own helpers: pip has installed those of the original.

    Raises:
        PlantingError: they import others.
    """
    command = [sys.executable, "-c", "import helpers; print(helpers.__file__)"]
    # From another folder, as kernels and processes that tests start.
    answer = subprocess.run(command, cwd=copy.parent, env=_environment(copy), capture_output=True, text=True)
    if answer.returncode or not Path(answer.stdout.strip()).is_relative_to(copy):
        raise PlantingError(f"the copy's helpers are not imported, but {answer.stdout or answer.stderr}")


@contextmanager
def planted(copy: Path, fault: Fault) -> Iterator[None]:
    """The copy with the fault in it, until the context ends.

    Raises:
        PlantingError: the text to replace is not there exactly once.
    """
    file = copy / fault.file
    sound = file.read_text(encoding="utf-8")
    if (count := sound.count(fault.old)) != 1:
        raise PlantingError(f"{fault.file} has this text {count} times, not once:\n{fault.old}")
    file.write_text(sound.replace(fault.old, fault.new), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(sound, encoding="utf-8")


def first_failure(copy: Path, tests: Sequence[str]) -> str:
    """The first of these tests that fails in the copy, as pytest names it; "" if all pass.

    Raises:
        PlantingError: pytest ends without a verdict (a module that can't be imported, no tests …), or doesn't end.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--color=no", *tests]
    try:
        answer = subprocess.run(
            command, cwd=copy, env=_environment(copy), capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise PlantingError(f"{' '.join(tests)} took more than {TIME_LIMIT} seconds") from None
    if answer.returncode == _ALL_PASSED:
        return ""
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", answer.stdout, re.MULTILINE)
    # A fixture that raises has the same status as a test that fails, and is none.
    if answer.returncode != _SOME_FAILED or not failed:
        raise PlantingError(f"pytest {' '.join(tests)} ended with {answer.returncode}:\n{answer.stdout[-3000:]}")
    return failed[1]


def _environment(copy: Path) -> dict[str, str]:
    # A fault of the same length, written within the same second, would not be seen behind compiled files.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return environment


def _not_sources(folder: str, names: list[str]) -> set[str]:
    written = shutil.ignore_patterns(*NO_SOURCES)(folder, names)
    return written - {"data"} if Path(folder).name in ("helpers", "tests") else written
