"""The script that draws the README's pictures, on reports that are made here."""

import json
import subprocess
import sys

import pytest
import typst
from PIL import Image

from helpers import ROOT

pytestmark = pytest.mark.slow

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


def test_pictures_show_the_first_page_that_of_the_key_figure_and_the_index(browser, reports, tmp_path):
    command = [sys.executable, str(SCRIPT), str(reports), "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report, index = (Image.open(tmp_path / name).convert("RGB") for name in ("report.png", "index.png"))
    width, height = report.size
    assert index.size == report.size
    places = (report, width // 4), (report, width * 3 // 4), (index, width // 2)
    colours = [picture.getpixel((x, height * 3 // 4)) for picture, x in places]
    expected = [(255, 65, 54), (1, 255, 112), (0, 0, 255)]  # Typst's red and lime are its own
    for colour, named in zip(colours, expected, strict=True):
        assert max(abs(a - b) for a, b in zip(colour, named, strict=True)) <= 8
