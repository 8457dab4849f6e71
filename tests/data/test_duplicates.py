"""Images that are in a data set more than once are said, wherever they are."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from helpers import data, record


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Noise: ten images of two classes for training, four for validation, six for testing."""
    numbers = np.random.default_rng(0)
    for split, per_class in (("train", 5), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for number in range(per_class):
                pixels = numbers.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / split / name / f"{number}.png")
    return tmp_path / "pets"


def duplicates(folder: Path, **options) -> str:
    splits = data.load(f"folder:{folder}", own="cifar10", root=folder.parent, **options)
    assert {part.source.duplicates for part in splits.all} == {splits.source.duplicates}
    return splits.source.duplicates


def test_nothing_is_said_of_a_set_that_has_each_image_once(pets: Path) -> None:
    assert duplicates(pets) == duplicates(pets, train_per_class=1, image_size=9, channels=1) == ""


@pytest.mark.parametrize(
    ("copied", "to", "said"),
    [
        ("train/cat/0.png", "test/cat/9.png", "1 of 7 test images is among the training images"),
        ("train/cat/0.png", "val/cat/9.png", "1 of 5 validation images is among the training images"),
        ("test/dog/0.png", "test/dog/9.png", "1 copy within the test images"),
        ("val/cat/0.png", "val/dog/9.png", "1 copy within the validation images; 1 image in several classes"),
    ],
)
def test_one_copy_is_found(pets: Path, copied: str, to: str, said: str) -> None:
    shutil.copy(pets / copied, pets / to)
    assert duplicates(pets) == said


def test_the_report_says_it_loudly(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(pets / "train/cat", pets / "test/cat", dirs_exist_ok=True)
    splits = data.load(f"folder:{pets}", own="cifar10", root=pets.parent)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    compute = SimpleNamespace(description="a processor", precision_description="float32")
    record.provenance({}, data=splits, compute=compute, weights="random")
    found = "5 of 8 test images are among the training images"
    assert shown[0][record.MIME]["warning"].startswith(f"DUPLICATES in images in pets: {found}. ")
    assert found in dict(shown[0][record.MIME]["rows"])["Images"]
    assert found in repr(splits)
