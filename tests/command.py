"""The report command in a process of its own, for a workbook that lies elsewhere, and notebooks for such a workbook."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers import ROOT

CODE = """\
import sys
from pathlib import Path
from helpers.report.cli import main
sys.exit(main(sys.argv[2:], root=Path(sys.argv[1])))"""
"""The command as a program: its first argument is the folder that holds ``notebooks``."""

RESULT = """\
from helpers import record
record.numbers([record.Number("seed", "Seed", float(SEED))], "results", "What the run gave.")"""
"""A cell that records the parameter SEED: a report needs a result, and this one costs little."""


def start(root: Path | str, *arguments: str, code: str = CODE, **options) -> subprocess.Popen:
    """Starts the command for the folder that holds ``notebooks``; what it says comes through pipes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    call = [sys.executable, "-c", code, str(root), *arguments]
    return subprocess.Popen(call, **{"cwd": ROOT, **pipes, **options})


def stopped(root: Path, *arguments: str, at: Sequence[str], by: int = signal.SIGINT) -> tuple[int, str]:
    """Sends the command a signal when its lines to stderr have said this; its status, and what it said from then on.

    No kernel may stay.
    """
    with start(root, *arguments) as process:
        try:
            for words in at:
                next(line for line in process.stderr if words in line)
            kernels = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(by)
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
    assert kernels and not psutil.wait_procs(kernels, timeout=120)[1]
    return process.returncode, said


def write_notebook(
    root: Path, name: str, *sources: str, parameters: str | None = "SEED = 3", text: str = "", **workbook
) -> Path:
    """Writes a notebook of a text, a parameters cell (None: without) and code; ``workbook`` is of its metadata."""
    cells = [nbformat.v4.new_markdown_cell(text or f"# About {name}")]
    if parameters is not None:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += map(nbformat.v4.new_code_cell, sources)
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"workbook": workbook} if workbook else {}), path)
    return path


def left(root: Path, name: str) -> dict:
    """What a notebook's run at the quick profile left as numbers."""
    return json.loads((root / "reports" / "quick" / f"{name}.json").read_text(encoding="utf-8"))


def executed(root: Path, name: str) -> nbformat.NotebookNode:
    """The executed notebook of the same, which JupyterLab can open."""
    notebook = nbformat.read(root / "reports" / "quick" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def printed(root: Path, name: str) -> str:
    """What its cells printed."""
    return "".join(o.get("text", "") for cell in executed(root, name).cells for o in cell.get("outputs", []))


def executed_cell(source: Callable[[], object]) -> nbformat.NotebookNode:
    """A code cell with the outputs of a call, as Jupyter would save them."""
    outputs = []

    def display(bundle, raw):
        outputs.append(nbformat.v4.new_output("display_data", json.loads(json.dumps(bundle, allow_nan=False))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", display)
        source()
    return nbformat.v4.new_code_cell("show()", execution_count=1, outputs=outputs)
