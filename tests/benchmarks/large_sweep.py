"""Does a large sweep end well by itself? Its memory, its kernels and folders, and whether its table is right.

A small notebook, which takes a second, runs at each of 200 points and records a number that is known beforehand.
"""

import argparse
import csv
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
import psutil

from helpers import ROOT
from tests.command import report_command

CELLS = [
    "SEED = 0\nRATE = 0.1",
    """\
from helpers.report import record
record.numbers([record.Number("accuracy", "Test accuracy", 0.5 + RATE + SEED / 1000, unit="%")], "results", "R.")""",
]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks large_sweep", description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    seeds = options.points // 2
    with tempfile.TemporaryDirectory(prefix="large-sweep-") as name:
        folder = Path(name)
        _write_notebook(folder)
        (folder / "tmp").mkdir()
        arguments = ["01", "--jobs", str(options.jobs), "--sweep", f"SEED=1..{seeds}", "RATE=0.1,0.2"]
        started = time.perf_counter()
        run = subprocess.Popen(
            report_command(name, *arguments),
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder / "tmp")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        watch = _Watch(run.pid)
        said = run.communicate()[1]
        seconds = time.perf_counter() - started
        watch.stop()
        if run.returncode:
            print(said[-3000:])
            return 1
        wrong = _wrong_rows(folder, 2 * seeds)
        left = [path.name for path in (folder / "tmp").iterdir()]
        left_over = psutil.wait_procs(watch.seen, timeout=10)[1]
    print(f"{2 * seeds} points, {options.jobs} at a time: {seconds:.0f} s, {seconds / seeds / 2:.2f} s a point")
    print("memory of the command and its workers, without kernels, MiB: " + watch.summary())
    print(f"wrong rows: {wrong}; folders left: {left}; processes left: {len(left_over)}")
    return 1 if wrong or left or left_over else 0


def _write_notebook(folder: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell("# A small experiment"), *map(nbformat.v4.new_code_cell, CELLS)]
    cells[1].metadata["tags"] = ["parameters"]
    (folder / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / "01_small.ipynb")


def _wrong_rows(folder: Path, points: int) -> int:
    """How many rows of the table are missing, or don't hold what the notebook must have measured."""
    with (folder / "reports/quick/sweeps/01_small/sweep.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    right = [row for row in rows if abs(float(row["accuracy"]) - _expected(row)) < 1e-9]
    return points - len({(row["SEED"], row["RATE"]) for row in right})


def _expected(row: dict[str, str]) -> float:
    return 0.5 + float(row["RATE"]) + int(row["SEED"]) / 1000


class _Watch:
    """Looks at a process and its children from time to time."""

    def __init__(self, pid: int) -> None:
        self._process, self._done = psutil.Process(pid), threading.Event()
        self._memory: list[float] = []
        self.seen: set[psutil.Process] = set()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def summary(self) -> str:
        """The memory at a tenth of the run, at its middle and near its end."""
        places = [len(self._memory) // 10, len(self._memory) // 2, len(self._memory) * 9 // 10]
        return ", ".join(f"{self._memory[place]:.0f}" for place in places) + f"; at most {max(self._memory):.0f}"

    def _look(self) -> None:
        while not self._done.wait(1.0):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.seen.update(family)
                own = [p for p in family if "ipykernel_launcher" not in p.cmdline()]
                self._memory.append(sum(p.memory_info().rss for p in own) / 2**20)
            except psutil.Error:  # one that ended meanwhile
                continue
