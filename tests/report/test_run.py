"""Notebooks that finish, raise, die and never end: what is left of each, and what is shown meanwhile."""

import errno
import io
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import psutil
import pytest

from helpers import ROOT, plots, record
from helpers.data import Source
from helpers.report import cli, index, kernel
from helpers.report.watch import Watch
from tests.command import executed, executed_cell, left, printed, stopped, write_notebook

pytestmark = pytest.mark.slow

PARAMETERS = "EPOCHS = 3\nSEED = 0"
IMPORTS = "import os, sys, time, warnings\nfrom tqdm import tqdm\nfrom helpers import record"
TRAINING = """\
print("before")
for epoch in range(EPOCHS):
    name = f"method\\x1b]52;c;cm0=\\x07 1, epoch {epoch + 1}/{EPOCHS}"
    for _ in tqdm(range(4), desc=name, leave=False, mininterval=0):
        time.sleep(0.05)
print("after")
for _ in tqdm(range(4), desc="a bar that stays"):
    pass
print("said to stderr", file=sys.stderr)
warnings.warn("where this machine keeps its files")
warnings.warn("no checkpoint\\x9b2J is kept", type("CheckpointWarning", (UserWarning,), {}))"""
RESULT = 'record.numbers([record.Number("epochs", "Epochs", float(EPOCHS))], "results", "What the run gave.")'
SURROUNDINGS = """\
names = "PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "WORKBOOK_TRAIN_ANEW"
print("in", os.getcwd(), *(os.environ.get(name) for name in names))"""
RAISES = 'raise ValueError("no\\x1b]0;a title\\x07 \\x9b2Jgood")'


def write(root: Path, name: str, *sources: str, **workbook) -> Path:
    return write_notebook(root, name, *sources, parameters=PARAMETERS, **workbook)


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what was drawn."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Session:
    """One run of the command: its exit status, what it printed and what it drew on the terminal, and its reports."""

    def __init__(self, root: Path, *arguments: str) -> None:
        terminal, table = Terminal(), io.StringIO()
        with redirect_stderr(terminal), redirect_stdout(table):
            self.status = cli.main(arguments, root=root)
        self.said, self.table = terminal.getvalue(), table.getvalue()
        self.reports = root / "reports" / "quick"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("workbook")
    write(root, "01_fine", IMPORTS, TRAINING, RESULT, SURROUNDINGS)
    write(root, "02_raises", IMPORTS, RESULT, RAISES, "print('never')")
    write(root, "03_dies", IMPORTS, RESULT, "os.kill(os.getpid(), 9)")
    return root


@pytest.fixture(scope="module")
def session(root, tmp_path_factory) -> Iterator[Session]:
    """All three notebooks run in a row, from another folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("COLUMNS", "100")
        patch.setenv("OMP_NUM_THREADS", "2")
        yield Session(root, "-p", "EPOCHS", "2", "--timeout", "600", "--jobs", "1")


def test_a_finished_run_leaves_every_file_and_nothing_else(session, root):
    names = {path.name for path in session.reports.iterdir()}
    notebooks = ("01_fine", "02_raises", "03_dies")
    reports = {f"{name}.{suffix}" for name in notebooks for suffix in ("ipynb", "html", "pdf", "json")}
    assert names == {"index.html", "workbook.pdf", *reports}
    assert (session.reports / "01_fine.pdf").read_bytes().startswith(b"%PDF")
    fine = left(root, "01_fine")
    assert (fine["status"], fine["numbers"]["epochs"]["value"]) == ("ok", 2)
    assert f"in {root} 0 1 1 None\n" in printed(root, "01_fine"), "folder, hashes and threads of the kernel"
    assert executed(root, "01_fine").metadata.language_info.version == sys.version.split()[0]
    commands = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if "ipykernel_launcher" in command], "no kernel is left"


def test_progress_is_shown_and_kept_out_of_the_notebook(session, root):
    drawn = re.sub(r"\x1b\[\d*[AJK]", "", session.said)
    assert re.search(r"01_fine  cell 4/6[^\r\n]*method 1, epoch 2/2", drawn)
    training = executed(root, "01_fine").cells[4]
    assert [(o.name, o.text.strip()) for o in training.outputs] == [
        ("stdout", "before\nafter"),
        ("stderr", "said to stderr"),
    ]
    assert "01_fine  no checkpoint2J is kept" in drawn


def test_nothing_that_a_notebook_says_controls_the_terminal(session):
    """Neither a window's title or the clipboard (OSC) nor, as one character, a command (CSI)."""
    shown = re.sub(r"\x1b\[[AK]", "", session.said)  # tqdm's own: a line up
    assert "02_raises  failed: ValueError: no 2Jgood (cell 5)" in shown
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", session.table)


def test_the_notebook_names_no_folder_of_this_machine(session, root):
    about = executed(root, "01_fine").metadata.papermill
    assert about.input_path == about.output_path == "01_fine.ipynb"
    outputs = [str(cell.get("outputs", "")) for cell in executed(root, "01_fine").cells[:5]]
    assert not any("Warning" in text or str(ROOT) in text or str(Path.home()) in text for text in outputs)
    for suffix in ("json", "html"):
        for name in ("01_fine", "02_raises"):
            text = (session.reports / f"{name}.{suffix}").read_text(encoding="utf-8")
            assert not [folder for folder in (ROOT, Path.home(), sys.prefix) if f"{folder}/" in text]


def test_a_failed_run_leaves_a_report_that_ends_with_its_error_and_the_others_go_on(session, root):
    for name, error, words in (("02_raises", "ValueError", "good"), ("03_dies", "KernelDied", "memory runs out")):
        told = left(root, name)
        assert (told["status"], told["error"]["name"]) == ("failed", error) and words in told["error"]["message"]
        assert error in (session.reports / f"{name}.html").read_text(encoding="utf-8")
        assert told["numbers"]["epochs"]["value"] == 2
    assert "never" not in printed(root, "02_raises")
    rows = {line.split()[0]: line.split()[1] for line in session.table.splitlines() if line[0].isdigit()}
    assert rows == {"01_fine": "ok", "02_raises": "FAILED", "03_dies": "FAILED"}
    assert session.status == 1


def test_an_endless_notebook_is_stopped_at_its_limit_and_computes_as_the_options_say(tmp_path, monkeypatch):
    """The limit is nearly reached when its last cell begins, however long the others took."""
    write(tmp_path, "05_endless", IMPORTS, SURROUNDINGS, f"{RESULT}\nopen('at the end', 'w')", "while True:\n    pass")
    clock = SimpleNamespace(monotonic=lambda: 299.0 * (tmp_path / "at the end").exists())
    monkeypatch.setattr(kernel, "time", clock)
    begun = time.time()
    session = Session(tmp_path, "--timeout", "300", "--format", "html", "--threads", "3", "--force")
    assert session.status == 1
    told = left(tmp_path, "05_endless")
    assert told["error"]["name"] == "NotebookTimeout" and told["numbers"]["epochs"]["value"] == 3
    assert "limit of 05:00; --timeout sets another" in told["error"]["message"]
    assert not (session.reports / "05_endless.pdf").exists()
    threads, _, anew = printed(tmp_path, "05_endless").strip().rpartition(" ")
    assert threads.endswith(" 3 3") and begun < float(anew) < time.time(), "older checkpoints are left aside"


def test_a_kernel_that_does_not_start_fails_its_notebook_with_what_it_said(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named ipykernel' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    write_notebook(tmp_path, "08_words", parameters=None)
    session = Session(tmp_path, "--format", "html")
    assert session.status == 1 and not (session.reports / "08_words.html").exists()
    assert "08_words  failed: its kernel does not start" in session.said
    assert "No module named ipykernel" in session.said


def test_ctrl_c_stops_the_kernels(tmp_path):
    for name in ("06_long", "07_long"):
        write(tmp_path, name, IMPORTS, RESULT, "while True:\n    pass")
    status, said = stopped(tmp_path, "--jobs", "2", "--timeout", "300", at=["cell 4/4"] * 2)
    assert status == 130 and "interrupted: 06_long, 07_long did not end" in said and "Traceback" not in said


def test_a_kernel_and_what_it_started_end_also_where_there_are_no_process_groups(monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(os, "killpg")
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        both = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        watch = Watch("01")
        watch.begin(process.pid)
        watch.stop()
        assert len(both) == 2 and not psutil.wait_procs(both, timeout=120)[1]


# Without a kernel: what the command does with the notebook that comes back


def measured(*, loss: float = 0.25, **values: float) -> nbformat.NotebookNode:
    values = {"loss": loss, **values}
    numbers = [record.Number(name, name.title(), value) for name, value in values.items()]
    return executed_cell(lambda: record.numbers(numbers, "results", "What the run gave."))


def drawing(name: str) -> nbformat.NotebookNode:
    return executed_cell(lambda: record.figure(pd.DataFrame({"y": [1, 2]}).plot(), name, "A drawing."))


def naming(key_figure: str, *key_numbers: str) -> nbformat.NotebookNode:
    splits = SimpleNamespace(source=Source("shapes", "Shapes", "drawn"), counts="")
    compute = SimpleNamespace(description="", precision_description="")
    key = {"key_figure": key_figure, "key_numbers": key_numbers}
    return executed_cell(lambda: record.provenance({}, data=splits, compute=compute, weights="", **key))


def raising(message: str) -> nbformat.NotebookNode:
    error = nbformat.v4.new_output("error", ename="ValueError", evalue=message, traceback=[])
    return nbformat.v4.new_code_cell("fail()", execution_count=2, outputs=[error])


@pytest.fixture
def executing(tmp_path, monkeypatch, capsys):
    """Runs notebook 01 with given cells as what its execution gives; returns why it failed, or ""."""
    write(tmp_path, "01_fake", "show()")

    def execute(*cells: nbformat.NotebookNode, formats: str = "html") -> str:
        notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"papermill": {}})
        monkeypatch.setattr(kernel, "execute", lambda *_: notebook)
        status = cli.main(["01", "--format", formats, "--force"], root=tmp_path)
        said = capsys.readouterr().err
        failure = re.search(r"^01_fake  failed[^:]*: (.*)$", said, re.MULTILINE)
        assert status == (1 if failure or "error:" in said else 0)
        return failure[1] if failure else ""

    return execute


@pytest.fixture
def reports(tmp_path) -> Path:
    return tmp_path / "reports" / "quick"


def test_key_results_that_are_missing_fail_the_run(executing, tmp_path, reports):
    cells = drawing("a_curves"), measured()
    error = executing(naming("curve", "lo*", "*_accuracy"), *cells)
    assert "did not record: curve, *_accuracy" in error and "(cell" not in error
    assert "did not record" in (reports / "01_fake.html").read_text()
    # It is told by the page and the book, and not by the executed notebook, whose results are good.
    cells_written = executed(tmp_path, "01_fake").cells
    assert not [output for cell in cells_written for output in cell.outputs if output.output_type == "error"]
    (chapter,) = index.gathered(reports, "en").values()
    assert chapter.failure and "did not record: curve" in chapter.blocks[-1].message
    assert executing(naming("a_curves", "loss"), *cells) == ""
    numbers = left(tmp_path, "01_fake")
    assert (numbers["key_figure"], numbers["key_numbers"]) == ("a_curves", ["loss"])
    assert not index.gathered(reports, "en")["01_fake"].failure


def test_numbers_that_are_not_finite_and_runs_without_any_fail(executing):
    assert "numbers that aren't finite: accuracy" in executing(measured(accuracy=math.nan))
    assert "recorded no figure" in executing(nbformat.v4.new_markdown_cell("# Only words"))


def test_the_last_good_page_is_kept_until_a_run_is_good_again(executing, tmp_path, reports, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError(f"no ink in {Path.home()}/ink")

    def pages() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in reports.glob("01_fake.*") if path.suffix in (".html", ".pdf")}

    executing(measured(), formats="html,pdf")
    good = {name.replace("fake", "fake.last-good"): content for name, content in pages().items()}
    assert executing(measured(), raising("spoilt"))
    assert pages().items() > good.items() and b"spoilt" in pages()["01_fake.html"]
    with monkeypatch.context() as patch:
        patch.setattr("helpers.report.render.pdf", broken)
        error = executing(measured(loss=0.75), formats="html,pdf")
    assert error == "PageNotDrawn: the PDF page could not be drawn: RuntimeError: no ink in ~/ink"
    numbers = left(tmp_path, "01_fake")
    assert (numbers["status"], numbers["error"]["name"]) == ("failed", "PageNotDrawn")
    assert numbers["numbers"]["loss"]["value"] == 0.75
    assert pages() == good | {"01_fake.html": pages()["01_fake.html"]} and b"0.75" in pages()["01_fake.html"]
    assert executing(measured()) == ""
    assert pages().keys() == {"01_fake.html"}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full, the report was not written (No space left on device)"),
        (errno.EACCES, "the report can't be written (Permission denied): close it elsewhere"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left_empty(executing, reports, monkeypatch, number, told):
    executing(measured())
    good = {path.name: path.read_bytes() for path in reports.iterdir() if path.suffix in (".ipynb", ".json")}

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        error = executing(measured(loss=0.75))
    assert error.startswith(told)
    assert {path.name: path.read_bytes() for path in reports.iterdir() if path.suffix != ".html"} == good
    assert executing(measured(loss=0.75)) == ""


def test_figures_and_tables_lie_beside_the_report_and_those_of_an_earlier_run_go(tmp_path, executing):
    """A table may have a figure's name."""
    drawn = pd.DataFrame({"دقت": [1 / 3, 2 / 3]}, index=["a", "b"])
    shares = pd.DataFrame({"class": ["گربه"], "share": [1 / 3]})
    folder = tmp_path / "figures" / "quick" / "01_fake"

    def files() -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    executing(
        executed_cell(lambda: record.figure(plots.bars_with_error(drawn), "results", "A caption.")),
        executed_cell(lambda: record.table(shares, "classes", "A caption.")),
        measured(),
    )
    assert files() == {"results.svg", "results.pdf", "results.csv", "tables/classes.csv", "tables/results.csv"}
    assert (folder / "results.pdf").read_bytes().startswith(b"%PDF") and "<svg" in (folder / "results.svg").read_text()
    assert (folder / "tables/classes.csv").read_text(encoding="utf-8").startswith("\ufeffclass,"), "as Excel wants it"
    assert pd.read_csv(folder / "results.csv")["accuracy"].tolist() == [1 / 3, 2 / 3]
    assert pd.read_csv(folder / "tables" / "classes.csv").to_dict("list") == shares.to_dict("list")
    assert pd.read_csv(folder / "tables" / "results.csv")["value"].tolist() == [0.25]
    (folder / "notes.txt").write_text("kept")
    executing(drawing("new"))
    assert files() == {"new.svg", "new.pdf", "notes.txt"}
