"""The script that draws the README's pictures, on reports that are made here."""

import json
import subprocess
import sys

import pytest
import typst
from PIL import Image

from helpers import ROOT

SCRIPT = ROOT / "docs" / "make_pictures.py"
PDF = """
#page(fill: red)[Contents]
#page(fill: yellow)[Curves]
#page(fill: lime)[Figure 3. Accuracy of all three methods on test images: what is
  best is named below.]
"""


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    typst.compile(PDF.encode(), output=folder / "02_transfer_a_to_b.pdf")
    caption = "Accuracy of all three methods on test images: what is best is named below."
    about = {
        "key_figure": "accuracies",
        "figures": {"accuracies": {"caption": caption}, "curves": {"caption": "Curves"}},
    }
    (folder / "02_transfer_a_to_b.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "index.html").write_text("<body style='background: blue'>", encoding="utf-8")
    return folder


def make(reports, to):
    command = [sys.executable, str(SCRIPT), str(reports), "--to", str(to)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_pictures_show_the_first_page_that_of_the_key_figure_and_the_index(browser, reports, tmp_path):
    done = make(reports, tmp_path)
    assert done.returncode == 0, done.stderr
    report, index = (Image.open(tmp_path / name).convert("RGB") for name in ("report.png", "index.png"))
    width, height = report.size
    assert index.size == report.size
    places = (report, width // 4), (report, width * 3 // 4), (index, width // 2)
    colours = [picture.getpixel((x, height * 3 // 4)) for picture, x in places]
    expected = [(255, 65, 54), (1, 255, 112), (0, 0, 255)]  # Typst's red and lime are its own
    for colour, named in zip(colours, expected, strict=True):
        assert max(abs(a - b) for a, b in zip(colour, named, strict=True)) <= 8


def test_missing_reports_are_said_in_one_line(reports, tmp_path):
    (reports / "index.html").unlink()
    done = make(reports, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no") and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))
