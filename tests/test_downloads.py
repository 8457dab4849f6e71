"""Downloads from a server on this computer that breaks off, stalls, lies, and serves other files than it should."""

import errno
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import ROOT, downloads
from helpers.downloads import DiskError, DownloadError, Expected, download, unfinished

CONTENT = os.urandom(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KNOWN = Expected("md5", MD5, len(CONTENT))
SIZE_UNKNOWN = Expected("sha256", SHA256[:8])
DATE = "Sun, 01 Mar 2026 09:00:15 GMT"


@pytest.fixture
def path(tmp_path: Path, server) -> Path:
    server.files["file.bin"] = CONTENT
    return tmp_path / "file.bin"


@pytest.fixture
def get(server, path: Path) -> Callable[..., None]:
    """Downloads from the server, or from folders of it."""

    def run(expected: Expected = KNOWN, folders: tuple[str, ...] = ("",), timeout: float = 5) -> None:
        urls = [f"{server.url}/{folder}file.bin" for folder in folders]
        download(urls, path, expected, timeout=timeout, progress=False)

    return run


@pytest.fixture
def half_there(get, server, answer, path: Path) -> Callable[..., None]:
    """Lets a download fail after 1,000 bytes, and forgets the requests."""

    def run(**settings) -> None:
        server.answers = [answer(sent=1000, **settings), answer(status=500)]
        with pytest.raises(DownloadError):
            get()
        assert path.stat().st_size == 1000
        server.requests.clear()
        server.answers = [answer(**{name: value for name, value in settings.items() if name != "content"})]

    return run


def asked(server) -> list[tuple[str | None, str | None]]:
    """The headers Range and If-Range of each request."""
    return [request[1:] for request in server.requests]


def assert_whole(path: Path) -> None:
    """Nothing but the file lies in the folder."""
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


# What arrives


@pytest.mark.parametrize("expected", [KNOWN, SIZE_UNKNOWN])
@pytest.mark.parametrize("announced", [str, lambda length: None, lambda length: "many", lambda length: -1])
def test_a_file_arrives_with_or_without_a_length(expected, announced, get, server, answer, path):
    server.answers = [answer(announced=announced)]
    get(expected)
    assert_whole(path)
    assert asked(server) == [(None, None)]


def test_a_whole_file_is_not_asked_for_again(get, server, path):
    get()
    get(SIZE_UNKNOWN)
    assert len(server.requests) == 1


def test_progress_is_shown_on_stderr(server, path, capsys):
    download([f"{server.url}/file.bin"], path, KNOWN)
    written = capsys.readouterr()
    assert "file.bin" in written.err and written.out == ""


def test_files_of_this_machine_can_be_a_mirror(path, tmp_path):
    (tmp_path / "my mirror").mkdir()
    (tmp_path / "my mirror/file.bin").write_bytes(CONTENT)
    download([(tmp_path / "my mirror/file.bin").as_uri()], path, KNOWN, progress=False)
    assert path.read_bytes() == CONTENT


# Going on


@pytest.mark.parametrize("expected", [KNOWN, SIZE_UNKNOWN])
def test_a_connection_that_breaks_is_taken_up_again(expected, get, server, answer, path):
    server.answers = [answer(sent=1000), answer(sent=2000), answer()]
    get(expected)
    assert_whole(path)
    assert asked(server) == [(None, None), ("bytes=1000-", None), ("bytes=3000-", None)]


def test_so_is_one_that_falls_silent(get, server, answer, path):
    server.answers = [answer(sent=1000, stalls=True), answer()]
    get(timeout=0.2)
    assert_whole(path)
    assert asked(server) == [(None, None), ("bytes=1000-", None)]


@pytest.mark.parametrize(
    ("settings", "version"),
    [
        ({"tag": '"one"', "date": DATE}, '"one"'),
        ({"tag": 'W/"weak"', "date": DATE}, DATE),
        ({"date": DATE}, DATE),
        ({"tag": 'W/"weak"'}, None),
        ({"tag": '"two\x00words"'}, None),
        ({}, None),
    ],
)
def test_the_next_run_goes_on_with_the_same_version(settings, version, half_there, get, server, path):
    half_there(**settings)
    get()
    assert_whole(path)
    assert asked(server) == [("bytes=1000-", version)]


def test_a_version_that_changed_is_fetched_from_its_start(half_there, get, server, answer, path):
    half_there(content=os.urandom(len(CONTENT)), tag='"old"')
    server.answers = [answer(tag='"new"')]
    get()
    assert_whole(path)
    assert asked(server) == [("bytes=1000-", '"old"')]


@pytest.mark.parametrize(
    "fault",
    [
        {},  # it has the right file by now, but never said which version it was
        {"first": lambda first: first + 1},
    ],
)
def test_parts_that_do_not_fit_together_are_fetched_from_the_start(fault, half_there, get, server, answer, path):
    half_there(**({} if fault else {"content": os.urandom(len(CONTENT))}))
    server.answers = [answer(**fault), answer()]
    get()
    assert_whole(path)
    assert asked(server) == [("bytes=1000-", None), (None, None)]


def test_a_server_that_knows_no_parts_sends_the_whole(half_there, get, server, answer, path):
    half_there()
    server.answers = [answer(ranges=False)]
    get()
    assert_whole(path)
    assert len(server.requests) == 1


def test_a_file_that_became_shorter_is_fetched_from_its_start(get, server, path):
    path.write_bytes(CONTENT + b"of a longer version")
    get(SIZE_UNKNOWN)
    assert_whole(path)
    assert asked(server) == [(f"bytes={len(CONTENT) + 19}-", None), (None, None)]


def test_what_is_longer_than_the_file_is_dropped_without_asking(get, server, path):
    path.write_bytes(CONTENT + b"more")
    get()
    assert_whole(path)
    assert asked(server) == [(None, None)]


def test_a_server_that_breaks_off_each_time_is_left_and_gone_on_from(get, server, answer, path):
    server.answers = [answer(sent=1000)]
    with pytest.raises(DownloadError, match=r"broke off after 5,000 of 300,000 bytes"):
        get()
    assert len(server.requests) == downloads.TRIES
    assert path.read_bytes() == CONTENT[:5000]
    server.answers = [answer()]
    get()
    assert_whole(path)


def test_a_killed_process_leaves_what_the_next_goes_on_from(get, server, answer, path):
    server.answers = [answer(sent=100_000, stalls=True), answer()]
    code = "import sys; from pathlib import Path; from helpers.downloads import *; "
    code += f"download([sys.argv[1]], Path(sys.argv[2]), Expected('md5', '{MD5}', {len(CONTENT)}))"
    command = [sys.executable, "-c", code, f"{server.url}/file.bin", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        latest = time.monotonic() + 30
        while not (path.exists() and path.stat().st_size == 100_000):
            assert time.monotonic() < latest and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    get()
    assert_whole(path)
    assert asked(server)[1:] == [("bytes=100000-", None)]


def test_ctrl_c_leaves_what_the_next_goes_on_from(get, server, path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads.tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get()
    kept = path.read_bytes()
    assert 0 < len(kept) < len(CONTENT) and CONTENT.startswith(kept)
    get()
    assert_whole(path)
    assert asked(server)[1:] == [(f"bytes={len(kept)}-", None)]


class NearlyFull(io.FileIO):
    """A file on a disk that has room for 100,000 bytes."""

    def write(self, data: bytes) -> int:
        if self.tell() + len(data) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_full_disk_is_one_error_and_loses_nothing(get, server, path, monkeypatch):
    original = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda self, mode, **more: NearlyFull(self, "a+") if mode == "a+b" else original(self, mode, **more),
        )
        with pytest.raises(DiskError, match=r"^the disk is full$"):
            get(folders=("", "mirror/"))
    assert len(server.requests) == 1  # another server would not help
    kept = path.stat().st_size
    assert 0 < kept <= 100_000
    get()
    assert_whole(path)
    assert asked(server)[1:] == [(f"bytes={kept}-", None)]


# What is refused


@pytest.mark.parametrize("expected", [KNOWN, SIZE_UNKNOWN])
def test_garbage_of_the_right_length_is_refused_at_once_and_not_kept(expected, get, server, path):
    server.files["file.bin"] = os.urandom(len(CONTENT))
    with pytest.raises(DownloadError, match=r"what came as file\.bin is another file"):
        get(expected)
    assert len(server.requests) == 1
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("difference", [-100, 100])
def test_another_length_than_the_known_one_is_refused_before_it_is_read(difference, get, server, answer, path):
    server.answers = [answer(announced=lambda length: length + difference)]
    with pytest.raises(DownloadError, match=rf"announces {len(CONTENT) + difference:,} bytes .* has 300,000"):
        get()
    assert list(path.parent.iterdir()) == []


def test_a_page_that_stands_in_for_the_file_spoils_nothing_that_was_there(half_there, get, server, answer, path):
    half_there()
    server.answers = [answer(content=b"<html>please log in</html>", ranges=False)]
    with pytest.raises(DownloadError, match="announces 26 bytes"):
        get()
    assert path.read_bytes() == CONTENT[:1000]


def test_a_length_that_is_too_short_gives_another_file(get, server, answer, path):
    server.answers = [answer(announced=lambda length: length - 100)]
    with pytest.raises(DownloadError, match="SHA-256 sum differs"):
        get(SIZE_UNKNOWN)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("stalls", [False, True])
def test_a_length_that_is_too_long_does_not_matter_once_the_file_is_whole(stalls, get, server, answer, path):
    server.answers = [answer(announced=lambda length: length + 100, sent=len(CONTENT), stalls=stalls)]
    get(SIZE_UNKNOWN, timeout=0.2)
    assert_whole(path)
    assert len(server.requests) == 1


def test_a_length_that_is_too_long_is_else_a_file_that_breaks_off(get, server, answer, path):
    server.answers = [answer(announced=lambda length: length + 100, content=CONTENT[:1000])]
    with pytest.raises(DownloadError, match=r"broke off after 1,000 of 1,100 bytes"):
        get(SIZE_UNKNOWN)
    assert len(server.requests) <= downloads.TRIES


@pytest.mark.parametrize("announced", [lambda length: None, str])
def test_a_server_that_never_stops_is_cut_off(announced, get, server, answer, path, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_BYTES", 200_000)
    # Far more than what waits in the buffers between the two, so that the server notices.
    server.answers = [answer(content=bytes(50_000_000), announced=announced)]
    with pytest.raises(DownloadError, match="is another file"):
        get(SIZE_UNKNOWN)
    assert list(path.parent.iterdir()) == []
    assert not server.sent_all.is_set()


def test_what_follows_the_file_is_not_read(get, server, answer, path):
    server.answers = [answer(content=CONTENT + bytes(50_000_000), announced=lambda length: None)]
    get()
    assert_whole(path)
    assert not server.sent_all.is_set()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"status": 404}, "the server answered 404 Not Found"),
        ({"status": 500, "reason": "\x1b[2J no"}, r"the server answered 500  \[2J no"),
        ({"status": 302, "location": "/file.bin"}, r"leads in circles, .* \(302\)"),
        ({"status": 302, "location": "file:///etc/passwd"}, r"an address that can't be followed \(302\)"),
        ({"stalls": True}, r"the server said nothing for 0\.2 seconds"),
        ({"sent": 0}, "broke off after 0 of 300,000 bytes"),
    ],
)
def test_what_a_server_does_is_said_in_words_and_leaves_nothing(settings, words, get, server, answer, path):
    server.answers = [answer(**settings)]
    with pytest.raises(DownloadError, match=words) as caught:
        get(timeout=0.2)
    assert str(caught.value).isprintable()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/file.bin", "refused"),
        ("mirror/file.bin", "unknown url type"),
        ("http://127.0.0.1/a b", "control characters"),
        ("file:///nowhere/file.bin", "No such file"),
    ],
)
def test_addresses_that_lead_nowhere(url, words, path):
    with pytest.raises(DownloadError, match=f"^{url}: .*{words}"):
        download([url], path, KNOWN, progress=False)
    assert list(path.parent.iterdir()) == []


def test_a_name_that_nobody_knows_may_be_a_missing_connection():
    unknown = urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))
    assert "no connection to the internet?" in downloads.failure_in_words(unknown)


def test_a_folder_that_cannot_be_written_is_named_without_its_path(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"^Not a directory: file\.bin$"):
        download(["http://127.0.0.1:1/file.bin"], tmp_path / "file/file.bin", KNOWN)


# Several servers


def test_mirrors_are_tried_in_order_and_go_on_from_one_another(get, server, answer, path):
    server.answers = [answer(status=404), answer(sent=1000, tag='"a"'), answer(status=500), answer(tag='"b"')]
    get(folders=("a/", "b/", "c/", "d/"))
    assert_whole(path)
    # The last isn't asked: what the second calls the version means nothing to the third.
    assert [request[0] for request in server.requests] == ["/a/file.bin", "/b/file.bin", "/b/file.bin", "/c/file.bin"]
    assert asked(server)[2:] == [("bytes=1000-", '"a"'), ("bytes=1000-", None)]


def test_of_mirrors_that_all_fail_each_is_named_with_its_reason(get, server, answer):
    server.answers = [answer(status=404), answer(content=os.urandom(len(CONTENT))), answer(stalls=True)]
    with pytest.raises(DownloadError) as caught:
        get(folders=("a/", "b/", "c/"), timeout=0.2)
    assert str(caught.value) == (
        f"{server.url}/a/file.bin: the server answered 404 Not Found; "
        f"{server.url}/b/file.bin: what came as file.bin is another file (its MD5 sum differs); "
        f"{server.url}/c/file.bin: the server said nothing for 0.2 seconds"
    )


# The folder for what isn't finished


def test_the_folder_goes_unless_something_is_left_in_it(tmp_path):
    folder = tmp_path / "deep/.file.part"
    with unfinished(folder):
        assert folder.is_dir()
    assert not folder.exists()
    assert downloads.describe_kept(folder, "there") == "Nothing was kept"
    with pytest.raises(KeyboardInterrupt), unfinished(folder):
        (folder / "file").write_bytes(bytes(1_500_000))
        raise KeyboardInterrupt
    assert [file.name for file in folder.iterdir()] == ["file"]
    assert "The 1.5 MB that came are kept in there" in downloads.describe_kept(folder, "there")


def test_two_at_once_do_not_write_one_file(tmp_path):
    with unfinished(tmp_path / "part"):
        (tmp_path / "part/file").touch()
        with pytest.raises(DownloadError, match="another process"), unfinished(tmp_path / "part"):
            pytest.fail("entered")
    with unfinished(tmp_path / "part"):
        assert (tmp_path / "part/file").exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="Not a directory"), unfinished(tmp_path / "file/part"):
        pytest.fail("entered")
