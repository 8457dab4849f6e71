"""All runs of one command: one after the other, side by side on this machine, or on a cluster's workers."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from helpers.report.incremental import Work
from helpers.report.progress import Progress
from helpers.report.run import Execute, Outcome, render_again, run
from helpers.report.writing import Settings

if TYPE_CHECKING:
    from helpers.report.cluster import Cluster

LOOK_AGAIN = 5.0
"""Seconds until workers that have come are noticed."""
MOST_AT_ONCE = 256
"""Threads that wait for workers, one for each notebook under way."""


@dataclass(frozen=True)
class Batch:
    """What is to run.

    Attributes:
        works: what there is to do, in its order.
        after: a task's name -> names of those that come before it, if they run at all.
        jobs: how many run at once on this machine.
        scheduler: the address of a Dask scheduler whose workers run them, or "".
    """

    works: Sequence[Work]
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    jobs: int = 1
    scheduler: str = ""


Finished = Callable[[Work, Outcome], None]


def run_batch(batch: Batch, settings: Settings, *, progress: Progress, finished: Finished) -> bool:
    """Does what there is to do, and writes the reports.

    Args:
        batch: what to do, and where.
        settings: of the reports.
        progress: shows what is going on.
        finished: called in this thread when a task has ended, in whatever state.

    Returns:
        Whether all ended: False after Ctrl-C, when those under way were stopped.

    Raises:
        NoCluster: if there is no scheduler or no worker at the address.
    """
    at_once = min(batch.jobs, _widest(batch))
    with progress:
        if not any(work.reasons for work in batch.works) or (not batch.scheduler and at_once <= 1):
            return _one_by_one(batch, settings, progress, finished)
        with _cluster(batch, at_once) as cluster:
            return _side_by_side(batch, settings, cluster, progress, finished)


def _widest(batch: Batch) -> int:
    """How many notebooks may run at once, as far as they don't wait for each other."""
    level: dict[str, int] = {}
    for work in batch.works:
        if work.reasons:
            before = batch.after.get(work.task.name, ())
            level[work.task.name] = 1 + max((level.get(name, 0) for name in before), default=0)
    return max(Counter(level.values()).values(), default=0)


def _do(work: Work, settings: Settings, progress: Progress, execute: Execute | None = None) -> Outcome:
    if work.reasons:
        return run(work.task, settings, stamp=work.stamp, execute=execute, progress=progress)
    return render_again(work.task, settings, stamp=work.stamp, progress=progress)


def _one_by_one(batch: Batch, settings: Settings, progress: Progress, finished: Finished) -> bool:
    for work in batch.works:
        try:
            outcome = _do(work, settings, progress)
        except KeyboardInterrupt:
            return False
        finished(work, outcome)
    return True


def _cluster(batch: Batch, jobs: int) -> "AbstractContextManager[Cluster]":
    from helpers.report import cluster

    if batch.scheduler:
        return cluster.connected(batch.scheduler)
    return cluster.side_by_side(jobs)


def _side_by_side(batch: Batch, settings: Settings, cluster: "Cluster", progress: Progress, finished: Finished) -> bool:
    waiting: list[Work] = list(batch.works)
    running: dict[Future[Outcome], Work] = {}
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        try:
            while waiting or running:
                # One more than there are workers: while a report is written, its worker has the next notebook.
                room = max(0, cluster.slots + 1 - len(running))
                for work in list(_ready(waiting, running.values(), batch.after))[:room]:
                    waiting.remove(work)
                    running[pool.submit(_do, work, settings, progress, cluster)] = work
                for future in wait(running, LOOK_AGAIN, return_when=FIRST_COMPLETED).done:
                    finished(running.pop(future), future.result())
        except KeyboardInterrupt:
            cluster.stop()
            return False
    return True


def _ready(waiting: Iterable[Work], running: Iterable[Work], after: Mapping[str, Sequence[str]]) -> Iterator[Work]:
    """Those whose predecessors have all ended."""
    unfinished = {work.task.name for work in (*waiting, *running)}
    return (work for work in waiting if not unfinished & set(after.get(work.task.name, ())))
