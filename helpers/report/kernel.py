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

import joblib
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tqdm import tqdm

from helpers import PACKAGE, WorkbookError
from helpers.report import clean, stamp
from helpers.report.watch import Watch
from helpers.report.workspace import Run, Settings

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables by which torch and NumPy are told with how many threads to compute."""
WAIT_FOR_STAMP = 120.0
"""Seconds: a kernel may have read many files."""
_LONGEST_SOCKET_FOLDER = 80
"""Bytes: Unix sockets' paths end at about 100 of them, the file name included."""

# nbclient logs what it also raises; the exceptions' messages are enough.
_LOG = logging.Logger(__name__, logging.CRITICAL)


def execute(source: str, run: Run, settings: Settings, watch: Watch) -> NotebookNode:
    """The executed notebook, however its cells ended: an error is in the outputs of the last one that ran.

    ``source`` is its content, since the file itself may lie on another machine. `WorkbookError` if no cell could run.
    """
    notebook = load_notebook_node(nbformat.reads(source, as_version=4))
    if run.parameters:
        notebook = parameterize_notebook(notebook, run.parameters, kernel_name="python3", language="python")
    made = NotebookExecutionManager(notebook, progress_bar=False)
    made.notebook_start()
    with (
        # A short name: the paths of sockets in it must be short.
        tempfile.TemporaryDirectory(prefix="workbook-", ignore_cleanup_errors=True) as folder,
        # What the process itself writes (a crash's trace, a library's chatter) would tear the progress line.
        (Path(folder) / "kernel.log").open("wb") as said,
        watch,
    ):
        client = _Client(made, settings, watch, Path(folder))
        try:
            client.execute(env=_environment(settings), cwd=str(run.root), stdout=said, stderr=said, cleanup_kc=True)
        except Exception as error:
            client.explain(error)
    made.notebook_complete()
    return made.nb


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
            _KernelManager(**_connection(scratch)),
            timeout_func=self._remaining,
            on_cell_execute=self._begin,
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
        self._cell: NotebookNode | None = None  # the last one that was begun

    def start_new_kernel(self, **options: Any) -> None:
        super().start_new_kernel(**options)
        self._process = self.km.provisioner.process
        self._watch.begin(self._process.pid)

    def papermill_execute_cells(self) -> None:
        if self._limit is not None:
            self._deadline = time.monotonic() + self._limit
        self._execute_silently(stamp.BEFORE)
        super().papermill_execute_cells()
        if self.nb.metadata.papermill["exception"]:
            return
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
                content["text"] = clean.printed(content["text"], content["name"])  # notebooks are handed on, too
                if not content["text"].strip():
                    return None
        added = super().output(outs, msg, display_id, cell_index)
        _join_streams(outs)
        return added

    def explain(self, error: Exception) -> None:
        """Says why a cell ended that raised no error itself, in its outputs."""
        if self._cell is None:
            raise WorkbookError(f"its kernel does not start: {error}{self._last_words()}") from error
        name, message = type(error).__name__, str(error)
        if isinstance(error, DeadKernelError):
            name, message = "KernelDied", self._why_dead()
        elif isinstance(error, CellTimeoutError) and "IOPub" not in message:
            limit = tqdm.format_interval(self._limit or 0)
            name = "NotebookTimeout"
            message = f"the notebook was stopped at its limit of {limit}; --timeout sets another"
        self._cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[]))
        self.nb_man.cell_exception(self._cell)

    def _begin(self, cell: NotebookNode, cell_index: int) -> None:
        self._cell = cell
        code_cells = [index for index, each in enumerate(self.nb.cells) if each.cell_type == "code"]
        self._watch.cell(code_cells.index(cell_index) + 1, len(code_cells))

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
    side_by_side = 1 if settings.scheduler else max(1, joblib.cpu_count() // settings.jobs)
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
