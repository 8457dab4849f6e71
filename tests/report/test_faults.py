"""The report command when processes are killed, run twice at once, or find themselves in odd surroundings."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import psutil
import pypdf
import pytest
from bs4 import BeautifulSoup

from helpers import ROOT
from tests.command import CODE, write_notebook

pytestmark = pytest.mark.slow

TITLE = "# کار من, <b>über</b> & ‘nine’ 😀"
NUMBER = """\
from helpers import record
record.numbers([record.Number("epochs", "Epochs", float(EPOCHS))], "results", "What the run gave.")"""
FIGURE = f"""\
from matplotlib import pyplot as plt
{NUMBER}
axes = plt.figure().add_subplot(title="دقت")
record.figure(axes, "drawing", "شکل")"""


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


def start(root: Path, code: str = CODE, **options) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", code, "."], cwd=root, **pipes, **options)


def files(root: Path) -> set[str]:
    """What is to be seen: half a file that a kill left is hidden, and goes a day later."""
    return {path.name for path in (root / "reports" / "quick").glob("[!.]*")}


def test_after_a_killed_command_no_kernel_stays(tmp_path):
    write_notebook(tmp_path, "01_one", FIGURE, "while True:\n    pass", parameters="EPOCHS = 3", text=TITLE)
    with start(tmp_path) as process:
        next(line for line in process.stderr if "cell 3/3" in line)
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    assert kernels
    assert not psutil.wait_procs(kernels, timeout=20)[1], "the kernels notice, and end"


def test_a_report_that_was_being_written_is_whole_after_the_next_run(tmp_path):
    """Whatever files of the earlier report the kill left: no number of it stays."""
    reports = tmp_path / "reports" / "quick"
    for epochs, last in enumerate(("json", "pdf"), 11):
        write_notebook(tmp_path, "01_one", NUMBER, parameters=f"EPOCHS = {epochs}")
        with start(tmp_path, DYING.replace("NAME", f"01_one.{last}")) as process:
            said = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, said
        with start(tmp_path) as process:
            said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert files(tmp_path) == {"index.html", *(f"01_one.{suffix}" for suffix in ("ipynb", "html", "pdf", "json"))}
        content = json.loads((reports / "01_one.json").read_text(encoding="utf-8"))
        assert (content["status"], content["numbers"]["epochs"]["value"]) == ("ok", epochs)
        page = BeautifulSoup((reports / "01_one.html").read_text(encoding="utf-8"), "html.parser")
        assert str(epochs) in [cell.get_text().strip() for cell in page.find_all("td")]
        assert f" {epochs}" in "".join(page.extract_text() for page in pypdf.PdfReader(reports / "01_one.pdf").pages)


@pytest.mark.skipif(sys.platform != "linux", reason="C locales and paths differ elsewhere")
def test_surroundings_of_every_kind(tmp_path):
    """Spaces, Persian, quotes and braces in the path and the name; no home, no git, and the C locale."""
    root, name = tmp_path / "کار من & 'co' {course}", "1 ä#%<x>[1]{b}?*"
    write_notebook(root, name, FIGURE, parameters="EPOCHS = 3", text=TITLE)
    bare = {"PATH": os.devnull, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    with start(root, env=bare) as process:
        said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    reports = root / "reports" / "quick"
    content = json.loads((reports / f"{name}.json").read_text(encoding="utf-8"))
    assert content["title"] == "کار من, <b>über</b> & ‘nine’ 😀" and content["numbers"]["epochs"]["value"] == 3
    page = (reports / f"{name}.html").read_text(encoding="utf-8")
    assert "شکل" in page and "&lt;b&gt;über" in page and "<b>über" not in page
    assert (reports / f"{name}.pdf").stat().st_size > 10_000
    index = BeautifulSoup((reports / "index.html").read_text(encoding="utf-8"), "html.parser")
    linked = {unquote(link["href"]) for link in index.select(".files a")}
    assert linked == {f"{name}.{suffix}" for suffix in ("html", "pdf", "ipynb", "json")}
