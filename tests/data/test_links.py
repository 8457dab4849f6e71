"""Symbolic links below the data folder: followed, or named where they lead nowhere or in a circle."""

from pathlib import Path

import pytest
from PIL import Image

from helpers import data
from helpers.data import sets
from helpers.data.__main__ import main


def circle(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.name)
    return path


def nowhere(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("not/there")
    return path


@pytest.fixture(params=[circle, nowhere])
def broken(request: pytest.FixtureRequest):
    """Makes a link that leads in a circle, or nowhere."""
    return request.param


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for number in range(12):
        path = tmp_path / "photographs" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    return tmp_path / "photographs"


def load(folder: Path, name: str = "auto", **options) -> data.Splits:
    return data.load(name, own="photographs", root=folder.parent, **options)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("auto", "photographs"),
        ("photographs", "photographs/train"),
        ("folder:photographs", "photographs/train/cat"),
        ("auto", "photographs/cat/1.png"),
    ],
)
def test_a_broken_link_is_named_and_nothing_stands_in_for_it(tmp_path: Path, broken, name: str, link: str) -> None:
    broken(tmp_path / link)
    with pytest.raises(data.DataError, match=rf"lead nowhere.*: {Path(link).name}\. Repair"):
        load(tmp_path / "photographs", name)


def test_links_that_lead_somewhere_are_followed(photographs: Path, tmp_path: Path) -> None:
    photographs.rename(tmp_path / "elsewhere")
    photographs.symlink_to("elsewhere")
    (tmp_path / "elsewhere/cat/loop").symlink_to(tmp_path / "elsewhere")
    assert sum(map(len, load(photographs).all)) == 12
    assert load(photographs).source.where == "photographs"


@pytest.mark.parametrize("folder", ["photographs", "cifar-10-batches-py"])
def test_the_list_goes_on_behind_a_broken_folder(tmp_path: Path, broken, capsys, folder: str) -> None:
    broken(tmp_path / folder)
    assert main(["list"], root=tmp_path) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert {"cifar10", "cifar100", "photographs", "three_animals", "shapes"} <= set(rows)
    for name, place in (("photographs", "photographs"), ("cifar10", "cifar-10-batches-py")):
        assert ("lead nowhere" in rows[name]) == (place == folder)


def test_a_broken_folder_of_a_public_set_is_named(tmp_path: Path, broken) -> None:
    broken(tmp_path / sets.get("cifar10").folder)
    with pytest.raises(data.DataError, match="cifar-10-batches-py"):
        data.load("auto", own="cifar10", root=tmp_path)
