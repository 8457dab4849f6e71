"""Executing a notebook: papermill with a kernel of the running Python, a time limit for the whole, and live progress.

papermill, nbclient and jupyter_client take a second to import: import this module inside a function.
"""

import json
import logging
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tqdm import tqdm
from traitlets.config import Config

from helpers import PACKAGE, WorkbookError
from helpers.report import clean, stamp
from helpers.report.batch import cores
from helpers.report.watch import Watch
from helpers.report.workspace import Run, Settings

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables by which torch and NumPy are told with how many threads to compute."""
WAIT_FOR_STAMP = 120.0
"""Seconds: a kernel may have read many files."""
_LONGEST_SOCKET_FOLDER = 80
"""Bytes: Unix sockets' paths end at about 100 of them, the file name included."""

# nbclient logs what it also raises; the exceptions' messages are enough.
_LOG = logging.getLogger(__name__)
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())


class _CellFailed(WorkbookError):
    """A cell that did not end well; its outputs hold the error."""


class KernelNotStarted(WorkbookError):
    """The kernel's process ended before its first cell."""


def execute(source: str, run: Run, settings: Settings, watch: Watch) -> NotebookNode:
    """The executed notebook, however the run ended: an error is in the outputs of the cell that it ended in.

    ``source`` is its content, since the file itself may lie on another machine.
    """
    notebook = load_notebook_node(nbformat.reads(source, as_version=4))
    if run.parameters:
        notebook = parameterize_notebook(notebook, run.parameters, kernel_name="python3", language="python")
    made = NotebookExecutionManager(notebook, progress_bar=False)
    made.notebook_start()
    try:
        # A short name: the paths of sockets in it must be short.
        with tempfile.TemporaryDirectory(prefix="workbook-", ignore_cleanup_errors=True) as folder, watch:
            _Client(made, settings, watch, Path(folder)).execute(env=_environment(settings), cwd=str(run.root))
    except _CellFailed:
        pass
    except Exception as error:  # no kernel, or a fault in a library below or of ours: what ran is kept
        if all(cell.cell_type != "code" for cell in made.nb.cells):
            made.nb.cells.append(nbformat.v4.new_code_cell(metadata={"papermill": {"status": made.FAILED}}))
        code_cells = [cell for cell in made.nb.cells if cell.cell_type == "code"]
        ran = [cell for cell in code_cells if cell.execution_count is not None]
        _add_failure((ran[-1:] or code_cells)[0], type(error).__name__, str(error))
    made.notebook_complete()
    return made.nb


def _add_failure(cell: NotebookNode, name: str, message: str) -> None:
    """Puts an error into a code cell's outputs, as if the cell had raised it."""
    cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[]))


class _KernelManager(AsyncKernelManager):
    """Starts this Python, whatever kernel the user's Jupyter folders call "python3"."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


class _Client(PapermillNotebookClient):
    """Runs the cells: reports progress, ends the run at its time limit, tells a dead kernel from a raised error."""

    def __init__(self, made: NotebookExecutionManager, settings: Settings, watch: Watch, scratch: Path) -> None:
        super().__init__(
            made,
            timeout_func=self._remaining,
            kernel_name="python3",
            kernel_manager_class=_KernelManager,
            config=Config(KernelManager=_connection(scratch)),
            log=_LOG,
            # An output of many megabytes needs its time on a busy machine.
            iopub_timeout=60,
            # Results are in the notebook; a kernel that has loaded torch needs a second to stop by itself.
            shutdown_kernel="immediate",
        )
        self._limit, self._watch = settings.time_limit, watch
        self._said, self._stamp = scratch / "kernel.log", scratch / "stamp.json"
        self._deadline: float | None = None
        self._process: Any = None

    def execute(self, **options: Any) -> NotebookNode:
        # What the process itself writes (a crash's trace, a library's chatter) would tear the progress line.
        with self._said.open("wb") as said:
            return super().execute(stdout=said, stderr=said, **options)

    def start_new_kernel(self, **options: Any) -> None:
        super().start_new_kernel(**options)
        self._process = self.km.provisioner.process
        self._watch.begin(self._process.pid)

    def start_new_kernel_client(self) -> Any:
        try:
            return super().start_new_kernel_client()
        except RuntimeError as error:
            raise KernelNotStarted(f"{error}{self._last_words()}") from error

    def papermill_execute_cells(self) -> None:
        if self._limit is not None:
            self._deadline = time.monotonic() + self._limit
        self._execute_silently(stamp.BEFORE)
        code_cells = [index for index, cell in enumerate(self.nb.cells) if cell.cell_type == "code"]
        for index, cell in enumerate(self.nb.cells):
            if index in code_cells:
                self._watch.cell(code_cells.index(index) + 1, len(code_cells))
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                self._explain(cell, error)
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                raise _CellFailed from error
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)
        self._execute_silently(stamp.after(self._stamp))
        about = self.nb.metadata.setdefault("workbook", {})
        about.pop("stamp", None)  # of another run, in a notebook that was executed before
        with suppress(OSError, ValueError):
            about["stamp"] = json.loads(self._stamp.read_bytes())

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> NotebookNode | None:
        """Adds an output to the cell's; progress bars go to the progress line instead, warnings nowhere."""
        if msg["msg_type"] == "stream":
            content = msg["content"]
            if content["name"] == "stderr":
                self._watch.printed(content["text"])
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

    def _explain(self, cell: NotebookNode, error: Exception) -> None:
        """Says why a cell ended, where nothing in its outputs does."""
        if isinstance(error, CellTimeoutError):
            limit = tqdm.format_interval(self._limit or 0)
            stopped = f"the notebook was stopped at its limit of {limit}; --timeout sets another"
            _add_failure(cell, "NotebookTimeout", str(error) if "IOPub" in str(error) else stopped)
        elif isinstance(error, DeadKernelError):
            _add_failure(cell, "KernelDied", self._why_dead())

    def _execute_silently(self, code: str) -> None:
        """Executes code that leaves no trace in the notebook; if it fails there is no stamp, and all runs next time."""
        with suppress(TimeoutError, RuntimeError):
            ask = run_sync(self.kc.execute_interactive)
            ask(code, silent=True, allow_stdin=False, output_hook=lambda _: None, timeout=WAIT_FOR_STAMP)

    def _remaining(self, cell: NotebookNode | None) -> float | None:
        # nbclient takes 0 for "no limit".
        return None if self._deadline is None else max(0.001, self._deadline - time.monotonic())

    def _why_dead(self) -> str:
        code = self._process.poll()
        if code is None or code >= 0:
            why = f"ended by itself (exit code {code})"
        elif signal.Signals(-code).name == "SIGKILL":
            why = "was killed (SIGKILL), as Linux does to a process when memory runs out: try fewer or smaller images"
        else:
            why = f"crashed ({signal.Signals(-code).name})"
        return f"the kernel {why}{self._last_words()}"

    def _last_words(self) -> str:
        text = clean.printable(self._said.read_text(encoding="utf-8", errors="replace")).strip()
        return f". It wrote:\n{text[-2000:]}" if text else ""


def _connection(folder: Path) -> dict[str, Any]:
    """The kernel's connection: sockets in a folder of its own, as TCP ports of kernels started together may collide."""
    sockets = os.name == "posix" and len(os.fsencode(folder)) < _LONGEST_SOCKET_FOLDER
    return {"connection_file": str(folder / "kernel.json"), "transport": "ipc" if sockets else "tcp"}


def _environment(settings: Settings) -> dict[str, str]:
    # How many notebooks a cluster's machine runs is not known here.
    side_by_side = 1 if settings.scheduler else max(1, cores() // settings.jobs)
    fixed = {
        **dict.fromkeys(THREADS, str(settings.threads)),
        "LOKY_MAX_CPU_COUNT": os.environ.get("LOKY_MAX_CPU_COUNT", str(side_by_side)),
        # A report started inside JupyterLab or Colab inherits the variables by which a kernel knows that somebody
        # looks on.
        "WORKBOOK_LIVE": "0",
        **({"WORKBOOK_TRAIN_ANEW": str(settings.anew)} if settings.anew else {}),
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])),
    }
    return {**os.environ, **fixed}


def _join_streams(outputs: list[NotebookNode]) -> None:
    """Joins the last two outputs if both were printed to one stream, which kernels send in pieces."""
    if len(outputs) > 1 and outputs[-1].output_type == "stream" and outputs[-2].get("name") == outputs[-1].name:
        last = outputs.pop()
        outputs[-1].text += last.text
