"""Notebooks on a cluster: Dask hands them to its workers, which need the workbook installed and nothing shared.

A notebook and its parameters go out as plain data, the executed notebook comes back. distributed takes a second to
import: import this module inside a function.
"""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from distributed import Client, get_worker
from nbformat import NotebookNode

from helpers import ROOT
from helpers.record import REPORTED
from helpers.report import kernel, stamp
from helpers.report.batch import LOOK_AGAIN
from helpers.report.run import NotRun
from helpers.report.workspace import Refused

WAIT_FOR_SCHEDULER = 15.0
WAIT_FOR_WORKERS = 60.0
"""Seconds: a worker that has just been started, on a busy machine, needs its time."""
MOST_WORKERS_LOST = 3
"""By one notebook, one after the other."""
GONE = "the scheduler has gone: start it and its workers, then run the command again"
LACKS_DATA = "MissingDataError"
"""The error in a notebook for which another worker is asked."""

# What goes wrong there is said by our own messages. Some of its loggers have levels of their own.
for _part in ("", ".client", ".core", ".batched", ".comm"):
    logging.getLogger(f"distributed{_part}").setLevel(logging.CRITICAL)


@dataclass
class Answer:
    """What a worker makes of an order."""

    address: str
    executed: NotebookNode | None
    refused: str  # why another worker should be asked, or ""


@dataclass
class _Asked:
    """An order on its way, and what is known of it."""

    order: kernel.Order
    able: list[str] = field(default_factory=list)  # addresses of the workers that may run it
    refusals: dict[str, str] = field(default_factory=dict)  # address -> why that worker could not
    last: NotebookNode | None = None  # executed by the last that refused it
    placed: float = float("-inf")  # when there was last a worker to give it to
    lost: int = 0  # how often all the workers that it was given to have gone


class Cluster:
    """Runs notebooks on the workers of the Dask scheduler at ``address``, such as "tls://host:8786".

    Raises:
        Refused: if nothing answers there, or no worker has come within a minute.
    """

    cores = 1  # for the trainings of each notebook: how many notebooks its machine runs is not known here

    def __init__(self, address: str) -> None:
        try:
            self._client = Client(address, timeout=WAIT_FOR_SCHEDULER)  # with the security of Dask's own configuration
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise Refused(
                f"no Dask scheduler answers at {address}: start one with 'dask scheduler' ({error})"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            self._client.close()
            raise Refused(
                f"the scheduler at {address} has no workers: start one with 'dask worker {address}' where the "
                "workbook is installed"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self._unfit: dict[str, str] = {}  # address -> why that worker can run no notebook of ours; "" if it can
        self._waiting: list[_Asked] = []
        self._running: dict[Future, _Asked] = {}

    @property
    def slots(self) -> int:
        """How many notebooks may be under way: what waits stays here, where workers that come later find it."""
        return max(1, sum(about["nthreads"] for about in self._workers().values()))

    def submit(self, order: kernel.Order) -> None:
        self._waiting.append(_Asked(replace(order, folder="")))

    def results(self) -> Iterator[tuple[str, NotebookNode | NotRun]]:
        """Names of those that have ended, and executed notebooks or why they did not run."""
        if self._client.status not in ("running", "connecting"):
            for asked in [*self._waiting, *self._running.values()]:
                yield asked.order.name, NotRun(GONE)
            self._waiting, self._running = [], {}
            return
        workers = self._workers()
        for asked in [*self._waiting]:
            answer = self._place(asked, workers)
            if answer is not None:
                self._waiting.remove(asked)
                yield asked.order.name, answer
        if self._running:
            wait(self._running, LOOK_AGAIN, return_when=FIRST_COMPLETED)
        else:
            time.sleep(LOOK_AGAIN)
        for future, asked in [*self._running.items()]:
            if future.done():
                answer = self._answer(self._running.pop(future), future)
                if answer is not None:
                    yield asked.order.name, answer
            elif workers and not workers.keys() & set(asked.able):
                del self._running[future]
                future.cancel()
                asked.lost += 1
                self._waiting.append(asked)

    def stop(self) -> Iterator[tuple[str, NotebookNode]]:
        """Ends all that is running; what had run of it stays on the workers."""
        self._executor.shutdown(wait=False)
        return iter(())

    def close(self) -> None:
        self._client.close()

    def _place(self, asked: _Asked, workers: dict[str, dict[str, Any]]) -> NotebookNode | NotRun | None:
        """Gives an order to the workers that may run it; else why none will, or what the last one made of it."""
        if asked.lost > MOST_WORKERS_LOST:
            return NotRun(f"{asked.lost} workers were lost while they ran it, one after the other")
        reasons = {address: asked.refusals.get(address) or self._why_unfit(address) for address in workers}
        for address, about in workers.items():
            if asked.order.needs_gpu and not about["resources"].get("GPU"):
                reasons[address] = reasons[address] or "it offers no GPU: start it with --resources GPU=1"
        asked.able = sorted(address for address, reason in reasons.items() if not reason)
        if asked.able:
            asked.placed = time.monotonic()
            resources = {"GPU": 1} if asked.order.needs_gpu else None
            future = self._executor.submit(_execute_there, asked.order, workers=asked.able, resources=resources)
            self._running[future] = asked
            self._waiting.remove(asked)
        elif asked.last is not None:
            return asked.last  # the report of a run that failed says more than that nobody takes it
        # A worker that it ran on has gone: others may come, but not for ever.
        elif reasons and time.monotonic() - asked.placed > WAIT_FOR_WORKERS:
            return NotRun(f"no worker takes it. {'; '.join(f'{one}: {why}' for one, why in reasons.items())}")
        return None

    def _answer(self, asked: _Asked, future: Future) -> NotebookNode | NotRun | None:
        """What came of an order; None if another worker is asked."""
        try:
            answer = future.result()
        except Exception as error:  # cancelled with its scheduler, or whatever a worker stumbled on
            failed = f"the worker could not run it: {type(error).__name__}: {error}"
            return NotRun(GONE if future.cancelled() else failed)
        if not answer.refused:
            return answer.executed
        asked.refusals[answer.address], asked.last = answer.refused, answer.executed
        asked.placed = float("-inf")
        self._waiting.append(asked)
        return None

    def _workers(self) -> dict[str, dict[str, Any]]:
        return self._client.scheduler_info(n_workers=-1).get("workers", {})  # nothing once the scheduler has gone

    def _why_unfit(self, address: str) -> str:
        """Why a worker can't be asked, or "". One without the workbook would die of the first order."""
        if address not in self._unfit:
            call = f"__import__({__name__!r}, fromlist=['identity']).identity()"
            answer = self._client.run(eval, call, workers=[address], on_error="return").get(address)
            other = "another version of the workbook is" if isinstance(answer, str) else "the workbook isn't"
            self._unfit[address] = "" if answer == identity() else f"{other} installed there"
        return self._unfit[address]


def identity() -> str:
    """What has to be the same where orders are given and taken: a hash of the helpers' code and what was reported."""
    return stamp.digest(stamp.tree(ROOT / "helpers", "*.py"), stamp.tree(ROOT / REPORTED))


def _execute_there(order: kernel.Order) -> Answer:
    """Runs a notebook on this worker; called by Dask in a thread of the worker."""
    address = get_worker().address
    watch = kernel.Watch(order.name, shown=False)
    with _stopped_when_cancelled(watch):
        executed = kernel.execute(order, watch)
    errors = {o.ename: o.evalue for c in executed.cells for o in c.get("outputs", []) if o.output_type == "error"}
    if kernel.KernelNotStarted.__name__ in errors:
        return Answer(address, None, f"its kernel doesn't start: {errors[kernel.KernelNotStarted.__name__]}")
    return Answer(address, executed, "it lacks the data set" if LACKS_DATA in errors else "")


@contextmanager
def _stopped_when_cancelled(watch: kernel.Watch) -> Iterator[None]:
    """Stops the kernel when nobody waits for its notebook any more: Dask itself can't stop a thread."""
    worker, key, done = get_worker(), get_worker().get_current_task(), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_AGAIN):
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing":
                watch.stop()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
