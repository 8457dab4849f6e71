"""The comparison of training loops, on a few drawn images. Each training is a process, so there are few of them."""

import importlib
import re

import pytest
from PIL import Image

from helpers import ROOT
from helpers.data import shapes

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    """So that ``tests.benchmarks`` is found, whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)


def read_tables(text: str) -> list[list[list[str]]]:
    """The cells of each Markdown table in a text, without the lines below the headers."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.lstrip().startswith("|")]
    return [[re.split(r"\s*\|\s*", row)[1:-1] for row in (block[0], *block[2:])] for block in blocks]


def test_loop_has_a_row_for_each_contestant(tmp_path, capsys):
    for split, each in (("train", 12), ("test", 4)):
        images, labels = shapes.draw(3, each, 32, stream=split)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = tmp_path / split / ("2", "10", "b")[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    loop = importlib.import_module("tests.benchmarks.loop")
    options = ["--data", str(tmp_path), "--images", "30", "--epochs", "2", "--seeds", "5", "--batch-size", "16"]
    assert loop.main([*options, "--contestants", "pytorch", "ours"]) == 0
    text = capsys.readouterr().out
    assert "30 training, 6 validation and 12 test images of 32 px, 3 classes" in text
    results, ratios = read_tables(text)
    assert [row[0] for row in results] == ["", "ours", "pytorch"]
    assert [row[0] for row in ratios] == ["ours against", "pytorch", "the best peer"]
    for row in results[1:]:
        start, first, later, total, accuracy = (float(cell.strip("%").replace(",", "")) for cell in row[2:6] + row[7:])
        assert min(start, first, later) > 0
        assert 30 / first + 30 / later == pytest.approx(total, abs=0.1)
        assert accuracy in [round(100 * right / 12, 1) for right in range(13)]


def test_ratios_are_taken_within_a_seed():
    runs, table = (importlib.import_module(f"tests.benchmarks.contest.{name}") for name in ("runs", "table"))

    def run(contestant: str, seed: int, seconds: float, accuracy: float):
        return runs.Run(contestant, seed, "float32", 1.0, seconds, seconds, 2 * seconds, 100 * seconds, accuracy)

    # The machine is slower during the second seed, and Lightning has no third.
    ours = [run("ours", 0, 1, 0.5), run("ours", 1, 10, 0.6), run("ours", 2, 2, 0.7)]
    pytorch = [run("pytorch", 0, 3, 0.5), run("pytorch", 1, 20, 0.5), run("pytorch", 2, 8, 0.5)]
    lightning = [run("lightning", 0, 2, 0.4), run("lightning", 1, 15, 0.5)]
    header, *rows = read_tables(table.ratios([*ours, *pytorch, *lightning]))[0]
    in_all = {row[0]: row[header.index("in all")] for row in rows}
    assert in_all == {
        "pytorch": "3.00× (2.00 to 4.00)",
        "lightning": "1.75× (1.50 to 2.00)",
        "the best peer": "1.75×",
    }
    assert rows[0][header.index("accuracy, points")] == "+10.0 ± 10.0"
    assert rows[0][header.index("memory")] == "0.33× (0.25 to 0.50)"
