"""Notebooks that finish, raise, die, never end or are killed: what is left of each, and what is shown meanwhile."""

import errno
import io
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import nbformat
import pandas as pd
import psutil
import pypdf
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell

from helpers import ROOT, plots, record
from helpers.data import Source
from helpers.report import cli, index, kernel
from helpers.report.watch import Watch
from tests.command import CODE, RESULT, executed, executed_cell, left, printed, start, stopped, write_notebook

pytestmark = pytest.mark.slow

TRAINING = """\
import os, sys, time, warnings
from tqdm import tqdm
print("before")
for epoch in range(SEED):
    name = f"method\\x1b]52;c;cm0=\\x07 1, epoch {epoch + 1}/{SEED}"
    for _ in tqdm(range(4), desc=name, leave=False, mininterval=0):
        time.sleep(0.05)
print("after")
for _ in tqdm(range(4), desc="a bar that stays"):
    pass
print("said to stderr", file=sys.stderr)
warnings.warn("where this machine keeps its files")
warnings.warn("no checkpoint\\x9b2J is kept", type("CheckpointWarning", (UserWarning,), {}))"""
SURROUNDINGS = """\
import os
names = "PYTHONHASHSEED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "WORKBOOK_TRAIN_ANEW"
print("in", os.getcwd(), *(os.environ.get(name) for name in names))"""
RAISES = 'raise ValueError("no\\x1b]0;a title\\x07 \\x9b2Jgood")'
ENDLESS = "while True:\n    pass"
DYING = f"""\
import os, signal
replace = os.replace


def die_or_replace(source, target):
    if os.path.basename(target) == "NAME":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)


os.replace = die_or_replace
{CODE}"""
"""The report command, killed when it is about to put a file of this name in its place."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what was drawn."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def run(root: Path, *arguments: str) -> SimpleNamespace:
    """The command's exit status, what it drew on the terminal, and the table that it printed."""
    with redirect_stderr(Terminal()) as terminal, redirect_stdout(io.StringIO()) as table:
        status = cli.main(arguments, root=root)
    return SimpleNamespace(status=status, said=terminal.getvalue(), table=table.getvalue())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("workbook")
    write_notebook(root, "01_fine", TRAINING, RESULT, SURROUNDINGS)
    write_notebook(root, "02_raises", RESULT, RAISES, "print('never')")
    write_notebook(root, "03_dies", RESULT, "import os\nos.kill(os.getpid(), 9)")
    return root


@pytest.fixture(scope="module")
def session(root, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """All three notebooks run in a row, from another folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        patch.setenv("COLUMNS", "100")
        patch.setenv("OMP_NUM_THREADS", "2")
        yield run(root, "-p", "SEED", "2", "--timeout", "600", "--jobs", "1")


@pytest.fixture
def reports(tmp_path) -> Path:
    return tmp_path / "reports" / "quick"


def test_a_finished_run_leaves_every_file_and_nothing_else(session, root):
    names = {path.name for path in (root / "reports" / "quick").iterdir()}
    notebooks = ("01_fine", "02_raises", "03_dies")
    files = {f"{name}.{suffix}" for name in notebooks for suffix in ("ipynb", "html", "pdf", "json")}
    assert names == {"index.html", "workbook.pdf", *files}
    assert (root / "reports" / "quick" / "01_fine.pdf").read_bytes().startswith(b"%PDF")
    fine = left(root, "01_fine")
    assert (fine["status"], fine["numbers"]["seed"]["value"]) == ("ok", 2)
    assert f"in {root} 0 1 1 None\n" in printed(root, "01_fine"), "folder, hashes and threads of the kernel"
    assert executed(root, "01_fine").metadata.language_info.version == sys.version.split()[0]
    commands = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if "ipykernel_launcher" in command], "no kernel is left"


def test_a_failed_run_leaves_a_report_that_ends_with_its_error_and_the_others_go_on(session, root):
    for name, error, words in (("02_raises", "ValueError", "good"), ("03_dies", "KernelDied", "memory runs out")):
        told, page = left(root, name), (root / "reports" / "quick" / f"{name}.html").read_text(encoding="utf-8")
        assert (told["status"], told["error"]["name"]) == ("failed", error) and words in told["error"]["message"]
        assert error in page and told["numbers"]["seed"]["value"] == 2
    assert "never" not in printed(root, "02_raises")
    rows = {line.split()[0]: line.split()[1] for line in session.table.splitlines() if line[0].isdigit()}
    assert rows == {"01_fine": "ok", "02_raises": "FAILED", "03_dies": "FAILED"}
    assert session.status == 1


def test_progress_is_shown_and_kept_out_of_the_notebook_and_nothing_in_it_controls_the_terminal(session, root):
    """Neither a window's title or the clipboard (OSC) nor, as one character, a command (CSI)."""
    drawn = re.sub(r"\x1b\[[AK]", "", session.said)  # tqdm's own: a line up
    assert re.search(r"01_fine  cell 3/5[^\r\n]*method 1, epoch 2/2", drawn)
    assert "01_fine  no checkpoint2J is kept" in drawn
    assert "02_raises  failed: ValueError: no 2Jgood (cell 4)" in drawn
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", drawn + session.table)
    told = [(o.name, o.text.strip()) for o in executed(root, "01_fine").cells[3].outputs]
    assert told == [("stdout", "before\nafter"), ("stderr", "said to stderr")]


def test_an_endless_notebook_is_stopped_at_its_limit_and_computes_as_the_options_say(tmp_path, reports, monkeypatch):
    """The limit is nearly reached when its last cell begins, however long the others took."""
    write_notebook(tmp_path, "05_endless", SURROUNDINGS, f"{RESULT}\nopen('at the end', 'w')", ENDLESS)
    clock = SimpleNamespace(monotonic=lambda: 299.0 * (tmp_path / "at the end").exists())
    monkeypatch.setattr(kernel, "time", clock)
    begun = time.time()
    assert run(tmp_path, "--timeout", "300", "--format", "html", "--threads", "3", "--force").status == 1
    told = left(tmp_path, "05_endless")
    assert told["error"]["name"] == "NotebookTimeout" and told["numbers"]["seed"]["value"] == 3
    assert "limit of 05:00; --timeout sets another" in told["error"]["message"]
    assert not (reports / "05_endless.pdf").exists()
    threads, _, anew = printed(tmp_path, "05_endless").strip().rpartition(" ")
    assert threads.endswith(" 3 3") and begun < float(anew) < time.time(), "older checkpoints are left aside"


def test_a_kernel_that_does_not_start_fails_its_notebook_with_what_it_said(tmp_path, reports, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named ipykernel' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    write_notebook(tmp_path, "08_words", parameters=None)
    ended = run(tmp_path, "--format", "html")
    assert ended.status == 1 and not (reports / "08_words.html").exists()
    assert "08_words  failed: its kernel does not start" in ended.said
    assert "No module named ipykernel" in ended.said


@pytest.mark.parametrize(
    ("by", "ends", "says"),
    [(signal.SIGINT, 130, "interrupted: 06_long, 07_long did not end"), (signal.SIGKILL, -signal.SIGKILL, "")],
)
def test_a_command_that_is_ended_stops_its_kernels(tmp_path, by, ends, says):
    for name in ("06_long", "07_long"):
        write_notebook(tmp_path, name, RESULT, ENDLESS)
    status, said = stopped(tmp_path, "--jobs", "2", "--timeout", "300", at=["cell 3/3"] * 2, by=by)
    assert status == ends and says in said and "Traceback" not in said


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


@pytest.mark.skipif(sys.platform != "linux", reason="C locales and paths differ elsewhere")
def test_a_report_that_was_being_written_is_whole_after_the_next_run_in_surroundings_of_every_kind(tmp_path):
    """Whatever files of the earlier report a kill left: no number of it stays. Spaces, Persian, quotes and braces are
    in the path and the name; there is no home, no git, and the locale is C."""
    root, name, title = tmp_path / "کار من & 'co' {course}", "1 ä#%<x>[1]{b}?*", "کار من, <b>über</b> & ‘nine’ 😀"
    bare = {"PATH": os.devnull, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    reports = root / "reports" / "quick"
    for seed, code, status in ((11, DYING.replace("NAME", f"{name}.pdf"), -signal.SIGKILL), (12, CODE, 0)):
        write_notebook(root, name, RESULT, parameters=f"SEED = {seed}", text=f"# {title}\n\nشکل")
        with start(".", code=code, cwd=root, env=bare) as process:
            said = process.communicate()
        assert process.returncode == status, said
    # What is to be seen: half a file that a kill left is hidden, and goes a day later.
    files = {f"{name}.{suffix}" for suffix in ("ipynb", "html", "pdf", "json")}
    assert {path.name for path in reports.glob("[!.]*")} == {"index.html", *files}
    content = left(root, name)
    assert (content["status"], content["title"], content["numbers"]["seed"]["value"]) == ("ok", title, 12)
    page, over = (
        BeautifulSoup((reports / f"{page}.html").read_text(encoding="utf-8"), "html.parser") for page in (name, "index")
    )
    assert page.h1.get_text() == title and "شکل" in page.main.get_text()
    assert "12" in [cell.get_text().strip() for cell in page.find_all("td")]
    assert " 12" in "".join(page.extract_text() for page in pypdf.PdfReader(reports / f"{name}.pdf").pages)
    assert {unquote(link["href"]) for link in over.select(".files a")} == files


# Without a kernel: what the command does with the notebook that comes back


def measured(**values: float) -> nbformat.NotebookNode:
    numbers = [record.Number(name, name.title(), value) for name, value in {"loss": 0.25, **values}.items()]
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
    write_notebook(tmp_path, "01_fake", "show()")

    def execute(*cells: nbformat.NotebookNode, formats: str = "html") -> str:
        notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"papermill": {}})
        monkeypatch.setattr(kernel, "execute", lambda *_: notebook)
        status = cli.main(["01", "--format", formats, "--force"], root=tmp_path)
        said = capsys.readouterr().err
        failure = re.search(r"^01_fake  failed[^:]*: (.*)$", said, re.MULTILINE)
        assert status == (1 if failure or "error:" in said else 0)
        return failure[1] if failure else ""

    return execute


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([naming("curve", "lo*", "*_accuracy"), drawing("a_curves"), measured()], "record: curve, *_accuracy"),
        ([naming("a_curves", "loss"), drawing("a_curves"), measured()], ""),
        ([measured(accuracy=math.nan)], "numbers that aren't finite: accuracy"),
        ([new_markdown_cell("# Only words")], "recorded no figure"),
        ([new_markdown_cell("As @fig-loss and [@nobody1900; @he2016]."), measured()], ": @fig-loss, @nobody1900"),
        ([new_markdown_cell("As @tbl-results, `@fig-x` and [@he2016]."), measured()], ""),
    ],
)
def test_results_that_are_missing_fail_the_run(executing, tmp_path, reports, cells, said):
    error = executing(*cells)
    assert said in error and "(cell" not in error and bool(error) == bool(said)
    assert (said in (reports / "01_fake.html").read_text()) and bool(left(tmp_path, "01_fake")["error"]) == bool(said)
    # It is told by the page and the book, and not by the executed notebook, whose results are good.
    assert not [o for cell in executed(tmp_path, "01_fake").cells for o in cell.get("outputs", []) if "ename" in o]
    chapter = index.gathered(reports, "en")["01_fake"]
    assert said in (chapter.failure.message if said else "")


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


def test_a_full_disk_is_told_and_nothing_is_left_empty(executing, reports, monkeypatch):
    executing(measured())
    good = {path.name: path.read_bytes() for path in reports.iterdir() if path.suffix in (".ipynb", ".json")}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        error = executing(measured(loss=0.75))
    assert error.startswith("the disk is full, the report was not written (No space left on device)")
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
