"""The cache of decoded images, apart from the folders that fill it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.data.cache import FileStamp, cache_file, load_images, store_images

FILES = [FileStamp("a/1.png", 10, 1_000), FileStamp("b/2.png", 20, 2_000)]
IMAGES = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)


def path_for(folder: Path, files: list[FileStamp] = FILES, root: str = "photos", **options) -> Path:
    return cache_file(folder, folder / root, files, **{"image_size": 4, "channels": 3, **options})


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    path = path_for(tmp_path / "new" / "folder")
    store_images(path, IMAGES[:1], {1: "2.png: no image"})
    images, bad = load_images(path, 2)
    assert images.dtype == torch.uint8 and torch.equal(images, IMAGES[:1])
    assert bad == {1: "2.png: no image"}
    assert list(path.parent.iterdir()) == [path]


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert load_images(path_for(tmp_path), 2) is None


@pytest.mark.parametrize(
    "files",
    [
        FILES[:1],
        FILES[::-1],
        [FILES[0], FILES[1]._replace(size=21)],
        [FILES[0], FILES[1]._replace(mtime_ns=2_001)],
        [FILES[0], FILES[1]._replace(name="b/3.png")],
        [*FILES, FileStamp("b/3.png", 1, 1)],
    ],
)
def test_changed_files_take_the_place_of_the_old_cache(tmp_path: Path, files: list[FileStamp]) -> None:
    old, new = path_for(tmp_path), path_for(tmp_path, files)
    store_images(old, IMAGES, {})
    store_images(new, IMAGES, {})
    assert old != new and list(tmp_path.iterdir()) == [new]


@pytest.mark.parametrize("other", [{"image_size": 8}, {"image_size": None}, {"channels": 1}, {"root": "pictures"}])
def test_other_sizes_channels_and_folders_are_kept_beside(tmp_path: Path, other: dict) -> None:
    one, two = path_for(tmp_path), path_for(tmp_path, **other)
    store_images(one, IMAGES, {})
    store_images(two, IMAGES, {})
    assert sorted(tmp_path.iterdir()) == sorted([one, two])


def test_names_outside_utf_8_are_no_obstacle(tmp_path: Path) -> None:
    odd = os.fsdecode(b"a/\xff.png")
    path = path_for(tmp_path, [FileStamp(odd, 1, 1)])
    store_images(path, IMAGES[:0], {0: f"{odd}: no image"})
    assert load_images(path, 1)[1] == {0: f"{odd}: no image"}


def flip_a_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    position = content.index(IMAGES.numpy().tobytes())
    content[position] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)


def other_type(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, images=IMAGES.numpy().astype(np.float32), bad=np.array("{}"))


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, images=np.array([object(), None]), bad=np.array("{}"))


@pytest.mark.parametrize("damage", [flip_a_pixel, cut_short, empty, garbage, other_type, pickled])
def test_damaged_cache_is_set_aside(tmp_path: Path, damage) -> None:
    path = path_for(tmp_path)
    store_images(path, IMAGES, {})
    damage(path)
    with pytest.warns(UserWarning, match="set aside"):
        assert load_images(path, 2) is None
    assert [file.name for file in tmp_path.iterdir()] == [f"{path.name}.unusable"]


def test_cache_of_another_number_of_images_is_not_used(tmp_path: Path) -> None:
    path = path_for(tmp_path)
    store_images(path, IMAGES, {})
    with pytest.warns(UserWarning, match="set aside"):
        assert load_images(path, 3) is None


def test_folder_that_cannot_be_made_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="can't be kept"):
        store_images(path_for(tmp_path / "file"), IMAGES, {})


def test_failed_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(file, **_arrays) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.warns(UserWarning, match="no space left"):
        store_images(path_for(tmp_path), IMAGES, {})
    assert list(tmp_path.iterdir()) == []
