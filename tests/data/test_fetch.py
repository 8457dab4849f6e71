"""Data sets from a server on this computer: what arrives, what is refused, and that nothing half-done is in its place.

How the files themselves come is tested with `helpers.downloads`.
"""

import errno
import gzip
import hashlib
import io
import os
import tarfile
from dataclasses import replace
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


PARTS = ".tiny.part"
"""Where what has come of a data set waits for the next fetch."""


def get(entry: Entry, root: Path, server, timeout: float = 10) -> Path:
    return fetch_entry(entry, root=root, urls=[f"{server.url}/mirror/"], timeout=timeout, progress=False)


def refused(entry: Entry, root: Path, server, match: str, *, timeout: float = 10, kept: tuple[str, ...] = ()) -> str:
    """The message of a fetch that must fail and leave all as it was, but for the files in `PARTS`."""
    before = everything(root.parent), sorted(root.parent.rglob("*"))
    with pytest.raises(FetchError, match=match) as caught:
        get(entry, root, server, timeout)
    parts = [path for path in [root / PARTS, *(root / PARTS).rglob("*")] if path.exists()]
    assert sorted(path.name for path in parts if path.is_file()) == sorted(kept)
    after = {name: content for name, content in everything(root.parent).items() if PARTS not in name}
    assert (after, sorted(set(root.parent.rglob("*")) - set(parts))) == before
    assert ("Nothing was kept" in str(caught.value)) == (parts == [])
    return str(caught.value)


def test_an_archive_is_unpacked_over_a_damaged_folder(root: Path, server):
    extra = (tarfile.TarInfo("set/readme.html"), b"not wanted"), (tarfile.TarInfo("other"), b"nor this")
    archive = tar_gz(*good_members(), *extra)
    server.files["tiny.tar.gz"] = archive
    assert get(archive_entry(archive), root, server) == root / "set"
    assert everything(root) == {f"set/{name}": content for name, content in CONTENT.items()}
    assert [path.name for path in root.iterdir()] == ["set"]


def test_gzipped_files_stay_gzipped_and_replace_a_damaged_plain_one(root: Path, server):
    packed = {name: gzip.compress(content) for name, content in CONTENT.items()}
    entry = gzip_entry(packed)
    server.files = {f"{name}.gz": data for name, data in packed.items()}
    folder = root / entry.folder
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(b"damaged")
    assert get(entry, root, server) == folder
    assert everything(folder) == server.files


def test_a_whole_data_set_is_not_fetched_again(root: Path, server, capsys: pytest.CaptureFixture):
    # Another compression level than the server's: what counts is the content.
    packed = {name: gzip.compress(content, 1) for name, content in CONTENT.items()}
    entry = replace(gzip_entry(packed), folder="set")
    for name, data in packed.items():
        (root / "set" / f"{name}.gz").write_bytes(data)
    (root / "set/train").unlink()
    fetch_entry(entry, root=root, urls=[server.url])
    assert server.requests == []
    assert "nothing to fetch" in capsys.readouterr().err


def test_without_mirrors_the_data_sets_own_server_is_asked(root: Path, server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive
    entry = replace(archive_entry(archive), url=f"{server.url}/own/")
    fetch_entry(entry, root=root, progress=False)
    assert [request[0] for request in server.requests] == ["/own/tiny.tar.gz"]


def test_mirrors_are_tried_in_order(root: Path, server, answer):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive
    server.answers = [answer(status=404), answer()]
    fetch_entry(archive_entry(archive), root=root, urls=[f"{server.url}/a", f"{server.url}/b/"], progress=False)
    assert [request[0] for request in server.requests] == ["/a/tiny.tar.gz", "/b/tiny.tar.gz"]


def test_the_next_fetch_goes_on_where_one_broke_off(root: Path, server, answer):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive
    server.answers = [answer(sent=1000), answer(status=500), answer()]
    entry = archive_entry(archive)
    message = refused(entry, root, server, "answered 500", kept=("tiny.tar.gz", "tiny.tar.gz.source"))
    assert "The 0.0 MB that came are kept in .tiny.part, and the next try goes on from there" in message
    assert "--url" in message and "put train, test into data/set" in message
    get(entry, root, server)
    assert [request[1] for request in server.requests] == [None, "bytes=1000-", "bytes=1000-"]
    assert everything(root) == {f"set/{name}": content for name, content in CONTENT.items()}
    assert [path.name for path in root.iterdir()] == ["set"]


def test_the_second_file_failing_puts_nothing_in_place_and_fetches_the_first_but_once(root: Path, server):
    packed = {name: gzip.compress(content) for name, content in CONTENT.items()}
    server.files = {"train.gz": packed["train"]}
    refused(gzip_entry(packed), root, server, r"/mirror/test\.gz: the server answered 404", kept=("train.gz",))
    server.files["test.gz"] = packed["test"]
    get(gzip_entry(packed), root, server)
    assert [request[0] for request in server.requests] == [f"/mirror/{name}.gz" for name in ("train", "test", "test")]


def test_garbage_is_not_kept(root: Path, server):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = os.urandom(len(archive))
    refused(archive_entry(archive), root, server, "MD5 sum differs")


def test_a_silent_server_is_left(root: Path, server, answer):
    server.answers = [answer(stalls=True)]
    refused(archive_entry(tar_gz(*good_members())), root, server, r"said nothing for 0\.2 seconds", timeout=0.2)


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, target
    return info


def sized(name: str, size: int) -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), bytes(size)


@pytest.mark.parametrize(
    ("member", "match"),
    [
        ((tarfile.TarInfo("../outside"), b"x"), "outside"),
        ((tarfile.TarInfo("set/../../outside"), b"x"), "outside"),
        ((tarfile.TarInfo("/tmp/outside"), b"x"), "outside"),
        ((tarfile.TarInfo("set\\..\\outside"), b"x"), "outside"),
        ((link(tarfile.SYMTYPE, "/etc/passwd"), b""), "link"),
        ((link(tarfile.LNKTYPE, "set/train"), b""), "link"),
        ((link(tarfile.FIFOTYPE, ""), b""), "device"),
        ((link(tarfile.CHRTYPE, ""), b""), "device"),
        ((link(tarfile.BLKTYPE, ""), b""), "device"),
        ((tarfile.TarInfo("set/train"), b"another"), "two files of one name: 'set/train'"),
        (sized("set/zeros", 3_000_000), "unpack to more than"),
    ],
)
def test_archives_that_no_honest_maker_packs(root: Path, server, member, match: str):
    archive = tar_gz(*good_members(), member)
    server.files["tiny.tar.gz"] = archive
    refused(archive_entry(archive), root, server, match)


def packed_by_hand(*headers: tuple[bytes, int, bytes]) -> bytes:
    """An archive of members as they stand in it: type, the size that is declared, and what follows."""
    blocks = b""
    for kind, size, content in headers:
        info = tarfile.TarInfo("set/odd")
        info.type = kind
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
        header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
        blocks += bytes(header) + content + bytes(-len(content) % 512)
    return gzip.compress(blocks + bytes(1024) + os.urandom(20_000))


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        # Headers are read into memory before anybody sees a member: a name of 30 MB, and attributes of that length.
        ([(tarfile.GNUTYPE_LONGNAME, 30_000_000, bytes(30_000_000))], "unpack to more than"),
        ([(tarfile.XHDTYPE, 30_000_000, bytes(30_000_000))], "unpack to more than"),
        # Many members, each of a modest size.
        ([(tarfile.REGTYPE, 300_000, bytes(300_000)), (tarfile.DIRTYPE, 0, b"")] * 3, "two files of one name"),
        # Declared to be larger than anything, with nothing behind it; and to end before it begins.
        ([(tarfile.REGTYPE, 10**15, b"")], "unpack to more than"),
        ([(tarfile.REGTYPE, -(10**6), b"")], "cannot be unpacked"),
        ([(tarfile.GNUTYPE_SPARSE, 100, bytes(512))], "a file with holes"),
    ],
)
def test_archives_whose_sizes_lie(root: Path, server, headers, match: str):
    archive = packed_by_hand(*headers)
    server.files["tiny.tar.gz"] = archive
    refused(archive_entry(archive), root, server, match)


def test_many_members_that_are_too_large_together_are_refused(root: Path, server):
    archive = tar_gz(*good_members(), *(sized(f"set/{number}", 30_000) for number in range(10)))
    server.files["tiny.tar.gz"] = archive
    refused(archive_entry(archive), root, server, "unpack to more than")


def test_damaged_and_incomplete_archives(root: Path, server):
    whole = tar_gz(*good_members())
    folder = tarfile.TarInfo("set/test")
    folder.type = tarfile.DIRTYPE
    for archive, match in (
        (whole[: len(whole) // 2], "cannot be unpacked"),
        (b"no archive at all", "cannot be unpacked"),
        (tar_gz(*good_members()[:1]), "lacks test"),
        (tar_gz(*good_members()[:1], (folder, b"")), "lacks test"),
    ):
        server.files["tiny.tar.gz"] = archive
        refused(archive_entry(archive), root, server, match)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/private/data"), "no permission: data"),
    ],
)
def test_a_disk_that_takes_no_more_keeps_the_archive(root: Path, server, monkeypatch, error, match: str):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(fetching.shutil, "copyfileobj", fail)
        refused(archive_entry(archive), root, server, match, kept=("tiny.tar.gz",))
    get(archive_entry(archive), root, server)
    assert len(server.requests) == 1
    assert everything(root) == {f"set/{name}": content for name, content in CONTENT.items()}


def test_an_interrupt_while_unpacking_keeps_the_archive(root: Path, server, monkeypatch: pytest.MonkeyPatch):
    archive = tar_gz(*good_members())
    server.files["tiny.tar.gz"] = archive

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = everything(root)
    with monkeypatch.context() as patch:
        patch.setattr(fetching.shutil, "copyfileobj", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get(archive_entry(archive), root, server)
    assert everything(root) == {**before, f"{PARTS}/tiny.tar.gz": archive}
    get(archive_entry(archive), root, server)
    assert len(server.requests) == 1
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
    assert catalogue.describe_where(tmp_path / "secret/photos") == "photos"
    assert catalogue.describe_where(Path("/usr/share/datasets/x")) == "x"


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("/usr", "Debian's package dataset-fashion-mnist"),
        ("/usr/local", "share/datasets/fashion-mnist of an installed package"),
    ],
)
def test_a_data_set_of_a_package_is_named_by_the_package(prefix: str, words: str):
    folder = Path(prefix) / catalogue.get("fashion_mnist").system_folder
    assert folder in catalogue.folders(catalogue.get("fashion_mnist"), root=DATA)
    assert catalogue.describe_where(folder) == words


def test_how_to_get_names_every_way():
    text = catalogue.how_to_get("fashion_mnist")
    assert "python -m helpers.data fetch fashion_mnist" in text
    assert "dataset-fashion-mnist" in text
    assert f"{catalogue.describe_where(DATA)}/FashionMNIST/raw" in text
    assert "data_batch_5" in catalogue.how_to_get("cifar10") and "Debian" not in catalogue.how_to_get("cifar10")
