"""Notebooks on a cluster: Dask hands them to its workers, which need the workbook installed and nothing shared.

A notebook and its parameters go out as plain data, the executed notebook comes back. distributed takes a second to
import: import this module inside a function.
"""

import logging
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from typing import Any

from nbformat import NotebookNode

from helpers import NOTEBOOKS, PACKAGE, ROOT, WorkbookError
from helpers.record import REPORTED
from helpers.report import kernel, stamp
from helpers.report.batch import LOOK_AGAIN
from helpers.report.parameters import defaults
from helpers.report.watch import Watch
from helpers.report.workspace import Refused, Run, Settings, read

try:
    from distributed import Client, get_worker
except ModuleNotFoundError as error:
    raise Refused("--scheduler needs Dask, which is not installed here: pip install distributed") from error

WAIT_FOR_SCHEDULER = 15.0
WAIT_FOR_WORKERS = 60.0
"""Seconds: a worker that has just been started, on a busy machine, needs its time."""
MOST_WORKERS_LOST = 3
"""By one notebook, one after the other."""
LACKS_DATA = "MissingDataError"
"""The error in a notebook for which another worker is asked."""

# What goes wrong there is said by our own messages. Some of its loggers have levels of their own.
for _part in ("", ".client", ".core", ".batched", ".comm"):
    logging.getLogger(f"distributed{_part}").setLevel(logging.CRITICAL)


class Cluster:
    """Runs notebooks on the workers of the Dask scheduler at ``address``, such as "tls://host:8786"."""

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
        self._lock = threading.Lock()
        self._unfit: dict[str, str] = {}  # address -> why that worker can run no notebook of ours; "" if it can
        self._given: Counter[str] = Counter()  # how many notebooks each worker may be running

    def close(self) -> None:
        self._client.close()

    def execute(self, source: str, run: Run, settings: Settings, watch: Watch) -> NotebookNode | None:
        """Has a worker execute a notebook, as `kernel.execute` does; another one where the first can't, or is lost.

        Returns None if it was stopped; raises a `WorkbookError` where no worker takes it, or the scheduler has gone.
        """
        device = {**defaults(read(run.notebook), name=run.name), **run.parameters}.get("DEVICE", "")
        resources = {"GPU": 1} if str(device).startswith("cuda") else {}
        refusals: dict[str, str] = {}  # address -> why that worker could not
        lost, give_up = 0, 0.0
        while not watch.is_stopped:
            workers = self._workers()
            reasons = {address: refusals.get(address) or self._why_unfit(address) for address in workers}
            for address, about in workers.items():
                if resources and not about["resources"].get("GPU"):
                    reasons[address] = reasons[address] or "it offers no GPU: start it with --resources GPU=1"
            # Where a worker that it ran on has gone others may come, but not for ever.
            if reasons and all(reasons.values()) and time.monotonic() > give_up:
                raise WorkbookError(f"no worker takes it. {'; '.join(f'{one}: {why}' for one, why in reasons.items())}")
            address = self._take({one: workers[one]["nthreads"] for one, why in reasons.items() if not why})
            if not address:
                time.sleep(LOOK_AGAIN)
                continue
            work = (_execute_there, source, run, settings)
            future: Future = self._executor.submit(*work, workers=[address], resources=resources)
            try:
                while not wait([future], LOOK_AGAIN).done:
                    if watch.is_stopped or address not in self._workers():
                        future.cancel()
                        raise CancelledError
                answer = future.result()
                if not isinstance(answer, str):
                    return answer
                refusals[address], give_up = answer, 0.0
            except CancelledError:
                lost, give_up = lost + 1, time.monotonic() + WAIT_FOR_WORKERS
                if lost > MOST_WORKERS_LOST:
                    raise WorkbookError(f"{lost} workers were lost while they ran it, one after the other") from None
            except WorkbookError:
                raise
            except Exception as error:  # whatever a worker stumbled on
                raise WorkbookError(f"the worker could not run it: {type(error).__name__}: {error}") from error
            finally:
                with self._lock:
                    self._given[address] -= 1
        return None

    def _take(self, threads: dict[str, int]) -> str:
        """A worker that has a thread left for another notebook; "" if none has."""
        with self._lock:
            address = max(threads, key=lambda one: threads[one] - self._given[one], default="")
            if not address or threads[address] <= self._given[address]:
                return ""
            self._given[address] += 1
            return address

    def _workers(self) -> dict[str, dict[str, Any]]:
        if self._client.status not in ("running", "connecting"):
            raise WorkbookError("the scheduler has gone: start it and its workers, then run the command again")
        return self._client.scheduler_info(n_workers=-1).get("workers", {})

    def _why_unfit(self, address: str) -> str:
        """Why a worker can't be asked, or "". One without the workbook would die of the first notebook."""
        with self._lock:
            if address not in self._unfit:
                call = f"__import__({__name__!r}, fromlist=['identity']).identity()"
                answer = self._client.run(eval, call, workers=[address], on_error="return").get(address)
                other = "another version of the workbook is" if isinstance(answer, str) else "the workbook isn't"
                self._unfit[address] = "" if answer == identity() else f"{other} installed there"
            return self._unfit[address]


def identity() -> str:
    """What has to be the same where notebooks are given and taken: a hash of the helpers and of what was reported."""
    return stamp.digest(stamp.tree(PACKAGE, "*.py"), stamp.tree(NOTEBOOKS / REPORTED.name))


def _execute_there(source: str, run: Run, settings: Settings) -> NotebookNode | str:
    """Runs a notebook on this worker, called by Dask in one of its threads: the notebook, or why to ask another."""
    watch, ended = Watch(run.name), threading.Event()
    worker, key = get_worker(), get_worker().get_current_task()

    def look() -> None:
        """Stops the kernel when nobody waits for its notebook any more: Dask itself can't stop a thread."""
        while not ended.wait(LOOK_AGAIN):
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing":
                watch.stop()

    threading.Thread(target=look, daemon=True).start()
    try:
        executed = kernel.execute(source, replace(run, root=ROOT), settings, watch)
    except WorkbookError as error:
        return str(error)
    finally:
        ended.set()
    errors = {o.ename: o.evalue for c in executed.cells for o in c.get("outputs", []) if o.output_type == "error"}
    return f"it lacks the data set: {errors[LACKS_DATA]}" if LACKS_DATA in errors else executed
