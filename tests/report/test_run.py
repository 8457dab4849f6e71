"""Notebooks that finish, raise, die and never end: what is left of each, and what is shown meanwhile."""

import base64
import contextlib
import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill
import psutil
import pytest

from helpers import ROOT
from helpers.record import MIME
from helpers.report import book, cli, document, engine
from helpers.report.progress import Progress, Row
from helpers.report.run import NotRun, run
from helpers.report.workspace import Workspace
from helpers.report.writing import FORMATS, Settings
from tests.command import report_command

PARAMETERS = "EPOCHS = 3\nSEED = 0"
IMPORTS = "import os, sys, warnings\nfrom tqdm import tqdm\nfrom helpers import record"
TRAINING = """\
print("before")
for epoch in range(EPOCHS):
    for _ in tqdm(range(4), desc=f"method 1, epoch {epoch + 1}/{EPOCHS}", leave=False, mininterval=0):
        pass
print("after")
for _ in tqdm(range(4), desc="a bar that stays"):
    pass
print("said to stderr", file=sys.stderr)
warnings.warn("where this machine keeps its files")"""
RESULT = 'record.numbers([record.Number("epochs", "Epochs", float(EPOCHS))], "results", "What the run gave.")'
WORKING_FOLDER = (
    "x = b'x' * (300 * 2**20)\ndel x\nprint('in', os.getcwd(), 'hash seed', os.environ.get('PYTHONHASHSEED'))"
)


def write_notebook(folder: Path, name: str, *sources: str, expects: list[str] | None = None) -> Path:
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell(f"# About {name}"), parameters, *map(nbformat.v4.new_code_cell, sources)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"workbook": {"expects": expects}} if expects else {})
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what was drawn."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[\d*[AJK]", "", self.getvalue()))


class Session:
    """One run of the command: its exit status, what it printed, and the folders it wrote."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.terminal, printed = Terminal(), io.StringIO()
        with redirect_stderr(self.terminal), redirect_stdout(printed):
            self.status = cli.main(arguments, root=root)
        self.table = printed.getvalue()
        self.root = root

    def file(self, name: str) -> Path:
        return self.root / "reports" / "quick" / name

    def json(self, notebook: str) -> dict:
        return json.loads(self.file(f"{notebook}.json").read_text(encoding="utf-8"))

    def executed(self, notebook: str) -> nbformat.NotebookNode:
        return nbformat.read(self.file(f"{notebook}.ipynb"), as_version=4)

    def failure(self, notebook: str) -> document.Failure:
        last = document.read(self.executed(notebook)).blocks[-1]
        assert isinstance(last, document.Failure)
        return last


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("workbook")
    folder = root / "notebooks"
    write_notebook(folder, "01_fine", IMPORTS, TRAINING, RESULT, WORKING_FOLDER, expects=["epochs", "results"])
    write_notebook(folder, "02_raises", IMPORTS, RESULT, "1 / 0", "print('never')")
    write_notebook(folder, "03_dies", IMPORTS, RESULT, "os.kill(os.getpid(), 9)")
    write_notebook(folder, "04_empty", "print('hello')")
    return root


@pytest.fixture(scope="module")
def session(root, tmp_path_factory):
    """All four notebooks run in a row, from another folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("COLUMNS", "60")
        yield Session(root, "-p", "EPOCHS", "2", "--timeout", "120")


def test_a_finished_run_leaves_every_file(session):
    for suffix in ("ipynb", "html", "pdf", "json"):
        assert session.file(f"01_fine.{suffix}").stat().st_size > 100
    assert session.file("01_fine.pdf").read_bytes().startswith(b"%PDF")
    assert session.json("01_fine")["status"] == "ok"
    assert session.json("01_fine")["numbers"]["epochs"]["value"] == 2
    assert "About 01_fine" in session.file("index.html").read_text(encoding="utf-8")


def test_only_finished_files_are_left(session):
    names = {path.name for path in session.file("").iterdir()}
    notebooks = ("01_fine", "02_raises", "03_dies", "04_empty")
    assert names == {
        "index.html",
        "workbook.pdf",
        ".workbook.pdf.made-from",
        *(f"{n}.{s}" for n in notebooks for s in ("ipynb", "html", "pdf", "json")),
    }


def test_parameters_reach_the_notebook(session):
    injected = [c for c in session.executed("01_fine").cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert "EPOCHS = 2" in injected[0].source
    assert "SEED" not in injected[0].source


def test_the_kernel_is_this_python_in_the_workbooks_folder(session):
    printed = [o.text for c in session.executed("01_fine").cells for o in c.get("outputs", []) if "text" in o]
    assert f"in {session.root} hash seed 0\n" in printed
    assert session.executed("01_fine").metadata.language_info.version == sys.version.split()[0]


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, {"GOMP_SPINCOUNT": "3000"}), ({"OMP_WAIT_POLICY": "PASSIVE"}, {}), ({"GOMP_SPINCOUNT": "7"}, {})],
)
def test_how_threads_wait_is_the_users_to_say(monkeypatch: pytest.MonkeyPatch, own: dict, expected: dict) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert engine.waiting() == expected


def test_progress_bars_are_shown_and_kept_out_of_the_notebook(session):
    drawn = session.terminal.lines()
    assert any("01_fine" in line and "cell 4/6" in line and "method 1, epoch 2/2" in line for line in drawn)
    assert max(map(len, drawn[:-1])) > 55
    assert all(len(line) < 60 for line in drawn if "cell" in line and "failed" not in line)
    training = session.executed("01_fine").cells[4]
    assert [(o.name, o.text.strip()) for o in training.outputs] == [
        ("stdout", "before\nafter"),
        ("stderr", "said to stderr"),
    ]


def test_the_notebook_names_no_folder_of_this_machine(session):
    about = session.executed("01_fine").metadata.papermill
    assert (about.input_path, about.output_path) == ("notebooks/01_fine.ipynb", "reports/quick/01_fine.ipynb")
    outputs = [str(cell.get("outputs", "")) for cell in session.executed("01_fine").cells[:5]]
    assert not any("Warning" in text or str(ROOT) in text or str(Path.home()) in text for text in outputs)
    for suffix in ("json", "html"):
        for name in ("01_fine", "02_raises"):
            text = session.file(f"{name}.{suffix}").read_text(encoding="utf-8")
            assert not [folder for folder in (ROOT, Path.home(), sys.prefix) if f"{folder}/" in text]


def test_a_raising_cell_ends_its_report_and_the_others_go_on(session):
    failure = session.failure("02_raises")
    assert (failure.name, failure.message) == ("ZeroDivisionError", "division by zero")
    assert session.json("02_raises")["status"] == "failed"
    assert session.json("02_raises")["numbers"]["epochs"]["value"] == 2
    assert "ZeroDivisionError" in session.file("02_raises.html").read_text(encoding="utf-8")
    assert session.executed("02_raises").cells[-1].outputs == []
    assert session.json("04_empty")["title"] == "About 04_empty"


def test_a_killed_kernel_is_told_as_such(session):
    failure = session.failure("03_dies")
    assert failure.name == "KernelDied"
    assert "memory runs out" in failure.message
    assert session.json("03_dies")["numbers"]["epochs"]["value"] == 2


def test_a_run_without_results_has_failed(session):
    error = session.json("04_empty")["error"]
    assert (error["name"], error["cell"]) == ("MissingResults", None)
    assert "recorded no figure, table or number" in error["message"]
    assert not document.read(session.executed("04_empty")).failed


def test_the_closing_table_and_the_exit_status_tell_failures(session):
    rows = {line.split()[0]: line.split() for line in session.table.splitlines()}
    assert {name: rows[name][1] for name in ("01_fine", "02_raises", "03_dies", "04_empty")} == {
        "01_fine": "ok",
        "02_raises": "FAILED",
        "03_dies": "FAILED",
        "04_empty": "FAILED",
    }
    assert session.status == 1
    assert any("02_raises  failed: ZeroDivisionError: division by zero (cell 5)" in x for x in session.terminal.lines())


def test_the_peak_memory_is_the_highest_of_the_whole_run(session):
    peaks = {line.split()[0]: line.split()[4] for line in session.table.splitlines() if line[0].isdigit()}
    assert 300 < float(peaks["01_fine"]) < 600
    assert 20 < float(peaks["04_empty"]) < 200
    assert session.executed("01_fine").metadata.workbook.peak_mib == float(peaks["01_fine"])


def test_no_kernel_is_left(session):
    commands = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if "ipykernel_launcher" in command]


def test_an_endless_notebook_is_stopped_at_its_limit(tmp_path, monkeypatch):
    # Time passes at once, in the endless cell only: however slow the machine is, the cells before it have theirs.
    clock, step = Clock(), Row.step

    def step_and_wait(row: Row, position: str) -> None:
        clock.now = 119.5 if position == "cell 4/5" else 0.0
        step(row, position)

    monkeypatch.setattr(Row, "step", step_and_wait)
    monkeypatch.setattr(engine, "time", SimpleNamespace(**{**vars(time), "monotonic": clock}))
    write_notebook(tmp_path / "notebooks", "05_endless", IMPORTS, RESULT, "while True:\n    pass", "print('never')")
    session = Session(tmp_path, "05", "--timeout", "120", "--format", "html")
    assert session.status == 1
    assert session.failure("05_endless").name == "NotebookTimeout"
    assert "limit of 2:00; --timeout sets another" in session.json("05_endless")["error"]["message"]
    assert session.json("05_endless")["numbers"]["epochs"]["value"] == 3
    assert not session.file("05_endless.pdf").exists()


def test_a_kernel_that_does_not_start_fails_its_notebook_with_what_it_said(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named ipykernel' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    write_notebook(tmp_path / "notebooks", "07_nothing", RESULT)
    session = Session(tmp_path, "07", "--format", "html")
    assert session.status == 1
    assert session.failure("07_nothing").name == "KernelNotStarted"
    assert "No module named ipykernel" in session.failure("07_nothing").message


def test_papermill_alone_gives_the_same_results_from_any_folder(root, session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = str(root / "notebooks" / "01_fine.ipynb")
    papermill.execute_notebook(
        notebook, "out.ipynb", parameters={"EPOCHS": 2}, kernel_name="python3", language="python", progress_bar=False
    )
    ours, plain = (document.read(n) for n in (session.executed("01_fine"), nbformat.read("out.ipynb", as_version=4)))
    assert plain.numbers == ours.numbers
    assert plain.title == ours.title


def test_ctrl_c_stops_the_kernel_and_keeps_what_ran(tmp_path):
    write_notebook(tmp_path / "notebooks", "06_long", IMPORTS, RESULT, "while True:\n    pass")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(report_command(tmp_path, "06"), cwd=ROOT, **pipes) as process:
        next(line for line in process.stderr if "cell 4/4" in line)
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted: 06_long did not end" in said
    assert "Traceback" not in said
    assert kernels
    assert not any(kernel.is_running() for kernel in kernels)
    kept = tmp_path / "reports" / "quick" / "06_long.interrupted.ipynb"
    assert "epochs" in document.read(nbformat.read(kept, as_version=4)).numbers


# Without a kernel: what a run does with the notebook that comes back


def recorded(content: dict, **bundle: str) -> nbformat.NotebookNode:
    data = {MIME: content, "text/plain": "as recorded", **bundle}
    return nbformat.v4.new_code_cell(
        "show()", execution_count=1, outputs=[nbformat.v4.new_output("display_data", data)]
    )


def drawing(name: str) -> nbformat.NotebookNode:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"><title>{name}</title></svg>'
    bundle = {"image/svg+xml": svg, "application/pdf": base64.b64encode(b"%PDF").decode()}
    return recorded({"kind": "figure", "name": name, "caption": "A drawing.", "alt": "A drawing."}, **bundle)


def measured(**values: float | None) -> nbformat.NotebookNode:
    unknown = {"std": None, "runs": 1, "reported": None, "unit": ""}
    shown = {name: {"reported": "–", "value": str(value), "difference": "–"} for name, value in values.items()}
    numbers = [{"name": n, "label": n, "value": value, **unknown, "shown": shown[n]} for n, value in values.items()]
    rows = [[name, "–", str(value), "–"] for name, value in values.items()]
    table = {"columns": ["Quantity", "Reported", "This run", "Difference"], "rows": rows, "align": ["left"] * 4}
    return recorded({"kind": "numbers", "name": "results", "caption": "R.", "bold": [], "numbers": numbers, **table})


@pytest.fixture
def executing(tmp_path):
    """Runs notebook 01 with given cells as what its execution gives; returns the outcome."""
    workspace = Workspace(tmp_path)
    workspace.reports("quick").mkdir(parents=True)
    path = write_notebook(workspace.notebooks, "01_fake", "show()")

    def execute(*cells: nbformat.NotebookNode, error: Exception | None = None, formats=("html",), **workbook):
        notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"workbook": workbook})

        def fake(task, output, watch):
            nbformat.write(notebook, output)
            if error is not None:
                raise error

        task, settings = workspace.task("quick", path, {}), Settings("quick", formats)
        return run(task, settings, execute=fake, progress=Progress(io.StringIO()))

    return execute


def test_drawings_of_an_earlier_run_are_removed(executing, tmp_path):
    folder = tmp_path / "figures" / "quick" / "01_fake"
    executing(drawing("curves"), drawing("matrix"))
    assert {path.name for path in folder.iterdir()} == {"curves.svg", "curves.pdf", "matrix.svg", "matrix.pdf"}
    executing(drawing("curves"))
    assert {path.name for path in folder.iterdir()} == {"curves.svg", "curves.pdf"}
    assert "<title>curves</title>" in (folder / "curves.svg").read_text()


def test_the_last_good_page_is_kept_until_a_run_is_good_again(executing, tmp_path):
    reports = tmp_path / "reports" / "quick"
    executing(measured(accuracy=0.5))
    good = (reports / "01_fake.html").read_text()
    for _ in range(2):
        assert executing(measured(accuracy=0.75), error=ValueError("spoilt")).error
        assert (reports / "01_fake.last-good.html").read_text() == good
        assert "spoilt" in (reports / "01_fake.html").read_text()
    assert executing(measured(accuracy=0.75)).error == ""
    assert not (reports / "01_fake.last-good.html").exists()
    assert "spoilt" not in (reports / "01_fake.html").read_text()


def test_a_page_of_another_format_does_not_outlive_its_numbers(executing, tmp_path):
    reports = tmp_path / "reports" / "quick"
    executing(measured(accuracy=0.5))
    (reports / "01_fake.pdf").write_bytes(b"%PDF of an earlier run")
    outcome = executing(measured(accuracy=0.75))
    assert not (reports / "01_fake.pdf").exists()
    assert [path.name for path in outcome.files] == ["01_fake.ipynb", "01_fake.json", "01_fake.html"]


def test_expected_results_that_are_missing_fail_the_run(executing, tmp_path):
    assert executing(drawing("curves"), measured(accuracy=0.5), expects=["curves", "results", "accuracy"]).error == ""
    assert executing(drawing("a_curves"), measured(accuracy=0.5), expects=["*_curves", "acc*"]).error == ""
    assert "*_roc" in executing(drawing("curves"), measured(accuracy=0.5), expects=["*_roc"]).error
    outcome = executing(drawing("curves"), measured(accuracy=0.5), expects=["curves", "confusion", "loss"])
    assert "did not record: confusion, loss" in outcome.error and "(cell" not in outcome.error
    assert "did not record" in (tmp_path / "reports" / "quick" / "01_fake.html").read_text()


def test_a_failure_that_only_the_report_found_is_in_the_book_and_not_in_the_executed_notebook(executing, tmp_path):
    executing(drawing("curves"), expects=["loss"])
    reports = tmp_path / "reports" / "quick"
    executed = nbformat.read(reports / "01_fake.ipynb", as_version=4)
    assert not [output for cell in executed.cells for output in cell.outputs if output.output_type == "error"]
    (chapter,) = book.chapters(reports)
    assert chapter.document.failed and "did not record: loss" in book.failure(chapter.document)
    executing(drawing("curves"))
    assert not book.chapters(reports)[0].document.failed


def test_a_notebook_that_could_not_be_run_at_all_leaves_what_there_was(executing, tmp_path):
    executing(measured(accuracy=0.5))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    outcome = executing(measured(accuracy=0.75), error=NotRun("no worker takes it"))
    assert (outcome.error, outcome.files) == ("no worker takes it", [])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_number_that_is_not_finite_fails_the_run(executing):
    outcome = executing(measured(accuracy=0.5, loss=None))
    assert "numbers that aren't finite: loss" in outcome.error


def test_a_page_that_cannot_be_drawn_fails_its_notebook_and_loses_no_good_page(executing, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError(f"no ink in {Path.home()}/ink")

    reports = tmp_path / "reports" / "quick"
    executing(measured(accuracy=0.5), formats=FORMATS)
    good = {suffix: (reports / f"01_fake.{suffix}").read_bytes() for suffix in FORMATS}
    monkeypatch.setattr("helpers.report.pdf.render", broken)
    for _ in range(2):
        outcome = executing(measured(accuracy=0.75), formats=FORMATS)
        assert outcome.error == "PageNotDrawn: the PDF page could not be drawn: RuntimeError: no ink in ~/ink"
        assert [path.suffix for path in outcome.files] == [".ipynb", ".json", ".html"]
        numbers = json.loads((reports / "01_fake.json").read_text(encoding="utf-8"))
        assert (numbers["status"], numbers["error"]["name"]) == ("failed", "PageNotDrawn")
        assert numbers["numbers"]["accuracy"]["value"] == 0.75
        assert "no ink" in (reports / "01_fake.html").read_text(encoding="utf-8")
        assert not (reports / "01_fake.pdf").exists()
        for suffix in FORMATS:
            assert (reports / f"01_fake.last-good.{suffix}").read_bytes() == good[suffix]


def test_a_page_that_cannot_be_drawn_is_told_beside_the_runs_own_error(executing, monkeypatch):
    monkeypatch.setattr("helpers.report.html.render", lambda *_, **__: 1 / 0)
    outcome = executing(measured(accuracy=math.nan))
    assert outcome.error.startswith("MissingResults: numbers that aren't finite: accuracy; the HTML page")


def test_a_run_whose_report_cannot_be_made_at_all_keeps_its_cells(executing, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.report.document.read", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in executing(measured(accuracy=0.5)).error
    kept = nbformat.read(tmp_path / "reports" / "quick" / "01_fake.interrupted.ipynb", as_version=4)
    assert kept.cells[0].outputs


def test_a_notebook_without_code_has_failed(executing):
    assert "recorded no figure" in executing(nbformat.v4.new_markdown_cell("# Only words")).error


def test_key_results_must_be_recorded(executing, tmp_path):
    cells = drawing("curves"), measured(accuracy=0.5)
    assert executing(*cells, key_figure="curves", key_numbers=["accuracy"]).error == ""
    numbers = json.loads((tmp_path / "reports" / "quick" / "01_fake.json").read_text(encoding="utf-8"))
    assert (numbers["key_figure"], numbers["key_numbers"]) == ("curves", ["accuracy"])
    assert "did not record: curve, loss" in executing(*cells, key_figure="curve", key_numbers=["loss"]).error


@pytest.mark.parametrize(("letter", "transport"), [("a", "ipc"), ("پ", "tcp")])
def test_a_sockets_path_is_measured_in_bytes(letter, transport):
    assert engine._connection(Path("/tmp") / (letter * 60))["transport"] == transport


# The progress line


BAR = "\rmethod 2, epoch 3/8:  40%|████      | 4/10 [00:00<00:00, 38.5it/s]"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_for_a_new_epoch_and_a_sign_of_life():
    log, clock = io.StringIO(), Clock()
    progress = Progress(log, clock=clock)
    with progress.row("02_transfer") as row:
        row.step("starting the kernel")
        row.step("cell 3/9")
        for second in range(100):
            clock.now = float(second)
            row.printed(BAR.replace("epoch 3", f"epoch {1 + second // 40}"))
            progress.tick()
        epochs = [line.split("epoch ")[1][0] for line in log.getvalue().splitlines() if "epoch" in line]
        assert epochs == ["1", "2", "3"]
        for second in range(100, 201):
            clock.now = float(second)
            progress.tick()
    assert len(log.getvalue().splitlines()) == 2 + 3 + 2
    assert "\r" not in log.getvalue()


def test_a_log_tells_two_notebooks_apart():
    log = io.StringIO()
    progress = Progress(log, clock=Clock())
    with progress.row("01_cnn") as one, progress.row("02_transfer") as two:
        one.step("cell 1/2")
        two.step("cell 5/9")
        one.step("cell 2/2")
    assert log.getvalue().splitlines() == [
        "01_cnn  cell 1/2  0:00",
        "02_transfer  cell 5/9  0:00",
        "01_cnn  cell 2/2  0:00",
    ]


class Screen:
    """What a terminal shows after some text: enough of its codes for the progress lines."""

    def __init__(self, text: str) -> None:
        self.lines, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[\d*[AJK]|.|[\r\n]", text):
            if token == "\n":
                row, column = row + 1, 0
                self.lines += [""] * (row + 1 - len(self.lines))
            elif token == "\r":
                column = 0
            elif token.endswith("A") and token[0] == "\x1b":
                row -= int(token[2:-1])
                assert row >= 0
            elif token[0] == "\x1b":
                self.lines[row] = self.lines[row][:column]
                if token.endswith("J"):
                    del self.lines[row + 1 :]
            else:
                self.lines[row] = self.lines[row][:column].ljust(column) + token + self.lines[row][column + 1 :]
                column += 1


def test_a_terminal_shows_a_line_for_each_notebook_under_way_below_what_stays(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock)
    with progress.row("02_transfer") as row:
        row.step("cell 3/9")
        clock.now = 3725.0
        row.printed(f"some text{BAR}")
        assert Screen(terminal.getvalue()).lines == ["02_transfer  cell 3/9  1:02:05  method 2, epoch 3"]
        with progress.row("03_resnet") as other:
            other.step("cell 1/9")
            progress.message("01_cnn  ok")
            shown = Screen(terminal.getvalue()).lines
            assert shown == [
                "01_cnn  ok",
                "02_transfer  cell 3/9  1:02:05  method 2, epoch 3",
                "03_resnet  cell 1/9  0:00",
            ]
        assert Screen(terminal.getvalue()).lines == shown[:2]
    progress.message("02_transfer  ok")
    assert Screen(terminal.getvalue()).lines == ["01_cnn  ok", "02_transfer  ok", ""]


def test_more_notebooks_than_a_terminal_has_lines_never_scroll_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("LINES", "4")
    terminal = Terminal()
    progress = Progress(terminal, clock=Clock())
    with contextlib.ExitStack() as stack:
        for number in range(9):
            stack.enter_context(progress.row(f"point {number}")).step("cell 1/2")
        assert len(Screen(terminal.getvalue()).lines) == 3
    progress.clear()
    assert Screen(terminal.getvalue()).lines == [""]


def test_other_text_on_stderr_does_not_touch_the_progress_line():
    terminal = Terminal()
    with Progress(terminal, clock=Clock()).row("02_transfer") as row:
        row.step("cell 3/9")
        before = terminal.getvalue()
        row.printed("UserWarning: 40% of the images are grey\n")
        assert terminal.getvalue() == before


def test_a_stream_that_knows_ascii_only_gets_a_bar_too():
    raw, clock = io.BytesIO(), Clock()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with Progress(stream, clock=clock).row("02_transfer") as row:
        row.step("cell 3/9")
        clock.now = 70.0
        row.printed(BAR)
    assert b"epoch 3/8:  40%|????" in raw.getvalue()
