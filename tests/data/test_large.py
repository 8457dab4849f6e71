"""Data sets larger than memory: the same tensors as otherwise, but in files, and bounded memory."""

import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import helpers
from helpers import data, storage
from helpers.data.folder import read
from helpers.data.loading import to_channels

COLOURS = np.random.default_rng(0).integers(0, 256, (60, 16, 12, 3), dtype=np.uint8)


def write_folder(folder: Path, splits: dict[str, int]) -> None:
    """So many noisy images of each of two classes, by split ("" for none)."""
    number = 0
    for split, per_class in splits.items():
        for label in ("cat", "dog"):
            (folder / split / label).mkdir(parents=True)
            for _ in range(per_class):
                Image.fromarray(COLOURS[number]).save(folder / split / label / f"{number}.png")
                number += 1


def write_cifar(folder: Path) -> None:
    folder.mkdir()
    files = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    pixels = np.random.default_rng(1).integers(0, 256, (len(files), 20, 3072), dtype=np.uint8)
    for name, batch in zip(files, pixels, strict=True):
        (folder / name).write_bytes(pickle.dumps({"data": batch, "labels": [*range(10)] * 2}, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [*"abcdefghij"]}, protocol=2))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, on a machine that works on few images at a time."""
    write_folder(tmp_path / "unsplit", {"": 30})
    write_folder(tmp_path / "tested", {"train": 20, "test": 6})
    write_folder(tmp_path / "complete", {"train": 12, "val": 5, "test": 6})
    write_cifar(tmp_path / "cifar-10-batches-py")
    monkeypatch.setattr(helpers, "DATA", tmp_path)
    monkeypatch.setattr(storage, "CHUNK", 5_000)
    return tmp_path


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch):
    """From its call on, every tensor of images is too large for memory."""
    return lambda: monkeypatch.setattr(storage, "limit", lambda: 100)


def file_of(tensor: torch.Tensor) -> str:
    """The file that a tensor lies in, as the system names it; "" for memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, rest = line.partition(" ")
        start, stop = (int(address, 16) for address in addresses.split("-"))
        if start <= tensor.data_ptr() < stop:
            return rest.partition("/")[1] + rest.partition("/")[2]
    raise AssertionError("a tensor lies somewhere")


def is_mapped(images: data.ImageData) -> bool:
    return file_of(images.images).startswith(f"{helpers.DATA}/cache/") and file_of(images.images).endswith("(deleted)")


def assert_same(one: data.ImageData, other: data.ImageData) -> None:
    assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
    assert (one.class_names, one.split, one.source) == (other.class_names, other.split, other.source)


@pytest.mark.parametrize("name", ["folder:unsplit", "folder:tested", "folder:complete", "cifar10", "shapes"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train_per_class": 4, "test_per_class": 3},
        {"num_classes": 1},
        {"channels": 1},
        {"image_size": 40, "num_classes": 2},
    ],
    ids=lambda options: "+".join(options),
)
def test_a_large_set_has_the_same_tensors_in_files(root: Path, no_memory, name: str, options: dict) -> None:
    if name.startswith("folder") and "image_size" not in options:
        options = {"image_size": 9, **options}
    options = {"own": "cifar10", "root": root, **options}
    small = data.load(name, **options)
    shutil.rmtree(root / "cache", ignore_errors=True)
    no_memory()
    for _ in range(2):  # a folder: decoded, and from the cache
        large = data.load(name, **options)
        for one, other in zip(small.all, large.all, strict=True):
            assert not is_mapped(one) and is_mapped(other)
            assert_same(one, other)


def test_grey_images_become_colourful_in_files(root: Path, no_memory) -> None:
    grey = torch.from_numpy(COLOURS[:, None, :, :, 0])
    no_memory()
    colourful = to_channels(grey, 3)
    assert torch.equal(colourful, grey.repeat(1, 3, 1, 1))
    assert file_of(colourful).endswith("(deleted)")


def test_what_is_made_of_a_large_set_is_large_too(root: Path, no_memory) -> None:
    def load_and_derive() -> list[data.ImageData]:
        splits = data.load("cifar10", own="cifar10", root=root)
        train = splits.train
        parts = data.split(train, val_fraction=0.3, seed=1)
        by_class = train.subset(train.labels.argsort())
        return [*parts, *splits.cut(4)[1].all, by_class, data.lower_resolution(train, 7)]

    small = load_and_derive()
    no_memory()
    for one, other in zip(small, load_and_derive(), strict=True):
        assert not is_mapped(one) and is_mapped(other)
        assert_same(one, other)
        assert one.mean_std() == other.mean_std()


def test_mean_and_std_do_not_depend_on_the_chunks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = data.load("cifar10", own="cifar10", root=root).train
    in_chunks = train.mean_std()
    monkeypatch.setattr(storage, "CHUNK", 2**40)
    assert train.mean_std() == in_chunks


def test_bad_images_leave_no_gaps(root: Path, no_memory) -> None:
    for number in (0, 11, 12, 59):
        (path,) = (root / "unsplit").glob(f"*/{number}.png")
        path.write_text("no image")
    # File names sort as texts: 0, 1, 10, 11, …, and the dogs begin with 30.
    kept = sorted(set(range(60)) - {0, 11, 12, 59}, key=lambda number: (number >= 30, str(number)))
    expected = torch.from_numpy(COLOURS[kept]).permute(0, 3, 1, 2)
    no_memory()
    for _ in range(2):  # decoded, and from the cache
        with pytest.warns(UserWarning, match="4 of 60 files"):
            whole = read(root / "unsplit", image_size=None, channels=3, skip_bad=True, cache=root / "cache")["all"]
        assert is_mapped(whole)
        assert torch.equal(whole.images, expected)


def test_nothing_but_the_decoded_images_stays_in_the_cache(root: Path, no_memory) -> None:
    no_memory()
    splits = data.load("folder:tested", own="cifar10", root=root)
    assert [path.suffix for path in (root / "cache").iterdir()] == [".npz"]
    del splits
    gc.collect()
    assert [path.suffix for path in (root / "cache").iterdir()] == [".npz"]
    assert f"{root}/cache" not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("cached", [False, True])
def test_no_room_for_the_images_is_an_error_and_leaves_the_cache_be(root: Path, no_memory, monkeypatch, cached) -> None:
    if cached:
        data.load("folder:tested", own="cifar10", root=root)
    no_memory()

    def full(*_args) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(storage.StorageError, match=r"No space left on device.*WORKBOOK_DATA"):
            data.load("folder:tested", own="cifar10", root=root)
    assert [path.suffix for path in (root / "cache").iterdir()] == [".npz"] * cached


BOUNDED = """
import json, re, resource, sys
from pathlib import Path
import torch
import helpers
from helpers import data, storage
from helpers.data.loading import to_channels

def private_memory():  # what RLIMIT_DATA counts
    return int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

root, room = Path(sys.argv[1]), int(sys.argv[2])
helpers.DATA = root
storage.SHARE = 0.0001
options = dict(own="cifar10", image_size=640, channels=3, root=root)
resource.setrlimit(resource.RLIMIT_DATA, (private_memory() + room,) * 2)
try:
    torch.empty(2 * room, dtype=torch.uint8)
    refused = False
except RuntimeError:
    refused = True
data.load("folder:many", **options)
splits = data.load("folder:many", **options)  # from the cache
grey = to_channels(splits.train.images, 1)
smaller, _ = data.split(splits.train, val_fraction=0.1, seed=0)
values = [image[0, 0, 0].item() for part in splits.all for image in part.images]
json.dump({
    "refused": refused,
    "bytes": sum(part.images.nbytes for part in splits.all),
    "values": values,
    "means": [splits.train.mean_std()[0][0], splits.train.images[:, 0, 0, 0].double().mean().item() / 255],
    "grey": (grey[:, 0, 0, 0] == splits.train.images[:, 0, 0, 0]).all().item(),
}, sys.stdout)
"""


def test_memory_stays_bounded_when_a_set_is_larger(tmp_path: Path) -> None:
    """The process may have half as much private memory as the set takes, in any of the steps."""
    room, number = 150 * 2**20, 256
    for index in range(number):
        path = tmp_path / f"many/{index % 2}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), index).save(path)
    command = [sys.executable, "-c", BOUNDED, str(tmp_path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=helpers.ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["refused"], "the limit must hold, or this test shows nothing"
    assert result["bytes"] == number * 3 * 640 * 640 >= 2 * room
    assert sorted(result["values"]) == list(range(number))
    assert result["means"][0] == pytest.approx(result["means"][1]) and result["grey"]
