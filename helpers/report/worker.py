"""What a Dask worker does with a notebook: it runs it in a folder of its own and sends back what came of it.

The worker needs the workbook installed and nothing shared: the notebook and its parameters come as plain data, the
executed notebook goes back as text.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import ROOT
from helpers.files import scratch_folder

TOPIC = "workbook"
"""The Dask topic that hears of the notebooks' progress."""
LACKS_DATA = "MissingDataError"
_BETWEEN_BARS = 1.0
_LOOKS_FOR_CANCELLATION = 1.0


@dataclass(frozen=True)
class Order:
    """A notebook to run.

    Attributes:
        name: its reports' name.
        notebook: its content, as text.
        parameters: values for its parameters cell to override.
        working_folder: the kernel's, for a worker on the machine of the one who asks; "" for the worker's own workbook.
        time_limit: seconds for all its cells, or None.
        slots: how many notebooks run at once on each host, so that their kernels can share its processors.
        helpers: hashes of the parts of ``helpers`` that it uses, as the one who asks has them.
        run: the command's name among those that use the cluster.
    """

    name: str
    notebook: str
    parameters: dict[str, Any]
    working_folder: str
    time_limit: float | None
    slots: Mapping[str, int]
    helpers: Mapping[str, str]
    run: str


@dataclass(frozen=True)
class Answer:
    """What came of an order.

    Attributes:
        executed: the executed notebook as text, "" if not even its first cell ran.
        error: (name, message) of what ended the run, or None.
        refused: why another worker should be asked: this one lacks a data set, or has other helpers; or "".
        peak_mib: the most memory that the kernel held, None if unknown.
    """

    executed: str = ""
    error: tuple[str, str] | None = None
    refused: str = ""
    peak_mib: float | None = None


def identity() -> str:
    """What has to be the same where orders are given and taken: a hash of the code that does it."""
    folder = Path(__file__).parent
    return hashlib.blake2b(b"".join((folder / f"{name}.py").read_bytes() for name in ("worker", "engine"))).hexdigest()


def run(order: Order) -> Answer:
    """Runs a notebook on this worker; called by Dask in a thread of the worker."""
    import nbformat

    from helpers.report import engine
    from helpers.report.inputs import helpers_used
    from helpers.report.workspace import Task

    notebook = nbformat.reads(order.notebook, as_version=4)
    if helpers_used(notebook, root=Path(order.working_folder or ROOT)) != order.helpers:
        return Answer(refused="its helpers differ from yours: install the same version of the workbook there")
    with scratch_folder() as folder:
        source, executed = folder / f"{order.name}.ipynb", folder / "executed.ipynb"
        source.write_text(order.notebook, encoding="utf-8")
        task = Task(source, order.parameters, order.name, folder, folder, Path(order.working_folder or ROOT))
        watch = engine.Watch(_Reporter(order), order.time_limit)
        watch.row.step("starting the kernel")
        error = None
        with _stopping_when_cancelled(watch):
            try:
                engine.execute(task, executed, watch, threads=_threads(order))
            except Exception as raised:  # Whatever it is, the one who asked is told.
                error = (type(raised).__name__, str(raised))
                if not isinstance(raised, engine.RunFailed):
                    executed.unlink(missing_ok=True)  # no cell ran
        text = executed.read_text(encoding="utf-8") if executed.exists() else ""
    refused = "it lacks the data set" if error and _raised(text, LACKS_DATA) else ""
    return Answer(text, error, refused, watch.peak_mib)


class _Reporter:
    """Takes what a notebook's line would show, and tells it to whoever listens."""

    def __init__(self, order: Order) -> None:
        from distributed import get_worker

        self._worker, self._order = get_worker(), order
        self._last_bar = 0.0

    def step(self, position: str) -> None:
        self._tell({"step": position})

    def printed(self, text: str) -> None:
        if time.monotonic() - self._last_bar >= _BETWEEN_BARS:
            self._last_bar = time.monotonic()
            self._tell({"printed": text[-1000:]})

    def _tell(self, news: dict[str, str]) -> None:
        about = {"run": self._order.run, "name": self._order.name, "address": self._worker.address}
        self._worker.log_event(TOPIC, {**about, **news})


@contextmanager
def _stopping_when_cancelled(watch: Any) -> Iterator[None]:
    """Kills the kernel when nobody waits for its notebook any more: Dask itself can't stop a thread."""
    from distributed import get_worker

    worker, key, done = get_worker(), get_worker().get_current_task(), threading.Event()

    def look() -> None:
        while not done.wait(_LOOKS_FOR_CANCELLATION):
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing":
                watch.kill()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _threads(order: Order) -> int | None:
    """This notebook's share of the host's processors; None where it has them alone."""
    from distributed import get_worker
    from distributed.comm import get_address_host

    at_once = order.slots.get(get_address_host(get_worker().address), 1)
    if at_once == 1:
        return None
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A worker elsewhere may have been given a share of its host already, as Slurm does.
    return max(1, mine // at_once if order.working_folder else min(mine, (os.cpu_count() or 1) // at_once))


def _raised(executed: str, name: str) -> bool:
    """Whether a cell of the executed notebook ended in this exception."""
    with suppress(ValueError, KeyError):
        cells = json.loads(executed)["cells"]
        return any(output.get("ename") == name for cell in cells for output in cell.get("outputs", []))
    return False
