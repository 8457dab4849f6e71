"""Notebooks on a cluster of Dask workers, each in a folder of its own, as on machines that share nothing."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from PIL import Image

from helpers import ROOT
from helpers.report import cli, cluster
from tests.command import RESULT, report_command, write_notebook

pytestmark = pytest.mark.slow

WAIT = 90.0  # seconds for what takes two on an idle machine
WHERE = "import os\nprint('ran on', os.environ['WORKER_NAME'], 'in', os.getcwd())"
# The first worker that gets this one is killed meanwhile.
KILLED_ONCE = """\
import os, time
from pathlib import Path
marker = Path("{}")
if not marker.exists():
    marker.write_text(os.environ["WORKER_NAME"])
    time.sleep(600)"""
LOADS = """\
from helpers import data
print(len(data.load("folder:pets", own="photographs", image_size=8).train), "images")"""


def numbers(root: Path, name: str) -> dict:
    return json.loads((root / "reports" / "quick" / f"{name}.json").read_text(encoding="utf-8"))


def printed(root: Path, name: str) -> str:
    notebook = nbformat.read(root / "reports" / "quick" / f"{name}.ipynb", as_version=4)
    return "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))


def until(condition, *, what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def mark(monkeypatch) -> str:
    """Every process that a test starts carries it."""
    monkeypatch.setenv("TEST_MARK", uuid.uuid4().hex)
    return os.environ["TEST_MARK"]


def kernels(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            is_kernel = "ipykernel_launcher" in (process.info["cmdline"] or [])
            found += [process] if is_kernel and process.environ().get("TEST_MARK") == mark else []
    return found


class Workers:
    """A scheduler and workers as processes of their own, each in its own folder, as on machines that share nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen] = {}
        file = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        until(lambda: file.is_file() and file.read_text().endswith("}"), what="the scheduler")
        self.address = json.loads(file.read_text())["address"]

    def add(self, name: str, *options: str) -> Path:
        """Starts a worker; returns its data folder once it has registered."""
        arguments = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--name", name, "--local-directory", "."]
        self._start(name, self.address, *arguments, *options, kind="worker")
        log = self._folder / name / "log"
        until(lambda: "Registered to" in log.read_text(), what=f"the worker {name}")
        return self._folder / name / "data"

    def kill(self, name: str) -> None:
        self._processes[name].kill()

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _start(self, name: str, *arguments: str, kind: str = "scheduler") -> None:
        folder = self._folder / name
        (folder / "data").mkdir(parents=True)
        own = {"WORKER_NAME": name, "WORKBOOK_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)}
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", *arguments],
            cwd=folder,
            env={**os.environ, **own},
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_apart(root: Path, *arguments: str) -> subprocess.Popen:
    """The command in a process of its own, which heeds Ctrl-C: a background job's child may ignore it."""
    return subprocess.Popen(
        report_command(root, *arguments),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def workers(tmp_path, mark) -> Iterator[Workers]:
    made = Workers(tmp_path / "cluster")
    yield made
    made.end()


def test_a_worker_that_lacks_something_is_passed_over_and_a_killed_one_replaced(tmp_path, workers, capfd):
    workers.add("poor")
    command = ["--scheduler", workers.address, "--format", "html", "--timeout", "200"]
    write_notebook(tmp_path, "02_gpu", WHERE, RESULT, parameters='SEED = 3\nDEVICE = "cuda"')
    assert cli.main(command, root=tmp_path) == 1
    assert "it offers no GPU: start it with --resources GPU=1" in capfd.readouterr().err

    rich = workers.add("rich", "--resources", "GPU=1")
    for number in range(24):
        path = rich / "pets" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(path)
    write_notebook(tmp_path, "01_loads", WHERE, LOADS, RESULT)
    write_notebook(tmp_path, "03_raises", RESULT, "raise ValueError('its own')")
    assert cli.main(command, root=tmp_path) == 1
    assert "03_raises  failed: ValueError: its own (cell 3)" in capfd.readouterr().err
    assert "ran on rich" in printed(tmp_path, "01_loads") and "images" in printed(tmp_path, "01_loads")
    assert "ran on rich" in printed(tmp_path, "02_gpu")
    assert numbers(tmp_path, "01_loads")["numbers"]["seed"]["value"] == 3

    workers.kill("poor")
    marker = tmp_path / "marker"
    write_notebook(tmp_path, "04_killed", WHERE, KILLED_ONCE.format(marker), RESULT)
    run = run_apart(tmp_path, *command, "04")
    until(lambda: marker.exists() and marker.read_text(), what="the only worker that can run it")
    workers.kill("rich")
    workers.add("second")
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 0, said
    assert "ran on second" in printed(tmp_path, "04_killed")


def test_ctrl_c_and_a_scheduler_that_goes_end_the_command_and_good_reports_stay(tmp_path, workers, mark):
    workers.add("only")
    marker, names = tmp_path / "marker", ["01_one", "02_two"]
    for name in names:  # whichever comes first waits, and the other behind it
        write_notebook(tmp_path, name, KILLED_ONCE.format(marker), RESULT)
    marker.write_text("not yet")
    command = ["--scheduler", workers.address, "--format", "html", "--timeout", "200"]
    assert cli.main(command, root=tmp_path) == 0
    good = {name: (tmp_path / "reports" / "quick" / f"{name}.html").read_text() for name in names}

    marker.unlink()
    run = run_apart(tmp_path, *command, "--force")
    until(marker.exists, what="the kernel")
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 130 and "interrupted: 01_one, 02_two did not end" in said
    assert "Traceback" not in said
    until(lambda: not kernels(mark), what="the worker to stop the kernel")

    marker.unlink()
    run = run_apart(tmp_path, *command, "--force")
    until(marker.exists, what="the first notebook")
    workers.kill("scheduler")
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 1 and said.count("the scheduler has gone") == len(names)
    assert {name: (tmp_path / "reports" / "quick" / f"{name}.html").read_text() for name in names} == good
    assert all(numbers(tmp_path, name)["status"] == "ok" for name in names)


def test_a_scheduler_that_is_not_there_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "WAIT_FOR_SCHEDULER", 1.0)
    write_notebook(tmp_path, "01_one", RESULT)
    assert cli.main(["--scheduler", "tcp://127.0.0.1:1"], root=tmp_path) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1: start one" in capsys.readouterr().err
