"""Whatever a run has used demands another run when it changes, and the command names it; nothing else does."""

import json
import os
import py_compile
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from helpers.report import cli, cover, stamp
from helpers.report.incremental import look
from helpers.report.parameters import plan
from helpers.report.workspace import Settings, Workspace
from tests import command

pytestmark = pytest.mark.slow

CELLS = [
    "import kit\nkit.one()",
    "import importlib\nimportlib.import_module('kit.' + 'named').value",
    "import sys\nsys.path.insert(0, ELSEWHERE)\nimport elsewhere",
    "%run script.py",
    "exec(open('more.py').read())",
    "import library",
    "import os\nopen('own.txt', 'w').write('1')\nopen('own.txt').read()\n"
    "os.makedirs('own', exist_ok=True)\nos.listdir('own')\nopen('own/1.txt', 'w').write('1')",
    "import subprocess, tempfile\n"
    "with tempfile.TemporaryDirectory() as scratch:\n"
    "    subprocess.run([sys.executable, '-c', f'open({scratch + \"/x\"!r}, \"w\")'], check=True)\n"
    "    open(scratch + '/x').read()",
    "try:\n    open('options.json').read()\nexcept FileNotFoundError:\n    pass",
    "from helpers import DATA, data\n(DATA / 'table.csv').read_bytes()",
    "[file.name for file in (DATA / 'words').iterdir()]",
    "for _ in range(2):  # the second time from the cache of decoded images\n"
    "    data.load(DATASET, own='photographs', image_size=8)",
    "data.load('auto', own='three_animals', num_classes=2, train_per_class=4, test_per_class=2)",
    "from helpers.models import pretrained\npretrained.find('resnet18') is None",
    "from helpers import record\n"
    "record.reported('S9')\n"
    "record.numbers([record.Number('seed', 'Seed', float(SEED))], 'results', 'What the run gave.')",
]
LATE = """\
import subprocess, sys, kit.late
subprocess.run([sys.executable, "-c", "open('kit/late.py', 'a').write('x = 1')"], check=True)"""


FILES = {  # of the workbook, and around it
    "workbook/kit/__init__.py": "import json\nfrom pathlib import Path\n\n"
    "SETTINGS = json.loads((Path(__file__).parent / 'settings.json').read_text())\n\n\n"
    "def one():\n    from kit.lazy import slow\n\n    return slow()\n",
    "workbook/kit/lazy.py": 'FACTOR = 2\n\n\ndef slow():\n    """Slowly."""\n    return FACTOR\n',
    **dict.fromkeys(["workbook/kit/named.py", "workbook/kit/unused.py", "workbook/kit/late.py"], "value = 1\n"),
    "workbook/kit/settings.json": '{"a": 1}',
    "workbook/script.py": "print(1)\n",
    "workbook/more.py": "y = 1\n",
    "workbook/notebooks/reported/S9.yaml": "title: S9\nfigures: {}\nclaims: {one: {text: t, where: w}}\n",
    "elsewhere/elsewhere.py": "z = 1\n",
    "site/library/__init__.py": "",
    "site/library.dist-info/METADATA": "Metadata-Version: 2.1\nName: library\nVersion: 1.0\n",
    "site/library.dist-info/top_level.txt": "library\n",
    "data/table.csv": "1,2\n",
    "data/words/a.txt": "x",
    "data/weights/vgg19.pth": "x",
}


def write(folder: Path, file: str, content: str = "{}") -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(content)


def write_notebook(folder: Path, cells: list[str], *, name: str = "01_one", seed: int = 3) -> None:
    parameters = f'SEED = {seed}\nDATASET = "photographs"\nELSEWHERE = "{folder / "elsewhere"}"'
    command.write_notebook(folder / "workbook", name, *cells, parameters=parameters)


def says(folder: Path, *, name: str = "01_one", profile: str = "quick", threads: int = 1) -> list[str]:
    """Why a command would run a notebook or draw it anew; it does nothing."""
    workspace = Workspace(folder / "workbook")
    notebook = workspace.notebooks / f"{name}.ipynb"
    values, _ = plan(workspace, [notebook], profile=profile)
    run = workspace.run(profile, notebook, values[notebook])
    look([run], Settings(profile, formats=("html",), threads=threads, cover=cover.read(workspace.root, None)))
    return run.reasons or [f"drawn anew: {why}" for why in run.redraw]


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Iterator[Path]:
    """A workbook whose notebooks have run once, in a folder with its data and libraries."""
    folder = tmp_path_factory.mktemp("stamp")
    for name, content in FILES.items():
        write(folder, name, content)
    py_compile.compile(str(folder / "workbook/kit/late.py"))  # it is imported from its bytecode
    for number, name in product(range(12), ("cat", "dog")):
        path = folder / "data/photographs" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, len(name), 0)).save(path)
    write_notebook(folder, CELLS)
    write_notebook(folder, [LATE, CELLS[-1]], name="02_late")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(variable, raising=False)
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        patch.setenv("WORKBOOK_DATA", str(folder / "data"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(folder / "site"))
        patch.setattr(stamp, "DATA", folder / "data")
        assert cli.main(["--format", "html"], root=folder / "workbook") == 0
        yield folder


@pytest.fixture
def folder(executed) -> Iterator[Path]:
    """It; what a test changes is as it was when it ends."""
    kept = executed.with_name("kept")
    shutil.copytree(executed, kept, symlinks=True)  # with the files' times
    yield executed
    shutil.rmtree(executed)
    kept.rename(executed)


CHANGED = {  # what is named: a file, and what of it becomes what else
    "kit/lazy.py": ("workbook/kit/lazy.py", "FACTOR = 2", "FACTOR = 3"),
    "../elsewhere/elsewhere.py": ("elsewhere/elsewhere.py", "1", "2"),
    "script.py": ("workbook/script.py", "1", "2"),
    "more.py": ("workbook/more.py", "1", "2"),
    "kit/settings.json": ("workbook/kit/settings.json", "1", "2"),
    "notebooks/reported/S9.yaml": ("workbook/notebooks/reported/S9.yaml", "text: t", "text: u"),
    "data/table.csv": ("data/table.csv", "1,2", "2,1"),
    "library library: 1.0 → 1.1": ("site/library.dist-info/METADATA", "1.0", "1.1"),
}
NEW = {
    "options.json: absent → there": "workbook/options.json",
    "data/words": "data/words/b.txt",
    "data/three_animals: absent → there": "data/three_animals/train/cat/1.png",
    "data/weights/resnet18*: absent → there": "data/weights/resnet18-mine.pth",
    "../caches/torch/hub/checkpoints/resnet18*: absent → there": "caches/torch/hub/checkpoints/resnet18-1.pth",
}


def test_whatever_a_run_used_demands_another_one_and_is_named(folder):
    for file, old, new in CHANGED.values():
        write(folder, file, FILES[file].replace(old, new))
    for file in NEW.values():
        write(folder, file)
    (folder / "workbook/kit/named.py").unlink()
    (folder / "data/photographs/dog").rename(folder / "data/photographs/hound")
    photograph = folder / "data/photographs/cat/3.png"
    photograph.write_bytes(photograph.read_bytes()[::-1])  # as long as before
    images = {"data/photographs", "data/photographs/cat", "data/photographs/dog: there → absent"}
    assert {*says(folder)} == {*CHANGED, *NEW, "kit/named.py: there → absent", *images}


@pytest.mark.parametrize(
    ("cause", "cells"),
    [
        ("parameter SEED: 3 → 4", CELLS),
        ("code of cell 2", ["import kit\nkit.one() + 1", *CELLS[1:]]),
        ("code of cell 5", [*CELLS[:3], "%run -p script.py", *CELLS[4:]]),
        ("code of cell 16: there → absent", CELLS[:-1]),
        ("code of cell 4", [*CELLS[:2], "x = 1", *CELLS[2:]]),
    ],
)
def test_so_do_code_and_parameters(folder, cause, cells):
    write_notebook(folder, cells, seed=4 if cause.startswith("parameter") else 3)
    assert says(folder) == [cause]


def test_a_profile_counts_and_so_does_the_number_of_threads(folder):
    write(folder, "workbook/notebooks/profiles/smoke/01_one.yaml", "SEED: 4\n")
    shutil.copytree(folder / "workbook/reports/quick", folder / "workbook/reports/smoke")
    assert says(folder, profile="smoke") == ["parameter SEED: 3 → 4"]
    assert says(folder, threads=2) == ["threads: 1 → 2"]


def test_what_changes_no_result_runs_nothing(folder):
    commented = 'FACTOR = (  # twice\n    2\n)\ndef slow():\n    """Very slowly."""\n    return FACTOR\n'
    write(folder, "workbook/kit/lazy.py", commented)
    write(folder, "workbook/kit/unused.py", "value = 2\n")
    write(folder, "workbook/own.txt", "2")  # which it wrote itself
    for file in ("data/dog_behaviours/train/sit/1.png", "data/weights/vgg16.pth", "data/cache/other.npz"):
        write(folder, file)
    assert says(folder) == []


def test_what_somebody_changes_while_a_notebook_runs_is_not_taken_for_what_it_has_run_with(folder):
    assert says(folder, name="02_late") == ["kit/late.py"]


@pytest.mark.parametrize("damage", [{"files": {}}, "text"])
def test_without_a_stamp_it_runs(folder, damage):
    path = folder / "workbook/reports/quick/01_one.ipynb"
    notebook = json.loads(path.read_text())
    notebook["metadata"]["workbook"]["stamp"] = damage
    path.write_text(json.dumps(notebook))
    assert says(folder) == ["its last run left no stamp"]
