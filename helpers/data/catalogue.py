"""The data sets that the notebooks know by name: their files, where those lie, and how to get them.

`ENTRIES` can be downloaded, `LOCAL_SETS` are folders of images that only you can put here. Addresses and MD5 sums of
the downloads are torchvision's, and so is their layout below the data folder: a folder that torchvision's data sets
filled is found, and the other way round.
"""

import difflib
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from helpers import DATA, ROOT
from helpers.data.errors import MissingDataError, UnknownDataError
from helpers.data.folder import LAYOUT, check_links, has_classes

SYSTEM_PREFIXES = tuple(dict.fromkeys((Path("/usr"), Path("/usr/local"), Path(sys.prefix))))
"""Where packages of the system or of the Python environment put shared files."""


@dataclass(frozen=True)
class Download:
    """One file of a server: its name, its MD5 sum and its length in bytes."""

    file: str
    md5: str
    size: int


@dataclass(frozen=True)
class Entry:
    """A data set that can be downloaded.

    Attributes:
        name: as `load` and the command line take it.
        title: as a report shows it.
        url: address that the downloads' names are appended to; ends with "/".
        downloads: one .tar.gz archive, or the data set's gzipped files themselves.
        folder: where the files lie, below the data folder.
        files: file name to MD5 sum of its (unpacked) content: all must be there.
        system_folder: where a package puts the files, below one of `SYSTEM_PREFIXES`; "" if there is none.
        package: that package's name in Debian.
        shapes: the drawn classes of `helpers.shapes` that stand in for it.
    """

    name: str
    title: str
    url: str
    downloads: tuple[Download, ...]
    folder: str
    files: dict[str, str]
    system_folder: str = ""
    package: str = ""
    shapes: range = range(10)

    @property
    def archive(self) -> bool:
        """Whether the download is an archive that holds the files, not the files themselves."""
        return self.downloads[0].file.endswith(".tar.gz")

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(download.size for download in self.downloads)


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="fashion_mnist",
            title="Fashion-MNIST",
            url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            downloads=(
                Download("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
                Download("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
                Download("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
                Download("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
            ),
            folder="FashionMNIST/raw",
            files={
                "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
                "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
                "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
            },
            system_folder="share/datasets/fashion-mnist",
            package="dataset-fashion-mnist",
        ),
        Entry(
            name="cifar10",
            title="CIFAR-10",
            url="https://www.cs.toronto.edu/~kriz/",
            downloads=(Download("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170_498_071),),
            folder="cifar-10-batches-py",
            files={
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                "test_batch": "40351d587109b95175f43aff81a1287e",
                "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
            },
        ),
        Entry(
            name="cifar100",
            title="CIFAR-100",
            url="https://www.cs.toronto.edu/~kriz/",
            downloads=(Download("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437),),
            folder="cifar-100-python",
            files={
                "train": "16019d7e3df5f24257cddd939b257f8d",
                "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
                "meta": "7973b15100ade9c7d40fb424638fde48",
            },
            shapes=range(100),
        ),
    )
}
"""Every data set that can be downloaded, by its name."""


@dataclass(frozen=True)
class LocalSet:
    """A data set that cannot be downloaded: a folder of images that is looked for in the data folder.

    Attributes:
        name: as `load` takes it, and the folder's name; `helpers.data.folder` says what is inside.
        title: as a report shows it.
        reason: why it cannot be downloaded; begins a sentence.
        images: what to put there; stands inside one.
        shapes: the drawn classes of `helpers.shapes` that stand in for it.
    """

    name: str
    title: str
    reason: str
    images: str
    shapes: range


_UNPUBLISHED = "These photographs were never published"

LOCAL_SETS = {
    local.name: local
    for local in (
        LocalSet(
            name="stanford_cars",
            title="Stanford Cars",
            reason="The address that torchvision has for Stanford Cars is dead",
            images="the images of Kaggle's copy or of the authors' archive",
            shapes=range(20),
        ),
        LocalSet(
            name="photographs",
            title="ten classes of photographs",
            reason=_UNPUBLISHED,
            images="ten classes of your own",
            shapes=range(10),
        ),
        # Other drawn classes than those of "photographs": a network trained on these is carried to the two below.
        LocalSet(
            name="dog_behaviours",
            title="dog behaviours",
            reason=_UNPUBLISHED,
            images="your own of what dogs do",
            shapes=range(100, 105),
        ),
        LocalSet(
            name="three_animals",
            title="three animals",
            reason=_UNPUBLISHED,
            images="your own of dogs, horses and cats",
            shapes=range(150, 153),
        ),
    )
}
"""Every data set that is a folder of this machine, by its name."""


def get(name: str) -> Entry:
    """The data set of this name that can be downloaded.

    Raises:
        MissingDataError: it can't be; the message says how else to get it.
        UnknownDataError: there is none; the message suggests the nearest name.
    """
    if name in LOCAL_SETS:
        raise MissingDataError(f"{name} can't be fetched. {how_to_get(name)}")
    if name == "shapes" or name.startswith("folder:"):
        raise UnknownDataError(f"'{name}' needs no fetching: only {', '.join(ENTRIES)} come from the internet.")
    if name not in ENTRIES:
        raise UnknownDataError(_unknown(name, " to fetch", ENTRIES))
    return ENTRIES[name]


def known(name: str) -> Entry | LocalSet:
    """The data set of this name, whether it can be downloaded or not.

    Raises:
        UnknownDataError: there is none; the message suggests the nearest name.
    """
    if name not in ENTRIES and name not in LOCAL_SETS:
        raise UnknownDataError(_unknown(name, "", [*ENTRIES, *LOCAL_SETS]))
    return ENTRIES.get(name) or LOCAL_SETS[name]


def _unknown(name: str, purpose: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"There is no data set '{name}'{purpose}.{hint} There are {', '.join(names)}."


def file_in(entry: Entry, folder: Path, name: str) -> Path | None:
    """The data set's file ``name`` in this folder, plain or (where the data set comes so) gzipped; None if absent."""
    plain, gzipped = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return plain
    return gzipped if not entry.archive and gzipped.is_file() else None


def find(name: str, *, root: Path = DATA) -> Path | None:
    """The folder of this machine that holds all files of a data set, or at least one class of a local one.

    Only looks whether the files or folders exist: whoever reads them checks what is in them.

    Args:
        name: of the catalogue.
        root: the data folder; it goes before folders of installed packages.

    Returns:
        The folder, or None if the data set is not on this machine.

    Raises:
        UnknownDataError: for a name that the catalogue lacks.
        DataError: for a link in its place that leads nowhere.
    """
    entry = known(name)
    if isinstance(entry, LocalSet):
        folder = Path(root) / entry.name
        return folder if has_classes(folder) else None
    check_links(folders(entry, root=root))
    for folder in folders(entry, root=root):
        if all(file_in(entry, folder, file) for file in entry.files):
            return folder
    return None


def folders(entry: Entry, *, root: Path) -> list[Path]:
    """Where a data set may lie, the preferred place first."""
    system = [prefix / entry.system_folder for prefix in SYSTEM_PREFIXES] if entry.system_folder else []
    return [Path(root) / entry.folder, *system]


def how_to_get(name: str, *, root: Path = DATA) -> str:
    """What to do to have this data set: a sentence for error messages.

    Raises:
        UnknownDataError: for a name that the catalogue lacks.
    """
    entry = known(name)
    if isinstance(entry, LocalSet):
        return f"{entry.reason}; put {entry.images} into {describe_where(root)}/{entry.name} as {LAYOUT}."
    command = f"python -m helpers.data fetch {entry.name}"
    return f"Fetch it once with `{command}` ({entry.size / 1e6:.0f} MB), or {by_hand(entry, root=root)}."


def by_hand(entry: Entry, *, root: Path) -> str:
    """How to get a data set without `fetch`."""
    files = ", ".join(entry.files if entry.archive else [download.file for download in entry.downloads])
    text = f"put {files} into {describe_where(root)}/{entry.folder}"
    return f"{text}, or install Debian's package {entry.package}" if entry.package else text


def describe_where(path: Path) -> str:
    """A folder as reports name it: readers recognise it, and it says nothing about how this machine is laid out.

    Paths inside the project are relative to its root, those in a data folder elsewhere begin with WORKBOOK_DATA; where
    a package has put a data set, the package is named; of any other path only the last part is left.
    """
    # No Path.resolve(): a link inside the project should keep the name that the project gives it.
    path = Path(os.path.abspath(path))
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).as_posix()
    if path.is_relative_to(DATA):
        return (Path("WORKBOOK_DATA") / path.relative_to(DATA)).as_posix()
    return _package_of(path) or path.name


def _package_of(path: Path) -> str:
    """The package that put a data set into this folder, in words; "" if it is none of theirs."""
    for entry in ENTRIES.values():
        if entry.system_folder and path == Path("/usr") / entry.system_folder:
            return f"Debian's package {entry.package}"
        if entry.system_folder and path in folders(entry, root=DATA):
            return f"{entry.system_folder} of an installed package"
    return ""
