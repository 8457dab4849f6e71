"""Large tensors against small ones, and against what the operating system says about memory."""

from pathlib import Path

import pytest
import torch

import helpers
from helpers import storage
from tests.data.conftest import files_up_to


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


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16])
def test_a_large_tensor_is_an_ordinary_one_in_a_file_without_a_name_that_goes_with_it(cache: Path, dtype) -> None:
    expected = torch.randint(0, 2, (3, 5, 2), generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor = storage.empty((3, 5, 2), dtype)
    tensor[:] = expected
    assert torch.equal(tensor, expected) and torch.equal(tensor.clone() + tensor, expected + expected)
    assert list(cache.iterdir()) == [] and len(mapped_files(cache)) == 1
    view = tensor[2:]
    del tensor
    assert torch.equal(view, expected[2:]) and len(mapped_files(cache)) == 1
    del view
    assert mapped_files(cache) == []


def test_a_small_tensor_lies_in_memory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SHARE", 0.25)
    assert storage.empty((3, 4), torch.uint8).shape == (3, 4) and not cache.exists()


def test_a_file_that_finds_no_room_is_an_error_that_says_what_to_do(cache: Path) -> None:
    message = r"0\.3 GB .* cache .*File too large.*WORKBOOK_DATA"
    with pytest.raises(storage.StorageError, match=message), files_up_to(1000):
        storage.empty((300_000_000,), torch.uint8)
    assert list(cache.iterdir()) == [] and mapped_files(cache) == []
