"""Data sets that only the reader can put there: found as a folder, else drawn shapes stand in for them."""

import pytest
import torch
from PIL import Image

from helpers import data
from helpers.data import sets, shapes

NAMES = ("stanford_cars", "photographs", "dog_behaviours", "three_animals")


def write(folder, classes, per_class=10, size=8):
    """Images whose red channel is ten times the number of their class."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(per_class):
            Image.new("RGB", (size, size), (10 * number, image, 0)).save(folder / name / f"{image}.png")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_classes_is_found_under_its_name(tmp_path, name):
    write(tmp_path / name, ["Acura", "BMW", "Jeep"])
    splits = data.load("auto", own=name, root=tmp_path)
    assert torch.equal(data.load(name, own=name, root=tmp_path).train.images, splits.train.images)
    assert splits.class_names == ("Acura", "BMW", "Jeep")
    assert (splits.source.name, splits.source.title) == (name, sets.get(name).title)
    assert (splits.source.where, splits.source.warning) == (name, "")
    assert sum(map(len, splits.all)) == 30
    for part in splits.all:
        assert part.source == splits.source
        assert torch.equal(part.images[:, 0, 0, 0].long(), part.labels * 10)


@pytest.mark.parametrize(
    ("name", "title", "first", "number"),
    [
        ("stanford_cars", "Stanford Cars", 0, 20),
        ("photographs", "ten classes of photographs", 0, 10),
        # Of other classes than those that a network was trained on before it is carried here.
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


@pytest.mark.parametrize("name", NAMES)
def test_without_its_folder_the_name_is_an_error_that_says_what_to_put_where(tmp_path, name):
    with pytest.raises(data.MissingDataError, match=rf"put .* into {tmp_path.name}/{name} as train/<class>"):
        data.load(name, own=name, root=tmp_path)


@pytest.mark.parametrize("folders", [["cars_train", "cars_test"], ["devkit", "Acura"], ["cars_train/cars_train"]])
def test_stanford_cars_as_they_come_are_no_classes(tmp_path, folders):
    write(tmp_path / "stanford_cars", folders, per_class=2)
    first = folders[0].partition("/")[0]
    with pytest.raises(
        data.MissingDataError, match=rf"stanford_cars holds .*{first}.* as train/<class>/.*take .* away"
    ):
        data.load("auto", own="stanford_cars", root=tmp_path)
    write(tmp_path / "stanford_cars/train", ["Jeep"])
    assert data.load("auto", own="stanford_cars", root=tmp_path).class_names == ("Jeep",)
