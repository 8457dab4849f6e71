"""CIFAR-10 and CIFAR-100 from their "python version", without running what a pickle might ask for."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.data.errors import BadFileError
from helpers.data.structures import ImageData, Source


def read_cifar10(folder: Path, source: Source) -> dict[str, ImageData]:
    """CIFAR-10 (Krizhevsky, 2009) from the folder cifar-10-batches-py: images uint8 (N, 3, 32, 32).

    Raises:
        BadFileError: a file that is missing, damaged or not what it should be.
    """
    files = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    return _read(folder, source, files, "labels", "batches.meta", "label_names")


def read_cifar100(folder: Path, source: Source) -> dict[str, ImageData]:
    """CIFAR-100 with its 100 fine classes from the folder cifar-100-python; otherwise as `read_cifar10`."""
    files = {"train": ["train"], "test": ["test"]}
    return _read(folder, source, files, "fine_labels", "meta", "fine_label_names")


def _read(
    folder: Path, source: Source, files: dict[str, list[str]], labels_key: str, meta: str, names_key: str
) -> dict[str, ImageData]:
    names = tuple(_entry(_unpickle(folder / meta), names_key, folder / meta))
    splits = {}
    for split, batches in files.items():
        images, labels = [], []
        for name in batches:
            content = _unpickle(folder / name)
            pixels = np.asarray(_entry(content, "data", folder / name))
            images.append(_pictures(pixels, folder / name))
            labels += list(_entry(content, labels_key, folder / name))
        splits[split] = ImageData(torch.from_numpy(np.concatenate(images)), torch.tensor(labels), names, split, source)
    return splits


def _pictures(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3 * 32 * 32:
        raise BadFileError(f"{path} holds no CIFAR images; delete it and fetch it anew")
    return pixels.reshape(-1, 3, 32, 32)


def _entry(content: Any, key: str, path: Path) -> Any:
    if not isinstance(content, dict) or key not in content:
        raise BadFileError(f"{path} has no {key!r}; delete it and fetch it anew")
    return content[key]


class _ArraysOnly(pickle.Unpickler):
    """Builds containers, numbers, texts and NumPy arrays; any other class or function in a pickle is refused."""

    ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # NumPy 2 moved its core; the files are older, and the code runs on either.
        moved = "numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray"
        return super().find_class(moved if module.endswith("core.multiarray") else module, name)


def _unpickle(path: Path) -> Any:
    try:
        with open(path, "rb") as stream:
            return _ArraysOnly(stream, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise BadFileError(f"{path} can't be read ({error}); delete its folder and fetch it anew") from None
