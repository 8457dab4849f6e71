"""Large tensors against small ones, and against what the operating system says about memory."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import helpers
from helpers import storage


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where large tensors lie, and every tensor is large."""
    monkeypatch.setattr(helpers, "DATA", tmp_path)
    monkeypatch.setattr(storage, "SHARE", 0)
    return tmp_path / "cache"


def mapped_files(folder: Path) -> list[str]:
    """The files of a folder that this process has mapped, as the system names them."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line.split(maxsplit=5)[5] for line in lines if f" {folder}/" in line]


def test_a_small_tensor_lies_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "DATA", tmp_path)
    monkeypatch.setattr(storage, "limit", lambda: 12)
    small = storage.empty((3, 4), torch.uint8)
    assert small.shape == (3, 4) and list(tmp_path.iterdir()) == []
    large = storage.empty((13,), torch.uint8)
    assert len(large) == 13 and len(mapped_files(tmp_path / "cache")) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bfloat16, torch.bool])
def test_a_large_tensor_is_an_ordinary_one(cache: Path, dtype: torch.dtype) -> None:
    expected = torch.randint(0, 2, (3, 5, 2), generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor = storage.empty((3, 5, 2), dtype)
    assert tensor.dtype == dtype and tensor.is_contiguous() and len(mapped_files(cache)) == 1
    tensor[:] = expected
    assert torch.equal(tensor, expected) and torch.equal(tensor.clone() + tensor, expected + expected)


def test_the_file_has_no_name_and_goes_with_the_last_tensor(cache: Path) -> None:
    tensor = storage.empty((10, 2), torch.uint8)
    assert list(cache.iterdir()) == []
    assert all(name.endswith("(deleted)") for name in mapped_files(cache))
    view = tensor[3:]
    view[:] = 7
    del tensor
    assert view.sum() == 98 and len(mapped_files(cache)) == 1
    del view
    assert mapped_files(cache) == []


def test_its_room_on_the_disk_is_taken_when_it_is_made(cache: Path) -> None:
    tensor = storage.empty((50, 2**20), torch.uint8)
    (file,) = (fd for fd in Path("/proc/self/fd").iterdir() if os.path.realpath(fd).startswith(f"{cache}/"))
    assert file.stat().st_blocks * 512 >= tensor.nbytes  # a file that was only made longer has no blocks


@contextmanager
def files_up_to_1000_bytes() -> Iterator[None]:
    """As on a full disk: the system refuses what lies beyond. (No fixture: pytest itself may write to a file.)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_finds_no_room_is_an_error_that_says_what_to_do(cache: Path) -> None:
    message = r"0\.3 GB .* cache .*File too large.*WORKBOOK_DATA"
    with pytest.raises(storage.StorageError, match=message), files_up_to_1000_bytes():
        storage.empty((300_000_000,), torch.uint8)
    assert list(cache.iterdir()) == [] and mapped_files(cache) == []


def test_a_folder_that_cannot_be_written_is_one_too(cache: Path) -> None:
    cache.touch()
    with pytest.raises(storage.StorageError, match=r"can't be made in cache .*File exists.*WORKBOOK_DATA"):
        storage.empty((4,), torch.uint8)
