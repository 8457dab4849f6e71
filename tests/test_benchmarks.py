"""The comparison of training loops, on a few drawn images. Each training is a process, so there are few of them."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from helpers import ROOT
from helpers.data import shapes

CLASSES = ("2", "10", "b")


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    """So that ``tests.benchmarks`` is found, whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def drawn(tmp_path) -> Path:
    """12 training and 4 test images of each class: PNG files of 32 px."""
    for split, each in (("train", 12), ("test", 4)):
        images, labels = shapes.draw(len(CLASSES), each, 32, stream=split)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = tmp_path / "data" / split / CLASSES[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return tmp_path / "data"


def read_tables(text: str) -> list[list[list[str]]]:
    """The cells of each Markdown table in a text, without the lines below the headers."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.lstrip().startswith("|")]
    return [[re.split(r"\s*\|\s*", row)[1:-1] for row in (block[0], *block[2:])] for block in blocks]


def make_run(contestant: str, seed: int, seconds: float, accuracy: float):
    runs = importlib.import_module("tests.benchmarks.contest.runs")
    return runs.Run(
        contestant,
        seed,
        "float32",
        start_seconds=1.0,
        first_seconds=seconds,
        later_seconds=seconds,
        total_seconds=2 * seconds,
        memory=100 * seconds,
        accuracy=accuracy,
    )


def test_loop_has_a_row_for_each_contestant(drawn, capsys):
    loop = importlib.import_module("tests.benchmarks.loop")
    options = ["--data", str(drawn), "--images", "30", "--epochs", "2", "--seeds", "5", "--batch-size", "16"]
    assert loop.main([*options, "--contestants", "pytorch", "fastai", "ours"]) == 0
    text = capsys.readouterr().out

    # fastai belongs to the peers, which the workbook doesn't need: usually it is missing here, and that is said.
    taken = ["ours", "pytorch"] + (["fastai"] if find_spec("fastai") else [])
    assert ("Left out, since not installed: fastai." in text) == ("fastai" not in taken)
    assert "30 training, 6 validation and 12 test images of 32 px, 3 classes" in text
    results, ratios = read_tables(text)
    assert [row[0] for row in results] == ["", *taken]
    assert [row[0] for row in ratios] == ["ours against", *taken[1:], "the best peer"]
    for row in results[1:]:
        start, first, later, total, accuracy = (float(cell.strip("%").replace(",", "")) for cell in row[2:6] + row[7:])
        assert min(start, first, later) > 0
        assert row[6] == "unknown" or float(row[6].replace(",", "")) > 0  # MiB, which not every system tells
        assert 30 / first + 30 / later == pytest.approx(total, abs=0.1)
        assert accuracy in [round(100 * right / 12, 1) for right in range(13)]


def test_images_are_balanced_and_in_one_split_only(drawn, tmp_path):
    images = importlib.import_module("tests.benchmarks.contest.images")
    links = tmp_path / "links"
    assert images.link_images(drawn, links, train_images=30) == {"train": 30, "val": 6, "test": 12}
    for split, source, each in (("train", "train", 10), ("val", "train", 2), ("test", "test", 4)):
        folders = sorted((links / split).iterdir())
        # In the alphabet's order, which some contestants go by, and in that of numbers.
        assert [folder.name for folder in folders] == ["0000 10", "0001 2", "0002 b"]
        for folder, name in zip(folders, ("10", "2", "b"), strict=True):
            files = [link.resolve() for link in folder.iterdir()]
            assert len(files) == each and {file.parent for file in files} == {drawn.resolve() / source / name}
    in_both = {path.resolve() for path in links.glob("train/*/*")} & {path.resolve() for path in links.glob("val/*/*")}
    assert not in_both

    with pytest.raises(images.ContestError, match="12 training images"):
        images.link_images(drawn, tmp_path / "more", train_images=36)
    with pytest.raises(images.ContestError, match=r"no images in train/<class>"):
        images.link_images(tmp_path / "nothing", tmp_path / "none", train_images=36)


def test_ratios_are_taken_within_a_seed():
    table = importlib.import_module("tests.benchmarks.contest.table")
    # The machine is slower during the second seed, and Lightning has no third.
    runs = [make_run("ours", 0, 1, 0.5), make_run("ours", 1, 10, 0.6), make_run("ours", 2, 2, 0.7)]
    runs += [make_run("pytorch", 0, 3, 0.5), make_run("pytorch", 1, 20, 0.5), make_run("pytorch", 2, 8, 0.5)]
    runs += [make_run("lightning", 0, 2, 0.4), make_run("lightning", 1, 15, 0.5)]

    header, ours, pytorch, _ = read_tables(table.results(runs, 100))[0]
    assert dict(zip(header, ours, strict=True))["epoch 1, images/s"] == "50"  # the median of 100, 10 and 50
    assert dict(zip(header, ours, strict=True))["test accuracy"] == "60.0% ± 10.0%"
    assert dict(zip(header, pytorch, strict=True))["peak memory, MiB"] == "2,000"

    header, *rows = read_tables(table.ratios(runs))[0]
    in_all = {row[0]: row[header.index("in all")] for row in rows}
    assert in_all == {
        "pytorch": "3.00× (2.00 to 4.00)",
        "lightning": "1.75× (1.50 to 2.00)",
        "the best peer": "1.75×",
    }
    points = {row[0]: row[header.index("accuracy, points")] for row in rows}
    assert points["pytorch"] == "+10.0 ± 10.0"
    memory = {row[0]: row[header.index("memory")] for row in rows}
    assert memory["pytorch"] == "0.33× (0.25 to 0.50)"


def test_a_training_that_fails_is_reported(tmp_path):
    job_module, runs = (importlib.import_module(f"tests.benchmarks.contest.{name}") for name in ("job", "runs"))
    job = job_module.Job(
        contestant="",
        folder=str(tmp_path / "missing"),
        epochs=2,
        batch_size=8,
        learning_rate=0.1,
        workers=0,
        seed=0,
        precision="float32",
        image_size=None,
        num_classes=3,
        pixels=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    (error,) = runs.run_all(job, ["ours"], [4], test=None)
    assert isinstance(error, runs.ContestError)
    assert "ours, seed 4, failed" in str(error) and "there is no folder missing" in str(error)
