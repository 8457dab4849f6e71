"""Folders of images larger than memory: read where they lie in the cache, with bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import helpers
from helpers import data, storage

pytestmark = pytest.mark.slow


def mapped_files(folder: Path) -> list[str]:
    """The files of a folder that this process has mapped, as the system names them."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line.split(maxsplit=5)[5] for line in lines if f" {folder}/" in line]


def test_splits_of_a_folder_lie_in_its_cache_file_and_what_is_chosen_from_them_does_not(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        path = tmp_path / "pets" / ("train", "val", "test")[number // 6] / f"class {number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    for _ in range(2):  # decoded, and kept
        splits = data.load("folder:pets", own="cifar10", root=tmp_path)
        (cache,) = (tmp_path / "cache").glob("*.npy")
        assert mapped_files(tmp_path) == [str(cache)]
        for part, first in zip(splits.all, (0, 6, 12), strict=True):
            order = [first, first + 2, first + 4, first + 1, first + 3, first + 5]
            np.testing.assert_array_equal(part.images, pixels[order].transpose(0, 3, 1, 2))
        chosen = splits.train.subset(splits.train.labels == 1)
        del splits, part
        assert mapped_files(tmp_path) == [] and len(chosen) == 3


@pytest.fixture
def no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tensor is too large for memory."""
    monkeypatch.setattr(helpers, "DATA", tmp_path)
    monkeypatch.setattr(storage, "SHARE", 0)


def test_what_is_made_of_a_large_set_is_large_too(tmp_path: Path, no_memory, make_images) -> None:
    images = make_images(per_class=10)
    parts = data.split(images, val_fraction=0.3, seed=1)
    lowered = data.lower_resolution(images, 7)
    assert len(mapped_files(tmp_path / "cache")) == 3 and list((tmp_path / "cache").iterdir()) == []
    assert sum(map(len, parts)) == len(images) and lowered.images.shape == images.images.shape


BOUNDED = """
import json, re, sys, threading, time
from pathlib import Path
import helpers
from helpers import data, storage

def private_memory():  # what lies in no file
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def watch():
    while not done:
        most.append(private_memory())
        time.sleep(0.002)

root = Path(sys.argv[1])
helpers.DATA = root
storage.SHARE = 0.0001
options = dict(own="cifar10", image_size=640, channels=3, root=root)
data.load("folder:few", **options)  # all libraries are there now
done, most, before = False, [], private_memory()
watching = threading.Thread(target=watch)
watching.start()
data.load("folder:many", **options)
splits = data.load("folder:many", **options)  # from the cache
smaller, _ = data.split(splits.train, val_fraction=0.1, seed=0)
means = [splits.train.mean_std()[0][0], splits.train.images[:, 0, 0, 0].double().mean().item() / 255]
values = [image[0, 0, 0].item() for part in splits.all for image in part.images]
done = True
watching.join()
size = sum(part.images.nbytes for part in splits.all)
json.dump({"bytes": size, "private": max(most) - before, "values": values, "means": means}, sys.stdout)
"""


def test_memory_stays_bounded_when_a_set_is_larger(tmp_path: Path) -> None:
    for index in range(256):
        for folder, number in (("many", 256), ("few", 8)):
            path = tmp_path / f"{folder}/{index % 2}/{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if index < number:
                Image.new("L", (4, 4), index).save(path)
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=helpers.ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["bytes"] == 256 * 3 * 640 * 640
    assert result["private"] < 0.4 * result["bytes"]
    assert sorted(result["values"]) == list(range(256))
    assert result["means"][0] == pytest.approx(result["means"][1])
