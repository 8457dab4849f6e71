"""What a run depends on: every input counts when it changes, and nothing else does."""

import ast
import copy
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from helpers import ROOT
from helpers.data import sets
from helpers.models import packaged, weights
from helpers.models.architectures import Architecture
from helpers.report import workspace as plain
from helpers.report.inputs import (
    Disk,
    Inputs,
    catalogues,
    changes,
    earlier,
    fingerprint,
    gather,
    helpers_used,
    on_disk,
    page,
)
from helpers.report.workspace import UnreadableNotebook, load

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMPORTS = "import pandas as pd\n\nfrom helpers import data, models, record"
PARAMETERS = 'DATASET = "auto"\nEPOCHS = 3\nBACKBONES = ["resnet50"]'
LOADING = 'images = data.load(DATASET, own="photographs")'
CODE = "network = models.arc2(10, 1)\nprint(EPOCHS)"


def make_notebook(*sources: str, parameters: str = PARAMETERS) -> nbformat.NotebookNode:
    cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell(IMPORTS),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *map(nbformat.v4.new_code_cell, sources or (LOADING, CODE)),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with modules of its own, an empty data folder, and no caches of weights."""
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    write(tmp_path / "kit/__init__.py", '"""Mine."""\nfrom kit.first import one\nfrom kit.second import two\n')
    write(tmp_path / "kit/first.py", "def one():\n    from kit.lazy import slow\n    return slow()\n")
    write(tmp_path / "kit/second.py", "def two():\n    return 2\n")
    write(tmp_path / "kit/lazy.py", 'def slow():\n    """Slowly."""\n    return 1\n')
    return tmp_path


def write(file: Path, text: str | bytes = "x") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def state(notebook, folder, **parameters):
    return fingerprint(notebook, parameters=parameters, root=folder, data=folder / "data")


def differences(folder, before, after, **parameters):
    return changes(state(before, folder), state(after, folder, **parameters))


def test_never_run_before(folder):
    assert changes(None, state(make_notebook(), folder)) == ["never run before"]


def test_nothing_changed_also_after_a_round_through_json(folder):
    then = json.loads(json.dumps(state(make_notebook(), folder), sort_keys=True))
    assert changes(then, state(make_notebook(), folder)) == []


@pytest.mark.parametrize(
    "same",
    [
        "network = models.arc2(10, 1)\nprint(EPOCHS)\n\n",
        "# a comment\nnetwork = models.arc2(10, 1)  # another\n\n\nprint(EPOCHS)",
        "network = models.arc2(\n    10,\n    1,\n)\nprint((EPOCHS))",
        "network=models.arc2(10,1); print( EPOCHS )",
        "network = models.arc2(0xA, 1)\nprint(EPOCHS)",
    ],
)
def test_how_code_is_written_does_not_count(folder, same):
    assert differences(folder, make_notebook(LOADING, CODE), make_notebook(LOADING, same)) == []


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("10", "11"),
        CODE.replace("10", "10.0"),
        CODE.replace("1)", "True)"),
        CODE.replace("network", "net"),
        CODE + ";",
        CODE + "\nprint(1)",
        "print(EPOCHS)\nnetwork = models.arc2(10, 1)",
        CODE + "\n'a text, which the cell shows'",
        "%time\n" + CODE,
    ],
)
def test_what_code_does_counts(folder, other):
    assert differences(folder, make_notebook(LOADING, CODE), make_notebook(LOADING, other)) == ["code of cell 4"]


def test_reading_code_warns_of_nothing_in_it(folder, recwarn):
    state(make_notebook("print('\\d', 1 is 1)"), folder)
    assert not recwarn.list


def test_a_cell_that_papermill_injected_counts_where_it_is_run_again(folder):
    before, after = make_notebook(), make_notebook()
    injected = nbformat.v4.new_code_cell("EPOCHS = 9", metadata={"tags": ["injected-parameters"]})
    after.cells.insert(3, injected)
    assert differences(folder, before, after) == ["code of cell 3"]


def test_cells_that_come_go_and_do_nothing(folder):
    before = make_notebook(LOADING, CODE, "print(1)")
    assert differences(folder, before, make_notebook(LOADING, "print(0)", CODE, "print(1)")) == ["code of cell 4"]
    assert differences(folder, before, make_notebook(LOADING, "print(1)")) == ["code of cell 4, which is gone"]
    assert differences(folder, before, make_notebook(LOADING, "", "# soon", CODE, "print(1)")) == []


def test_modules_that_come_into_use_are_not_named_beside_the_code_that_uses_them(folder):
    before, after = make_notebook(), make_notebook(LOADING, CODE, "import kit, scipy\ndata.load('cifar10', own='')")
    assert differences(folder, before, after) == ["code of cell 5"]
    then = state(after, folder)
    write(folder / "scipy.py", "")  # which goes before the library
    assert changes(then, state(after, folder)) == ["scipy (new)", "library scipy (no longer used)"]


@pytest.mark.parametrize("tag, counts", [("raises-exception", True), ("skip-execution", True), ("key", False)])
def test_tags_count_if_they_change_how_a_cell_runs(folder, tag, counts):
    tagged = make_notebook()
    tagged.cells[-1].metadata.tags = [tag]
    assert differences(folder, make_notebook(), tagged) == ["code of cell 4"] * counts


def test_prose_outputs_and_metadata_do_not_count(folder):
    other = make_notebook()
    other.cells[0].source = "# Another title"
    other.cells.insert(2, nbformat.v4.new_markdown_cell("More"))
    other.cells[-1].outputs = [nbformat.v4.new_output("stream", text="3\n")]
    other.metadata.workbook = {"expects": ["results"]}
    assert differences(folder, make_notebook(), other) == []


def test_parameters_count_with_their_values_only(folder):
    before = make_notebook()
    assert differences(folder, before, before, EPOCHS=5) == ["parameter EPOCHS: 3 → 5"]
    assert differences(folder, before, before, EPOCHS=3) == []
    commented = make_notebook(parameters=PARAMETERS.replace("EPOCHS = 3", "# of training\nEPOCHS = 3  # or more"))
    assert differences(folder, before, commented) == []
    default = make_notebook(parameters=PARAMETERS.replace("= 3", "= 4"))
    assert differences(folder, before, default) == ["parameter EPOCHS: 3 → 4"]
    assert differences(folder, before, default, EPOCHS=3) == []
    more = make_notebook(parameters=f"{PARAMETERS}\nSEED = 0")
    assert differences(folder, before, more) == ["parameter SEED (new)"]
    assert differences(folder, more, before) == ["parameter SEED (no longer used)"]


def test_where_files_lie_is_told_to_nobody(folder):
    path = f"folder:{Path.home()}/secret/images"
    found = state(make_notebook(), folder, DATASET=path)
    assert str(Path.home()) not in json.dumps(found)
    elsewhere = state(make_notebook(), folder, DATASET=f"folder:{ROOT}/secret/images")
    assert any(line.startswith("parameter DATASET: ") for line in changes(found, elsewhere))


@pytest.mark.parametrize("use", ["import kit\nkit.one()", "from kit import one", "from kit.first import one as uno"])
def test_modules_count_through_lazy_imports(folder, use):
    notebook = make_notebook(use)
    then = state(notebook, folder)
    assert {"kit.first", "kit.lazy"} <= then["helpers"].keys()
    write(folder / "kit/lazy.py", "def slow():\n    return 2\n")
    assert changes(then, state(notebook, folder)) == ["kit.lazy"]


@pytest.mark.parametrize("use", ["from kit import one", "import kit as k\nk.one()"])
def test_parts_of_a_package_that_are_not_used_do_not_count(folder, use):
    then = state(make_notebook(use), folder)
    write(folder / "kit/second.py", "def two():\n    return 3\n")
    assert changes(then, state(make_notebook(use), folder)) == []


@pytest.mark.parametrize(
    "use",
    [
        "import kit",
        "from kit import *",
        "import kit as k\ngetattr(k, 'two')()",
        "import kit as k\nk.three",
        "import kit as k\n%time k.two()",
        "%time k.two()\nimport kit as k",
    ],
)
def test_all_of_a_package_counts_where_it_is_unclear_what_is_used(folder, use):
    then = state(make_notebook(use), folder)
    write(folder / "kit/second.py", "def two():\n    return 3\n")
    assert changes(then, state(make_notebook(use), folder)) == ["kit.second"]


def test_a_package_with_code_of_its_own_counts(folder):
    notebook = make_notebook("from kit.second import two")
    write(folder / "kit/__init__.py", "import random\nrandom.seed(0)\n")
    then = state(notebook, folder)
    write(folder / "kit/__init__.py", "import random\nrandom.seed(1)\n")
    assert changes(then, state(notebook, folder)) == ["kit"]


@pytest.mark.parametrize(
    "init",
    ["from . import second", "from .second import two as second", "import kit.second as second\nfrom . import x"],
)
def test_relative_imports_and_imports_in_a_circle_come_to_an_end(folder, init):
    write(folder / "kit/__init__.py", init)
    write(folder / "kit/second.py", "from . import first\nfrom .first import one\nfrom kit import second\nx = 1")
    write(folder / "kit/first.py", "from .. import nothing\nimport kit.second\n")
    assert "kit.second" in state(make_notebook("from kit import second"), folder)["helpers"]


@pytest.mark.parametrize(
    "same",
    [
        'def slow():\n    """Otherwise described."""\n    return 1\n',
        '"""A module."""\n\n\n# why\ndef slow():\n\n    return 1  # one\n\n\n"""The end."""\n',
    ],
)
def test_docstrings_and_comments_of_modules_do_not_count(folder, same):
    notebook = make_notebook("from kit import one")
    then = state(notebook, folder)
    write(folder / "kit/lazy.py", same)
    assert changes(then, state(notebook, folder)) == []


def test_modules_that_cannot_be_read_count_as_they_are(folder):
    notebook = make_notebook("from kit import one")
    write(folder / "kit/lazy.py", b"def slow(: \xff")
    then = state(notebook, folder)
    assert changes(then, state(notebook, folder)) == []
    write(folder / "kit/lazy.py", b"def slow(: \xfe")
    assert changes(then, state(notebook, folder)) == ["kit.lazy"]


@pytest.mark.parametrize("file", sorted((ROOT / "helpers").glob("[d-m]*/[a-d]*.py")), ids=lambda path: path.name)
def test_python_s_own_way_to_write_a_module_gives_the_same_hash(folder, file):
    notebook = make_notebook("import kit.second")
    source = file.read_text(encoding="utf-8")
    write(folder / "kit/second.py", source)
    then = state(notebook, folder)["helpers"]["kit.second"]
    write(folder / "kit/second.py", ast.unparse(ast.parse(source)))
    assert state(notebook, folder)["helpers"]["kit.second"] == then


def test_every_change_of_one_constant_counts(folder):
    notebook = make_notebook("import kit.second")
    source = (ROOT / "helpers/models/fashion.py").read_text(encoding="utf-8")
    hashes = []
    values = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, int)
    ]
    assert len(values) > 10
    for place in range(len(values)):
        tree = ast.parse(source)
        constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, int)]
        constants[place].value += 1000
        write(folder / "kit/second.py", ast.unparse(tree))
        hashes.append(state(notebook, folder)["helpers"]["kit.second"])
    assert len({*hashes}) == len(values)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_depend_on_the_modules_where_python_finds_what_they_name(path):
    notebook = load(path)
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    namespace: dict[str, object] = {}
    lines = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(lines, []), "imports", "exec"), namespace)
    taken = [
        getattr(namespace[node.value.id], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and isinstance(namespace.get(node.value.id), ModuleType)
    ]
    expected = {module.__name__ for module in map(inspect.getmodule, taken) if module}
    expected = {name for name in expected if name.startswith("helpers.")}
    assert len(expected) > 3
    assert expected <= fingerprint(notebook, parameters={})["helpers"].keys()


def test_each_notebook_depends_on_its_own_networks_only():
    modules = {path.stem[:2]: fingerprint(plain.read(path), parameters={})["helpers"] for path in NOTEBOOKS}
    assert "helpers.models.fashion" in modules["06"] and "helpers.models.fashion" not in modules["01"]
    assert "helpers.models.cnn_on_a" in modules["01"] and "helpers.models.cnn_on_a" not in modules["06"]


def test_of_the_report_only_what_records_counts():
    for path in NOTEBOOKS:
        modules = fingerprint(plain.read(path), parameters={})["helpers"]
        assert "helpers.record" in modules
        assert not {"helpers.report.html", "helpers.report.pdf", "helpers.report.run", "helpers.report.cli"} & {
            *modules
        }


def test_versions_of_the_libraries_that_are_used_count(folder, monkeypatch):
    then = state(make_notebook(), folder)
    assert then["libraries"].keys() >= {"python", "torch", "numpy", "pandas", "pillow"}
    assert not then["libraries"].keys() & {"tqdm", "ipython", "scikit-learn", "nbconvert"}
    versions = {**then["libraries"], "torch": "99.1"}
    monkeypatch.setattr(gather, "_version", lambda name: versions.get(name, ""))
    assert changes(then, state(make_notebook(), folder)) == [f"library torch: {then['libraries']['torch']} → 99.1"]


def test_a_library_of_one_notebook_counts(folder):
    assert "scikit-learn" in state(make_notebook("from sklearn.svm import SVC"), folder)["libraries"]


def test_a_data_set_that_comes_changes_and_goes(folder):
    notebook = make_notebook()
    then = state(notebook, folder)
    assert then["data"] == {"photographs": "nothing"}
    image = folder / "data/photographs/train/cat/1.jpg"
    write(image)
    there = state(notebook, folder)
    assert changes(then, there) == ["data photographs: now on this machine"]
    assert changes(there, then) == ["data photographs: no longer on this machine"]
    write(image, "other")
    larger = state(notebook, folder)
    assert changes(there, larger) == ["data photographs: other files"]
    os.utime(image, ns=(0, 1))
    later = state(notebook, folder)
    assert changes(larger, later) == ["data photographs: other files"]
    image.rename(image.with_name("2.jpg"))
    assert changes(later, state(notebook, folder)) == ["data photographs: other files"]


def test_other_data_sets_and_hidden_files_do_not_count(folder):
    then = state(make_notebook(), folder)
    write(folder / "data/three_animals/train/cat/1.jpg")
    write(folder / "data/photographs/.cache/x")
    write(folder / "data/cache/checkpoints/1.pt")
    assert changes(then, state(make_notebook(), folder)) == []


@pytest.mark.parametrize(
    "loading, dataset, named",
    [
        (LOADING, "auto", {"photographs"}),
        (LOADING, "shapes", set()),
        (LOADING, "cifar10", {"cifar10"}),
        (LOADING, "folder:mine", {"folder:mine"}),
        ('data.load("cifar100", own="cifar10")', "auto", {"cifar100"}),
        ('own = "cifar10"\ndata.load(DATASET, own=own)', "auto", {"cifar10"}),
        ('for name in ["cifar10", "cifar100"]:\n    data.load(name, own=name)', "auto", {"cifar10", "cifar100"}),
        ('"cifar10"', "auto", set()),
    ],
)
def test_the_data_sets_that_may_be_loaded(folder, loading, dataset, named):
    assert state(make_notebook(loading), folder, DATASET=dataset)["data"].keys() == named


@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_of_images_counts(folder, absolute):
    dataset = f"folder:{folder}/data/mine" if absolute else "folder:mine"
    then = state(make_notebook(), folder, DATASET=dataset)
    write(folder / "data/mine/cat/1.jpg")
    words = changes(then, state(make_notebook(), folder, DATASET=dataset))
    assert len(words) == 1 and words[0].endswith("mine: now on this machine")


def test_the_catalogue_is_read_as_python_reads_it(tmp_path):
    assert {*catalogues.data_sets()} == {*sets.PUBLIC, *sets.LOCAL}
    for name, known in sets.PUBLIC.items():
        assert catalogues.places(name, data=tmp_path)[0] == tmp_path / known.folder
    for name in sets.LOCAL:
        write(tmp_path / name / "train/cat/1.jpg")
        assert catalogues.places(name, data=tmp_path) == [sets.find(name, root=tmp_path)]
    expected = {(known.network, known.module, known.file) for known in packaged.PACKAGED.values()}
    assert {*catalogues.packaged_weights()} == expected


@pytest.mark.parametrize(
    "file",
    [
        "data/weights/resnet50.pth",
        "data/weights/resnet50-mine.safetensors",
        "TORCH_HOME/hub/checkpoints/resnet50-11ad3fa6.pth",
        "HF_HOME/hub/models--timm--resnet50.a1_in1k/snapshots/abc/model.safetensors",
    ],
)
def test_weights_count_where_helpers_find_them(folder, monkeypatch, file):
    import huggingface_hub

    notebook = make_notebook("models.best_backbone(BACKBONES)")
    address, repository = "https://x/resnet50-11ad3fa6.pth", "timm/resnet50.a1_in1k"
    known = Architecture("resnet50", (0.5,), (0.5,), 224, (address,), repository, ("fc",))
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda *a, **k: found[0] if (found := [str(p) for p in (folder / "HF_HOME").rglob("*.safetensors")]) else None,
    )
    then = state(notebook, folder)
    assert weights.find(known, root=folder / "data") is None
    write(folder / file)
    assert weights.find(known, root=folder / "data").path == folder / file
    assert changes(then, state(notebook, folder)) == ["data weights: now on this machine"]


def test_weights_of_other_networks_do_not_count(folder):
    notebook = make_notebook("models.best_backbone(BACKBONES)")
    then = state(notebook, folder)
    write(folder / "data/weights/vgg16.pth")
    assert changes(then, state(notebook, folder)) == []
    assert "weights" not in state(make_notebook(), folder)["data"]


def test_a_file_of_weights_that_a_parameter_names_counts(folder):
    notebook = make_notebook("models.backbone('resnet50', weights=BACKBONES[0])")
    given = {"BACKBONES": ["mine.pth"]}
    then = state(notebook, folder, **given)
    write(folder / "data/weights/mine.pth")
    assert changes(then, state(notebook, folder, **given)) == ["data weights: now on this machine"]


def test_links_that_lead_nowhere_or_in_a_circle_come_to_an_end(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    write(tmp_path / "1.jpg")
    assert ("1.jpg", 1) in [file[:2] for file in on_disk.scan(tmp_path, depth=2)]


def test_pages_depend_on_prose_on_metadata_and_on_whose_code_they_show():
    notebook = make_notebook()
    then = page(notebook, show_code="key")
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="3\n")]
    assert changes(then, page(notebook, show_code="key")) == []
    assert changes(then, page(notebook, show_code="all")) == ["layout: code shown"]
    retold, tagged, expecting = (copy.deepcopy(notebook) for _ in range(3))
    retold.cells[0].source += "!"
    tagged.cells[-1].metadata.tags = ["key"]
    expecting.metadata.workbook = {"expects": ["results"]}
    for edited in (retold, tagged, expecting):
        assert changes(then, page(edited, show_code="key")) == ["prose"]


def executed_with(folder, about, **options):
    """An executed notebook, whose text and outputs look like metadata."""
    notebook = make_notebook('"""\n "metadata": {\n"""')
    output = nbformat.v4.new_output("display_data", data={"application/json": {"metadata": {"workbook": {}}}})
    notebook.cells[-1].outputs = [output, nbformat.v4.new_output("stream", text="x" * 300_000)]
    if about is not None:
        notebook.metadata.workbook = about
    file = folder / "executed.ipynb"
    file.write_text(json.dumps(notebook, **options) if options else nbformat.writes(notebook), encoding="utf-8")
    return file


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"indent": None}, {"indent": 4, "sort_keys": True}])
def test_an_executed_notebook_says_what_it_was_made_from(folder, options):
    inputs, pages = state(make_notebook(), folder), page(make_notebook(), show_code="key")
    file = executed_with(folder, {"inputs": inputs, "page": pages, "expects": []}, **options)
    assert earlier(file) == (inputs, pages)


def test_a_run_may_be_good_whose_pages_were_not_finished(folder):
    inputs = state(make_notebook(), folder)
    assert earlier(executed_with(folder, {"inputs": inputs})) == (inputs, None)


@pytest.mark.parametrize(
    "about", [None, {}, {"page": {}}, {"inputs": [], "page": {}}, {"inputs": {"code": {"1": 2}}, "page": {}}, "text"]
)
def test_a_notebook_that_does_not_say_it_was_never_run(folder, about):
    assert earlier(executed_with(folder, about)) is None


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"cells": [', b"\xff\xfe", b"[" * 100_000])
def test_a_missing_or_damaged_notebook_was_never_run(tmp_path, content):
    if content is not None:
        write(tmp_path / "executed.ipynb", content)
    assert earlier(tmp_path / "executed.ipynb") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_read_as_nbformat_reads_them(path):
    assert plain.read(path) == load(path)


def test_older_notebooks_are_read_too_and_what_is_none_is_refused(tmp_path):
    old = nbformat.convert(make_notebook("print(1)"), 3)
    nbformat.write(old, tmp_path / "old.ipynb")
    assert [cell["source"] for cell in plain.read(tmp_path / "old.ipynb")["cells"]][-1] == "print(1)"
    for number, content in enumerate((b"[]", b"{}", b'{"nbformat": 4, "cells": [1]}', b"\xff", b"[" * 100_000)):
        write(tmp_path / f"{number}.ipynb", content)
        with pytest.raises(UnreadableNotebook, match=f"{number}.ipynb"):
            plain.read(tmp_path / f"{number}.ipynb")


def test_of_many_runs_each_has_its_own_fingerprint_and_each_folder_is_looked_at_once(folder, monkeypatch):
    looked, scan = [], on_disk.scan
    monkeypatch.setattr(on_disk, "scan", lambda place, *, depth: looked.append(place) or scan(place, depth=depth))
    notebook = make_notebook(LOADING, "from kit import one\nmodels.best_backbone(BACKBONES)")
    write(folder / "data/photographs/train/cat/1.jpg")
    runs = [{"SEEDS": [seed], "DATASET": name} for seed in range(3) for name in ("auto", "cifar10", "shapes")]
    alone = [state(notebook, folder, **parameters) for parameters in runs]
    looked.clear()
    inputs = Inputs(notebook, root=folder, disk=Disk(folder / "data"))
    assert [inputs.fingerprint(parameters) for parameters in runs] == alone
    assert len(alone[0]["data"]) == 2 and alone[0]["data"] != alone[1]["data"]
    assert len(looked) == len({*looked}) > 3


def test_the_helpers_can_be_asked_for_alone(folder, monkeypatch):
    notebook = make_notebook(LOADING, "from kit import one")
    expected = state(notebook, folder)["helpers"]
    monkeypatch.setattr(on_disk, "scan", None)
    assert helpers_used(notebook, root=folder) == expected and "kit.lazy" in expected


def test_nothing_heavy_is_imported():
    code = """
import sys
from helpers import ROOT
from helpers.report import inputs, prose, workspace
for path in (ROOT / "notebooks").glob("*.ipynb"):
    inputs.fingerprint(workspace.read(path), parameters={})
heavy = {"torch", "numpy", "pandas", "matplotlib", "nbformat", "papermill", "jsonschema"}
print(sorted(heavy & {*sys.modules}))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
