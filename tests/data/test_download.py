"""Downloads from a server on this computer that breaks off, falls silent, and serves other files than it should."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from helpers import ROOT
from helpers.data import DataError, download

CONTENT = os.urandom(300_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()[:8]}"


@pytest.fixture
def path(tmp_path: Path, server) -> Path:
    server.files["file.bin"] = CONTENT
    return tmp_path / "new" / "file.bin"


@pytest.fixture
def get(server, path: Path) -> Callable[..., None]:
    """Downloads from the server, or from folders of it."""

    def run(digest: str = MD5, folders: tuple[str, ...] = ("",), timeout: float = 5) -> None:
        urls = [f"{server.url}/{folder}file.bin" for folder in folders]
        download.download(urls, path, digest, timeout=timeout, progress=False)

    return run


def kept(path: Path) -> int:
    """Bytes that wait for the next try."""
    part = path.with_name(f".{path.name}.part")
    return part.stat().st_size if part.exists() else 0


def ranges(server) -> list[str | None]:
    return [request[1] for request in server.requests]


def assert_whole(path: Path) -> None:
    """Nothing but the file lies in the folder."""
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_connection_that_breaks_or_falls_silent_is_taken_up_again(get, server, answer, path) -> None:
    server.answers = [answer(sent=1000), answer(sent=2000, stalls=True), answer(announced=lambda length: None)]
    get(SHA256, timeout=0.5)
    assert_whole(path)
    assert ranges(server) == [None, "bytes=1000-", "bytes=3000-"]


def test_the_next_try_goes_on_and_from_another_server(get, server, answer, path) -> None:
    server.answers = [answer(sent=1000), answer(status=500), answer(status=404), answer()]
    with pytest.raises(DataError, match=r"answered 500 .*\(0\.0 MB are kept, and the next try goes on from there"):
        get()
    assert kept(path) == 1000 and not path.exists()
    get(folders=("a/", "b/"))
    assert_whole(path)
    assert [request[0] for request in server.requests[2:]] == ["/a/file.bin", "/b/file.bin"]
    assert ranges(server) == [None, "bytes=1000-", "bytes=1000-", "bytes=1000-"]


@pytest.mark.parametrize(
    "answers", [{"ranges": False}, {"first": lambda start: start - 5}, {"content": CONTENT}, {"announced": lambda n: 7}]
)
def test_wrong_parts_and_servers_without_parts_still_give_the_file(get, server, answer, path, answers) -> None:
    server.answers = [answer(sent=1000, content=os.urandom(5000)), answer(status=500), answer(**answers)]
    with pytest.raises(DataError):
        get()
    server.answers = [answer(**answers), answer()]
    get()
    assert_whole(path)


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"content": b"<html>please log in</html>"}, "another file: its MD5 sum differs"),
        ({"status": 404, "reason": "Not\x1b[2JFound"}, r"the server answered 404 Not \[2JFound"),
        ({"stalls": True}, r"said nothing for 0\.2 seconds"),
    ],
)
def test_a_failure_is_told_and_keeps_nothing_wrong(faults, message, get, server, answer, path) -> None:
    server.answers = [answer(**faults)]
    with pytest.raises(DataError, match=message) as caught:
        get(timeout=0.2)
    assert "nothing was kept" in str(caught.value) and str(caught.value).isprintable()
    assert kept(path) == 0 and not path.exists()


def test_two_processes_do_not_write_one_file(get, server, path) -> None:
    path.parent.mkdir()
    with FileLock(f"{path.with_name('.file.bin.part')}.lock"), pytest.raises(DataError, match="another process"):
        get()
    get()
    assert_whole(path)


@pytest.mark.slow
def test_what_came_before_ctrl_c_is_kept(get, server, answer, path) -> None:
    server.answers = [answer(sent=100_000, stalls=True), answer()]
    code = (
        "import sys, pathlib, helpers.data.download as d; "
        "d.download(sys.argv[3:], pathlib.Path(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(path), MD5, f"{server.url}/file.bin"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    while kept(path) < 65_536 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    begun = kept(path)
    assert begun >= 65_536
    get()
    assert_whole(path)
    assert ranges(server)[-1] == f"bytes={begun}-"
