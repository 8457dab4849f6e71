"""What pip installs is enough: in a folder that holds nothing, notebooks find all that they and their reports read."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT

LOOK = """
import sys, helpers
from helpers import record
from helpers.report import cli, render, workspace
assert helpers.DATA == helpers.ROOT / "data", helpers.DATA
record.reported("S3")
assert "he2016" in render.BIBLIOGRAPHY.read_text(encoding="utf-8")
workspace.chosen_language(workspace.ROOT, "fa")
sys.exit(cli.main(["--list"]))
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_workbook_runs_from_a_wheel_in_an_empty_folder(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    source, site, work = (tmp_path / name for name in ("source", "site", "work"))
    for name in ("helpers", "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    wanted = {*files(source / "helpers"), *(name for name in files(source) if name.startswith("notebooks/"))}
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)
    assert wanted <= files(site / "helpers")
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "WORKBOOK_DATA": "", "PYTHONUTF8": "1"}
    run = [sys.executable, "-c", LOOK]
    listed = subprocess.run(run, cwd=work, env=environment, capture_output=True, text=True, check=True).stdout
    assert all(path.stem in listed for path in (ROOT / "notebooks").glob("0*.ipynb"))
