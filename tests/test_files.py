"""Files that are written whole or not at all, and locks between processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.files import locked, replacing


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with replacing(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with replacing(path) as stream:
        stream.write(b"two")
        stream.flush()
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert names(path.parent) == {"file"}


def test_an_error_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good")
    with pytest.raises(ZeroDivisionError), replacing(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"good"
    assert names(tmp_path) == {"file"}


@pytest.mark.slow
def test_what_a_killed_process_left_goes_a_day_later(tmp_path):
    path = tmp_path / "file"
    code = "\n".join(
        [
            "import os, signal, sys, pathlib",
            "from helpers.files import replacing",
            "with replacing(pathlib.Path(sys.argv[1])) as stream:",
            "    stream.write(b'half')",
            "    os.kill(os.getpid(), signal.SIGKILL)",
        ]
    )
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    (left,) = names(tmp_path)
    others = {".file.0a1b2c3d.part", ".file.host-99999999999.part", "x.part", ".x"}
    for name in (*others, left):
        (tmp_path / name).touch()
    with replacing(path) as stream:
        stream.write(b"whole")
    assert names(tmp_path) == {"file", left, *others}, "others may still be written"
    yesterday = time.time() - 25 * 3600
    for name in ("x.part", ".x", left):
        os.utime(tmp_path / name, (yesterday, yesterday))
    with replacing(path) as stream:
        stream.write(b"whole")
    assert names(tmp_path) == {"file", *others}


@pytest.mark.slow
def test_one_process_at_a_time_holds_a_lock(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import pathlib, sys; from helpers.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])) as is_ours:\n    print(is_ours, flush=True); sys.stdin.read()"
    )
    other = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        with locked(path) as is_ours:
            assert not is_ours
        process.kill()
        process.wait()
    with locked(path) as is_ours:
        assert is_ours, "a killed process holds nothing"
        answer = subprocess.run(other, input="", capture_output=True, text=True)
        assert answer.stdout == "False\n"
    assert names(tmp_path) == set()
