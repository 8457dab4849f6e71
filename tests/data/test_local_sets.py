"""Data sets that only the reader can put there: found as a folder, else drawn shapes stand in for them."""

import pytest
import torch
from PIL import Image

from helpers import data
from helpers.data import sets, shapes
from helpers.data.__main__ import main
from helpers.data.folder import has_classes

NAMES = ("stanford_cars", "photographs", "dog_behaviours", "three_animals")


def write(folder, classes, per_class=10, size=8):
    """Images whose red channel is ten times the number of their class."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(per_class):
            Image.new("RGB", (size, size), (10 * number, image, 0)).save(folder / name / f"{image}.png")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("asked", ["auto", "by name"])
def test_a_folder_of_classes_is_found_under_its_name(tmp_path, name, asked):
    write(tmp_path / name, ["Acura", "BMW", "Jeep"])
    splits = data.load(name if asked == "by name" else "auto", own=name, root=tmp_path)
    assert splits.class_names == ("Acura", "BMW", "Jeep")
    assert (splits.source.name, splits.source.title) == (name, sets.get(name).title)
    assert (splits.source.where, splits.source.warning) == (name, "")
    assert sum(map(len, splits.all)) == 30
    for part in splits.all:
        assert part.source == splits.source
        assert torch.equal(part.images[:, 0, 0, 0].long(), part.labels * 10)


def test_a_folder_that_has_test_images_keeps_them_and_options_hold(tmp_path):
    write(tmp_path / "photographs/train", ["a", "b", "c"])
    write(tmp_path / "photographs/test", ["b"], per_class=4)
    splits = data.load(
        "photographs", own="photographs", root=tmp_path, num_classes=2, image_size=4, channels=1, train_per_class=4
    )
    assert [part.class_counts().tolist() for part in splits.all] == [[4, 4], [1, 1], [0, 4]]
    assert splits.class_names == ("a", "b") and splits.train.images.shape == (8, 1, 4, 4)


@pytest.mark.parametrize(
    ("name", "title", "first", "number"),
    [
        ("stanford_cars", "Stanford Cars", 0, 20),
        ("photographs", "ten classes of photographs", 0, 10),
        ("dog_behaviours", "dog behaviours", 80, 5),
        ("three_animals", "three animals", 150, 3),
    ],
)
def test_shapes_stand_in_for_what_is_missing(tmp_path, name, title, first, number):
    splits = data.load("auto", own=name, root=tmp_path, image_size=16, train_per_class=2, test_per_class=1)
    assert splits.source.name == "shapes" and splits.source.stands_in_for == title
    assert splits.class_names == shapes.class_names(first + number)[first:]
    images, _ = shapes.draw(first + number, 2, 16)
    assert torch.equal(splits.train.images, images[2 * first :])
    assert splits.train.labels.tolist() == [label for label in range(number) for _ in range(2)]


def test_as_many_shapes_as_are_asked_for(tmp_path):
    options = {"root": tmp_path, "image_size": 8, "train_per_class": 1, "test_per_class": 1}
    assert data.load("auto", own="stanford_cars", num_classes=196, **options).num_classes == 196
    assert data.load("auto", own="three_animals", num_classes=50, **options).class_names[-1] == "shaded leaf"
    with pytest.raises(data.DataError):
        data.load("auto", own="three_animals", num_classes=51, **options)


def test_what_a_network_was_trained_on_is_not_in_the_sets_that_it_is_carried_to(tmp_path):
    drawn = {}
    for name in NAMES[1:]:
        splits = data.load("auto", own=name, root=tmp_path, image_size=8, train_per_class=1, test_per_class=1)
        drawn[name] = set(splits.class_names)
    assert len(set.union(*drawn.values())) == 10 + 5 + 3


@pytest.mark.parametrize("name", NAMES)
def test_without_its_folder_the_name_is_an_error_that_says_what_to_put_where(tmp_path, name):
    with pytest.raises(data.MissingDataError, match=rf"put .* into {tmp_path.name}/{name} as train/<class>"):
        data.load(name, own=name, root=tmp_path)


@pytest.mark.parametrize("name", ["auto", "stanford_cars"])
@pytest.mark.parametrize(
    "folders", [["cars_train", "cars_test"], ["devkit"], ["devkit", "Acura", "BMW"], ["cars_train/cars_train"]]
)
def test_stanford_cars_as_they_come_are_no_classes(tmp_path, name, folders):
    write(tmp_path / "stanford_cars", folders, per_class=2)
    first = folders[0].partition("/")[0]
    with pytest.raises(
        data.MissingDataError, match=rf"stanford_cars holds .*{first}.* as train/<class>/.*take .* away"
    ):
        data.load(name, own="stanford_cars", root=tmp_path)


def test_what_came_with_stanford_cars_may_lie_beside_train(tmp_path):
    write(tmp_path / "stanford_cars/train", ["Acura", "BMW"])
    write(tmp_path / "stanford_cars", ["devkit"], per_class=1)
    assert data.load("auto", own="stanford_cars", root=tmp_path).class_names == ("Acura", "BMW")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], False),
        (["train", "val", "test"], False),
        ([".hidden"], False),
        (["cat"], True),
        (["train/cat"], True),
        (["Train/cat"], True),
        (["test/cat"], True),  # incomplete, which `read` says: drawing shapes in silence would not
    ],
)
def test_a_folder_counts_when_it_has_a_class(tmp_path, paths, expected):
    assert not has_classes(tmp_path / "photographs")
    for path in ["", *paths]:
        (tmp_path / "photographs" / path).mkdir(parents=True)
    assert has_classes(tmp_path / "photographs") is expected
    assert sets.find("photographs", root=tmp_path) == (tmp_path / "photographs" if expected else None)


def test_list_shows_them_and_fetch_says_what_to_do(tmp_path, capsys):
    write(tmp_path / "photographs", ["a"], per_class=1)
    assert main(["list"], root=tmp_path) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "here, 0 MB, from photographs" in rows["photographs"]
    assert "Stanford Cars" in rows["stanford_cars"]
    assert f"put a folder there, {tmp_path.name}/stanford_cars" in rows["stanford_cars"]
    assert main(["fetch", "stanford_cars"], root=tmp_path) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: stanford_cars can't be fetched") and "Kaggle" in error and error.count("\n") == 1
