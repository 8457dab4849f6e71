"""The benchmark that plants faults: on a small repository of its own, and whether its list fits the code."""

import ast
import importlib
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import ROOT

TESTS = ("tests/test_sums.py",)


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    """So that ``tests.benchmarks`` is found, whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def trial():
    return importlib.import_module("tests.benchmarks.planting.trial")


@pytest.fixture
def make_fault():
    fault = importlib.import_module("tests.benchmarks.planting.fault")

    def make(old: str, new: str):
        return fault.Fault("a wrong sum", "helpers/sums.py", old, new, TESTS)

    return make


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "helpers/__init__.py": "",
        "helpers/sums.py": "def add(a, b):\n    return a + b\n",
        "helpers/data/read.py": "",
        "tests/test_sums.py": (
            "from helpers.sums import add\n\n\n"
            "def test_nothing():\n    assert add(0, 0) == 0\n\n\n"
            "def test_three():\n    assert add(1, 2) == 3\n"
        ),
        "tests/data/test_read.py": "",
        "data/large.bin": "",
        "helpers/__pycache__/sums.pyc": "",
        ".gitignore": "/data/\n__pycache__/\n",
    }
    for name, content in files.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "repository"


def sources(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {
    ".gitignore",
    "helpers/__init__.py",
    "helpers/sums.py",
    "helpers/data/read.py",
    "tests/test_sums.py",
    "tests/data/test_read.py",
}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_copy_has_what_git_tracks_or_would_track(trial, repository, tmp_path):
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    (repository / "tracked").touch()
    subprocess.run(["git", "-C", repository, "add", "tracked"], check=True)
    (repository / "tracked").unlink()
    trial.copy_sources(repository, tmp_path / "copy")
    assert sources(tmp_path / "copy") == EXPECTED


def test_a_copy_without_git_leaves_out_what_runs_have_written(trial, repository, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    trial.copy_sources(repository, tmp_path / "copy")
    assert sources(tmp_path / "copy") == EXPECTED


def test_a_fault_is_caught_or_survives_and_is_taken_out_again(trial, repository, make_fault):
    trial.check_import(repository)
    with trial.planted(repository, make_fault("a + b", "a - b")):
        assert trial.first_failure(repository, TESTS) == "tests/test_sums.py::test_three"
    with trial.planted(repository, make_fault("a + b", "b + a")):
        assert trial.first_failure(repository, TESTS) == ""
    assert (repository / "helpers/sums.py").read_text() == "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("old", "new"), [("a + b", "a +"), ("def add", "def plus")])
def test_code_that_cannot_be_imported_counts_for_nothing(trial, repository, make_fault, old, new):
    with trial.planted(repository, make_fault(old, new)), pytest.raises(trial.PlantingError, match="ended with 2"):
        trial.first_failure(repository, TESTS)


@pytest.mark.parametrize(("old", "count"), [("a * b", 0), ("add", 1), ("a", 3)])
def test_a_fault_has_one_place(trial, repository, make_fault, old, count):
    fault = make_fault(old, "")
    if count == 1:
        with trial.planted(repository, fault):
            assert "add" not in (repository / "helpers/sums.py").read_text()
        return
    with (
        pytest.raises(trial.PlantingError, match=rf"helpers/sums.py has this text {count} times"),
        trial.planted(repository, fault),
    ):
        pass


def test_a_copy_whose_helpers_are_not_imported_is_refused(trial, tmp_path):
    with pytest.raises(trial.PlantingError, match="not imported"):
        trial.check_import(tmp_path)


def test_every_fault_fits_the_code_and_is_recorded():
    faults = importlib.import_module("tests.benchmarks.planting.faults").FAULTS
    recorded = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    assert len({fault.name for fault in faults}) == len(faults) >= 20
    for fault in faults:
        source = (ROOT / fault.file).read_text(encoding="utf-8")
        assert source.count(fault.old) == 1 and fault.new != fault.old, fault.name
        if fault.file.endswith(".py"):
            ast.parse(source.replace(fault.old, fault.new))
        assert all((ROOT / test.partition("::")[0]).is_file() for test in fault.tests), fault.name
        assert f"| {fault.name} | `{fault.file}` |" in recorded, fault.name


def test_an_unknown_name_is_refused(trial):
    benchmark = importlib.import_module("tests.benchmarks.planted_faults")
    with pytest.raises(trial.PlantingError, match="no fault 'nonsense'"):
        benchmark.main(["--only", "nonsense"])
