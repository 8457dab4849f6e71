"""What a command runs again, what it only draws anew, and what it leaves alone."""

import os
import shutil
from pathlib import Path

import nbformat
import pypdf
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from helpers.report import cli, incremental
from tests.command import RESULT, executed, left, write_notebook

pytestmark = pytest.mark.slow

DRAWS = """\
import pandas as pd
from helpers import record
frame = pd.DataFrame({"y": [1, 2]})
record.figure(frame.plot(), "curve", "A curve.", data=frame)"""


def write(root: Path, name: str, *sources: str, prose: str = "Some text.", **workbook) -> Path:
    return write_notebook(root, name, *sources, RESULT, text=f"# About {name}\n\n{prose}", **workbook)


@pytest.fixture
def report(tmp_path, capsys):
    """Runs the command; returns what it said it would do with each notebook."""

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["--format", "html", *arguments], root=tmp_path) == status
        lines = [line.partition("  ") for line in capsys.readouterr().err.splitlines()]
        return {name: what for name, _, what in lines if what.startswith(("runs", "is drawn", "unchanged"))}

    return run


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """A workbook whose only notebook has run."""
    root = tmp_path_factory.mktemp("ran")
    retell(root, "See @tbl-results.")
    assert cli.main(["--format", "html", "-p", "SEED", "4"], root=root) == 0
    return root


@pytest.fixture
def again(tmp_path, ran, report):
    """The same command in a copy of it: what it said it would do, unless it left things as it should."""
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    return lambda *arguments, **options: report("-p", "SEED", "4", *arguments, **options)["01_one"]


def retell(root: Path, prose: str) -> Path:
    return write(root, "01_one", DRAWS, prose=prose)


def test_only_what_changed_runs_and_is_drawn_and_the_book_follows(tmp_path, report):
    book, pdf = tmp_path / "reports" / "quick" / "workbook.pdf", ("--format", "pdf")

    def cover() -> tuple[str, str]:
        found = pypdf.PdfReader(book).metadata
        return found.title, found.author or ""

    write(tmp_path, "01_one")
    write(tmp_path, "02_two", "import os\nassert os.path.exists('there')")
    first = report(*pdf, status=1)
    assert first == {"01_one": "runs: never run before", "02_two": "runs: never run before"}
    (tmp_path / "there").touch()
    assert report(*pdf) == {"01_one": "unchanged", "02_two": "runs: its last run failed"}
    assert cover() == ("Experiments in image classification", "")
    before = book.stat().st_mtime_ns
    assert set(report(*pdf).values()) == {"unchanged"} and book.stat().st_mtime_ns == before
    # As after a command that was killed before it came to the book.
    os.utime(book, ns=(0, 0))
    assert set(report(*pdf).values()) == {"unchanged"} and book.stat().st_mtime_ns > 0

    (tmp_path / "cover.yaml").write_text("title: Mine\nauthors: Me\n")
    covered = report(*pdf, "--cover", str(tmp_path / "cover.yaml"))
    assert set(covered.values()) == {"is drawn anew: layout"} and cover() == ("Mine", "Me")
    write(tmp_path, "02_two", "import  os\nassert os.path.exists('there')  # a comment")
    assert report(*pdf)["02_two"] == "is drawn anew: prose, layout"
    write(tmp_path, "02_two", "x = 2")
    second = (*pdf, "02", "-p", "SEED", "4")
    assert report(*second) == {"02_two": "runs: code of cell 2, parameter SEED: 3 → 4"}
    for path in book.parent.glob("01_one.*"):
        path.unlink()
    assert report(*second) == {"02_two": "unchanged"}
    assert not book.exists() and "01_one" not in (book.parent / "index.html").read_text()


def test_what_was_deleted_or_damaged_is_written_again_without_a_run(tmp_path, again):
    reports, figures = tmp_path / "reports" / "quick", tmp_path / "figures" / "quick"

    def files() -> dict[Path, bytes]:
        found = [*figures.rglob("*.*"), reports / "01_one.html", reports / "01_one.json"]
        return {path: path.read_bytes() for path in found}

    before = files()
    assert {path.name for path in before} > {"curve.svg", "curve.pdf"}
    shutil.rmtree(figures)
    assert again() == "is drawn anew: curve.svg is missing, curve.pdf is missing"
    (reports / "01_one.html").unlink()
    assert again() == "is drawn anew: 01_one.html is missing"
    (reports / "01_one.json").write_text("{")
    assert again() == "is drawn anew: 01_one.json is missing"
    (reports / "index.html").unlink()
    assert again() == "unchanged" and (reports / "index.html").is_file() and files() == before


def test_new_prose_costs_no_run_nor_a_mistake_in_it_nor_a_page_that_could_not_be_drawn(tmp_path, again, monkeypatch):
    before, page = left(tmp_path, "01_one"), tmp_path / "reports" / "quick" / "01_one.html"
    retell(tmp_path, "See @tbl-reslts.")
    for why in ("prose", "its last report was not finished"):
        assert again(status=1) == f"is drawn anew: {why}"
        assert "@tbl-reslts" in page.read_text()
    retell(tmp_path, "See @tbl-results!")
    with monkeypatch.context() as patch:
        patch.setattr("helpers.report.render.html", lambda *_, **__: 1 / 0)
        assert again(status=1) == "is drawn anew: its last report was not finished"
    assert again() == "is drawn anew: its last report was not finished"
    assert left(tmp_path, "01_one") == before and "What the run gave." in page.read_text()
    assert again() == "unchanged"


def test_any_prose_keeps_each_output_at_its_code(tmp_path, again):
    """Other cells between, comments, another default below -p, and what an open JupyterLab saved."""
    ran = [cell for cell in executed(tmp_path, "01_one").cells if cell.get("outputs")]
    path = retell(tmp_path, "New.")
    notebook = nbformat.read(path, 4)
    about, parameters, draws, result = notebook.cells
    parameters.source, draws.source, result.source = "SEED = 7", f"{DRAWS}  # new", f"{RESULT}\n"
    draws.outputs = [nbformat.v4.new_output("stream", text="of an open JupyterLab")]
    words = new_code_cell("# words", outputs=draws.outputs)
    between = [new_markdown_cell("x"), new_code_cell(""), nbformat.v4.new_raw_cell("raw"), words]
    notebook.cells = [about, parameters, *between, draws, new_markdown_cell("Between."), result]
    notebook.metadata.workbook = {"after": ["02_b"]}
    nbformat.write(notebook, path)
    assert again() == "is drawn anew: prose"
    made = executed(tmp_path, "01_one")
    assert made.cells.pop(2).source.endswith("SEED = 4\n"), "behind the defaults"
    assert [cell.source for cell in made.cells] == [cell.source for cell in notebook.cells]
    assert [cell.outputs for cell in made.cells if cell.get("outputs")] == [cell.outputs for cell in ran]
    assert made.metadata.workbook.after == ["02_b"] and again() == "unchanged"


def test_other_code_that_is_saved_meanwhile_gets_none_of_the_outputs(tmp_path, again, monkeypatch):
    """A command draws long after it looked."""
    before, look = left(tmp_path, "01_one"), incremental.look

    def look_and_save(*given):
        look(*given)
        write_notebook(tmp_path, "01_one", RESULT, DRAWS)

    retell(tmp_path, "New.")
    monkeypatch.setattr(incremental, "look", look_and_save)
    assert again(status=1) == "is drawn anew: prose" and left(tmp_path, "01_one") == before


@pytest.mark.parametrize(
    ("arguments", "metadata", "why"),
    [
        ("--show-code all", {}, "code: key → all"),
        ("--edition full", {}, "edition: hand-in → full"),
        ("--lang fa", {}, "language: en → fa"),
        ("", {"tags": ["key"]}, "prose"),
        ("", {"jupyter": {"source_hidden": True}}, "prose"),
    ],
)
def test_pages_depend_on_what_they_show_and_on_tags(tmp_path, again, arguments, metadata, why):
    path = tmp_path / "notebooks" / "01_one.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].metadata |= metadata
    nbformat.write(notebook, path)
    assert again(*arguments.split()) == f"is drawn anew: {why}"
