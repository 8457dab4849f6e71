"""What a run used, told by its kernel: a run is good as long as all of that is as it was.

The kernel executes `BEFORE` ahead of a notebook's first cell and `after` behind its last one; a failed or killed run
leaves no stamp. In between an audit hook notes which files are opened and which folders are listed, however that comes
about: an import inside a function, ``importlib``, ``%run``, a JSON file that a module reads. What only looks whether a
place is there, or reads it by other code than Python's, says so with `helpers.files.note`.

Not seen are files that a library in another language opens, unless they are noted or their folder is listed; what other
programs read, but for the files that they are started with; environment variables; and the device: results computed on
a GPU stay good on a machine without one, and each report says where its own were computed.
"""

import ast
import fcntl
import json
import os
import re
import site
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import blake2b
from importlib import metadata
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

from helpers import DATA, ROOT

BEFORE = f"__import__({__name__!r}, fromlist=['']).begin()"
"""What a kernel executes before the first cell; it leaves no name there."""
ABSENT = "absent"
CHANGED = "changed while it ran"
"""The state of what never is good again: nobody knows which of its states the run has seen."""

_SMALL = 2**20
_MANY = 50
"""Bytes up to which a file counts by its content, and files of one folder up to which each counts by itself."""
_PATTERN = "//"
"""Between a folder and the pattern of the names in it that count; no path has it."""
_STARTS = {"subprocess.Popen": 1, "os.exec": 1, "os.posix_spawn": 1, "os.system": 0}
"""Events of programs that are started, and which of their arguments is the command."""
_HEARD = {"open", "os.rename", "os.listdir", "os.scandir", "sqlite3.connect", "workbook.note", *_STARTS}
_STDLIB = (sysconfig.get_path("stdlib") + os.sep, "<frozen")

Kinds = dict[str, dict[str, str]]
"""What something depends on: kind -> name -> state, in texts that JSON can hold."""
_Seen = dict[str, dict[str, int]]
"""Place -> what was done to it ("read", "list", "note", "write") -> when first, in nanoseconds."""


def after(file: Path) -> str:
    """What a kernel executes after the last cell: it writes its part of the stamp into a file, as JSON.

    That are the kinds "files" and "data", with the states of `state`, and "libraries", with their versions.
    """
    return f"__import__({__name__!r}, fromlist=['']).leave({str(file)!r})"


def begin() -> None:
    """Notes what is opened from now on, in forked processes as well."""
    global _kernel
    _kernel = _Kernel()
    sys.addaudithook(_kernel.hear)


def leave(file: str) -> None:
    """Writes what has been used since `begin`."""
    Path(file).write_text(json.dumps(_kernel.used()), encoding="utf-8")


def state(name: str, root: Path) -> str:
    """The state of a file or folder of a stamp, as it is now.

    Args:
        name: as the stamp has it.
        root: the folder that notebooks are run in.

    Returns:
        `ABSENT`, also where no name fits the pattern; of Python's sources a hash of what they do, of other small files
        one of their content, of large ones size and time; of folders a hash of what is in them, by names, sizes and
        times.
    """
    place, _, pattern = name.partition(_PATTERN)
    first, _, rest = place.partition("/")
    path = _places(root)[first] / rest
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

    Args:
        source: of a module, or of a cell: there a text that stands alone is shown, a semicolon at the end hides a
            value, and what isn't plain Python, as IPython's magics, counts as it is written.
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
        self._begun = time.time_ns()
        self._root, self._search = Path.cwd(), list(sys.path)
        self._loaded = _packages()
        self._pid = os.getpid()
        self._told: set[tuple[str, str]] = set()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - which forked processes share
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)

    def hear(self, event: str, arguments: tuple) -> None:
        """The audit hook. Python calls it for nearly everything, so it is quick, and it raises nothing."""
        if event not in _HEARD:
            return
        with suppress(Exception):
            if event == "open":
                path, _, flags = arguments
                writes = flags & (os.O_WRONLY | os.O_RDWR)
                if writes != os.O_WRONLY and not flags & (os.O_TRUNC | os.O_EXCL):
                    self._tell("read", path)
                if writes:
                    self._tell("write", path)
            elif event == "os.rename":
                self._tell("write", arguments[1])
            elif event in _STARTS:
                self._start(arguments[_STARTS[event]], arguments[2] if event == "subprocess.Popen" else None)
            elif event == "sqlite3.connect":
                self._tell("read", arguments[0])
            elif event == "workbook.note":
                self._tell("note", *arguments)
            elif not _is_search(sys._getframe(1), arguments[0] or "."):
                self._tell("list", arguments[0] or ".")

    def _start(self, command: Any, folder: Any) -> None:
        """Notes the files that a program is started with: nothing is heard of what else it reads."""
        for part in map(os.fsdecode, [command] if isinstance(command, str | bytes) else command):
            for word in [part, *re.findall(r"[^\s'\"|&;<>()]+", part)]:
                if os.path.isfile(path := os.path.join(os.fsdecode(folder or ""), word)):
                    self._tell("read", path)

    def _tell(self, what: str, path: Any, pattern: str = "") -> None:
        if isinstance(path, int):  # a file that is open already
            return
        place = os.path.abspath(os.fsdecode(path)) + (pattern and f"{_PATTERN}{pattern}")
        if (what, place) not in self._told:
            self._told.add((what, place))
            line = json.dumps([what, place, time.time_ns()]).encode() + b"\n"
            try:
                os.write(self._log.fileno(), line)
            except OSError:  # a forked process may have closed all its files, as IPython's do for "!cat table.txt"
                with open(f"/proc/{self._pid}/fd/{self._log.fileno()}", "ab") as log:
                    log.write(line)

    def used(self) -> Kinds:
        """The kernel's part of the stamp."""
        seen = self._seen()
        written = {place for place, when in seen.items() if "write" in when}
        written |= {os.path.dirname(place) for place in written}
        found: Kinds = {"files": {}, "data": {}}
        inputs = _inputs(seen, self._root)
        for place in _before_modules(inputs, self._root):
            inputs.setdefault(place, {"read": self._begun})
        for place, when in sorted(inputs.items()):
            name = _name(place, self._root)
            kind = "data" if "note" in when or name.partition("/")[0] == "data" else "files"
            has_changed = place not in written and _has_changed_since(place, min(when.values()))
            shown = name.encode(errors="backslashreplace").decode()
            found[kind][shown] = CHANGED if has_changed or shown != name else state(name, self._root)
        sys.path[:] = self._search  # as the command has it, which looks for the same libraries later
        return {**found, "libraries": versions(_distributions(_packages() - self._loaded, self._root))}

    def _seen(self) -> _Seen:
        self._log.seek(0)
        seen: _Seen = {}
        for line in self._log.read().splitlines():
            what, place, when = json.loads(line)
            if place.endswith(".pyc"):
                if what == "write":
                    continue
                with suppress(ValueError):
                    place = source_from_cache(place)
            seen.setdefault(place, {}).setdefault(what, when)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and os.path.isabs(file):
                seen.setdefault(file, {}).setdefault("read", self._begun)
        del seen[__file__]
        return seen


def _inputs(seen: _Seen, root: Path) -> _Seen:
    """What of the places that were seen decides what the run gives."""
    noted = {place.partition(_PATTERN)[0] for place, when in seen.items() if "note" in when}
    foreign, kept = _foreign(root)
    search = {os.path.abspath(folder) for folder in sys.path}
    inputs: _Seen = {}
    for place, when in seen.items():
        is_own = when.get("write", sys.maxsize) <= min(when.values())
        if "note" not in when and (is_own or place in noted or (_below(place, foreign) and not _below(place, kept))):
            continue
        is_absent_temporary = not os.path.exists(place) and (not _below(place, (root, DATA)) or place in search)
        is_only_opened = os.path.isdir(place) and "list" not in when
        if "note" in when or not (is_absent_temporary or is_only_opened):
            inputs[place] = {what: at for what, at in when.items() if what != "write"}
    return _summed_up(inputs)


def _summed_up(inputs: _Seen) -> _Seen:
    """Without files that count with their folder: it was listed, or many of its files were opened."""
    folder_of = {place: os.path.dirname(place) for place in inputs if _is_summed_up(place)}
    many = {folder for folder, count in Counter(folder_of.values()).items() if count > _MANY}
    summed: _Seen = {}
    for place, when in inputs.items():
        folder = folder_of.get(place, "")
        if "note" in when or not (folder in many or "list" in inputs.get(folder, {})):
            summed.setdefault(place, {}).update(when)
        else:
            first = summed.setdefault(folder, dict(inputs.get(folder, {})))
            first["list"] = min(first.get("list", sys.maxsize), *when.values())
    return summed


def _before_modules(inputs: _Seen, root: Path) -> Iterator[str]:
    """Where files would be imported in the place of modules of one's own: folders that are searched before theirs."""
    foreign, _ = _foreign(root)
    folders = [folder for folder in map(os.path.abspath, sys.path) if os.path.isdir(folder)]
    folders = [folder for folder in folders if not _below(folder, foreign)]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or name == "__main__" or file not in inputs:
            continue
        for folder in folders:
            places = [os.path.join(folder, name, "__init__.py"), os.path.join(folder, f"{name}.py")]
            yield from (place for place in places[: places.index(file) if file in places else 2])
            if file in places:
                break


def _is_summed_up(place: str) -> bool:
    name = os.path.basename(place)
    return not (name.endswith(".py") or name.startswith(".") or _PATTERN in place or os.path.isdir(place))


def _has_changed_since(place: str, when: int) -> bool:
    """Whether a file, or a folder or a file in it, is another than it was; by the one time that nobody sets."""
    path, _, pattern = place.partition(_PATTERN)
    with suppress(OSError):
        files = [os.path.join(path, name) for name, size, _ in _listed(Path(path), pattern) if size >= 0]
        return any(os.stat(file).st_ctime_ns > when for file in [path, *files])
    return False


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


def _is_search(frame: Any, folder: Any) -> bool:
    """Whether a folder is listed in search of modules, or of what belongs to a library, in vain."""
    if "importlib" in frame.f_code.co_filename:
        return True
    while frame.f_back and frame.f_code.co_filename.startswith(_STDLIB):
        frame = frame.f_back
    return "-packages" in frame.f_code.co_filename and not os.path.exists(folder)


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _distributions(packages: Iterable[str], root: Path) -> set[str]:
    """What pip calls packages, but for those that lie in the project."""
    foreign, _ = _foreign(root)
    known = metadata.packages_distributions()
    found = set()
    for package in packages:
        file = getattr(sys.modules.get(package), "__file__", None)
        if not isinstance(file, str) or _below(file, foreign) or not _below(file, (root, ROOT)):
            found.update(known.get(package, []))
    return found


def _foreign(root: Path) -> tuple[list[Path], list[Path]]:
    """Folders of Python, the system, Jupyter and caches, whose files count by their library's version or not at all;
    and folders in them whose files count all the same."""
    home = Path(os.path.expanduser("~"))
    caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    python = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    system = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/lib", "/usr/lib", "/usr/lib64", "/usr/share"]
    system += ["/proc", "/sys", "/dev", "/etc", "/run"]
    jupyter = [home / ".ipython", home / ".jupyter", home / ".local/share/jupyter"]
    folders = map(Path, [*python, *system, *jupyter, sys.prefix, sys.base_prefix, caches, DATA / "cache"])
    foreign = [folder for folder in folders if folder not in (Path("/usr"), Path("/usr/local"))]
    # A project may lie in Python's folder, as it does in some containers.
    foreign = [folder for folder in foreign if not any(own.is_relative_to(folder) for own in (root, ROOT, DATA))]
    return foreign, [caches / "torch", caches / "huggingface" / "hub"]


def _below(place: str, folders: Iterable[Path]) -> bool:
    # By text: a run may open a hundred thousand images.
    return any(f"{place}{os.sep}".startswith(f"{folder}{os.sep}") for folder in folders)


def _places(root: Path) -> dict[str, Path]:
    """Folders of this machine, and what stamps call them; the first that fits counts.

    "outside" holds links to all others: a stamp is handed on, and doesn't tell where this machine keeps its files.
    """
    home = Path(os.path.expanduser("~"))
    return {"data": DATA, "helpers": ROOT / "helpers", ".": root, "~": home, "outside": DATA / "cache" / "outside"}


def _name(place: str, root: Path) -> str:
    """What a stamp calls a path."""
    path, separator, pattern = place.partition(_PATTERN)
    for first, folder in _places(root).items():
        if _below(path, [folder]):
            return "/".join([first, *Path(path).relative_to(folder).parts]) + separator + pattern
    folder = Path(path).parent
    link = _places(root)["outside"] / f"{folder.name}-{digest(str(folder))}"
    with suppress(OSError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
    return f"outside/{link.name}/{Path(path).name}{separator}{pattern}"


def _is_text(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)
