"""Downloads from a server on this computer: what arrives, what is refused, and that nothing half-done stays."""

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torchvision.datasets as reference

from helpers import DATA, ROOT
from helpers.data import catalogue
from helpers.data import fetch as fetching
from helpers.data.catalogue import Download, Entry
from helpers.data.errors import FetchError, UnknownDataError
from helpers.data.fetch import fetch, fetch_entry

CONTENT = {"train": os.urandom(3000), "test": os.urandom(1000)}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def tar_gz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def good_members() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(f"set/{name}"), content) for name, content in CONTENT.items()]


def archive_entry(archive: bytes) -> Entry:
    return Entry(
        name="tiny",
        title="Tiny set",
        url="http://unused.invalid/",
        downloads=(Download("tiny.tar.gz", md5(archive), len(archive)),),
        folder="set",
        files={name: md5(content) for name, content in CONTENT.items()},
    )


def gzip_entry(packed: dict[str, bytes]) -> Entry:
    return Entry(
        name="tiny",
        title="Tiny set",
        url="http://unused.invalid/",
        downloads=tuple(Download(f"{name}.gz", md5(data), len(data)) for name, data in packed.items()),
        folder="Tiny/raw",
        files={name: md5(content) for name, content in CONTENT.items()},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with something in it that no fetch may touch."""
    (tmp_path / "data/set").mkdir(parents=True)
    (tmp_path / "data/set/train").write_bytes(b"an older, damaged file")
    return tmp_path / "data"


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Server:
    """Serves ``files``; ``announce`` replaces Content-Length, ``stall`` waits instead of sending the last bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.announce: Callable[[int], int | None] = lambda length: length
        self.stall = False
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self.sent_all = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/mirror"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):
                    self.answer()

            def answer(self) -> None:
                server.requests.append(self.path)
                content = server.files.get(self.path.removeprefix("/mirror/"))
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                if (length := server.announce(len(content))) is not None:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if server.stall:
                    self.wfile.write(content[:-10])
                    server.stopped.wait(30)
                else:
                    self.wfile.write(content)
                    server.sent_all.set()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def get(entry: Entry, root: Path, server: Server, timeout: float = 10) -> Path:
    return fetch_entry(entry, root=root, url=server.url, timeout=timeout, progress=False)


def refused(entry: Entry, root: Path, server: Server, match: str, timeout: float = 10) -> str:
    """The message of a fetch that must fail and leave the folder as it was."""
    before = everything(root.parent), sorted(root.parent.rglob("*"))
    with pytest.raises(FetchError, match=match) as caught:
        get(entry, root, server, timeout)
    assert (everything(root.parent), sorted(root.parent.rglob("*"))) == before
    return str(caught.value)


def test_an_archive_is_unpacked_over_a_damaged_folder(root: Path, server: Server):
    extra = (tarfile.TarInfo("set/readme.html"), b"not wanted"), (tarfile.TarInfo("other"), b"nor this")
    archive = tar_gz(*good_members(), *extra)
    server.files["tiny.tar.gz"] = archive
    assert get(archive_entry(archive), root, server) == root / "set"
    assert everything(root) == {f"set/{name}": content for name, content in CONTENT.items()}
    assert [path.name for path in root.iterdir()] == ["set"]


def test_gzipped_files_stay_gzipped_and_replace_a_damaged_plain_one(root: Path, server: Server):
    packed = {name: gzip.compress(content) for name, content in CONTENT.items()}
    entry = gzip_entry(packed)
    server.files = {f"{name}.gz": data for name, data in packed.items()}
    folder = root / entry.folder
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(b"damaged")
    assert get(entry, root, server) == folder
    assert everything(folder) == server.files


def test_a_whole_data_set_is_not_fetched_again(root: Path, server: Server, capsys: pytest.CaptureFixture):
    # Another compression level than the server's: what counts is the content.
    packed = {name: gzip.compress(content, 1) for name, content in CONTENT.items()}
    entry = replace(gzip_entry(packed), folder="set")
    for name, data in packed.items():
        (root / "set" / f"{name}.gz").write_bytes(data)
    (root / "set/train").unlink()
    fetch_entry(entry, root=root, url=server.url)
    assert server.requests == []
    assert "nothing to fetch" in capsys.readouterr().err


def test_a_server_need_not_announce_a_length(root: Path, server: Server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive
    server.announce = lambda length: None
    get(archive_entry(archive), root, server)
    assert (root / "set/test").read_bytes() == CONTENT["test"]


def test_a_download_that_breaks_off_is_refused(root: Path, server: Server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive[:-100]
    server.announce = lambda length: length + 100
    message = refused(archive_entry(archive), root, server, f"broke off after {len(archive) - 100:,}")
    assert "--url" in message and "put train, test into data/set" in message


def test_another_length_is_refused_before_it_is_read(root: Path, server: Server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = b"<html>Please log in</html>"
    refused(archive_entry(archive), root, server, "announces 26 bytes")


def test_garbage_of_the_right_length_is_refused(root: Path, server: Server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = os.urandom(len(archive))
    refused(archive_entry(archive), root, server, "MD5 sum differs")


def test_a_server_that_never_stops_sending_is_cut_off(root: Path, server: Server):
    archive = tar_gz(*good_members())
    # Far more than what waits in the buffers between the two, so that the server notices.
    server.files["tiny.tar.gz"] = archive + bytes(50_000_000)
    server.announce = lambda length: None
    refused(archive_entry(archive), root, server, "another file")
    assert not server.sent_all.is_set()


def test_the_second_file_failing_keeps_nothing_of_the_first(root: Path, server: Server):
    packed = {name: gzip.compress(content) for name, content in CONTENT.items()}
    server.files = {"train.gz": packed["train"]}
    refused(gzip_entry(packed), root, server, "answered 404")
    assert server.requests == ["/mirror/train.gz", "/mirror/test.gz"]


def test_a_silent_server_is_left(root: Path, server: Server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive
    server.stall = True
    refused(archive_entry(archive), root, server, r"said nothing for 0\.3 seconds", timeout=0.3)


def test_a_refused_connection_and_a_wrong_address(root: Path, server: Server):
    entry = archive_entry(tar_gz(*good_members()))
    server.close()
    refused(entry, root, server, "refused")
    server.url = "mirror"
    refused(entry, root, server, "unknown url type")


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("member", "match"),
    [
        ((tarfile.TarInfo("../outside"), b"x"), "outside"),
        ((tarfile.TarInfo("set/../../outside"), b"x"), "outside"),
        ((tarfile.TarInfo("/tmp/outside"), b"x"), "outside"),
        ((link(tarfile.SYMTYPE, "/etc/passwd"), b""), "link"),
        ((link(tarfile.LNKTYPE, "set/train"), b""), "link"),
        ((link(tarfile.FIFOTYPE, ""), b""), "device"),
        ((tarfile.TarInfo("set/zeros"), bytes(3_000_000)), "unpack to more than"),
    ],
)
def test_archives_that_no_honest_maker_packs(root: Path, server: Server, member, match: str):
    archive = tar_gz(*good_members(), member)
    server.files["tiny.tar.gz"] = archive
    refused(archive_entry(archive), root, server, match)


def test_damaged_and_incomplete_archives(root: Path, server: Server):
    whole = tar_gz(*good_members())
    for archive, match in (
        (whole[: len(whole) // 2], "cannot be unpacked"),
        (b"no archive at all", "cannot be unpacked"),
        (tar_gz(*good_members()[:1]), "lacks test"),
    ):
        server.files["tiny.tar.gz"] = archive
        refused(archive_entry(archive), root, server, match)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (PermissionError(13, "Permission denied", "/private/data"), "no permission to write into data"),
    ],
)
def test_a_disk_that_takes_no_more(root: Path, server: Server, monkeypatch: pytest.MonkeyPatch, error, match: str):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(fetching.shutil, "copyfileobj", fail)
    refused(archive_entry(archive), root, server, match)


def test_an_interrupt_leaves_nothing(root: Path, server: Server, monkeypatch: pytest.MonkeyPatch):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_unpack", interrupt)
    before = everything(root)
    with pytest.raises(KeyboardInterrupt):
        get(archive_entry(archive), root, server)
    assert everything(root) == before
    assert [path.name for path in root.iterdir()] == ["set"]


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownDataError, match="Did you mean 'cifar100'"):
        fetch("cifar-100")
    with pytest.raises(UnknownDataError, match="needs no fetching"):
        fetch("folder:photos")


@pytest.mark.parametrize(("name", "torchvision"), [("cifar10", reference.CIFAR10), ("cifar100", reference.CIFAR100)])
def test_cifar_is_torchvisions(name: str, torchvision):
    entry = catalogue.get(name)
    assert entry.url + entry.downloads[0].file == torchvision.url
    assert entry.downloads[0].md5 == torchvision.tgz_md5
    assert entry.folder == torchvision.base_folder
    meta = [[torchvision.meta["filename"], torchvision.meta["md5"]]]
    assert entry.files == dict(torchvision.train_list + torchvision.test_list + meta)


def test_fashion_mnist_is_torchvisions():
    entry = catalogue.get("fashion_mnist")
    assert entry.url in reference.FashionMNIST.mirrors
    assert [(download.file, download.md5) for download in entry.downloads] == reference.FashionMNIST.resources
    assert list(entry.files) == [download.file.removesuffix(".gz") for download in entry.downloads]


def test_find_takes_the_data_folder_before_a_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "SYSTEM_PREFIXES", (tmp_path / "usr",))
    package, own = tmp_path / "usr/share/datasets/fashion-mnist", tmp_path / "data/FashionMNIST/raw"
    assert catalogue.find("fashion_mnist", root=tmp_path / "data") is None
    for folder, suffix in ((package, ".gz"), (own, "")):
        folder.mkdir(parents=True)
        for file in catalogue.get("fashion_mnist").files:
            (folder / f"{file}{suffix}").touch()
        assert catalogue.find("fashion_mnist", root=tmp_path / "data") == folder
    (own / "t10k-labels-idx1-ubyte").unlink()
    assert catalogue.find("fashion_mnist", root=tmp_path / "data") == package


def test_places_are_named_without_private_paths(tmp_path: Path):
    assert catalogue.describe_where(ROOT / "data/cifar-10-batches-py") == "data/cifar-10-batches-py"
    assert catalogue.describe_where(Path("/usr/share/datasets/x")) == "/usr/share/datasets/x"
    assert catalogue.describe_where(tmp_path / "secret/photos") == "photos"


def test_how_to_get_names_every_way():
    text = catalogue.how_to_get("fashion_mnist")
    assert "python -m helpers.data fetch fashion_mnist" in text
    assert "dataset-fashion-mnist" in text
    assert f"{catalogue.describe_where(DATA)}/FashionMNIST/raw" in text
    assert "data_batch_5" in catalogue.how_to_get("cifar10") and "Debian" not in catalogue.how_to_get("cifar10")
