"""Folders of image files: ``train/<class>/*``, with ``val`` and ``test`` beside ``train``, or just ``<class>/*``.

The images are decoded once, into a NumPy file of the cache: what is larger than memory is read from there as it is
needed. The file's name is made of a slot (the folder, image size and channels) and a key (all the files' names, sizes
and times, too): when files change, the key does, and the new file takes the old one's place.
"""

import hashlib
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from helpers import storage
from helpers.data.decode import BadImageError, decode, image_suffixes
from helpers.data.places import check_links, describe_where, first_few, showable
from helpers.data.structures import DataError, ImageData, MissingDataError, Source
from helpers.files import replacing
from helpers.phrases import say
from helpers.reprs import progress_bar

LAYOUT = "train/<class>/<image files>, with val/ and test/ beside train/ if you have them, or one folder for each class"
"""What a folder looks like that `read` understands, in words for messages."""

FORMAT_VERSION = 3
"""To raise whenever decoding or the layout of the cache changes."""

# "train", and how else people call it: Training, train_set, seg_train, test1.
_SPLIT_NAME = re.compile(r"(.*[ _-])?(train(ing)?|val(id(ation)?)?|test(ing)?)([ _-]?(set|data|images))?[ _-]?\d*")
# What systems put beside people's files.
_NOBODYS = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db", "desktop.ini")
_CHUNK = 16  # files that a thread decodes in one go: a task for each takes longer, and more memory than a small image


class _Content(NamedTuple):
    """What lies in a folder, isn't hidden and not the system's. A link counts as what it leads to."""

    folders: list[Path]  # in natural order: "2" before "10"
    images: list[Path]  # by name
    others: list[Path]


def read(
    root: Path,
    *,
    image_size: int,
    channels: int,
    interpolation: str = "bilinear",
    cache: Path | None,
    name: str = "",
    title: str = "",
) -> dict[str, ImageData]:
    """Reads a folder of images: "train" and perhaps "val" and "test"; views of one tensor.

    It holds ``train/<class>/*``, optionally with ``val`` and ``test``, also under such names as ``Training`` or
    ``test_set``; or one folder for each class, which are all "train"; or one folder alone that holds all this.
    Images lie directly in their class's folder. What else is there, if it isn't hidden, is left out and named in the
    `Source`. Classes come in natural order ("2" before "10"), images in the order of class and file name. A link
    counts as what it leads to. A class's name is its folder's, in which what can't be shown stands as Python writes it.

    Images are cropped and resized as `helpers.data.decode.decode` does, and kept in ``cache``, unless that is None.
    ``name`` and ``title`` are for the `Source`. A DataError names what is not as it should be.
    """
    check_links([root])
    if not root.is_dir():
        raise MissingDataError(f"there is no folder {describe_where(root)}: put images there as {LAYOUT}")
    left_out: Counter[str] = Counter()
    scan = {split: _classes(folder, left_out) for split, folder in _split_folders(root, left_out).items()}
    classes = list(scan["train"])
    if len(classes) < 2:
        raise _refusal(root, f"has a single class, {classes[0]!r}")
    for split, members in scan.items():
        if unknown := [repr(each) for each in members if each not in classes]:
            raise _refusal(root, f"has classes in {split} that train lacks: {first_few(unknown)}")
    paths = [path for members in scan.values() for images in members.values() for path in images]
    how = {"image_size": image_size, "channels": channels, "interpolation": interpolation}
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # a telephone's photo
        images = _images(root, paths, how, cache)
    source = Source(
        name or f"folder:{root}",
        title or say("images in {name}", name=showable(root.resolve().name)),
        describe_where(root),
        left_out=", ".join(f"{showable(what)} ({number:,})" for what, number in sorted(left_out.items()) if number),
    )
    label, start, parts = {each: number for number, each in enumerate(classes)}, 0, {}
    for split, members in scan.items():
        labels = torch.tensor([label[each] for each, inside in members.items() for _ in inside])
        part = images[start : start + len(labels)]
        parts[split] = ImageData(part, labels, tuple(map(showable, classes)), split, source)
        start += len(labels)
    return parts


def has_images(root: Path) -> bool:
    """Whether there is something for `read`, be it in disorder: more than empty ``train``, ``val`` and ``test``."""
    if not root.is_dir():
        return False
    content = _content(root)
    return bool(content.images) or any(not _split(path) or any(_content(path)) for path in content.folders)


def _content(folder: Path) -> _Content:
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in _NOBODYS]
    check_links([folder / entry.name for entry in shown if entry.is_symlink()])
    folders, images, others = [], [], []
    for entry in sorted(shown, key=lambda entry: entry.name):
        path = folder / entry.name
        kind = folders if entry.is_dir() else images if path.suffix.lower() in image_suffixes() else others
        kind.append(path)
    return _Content(sorted(folders, key=_natural_order), images, others)


def _natural_order(path: Path) -> tuple:
    # re.split with a group alternates text and digits, so that text is only ever compared with text.
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name


def _split(folder: Path) -> str | None:
    """ "train", "val" or "test" if the folder's name says so."""
    match = _SPLIT_NAME.fullmatch(folder.name.lower())
    return match and {"tr": "train", "va": "val", "te": "test"}[match[2][:2]]


def _refusal(folder: Path, why: str) -> DataError:
    return DataError(f"{describe_where(folder)} {why}. Put images there as {LAYOUT}, and take other folders away")


def _split_folders(root: Path, left_out: Counter[str]) -> dict[str, Path]:
    """Folders by split, training first; without a split, all is for training."""
    found: dict[str, Path] = {}
    content = _content(root)
    folders = content.folders
    for path in folders:
        split = _split(path)
        # A class may be called "train" or "test" as well: its folder holds images and no class folders.
        if split and ((inside := _content(path)).folders or not inside.images):
            if split in found:
                raise _refusal(root, f"has {split} images in {found[split].name} and in {path.name}: keep one")
            found[split] = path
    if "train" in found:
        left_out[f"images beside {found['train'].name}"] += len(content.images)
        for path in folders:
            if path not in found.values():
                inside = _content(path)
                left_out[f"images in {path.name}"] += len(inside.images) + _images_below(inside)
        return {split: found[split] for split in ("train", "val", "test") if split in found}
    if found:
        raise _refusal(root, f"has {', '.join(found)} but no train")
    if folders and all(_split(path) for path in folders):
        raise _refusal(root, f"has no class folders in {first_few([path.name for path in folders])}")
    return _split_folders(inner, left_out) if (inner := _only_folder(root)) else {"train": root}


def _only_folder(folder: Path) -> Path | None:
    """The one folder in it that holds all the others: archives unpack so, to pets/pets/cat."""
    inner = _content(folder).folders
    return inner[0] if len(inner) == 1 and not inner[0].is_symlink() and _content(inner[0]).folders else None


def _images_below(content: _Content) -> int:
    return sum(len(_content(folder).images) for folder in content.folders)


def _classes(folder: Path, left_out: Counter[str]) -> dict[str, list[Path]]:
    """The images of each class."""
    while inner := _only_folder(folder):
        folder = inner
    content = _content(folder)
    classes = {path.name: _content(path) for path in content.folders}
    if not classes:
        raise _refusal(folder, "has no class folders")
    if empty := [repr(name) for name, inside in classes.items() if not inside.images]:
        raise _refusal(folder, f"has classes without a readable image: {first_few(empty)}")
    left_out["images beside the classes' folders"] += len(content.images)
    for inside in classes.values():
        left_out["images below a class's folder"] += _images_below(inside)
        for path in inside.others:
            left_out[f"{path.suffix.lower()} files" if path.suffix else "files without a suffix"] += 1
    return {name: inside.images for name, inside in classes.items()}


def _images(root: Path, paths: Sequence[Path], how: dict[str, Any], cache: Path | None) -> Tensor:
    """The images, uint8 (N, C, H, W): kept ones, or decoded now, into the file where they are kept."""
    file = cache and cache / _cache_name(root, paths, how)
    if file and (kept := storage.load(file)) is not None:
        return kept
    shape = (len(paths), how["channels"], how["image_size"], how["image_size"])
    if file:
        try:
            with replacing(file) as stream:
                pixels = np.lib.format.open_memmap(stream.name, "w+", np.uint8, shape)
                storage.take_room(stream, os.path.getsize(stream.name))
                _decode_into(pixels, root, paths, how)
                pixels.flush()
                del pixels  # Windows renames no file that is mapped
            for older in cache.glob(f"{file.name.partition('-')[0]}-*"):
                if older != file:
                    with suppress(OSError):  # under Windows, another notebook may have it open
                        older.unlink()
            if (kept := storage.load(file)) is not None:
                return kept
        except OSError as error:
            why = error.strerror or error
            warnings.warn(f"the decoded images can't be kept in {describe_where(cache)} ({why})", stacklevel=3)
    images = storage.empty(shape, torch.uint8)
    _decode_into(images.numpy(), root, paths, how)
    return images


def _cache_name(root: Path, paths: Sequence[Path], how: dict[str, Any]) -> str:
    """Of a slot, and of what tells that its files are the same as before."""
    slot = [str(root.resolve()), *how.values()]
    above = f"{root.as_posix()}/"  # quicker than Path.relative_to, of every file at every start
    stats = [(path.as_posix().removeprefix(above), path.stat()) for path in paths]
    stamps = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    # Another Pillow may bring another JPEG decoder, whose pixels differ by a bit.
    key = [FORMAT_VERSION, PIL.__version__, slot, stamps]
    one, other = (hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16] for value in (slot, key))
    return f"{one}-{other}.npy"


def _decode_into(pixels: np.ndarray, root: Path, paths: Sequence[Path], how: dict[str, Any]) -> None:
    """Fills an array (N, C, H, W) with the images of these files; an error names those that can't be read."""

    def fill(indices: range) -> list[str]:
        bad = []
        for index in indices:
            try:
                pixels[index] = decode(paths[index], **how)
            except BadImageError as error:
                # The decoder's message starts with the file's name, so that its folder makes it a path.
                bad.append(showable(f"{paths[index].parent.relative_to(root)}/{error}"))
        return bad

    numbers, bad = range(len(paths)), []
    chunks = [numbers[start : start + _CHUNK] for start in numbers[::_CHUNK]]
    bar = progress_bar(total=len(paths), desc="reading images", unit=" images")
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        for chunk, told in zip(chunks, pool.map(fill, chunks), strict=True):
            bad += told
            bar.update(len(chunk))
    if bad:
        raise DataError(
            f"{len(bad)} of {len(paths):,} files in {describe_where(root)} can't be used: {first_few(bad, '; ')}. "
            "Repair or delete them"
        )
