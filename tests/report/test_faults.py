"""The report command when processes are killed, and in odd surroundings."""

import os
import signal
import sys
from urllib.parse import unquote

import pypdf
import pytest
from bs4 import BeautifulSoup

from helpers import ROOT
from tests.command import CODE, RESULT, left, start, stopped, write_notebook

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


def test_after_a_killed_command_no_kernel_stays(tmp_path):
    write_notebook(tmp_path, "01_one", "while True:\n    pass")
    assert stopped(tmp_path, at=["cell 2/2"], by=signal.SIGKILL)[0] == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="C locales and paths differ elsewhere")
def test_a_report_that_was_being_written_is_whole_after_the_next_run_in_surroundings_of_every_kind(tmp_path):
    """Whatever files of the earlier report a kill left: no number of it stays. Spaces, Persian, quotes and braces are
    in the path and the name; there is no home, no git, and the locale is C."""
    root, name = tmp_path / "کار من & 'co' {course}", "1 ä#%<x>[1]{b}?*"
    bare = {"PATH": os.devnull, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    reports = root / "reports" / "quick"
    figure = "from matplotlib import pyplot as plt\naxes = plt.figure().add_subplot(title='دقت')"
    figure += "\nrecord.figure(axes, 'drawing', 'شکل')"
    for seed, code, status in ((11, DYING.replace("NAME", f"{name}.pdf"), -signal.SIGKILL), (12, CODE, 0)):
        cell = f"SEED = {seed}"
        write_notebook(root, name, f"{RESULT}\n{figure}", parameters=cell, text="# کار من, <b>über</b> & ‘nine’ 😀")
        with start(".", code=code, cwd=root, env=bare) as process:
            said = process.communicate()
        assert process.returncode == status, said
    # What is to be seen: half a file that a kill left is hidden, and goes a day later.
    seen = {path.name for path in reports.glob("[!.]*")}
    assert seen == {"index.html", *(f"{name}.{suffix}" for suffix in ("ipynb", "html", "pdf", "json"))}
    content = left(root, name)
    assert (content["status"], content["numbers"]["seed"]["value"]) == ("ok", 12)
    assert content["title"] == "کار من, <b>über</b> & ‘nine’ 😀"
    page = (reports / f"{name}.html").read_text(encoding="utf-8")
    assert "شکل" in page and "&lt;b&gt;über" in page and "<b>über" not in page
    assert "12" in [cell.get_text().strip() for cell in BeautifulSoup(page, "html.parser").find_all("td")]
    assert " 12" in "".join(page.extract_text() for page in pypdf.PdfReader(reports / f"{name}.pdf").pages)
    index = BeautifulSoup((reports / "index.html").read_text(encoding="utf-8"), "html.parser")
    linked = {unquote(link["href"]) for link in index.select(".files a")}
    assert linked == {f"{name}.{suffix}" for suffix in ("html", "pdf", "ipynb", "json")}
