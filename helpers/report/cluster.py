"""Notebooks side by side, on this machine or on many: Dask hands them to its workers (see ``worker``).

distributed takes a second to import: import this module inside a function.
"""

import logging
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, LocalCluster
from distributed.client import FutureCancelledError
from distributed.comm import get_address_host
from distributed.scheduler import KilledWorker

from helpers import WorkbookError
from helpers.files import scratch_folder
from helpers.report import worker
from helpers.report.engine import RunFailed, Watch
from helpers.report.inputs import fingerprint
from helpers.report.parameters import defaults
from helpers.report.progress import Row
from helpers.report.workspace import Refused, Task, load, write

WAIT_FOR_SCHEDULER = 15.0
WAIT_FOR_WORKERS = 60.0
"""Seconds: a worker that has just been started, on a busy machine, needs its time."""


# What goes wrong there is said by our own messages.
logging.getLogger("distributed").setLevel(logging.CRITICAL)


class NoCluster(Refused):
    """A scheduler that doesn't answer, or one without workers."""


class NoWorker(WorkbookError):
    """No worker can run a notebook; the message says why."""


class NotebookFailed(RunFailed):
    """A notebook's run on a worker failed; the notebook itself holds the error."""


class Cluster:
    """Workers that run notebooks; an instance can be called in place of ``engine.execute``, from several threads.

    Args:
        client: of the workers' scheduler.
        here: whether the workers run on this machine.
    """

    def __init__(self, client: Client, *, here: bool) -> None:
        self._client, self._here = client, here
        self._topic = f"workbook-{uuid.uuid4().hex}"
        self._rows: dict[str, Row] = {}
        self._futures: set[Any] = set()
        self._lock = threading.Lock()
        self._stopped = False
        client.subscribe_topic(self._topic, self._hear)

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
            NoWorker: if every worker refuses the notebook, or several died of it.
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
        notebook = load(task.notebook)
        order = worker.Order(
            name=task.name,
            notebook=task.notebook.read_text(encoding="utf-8"),
            parameters=task.parameters,
            working_folder=str(task.root) if self._here else "",
            time_limit=time_limit,
            slots=self._slots(),
            helpers=fingerprint(notebook, parameters=task.parameters)["helpers"],
            topic=self._topic,
        )
        parameters = {**defaults(notebook, name=task.name), **task.parameters}
        needs_gpu = str(parameters.get("DEVICE", "")).startswith("cuda")
        refusals: dict[str, str] = {}
        while True:
            able = self._able(needs_gpu, refusals)
            address, answer = self._ask(order, needs_gpu, able if refusals else None)
            if not answer.refused:
                return answer
            refusals[address] = answer.refused
            if not set(self._able(needs_gpu, {})) - set(refusals):
                return self._last_answer(answer, refusals)

    def _able(self, needs_gpu: bool, refusals: dict[str, str]) -> list[str]:
        """Addresses of workers that may be asked."""
        workers = self._workers()
        able = [address for address, about in workers.items() if not needs_gpu or about["resources"].get("GPU")]
        if needs_gpu and not able:
            raise NoWorker("it asks for a GPU and no worker offers one: start one with --resources GPU=1")
        return [address for address in able if address not in refusals]

    def _ask(self, order: worker.Order, needs_gpu: bool, workers: list[str] | None) -> tuple[str, worker.Answer]:
        """The address of the worker that took the order, and its answer."""
        resources = {"GPU": 1} if needs_gpu else None
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            future = self._client.submit(
                _addressed, order, key=f"{order.name}-{uuid.uuid4().hex}", workers=workers, resources=resources
            )
            self._futures.add(future)
        try:
            return future.result()
        except FutureCancelledError as error:
            if self._stopped:
                raise KeyboardInterrupt from None
            raise NoWorker("the scheduler has gone: start it and its workers, then run the command again") from error
        except KilledWorker as error:
            raise NoWorker(
                f"workers died of it, one after the other; the last was {error.last_worker.address}"
            ) from error
        finally:
            with self._lock:
                self._futures.discard(future)

    @staticmethod
    def _last_answer(answer: worker.Answer, refusals: dict[str, str]) -> worker.Answer:
        """What stands when all have refused: the report of a run that failed, or else the reasons."""
        if answer.executed:
            return answer
        reasons = ", ".join(f"{address}: {why}" for address, why in refusals.items())
        raise NoWorker(f"no worker takes it. {reasons}")

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
        # The notebook may have ended already: then nobody listens.
        with suppress(KeyError):
            row = self._rows[news["name"]]
            if "step" in news:
                row.step(news["step"])
            else:
                row.printed(news["printed"])


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
        with local, Client(local) as client:
            yield Cluster(client, here=True)


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
    except (OSError, TimeoutError, ValueError) as error:
        raise NoCluster(f"no Dask scheduler answers at {address}: start one with 'dask scheduler' ({error})") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError as error:
            raise NoCluster(
                f"the scheduler at {address} has no workers: start one with 'dask worker {address}' where the "
                "workbook is installed"
            ) from error
        yield Cluster(client, here=False)
