"""Does ``--jobs 2`` pay on this machine? The same notebooks one after the other and side by side, in turns."""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from helpers import DATA, ROOT, WorkbookError
from tests.command import report_command


class RunFailed(WorkbookError):
    """A report command that should have ended well, and did not."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks side_by_side", description=__doc__)
    parser.add_argument("notebooks", nargs="*", default=["05", "06"], help="as the report command takes them")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="how often each way")
    options = parser.parse_args(argv)
    seconds: dict[int, list[float]] = {1: [], options.jobs: []}
    for number in range(options.rounds):
        # In turns, each first once: a machine that slows down slows both ways.
        for jobs in sorted(seconds, reverse=bool(number % 2)):
            seconds[jobs].append(run_report(options.notebooks, options.profile, jobs))
            print(f"round {number + 1}, --jobs {jobs}: {seconds[jobs][-1]:.1f} s", flush=True)
    one, several = min(seconds[1]), min(seconds[options.jobs])
    print(f"--jobs {options.jobs} takes {several / one:.2f} of the time of one after the other (best of each)")
    return 0


def run_report(notebooks: Sequence[str], profile: str, jobs: int) -> float:
    """Seconds that the command takes in a workbook of its own, without checkpoints of earlier runs."""
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")
        data = folder / "data"
        data.mkdir()
        for entry in DATA.iterdir():
            if entry.name != "cache":
                (data / entry.name).symlink_to(entry.resolve())
        started = time.perf_counter()
        run = subprocess.run(
            report_command(name, *notebooks, "--profile", profile, "--jobs", str(jobs)),
            cwd=ROOT,
            env={**os.environ, "WORKBOOK_DATA": str(data)},
            capture_output=True,
            text=True,
        )
        if run.returncode:
            raise RunFailed(f"the report command failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        return time.perf_counter() - started
