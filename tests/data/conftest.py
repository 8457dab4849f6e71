"""Small CIFAR and Fashion-MNIST, in the files that the true ones come in."""

import gzip
import hashlib
import pickle
import resource
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from helpers.data import places


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def write(root: Path, files: Iterable[str] | dict[str, int | tuple]) -> Path:
    """Plain images by relative path, of this brightness or colour; other files as text, and folders ("train/")."""
    root.mkdir(parents=True, exist_ok=True)
    for name in files:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            colour = files[name] if isinstance(files, dict) else 0
            Image.new("RGB" if isinstance(colour, tuple) else "L", (4, 4), colour).save(path)
        elif not name.endswith("/"):
            path.write_text("text")
    return root


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """As on a full disk: the system refuses what lies beyond. (No fixture: pytest itself may write to a file.)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(autouse=True)
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without Debian's package of Fashion-MNIST."""
    monkeypatch.setattr(places, "DEBIANS", Path("/nowhere"))


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes CIFAR-10 or CIFAR-100, whose sums are the right ones; returns the folder.

    The red channel of an image is its label, and the first row of green is 200.
    """

    def write(*, fine: bool = False) -> Path:
        kind = datasets.CIFAR100 if fine else datasets.CIFAR10
        folder = tmp_path / kind.base_folder
        folder.mkdir()
        labels = list(range(100 if fine else 10)) * 3
        pixels = np.zeros((len(labels), 3, 32, 32), np.uint8)
        pixels[:, 0] = np.array(labels)[:, None, None]
        pixels[:, 1, 0] = 200
        content = {"data": pixels.reshape(len(labels), -1), "fine_labels" if fine else "labels": labels}
        names = {kind.meta["key"]: [f"class {label}" for label in sorted(set(labels))]}
        files = {name: content for name, _ in kind.train_list + kind.test_list} | {kind.meta["filename"]: names}
        for name, value in files.items():
            (folder / name).write_bytes(pickle.dumps(value, protocol=2))
        sums = {name: md5((folder / name).read_bytes()) for name in files}
        for listed in ("train_list", "test_list"):
            monkeypatch.setattr(kind, listed, [[file, sums[file]] for file, _ in getattr(kind, listed)])
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
        return folder

    return write


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """The folder of Fashion-MNIST's files, ten images of each class for training and three for testing.

    The pixels of an image are its label times ten; all files are gzipped.
    """
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for prefix, per_class in (("train", 10), ("t10k", 3)):
        labels = np.tile(np.arange(10, dtype=np.uint8), per_class)
        pixels = np.broadcast_to((labels * 10)[:, None, None], (len(labels), 28, 28))
        for name, array in ((f"{prefix}-images-idx3-ubyte", pixels), (f"{prefix}-labels-idx1-ubyte", labels)):
            header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder
