"""Whatever a run has used demands another run when it changes, and the command names it; nothing else does."""

import json
import os
import py_compile
import shutil
import sys
from collections.abc import Callable, Iterator
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
    "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as file:\n    file.write('1')\n    open(file.name).read()",
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


def write(path: Path, content: str | bytes = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_notebook(root: Path, cells: list[str], *, name: str = "01_one", prose: str = "Text.", seed: int = 3) -> None:
    parameters = f'SEED = {seed}\nDATASET = "photographs"\nELSEWHERE = "{root.parent / "elsewhere"}"'
    command.write_notebook(root, name, *cells, parameters=parameters, text=f"# Title\n\n{prose}")


class Workbook:
    """A workbook whose notebooks have run once; see `says`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.data, self.site = folder / "workbook", folder / "data", folder / "site"

    def says(self, *, name: str = "01_one", profile: str = "quick", threads: int = 1) -> dict[str, list[str]]:
        """Why a command would run a notebook or draw it anew; it does nothing."""
        workspace = Workspace(self.root)
        notebook = workspace.notebooks / f"{name}.ipynb"
        values, _ = plan(workspace, [notebook], profile=profile)
        run = workspace.run(profile, notebook, values[notebook])
        look([run], Settings(profile, formats=("html",), threads=threads, cover=cover.read(self.root, None)))
        return {key: words for key, words in (("runs", run.reasons), ("is drawn anew", run.redraw)) if words}


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("stamp")
    root, data = folder / "workbook", folder / "data"
    write(root / "kit/__init__.py", "import json\nfrom pathlib import Path\n\n"
          "SETTINGS = json.loads((Path(__file__).parent / 'settings.json').read_text())\n\n\n"
          "def one():\n    from kit.lazy import slow\n\n    return slow()\n")  # fmt: skip
    write(root / "kit/lazy.py", 'FACTOR = 2\n\n\ndef slow():\n    """Slowly."""\n    return FACTOR\n')
    write(root / "kit/named.py", "value = 1\n")
    write(root / "kit/unused.py", "value = 1\n")
    write(root / "kit/late.py", "value = 1\n")
    py_compile.compile(str(root / "kit/late.py"))  # it is imported from its bytecode
    write(root / "kit/settings.json", '{"a": 1}')
    write(root / "script.py", "print(1)\n")
    claim = "{text: t, where: w}"
    write(root / "notebooks/reported/S9.yaml", f"title: S9\nfigures: {{}}\nclaims: {{one: {claim}}}\n")
    write(root / "more.py", "y = 1\n")
    write(folder / "elsewhere/elsewhere.py", "z = 1\n")
    write(folder / "site/library/__init__.py", "")
    write(folder / "site/library-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: library\nVersion: 1.0\n")
    write(folder / "site/library-1.0.dist-info/top_level.txt", "library\n")
    write(data / "table.csv", "1,2\n")
    write(data / "words/a.txt")
    for number in range(12):
        for name in ("cat", "dog"):
            path = data / "photographs" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, len(name), 0)).save(path)
    write_notebook(root, CELLS)
    write_notebook(root, [LATE, CELLS[-1]], name="02_late")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("TORCH_HOME", "HF_HOME"):
            patch.setenv(variable, str(folder / variable))
        for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(variable, raising=False)
        patch.setenv("WORKBOOK_DATA", str(data))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(folder / "site"))
        patch.setattr(stamp, "DATA", data)
        assert cli.main(["--format", "html"], root=root) == 0
        yield folder


@pytest.fixture
def workbook(executed) -> Iterator[Workbook]:
    """The executed workbook; what a test changes is as it was when it ends."""
    kept = executed.with_name("kept")
    shutil.copytree(executed, kept, symlinks=True)
    yield Workbook(executed)
    for folder in ("workbook", "data", "site", "elsewhere", "TORCH_HOME"):
        shutil.rmtree(executed / folder, ignore_errors=True)
        if (kept / folder).is_dir():
            shutil.copytree(kept / folder, executed / folder, symlinks=True)  # with the files' times
    shutil.rmtree(kept)


def replaced(file: str, old: str, new: str) -> Callable[[Workbook], None]:
    def change(workbook: Workbook) -> None:
        path = workbook.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def at_another_time(file: str) -> Callable[[Workbook], None]:
    """Other content of the same length."""

    def change(workbook: Workbook) -> None:
        path = workbook.data / file
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))

    return change


def written(file: str) -> Callable[[Workbook], None]:
    return lambda workbook: write(workbook.root.parent / file, "{}")


def renamed(old: str, new: str) -> Callable[[Workbook], None]:
    return lambda workbook: (workbook.root.parent / old).rename(workbook.root.parent / new)


CHANGES = {
    "kit/lazy.py": replaced("kit/lazy.py", "FACTOR = 2", "FACTOR = 3"),
    "kit/named.py": replaced("kit/named.py", "1", "2"),
    "../elsewhere/elsewhere.py": replaced("../elsewhere/elsewhere.py", "1", "2"),
    "script.py": replaced("script.py", "1", "2"),
    "more.py": replaced("more.py", "1", "2"),
    "kit/settings.json": replaced("kit/settings.json", "1", "2"),
    "notebooks/reported/S9.yaml": replaced("notebooks/reported/S9.yaml", "text: t", "text: u"),
    "kit/named.py: there → absent": lambda workbook: (workbook.root / "kit/named.py").unlink(),
    "options.json: absent → there": written("workbook/options.json"),
    "data/table.csv": at_another_time("table.csv"),
    "data/words": written("data/words/b.txt"),
    "data/photographs/cat": at_another_time("photographs/cat/3.png"),
    "data/photographs, data/photographs/dog: there → absent": renamed("data/photographs/dog", "data/photographs/hound"),
    "data/three_animals: absent → there": written("data/three_animals/train/cat/1.png"),
    "data/weights/resnet18*: absent → there": written("data/weights/resnet18-mine.pth"),
    "library library: 1.0 → 1.1": lambda workbook: [
        renamed("site/library-1.0.dist-info", "site/library-1.1.dist-info")(workbook),
        write(workbook.site / "library-1.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: library\nVersion: 1.1\n"),
    ],
    "parameter SEED: 3 → 4": lambda workbook: write_notebook(workbook.root, CELLS, seed=4),
    "code of cell 2": lambda workbook: write_notebook(workbook.root, ["import kit\nkit.one() + 1", *CELLS[1:]]),
    "code of cell 5": lambda workbook: write_notebook(workbook.root, [*CELLS[:3], "%run -p script.py", *CELLS[4:]]),
    "code of cell 16: there → absent": lambda workbook: write_notebook(workbook.root, CELLS[:-1]),
}


@pytest.mark.parametrize("cause", CHANGES)
def test_whatever_a_run_used_demands_another_one_and_is_named(workbook, cause):
    CHANGES[cause](workbook)
    assert ", ".join(workbook.says()["runs"]) == cause


def test_a_profile_counts_and_so_does_the_number_of_threads(workbook):
    write(workbook.root / "notebooks/profiles/smoke/01_one.yaml", "SEED: 4\n")
    shutil.copytree(workbook.root / "reports/quick", workbook.root / "reports/smoke")
    assert workbook.says(profile="smoke")["runs"] == ["parameter SEED: 3 → 4"]
    assert workbook.says(threads=2)["runs"] == ["threads: 1 → 2"]


SAME = {
    "nothing": lambda workbook: None,
    "comments and layout": replaced("kit/lazy.py", "FACTOR = 2\n", "FACTOR = (  # twice\n    2\n)\n"),
    "a docstring": replaced("kit/lazy.py", "Slowly", "Very slowly"),
    "a module that it doesn't use": replaced("kit/unused.py", "1", "2"),
    "its own file": replaced("own.txt", "1", "2"),
    "another data set": written("data/dog_behaviours/train/sit/1.png"),
    "other weights": written("data/weights/vgg16.pth"),
    "caches": written("data/cache/other.npz"),
}


@pytest.mark.parametrize("what", SAME)
def test_what_changes_no_result_runs_nothing(workbook, what):
    SAME[what](workbook)
    assert workbook.says() == {}


def test_what_somebody_changes_while_a_notebook_runs_is_not_taken_for_what_it_has_run_with(workbook):
    assert workbook.says(name="02_late")["runs"] == ["kit/late.py"]


def test_the_stamp_does_not_tell_where_this_machine_keeps_its_files(workbook):
    about = json.loads((workbook.root / "reports/quick/01_one.ipynb").read_text())["metadata"]["workbook"]
    told = json.dumps([*about["stamp"]])
    assert str(workbook.root.parent) not in told and sys.prefix not in told and str(Path.home()) not in told


@pytest.mark.parametrize("damage", [{"code": {}}, "text"])
def test_without_a_stamp_it_runs(workbook, damage):
    path = workbook.root / "reports/quick/01_one.ipynb"
    notebook = json.loads(path.read_text())
    notebook["metadata"]["workbook"]["stamp"] = damage
    path.write_text(json.dumps(notebook))
    assert workbook.says() == {"runs": ["its last run left no stamp"]}
