"""Do notebooks that are killed end with the same numbers?

Each runs once in peace. In another folder the same run is killed again and again, the report command or its kernel, at
random moments and in the midst of its trainings, and then left to end. All numbers and tables that the two record have
to be equal bit for bit, but for durations.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from helpers import ROOT, WorkbookError
from helpers.report.workspace import Workspace
from tests.command import report_command

TIMES = {
    *("seconds", "seconds an epoch", "seconds for that", "s an epoch", "s for that", "s/epoch", "training, s"),
    *("images/s", "layers run once", "epochs from a checkpoint"),
}
"""Columns (and first cells of rows) that differ between any two runs, and those that say what a checkpoint saved."""


class KillingError(WorkbookError):
    """A run that should have ended well, and did not."""


@dataclass(frozen=True)
class Kill:
    """A SIGKILL to come.

    Attributes:
        target: "command" or "kernel"; the command where there is no kernel yet.
        trainings: that have to begin in this run before.
        seconds: to wait then.
    """

    target: str
    trainings: int
    seconds: float


@dataclass(frozen=True)
class Hit:
    """What a kill met.

    Attributes:
        target: as the kill's.
        cell: that was under way, "" before the first, or "the end" where the kill came too late.
        begun: how many trainings had a checkpoint.
    """

    target: str
    cell: str
    begun: int


@dataclass(frozen=True)
class Trial:
    """What became of a notebook.

    Attributes:
        hits: what the kills met.
        trainings: how many the notebook has.
        compared: how many values.
        differences: where they are not equal.
    """

    hits: list[Hit]
    trainings: int
    compared: int
    differences: list[str]


class Folder:
    """A workbook of its own: notebooks, data, checkpoints and reports."""

    def __init__(self, root: Path, notebook: str, options: Sequence[str]) -> None:
        shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        self.root, self.notebook, self.options = root, notebook, options
        self._log = root / "log.txt"

    def start(self) -> subprocess.Popen:
        # Weights that happen to lie in this machine's caches are not to be found: all it needs is in the folder.
        own = {"WORKBOOK_DATA": "data", "TORCH_HOME": "torch", "HF_HUB_CACHE": "hub"}
        places = {name: str(self.root / folder) for name, folder in own.items()}
        with self._log.open("w") as log:
            command = report_command(".", self.notebook, *self.options)
            environment = {**os.environ, **places, "PYTHONPATH": str(ROOT)}
            return subprocess.Popen(command, cwd=self.root, env=environment, stdout=log, stderr=log)

    def finish(self) -> dict[str, Any]:
        """Runs the notebook to its end, and returns what it recorded.

        Raises:
            KillingError: it fails.
        """
        with self.start() as process:
            process.wait()
        self._require_success(process)
        (report,) = self.root.glob("reports/*/*.json")
        return json.loads(report.read_text(encoding="utf-8"))

    def kill(self, kill: Kill) -> Hit:
        """Runs the notebook until it is killed; a kernel's command writes the report of a failed run then.

        Raises:
            KillingError: it fails before.
        """
        with self.start() as process:
            enough = len(self.checkpoints()) + kill.trainings
            while len(self.checkpoints()) < enough and process.poll() is None:
                time.sleep(0.01)
            try:
                process.wait(kill.seconds)
            except subprocess.TimeoutExpired:
                steps = re.findall(r"cell \d+/\d+", self._log.read_text())
                hit = Hit(kill.target, steps[-1] if steps else "", len(self.checkpoints()))
                _kill(process, kill.target)
                return hit
        self._require_success(process)
        return Hit(kill.target, "the end", len(self.checkpoints()))

    def checkpoints(self) -> list[Path]:
        return list((self.root / "data" / "cache" / "checkpoints").rglob("*.pt"))

    def _require_success(self, process: subprocess.Popen) -> None:
        if process.returncode:
            raise KillingError(f"{self.notebook} fails:\n{self._log.read_text()[-3000:]}")


def _kill(process: subprocess.Popen, target: str) -> None:
    kernels = _kernels(psutil.Process(process.pid).children(recursive=True)) if target == "kernel" else []
    for victim in kernels or [process]:
        victim.kill()


def _kernels(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.Error):  # it has ended, or is another user's
            if "ipykernel_launcher" in process.cmdline():
                found.append(process)
    return found


def try_notebook(folder: Path, notebook: str, options: Sequence[str], *, kills: int, seed: int) -> Trial:
    """Runs a notebook in peace and with kills.

    Args:
        folder: a new one, for both runs.
        notebook: as the report command takes it.
        options: of the report command.
        kills: how many; every second one in a training.
        seed: of their moments.

    Raises:
        KillingError: a run that nobody killed fails.
    """
    quiet, killed = (Folder(folder / name, notebook, options) for name in ("quiet", "killed"))
    started = time.monotonic()
    expected = quiet.finish()
    seconds = time.monotonic() - started
    times = [path.stat().st_mtime for path in quiet.checkpoints()]
    training = (max(times) - min(times)) / len(times) if times else 0.0
    hits = [killed.kill(kill) for kill in _plan(kills, random.Random(seed), seconds, len(times), training)]
    found = killed.finish()
    psutil.wait_procs(_orphans(killed.root), timeout=20)
    compared = len(_flat(measured(expected)))
    return Trial(hits, len(times), compared, differences(measured(expected), measured(found)))


def _plan(number: int, moments: random.Random, seconds: float, trainings: int, training: float) -> list[Kill]:
    """Kills at random: every second one at any moment, the others in trainings, of which some are left for the next."""
    kills = []
    for index in range(number):
        target = moments.choice(("command", "kernel"))
        if index % 2:
            kills.append(Kill(target, 0, moments.uniform(0, seconds)))
        else:
            some = moments.randint(1, max(1, trainings // ((number + 1) // 2 + 1)))
            kills.append(Kill(target, some, moments.uniform(0, training)))
    return kills


def _orphans(root: Path) -> list[psutil.Process]:
    """Kernels whose command was killed: they notice soon, and would else write into a folder that is deleted."""
    return [process for process in _kernels(psutil.process_iter()) if _folder_of(process) == str(root)]


def _folder_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return process.cwd()
    return ""


def measured(report: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on interruptions of all that a report's JSON holds."""
    tables = {}
    for name, table in report["tables"].items():
        kept = [index for index, column in enumerate(table["columns"]) if column not in TIMES]
        rows = [row for row in table["values"] or [] if row[0] not in TIMES]
        tables[name] = [{table["columns"][index]: row[index] for index in kept} for row in rows]
    numbers = {name: number for name, number in report["numbers"].items() if number["unit"] != "s"}
    return {"status": report["status"], "numbers": numbers, "tables": tables}


def differences(expected: Any, found: Any) -> list[str]:
    """Where two of what `measured` returns are not equal."""
    one, other = _flat(expected), _flat(found)
    return [
        f"{name}: {one.get(name)!r} and {other.get(name)!r}"
        for name in {**one, **other}
        if repr(one.get(name)) != repr(other.get(name))  # NaN too, and -0.0 is not 0.0
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Single values by their path."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: leaf for key, part in parts for path, leaf in _flat(part, f"{name}/{key}").items()}
    return {name: value}


def main(argv: Sequence[str]) -> int:
    """Prints a Markdown table; the exit status is 1 if a notebook's numbers differ.

    Raises:
        KillingError: a run that nobody killed fails.
    """
    arguments = _parser().parse_args(argv)
    notebooks = [path.stem for path in Workspace(ROOT).choose(arguments.notebooks)]
    print("| notebook | killed | values compared | |\n|---|---|---|---|")
    all_same = True
    for notebook in notebooks:
        with tempfile.TemporaryDirectory(prefix="killed-", ignore_cleanup_errors=True) as name:
            options = ["--profile", arguments.profile]
            folder = Path(name).resolve()
            trial = try_notebook(folder, notebook, options, kills=arguments.kills, seed=arguments.seed)
        verdict = f"**{'; '.join(trial.differences[:3])}**" if trial.differences else "equal"
        hits = "; ".join(_in_words(hit, trial.trainings) for hit in trial.hits)
        print(f"| {notebook} | {hits} | {trial.compared:,} | {verdict} |", flush=True)
        all_same &= not trial.differences
    return int(not all_same)


def _in_words(hit: Hit, trainings: int) -> str:
    return f"{hit.target} in {hit.cell or 'its start'}, {hit.begun} of {trainings} trainings begun"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks killed_notebooks", description=__doc__)
    parser.add_argument("--notebooks", nargs="*", default=[], metavar="NOTEBOOK", help="numbers or names; all if none")
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--kills", type=int, default=2, help="how often each is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser
