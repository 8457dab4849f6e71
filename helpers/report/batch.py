"""All runs of one command: in which order, how many at once, on this machine or on a cluster's workers."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from threading import Lock

import psutil

from helpers import WorkbookError
from helpers.files import locked
from helpers.report.run import in_words, report
from helpers.report.watch import Watch
from helpers.report.workspace import FORMATS, Run, Settings, read

LOOK_AGAIN = 1.0
"""Seconds from one look at what is going on to the next."""
MEMORY = 3 * 2**30
"""Bytes that a notebook may need: 2.4 GiB were the most, at the quick profile."""
MOST_AT_ONCE = 200
"""Runs that wait for a cluster's workers at a time, each in a thread."""


def jobs_for(threads: int) -> int:
    """How many notebooks this machine carries at a time, if each computes with so many threads."""
    import joblib

    if any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi"):  # one notebook fills a GPU's memory
        return 1
    return max(1, min(joblib.cpu_count() // threads, psutil.virtual_memory().available // MEMORY))


def run_all(runs: Sequence[Run], settings: Settings, finished: Callable[[Run], None]) -> None:
    """Executes notebooks, or draws their pages anew, and writes the reports, one after the other.

    A thread carries out each run: it waits for a kernel, which is a process of its own, or for a cluster's worker.
    A run begins when those have ended that its notebook's metadata name (``workbook.after``), as it goes on with their
    trainings; ``finished`` is called when it has ended itself, however.
    On Ctrl-C those under way are stopped.
    """
    after = {path: read(path)["metadata"].get("workbook", {}).get("after", []) for path in {r.notebook for r in runs}}
    waiting = [*runs]
    jobs = MOST_AT_ONCE if settings.scheduler else settings.jobs
    settings = replace(settings, jobs=max(1, min(jobs, len(runs))))
    running: dict[Future, Run] = {}
    watches = {run.name: Watch(run.name) for run in runs}
    drawing = Lock()
    with ExitStack() as stack:
        execute: Callable | None = None
        if any(run.reasons for run in runs):
            if settings.scheduler:
                from helpers.report.cluster import Cluster

                execute = stack.enter_context(closing(Cluster(settings.scheduler))).execute
            else:
                from helpers.report import kernel

                execute = kernel.execute
        pool = stack.enter_context(ThreadPoolExecutor(settings.jobs))
        try:
            while waiting or running:
                names = {run.name for run in (*waiting, *running.values())}
                ready = [run for run in waiting if names.isdisjoint(after[run.notebook])]
                for run in ready or ([] if running else [*waiting]):  # all, where they wait for each other
                    waiting.remove(run)
                    future = pool.submit(_carry_out, run, settings, execute, watches[run.name], drawing)
                    running[future] = run
                for future in wait(running, LOOK_AGAIN, return_when=FIRST_COMPLETED).done:
                    run = running.pop(future)
                    future.result()
                    finished(run)
                for run in running.values():
                    watches[run.name].refresh()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
        finally:
            for watch in watches.values():  # after Ctrl-C, or an error of ours, some are under way
                watch.stop()


def _carry_out(run: Run, settings: Settings, execute: Callable | None, watch: Watch, drawing: Lock) -> None:
    """All of a run, from the notebook to the files. Whatever goes wrong in one must not take the others along."""
    try:
        with locked(run.reports / f".{run.name}.lock") as is_ours:
            if not is_ours:
                raise WorkbookError("another run is making this report: wait until it has ended")
            for file in [*map(run.file, FORMATS), *run.figures.rglob("*.csv")]:
                if file.exists():
                    file.rename(file)  # refused by Windows if it is open in another program: now, not after hours
            executed = execute(run.notebook.read_text(encoding="utf-8"), run, settings, watch) if run.reasons else None
            if not watch.is_stopped:
                with drawing:
                    report(run, settings, executed)
    except Exception as error:
        if not watch.is_stopped:
            run.error = "; ".join(filter(None, [run.error, in_words(error)]))
