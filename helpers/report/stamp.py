"""What a run used, told by its kernel: a run is good as long as all of that is as it was.

The kernel executes `BEFORE` ahead of a notebook's first cell and `after` behind its last one; a failed or killed run
leaves no stamp. In between an audit hook notes which files are opened and which folders are listed, however that comes
about: an import inside a function, ``importlib``, ``%run``, a JSON file that a module reads. What only looks whether a
place is there, or reads it by other code than Python's, says so with `helpers.files.note`.

Not seen are files that other programs and processes read, or a library in another language, unless they are noted or
their folder is listed; a new module that would be imported in place of another; environment variables; and the device:
results computed on a GPU stay good on a machine without one, and each report says where its own were computed.
"""

import ast
import json
import os
import site
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import blake2b
from importlib import metadata
from operator import attrgetter
from pathlib import Path
from typing import Any

from helpers import DATA, PACKAGE, ROOT

BEFORE = f"__import__({__name__!r}, fromlist=['']).begin()"
"""What a kernel executes before the first cell; it leaves no name there."""
ABSENT = "absent"
CHANGED = "changed while it ran"
"""The state of what never is good again: nobody knows which of its states the run has seen."""

_SMALL = 2**20
"""Bytes up to which a file counts by its content."""
_HEARD = {"open", "os.rename", "os.listdir", "os.scandir", "workbook.note"}

Kinds = dict[str, dict[str, str]]
"""What something depends on: kind -> name -> state, in texts that JSON can hold."""


def after(file: Path) -> str:
    """What a kernel executes after the last cell: it writes its part of the stamp into a file, as JSON.

    That are the kinds "files", with the states of `state`, and "libraries", with their versions.
    """
    return f"__import__({__name__!r}, fromlist=['']).leave({str(file)!r})"


def begin() -> None:
    """Notes what is opened from now on."""
    global _kernel
    _kernel = _Kernel()
    sys.addaudithook(_kernel.hear)


def leave(file: str) -> None:
    """Writes what has been used since `begin`."""
    Path(file).write_text(json.dumps(_kernel.used()), encoding="utf-8")


def state(name: str, root: Path) -> str:
    """The state of a file or folder of a stamp, as it is now; `ABSENT` also where no name fits the pattern.

    Of Python's sources it is a hash of what they do, of other small files one of their content, of large ones size and
    time; of folders a hash of what is in them, by names, sizes and times.
    """
    first, _, rest = name.partition("/")
    places = _places(root)
    path, pattern = _folder(places[first] / rest if first in places else root / name)
    try:
        if path.is_dir():
            listed = [f"{name} {size} {changed}" for name, size, changed in sorted(_listed(path, pattern))]
            return digest(*listed) if listed or not pattern else ABSENT
        if path.suffix == ".py":
            return digest(does(path.read_text(encoding="utf-8", errors="surrogateescape")))
        status = path.stat()
        if status.st_size <= _SMALL:
            return digest(path.read_bytes())
        return f"{status.st_size} {status.st_mtime_ns}"
    except OSError:  # also a link in a circle
        return ABSENT


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Python's version and those of distributions that pip knows, "" for one that isn't there."""
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for library in sorted(set(libraries) - {"python"}):
        found[library] = ""
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found


def does(source: str, *, is_cell: bool = False) -> str:
    """The same text for sources that differ in comments, layout and docstrings only.

    In a cell a text that stands alone is shown, a semicolon at the end hides a value, and what isn't plain Python, as
    IPython's magics, counts as it is written.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\\d" and the like: whoever runs the code hears of it
            tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(body := getattr(node, "body", None), list) and not (is_cell and node is tree):
                node.body = [statement for statement in body if not _is_text(statement)]
        hides_value = is_cell and tree.body and source.rstrip().endswith(";")
        return "".join(map(ast.dump, tree.body)) + ";" * bool(hides_value)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source.strip()


def digest(*parts: str | bytes) -> str:
    """A short hash."""
    hashed = blake2b(digest_size=8)
    for part in parts:
        hashed.update((part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part) + b"\0")
    return hashed.hexdigest()


def tree(folder: Path, pattern: str = "*") -> str:
    """A hash of the files below a folder whose names fit, for whoever must have the same."""
    files = sorted(file for file in folder.rglob(pattern) if file.is_file() and "__pycache__" not in file.parts)
    return digest(*(part for file in files for part in (file.relative_to(folder).as_posix(), file.read_bytes())))


class _Kernel:
    """Listens to a kernel."""

    def __init__(self) -> None:
        self._root, self._search = Path.cwd(), list(sys.path)
        self._loaded, self._begun = _packages(), time.time_ns()
        self._used: dict[str, int] = {}  # place -> when it was first opened, listed or noted, in nanoseconds
        self._listed: set[str] = set()
        self._noted: set[str] = set()
        self._written: dict[str, int] = {}

    def hear(self, event: str, arguments: tuple) -> None:
        """The audit hook. Python calls it for nearly everything, so it is quick, and it raises nothing."""
        if event not in _HEARD:
            return
        with suppress(Exception):
            if event == "open":
                path, _, flags = arguments
                writes = flags & (os.O_WRONLY | os.O_RDWR)
                if writes != os.O_WRONLY and not flags & (os.O_TRUNC | os.O_EXCL):
                    _put(self._used, path)
                if writes:
                    _put(self._written, path)
            elif event == "os.rename":
                _put(self._written, arguments[1])
            elif event == "workbook.note":
                self._noted.add(_put(self._used, os.path.join(*arguments)))
            elif "importlib" not in sys._getframe(1).f_code.co_filename:  # which looks for modules everywhere
                self._listed.add(_put(self._used, arguments[0] or "."))

    def used(self) -> Kinds:
        """The kernel's part of the stamp."""
        changing = {*self._written, *map(os.path.dirname, self._written)}
        files = {}
        for place, when in sorted(self._inputs().items()):
            name = _name(place, self._root)
            has_changed = place not in changing and _has_changed_since(place, when)
            # A name that isn't UTF-8 is found nowhere later: its notebook runs each time.
            shown = name.encode(errors="backslashreplace").decode()
            files[shown] = CHANGED if has_changed else state(name, self._root)
        sys.path[:] = self._search  # as the command has it, which looks for the same libraries later
        known = metadata.packages_distributions()
        libraries = [library for package in _packages() - self._loaded for library in known.get(package, [])]
        return {"files": files, "libraries": versions(libraries)}

    def _inputs(self) -> dict[str, int]:
        """The places that decide what the run gives, and when each was first looked at.

        A folder that was listed counts for the files in it.
        """
        used = {place: when for place, when in self._used.items() if not place.endswith(".pyc")}
        for module in list(sys.modules.values()):  # also what was imported before, or from bytecode
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and os.path.isabs(file) and file != __file__:
                used.setdefault(file, self._begun)
        foreign = _foreign(self._root)
        noted = {str(_folder(Path(place))[0]) for place in self._noted}
        inputs: dict[str, int] = {}
        for place, when in used.items():
            if place not in self._noted:
                is_own = self._written.get(place, sys.maxsize) <= when
                is_temporary = not (os.path.exists(place) or _below(place, (self._root, DATA)))
                is_only_opened = place not in self._listed and os.path.isdir(place)
                is_librarys = _below(place, foreign) and not _below(place, [PACKAGE])
                if place in noted or is_own or is_temporary or is_only_opened or is_librarys:
                    continue
                if os.path.dirname(place) in self._listed and _is_summed_up(place):
                    place = os.path.dirname(place)
            inputs[place] = min(when, inputs.get(place, when))
        return inputs


def _put(first: dict[str, int], path: Any) -> str:
    """Keeps when a place was first met; of a file that is open already, by its number, nothing."""
    if isinstance(path, int):
        return ""
    place = os.path.abspath(os.fsdecode(path))
    first.setdefault(place, time.time_ns())
    return place


def _is_summed_up(place: str) -> bool:
    return not (place.endswith(".py") or os.path.basename(place).startswith(".") or os.path.isdir(place))


def _has_changed_since(place: str, when: int) -> bool:
    """Whether a file, or a folder or a file in it, is another than it was."""
    folder, pattern = _folder(Path(place))
    with suppress(OSError):
        files = [folder / name for name, size, _ in _listed(folder, pattern) if size >= 0]
        # The one time that nobody sets; on Windows it tells when a file was made.
        time_of = attrgetter("st_mtime_ns" if os.name == "nt" else "st_ctime_ns")
        return any(time_of(path.stat()) > when for path in [folder, *files])
    return False


def _folder(path: Path) -> tuple[Path, str]:
    """A folder and the pattern of the names in it that count; for any other place the place, and no pattern."""
    return (path.parent, path.name) if "*" in path.name else (path, "")


def _listed(folder: Path, pattern: str = "") -> Iterator[tuple[str, int, int]]:
    """Name, size and time of what isn't hidden in a folder; of folders and Python's sources in it only the name."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__pycache__")) or not fnmatch(entry.name, pattern or "*"):
                continue
            with suppress(OSError):  # a link that leads nowhere
                status = entry.stat()
                counts = entry.is_file() and not entry.name.endswith(".py")
                yield (entry.name, status.st_size, status.st_mtime_ns) if counts else (entry.name, -1, 0)


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _foreign(root: Path) -> list[Path]:
    """Folders of Python, the system, Jupyter and caches: their files count by their library's version, or not at all.

    Weights in caches count all the same: whoever looks for them notes it.
    """
    home = Path(os.path.expanduser("~"))
    caches = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    python = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), site.getusersitepackages()]
    system = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/lib", "/usr/lib", "/usr/lib64", "/usr/share"]
    system += ["/proc", "/sys", "/dev", "/etc", "/run", "/System", os.environ.get("SYSTEMROOT", "/etc")]
    jupyter = [home / ".ipython", home / ".jupyter", home / ".local/share/jupyter"]
    folders = map(Path, [*python, *system, *jupyter, caches, DATA / "cache"])
    # A project may lie in Python's folder, as it does in some containers, and data in the system's.
    places = (root, ROOT, DATA, Path("/usr/local"))
    return [folder for folder in folders if not any(place.is_relative_to(folder) for place in places)]


def _below(place: str, folders: Iterable[Path]) -> bool:
    # By text: a run may open a hundred thousand images.
    return any(f"{place}{os.sep}".startswith(f"{folder}{os.sep}") for folder in folders)


def _places(root: Path) -> dict[str, Path]:
    """Folders, and what stamps call them; all else is named as seen from ``root``. A stamp is handed on."""
    home = Path(os.path.expanduser("~"))
    return {"data": DATA, ".": root, "workbook": PACKAGE.parent, "~": home}


def _name(place: str, root: Path) -> str:
    """What a stamp calls a path."""
    for first, folder in _places(root).items():
        if _below(place, [folder]):
            return "/".join([first, *Path(place).relative_to(folder).parts])
    with suppress(ValueError):  # under Windows, on another drive
        place = os.path.relpath(place, root)
    return Path(place).as_posix()


def _is_text(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)
