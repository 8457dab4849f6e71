"""Public data sets are read with their labels, refused when damaged, and stood in for where they are missing."""

import gzip
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data
from helpers.data import sets, shapes
from helpers.data.structures import resize


def test_fashion_mnist_is_read_with_its_labels_packed_or_not(fashion, tmp_path):
    packed = fashion / "t10k-labels-idx1-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    splits = data.load("auto", own="fashion_mnist", root=tmp_path)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (80, 20, 30)
    assert splits.class_names[0] == "T-shirt/top" and splits.class_names[9] == "Ankle boot"
    for part in splits.all:
        assert part.images.shape[1:] == (1, 28, 28)
        assert torch.equal(part.images[:, 0, 5, 5].long(), part.labels * 10)
    assert splits.source.name == "fashion_mnist" and not splits.source.stand_in


def test_debians_package_of_fashion_mnist_is_read_where_it_lies(fashion, tmp_path, monkeypatch):
    usr, root = tmp_path / "usr", tmp_path / "data"
    (usr / "share/datasets").mkdir(parents=True)
    fashion.rename(usr / "share/datasets/fashion-mnist")
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", (usr,))
    splits = data.load("auto", own="fashion_mnist", root=root)
    assert splits.source.where == "share/datasets/fashion-mnist of an installed package"
    assert torch.equal(splits.test.images[:, 0, 5, 5].long(), splits.test.labels * 10)
    assert not root.exists()


@pytest.mark.parametrize("damage", ["cut off", "no gzip"])
def test_a_damaged_idx_file_is_named(fashion, tmp_path, damage):
    file = fashion / "train-images-idx3-ubyte.gz"
    cut_off = gzip.compress(gzip.decompress(file.read_bytes())[:-100])
    file.write_bytes(cut_off if damage == "cut off" else b"<html>not found</html>")
    with pytest.raises(data.DataError, match=r"Fashion-MNIST in .* can't be read .* fetch fashion_mnist"):
        data.load("fashion_mnist", own="fashion_mnist", root=tmp_path)


@pytest.mark.parametrize("fine", [False, True])
def test_cifar_is_read_with_its_labels(tmp_path, cifar, fine):
    cifar(fine=fine)
    name = "cifar100" if fine else "cifar10"
    splits = data.load(name, own=name, root=tmp_path)
    assert splits.num_classes == (100 if fine else 10)
    assert len(splits.test) == splits.num_classes * 3
    for part in splits.all:
        assert torch.equal(part.images[:, 0, 9, 9].long(), part.labels)
        assert (part.images[:, 1, 0] == 200).all() and (part.images[:, 1, 1:] == 0).all()
    fewer = data.load(name, own=name, root=tmp_path, num_classes=3)
    assert fewer.class_names == ("class 0", "class 1", "class 2") and fewer.test.labels.max() == 2
    with pytest.raises(data.DataError, match=f"has {splits.num_classes}"):
        data.load(name, own=name, root=tmp_path, num_classes=101)


def test_a_cifar_file_that_is_another_is_never_unpickled(tmp_path, cifar, monkeypatch):
    (cifar() / "data_batch_3").write_bytes(pickle.dumps({"data": None}))
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(data.DataError, match=r"CIFAR-10 in cifar-10-batches-py can't be read .* fetch cifar10"):
        data.load("cifar10", own="cifar10", root=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_a_data_set_that_is_missing_is_an_error_where_it_was_named_and_else_stood_in_for(tmp_path, name):
    """By the part of it that is packaged, or by drawn shapes."""
    with pytest.raises(data.MissingDataError, match=f"python -m helpers.data fetch {name}"):
        data.load(name, own=name, root=tmp_path)
    splits = data.load("auto", own=name, root=tmp_path, train_per_class=2, test_per_class=1)
    if name == "fashion_mnist":
        assert splits.source.name == "fashion_mnist_subset" and "7,000" in splits.source.title
        assert splits.source.warning == ""
        return
    assert splits.source.name == "shapes" and f"not {sets.get(name).title}" in splits.source.warning
    images, labels = shapes.draw(splits.num_classes, 2, splits.train.images.shape[-1], 0, stream="train")
    assert torch.equal(splits.train.labels, labels) and torch.equal(splits.train.images, images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size"),
        ({"num_classes": 0}, "num_classes"),
        ({"train_per_class": 0}, "train_per_class"),
        ({"test_per_class": -1}, "test_per_class"),
        ({"channels": 2}, "channels"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"own": "cifar1O"}, "Did you mean 'cifar10'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(data.DataError, match=message):
        data.load("auto", **{"own": "cifar100", **options})
    with pytest.raises(data.DataError, match="Did you mean 'cifar100'"):
        data.load("cifar1000", own="cifar100")


def test_classes_are_chosen_by_name_in_the_order_given(fashion, tmp_path):
    splits = data.load("fashion_mnist:Bag, Trouser", own="fashion_mnist", root=tmp_path, train_per_class=4)
    assert splits.class_names == ("Bag", "Trouser") and splits.source.title == "Fashion-MNIST: Bag, Trouser"
    for part in splits.all:
        pixels = torch.tensor([80, 10])[part.labels]  # ten times the label that the whole set has
        assert (part.images == pixels[:, None, None, None]).all() and len(part.labels.unique()) == 2
    assert (splits.train.class_counts() == 4).all()
    with pytest.raises(data.DataError, match="no class 'Bags'; there are: T-shirt/top"):
        data.load("fashion_mnist:Bags", own="fashion_mnist", root=tmp_path)
    with pytest.raises(data.DataError, match="no data set 'shapes:circle'"):
        data.load("shapes:circle", own="fashion_mnist", root=tmp_path)
    with pytest.raises(data.DataError, match="3 classes asked for, but the data set has 2"):
        data.load("fashion_mnist:Bag,Coat", own="fashion_mnist", root=tmp_path, num_classes=3)


def test_a_public_set_may_lie_there_as_image_files(tmp_path):
    for split, value in (("train", 10), ("test", 20)):
        for name in ("cat", "dog"):
            (tmp_path / "cifar10" / split / name).mkdir(parents=True)
            for number in range(5):
                shade = value + number + 100 * (name == "dog")
                Image.new("RGB", (4, 4), (shade, 0, 0)).save(tmp_path / "cifar10" / split / name / f"{number}.png")
    splits = data.load("auto", own="cifar10", root=tmp_path)
    assert splits.source.title == "CIFAR-10, as image files" and not splits.source.stand_in
    assert splits.class_names == ("cat", "dog") and len(splits.train) + len(splits.val) == 10
    assert sorted(splits.test.images[:, 0, 0, 0].tolist()) == [*range(20, 25), *range(120, 125)]


def test_real_images_of_another_set_are_named_as_a_stand_in(fashion, tmp_path):
    source = data.load("fashion_mnist", own="cifar10", root=tmp_path).source
    assert source.warning.startswith("STAND-IN DATA: Fashion-MNIST, real images, but not CIFAR-10.")


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_images_are_resized_as_pillow_does_with_the_interpolation_asked_for(tmp_path, fashion, interpolation):
    """From files and from tensors, where one grey level may be rounded otherwise; and what is kept is of its own."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(noise).save(tmp_path / "own" / name / f"{number}.png")
    small = Image.fromarray(noise).resize((7, 7), Image.Resampling[interpolation.upper()])
    for way in ("bilinear", "bicubic", interpolation):
        options = {"own": "photographs", "image_size": 7, "interpolation": way, "root": tmp_path}
        image = data.load(f"folder:{tmp_path / 'own'}", **options).train.images[0]
    np.testing.assert_array_equal(image.permute(1, 2, 0), np.asarray(small))
    difference = resize(torch.from_numpy(noise).permute(2, 0, 1)[None], 7, interpolation)[0].int() - image.int()
    assert difference.abs().max() <= 1
