"""IDX files whose header and content disagree: no more is unpacked than is promised, and no promise is believed."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch

from helpers.data import BadFileError
from helpers.data.idx import MOST_UNPACKED, read_idx


def header(*shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(3, 2, 4), (0, 2, 4)])
def test_what_is_promised_is_read(tmp_path, suffix, shape):
    array = torch.arange(torch.Size(shape).numel(), dtype=torch.uint8).view(shape)
    content = header(*shape) + bytes(array.flatten().tolist())
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    assert torch.equal(read_idx(path, dimensions=3), array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (header(2, 3) + bytes(6), "no IDX file of bytes with 3 dimensions"),
        (struct.pack(">HBB3I", 0, 13, 3, 1, 1, 1) + bytes(4), "no IDX file of bytes"),  # floats
        (header(2, 3, 4)[:-1], "can't be read"),
        (b"", "can't be read"),
        (header(2, 3, 4) + bytes(20), "(ends before|too short for) what its header promises"),
        (header(2, 3, 4) + bytes(25), "goes on after what its header promises"),
        (header(100_000, 1000, 1000) + bytes(20), "too short for what its header promises"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "too short for what its header promises"),
    ],
)
def test_what_is_wrong_is_said_and_no_room_is_made_for_promises(tmp_path, monkeypatch, suffix, content, fault):
    monkeypatch.setattr("helpers.storage.limit", lambda: 100)  # beyond, there would be a file
    monkeypatch.setattr("helpers.DATA", tmp_path / "data")
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(BadFileError, match=rf"images{suffix} .*{fault}.*; delete it and fetch it anew"):
        read_idx(path, dimensions=3)
    assert not (tmp_path / "data").exists()


def bomb(path: Path, start: bytes) -> None:
    """A file of a few megabytes that unpacks to a thousand times as much: gzip joins what follows one another."""
    zeros = gzip.compress(bytes(10_000_000))
    with path.open("wb") as stream:
        stream.write(gzip.compress(start))
        for _ in range(500):
            stream.write(zeros)


def test_a_file_that_goes_on_is_left_at_the_first_byte_more(tmp_path):
    bomb(tmp_path / "images.gz", header(2, 3, 4) + bytes(24))
    tracemalloc.start()
    with pytest.raises(BadFileError, match="goes on after"):
        read_idx(tmp_path / "images.gz", dimensions=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_no_gzipped_file_holds_more_than_is_believed(tmp_path):
    content = gzip.compress(bytes(50_000_000), 9)
    assert 0.95 * MOST_UNPACKED < 50_000_000 / len(content) < MOST_UNPACKED
