"""Folders of images that the tests write themselves."""

import errno
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

import helpers
from helpers.data import folder
from helpers.data.structures import DataError, MissingDataError


def write(root: Path, brightness: dict[str, int], size: int = 4) -> Path:
    """Plain grey images, by relative path."""
    for name, value in brightness.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (size, size), value).save(path)
    return root


def read(root: Path, **options) -> dict:
    return folder.read(root, **{"image_size": None, "channels": 1, "cache": None, **options})


def values(data) -> list[int]:
    return data.images[:, 0, 0, 0].tolist()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    names = ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png", "test/dog/1.png", "Val/cat/1.png"]
    return write(tmp_path / "pets", {name: 10 * index for index, name in enumerate(names)})


def test_three_splits(pets: Path) -> None:
    data = read(pets)
    assert list(data) == ["train", "val", "test"]
    assert [values(split) for split in data.values()] == [[0, 10, 20], [40], [30]]
    assert [split.labels.tolist() for split in data.values()] == [[0, 0, 1], [0], [1]]
    assert {split.class_names for split in data.values()} == {("cat", "dog")}
    assert [split.split for split in data.values()] == ["train", "val", "test"]
    assert data["train"].images.shape == (3, 1, 4, 4) and data["test"].images.is_contiguous()
    assert all(split.images.dtype == torch.uint8 for split in data.values())


def test_a_folder_of_classes_only_comes_in_natural_order_of_any_names_and_files_sorted(tmp_path: Path) -> None:
    names = ["10/1.png", "2/b.png", "2/a.PNG", "class 10/1.png", "class 9/1.png", "train/1.png", "گربه/1.png"]
    data = read(write(tmp_path, {name: index for index, name in enumerate(names)}))["all"]
    assert data.class_names == ("2", "10", "class 9", "class 10", "train", "گربه") and data.split == "all"
    assert values(data) == [2, 1, 0, 4, 3, 5, 6] and data.labels.tolist() == [0, 0, 1, 2, 3, 4, 5]


def test_what_is_no_image_is_left_out(pets: Path) -> None:
    write(pets, {"train/cat/.hidden.png": 0, "train/.hidden/1.png": 0, "train/cat/deeper/1.png": 0, "other/x/1.png": 0})
    for name in ("train/cat/Thumbs.db", "train/cat/notes.txt", "train/readme.png", "train/dog/noext"):
        (pets / name).write_text("text")
    (pets / "train/dog/folder.png").mkdir()
    assert values(read(pets)["train"]) == [0, 10, 20]


def test_source_shows_only_the_path_inside_the_repository(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = read(pets)["train"].source
    assert (outside.name, outside.title, outside.where) == (f"folder:{pets}", "images in pets", "pets")
    monkeypatch.setattr(helpers, "ROOT", pets.parent.parent)
    assert read(pets)["train"].source.where == f"{pets.parent.name}/pets"
    assert not outside.stand_in


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "no class folders"),
        (["train/"], "no class folders"),
        (["train/a/1.png", "test/"], "no class folders"),
        (["test/cat/1.png", "val/cat/1.png"], "has test, val but no train: put images there as .*train/<class>"),
        (["train/a/1.png", "val/a/1.png", "valid/a/1.png"], "keep one"),
        (["a/1.png", "bird/Thumbs.db"], "without a readable image: 'bird'"),
        (["train/a/1.png", "test/fish/1.png"], "test has classes that train lacks: 'fish'"),
    ],
)
def test_folders_without_usable_classes_are_named(tmp_path: Path, paths: list[str], message: str) -> None:
    for path in (tmp_path / "set" / path for path in paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.stem == "1":
            Image.new("L", (4, 4)).save(path)
        else:
            path.touch() if path.suffix else path.mkdir()
    (tmp_path / "set").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "set")
    with pytest.raises(MissingDataError, match="train/<class>"):
        read(tmp_path / "nowhere")


def test_different_sizes_ask_for_image_size(pets: Path) -> None:
    write(pets, {"test/cat/9.png": 0}, size=5)
    with pytest.raises(DataError, match=r"cat/9\.png has 5 × 5 pixels, the first one 4 × 4.*IMAGE_SIZE"):
        read(pets)
    assert len(read(pets, image_size=4)["test"]) == 2


def test_bad_images_are_named_five_at_most(pets: Path) -> None:
    for index in range(7):
        (pets / f"train/cat/bad{index}.png").write_text("text")
    with pytest.raises(DataError) as error:
        read(pets)
    assert "7 of 12 files in pets" in str(error.value) and "and 2 more" in str(error.value)
    assert "train/cat/bad4.png: not an image" in str(error.value) and "bad5" not in str(error.value)
    assert str(pets.parent) not in str(error.value)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files were decoded, each time that a folder was."""
    calls = []

    def counting(pixels, root, paths, *options):
        calls.append(len(paths))
        return original(pixels, root, paths, *options)

    original = folder._decode_into
    monkeypatch.setattr(folder, "_decode_into", counting)
    return calls


def test_second_reading_decodes_nothing(pets: Path, tmp_path: Path, decodings: list[int]) -> None:
    first, second = (read(pets, cache=tmp_path / "cache") for _ in range(2))
    assert decodings == [5]
    assert read(pets, image_size=6, cache=tmp_path / "cache")["train"].images.shape[-1] == 6
    assert values(read(pets, cache=tmp_path / "cache")["val"]) == [40] and decodings == [5, 5], "both are kept"
    for split in first:
        assert torch.equal(first[split].images, second[split].images)
        assert torch.equal(first[split].labels, second[split].labels)
    assert first["train"].class_names == second["train"].class_names


def change(pets: Path) -> None:
    write(pets, {"train/cat/1.png": 99})
    os.utime(pets / "train/cat/1.png", ns=(1, 1))


def add(pets: Path) -> None:
    write(pets, {"train/cat/0.png": 99})


def remove(pets: Path) -> None:
    (pets / "train/cat/1.png").unlink()


@pytest.mark.parametrize(("alter", "expected"), [(change, [99, 10, 20]), (add, [99, 0, 10, 20]), (remove, [10, 20])])
def test_altered_folder_is_decoded_again(pets: Path, tmp_path: Path, decodings, alter, expected) -> None:
    read(pets, cache=tmp_path / "cache")
    alter(pets)
    assert values(read(pets, cache=tmp_path / "cache")["train"]) == expected
    assert len(decodings) == 2 and len(list((tmp_path / "cache").glob("*.npy"))) == 1


@pytest.mark.parametrize("content", [None, b"junk"])
def test_a_damaged_cache_is_decoded_anew(pets: Path, tmp_path: Path, decodings: list[int], content) -> None:
    read(pets, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-1] if content is None else content)
    for _ in range(2):
        assert values(read(pets, cache=tmp_path / "cache")["train"]) == [0, 10, 20]
    assert len(decodings) == 2


def test_what_is_written_into_images_does_not_reach_the_cache(pets: Path, tmp_path: Path) -> None:
    for _ in range(3):
        images = read(pets, cache=tmp_path / "cache")["train"].images
        assert images[0, 0, 0, 0] == 0
        images.fill_(7)


def test_a_full_disk_leaves_nothing_behind(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert values(read(pets, cache=tmp_path / "cache")["train"]) == [0, 10, 20]
    assert list((tmp_path / "cache").iterdir()) == []
