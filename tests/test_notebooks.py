"""Every notebook that is found runs from end to end, at the smoke profile, to HTML and PDF. None can be forgotten."""

import ast
import io
import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from pypdf import PdfReader

from helpers import ROOT
from helpers.phrases import say
from helpers.report import cli, document
from helpers.report.parameters import plan
from helpers.report.workspace import Workspace

NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem != "sweep")
PROFILES = sorted((ROOT / "notebooks" / "profiles").rglob("*.yaml"))
SHARED = {
    "DATASET": str,
    "IMAGE_SIZE": int,
    "NUM_CLASSES_A": int,
    "TRAIN_PER_CLASS": int,
    "EPOCHS": int | list,  # a list where a notebook trains for several lengths
    "BATCH_SIZE": int,
    "LEARNING_RATE": float | list,  # a list where it is chosen on validation images
    "SEED": int,
    "DEVICE": str,
    "PRECISION": str,
}
SPEAK_FOR_THEMSELVES = {"classes", "samples", "dogs_samples", "animals_samples", "claims"}
FULL = """  # as the five reports print them; what the first network of 02 needs to be that of 01
01_cnn_on_a: {LEARNING_RATE: 0.0001, EPOCHS: 90, BATCH_SIZE: 128, NUM_CLASSES_A: 80, WIDTH: 64}
02_transfer_a_to_b: {LEARNING_RATE_A: 0.0001, EPOCHS_A: 90, BATCH_SIZE: 128, NUM_CLASSES_A: 80, WIDTH: 64}
05_resolution: {DATASET: cifar10, TRAIN_PER_CLASS: null, EPOCHS: 150, LEARNING_RATE: 0.001, MOMENTUM: 0.9}
06_fashion_mnist:
  {DATASET: fashion_mnist, TRAIN_PER_CLASS: null, EPOCHS: 50, LEARNING_RATE: 0.001, MOMENTUM: 0.9, BATCH_SIZE: 128}
07_capacity_and_regularisation: {EPOCHS: [25, 40, 40], LEARNING_RATE: 0.001, BATCH_SIZE: 32, IMAGE_SIZE: 224}
08_pretrained_comparisons:
  {EPOCHS_CNN: 40, EPOCHS: [40, 30, 30], LEARNING_RATE_DOGS: 0.017, LEARNING_RATE_ANIMALS: 0.005, EPOCHS_NETWORKS: 10,
   LAST_LAYERS: 10, BATCH_SIZE: 32}
"""
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The smoke profile's reports of all notebooks, the template among them, made by one command.

    The workbook is a copy with checkpoints of its own, and its path has a space and Persian letters.
    """
    root = tmp_path_factory.mktemp("کارنامه of tests")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_DATA", str(root / "data"))
        # Weights that happen to lie in this machine's caches are not to be found.
        patch.setenv("TORCH_HOME", str(root / "torch"))
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        assert cli.main([*(path.stem for path in NOTEBOOKS), "--profile", "smoke", "--jobs", "2"], root=root) == 0
    shutil.rmtree(root / "data" / "cache" / "checkpoints")  # five gigabytes
    return root / "reports" / "smoke"


@pytest.mark.slow
@each
def test_it_runs_to_html_and_pdf(reports, path):
    numbers = json.loads((reports / f"{path.stem}.json").read_text())
    assert numbers["status"] == "ok"
    assert all(isinstance(number["value"], int | float) for number in numbers["numbers"].values())
    html = (reports / f"{path.stem}.html").read_text()
    assert numbers["title"] in html and "STAND-IN" in html
    pdf = PdfReader(io.BytesIO((reports / f"{path.stem}.pdf").read_bytes()))
    text = "".join(page.extract_text() for page in pdf.pages)
    assert "Figure 1" in text and "Table 1" in text and "STAND-IN" in text
    drawings = {file.stem for file in (reports.parents[1] / "figures" / "smoke" / path.stem).glob("*.svg")}
    assert drawings == set(numbers["figures"])


@pytest.mark.slow
@each
def test_its_text_refers_to_every_result(reports, path):
    """Whoever reads it is led to each figure and table; only sample pictures, the table of claims and what folded
    details show speak for themselves."""
    blocks = document.read(nbformat.read(reports / f"{path.stem}.ipynb", as_version=4)).blocks
    recorded = [block for block in blocks if isinstance(block, document.Figure | document.Table)]
    names = [block.name for block in recorded]
    text = "\n".join(block.text for block in blocks if isinstance(block, document.Markdown | document.Reading))
    named = set(re.findall(r"@(?:fig|tbl)-(\w+)", text))
    for first, last in re.findall(r"@(?:fig|tbl)-(\w+) to @(?:fig|tbl)-(\w+)", text):
        named |= {*names[names.index(first) : names.index(last)]}
    assert {block.name for block in recorded if "detail" not in block.tags} - named <= SPEAK_FOR_THEMSELVES


def told(kept):
    """A value as `say` took it, from what the run's numbers keep of it."""
    match kept:
        case {"phrase": [template, values]}:
            return say(template, **{name: told(value) for name, value in values.items()})
        case {"listed": entries}:
            return [told(entry) for entry in entries]
    return kept


def stored(reports, name):
    """A run's numbers, and its tables and the figures' CSV files as frames."""
    content = json.loads((reports / f"{name}.json").read_text())
    tables = {key: pd.DataFrame(table["values"], columns=table["columns"]) for key, table in content["tables"].items()}
    folder = reports.parents[1] / "figures" / "smoke" / name
    drawn = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    return content, {key: number["value"] for key, number in content["numbers"].items()}, tables, drawn


def worked_out(name, numbers, tables, drawn):
    """How templates begin, and values in their sentences, worked out again from what is stored."""
    verdicts = tables["claims"]["verdict"].tolist() if "claims" in tables else []
    match name[:2]:
        case "01":
            loss = drawn["learning_curves"].dropna(subset="loss").pivot(index="epoch", columns="split", values="loss")
            best, gap = loss["validation"].idxmin(), loss["validation"] - loss["training"]
            yield "Validation loss is lowest at", {"best": best, "at_best": gap[best], "at_end": gap.iloc[-1]}
            yield "The network of the chosen epoch", {"accuracy": numbers["test_accuracy"]}
            sizes = tables["layers"].set_index("layer")["parameters"]
            yield "The network has", {"parameters": sizes.sum(), "share": sizes["fc1"] / sizes.sum()}
            error = tables["calibration"].eval("images * abs(confidence - right)").sum()
            yield "The expected calibration error", {"error": 100 * error / tables["calibration"]["images"].sum()}
        case "02":
            moved = drawn["layers"].query("quantity == '1: everything'")
            longest = moved.loc[moved["relative change"].idxmax()]
            most, change = longest[["layer", "relative change"]]
            yield "Of the convolutions and the old rows", {"most": most, "longest": change}
            yield "{change}", {"held": verdicts.count("holds here"), "claims": len(verdicts)}
        case "03":
            yield "- **Losses of", {"nothing": math.log(196), "train_each": 132.2082 / 32}
        case "04":
            probes = drawn["probe_accuracy"].query("quantity == 'as given'")["validation accuracy"]
            yield "Of the stages, the accuracy is highest after", {"highest": probes.max()}
            losses = drawn["optimizers_train_loss"].groupby("run")["training loss"].mean()
            means = {"adam": losses.filter(like="Adam").item(), "sgd": losses.filter(like="SGD").item()}
            yield "The mean training loss over", means | {"difference": means["sgd"] - means["adam"]}
            seconds = tables["depths"].set_index("depth")["s an epoch"]
            yield "An epoch with the last stage", {"ratio": seconds["layer4"] / seconds["head alone"]}
        case "05":
            changed = {key: 100 * (numbers[f"{key}_8"] - numbers["totv_32"]) for key in ("totv", "tvtv")}
            yield "From {sharpest} to", changed | {"gained": 100 * (numbers["tvtv_8"] - numbers["totv_8"])}
            before, after = 100 * tables["riddle"].eval("recall - `false alarms`")
            yield "“{name}” is the answer to", {"j_before": before, "j_after": after}
        case "06":
            losses = drawn["curves"].query("panel == 'Arc2 Adam' and split == 'validation'")["loss"].dropna()
            yield "From epoch {late} to", {"arc2_adam": losses.iloc[-1] - losses.iloc[-2]}
            yield "In {apart} of its", {"apart": tables["table_9"]["F1 does not follow"].sum()}
        case "07":
            areas = drawn["auc"].pivot(index="class", columns="network", values="AUC")
            more = areas["OptimizedCNNModel"] - areas["CNNModel2"]
            yield "lower in {lower} of", {"lower": (more < 0).sum(), "difference": more.mean()}
            yield "Of these", {"refuted": verdicts.count("does not hold here"), "claims": len(verdicts)}
        case "08":
            yield "Of these", {"open": sum("hold" not in verdict for verdict in verdicts)}
            quality = tables["quality"].set_index("network")["test"]
            yield "On set 1, {classes}", {"test": quality["CNNModel, set 1, fc"]}


@pytest.mark.slow
@each
def test_sentences_are_their_values_which_follow_from_what_is_stored(reports, path):
    content, *results = stored(reports, path.stem)
    for sentence in content["sentences"]:
        assert told({"phrase": [sentence["template"], sentence["values"]]}) == sentence["text"]
    for beginning, values in worked_out(path.stem, *results):
        said = [s["values"] for s in content["sentences"] if s["template"].startswith(beginning)]
        assert said, beginning
        assert {key: said[0][key] for key in values} == pytest.approx(values), beginning


@pytest.mark.slow
def test_no_progress_bars_warnings_or_paths_of_the_machine_in_a_report(reports):
    for file in [*reports.glob("*.html"), *reports.glob("*.ipynb"), *reports.glob("*.json")]:
        text = file.read_text()
        assert "it/s]" not in text and "█" not in text and "Warning:" not in text
        assert not any(str(path) in text for path in (reports.parents[1], ROOT, Path(sys.prefix)))


@pytest.mark.slow
def test_papermill_alone_gives_the_same_numbers_from_any_folder(reports, tmp_path):
    """Also where nothing says with how many threads to compute; -f takes a profile's file as it is."""
    folder, out = reports.parents[1] / "notebooks", tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", folder / "01_cnn_on_a.ipynb", out, "--no-progress-bar"]
    command += ["-f", folder / "profiles" / "smoke" / "01_cnn_on_a.yaml"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["WORKBOOK_DATA"] = str(tmp_path / "data")
    subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
    papermills = document.read(nbformat.read(out, as_version=4)).numbers
    numbers = json.loads((reports / "01_cnn_on_a.json").read_text())["numbers"]
    timed = {"seconds_per_epoch"}
    assert numbers.keys() == papermills.keys() > timed
    assert all(papermills[name]["value"] == numbers[name]["value"] for name in numbers.keys() - timed)


@each
def test_it_keeps_the_house_style(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.keys() <= {"kernelspec", "workbook"}  # and nothing of a run's Python
    first, *cells = notebook.cells
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    cells = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    sources = [cell.source for cell in cells]
    assert not any("sys.path" in source or "!pip" in source for source in sources)
    # About 15 lines; calls that ruff spreads over a line for each argument, and those that set the scene, take more.
    assert max(source.count("\n") + 1 for source in sources) <= 30
    # The report opens with its provenance: before any other result.
    assert "record.provenance" in next(source for source in sources if "record." in source)
    # Shared parameters mean the same everywhere.
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    given = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert set(SHARED) - set(given) <= {"NUM_CLASSES_A"}
    assert all(given.get(name) is None or isinstance(given[name], kind) for name, kind in SHARED.items())


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_each_profile_fits_its_notebook(file):
    """The command checks names and kinds of a profile's parameters before it runs anything; this asks for no more."""
    notebook = ROOT / "notebooks" / f"{file.stem}.ipynb"
    chosen, _ = plan(Workspace(ROOT), [notebook], profile=file.parent.name, file=None, assignments=[])
    assert "DATASET" in chosen[notebook]


@pytest.mark.parametrize(("name", "settings"), yaml.safe_load(FULL).items())
def test_the_full_profiles_have_the_settings_of_the_reports(name, settings):
    profile = yaml.safe_load((ROOT / f"notebooks/profiles/full/{name}.yaml").read_text())
    assert profile | settings == profile


def test_the_page_of_what_helpers_offer_is_that_of_their_docstrings():
    script = ROOT / "docs" / "make_helpers.py"
    page = (ROOT / "docs" / "helpers.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(script))["page"](), f"run: python {script.relative_to(ROOT)}"


def test_profiles_belong_to_notebooks():
    assert {file.stem for file in PROFILES} == {path.stem for path in NOTEBOOKS}
    assert {file.parent.name for file in PROFILES} == {"smoke", "real", "full"}
