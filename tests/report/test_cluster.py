"""Notebooks on a cluster of Dask workers, each in a folder of its own, as on machines that share nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from helpers import ROOT
from helpers.data import MissingDataError
from helpers.report import cli, cluster
from tests.command import RESULT, left, printed, start, write_notebook

pytestmark = pytest.mark.slow

WAIT = 300.0  # seconds for what takes two on an idle machine
WHERE = "import os\nprint('ran on', os.environ['WORKER_NAME'], 'in', os.getcwd())"
# Until the worker is killed that gets it first, or the kernel.
WAITS_ONCE = """\
import os, time
from pathlib import Path
marker = Path("{}")
if not marker.exists():
    marker.write_text(os.environ["WORKER_NAME"])
    time.sleep(600)"""
LOADS = f"""\
import os
class {cluster.LACKS_DATA}(Exception):
    pass
if not os.path.exists(os.path.join(os.environ["WORKBOOK_DATA"], "pets")):
    raise {cluster.LACKS_DATA}("no pets")"""


def until(condition, *, what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


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

    def kernels(self, name: str) -> list[psutil.Process]:
        return psutil.Process(self._processes[name].pid).children()

    def kill(self, *names: str) -> None:
        for name in names or self._processes:
            self._processes[name].kill()
            self._processes[name].wait()

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


@pytest.fixture
def workers(tmp_path) -> Iterator[Workers]:
    made = Workers(tmp_path / "cluster")
    yield made
    made.kill()


def test_notebooks_on_workers_that_lack_something_are_killed_or_left_alone(tmp_path, workers, capfd):
    workers.add("poor")
    command = ["--scheduler", workers.address, "--format", "html", "--timeout", "600"]
    write_notebook(tmp_path, "02_gpu", WHERE, RESULT, parameters='SEED = 3\nDEVICE = "cuda"')
    assert cli.main(command, root=tmp_path) == 1
    assert "it offers no GPU: start it with --resources GPU=1" in capfd.readouterr().err

    # A worker without a GPU or the data is passed over; a notebook's own error comes back.
    rich = workers.add("rich", "--resources", "GPU=1")
    (rich / "pets").mkdir()
    assert MissingDataError.__name__ == cluster.LACKS_DATA
    write_notebook(tmp_path, "01_loads", WHERE, LOADS, RESULT)
    write_notebook(tmp_path, "03_raises", RESULT, "raise ValueError('its own')")
    assert cli.main(command, root=tmp_path) == 1
    assert "03_raises  failed: ValueError: its own (cell 3)" in capfd.readouterr().err
    assert all("ran on rich" in printed(tmp_path, name) for name in ("01_loads", "02_gpu"))
    assert left(tmp_path, "01_loads")["numbers"]["seed"]["value"] == 3

    # A killed worker is replaced.
    workers.kill("poor")
    marker = tmp_path / "marker"
    write_notebook(tmp_path, "04_waits", WHERE, WAITS_ONCE.format(marker), RESULT)

    def waiting() -> subprocess.Popen:
        """The command when its notebook waits on a worker."""
        marker.unlink(missing_ok=True)
        run = start(tmp_path, *command, "04", "--force")
        until(lambda: marker.exists() and marker.read_text(), what="the only worker that can run it")
        return run

    run = waiting()
    workers.kill("rich")
    workers.add("second")
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 0, said
    assert "ran on second" in printed(tmp_path, "04_waits")
    page = tmp_path / "reports" / "quick" / "04_waits.html"
    good = page.read_text()

    # Ctrl-C, and a scheduler that goes, end the command; the good report stays.
    run = waiting()
    kernels = workers.kernels("second")
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 130 and "interrupted: 04_waits did not end" in said and "Traceback" not in said
    assert kernels and not psutil.wait_procs(kernels, timeout=WAIT)[1]
    run = waiting()
    workers.kill("scheduler")
    said = run.communicate(timeout=WAIT)[1]
    assert run.returncode == 1 and "the scheduler has gone" in said
    assert page.read_text() == good and left(tmp_path, "04_waits")["status"] == "ok"


def test_a_scheduler_that_is_not_there_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "WAIT_FOR_SCHEDULER", 1.0)
    write_notebook(tmp_path, "01_one", RESULT)
    assert cli.main(["--scheduler", "tcp://127.0.0.1:1"], root=tmp_path) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1: start one" in capsys.readouterr().err


def test_without_dask_a_sentence_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, cluster.__name__)
    write_notebook(tmp_path, "01_one", RESULT)
    assert cli.main(["--scheduler", "tcp://127.0.0.1:1"], root=tmp_path) == 2
    assert (
        "error: --scheduler needs Dask, which is not installed here: pip install distributed" in capsys.readouterr().err
    )
