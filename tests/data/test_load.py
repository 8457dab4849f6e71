"""`load`: which images are in which split, of folders, public sets, their stand-ins and what the reader puts there."""

import gzip
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data, storage
from helpers.data import places, sets, shapes
from helpers.data.structures import resize
from tests.data.conftest import files_up_to, write


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of plain images: red is the image's number, blue its class, and the split is in no pixel."""

    def make(counts: dict[str, dict[str, int]]):
        images = [
            (f"{split}/{name}", label)
            for split, classes in counts.items()
            for label, (name, count) in enumerate(classes.items())
            for _ in range(count)
        ]
        files = {f"{place}/{number}.png": (number, 0, label) for number, (place, label) in enumerate(images, start=1)}
        write(tmp_path / "mine", files)
        return lambda **options: data.load("folder:mine", **{"own": "cifar10", "root": tmp_path, **options})

    return make


def numbers(split):
    return {*split.images[:, 0, 0, 0].tolist()}


CLASSES = {"a": 40, "b": 20}


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [[26, 13, 6], [6, 3, 2], [8, 4, 2]]),
        ({"train_per_class": 8}, [[8, 8, 6], [2, 2, 2], [8, 4, 2]]),
        ({"test_per_class": 3}, [[26, 13, 6], [6, 3, 2], [3, 3, 2]]),
        ({"num_classes": 2}, [[26, 13], [6, 3], [8, 4]]),
    ],
)
def test_who_is_in_which_split_of_a_folder(folder, options, counts):
    load = folder({".": CLASSES | {"c": 10}})
    splits, again, other = load(**options), load(seed=0, **options), load(seed=1, **options)
    assert [split.class_counts().tolist() for split in splits.all] == counts
    parts = [numbers(split) for split in splits.all]
    assert sum(map(len, parts)) == len(set.union(*parts)) == sum(map(sum, counts))
    for split, same, another in zip(splits.all, again.all, other.all, strict=True):
        assert torch.equal(split.images[:, 2, 0, 0].long(), split.labels), "each image keeps its own label"
        assert torch.equal(split.images, same.images)
        assert numbers(split) != numbers(another), "the seed decides"


def test_a_smaller_choice_of_images_is_part_of_a_larger_one_and_a_single_image_cannot_be_split(folder):
    load = folder({"train": CLASSES | {"two": 2}, "test": {"a": 1}})
    assert load().val.class_counts().tolist() == [8, 4, 1]
    small, large = (load(train_per_class=number) for number in (4, 8))
    assert all(numbers(few) < numbers(more) for few, more in zip(small.all[:2], large.all[:2], strict=True))
    with pytest.raises(data.DataError, match="class 'one' has a single image"):
        folder({"train": {"one": 1}})()


def test_a_folders_own_splits_stay_what_they_are_and_what_is_left_out_is_said(folder, tmp_path):
    load = folder({"train": CLASSES, "Val": {"a": 5, "b": 4}, "test": {"a": 3, "b": 2}})
    (tmp_path / "mine/train/a/1.heic").touch()
    for seed in (0, 1):
        splits = load(seed=seed)
        assert [split.class_counts().tolist() for split in splits.all] == [[40, 20], [5, 4], [3, 2]]
        assert all(torch.equal(split.images[:, 2, 0, 0].long(), split.labels) for split in splits.all)
    assert [numbers(split) for split in splits.all] == [{*range(1, 61)}, {*range(61, 70)}, {*range(70, 75)}]
    assert splits.counts.endswith("; left out: .heic files (1)")
    source = splits.source
    assert (source.name, source.title, source.where) == (f"folder:{tmp_path / 'mine'}", "images in mine", "mine")


@pytest.mark.parametrize("where", ["FashionMNIST/raw", "Debian's package dataset-fashion-mnist"])
def test_fashion_mnist_is_read_with_its_labels_packed_or_not(fashion, tmp_path, monkeypatch, where):
    packed = fashion / "t10k-labels-idx1-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    if where != "FashionMNIST/raw":
        monkeypatch.setattr(places, "DEBIANS", fashion.rename(tmp_path / "fashion-mnist"))
    splits = data.load("auto", own="fashion_mnist", root=tmp_path, image_size=28, channels=1)
    assert [len(part) for part in splits.all] == [80, 20, 30] and splits.train.images.shape[1:] == (1, 28, 28)
    assert splits.class_names[0] == "T-shirt/top" and splits.class_names[9] == "Ankle boot"
    assert all(torch.equal(part.images[:, 0, 5, 5].long(), part.labels * 10) for part in splits.all)
    assert splits.source.name == "fashion_mnist" and not splits.source.stand_in
    assert where.endswith(splits.source.where)


@pytest.mark.parametrize("fine", [False, True])
def test_cifar_is_read_with_its_labels(tmp_path, cifar, fine):
    cifar(fine=fine)
    name, number = ("cifar100", 100) if fine else ("cifar10", 10)
    splits = data.load(name, own=name, root=tmp_path)
    assert splits.num_classes == number and len(splits.test) == number * 3
    for part in splits.all:
        assert torch.equal(part.images[:, 0, 9, 9].long(), part.labels)
        assert (part.images[:, 1, 0] == 200).all() and (part.images[:, 1, 1:] == 0).all()


@pytest.mark.parametrize(
    ("name", "file", "damage"),
    [
        ("fashion_mnist", "train-images-idx3-ubyte.gz", lambda whole: gzip.compress(gzip.decompress(whole)[:-100])),
        ("fashion_mnist", "train-images-idx3-ubyte.gz", lambda whole: b"<html>not found</html>"),
        ("cifar10", "data_batch_3", lambda whole: pickle.dumps({"data": None})),
    ],
)
def test_a_damaged_file_is_named_and_another_than_cifars_never_unpickled(
    fashion, cifar, tmp_path, monkeypatch, name, file, damage
):
    path = (cifar() if name == "cifar10" else fashion) / file
    path.write_bytes(damage(path.read_bytes()))
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(data.DataError, match=rf"(Fashion-MNIST|CIFAR-10) in .* can't be read .* fetch {name}"):
        data.load(name, own=name, root=tmp_path)


@pytest.mark.parametrize(
    ("name", "title", "first", "number", "how"),
    [
        ("cifar10", "CIFAR-10", 0, 10, "python -m helpers.data fetch cifar10"),
        ("cifar100", "CIFAR-100", 0, 100, "python -m helpers.data fetch cifar100"),
        ("stanford_cars", "Stanford Cars", 0, 15, r"Put images into data/stanford_cars as train/<class>"),
        ("photographs", "ten classes of photographs", 0, 10, r"Put images into data/photographs as train/<class>"),
        # Of other classes than those that a network was trained on before it is carried here.
        ("dog_behaviours", "dog behaviours", 80, 5, r"Put images into data/dog_behaviours as"),
        ("three_animals", "three animals", 150, 3, r"Put images into data/three_animals as"),
    ],
)
def test_shapes_stand_in_for_what_is_missing_unless_it_was_named(tmp_path, name, title, first, number, how):
    options = {"own": name, "root": tmp_path / "data", "image_size": 16, "train_per_class": 2, "test_per_class": 1}
    splits = data.load("auto", **options)
    assert splits.source.name == "shapes" and splits.source.stands_in_for == title
    assert f"in the place of {title}." in splits.source.warning
    for split, per_class in zip(splits.all, (2, 1, 1), strict=True):  # of 2 for training, 0.5 for validation
        images, labels = shapes.draw(number, per_class, 16, stream=split.split, first=first)
        assert torch.equal(split.images, images) and torch.equal(split.labels, labels)
        assert split.class_names == shapes.class_names(number, first=first)
    with pytest.raises(data.MissingDataError, match=how):
        data.load(name, **options)


def test_the_packaged_part_of_fashion_mnist_is_balanced_and_as_it_was(tmp_path):
    """Its classes by a rule of thumb that needs no network: trousers are narrow, bags and boots broad."""
    splits = data.load("auto", own="fashion_mnist", root=tmp_path, train_per_class=2)
    assert splits.source.name == "fashion_mnist_subset" and "7,000" in splits.source.title
    assert splits.source.warning == ""
    for split, part in sets.read(sets.get("fashion_mnist_subset"), sets.find("fashion_mnist_subset")).items():
        assert part.class_counts().tolist() == [600 if split == "train" else 100] * 10
        assert part.images.shape[1:] == (1, 28, 28) and len(part.images.flatten(1).unique(dim=0)) == len(part)
        width = (part.images[:, 0] > 40).any(dim=1).float().sum(dim=1)
        means = {name: width[part.labels == label].mean() for label, name in enumerate(part.class_names)}
        assert min(means, key=means.get) == "Trouser" and means["Bag"] > 24 and means["Ankle boot"] > 24


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("auto", {"image_size": 0}, "image_size"),
        ("auto", {"num_classes": 0}, "num_classes"),
        ("auto", {"test_per_class": -1}, "test_per_class"),
        ("auto", {"channels": 2}, "channels"),
        ("auto", {"seed": None}, "seed is a whole number, not None"),
        ("auto", {"own": "cifar1O"}, "no data set 'cifar1O'. DATASET is one of: auto, shapes, fashion_mnist, cifar10"),
        ("cifar1000", {}, "no data set 'cifar1000'"),
        ("folder:nowhere", {}, "there is no folder nowhere: put images there as train/<class>"),
        ("shapes:circle", {}, "no class 'circle'; there are: plain circle, striped square"),
        (5, {}, "no data set '5'"),
        ("fashion_mnist_subset:Bags", {}, "no class 'Bags'; there are: T-shirt/top"),
        ("fashion_mnist_subset:Bag,Coat", {"num_classes": 3}, "3 classes asked for, but the data set has 2"),
        ("shapes", {"num_classes": 1}, "'plain circle' alone: take two classes at least"),
        ("fashion_mnist_subset:Bag", {}, "two classes at least"),
    ],
)
def test_bad_options_are_named(name, options, message, tmp_path):
    with pytest.raises(data.DataError, match=message):
        data.load(name, **{"own": "cifar100", "root": tmp_path, **options})


def test_classes_are_chosen_by_name_in_the_order_given_and_another_set_is_a_stand_in(fashion, tmp_path):
    splits = data.load("fashion_mnist:Bag, Trouser", own="cifar10", root=tmp_path, train_per_class=4)
    assert splits.class_names == ("Bag", "Trouser") and splits.source.title == "Fashion-MNIST: Bag, Trouser"
    for part in splits.all:
        pixels = torch.tensor([80, 10])[part.labels]  # ten times the label that the whole set has
        assert (part.images == pixels[:, None, None, None]).all() and len(part.labels.unique()) == 2
    assert (splits.train.class_counts() == 4).all()
    warning = "STAND-IN DATA: Fashion-MNIST: Bag, Trouser, real images, in the place of CIFAR-10."
    assert splits.source.warning.startswith(warning)


@pytest.mark.parametrize(
    ("name", "title"), [("cifar10", "CIFAR-10, as image files"), ("photographs", "ten classes of photographs")]
)
def test_what_lies_there_as_image_files_is_found_under_its_name(folder, tmp_path, name, title):
    folder({"train": {"cat": 5, "dog": 5}, "test": {"cat": 5, "dog": 5}})
    (tmp_path / "mine").rename(tmp_path / name)
    splits = data.load("auto", own=name, root=tmp_path)
    source = splits.source
    assert (source.name, source.title, source.where, source.warning) == (name, title, name, "")
    image = next((tmp_path / name).rglob("*.png"))
    Image.open(image).save(image.with_suffix(".JPG"), "JPEG")
    image.unlink()
    again = data.load("auto", own=name, root=tmp_path).source.title
    assert again == title.replace("image", "JPEG")
    assert splits.class_names == ("cat", "dog") and len(splits.train) + len(splits.val) == len(splits.test) == 10
    assert torch.equal(splits.test.images[:, 2, 0, 0].long(), splits.test.labels)


def test_what_is_larger_than_the_memory_lies_in_files_without_names_and_needs_room_for_them(tmp_path, monkeypatch):
    expected = data.load("shapes", own="cifar10", root=tmp_path).train.images
    monkeypatch.setattr(storage, "SHARE", 0)
    monkeypatch.setattr("helpers.DATA", tmp_path)
    assert torch.equal(data.load("shapes", own="cifar10", root=tmp_path).train.images, expected)
    message = r"0\.0 GB .* cache .*File too large.*WORKBOOK_DATA"
    with pytest.raises(storage.StorageError, match=message), files_up_to(1000):
        data.load("shapes", own="cifar10", root=tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_images_are_resized_as_pillow_does_with_the_interpolation_asked_for(tmp_path, interpolation):
    """From files and from tensors, where one grey level may be rounded otherwise; and what is kept is of its own."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for name in ("a/1", "a/2", "a/3", "b/1", "b/2", "b/3"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "own" / f"{name}.png")
    small = np.asarray(Image.fromarray(noise).resize((7, 7), Image.Resampling[interpolation.upper()]))
    for way in ("bilinear", "bicubic", interpolation):
        options = {"own": "photographs", "image_size": 7, "interpolation": way, "root": tmp_path}
        image = data.load(f"folder:{tmp_path / 'own'}", **options).train.images[0]
    np.testing.assert_array_equal(image.permute(1, 2, 0), small)
    resized = resize(torch.from_numpy(noise).permute(2, 0, 1)[None], 7, interpolation)[0]
    assert (resized.int() - image.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("copied", "to", "said"),
    [
        ("train/cat/1.png", "train/cat/1.png", ""),
        ("train/cat/1.png", "test/cat/99.png", "1 of 7 test images is among the training images"),
        ("train/cat/1.png", "val/cat/99.png", "1 of 5 validation images is among the training images"),
        ("test/dog/18.png", "test/dog/99.png", "1 copy within the test images"),
        ("val/cat/11.png", "val/dog/99.png", "1 copy within the validation images; 1 image in several classes"),
        ("train/cat", "test/cat", "5 of 11 test images are among the training images"),
    ],
)
def test_a_copy_is_found(folder, tmp_path, copied, to, said):
    load = folder({split: {"cat": count, "dog": count} for split, count in (("train", 5), ("val", 2), ("test", 3))})
    pets = tmp_path / "mine"
    if (pets / copied).is_dir():
        shutil.copytree(pets / copied, pets / to, dirs_exist_ok=True)
    elif copied != to:
        shutil.copy(pets / copied, pets / to)
    splits = load()
    assert {part.source.duplicates for part in splits.all} == {said}
    assert splits.source.warning.startswith(f"DUPLICATES in images in mine: {said}. " if said else "")
    assert said in splits.counts and splits.counts in repr(splits) and splits.source.warning in repr(splits)
