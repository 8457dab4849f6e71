"""Notebooks side by side, on this machine or on many: Dask hands them to its workers (see ``worker``).

distributed takes a second to import: import this module inside a function.
"""

import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, Future, LocalCluster, wait
from distributed import TimeoutError as DaskTimeout
from distributed.client import FutureCancelledError, FuturesCancelledError
from distributed.comm import get_address_host
from distributed.scheduler import KilledWorker

from helpers.files import scratch_folder
from helpers.report import worker
from helpers.report.engine import RunFailed, Watch
from helpers.report.inputs import helpers_used
from helpers.report.parameters import defaults
from helpers.report.progress import Row
from helpers.report.run import ONE_AT_A_TIME, NotRun
from helpers.report.workspace import Refused, Task, load, write

WAIT_FOR_SCHEDULER = 15.0
WAIT_FOR_WORKERS = 60.0
"""Seconds: a worker that has just been started, on a busy machine, needs its time."""


DISTRIBUTION = "image-classification-workbook"
"""The workbook's name in pyproject.toml."""
MOST_DEATHS = 3
"""Workers that a notebook may take along with it."""
LOOK_AGAIN = 5.0
"""Seconds from one look at which workers there are to the next."""
GONE = "the scheduler has gone: start it and its workers, then run the command again"

# What goes wrong there is said by our own messages. Some of its loggers have levels of their own.
for _part in ("", ".client", ".core", ".batched", ".comm", ".nanny", ".worker", ".scheduler"):
    logging.getLogger(f"distributed{_part}").setLevel(logging.CRITICAL)


class NoCluster(Refused):
    """A scheduler that doesn't answer, or one without workers."""


class NoWorker(NotRun):
    """No worker can run a notebook; the message says why."""


class NotebookFailed(RunFailed):
    """A notebook's run on a worker failed; the notebook itself holds the error."""


class Cluster:
    """Workers that run notebooks; an instance can be called in place of ``engine.execute``, from several threads.

    Args:
        client: of the workers' scheduler.
        here: whether the workers run on this machine, and are ours.
    """

    def __init__(self, client: Client, *, here: bool) -> None:
        self._client, self._here = client, here
        self._run = uuid.uuid4().hex
        self._rows: dict[str, Row] = {}
        self._started: dict[str, str] = {}  # notebook -> address of the worker that runs it
        self._futures: set[Future] = set()
        self._unfit: dict[str, str] = {}  # address -> why that worker can run no notebook of ours; "" if it can
        self._lock = threading.Lock()
        self._stopped = False
        client.subscribe_topic(worker.TOPIC, self._hear)

    @property
    def slots(self) -> int:
        """How many notebooks can run at once."""
        return sum(self._slots().values())

    def stop(self) -> None:
        """Ends all that is running; calls that wait for it raise KeyboardInterrupt."""
        with ignoring_ctrl_c(), self._lock:
            self._stopped = True
            self._client.cancel(list(self._futures), force=True)

    def __call__(self, task: Task, output: Path, watch: Watch) -> None:
        """Runs a task's notebook on a worker and writes the executed one to ``output``.

        Raises:
            NotebookFailed: as the worker's run did.
            NoWorker: if every worker refuses the notebook, or several died of it, or the scheduler has gone.
            KeyboardInterrupt: after `stop`.
        """
        self._rows[task.name] = watch.row
        try:
            answer = self._answer(task, watch.time_limit)
        finally:
            del self._rows[task.name]
        watch.peak_mib = answer.peak_mib
        if answer.executed:
            write(output, answer.executed)
        if answer.error is not None:
            name, message = answer.error
            if not answer.executed:
                raise NoWorker(f"the worker could not run it: {name}: {message}")
            raise NotebookFailed(f"{name}: {message}")

    def _answer(self, task: Task, time_limit: float | None) -> worker.Answer:
        with ONE_AT_A_TIME:
            notebook = load(task.notebook)
            helpers = helpers_used(notebook, root=task.root)
            parameters = {**defaults(notebook, name=task.name), **task.parameters}
        order = worker.Order(
            name=task.name,
            notebook=task.notebook.read_text(encoding="utf-8"),
            parameters=task.parameters,
            working_folder=str(task.root) if self._here else "",
            time_limit=time_limit,
            slots=self._slots(),
            helpers=helpers,
            run=self._run,
        )
        needs_gpu = str(parameters.get("DEVICE", "")).startswith("cuda")
        refusals: dict[str, str] = {}
        deaths = 0
        while deaths < MOST_DEATHS:
            able = self._able(needs_gpu, refusals)
            if not able:
                self._rows[task.name].step("waiting: no worker is left")
                self._pause()
                continue
            answered = self._ask(order, needs_gpu, able, refusals)
            if answered is None:
                deaths += self._started.pop(task.name, None) is not None
                continue
            address, answer = answered
            if self._here or not answer.refused:
                return answer
            refusals[address] = answer.refused
            if answer.executed and all(self._reasons(needs_gpu, refusals).values()):
                return answer  # the report of a run that failed says more than that nobody takes it
        raise NoWorker(f"{deaths} workers died of it, one after the other")

    def _able(self, needs_gpu: bool, refusals: dict[str, str]) -> list[str]:
        """Addresses of the workers that may be asked; none if all have gone.

        Raises:
            NoWorker: if none of those that are there takes the notebook.
        """
        reasons = self._reasons(needs_gpu, refusals)
        if reasons and all(reasons.values()):
            raise _nobody(reasons)
        return _fit(reasons)

    def _reasons(self, needs_gpu: bool, refusals: dict[str, str]) -> dict[str, str]:
        """Why each worker that is there can't be asked; "" if it can."""
        reasons = {}
        for address, about in self._workers().items():
            reasons[address] = refusals.get(address) or self._why_unfit(address)
            if needs_gpu and not about["resources"].get("GPU"):
                reasons[address] = reasons[address] or "it offers no GPU: start it with --resources GPU=1"
        return reasons

    def _why_unfit(self, address: str) -> str:
        """Why a worker can't be asked, or "". One without the workbook would die of the first order."""
        if self._here:
            return ""
        if address not in self._unfit:
            version = self._tell(address, metadata.version, DISTRIBUTION)
            fits = isinstance(version, str) and self._tell(address, worker.identity) == worker.identity()
            other = "" if fits else "another version of the workbook is installed there"
            self._unfit[address] = other if isinstance(version, str) else "the workbook isn't installed there"
        return self._unfit[address]

    def _tell(self, address: str, function: Callable, *arguments: str) -> Any:
        """What a function returns on a worker; None or an exception if it can't be called there."""
        return self._client.run(function, *arguments, workers=[address], on_error="return").get(address)

    def _ask(
        self, order: worker.Order, needs_gpu: bool, able: list[str], refusals: dict[str, str]
    ) -> tuple[str, worker.Answer] | None:
        """The address of the worker that took the order, and its answer; None if others have to be asked now."""
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            key = f"{order.name}-{uuid.uuid4().hex}"
            resources = {"GPU": 1} if needs_gpu else None
            future = self._client.submit(_addressed, order, key=key, workers=able, resources=resources)
            self._futures.add(future)
        try:
            last_fit = time.monotonic()
            while not _is_done(future):
                self._require_scheduler()
                reasons = self._reasons(needs_gpu, refusals)
                fit = _fit(reasons)
                if fit:
                    last_fit = time.monotonic()
                runs = self._started.get(order.name) in reasons
                if not runs and fit not in ([], able):
                    future.cancel(force=True)
                    return None
                # The one that it ran on has gone; others may come, but not for ever.
                if not runs and reasons and time.monotonic() - last_fit > WAIT_FOR_WORKERS:
                    future.cancel(force=True)
                    raise _nobody(reasons)
            return future.result()
        except (FutureCancelledError, FuturesCancelledError) as error:
            if self._stopped:
                raise KeyboardInterrupt from None
            raise NoWorker(GONE) from error
        except KilledWorker as error:
            raise NoWorker(f"workers died of it, one after the other: {error.last_worker.address} was last") from error
        finally:
            with self._lock:
                self._futures.discard(future)

    def _pause(self) -> None:
        """Waits for workers to come."""
        time.sleep(LOOK_AGAIN)
        self._require_scheduler()
        if self._stopped:
            raise KeyboardInterrupt

    def _require_scheduler(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise NoWorker(GONE)

    def _workers(self) -> dict[str, dict[str, Any]]:
        return self._client.scheduler_info(n_workers=-1).get("workers", {})  # nothing once the scheduler has gone

    def _slots(self) -> dict[str, int]:
        """How many notebooks run at once on each host."""
        slots: dict[str, int] = {}
        for address, about in self._workers().items():
            host = get_address_host(address)
            slots[host] = slots.get(host, 0) + about["nthreads"]
        return slots

    def _hear(self, event: tuple[float, dict[str, str]]) -> None:
        news = event[1]
        # Of another command, or of a notebook that has ended already: then nobody listens.
        row = self._rows.get(news["name"]) if news["run"] == self._run else None
        if row is None:
            return
        self._started[news["name"]] = news["address"]
        if "step" in news:
            row.step(news["step"])
        else:
            row.printed(news["printed"])


def _fit(reasons: dict[str, str]) -> list[str]:
    return sorted(address for address, reason in reasons.items() if not reason)


def _nobody(reasons: dict[str, str]) -> NoWorker:
    told = "; ".join(f"{address}: {reason}" for address, reason in reasons.items())
    return NoWorker(f"no worker takes it. {told}")


def _is_done(future: Future) -> bool:
    """Whether it is after some seconds."""
    with suppress(TimeoutError, DaskTimeout):  # on Python 3.10 not the same
        wait(future, timeout=LOOK_AGAIN)
    return future.done()


def _addressed(order: worker.Order) -> tuple[str, worker.Answer]:
    from distributed import get_worker

    return get_worker().address, worker.run(order)


@contextmanager
def side_by_side(jobs: int) -> Iterator[Cluster]:
    """Workers on this machine for ``jobs`` notebooks at once."""
    with scratch_folder() as folder, dask.config.set({"temporary-directory": str(folder)}):
        # Ctrl-C goes to the workers' processes too, which must live to stop their kernels: they inherit this.
        with ignoring_ctrl_c():
            local = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                # A process each: papermill changes the process's working folder while it reads and writes.
                processes=True,
                memory_limit=None,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        client = Client(local)
        try:
            yield Cluster(client, here=True)
        finally:
            with ignoring_ctrl_c():
                client.close()
                local.close()


@contextmanager
def ignoring_ctrl_c() -> Iterator[None]:
    """Lets Ctrl-C pass by, and the processes that are started meanwhile; only the main thread hears of it at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The workers of the scheduler at ``address``, such as "tcp://host:8786".

    Raises:
        NoCluster: if nothing answers there, or no worker has come within a minute.
    """
    try:
        client = Client(address, timeout=WAIT_FOR_SCHEDULER)
    except (OSError, TimeoutError, DaskTimeout, ValueError) as error:
        raise NoCluster(f"no Dask scheduler answers at {address}: start one with 'dask scheduler' ({error})") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except (TimeoutError, DaskTimeout) as error:
            raise NoCluster(
                f"the scheduler at {address} has no workers: start one with 'dask worker {address}' where the "
                "workbook is installed"
            ) from error
        yield Cluster(client, here=False)
