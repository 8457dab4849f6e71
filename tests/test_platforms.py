"""Windows and macOS, where no test runs: what only Linux has is looked for in the code, and hidden from it."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import jedi
import nbformat
import pytest
from PIL import Image

from helpers import ROOT
from helpers.report import clean

MODULES = ("fcntl", "grp", "mmap", "os", "pwd", "resource", "select", "signal", "termios", "time")
ALLOWED = {  # behind a question whether it is there, or which system it is
    "helpers/report/watch.py": {"os.killpg", "signal.SIGKILL"},
    "helpers/storage.py": {"mmap.MAP_PRIVATE", "mmap.PROT_READ", "mmap.PROT_WRITE", "os.posix_fallocate"},
    "helpers/train/processes.py": {"signal.SIG_BLOCK", "signal.SIG_UNBLOCK", "signal.pthread_sigmask"},
}
UNTOLD = "a text without its encoding"
ELSEWHERE = """
import builtins, os, sys, types, warnings

REAL, HIDDEN, INSTEAD = builtins.__import__, @HIDDEN@, {"os.name": "nt", "sys.platform": "win32"}


class Elsewhere(types.ModuleType):
    def __getattr__(self, name):
        if f"{self.__name__}.{name}" in HIDDEN:
            raise AttributeError(f"there is no {self.__name__}.{name} on Windows")
        return INSTEAD.get(f"{self.__name__}.{name}", getattr(sys.modules[self.__name__], name))


def find(name, names=None, *more, **named):
    module, asks = REAL(name, names, *more, **named), str((names or {}).get("__name__"))
    is_ours = asks.startswith(("helpers", "__main__")) and name in ("sys", *@MODULES@)
    return Elsewhere(name) if is_ours else module


def keep_open(event, arguments):
    if event in ("os.rename", "os.remove") and arguments[-1] == -1:
        ours = set(map(os.path.realpath, map("/proc/self/fd/{}".format, range(3, 200)))) | {
            line.split(maxsplit=5)[-1].strip() for line in open("/proc/self/maps", encoding="utf-8")}
        if taken := ours & set(map(os.path.realpath, arguments[: 1 + (event == "os.rename")])):
            raise PermissionError(13, "open elsewhere", min(taken))


builtins.__import__ = find
sys.addaudithook(keep_open)
warnings.filterwarnings("error", category=EncodingWarning, module="helpers|__main__")
"""
"""What a Python executes as it starts: for the workbook's code the system is another from then on."""


def names(body: Iterable[ast.stmt], platform: str) -> Iterator[str]:
    """What a module has on a platform, from its stub."""
    for each in body:
        if isinstance(each, ast.If):
            about = {"sys": SimpleNamespace(platform=platform, version_info=sys.version_info)}
            yield from names(each.body if eval(ast.unparse(each.test), about) else each.orelse, platform)
        elif isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            yield from (target.id for target in getattr(each, "targets", None) or [each.target])


def only_here() -> set[str]:
    """What modules have on Linux, and not on both others: from typeshed's stubs, which come with IPython."""
    found, stubs = set(), Path(jedi.__file__).parent / "third_party" / "typeshed" / "stdlib"
    for module in MODULES:
        file = next(file for file in (stubs / f"{module}.pyi", stubs / module / "__init__.pyi") if file.is_file())
        body = ast.parse(file.read_text(encoding="utf-8")).body
        here, *others = ({*names(body, platform)} for platform in ("linux", "win32", "darwin"))
        found |= {f"{module}.{name}" for name in here - set.intersection(*others)}
    return found


def used(tree: ast.Module) -> set[str]:
    """What code takes from modules, by their own names, and texts that it would read in the machine's own encoding."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text"):
            found |= {UNTOLD} - {UNTOLD for keyword in node.keywords if keyword.arg == "encoding"}
    return found


def test_what_only_linux_has_is_used_nowhere_but_behind_a_question():
    found, wrong = {}, only_here() | {UNTOLD}
    for path in [*(ROOT / "helpers").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        source = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = nbformat.reads(source, as_version=4).cells
            source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        found[path.relative_to(ROOT).as_posix()] = used(ast.parse(source)) & wrong
    assert {name: uses for name, uses in found.items() if uses} == ALLOWED


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="hides what Linux has")
def test_a_notebook_becomes_a_report_as_on_windows_and_in_the_locale_and_terminal_of_long_ago(tmp_path):
    """Nothing that is open is renamed or removed; the notebook and the images' folder, a parameter, have odd names."""
    name, images = "03_شکل–é", tmp_path / "تصویر ها"
    for number, animal in enumerate(("گربه", "سگ", "اسب")):
        (images / animal).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (16, 16), (80 * number, 10 * i, 9 * i)).save(images / animal / f"{i}.png")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for template in [*(tmp_path / "notebooks").rglob("template.*")]:
        template.rename(template.with_stem(name))
    hidden = ELSEWHERE.replace("@HIDDEN@", repr(only_here())).replace("@MODULES@", repr(MODULES))
    (tmp_path / "sitecustomize.py").write_text(hidden, encoding="utf-8")
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    places = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "WORKBOOK_DATA": str(tmp_path / "data")}
    chosen = [name, "--profile", "smoke", "-p", "NUM_CLASSES", "3", "-p", "DATASET", f"folder:{images}"]
    command = "from pathlib import Path; from helpers.report.cli import main; raise SystemExit(main(root=Path.cwd()))"
    run = [sys.executable, "-c", command, *chosen]
    environment = {**os.environ, **old, **places, "PYTHONWARNDEFAULTENCODING": "1"}
    answer = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True)
    assert answer.returncode == 0 and b"03_" in answer.stdout and answer.stdout.isascii(), answer.stderr.decode()
    assert "تصویر ها" in (tmp_path / f"reports/smoke/{name}.html").read_text(encoding="utf-8")
    assert [path.suffix for path in (tmp_path / "data/cache").iterdir() if path.is_file()] == [".npy"], "kept at once"


def test_the_home_of_windows_stays_private_however_it_is_written(monkeypatch):
    monkeypatch.setattr(clean, "ROOT", PureWindowsPath(r"C:\Users\sara\workbook"))
    monkeypatch.setenv("HOME", "/elsewhere")  # what is known of the machine is looked up for each home
    for text in (r"C:\Users\sara\workbook\x", "C:/Users/sara/workbook/x", repr(r"C:\Users\sara\workbook\x")):
        assert "sara" not in clean.private(f"folder:{text}") and clean.private(text).strip("\\'") == "x"
