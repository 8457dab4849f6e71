"""Executing a notebook: papermill with a kernel of the running Python, a time limit for the whole, and live progress.

papermill, nbclient and jupyter_client take a second to import: import this module inside a function.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

from helpers import ROOT, WorkbookError
from helpers.files import scratch_folder
from helpers.report import clean
from helpers.report.progress import Row, duration
from helpers.report.workspace import Task

ENGINE = "workbook"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables by which torch and NumPy are told with how many threads to compute."""
_LONGEST_SOCKET_FOLDER = 80
"""Bytes: Unix sockets' paths end at about 100 of them, the file name included."""

# nbclient logs what it also raises; the exceptions' messages are enough.
_LOG = logging.getLogger(__name__)
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())


class RunFailed(WorkbookError):
    """A notebook's run that ended before its last cell. The notebook itself holds the error, in the cell's outputs."""


class CellRaised(RunFailed):
    """A cell raised an exception."""


class NotebookTimeout(RunFailed):
    """The notebook ran longer than its limit."""


class KernelDied(RunFailed):
    """The kernel's process ended in the middle of a cell."""


class KernelNotStarted(WorkbookError):
    """The kernel's process ended before its first cell; the notebook holds nothing of it."""


@dataclass
class Watch:
    """What goes between a run and whoever started it.

    Attributes:
        row: is told each cell and the cells' bars.
        time_limit: seconds for all cells together, or None.
        peak_mib: the highest memory of the kernel's process so far; None before it is known.
        kernel: the kernel's process, with its number as "pid", from its start on.
    """

    row: Row
    time_limit: float | None = None
    peak_mib: float | None = field(default=None, init=False)
    kernel: Any = field(default=None, init=False)

    def kill(self) -> None:
        """Kills the kernel's process, if there is one: the run ends as one whose kernel died."""
        if self.kernel is not None:
            _end_process_group(self.kernel.pid)


def execute(task: Task, output: Path, watch: Watch, *, threads: int | None = None) -> None:
    """Runs a notebook; ``output`` is written after each cell, so it holds what there is, however the run ends.

    Args:
        task: the notebook, its parameters, and the kernel's working folder.
        output: the executed notebook to write.
        watch: see there.
        threads: that the kernel computes with; None for its libraries' own choice.

    Raises:
        RunFailed: if a cell raises, the time is up, or the kernel dies.
        KernelNotStarted: if there is no kernel to run a cell.
    """
    papermill_engines.register(ENGINE, _Engine)
    papermill.execute_notebook(
        _literal(task.notebook),
        _literal(output),
        parameters=task.parameters,
        engine_name=ENGINE,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        folder=task.root,
        watch=watch,
        threads=threads,
    )


def _literal(path: Path) -> str:
    """The path as papermill takes it, which would fill parameters into braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def add_failure(cell: NotebookNode, name: str, message: str) -> None:
    """Puts an error into a code cell's outputs, as if the cell had raised it."""
    cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[]))


class _Engine(NBClientEngine):
    """papermill's engine for one run: a client of ours, in a temporary folder of its own."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, watch: Watch, threads: int | None, folder: Path, **_: Any
    ) -> None:
        nb_man.now = _steady_clock(nb_man.start_time)
        with scratch_folder() as scratch:
            client = _Client(
                nb_man,
                watch,
                said=scratch / "kernel.log",
                kernel_name=kernel_name,
                kernel_manager_class=_KernelManager,
                config=Config(KernelManager=_connection(scratch)),
                log=_LOG,
                # An output of many megabytes needs its time on a busy machine.
                iopub_timeout=60,
                # Results are in the notebook; a kernel that has loaded torch needs a second to stop by itself.
                shutdown_kernel="immediate",
            )
            client.execute(env=_environment(threads), cwd=str(folder))


def _steady_clock(start: datetime) -> Callable[[], datetime]:
    """The time, by a clock that nobody sets while the notebook runs: papermill's durations are differences of it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux's first one goes on while a laptop sleeps
    begun = time.clock_gettime(clock)
    return lambda: start + timedelta(seconds=time.clock_gettime(clock) - begun)


class _KernelManager(AsyncKernelManager):
    """Starts this Python, whatever kernel the user's Jupyter folders call "python3"."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


class _Client(PapermillNotebookClient):
    """Runs the cells: reports progress, ends the run at its time limit, tells a dead kernel from a raised error."""

    def __init__(self, nb_man: Any, watch: Watch, *, said: Path, **options: Any) -> None:
        super().__init__(nb_man, timeout_func=self._remaining, **options)
        self._watch = watch
        self._said = said
        self._deadline: float | None = None

    def execute(self, **options: Any) -> NotebookNode:
        try:
            # What the process itself writes (a crash's trace, a library's chatter) would tear the progress line.
            with self._said.open("wb") as said:
                return super().execute(stdout=said, stderr=said, **options)
        finally:
            if self._watch.kernel is not None:
                _end_process_group(self._watch.kernel.pid)

    def start_new_kernel(self, **options: Any) -> None:
        super().start_new_kernel(**options)
        self._watch.kernel = self.km.provisioner.process

    def start_new_kernel_client(self) -> Any:
        try:
            return super().start_new_kernel_client()
        except RuntimeError as error:
            raise KernelNotStarted(f"{error}{self._last_words()}") from error

    def papermill_execute_cells(self) -> None:
        if self._watch.time_limit is not None:
            self._deadline = time.monotonic() + self._watch.time_limit
        code_cells = [index for index, cell in enumerate(self.nb.cells) if cell.cell_type == "code"]
        for index, cell in enumerate(self.nb.cells):
            if index in code_cells:
                self._watch.row.step(f"cell {code_cells.index(index) + 1}/{len(code_cells)}")
            self.nb_man.cell_start(cell, index)
            try:
                self._execute_or_explain(cell, index)
            except RunFailed as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                raise
            finally:
                self._note_memory()
                self.nb_man.cell_complete(cell, cell_index=index)

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> NotebookNode | None:
        """Adds an output to the cell's; progress bars go to the progress line instead, warnings nowhere."""
        if msg["msg_type"] == "stream":
            content = msg["content"]
            if content["name"] == "stderr":
                self._watch.row.printed(content["text"])
            if content["name"] == "stderr" or "\r" in content["text"]:
                content["text"] = clean.printed(content["text"])
                if content["name"] == "stderr":
                    # The executed notebook is handed on as well: warnings tell where this machine keeps its files.
                    content["text"] = clean.without_warnings(content["text"])
                if not content["text"].strip():
                    return None
        added = super().output(outs, msg, display_id, cell_index)
        _join_streams(outs)
        return added

    def _execute_or_explain(self, cell: NotebookNode, index: int) -> None:
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            raise CellRaised(f"{error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            raise self._failure(cell, NotebookTimeout, self._why_timeout(str(error))) from error
        except DeadKernelError as error:
            raise self._failure(cell, KernelDied, self._why_dead()) from error

    @staticmethod
    def _failure(cell: NotebookNode, kind: type[RunFailed], message: str) -> RunFailed:
        add_failure(cell, kind.__name__, message)
        return kind(message)

    def _remaining(self, cell: NotebookNode | None) -> float | None:
        # nbclient takes 0 for "no limit".
        return None if self._deadline is None else max(0.001, self._deadline - time.monotonic())

    def _why_timeout(self, nbclient_says: str) -> str:
        if "IOPub" in nbclient_says:
            return nbclient_says
        return f"the notebook was stopped at its limit of {duration(self._watch.time_limit)}; --timeout sets another"

    def _why_dead(self) -> str:
        code = self._watch.kernel.poll()
        if code == -signal.SIGKILL:
            why = "was killed (SIGKILL), as Linux does to a process when memory runs out: try fewer or smaller images"
        elif code is not None and code < 0:
            why = f"crashed ({signal.Signals(-code).name})"
        else:
            why = f"ended by itself (exit code {code})"
        return f"the kernel {why}{self._last_words()}"

    def _last_words(self) -> str:
        text = clean.printable(self._said.read_text(errors="replace")).strip()
        return f". It wrote:\n{text[-2000:]}" if text else ""

    def _note_memory(self) -> None:
        peak = _peak_mib(self._watch.kernel.pid)
        if peak is not None:
            self._watch.peak_mib = max(peak, self._watch.peak_mib or 0.0)


def _end_process_group(pid: int) -> None:
    """Ends a kernel and what it may have left: it leads a process group of its own."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _connection(folder: Path) -> dict[str, Any]:
    """The kernel's connection: sockets in a folder of its own, as TCP ports of kernels started together may collide."""
    sockets = os.name == "posix" and len(os.fsencode(folder)) < _LONGEST_SOCKET_FOLDER
    return {"connection_file": str(folder / "kernel.json"), "transport": "ipc" if sockets else "tcp"}


def _environment(threads: int | None) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    share = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    # A report started inside JupyterLab or Colab inherits the variables by which a kernel knows that somebody looks on.
    fixed = {"WORKBOOK_LIVE": "0", "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(paths)}
    return {**waiting(), **os.environ, **share, **fixed}


def waiting() -> dict[str, str]:
    """Variables that say how PyTorch's threads wait for each other; none where the user has set such a variable.

    A waiting thread spins for a while before it sleeps. Measured on two cores, training in bfloat16: 1,800 images/s by
    default, 1,590 with threads that sleep at once, 1,830 with this number of turns, 1,880 with 10,000; with one other
    busy program 540, 740, 670, 620.
    """
    return {} if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys() else {"GOMP_SPINCOUNT": "3000"}


def _join_streams(outputs: list[NotebookNode]) -> None:
    """Joins the last two outputs if both were printed to one stream, which kernels send in pieces."""
    if len(outputs) > 1 and outputs[-1].output_type == "stream" and outputs[-2].get("name") == outputs[-1].name:
        last = outputs.pop()
        outputs[-1].text += last.text


def _peak_mib(pid: int) -> float | None:
    """The most memory that a process has held at once (Linux), or holds now (elsewhere); None if it has gone."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    with suppress(psutil.Error):
        return psutil.Process(pid).memory_info().rss / 2**20
    return None
