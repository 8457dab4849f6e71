"""Folders of image files: ``train/<class>/*``, with ``val`` and ``test`` beside ``train``, or just ``<class>/*``.

The images are decoded once, into a memory-mapped NumPy file of the cache: what is larger than memory is read from
there as it is needed. The file's name is made of a slot (the folder, image size and channels) and a key (all the files'
names, sizes and times, too): when files change, the key does, and the new file takes the old one's place.
"""

import hashlib
import json
import mmap
import os
import re
import sys
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

import helpers
from helpers import storage
from helpers.data.decode import BadImageError, decode, image_suffixes
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
_SHOWN = 5
_CHUNK = 16  # files that a thread decodes in one go
_NO_RESERVE = 0x4000  # Linux's MAP_NORESERVE, which Python's mmap doesn't name
_SMALL_FILE = 16_384  # bytes: of smaller images Pillow does little for which it would let other threads run
# Control characters, what turns the direction of the text behind it, and bytes that are no UTF-8.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class FileStamp(NamedTuple):
    """What tells that a file is the same as before: its path below the data set's folder, its bytes and its time."""

    name: str
    size: int
    mtime_ns: int


Scan = dict[str, dict[str, list[FileStamp]]]
"""Image files by split and class."""


def read(
    root: Path,
    *,
    image_size: int | None,
    channels: int | None,
    interpolation: str = "bilinear",
    cache: Path | None,
) -> dict[str, ImageData]:
    """Reads a folder of images: "train" and perhaps "val" and "test", or "all"; views of one tensor.

    It holds ``train/<class>/*``, optionally with ``val`` and ``test``, also under such names as ``Training`` or
    ``test_set``; or, if there is no ``train``, one folder for each class; or one folder alone that holds all this.
    Images lie directly in their class's folder. What else is there, if it isn't hidden, is left out and named in the
    `Source`. Classes come in natural order ("2" before "10"), images in the order of class and file name. A link
    counts as what it leads to. A class's name is its folder's, in which what can't be shown stands as Python writes it.

    Images are cropped and resized as `helpers.data.decode.decode` does, and kept in ``cache``, unless that is None.
    A DataError names what is not as it should be.
    """
    check_links([root])
    if not root.is_dir():
        raise MissingDataError(f"there is no folder {_shown(root)}: put images there as {LAYOUT}")
    left_out: Counter[str] = Counter()
    scan = {split: _classes(root, split, path, left_out) for split, path in _split_folders(root, left_out).items()}
    class_names = _class_names(scan, root)
    files = [file for classes in scan.values() for members in classes.values() for file in members]
    how = {"image_size": image_size, "channels": channels, "interpolation": interpolation}
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # a telephone's photo
        images = torch.from_numpy(_images(root, files, how, cache))
    source = Source(
        f"folder:{root}",
        say("images in {name}", name=_showable(root.resolve().name)),
        _shown(root),
        left_out=", ".join(f"{_showable(what)} ({number:,})" for what, number in sorted(left_out.items()) if number),
    )
    return _to_splits(images, scan, class_names, source)


def has_images(root: Path) -> bool:
    """Whether there is something for `read`, be it in disorder: more than empty ``train``, ``val`` and ``test``."""
    if not root.is_dir():
        return False
    return bool(_image_entries(root)) or any(not _split(path) or _entries(path) for path in _subfolders(root))


def check_links(paths: Sequence[Path]) -> None:
    """Refuses links that lead nowhere: without them a data set, a class or an image would be missing in silence."""
    if broken := [_shown(path) for path in paths if path.is_symlink() and not os.path.exists(path)]:
        raise DataError(
            f"symbolic links that lead nowhere, or back to where they began: {_first_few(broken)}. "
            "Repair or delete them"
        )


def _natural_order(path: Path) -> tuple:
    # re.split with a group alternates text and digits, so that text is only ever compared with text.
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name


def _showable(name: str) -> str:
    """A file's name, which may hold anything but "/", as text that is safe in a terminal, a figure or a page."""
    return _UNSHOWABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), name)


def _split(folder: Path) -> str | None:
    """ "train", "val" or "test" if the folder's name says so."""
    match = _SPLIT_NAME.fullmatch(folder.name.lower())
    return match and {"tr": "train", "va": "val", "te": "test"}[match[2][:2]]


def _split_folders(root: Path, left_out: Counter[str]) -> dict[str, Path]:
    """Folders by split, training first; "all" is the root itself, or the one folder in it."""
    found: dict[str, Path] = {}
    folders = _subfolders(root)
    for path in folders:
        split = _split(path)
        # A class may be called "train" or "test" as well: its folder holds images and no class folders.
        if split and (_subfolders(path) or not _image_entries(path)):
            if split in found:
                raise DataError(f"{found[split].name} and {path.name} in {_shown(root)} are the same split: keep one")
            found[split] = path
    names = _first_few([path.name for path in folders])
    if "train" in found:
        for path in folders:
            if path not in found.values():
                left_out[f"images in {path.name}"] += sum(
                    len(_image_entries(each)) for each in [path, *_subfolders(path)]
                )
        return {split: found[split] for split in ("train", "val", "test") if split in found}
    if found:
        raise DataError(f"{_shown(root)} has {', '.join(found)} but no train: put images there as {LAYOUT}")
    if folders and all(_split(path) for path in folders):
        raise DataError(f"{_shown(root)} holds {names} without class folders in them: put images there as {LAYOUT}")
    return _split_folders(inner, left_out) if (inner := _only_folder(root)) else {"all": root}


def _only_folder(folder: Path) -> Path | None:
    """The one folder in it that holds all the others: archives unpack so, to pets/pets/cat."""
    inner = _subfolders(folder)
    return inner[0] if len(inner) == 1 and not inner[0].is_symlink() and _subfolders(inner[0]) else None


def _classes(root: Path, split: str, folder: Path, left_out: Counter[str]) -> dict[str, list[FileStamp]]:
    while inner := _only_folder(folder):
        folder = inner
    classes = {path.name: _stamps(root, path, left_out) for path in _subfolders(folder)}
    if not classes:
        raise DataError(f"{_shown(folder)} has no class folders: put images there as {LAYOUT}")
    if empty := [repr(name) for name, files in classes.items() if not files]:
        place = "" if split == "all" else f" in {split}"
        raise DataError(
            f"classes without a readable image{place}: {_first_few(empty)}. Put images directly into their folders, "
            f"or take the folders away. Expected is {LAYOUT}"
        )
    return classes


def _stamps(root: Path, folder: Path, left_out: Counter[str]) -> list[FileStamp]:
    prefix, files = folder.relative_to(root).as_posix(), []
    for entry in _entries(folder):
        suffix = os.path.splitext(entry.name)[1].lower()
        if entry.is_dir():
            left_out["images below a class's folder"] += len(_image_entries(folder / entry.name))
        elif suffix in image_suffixes():
            stat = entry.stat()
            files.append(FileStamp(f"{prefix}/{entry.name}", stat.st_size, stat.st_mtime_ns))
        else:
            left_out[f"{suffix} files" if suffix else "files without a suffix"] += 1
    return sorted(files)


def _entries(folder: Path) -> list[os.DirEntry]:
    """What lies in a folder, isn't hidden and not the system's."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in _NOBODYS]
    check_links([folder / entry.name for entry in shown if entry.is_symlink()])
    return shown


def _subfolders(folder: Path) -> list[Path]:
    return sorted((folder / entry.name for entry in _entries(folder) if entry.is_dir()), key=_natural_order)


def _image_entries(folder: Path) -> list[os.DirEntry]:
    named = [entry for entry in _entries(folder) if os.path.splitext(entry.name)[1].lower() in image_suffixes()]
    return [entry for entry in named if entry.is_file()]


def _class_names(scan: Scan, root: Path) -> tuple[str, ...]:
    """Those of the first split, which is the training one; no other may have more."""
    class_names = tuple(next(iter(scan.values())))
    if len(class_names) < 2:
        raise DataError(f"{_shown(root)} has a single class, {class_names[0]!r}: put images there as {LAYOUT}")
    for split, classes in scan.items():
        if unknown := [repr(name) for name in classes if name not in class_names]:
            raise DataError(
                f"{split} has classes that train lacks: {_first_few(unknown)}. Give train images of them, "
                "or take their folders away"
            )
    return class_names


def _images(root: Path, files: Sequence[FileStamp], how: dict[str, Any], cache: Path | None) -> np.ndarray:
    """The images, uint8 (N, C, H, W): kept ones, or decoded now."""
    paths = [root / file.name for file in files]
    file = cache and _cache_file(cache, root, files, how)
    if file and (kept := _cached(file, len(files))) is not None:
        return kept
    shape = (len(files), *_first_shape(paths, how))
    workers = 1 if sum(stamp.size for stamp in files) < _SMALL_FILE * len(files) else os.cpu_count() or 1
    if file:
        try:
            with replacing(file) as stream:
                pixels = np.lib.format.open_memmap(stream.name, "w+", np.uint8, shape)
                # The room is taken at once: where it ran out later, writing to the mapped file would kill the process.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, os.path.getsize(stream.name))
                _decode_into(pixels, root, paths, how, workers)
                pixels.flush()
                del pixels  # Windows renames no file that is mapped
            for older in file.parent.glob(f"{file.name.partition('-')[0]}-*"):
                if older.stem != file.stem:
                    with suppress(OSError):  # under Windows, another notebook may have it open
                        older.unlink()
            if (kept := _cached(file, len(files))) is not None:
                return kept
        except OSError as error:
            warnings.warn(f"the decoded images can't be kept in {_shown(cache)} ({error.strerror})", stacklevel=3)
    pixels = storage.empty(shape, torch.uint8).numpy()
    _decode_into(pixels, root, paths, how, workers)
    return pixels


def _cache_file(cache: Path, root: Path, files: Sequence[FileStamp], how: dict[str, Any]) -> Path:
    slot = [str(root.resolve()), *how.values()]
    # Another Pillow may bring another JPEG decoder, whose pixels differ by a bit.
    key = [FORMAT_VERSION, PIL.__version__, slot, files]
    one, other = (hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16] for value in (slot, key))
    return cache / f"{one}-{other}.npy"


def _cached(file: Path, number_of_files: int) -> np.ndarray | None:
    """What was kept, or None if there is nothing usable. What is written into the images never reaches the file."""
    try:
        kept = np.load(file, mmap_mode="r", allow_pickle=False)
        if kept.dtype != np.uint8 or kept.ndim != 4 or len(kept) != number_of_files:
            return None
        with file.open("rb") as stream:
            if sys.platform == "linux":  # would refuse a private map larger than its memory
                flags = mmap.MAP_PRIVATE | _NO_RESERVE
                memory = mmap.mmap(stream.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
            else:
                memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError, EOFError):  # not there, or damaged
        return None
    return np.frombuffer(memory, np.uint8, offset=kept.offset).reshape(kept.shape)


def _first_shape(paths: Sequence[Path], how: dict[str, Any]) -> tuple[int, int, int]:
    """That of the first image that can be read."""
    for path in paths:
        try:
            return decode(path, **how).shape
        except BadImageError:
            continue
    return how["channels"] or 3, how["image_size"] or 0, how["image_size"] or 0


def _decode_into(pixels: np.ndarray, root: Path, paths: Sequence[Path], how: dict[str, Any], workers: int) -> None:
    """Fills an array (N, C, H, W) with the images; an error names those that can't be read."""
    bad: dict[int, str] = {}

    def fill(indices: range) -> int:
        for index in indices:
            try:
                image = decode(paths[index], **how)
            except BadImageError as error:
                bad[index] = str(error)
                continue
            if image.shape != pixels.shape[1:]:
                raise DataError(
                    f"the images differ in size: {paths[index].parent.name}/{paths[index].name} has "
                    f"{_size(image)} pixels, the first one {_size(pixels)}. Set IMAGE_SIZE, and all are resized to it"
                )
            pixels[index] = image
        return len(indices)

    chunks = [range(start, min(start + _CHUNK, len(paths))) for start in range(0, len(paths), _CHUNK)]
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar(total=len(paths), desc="reading images", unit=" images") as bar,
    ):
        for done in pool.map(fill, chunks):
            bar.update(done)
    if bad:
        # The decoder's message starts with the file's name, so that its folder makes it a path.
        problems = [
            _showable(f"{paths[index].parent.relative_to(root)}/{reason}") for index, reason in sorted(bad.items())
        ]
        raise DataError(
            f"{len(bad)} of {len(paths):,} files in {_shown(root)} can't be used: {_first_few(problems, '; ')}. Repair "
            "or delete them"
        )


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-1]} × {image.shape[-2]}"


def _to_splits(images: torch.Tensor, scan: Scan, class_names: tuple[str, ...], source: Source) -> dict[str, ImageData]:
    shown = tuple(map(_showable, class_names))
    splits, start = {}, 0
    for split, classes in scan.items():
        labels = torch.cat([torch.full((len(files),), class_names.index(name)) for name, files in classes.items()])
        splits[split] = ImageData(images[start : start + len(labels)], labels, shown, split, source)
        start += len(labels)
    return splits


def _shown(path: Path) -> str:
    """Relative to the repository, or just the name: the rest of the path is nobody's business in a report."""
    path = Path(os.path.abspath(path))  # a link keeps its own name
    return _showable(path.relative_to(helpers.ROOT).as_posix() if path.is_relative_to(helpers.ROOT) else path.name)


def _first_few(texts: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return separator.join(texts[:_SHOWN]) + more
