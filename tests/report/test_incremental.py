"""What a command runs again, what it only draws anew, and what it leaves alone."""

import json
from pathlib import Path

import nbformat
import pytest

from helpers.report import cli
from helpers.report.inputs import gather

LOADS = """\
from helpers import data
print(len(data.load(DATASET, own="shapes", image_size=8, train_per_class=4, test_per_class=2, num_classes=3).train))"""
RESULT = """\
from helpers.report import record
record.numbers([record.Number("seed", "Seed", float(SEED))], "results", "What the run gave.")
record.reading("It is done.")"""


def write(root: Path, name: str, *sources: str, prose: str = "Some text.", after: list[str] | None = None) -> None:
    cells = [
        nbformat.v4.new_markdown_cell(f"# About {name}\n\n{prose}"),
        nbformat.v4.new_code_cell('SEED = 3\nDATASET = "shapes"', metadata={"tags": ["parameters"]}),
        *map(nbformat.v4.new_code_cell, [*sources, RESULT]),
    ]
    folder = root / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"workbook": {"after": after}} if after else {}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / f"{name}.ipynb")


@pytest.fixture
def report(tmp_path, capsys):
    """Runs the command; returns what it said it would do with each notebook."""

    def run(*arguments: str, status: int = 0) -> dict[str, str]:
        assert cli.main(["--format", "html", *arguments], root=tmp_path) == status
        said = capsys.readouterr()
        lines = [line.split("  ", 1) for line in said.err.splitlines()]
        return {name: what for name, what in lines if what.startswith(("runs", "is drawn", "unchanged"))}

    return run


def finished(root: Path, name: str) -> str:
    return json.loads((root / "reports" / "quick" / f"{name}.json").read_text())["finished"]


def page(root: Path, name: str) -> str:
    return (root / "reports" / "quick" / f"{name}.html").read_text()


def test_each_input_in_turn(tmp_path, report, monkeypatch):
    write(tmp_path, "01_one")
    write(tmp_path, "02_two", "x = 1")
    assert report() == {"01_one": "runs: never run before", "02_two": "runs: never run before"}
    assert report() == {"01_one": "unchanged", "02_two": "unchanged"}

    write(tmp_path, "02_two", "x = 2")
    assert report() == {"01_one": "unchanged", "02_two": "runs: code of cell 2"}
    write(tmp_path, "02_two", "x  =  2  # a comment")
    assert report()["02_two"] == "is drawn anew: prose"

    assert report("-p", "SEED", "4") == dict.fromkeys(["01_one", "02_two"], "runs: parameter SEED: 3 → 4")
    assert report("01") == {"01_one": "runs: parameter SEED: 4 → 3"}

    # The helpers that a notebook uses, and no others.
    module = tmp_path / "mine.py"
    module.write_text("def twice(x):\n    return 2 * x\n")
    write(tmp_path, "02_two", "from mine import twice\nprint(twice(SEED))")
    assert report("02")["02_two"] == "runs: code of cell 2, parameter SEED: 4 → 3"
    module.write_text('def twice(x):\n    """Doubles."""\n    return 2 * x\n')
    assert report("02")["02_two"] == "unchanged"
    module.write_text("def twice(x):\n    return x + x\n")
    assert report()["02_two"] == "runs: mine"

    monkeypatch.setattr(gather, "_version", lambda distribution: "99")
    assert "library" in report("02")["02_two"]


def test_new_prose_is_drawn_without_running(tmp_path, report):
    write(tmp_path, "01_one", prose="The first text.")
    report()
    before = finished(tmp_path, "01_one")
    write(tmp_path, "01_one", prose="Quite another text.")
    assert report() == {"01_one": "is drawn anew: prose"}
    assert "Quite another text." in page(tmp_path, "01_one") and "The first text." not in page(tmp_path, "01_one")
    assert "What the run gave." in page(tmp_path, "01_one") and "It is done." in page(tmp_path, "01_one")
    assert finished(tmp_path, "01_one") == before
    assert report() == {"01_one": "unchanged"}


def test_pages_that_were_deleted_are_drawn_and_force_runs_all(tmp_path, report):
    write(tmp_path, "01_one")
    report()
    (tmp_path / "reports" / "quick" / "01_one.html").unlink()
    assert report() == {"01_one": "is drawn anew: 01_one.html is missing"}
    assert "What the run gave." in page(tmp_path, "01_one")
    assert report("--force") == {"01_one": "runs: --force"}
    (tmp_path / "reports" / "quick" / "index.html").unlink()
    assert report() == {"01_one": "unchanged"}
    assert (tmp_path / "reports" / "quick" / "index.html").is_file()


def test_a_failed_run_is_never_good(tmp_path, report):
    write(tmp_path, "01_one", "import os\nassert os.path.exists('there'), 'not there'")
    assert report(status=1)["01_one"] == "runs: never run before"
    (tmp_path / "there").write_text("")
    assert report()["01_one"] == "runs: never run before"
    assert report()["01_one"] == "unchanged"


def test_data_that_comes_to_the_machine_counts(tmp_path, report, monkeypatch):
    from PIL import Image

    for name in ("cat", "dog"):
        for number in range(12):
            path = tmp_path / "pets" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    write(tmp_path, "01_one", LOADS.replace("num_classes=3", "num_classes=2"))
    data = ["-p", "DATASET", f"folder:{tmp_path / 'pets'}"]
    assert report(*data)["01_one"] == "runs: never run before"
    assert report(*data)["01_one"] == "unchanged"
    Image.new("RGB", (8, 8), (99, 0, 0)).save(tmp_path / "pets" / "cat" / "new.png")
    assert report(*data)["01_one"].startswith("runs: data folder:")


def test_a_notebook_comes_after_the_one_it_takes_something_from(tmp_path, report):
    write(tmp_path, "01_takes", after=["02"])
    write(tmp_path, "02_gives")
    assert list(report()) == ["02_gives", "01_takes"]
    write(tmp_path, "02_gives", after=["01_takes"])
    assert cli.main([], root=tmp_path) == 2
