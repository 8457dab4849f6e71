"""Files that are written whole or not at all."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.files import replacing


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_that_windows_has_open_for_a_moment_is_written_all_the_same(tmp_path, monkeypatch):
    path, replace, waits = tmp_path / "file", os.replace, []

    def busy(source: Path, target: Path) -> None:
        if len(waits) < 2:
            raise PermissionError
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(PermissionError), replacing(path):
        pass
    monkeypatch.setattr(sys, "platform", "win32")
    with replacing(path) as stream:
        stream.write(b"whole")
    assert names(tmp_path) == {"file"} and path.read_bytes() == b"whole" and len(waits) == 2


def test_what_a_killed_process_left_goes_a_day_later(tmp_path):
    lefts = {".file.0a1b2c3d.part", ".other.0a1b2c3d.part"}
    others = {"x.part", ".x", ".file.4e5f6a7b.part"}  # the last may still be written
    yesterday = time.time() - 25 * 3600
    for name in lefts | others:
        (tmp_path / name).touch()
    for name in lefts | others - {".file.4e5f6a7b.part"}:
        os.utime(tmp_path / name, (yesterday, yesterday))
    with replacing(tmp_path / "file") as stream:
        stream.write(b"whole")
    assert names(tmp_path) == {"file", *others}


def test_lines_are_printed_as_long_as_somebody_reads_them() -> None:
    code = "from helpers.files import print_lines; print_lines(map(str, range(100_000)))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
