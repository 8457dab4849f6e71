"""What a command runs again, what it only draws anew, and what it leaves alone."""

import json
import os
import shutil
from pathlib import Path

import pypdf
import pytest

from helpers.report import cli
from tests.command import write_notebook

pytestmark = pytest.mark.slow

DRAWS = """\
import pandas as pd
from helpers import record
frame = pd.DataFrame({"y": [1, 2]})
record.figure(frame.plot(), "curve", "A curve.", data=frame)"""
RESULT = """\
from helpers import record
record.numbers([record.Number("seed", "Seed", float(SEED))], "results", "What the run gave.")
record.reading("It is done.")"""


def write(root: Path, name: str, *sources: str, prose: str = "Some text.", **workbook) -> None:
    write_notebook(root, name, *sources, RESULT, text=f"# About {name}\n\n{prose}", **workbook)


@pytest.fixture
def report(tmp_path, capsys):
    """Runs the command; returns what it said it would do with each notebook."""

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["--format", "html", *arguments], root=tmp_path) == status
        said = capsys.readouterr()
        lines = [line.split("  ", 1) for line in said.err.splitlines()]
        return {name: what for name, what in lines if what.startswith(("runs", "is drawn", "unchanged"))}

    return run


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """A workbook whose only notebook has run."""
    root = tmp_path_factory.mktemp("ran")
    retell(root, "See @tbl-results.")
    assert cli.main(["--format", "html"], root=root) == 0
    return root


@pytest.fixture
def one(tmp_path, ran) -> Path:
    """A copy of it."""
    return shutil.copytree(ran, tmp_path, dirs_exist_ok=True)


def retell(root: Path, prose: str) -> None:
    write(root, "01_one", DRAWS, prose=prose)


def finished(root: Path, name: str) -> str:
    return json.loads((root / "reports" / "quick" / f"{name}.json").read_text())["finished"]


def page(root: Path, name: str) -> str:
    return (root / "reports" / "quick" / f"{name}.html").read_text()


def test_only_what_changed_runs_and_is_drawn_and_the_book_follows(tmp_path, report):
    book, both = tmp_path / "reports" / "quick" / "workbook.pdf", ("--format", "html,pdf")

    def cover() -> tuple[str, str]:
        found = pypdf.PdfReader(book).metadata
        return found.title, found.author or ""

    write(tmp_path, "01_one")
    write(tmp_path, "02_two", "import os\nassert os.path.exists('there')")
    first = report(*both, status=1)
    assert first == {"01_one": "runs: never run before", "02_two": "runs: never run before"}
    (tmp_path / "there").touch()
    assert report(*both) == {"01_one": "unchanged", "02_two": "runs: its last run failed"}
    assert cover() == ("Experiments in image classification", "")
    before = book.stat().st_mtime_ns
    assert set(report(*both).values()) == {"unchanged"} and book.stat().st_mtime_ns == before
    # As after a command that was killed before it came to the book.
    os.utime(book, ns=(0, 0))
    assert set(report(*both).values()) == {"unchanged"} and book.stat().st_mtime_ns > 0

    (tmp_path / "cover.yaml").write_text("title: Mine\nauthors: Me\n")
    covered = report(*both, "--cover", str(tmp_path / "cover.yaml"))
    assert set(covered.values()) == {"is drawn anew: layout"} and cover() == ("Mine", "Me")
    write(tmp_path, "02_two", "import  os\nassert os.path.exists('there')  # a comment")
    assert report(*both)["02_two"] == "is drawn anew: prose, layout"
    write(tmp_path, "02_two", "x = 2")
    second = (*both, "02", "-p", "SEED", "4")
    assert report(*second) == {"02_two": "runs: code of cell 2, parameter SEED: 3 → 4"}
    for path in book.parent.glob("01_one.*"):
        path.unlink()
    assert report(*second) == {"02_two": "unchanged"}
    assert not book.exists() and "01_one" not in (book.parent / "index.html").read_text()


def test_what_was_deleted_or_damaged_is_written_again_without_a_run(one, report):
    before, reports, figures = finished(one, "01_one"), one / "reports" / "quick", one / "figures" / "quick"
    files = {path: path.read_bytes() for path in figures.rglob("*.*")}
    assert {path.name for path in files} > {"curve.svg", "curve.pdf"}
    shutil.rmtree(figures)
    assert report() == {"01_one": "is drawn anew: curve.svg is missing, curve.pdf is missing"}
    assert {path: path.read_bytes() for path in figures.rglob("*.*")} == files
    (reports / "01_one.html").unlink()
    assert report() == {"01_one": "is drawn anew: 01_one.html is missing"}
    assert "What the run gave." in page(one, "01_one")
    (reports / "01_one.json").write_text("{")
    assert report() == {"01_one": "is drawn anew: 01_one.json is missing"}
    assert finished(one, "01_one") == before
    (reports / "index.html").unlink()
    assert report() == {"01_one": "unchanged"} and (reports / "index.html").is_file()


def test_new_prose_costs_no_run_nor_a_mistake_in_it_nor_a_page_that_could_not_be_drawn(one, report, monkeypatch):
    before = finished(one, "01_one")
    retell(one, "See @tbl-reslts.")
    for why in ("prose", "its last report was not finished"):
        assert report(status=1) == {"01_one": f"is drawn anew: {why}"}
        assert "@tbl-reslts" in page(one, "01_one")
    retell(one, "See @tbl-results!")
    with monkeypatch.context() as patch:
        patch.setattr("helpers.report.render.html", lambda *_, **__: 1 / 0)
        assert report(status=1) == {"01_one": "is drawn anew: its last report was not finished"}
    assert report() == {"01_one": "is drawn anew: its last report was not finished"}
    shown = page(one, "01_one")
    assert "did not record" not in shown and "What the run gave." in shown and "It is done." in shown
    assert finished(one, "01_one") == before
    assert report() == {"01_one": "unchanged"}
