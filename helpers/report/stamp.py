"""What a run used, told by its kernel: a run is good as long as all of that is as the run has found it.

The kernel executes `BEFORE` ahead of a notebook's first cell and `after` behind its last one; a failed or killed run
leaves no stamp. In between an audit hook notes the state of each file that is opened and each folder that is listed,
however that comes about: an import inside a function, ``importlib``, ``%run``, a JSON file that a module reads. What
only looks whether a place is there, or reads it by other code than Python's, says so with `helpers.files.note`.

Not seen are files that other programs and processes read, or a library in another language, unless they are noted or
their folder is listed; a new module that would be imported in place of another; environment variables; and the device:
results computed on a GPU stay good on a machine without one, and each report says where its own were computed.
"""

import ast
import glob
import json
import os
import site
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from importlib import metadata, util
from pathlib import Path
from typing import Any

from helpers import DATA, PACKAGE, ROOT

Stamp = dict[str, str]
"""What something depends on, by name -> its state: "data/table.csv" -> a hash, "library torch" -> "2.8.0" …"""
LIBRARY = "library "
"""So the names of libraries begin, and of Python; other names of `state` are paths."""
ABSENT = "absent"
HASH = "#"
"""The first character of states that tell a reader nothing."""
BEFORE = f"__import__({__name__!r}, fromlist=['']).begin()"
"""What a kernel executes before the first cell; it leaves no name there."""

_SMALL = 2**20
"""Bytes up to which a file counts by its content."""
_HEARD = {"open", "os.rename", "os.listdir", "os.scandir", "workbook.note"}


def after(file: Path) -> str:
    """What a kernel executes after the last cell: it writes its part of the stamp into a file, as JSON."""
    return f"__import__({__name__!r}, fromlist=['']).leave({str(file)!r})"


def begin() -> None:
    """Notes what is used from now on."""
    global _kernel
    _kernel = _Kernel()
    sys.addaudithook(_kernel.hear)


def leave(file: str) -> None:
    """Writes what has been used since `begin`."""
    Path(file).write_text(json.dumps(_kernel.used()), encoding="utf-8")


def state(name: str, root: Path) -> str:
    """The state of a library, file or folder of a stamp, as it is now; `ABSENT` also where no name fits a pattern.

    Of libraries it is the version. Of Python's sources it is a hash of what they do, of other small files one of their
    content, of large ones one of size and time; of folders a hash of what is in them and isn't hidden, by names, sizes
    and times.
    """
    if name.startswith(LIBRARY):
        return _version(name.removeprefix(LIBRARY))
    first, _, rest = name.partition("/")
    places = _places(root)
    return _found(str(places[first] / rest if first in places else root / name))


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
    # SystemError: of Python 3.11, where two threads do this at a time.
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return source.strip()


def digest(*parts: str | bytes) -> str:
    """A short hash."""
    hashed = blake2b(digest_size=8)
    for part in parts:
        hashed.update((part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part) + b"\0")
    return HASH + hashed.hexdigest()


def tree(folder: Path, pattern: str = "*") -> str:
    """A hash of the files below a folder whose names fit, for whoever must have the same."""
    files = sorted(file for file in folder.rglob(pattern) if file.is_file() and "__pycache__" not in file.parts)
    return digest(*(part for file in files for part in (file.relative_to(folder).as_posix(), file.read_bytes())))


class _Kernel:
    """Listens to a kernel, and keeps the states in which it found what it used."""

    def __init__(self) -> None:
        self._root, self._search, self._loaded = Path.cwd(), list(sys.path), _packages()
        self._foreign = _foreign(self._root)
        self._found: dict[str, str] = {}  # place -> its state when it was first opened, listed or noted
        self._noted: set[str] = set()
        self._written: set[str] = set()
        self._looking = threading.local()
        self._use_modules()

    def hear(self, event: str, arguments: tuple) -> None:
        """The audit hook. Python calls it for nearly everything, so it is quick, and it raises nothing."""
        if event in _HEARD and not hasattr(self._looking, "at"):
            self._looking.at = event  # what this thread opens meanwhile, it opens to look
            try:
                self._note(event, arguments)
            except Exception:
                pass  # whoever called Python so gets its error
            finally:
                del self._looking.at

    def _note(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR)
            reads = writes != os.O_WRONLY and not flags & (os.O_TRUNC | os.O_EXCL)
            if reads and not os.path.isdir(path):
                self._use(path)
            if writes:
                self._written.add(_place(path))
        elif event == "os.rename":
            self._written.add(_place(arguments[1]))
        elif event == "workbook.note":
            self._noted.add(_place(arguments[0]))
            self._use(os.path.join(*arguments), is_noted=True)
        # Python itself looks for modules everywhere, and of a place that is noted only that counts.
        elif "importlib" not in sys._getframe(2).f_code.co_filename and _place(arguments[0] or ".") not in self._noted:
            self._use(arguments[0] or ".")

    def used(self) -> Stamp:
        """The kernel's part of the stamp."""
        self._use_modules()
        for folder in self._found.keys() & {os.path.dirname(place) for place in self._written}:
            self._found[folder] = _found(folder)  # with what the run itself has written there
        stamp = {}
        for place, found in sorted(self._found.items()):
            # Files for a while, elsewhere, as other programs leave them behind for Python.
            if found == ABSENT or "*" in place or _below(place, (self._root, DATA)) or os.path.exists(place):
                stamp[_name(place, self._root)] = found
        sys.path[:] = self._search  # as the command has it, which looks for the same libraries later
        known = metadata.packages_distributions()
        libraries = {library for package in _packages() - self._loaded for library in known.get(package, [])}
        return stamp | {LIBRARY + library: _version(library) for library in sorted({*libraries, "python"})}

    def _use_modules(self) -> None:
        """Also those that were imported before, or in other ways than from files that Python opens."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and os.path.isabs(file) and file != __file__:
                self._use(file)

    def _use(self, path: Any, *, is_noted: bool = False) -> None:
        """Keeps the state of a place when it is used first, if it decides what the run gives."""
        place = _place(path)
        if place.endswith(".pyc"):
            with suppress(ValueError):  # there is no source
                place = util.source_from_cache(place)
        if place in self._found or place in self._written:
            return
        # A folder that was listed counts for the files in it.
        folder, name = os.path.split(place)
        if folder in self._found and not name.startswith(".") and not os.path.isdir(place):
            return
        if is_noted or not _below(place, self._foreign) or _below(place, [PACKAGE]):
            self._found[place] = _found(place)


def _place(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))


def _found(place: str) -> str:
    """The state of a place."""
    folder, pattern = (place, "*") if os.path.isdir(place) else os.path.split(place)
    try:
        if "*" in pattern:
            names = sorted({*glob.glob(pattern, root_dir=folder)} - {"__pycache__"})
            return digest(*(_listed(folder, name) for name in names)) if names or folder == place else ABSENT
        if os.path.isfile(place):
            content, status = Path(place), os.stat(place)
            if place.endswith(".py"):
                return digest(does(content.read_text(encoding="utf-8", errors="surrogateescape")))
            if status.st_size <= _SMALL:
                return digest(content.read_bytes())
            return digest(f"{status.st_size} {status.st_mtime_ns}")
    except OSError:  # it may not be read
        pass
    return ABSENT


def _listed(folder: str, name: str) -> str:
    """What counts of something in a folder: of files size and time, too."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return name
    status = os.stat(path)
    return f"{name} {status.st_size} {status.st_mtime_ns}"


def _version(library: str) -> str:
    """Python's version, or that of a distribution that pip knows."""
    if library == "python":
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ABSENT


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _foreign(root: Path) -> list[Path]:
    """Folders of Python, the system, Jupyter and caches: their files count by their library's version, or not at all.

    Weights in caches count all the same: whoever looks for them notes it.
    """
    home = Path(os.path.expanduser("~"))
    caches = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    python = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), site.getusersitepackages()]
    system = ["/lib", "/usr/lib", "/usr/share", "/proc", "/sys", "/dev", "/etc", "/run", "/System"]
    system.append(os.environ.get("SYSTEMROOT", "/etc"))
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
    # What isn't UTF-8 is found nowhere under its name later: such a notebook runs each time.
    place = place.encode(errors="backslashreplace").decode()
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
