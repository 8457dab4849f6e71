"""Folders of images that the tests write themselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import helpers
from helpers import data
from helpers.data import DataError, folder
from tests.data.conftest import files_up_to, write


def read(root: Path, **options) -> dict:
    return folder.read(root, **{"image_size": 4, "channels": 1, "cache": None, **options})


def values(part) -> list[int]:
    return part.images[:, 0, 0, 0].tolist()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    names = ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png", "test/dog/1.png", "Val/cat/1.png"]
    return write(tmp_path / "pets", {name: 10 * index for index, name in enumerate(names)})


def test_a_folder_of_classes_only_comes_in_natural_order_of_any_names_and_files_sorted(tmp_path: Path) -> None:
    names = ["10/1.png", "2/b.png", "2/a.PNG", "class 10/1.png", "class 9/1.png", "train/1.png", "گربه/1.png"]
    part = read(write(tmp_path, {name: index for index, name in enumerate(names)}))["train"]
    assert part.class_names == ("2", "10", "class 9", "class 10", "train", "گربه")
    assert values(part) == [2, 1, 0, 4, 3, 5, 6] and part.labels.tolist() == [0, 0, 1, 2, 3, 4, 5]


TWO = "train/cat/1.png train/dog/1.png"


@pytest.mark.parametrize(
    ("files", "found", "left_out"),
    [
        ("Training/a/1.png Training/b/1.png test_set/a/1.png", "train test", ""),
        ("training/a/1.png training/b/1.png validation/a/1.png testing/a/1.png", "train val test", ""),
        ("pets/cat/1.png pets/dog/1.png", "train", ""),
        ("pets/pets/train/cat/1.png pets/pets/train/dog/1.png pets/pets/test/dog/1.png", "train test", ""),
        ("s_train/s_train/a/1.png s_train/s_train/b/1.png s_test/s_test/a/1.png", "train test", ""),
        ("a/1.png b/1.png __MACOSX/a/1.png $RECYCLE.BIN/1.png a/@eaDir/1.png a/Thumbs.db", "train", ""),
        (f"{TWO} test1/1.png others/x/1.png", "train", "images in others (1), images in test1 (1)"),
        ("a/1.png b/1.png a/x.heic a/2.HEIC b/1", "train", ".heic files (2), files without a suffix (1)"),
        (f"1.png train/2.png {TWO}", "train", "images beside the classes' folders (1), images beside train (1)"),
        ("a/1.png b/1.png b/more/1.png b/more/2.png", "train", "images below a class's folder (2)"),
    ],
)
def test_folders_as_people_have_them(tmp_path: Path, files: str, found: str, left_out: str) -> None:
    parts = read(write(tmp_path / "set", files.split()))
    assert list(parts) == found.split()
    assert {part.source.left_out for part in parts.values()} == {left_out}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("", "no class folders"),
        ("train/a/1.png test/", "no class folders"),
        ("test/cat/1.png val/cat/1.png", "has test, val but no train. Put images there as .*train/<class>"),
        ("train/a/1.png val/a/1.png valid/a/1.png", "keep one"),
        (
            "a/1.png bird/Thumbs.db",
            "photographs has classes without a readable image: 'bird'.* take other folders away",
        ),
        ("a/x/1.png b/x/1.png", "photographs has classes without a readable image: 'a', 'b'"),
        (f"{TWO} test/fish/1.png", "has classes in test that train lacks: 'fish'"),
        ("train/cat.0.png test1/1.png", "photographs has no class folders in test1, train"),
        ("pictures/1.png pictures/2.png", "a single class, 'pictures'"),
    ],
)
def test_folders_without_usable_classes_are_named_and_shapes_do_not_stand_in_for_them(tmp_path, files, message) -> None:
    write(tmp_path / "photographs", files.split())
    with pytest.raises(DataError, match=message):
        data.load("auto" if ".png" in files else "folder:photographs", own="photographs", root=tmp_path)


def test_bad_images_are_named_five_at_most(pets: Path) -> None:
    for index in range(7):
        (pets / f"train/cat/bad{index}.png").write_text("text")
    with pytest.raises(DataError) as error:
        read(pets)
    assert "7 of 12 files in pets" in str(error.value) and "and 2 more" in str(error.value)
    assert "train/cat/bad4.png: not an image" in str(error.value) and "bad5" not in str(error.value)
    assert str(pets.parent) not in str(error.value)


@pytest.mark.parametrize(("link", "to"), [("", "photographs"), ("train", "not/there"), ("cat/1.png", "1.png")])
def test_a_broken_link_is_named_and_nothing_stands_in_for_it(tmp_path: Path, link: str, to: str) -> None:
    path = tmp_path / "photographs" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)
    with pytest.raises(DataError, match=rf"lead nowhere.*: {path.name}\. Repair"):
        data.load("auto", own="photographs", root=tmp_path)


def test_links_that_lead_somewhere_are_followed(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "photographs").symlink_to(pets)
    (pets / "train/cat/loop").symlink_to(pets)
    assert [len(part) for part in read(tmp_path / "photographs").values()] == [3, 1, 1]


# What is kept


def touch(path: Path) -> None:
    write(path.parent, {path.name: 99})
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (None, [0, 10, 20]),
        (lambda pets, kept: touch(pets / "train/cat/2.png"), [0, 99, 20]),  # a file of the same size
        (lambda pets, kept: touch(pets / "train/cat/0.png"), [99, 0, 10, 20]),
        (lambda pets, kept: (pets / "train/cat/1.png").unlink(), [10, 20]),
        (lambda pets, kept: kept.write_bytes(kept.read_bytes()[:-1]), [0, 10, 20]),
        (lambda pets, kept: kept.write_bytes(b"junk"), [0, 10, 20]),
        (lambda pets, kept: kept.write_bytes(kept.read_bytes().replace(b"}", b"(", 1)), [0, 10, 20]),
    ],
)
def test_only_what_changed_or_was_damaged_is_decoded_again(pets, tmp_path, monkeypatch, alter, expected) -> None:
    """And what is written into the images is not kept, and those of another size are."""
    cache, decode, decoded = tmp_path / "cache", folder.decode, []
    monkeypatch.setattr(folder, "decode", lambda path, **how: decoded.append(path) or decode(path, **how))
    read(pets, cache=cache)["train"].images.fill_(7)
    (kept,) = cache.iterdir()
    assert read(pets, image_size=6, cache=cache)["train"].images.shape[-1] == 6
    if alter:
        alter(pets, kept)
    for is_first in (True, False):
        decoded.clear()
        parts = read(pets, cache=cache)
        assert [values(part) for part in parts.values()] == [expected, [40], [30]]
        assert bool(decoded) == bool(alter and is_first)
    assert len(list(cache.glob("*.npy"))) == 2


@pytest.mark.parametrize("cache", ["file/cache", "cache"])  # a folder that can't be made, and a full disk
def test_where_there_is_no_room_for_a_cache_nothing_is_kept(pets: Path, tmp_path: Path, cache: str) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"can't be kept in cache \(.+\)"), files_up_to(100_000):
        assert values(read(pets, image_size=400, cache=tmp_path / cache)["train"]) == [0, 10, 20]
    assert [*tmp_path.glob("cache/*")] == []


BOUNDED = """
import re, sys, threading, time
from pathlib import Path
import helpers
from helpers import data, storage
from helpers.data import folder

def watch():  # the memory that lies in no file
    while not done:
        status = Path("/proc/self/status").read_text()
        most.append(int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]) * 1024)
        time.sleep(0.002)

helpers.DATA = root = Path(sys.argv[1])
options = dict(own="cifar10", image_size=640, channels=3, root=root)
data.load("folder:few", **options)  # all libraries are there now
done, most = False, []
watching = threading.Thread(target=watch)
watching.start()
folder.read(root / "many", image_size=640, channels=3, cache=root / "cache")  # takes no memory, be it large or not
storage.SHARE = 0.0001
splits = data.load("folder:many", **options)  # from the cache
assert sorted(image[0, 0, 0].item() for part in splits.all for image in part.images) == list(range(96))
assert abs(splits.train.mean_std()[0][0] - splits.train.images[:, 0, 0, 0].double().mean().item() / 255) < 1e-9
done = True
watching.join()
size = sum(part.images.nbytes for part in splits.all)
assert size == 96 * 3 * 640 * 640 and max(most) - most[0] < 0.4 * size, (size, max(most) - most[0])
"""


@pytest.mark.slow
def test_memory_stays_bounded_when_a_set_is_larger(tmp_path: Path) -> None:
    for name, number in (("many", 96), ("few", 8)):
        write(tmp_path / name, {f"{index % 2}/{index}.png": index for index in range(number)})
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    # What is freed leaves the process at once, so that its memory is what is in use and no more.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=helpers.ROOT, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
