"""Symbolic links below the data folder: followed, or named where they lead nowhere or in a circle."""

from pathlib import Path

import pytest
from PIL import Image

from helpers import data


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for number in range(12):
        path = tmp_path / "photographs" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    return tmp_path / "photographs"


def load(folder: Path, name: str = "auto", **options) -> data.Splits:
    return data.load(name, own="photographs", root=folder.parent, **options)


@pytest.mark.parametrize("circle", [True, False])
@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("auto", "photographs"),
        ("photographs", "photographs/train"),
        ("folder:photographs", "photographs/train/cat"),
        ("auto", "photographs/cat/1.png"),
    ],
)
def test_a_broken_link_is_named_and_nothing_stands_in_for_it(tmp_path: Path, circle, name: str, link: str) -> None:
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(Path(link).name if circle else "not/there")
    with pytest.raises(data.DataError, match=rf"lead nowhere.*: {Path(link).name}\. Repair"):
        load(tmp_path / "photographs", name)


def test_links_that_lead_somewhere_are_followed(photographs: Path, tmp_path: Path) -> None:
    photographs.rename(tmp_path / "elsewhere")
    photographs.symlink_to("elsewhere")
    (tmp_path / "elsewhere/cat/loop").symlink_to(tmp_path / "elsewhere")
    assert sum(map(len, load(photographs).all)) == 12
    assert load(photographs).source.where == "photographs"
