"""All runs of one command: in which order, how many at once, on this machine or on a cluster's workers."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from helpers.files import locked
from helpers.report.incremental import Work
from helpers.report.parameters import defaults
from helpers.report.run import NotRun, Outcome, in_words, keep_interrupted, report
from helpers.report.workspace import Refused, Settings, Task, Workspace, read

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from helpers.report.cluster import Cluster
    from helpers.report.kernel import Order, Watch

LOOK_AGAIN = 1.0
"""Seconds from one look at what is going on to the next."""
MEMORY = 3 * 2**30
"""Bytes that a notebook may need: 2.4 GiB were the most, at the quick profile."""


def predecessors(notebooks: Sequence[Path], workspace: Workspace) -> dict[str, list[str]]:
    """The names of the notebooks that have to run before each, as its metadata say (``workbook.after``).

    Those that aren't to run at all are left out.

    Raises:
        Refused: for a name that no notebook has, or if notebooks wait for each other.
    """
    before = {}
    stems = [notebook.stem for notebook in notebooks]
    for notebook in notebooks:
        names = read(notebook)["metadata"].get("workbook", {}).get("after", [])
        if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
            raise Refused(f'{notebook.stem}: "after" in its metadata must be a list of names, such as ["01_cnn_on_a"]')
        try:
            named = [path.stem for name in names for path in workspace.choose([str(name)])]
        except Refused as error:
            raise Refused(f"the metadata of {notebook.stem} want it after another notebook, but {error}") from error
        before[notebook.stem] = [stem for stem in named if stem in stems]
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        circle = " after ".join(reversed(error.args[1]))
        raise Refused(f'notebooks wait for each other: {circle}; take one "after" out of their metadata') from error
    return before


def jobs_for(threads: int) -> int:
    """How many notebooks this machine carries at a time, if each computes with so many threads."""
    if any(Path("/dev").glob("nvidia[0-9]*")):  # one notebook fills a GPU's memory
        return 1
    return max(1, min(_cores() // threads, psutil.virtual_memory().available // MEMORY))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    works: Sequence[Work],
    before: Mapping[str, Iterable[str]],
    settings: Settings,
    pool: "Here | Cluster",
    finished: Callable[[Outcome], None],
) -> bool:
    """Runs notebooks, or draws their pages anew, and writes the reports, one after the other.

    Of those that may run, because all ``before`` them have ended, the first ones run first; ``finished`` is called when
    one has ended, in whatever state.

    Returns:
        Whether all ended: False after Ctrl-C, when those under way were stopped, and their cells kept.
    """
    by_name = {work.task.name: work for work in works}
    sorter = TopologicalSorter({name: [b for b in before.get(name, ()) if b in by_name] for name in by_name})
    sorter.prepare()
    ready: list[str] = []
    with ExitStack() as running:
        locks: dict[str, ExitStack] = {}  # of those under way

        def end(name: str, executed: "NotebookNode | NotRun | None") -> None:
            is_notebook = not isinstance(executed, NotRun)
            outcome = report(by_name[name], settings, executed) if is_notebook else Outcome(name, str(executed))
            locks.pop(name).close()
            sorter.done(name)
            finished(outcome)

        try:
            while sorter.is_active():
                free = {*ready, *sorter.get_ready()}
                ready = [name for name in by_name if name in free]
                while ready and len(locks) < pool.slots:
                    name = ready.pop(0)
                    work, locks[name] = by_name[name], running.enter_context(ExitStack())
                    try:
                        _lock(work.task, locks[name])
                        order = _order(work.task, settings, pool.cores) if work.reasons else None
                    except Exception as error:  # a file that went meanwhile, say: the others go on
                        end(name, NotRun(in_words(error)))
                        continue
                    if order is None:
                        end(name, None)
                    else:
                        pool.submit(order)
                for name, executed in pool.results() if locks else ():
                    end(name, executed)
        except KeyboardInterrupt:
            for name, executed in pool.stop():
                keep_interrupted(executed, by_name[name].task)
            return False
    return True


def _lock(task: Task, stack: ExitStack) -> None:
    """Keeps other commands from making the same report, until the stack is closed."""
    lock = task.reports / f".{task.name}.lock"
    try:
        is_ours = stack.enter_context(locked(lock))
    except OSError as error:
        raise NotRun(f"the file {lock.name} of another run is in the way: delete it ({error.strerror})") from error
    if not is_ours:
        raise NotRun("another run is making this report: wait until it has ended")


def _order(task: Task, settings: Settings, cores: int) -> "Order":
    from helpers.report.kernel import Order

    device = {**defaults(read(task.notebook), name=task.name), **task.parameters}.get("DEVICE", "")
    return Order(
        name=task.name,
        notebook=task.notebook.read_text(encoding="utf-8"),
        parameters=task.parameters,
        needs_gpu=str(device).startswith("cuda"),
        folder=str(task.root),
        time_limit=settings.time_limit,
        threads=settings.threads,
        cores=cores,
        anew=settings.anew,
    )


class Here:
    """Runs notebooks on this machine, some at once: a thread waits for each kernel, which is a process of its own."""

    def __init__(self, jobs: int) -> None:
        self.slots = jobs
        self.cores = max(1, _cores() // jobs)  # for the trainings of each notebook
        self._pool = ThreadPoolExecutor(jobs)
        self._running: dict[Future, tuple[Order, Watch]] = {}

    def submit(self, order: "Order") -> None:
        from helpers.report import kernel

        watch = kernel.Watch(order.name)
        self._running[self._pool.submit(kernel.execute, order, watch)] = order, watch

    def results(self) -> "Iterator[tuple[str, NotebookNode | NotRun]]":
        """Names and executed notebooks of those that have ended; waits a while for the first one."""
        for _, watch in self._running.values():
            watch.refresh()
        for future in wait(self._running, LOOK_AGAIN, return_when=FIRST_COMPLETED).done:
            order, watch = self._running.pop(future)
            watch.close()
            try:
                yield order.name, future.result()
            except Exception as error:  # one that could not even begin must not take the others along
                yield order.name, NotRun(in_words(error))

    def close(self) -> None:
        for _, watch in self._running.values():  # none but after an error of ours
            watch.stop()
        self._pool.shutdown()

    def stop(self) -> "Iterator[tuple[str, NotebookNode]]":
        """Ends all that is running; names, and notebooks as far as they ran."""
        for _, watch in self._running.values():
            watch.stop()
        for future, (order, watch) in self._running.items():
            with suppress(Exception):  # one that had not begun
                yield order.name, future.result()
            watch.close()
        self._running.clear()
