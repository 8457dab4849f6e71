"""The report command when processes are killed, and in odd surroundings."""

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
from tests.command import CODE, RESULT, write_notebook

pytestmark = pytest.mark.slow

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


def test_after_a_killed_command_no_kernel_stays(tmp_path):
    write_notebook(tmp_path, "01_one", "while True:\n    pass")
    with start(tmp_path) as process:
        next(line for line in process.stderr if "cell 2/2" in line)
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert kernels
    assert not psutil.wait_procs(kernels, timeout=20)[1], "the kernels notice, and end"


def test_a_report_that_was_being_written_is_whole_after_the_next_run(tmp_path):
    """Whatever files of the earlier report the kill left: no number of it stays."""
    reports = tmp_path / "reports" / "quick"
    write_notebook(tmp_path, "01_one", RESULT, parameters="SEED = 11")
    with start(tmp_path, DYING.replace("NAME", "01_one.pdf")) as process:
        said = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, said
    write_notebook(tmp_path, "01_one", RESULT, parameters="SEED = 12")
    with start(tmp_path) as process:
        said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    # What is to be seen: half a file that a kill left is hidden, and goes a day later.
    seen = {path.name for path in reports.glob("[!.]*")}
    assert seen == {"index.html", *(f"01_one.{suffix}" for suffix in ("ipynb", "html", "pdf", "json"))}
    content = json.loads((reports / "01_one.json").read_text(encoding="utf-8"))
    assert (content["status"], content["numbers"]["seed"]["value"]) == ("ok", 12)
    page = BeautifulSoup((reports / "01_one.html").read_text(encoding="utf-8"), "html.parser")
    assert "12" in [cell.get_text().strip() for cell in page.find_all("td")]
    assert " 12" in "".join(page.extract_text() for page in pypdf.PdfReader(reports / "01_one.pdf").pages)


@pytest.mark.skipif(sys.platform != "linux", reason="C locales and paths differ elsewhere")
def test_surroundings_of_every_kind(tmp_path):
    """Spaces, Persian, quotes and braces in the path and the name; no home, no git, and the C locale."""
    root, name = tmp_path / "کار من & 'co' {course}", "1 ä#%<x>[1]{b}?*"
    figure = "from matplotlib import pyplot as plt\naxes = plt.figure().add_subplot(title='دقت')"
    figure += "\nrecord.figure(axes, 'drawing', 'شکل')"
    write_notebook(root, name, f"{RESULT}\n{figure}", text="# کار من, <b>über</b> & ‘nine’ 😀")
    bare = {"PATH": os.devnull, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    with start(root, env=bare) as process:
        said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    reports = root / "reports" / "quick"
    content = json.loads((reports / f"{name}.json").read_text(encoding="utf-8"))
    assert content["title"] == "کار من, <b>über</b> & ‘nine’ 😀" and content["numbers"]["seed"]["value"] == 3
    page = (reports / f"{name}.html").read_text(encoding="utf-8")
    assert "شکل" in page and "&lt;b&gt;über" in page and "<b>über" not in page
    assert (reports / f"{name}.pdf").stat().st_size > 10_000
    index = BeautifulSoup((reports / "index.html").read_text(encoding="utf-8"), "html.parser")
    linked = {unquote(link["href"]) for link in index.select(".files a")}
    assert linked == {f"{name}.{suffix}" for suffix in ("html", "pdf", "ipynb", "json")}
