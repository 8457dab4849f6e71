import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from helpers import data
from helpers.data import sets, shapes
from helpers.data.structures import resize, to_channels


@pytest.fixture
def no_system_folders(monkeypatch):
    """As on a machine without Debian's package of Fashion-MNIST."""
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", ())


def write_idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def fashion(tmp_path):
    """Ten images of each class for training and three for testing, whose pixels are their label times ten."""
    folder = tmp_path / "FashionMNIST" / "raw"
    for prefix, per_class in (("train", 10), ("t10k", 3)):
        labels = np.tile(np.arange(10), per_class)
        pixels = np.broadcast_to((labels * 10)[:, None, None], (len(labels), 28, 28))
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", pixels)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return tmp_path


def write_cifar(root, *, fine):
    """Images whose red channel is the label and whose first row of green is 200."""
    names = [f"class {number}" for number in range(100 if fine else 10)]
    folder = root / ("cifar-100-python" if fine else "cifar-10-batches-py")
    folder.mkdir()
    train = ["train"] if fine else [f"data_batch_{number}" for number in range(1, 6)]
    for name in [*train, "test" if fine else "test_batch"]:
        labels = list(range(len(names))) * 3
        pixels = np.zeros((len(labels), 3, 32, 32), np.uint8)
        pixels[:, 0] = np.array(labels)[:, None, None]
        pixels[:, 1, 0] = 200
        content = {"data": pixels.reshape(len(labels), -1), "fine_labels" if fine else "labels": labels}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    meta = {"fine_label_names" if fine else "label_names": names}
    (folder / ("meta" if fine else "batches.meta")).write_bytes(pickle.dumps(meta, protocol=2))
    return folder


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Writes small files of CIFAR-10 or CIFAR-100, whose sums are the right ones; returns their folder."""

    def write(*, fine=False):
        folder = write_cifar(tmp_path, fine=fine)
        kind = CIFAR100 if fine else CIFAR10
        sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for name in ("train_list", "test_list"):
            monkeypatch.setattr(kind, name, [[file, sums[file]] for file, _ in getattr(kind, name)])
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
        return folder

    return write


def test_fashion_mnist_is_read_with_its_labels(fashion, no_system_folders):
    splits = data.load("fashion_mnist", own="fashion_mnist", root=fashion)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (80, 20, 30)
    assert splits.class_names[0] == "T-shirt/top" and splits.class_names[9] == "Ankle boot"
    for part in splits.all:
        assert part.images.shape[1:] == (1, 28, 28)
        assert torch.equal(part.images[:, 0, 5, 5].long(), part.labels * 10)
    assert not splits.source.stand_in


@pytest.mark.parametrize("damage", ["cut off", "no gzip", "other magic", "other number"])
def test_a_damaged_idx_file_is_named(fashion, no_system_folders, damage):
    file = fashion / "FashionMNIST" / "raw" / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(file.read_bytes())
    damaged = {
        "cut off": gzip.compress(content[:-100]),
        "no gzip": b"<html>not found</html>",
        "other magic": gzip.compress(b"\1\1" + content[2:]),
        "other number": gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 99, 28, 28) + content[16 : 16 + 99 * 784]),
    }
    file.write_bytes(damaged[damage])
    with pytest.raises(data.DataError, match=r"Fashion-MNIST in .* can't be read .* fetch fashion_mnist"):
        data.load("fashion_mnist", own="fashion_mnist", root=fashion)


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


@pytest.mark.parametrize("damage", [b"", b"junk", pickle.dumps({"data": None})])
def test_a_cifar_file_that_is_another_is_never_unpickled(tmp_path, cifar, monkeypatch, damage):
    (cifar() / "data_batch_3").write_bytes(damage)
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(data.DataError, match=r"CIFAR-10 in cifar-10-batches-py can't be read .* fetch cifar10"):
        data.load("cifar10", own="cifar10", root=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_a_named_data_set_that_is_missing_is_an_error_with_the_way_to_get_it(tmp_path, no_system_folders, name):
    with pytest.raises(data.MissingDataError, match=f"python -m helpers.data fetch {name}"):
        data.load(name, own=name, root=tmp_path)


def test_gzipped_files_of_a_package_are_read_where_they_lie(fashion, tmp_path_factory, monkeypatch):
    """Debian's dataset-fashion-mnist has its files in /usr/share, gzipped."""
    usr, root = tmp_path_factory.mktemp("usr"), tmp_path_factory.mktemp("data")
    (usr / "share/datasets").mkdir(parents=True)
    (fashion / "FashionMNIST/raw").rename(usr / "share/datasets/fashion-mnist")
    for path in (usr / "share/datasets/fashion-mnist").glob("*ubyte"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", (usr,))
    splits = data.load("auto", own="fashion_mnist", root=root)
    assert splits.source.where == "share/datasets/fashion-mnist of an installed package"
    assert torch.equal(splits.test.images[:, 0, 5, 5].long(), splits.test.labels * 10)
    assert list(root.iterdir()) == []


def test_auto_takes_the_experiments_own_data_and_else_the_stand_in(fashion, no_system_folders, tmp_path_factory):
    here = data.load("auto", own="fashion_mnist", root=fashion)
    assert here.source.name == "fashion_mnist" and not here.source.stand_in
    elsewhere = data.load("auto", own="fashion_mnist", root=tmp_path_factory.mktemp("empty"), train_per_class=2)
    assert elsewhere.source.name == "shapes"
    assert "not Fashion-MNIST" in elsewhere.source.warning


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(data.DataError, match="Did you mean 'cifar100'"):
        data.load("cifar1000", own="cifar100")


def test_shapes_come_in_three_splits_of_the_sizes_asked_for(tmp_path):
    splits = data.load("shapes", own="cifar100", image_size=16, num_classes=5, train_per_class=8, test_per_class=3)
    assert [len(part) for part in splits.all] == [40, 10, 15]
    assert splits.train.images.shape == (40, 3, 16, 16)
    assert splits.class_names == shapes.class_names(5)
    images, labels = shapes.draw(5, 8, 16, 0, stream="train")
    assert torch.equal(splits.train.images, images) and torch.equal(splits.train.labels, labels)


def test_the_first_classes_can_be_taken_and_no_more_than_there_are(tmp_path, cifar):
    cifar()
    splits = data.load("cifar10", own="cifar10", root=tmp_path, num_classes=3)
    assert splits.class_names == ("class 0", "class 1", "class 2")
    assert splits.test.labels.max() == 2
    with pytest.raises(data.DataError, match="has 10"):
        data.load("cifar10", own="cifar10", root=tmp_path, num_classes=11)


def test_grey_and_colour():
    grey = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(to_channels(grey, 3), grey.expand(2, 3, 4, 4))
    # Pillow's conversion is an independent one.
    colour = torch.randint(0, 256, (1, 3, 9, 9), dtype=torch.uint8)
    pillow = np.array(Image.fromarray(colour[0].permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(to_channels(colour, 1)[0, 0].numpy().astype(int) - pillow).max() <= 1


def test_resizing_is_antialiased():
    stripes = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    stripes[..., ::4] = 255
    # Every fourth column is white: without antialiasing a quarter of the size would be all black.
    assert (resize(stripes, 8)[..., 1:-1].float() - 255 / 4).abs().max() < 20
    assert resize(stripes, 32) is stripes


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
