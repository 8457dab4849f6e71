"""The comparison of training loops, on a few drawn images. Each training is a process, so there are few of them."""

import importlib

import pandas as pd
import pytest
from PIL import Image

from helpers import ROOT
from helpers.data import shapes

pytestmark = pytest.mark.slow


@pytest.fixture
def loop(monkeypatch):
    """Found as ``tests.benchmarks`` whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("tests.benchmarks.loop")


def test_each_contestant_trains_and_is_told(loop, tmp_path, capsys, monkeypatch):
    for split, each in (("train", 12), ("test", 4)):
        images, labels = shapes.draw(3, each, 32, stream=split)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = tmp_path / split / ("2", "10", "b")[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    monkeypatch.setattr(loop, "find_spec", lambda package: package.startswith("torch"))
    options = ["--images", "30", "--epochs", "2", "--seeds", "5", "--batch-size", "16"]
    assert loop.main(["--data", str(tmp_path), *options]) == 0
    text = capsys.readouterr().out
    assert "Not installed: fastai, lightning" in text
    assert [f"{name} against the best peer: epoch 1 " in text for name in ("ours", "ours, float32")] == [True, True]


def test_ratios_are_taken_within_a_seed(loop):
    # The machine is slower during the second seed, and Lightning has no third.
    took = {"ours": [1, 10, 2], "pytorch": [3, 20, 8], "lightning": [2, 15]}
    rows = [(name, seed, value, 2 * value) for name, values in took.items() for seed, value in enumerate(values)]
    told = loop.ratios(pd.DataFrame(rows, columns=["contestant", "seed", "epoch 1", "later"])).splitlines()
    assert told[0] == "ours against pytorch: epoch 1 3.00 (2.00 to 4.00), later 3.00 (2.00 to 4.00)"
    assert told[1] == "ours against lightning: epoch 1 1.75 (1.50 to 2.00), later 1.75 (1.50 to 2.00)"
    assert told[2] == "ours against the best peer: epoch 1 1.75, later 1.75"
