"""07 and 08, which follow report S3: figures as the report prints them, numbers recomputed, and who trained on what."""

import json
import re
import shutil

import nbformat
import numpy as np
import pytest
import torch
import yaml
from sklearn import metrics

from helpers import ROOT
from helpers.report import cli

REPORTED = yaml.safe_load((ROOT / "notebooks" / "reported" / "S3.yaml").read_text())["figures"]
# As the report prints them: the last epochs, in the order loss, accuracy, validation loss, validation accuracy.
PRINTED = {
    "cnn_model_2": "Loss: 0.1819, Accuracy: 93.85% Validation Loss: 0.9898, Validation Accuracy: 77.43%",
    "optimized_cnn_model": "Loss: 0.1690, Accuracy: 94.19% Validation Loss: 1.2157, Validation Accuracy: 74.60%",
    "cnn_model": "Loss: 0.4689, Accuracy: 85.30% Validation Loss: 0.5410, Validation Accuracy: 83.47%",
    "cnnmodel_dogs_fc": "Train Loss: 0.3773, Train Accuracy: 88.96% Val Loss: 1.1418, Val Accuracy: 78.33%",
    "cnnmodel_dogs_fc_conv4": "Train Loss: 0.3249, Train Accuracy: 89.59% Val Loss: 1.5114, Val Accuracy: 78.33%",
    "cnnmodel_animals_fc": "Train Loss: 0.1057, Train Accuracy: 97.26%",
    "resnet50": "Train Loss: 0.0475, Train Acc: 98.18% - Val Loss: 0.0079, Val Acc: 100.00%",
    "mobilenet_v2": "Train Loss: 0.0464, Train Acc: 98.54% - Val Loss: 0.0764, Val Acc: 98.25%",
    "efficientnet_b0": "Train Loss: 0.0488, Train Acc: 98.36% - Val Loss: 0.0176, Val Acc: 99.12%",
}
TESTED = {
    "optimized_cnn_model": "Precision: 0.7635, Recall: 0.7503, F1 Score: 0.7424",
    "cnn_model": "Precision: 0.8703, Recall: 0.8524, F1 Score: 0.8547 Test Accuracy: 85.24%",
    "cnnmodel_dogs_fc_conv4": "Precision: 0.7880, Recall: 0.7714, F1 Score: 0.7724 Test Accuracy: 77.14%",
    "cnnmodel_animals_fc": "Precision: 0.9725, Recall: 0.9721, F1 Score: 0.9719 Test Accuracy: 97.21%",
}
LISTEN = """
calls, _fit = [], train.fit
def _listening(network, learns, watches, **how):
    trains = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    result = _fit(network, learns, watches, **how)
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value.cpu(), before[name].cpu())]
    used = {"learns": learns.images, "watches": watches.images, "trains": trains, "moved": moved}
    calls.append({**how, **used, "checkpoint": None, "compute": None, "augment": how.get("augment") is not None})
    return result
train.fit = _listening
"""
KEEP = """
def _of(split):
    return split.images, split.labels
kept = {"calls": calls, "logits": logits}
kept["histories"] = {key: one.history.to_dict("list") for key, one in results.items()}
"""
KEPT = {
    "07_capacity_and_regularisation": """
kept |= {"splits": [_of(split) for split in images.all], "best": best}
kept["train_logits"] = {key: train.predict(network, images.train, compute=compute) for key, network in networks.items()}
kept["ablation"] = {key: train.predict(network, images.test, compute=compute) for key, (network, _) in changed.items()}
torch.save(kept, "kept.pt")
""",
    "08_pretrained_comparisons": """
kept |= {name: [_of(split) for split in part.all] for name, part in sets.items()}
kept["used"] = {name: part is dogs for name, part in used.items()}
torch.save(kept, "kept.pt")
""",
}


def figures(key, names):
    return [REPORTED[f"{key}_{name}"]["printed"] for name in names if f"{key}_{name}" in REPORTED]


def test_every_figure_is_as_the_report_prints_it():
    for key, line in PRINTED.items():
        assert figures(key, ("train_loss", "train", "val_loss", "val")) == re.findall(r"[\d.]+%?", line)
    for key, line in TESTED.items():
        assert figures(key, ("precision", "recall", "f1", "test")) == re.findall(
            r"\d[\d.]+%?", line.replace("F1 S", "S")
        )
    assert figures("cnn_model_2", ("parameters", "auc")) == ["525130", ".98"]
    assert [REPORTED[f"{name}_best_val"]["value"] for name in ("resnet50", "mobilenet_v2", "efficientnet_b0")] == [
        1,
        1,
        1,
    ]
    for figure in REPORTED.values():
        number = float(figure["printed"].partition("/")[0].rstrip("%"))
        assert figure["value"] == pytest.approx(number / (100 if figure["printed"].endswith("%") else 1), abs=1e-9)


def test_the_full_profile_has_the_settings_of_the_report():
    seven, eight = (
        yaml.safe_load((ROOT / "notebooks" / "profiles" / "full" / f"{name}.yaml").read_text()) for name in KEPT
    )
    setting = {key: figure["value"] for key, figure in REPORTED.items() if figure["what"] == "setting"}
    networks = ("cnn_model_2", "optimized_cnn_model", "cnn_model")
    assert seven["EPOCHS"] == [setting[f"{name}_epochs"] for name in networks] == [25, 40, 40]
    assert [seven["BATCH_SIZE"], seven["LEARNING_RATE"], seven["IMAGE_SIZE"]] == [32, 0.001, 224]
    carried = ("cnnmodel_dogs_fc", "cnnmodel_dogs_fc_conv4", "cnnmodel_animals_fc")
    assert eight["EPOCHS"] == [setting[f"{name}_epochs"] for name in carried] == [40, 30, 30]
    assert [eight["LEARNING_RATE_DOGS"], eight["LEARNING_RATE_ANIMALS"]] == [0.017, 0.005]
    assert [eight[name] for name in ("EPOCHS_NETWORKS", "LAST_LAYERS", "BATCH_SIZE", "LEARNING_RATE")] == [
        10,
        10,
        32,
        0.001,
    ]
    assert eight["EPOCHS_CNN"] == seven["EPOCHS"][2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Of each notebook at the smoke profile: its report's JSON and, kept by a cell of this test, what it is made of."""
    root = tmp_path_factory.mktemp("s3")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for variable, folder in (("WORKBOOK_DATA", "data"), ("TORCH_HOME", "torch"), ("HF_HUB_CACHE", "hub")):
            patch.setenv(variable, str(root / folder))
        for name, keep in KEPT.items():
            path, kept = root / "notebooks" / f"{name}.ipynb", root / f"{name}.pt"
            notebook = nbformat.read(path, as_version=4)
            notebook.cells.insert(2, nbformat.v4.new_code_cell(LISTEN))
            notebook.cells.append(nbformat.v4.new_code_cell(KEEP + keep.replace('"kept.pt"', repr(str(kept)))))
            nbformat.write(notebook, path)
            assert cli.main([name, "--profile", "smoke", "--format", "html"], root=root) == 0
            report = json.loads((root / "reports" / "smoke" / f"{name}.json").read_text())
            found[name[:2]] = report, torch.load(kept, weights_only=False)
    return found


def macro(logits, labels):
    truth, guess = labels.numpy(), logits.argmax(1).numpy()
    scores = metrics.precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    return dict(zip(("precision", "recall", "f1"), scores, strict=False)) | {"test": (truth == guess).mean()}


def expected(stem, runs):
    """Numbers of a network, from each of its runs' logits, labels and history."""
    rows = []
    for logits, labels, history in runs:
        row = macro(logits, labels)
        row |= {"train_loss": history["train_loss"][-1], "train": history["train_accuracy"][-1]}
        row |= {"val_loss": history["val_loss"][-1], "val": history["val_accuracy"][-1]}
        rows.append(row | {"best_val": max(history["val_accuracy"])})
    return {f"{stem}_{name}": np.mean([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.slow
def test_recorded_numbers_are_those_of_the_logits_and_histories(runs):
    report, kept = runs["07"]
    (_, train_labels), _, (_, labels) = kept["splits"]
    stems = {"CNNModel2": "cnn_model_2", "OptimizedCNNModel": "optimized_cnn_model", "CNNModel": "cnn_model"}
    numbers = {}
    for name, stem in stems.items():
        logits, history = kept["logits"][name, 0], kept["histories"][name, 0]
        numbers |= expected(stem, [(logits, labels, history)])
        known = (kept["train_logits"][name, 0].argmax(1) == train_labels).double().mean().item()
        numbers[f"{stem}_gap"] = known - history["val_accuracy"][-1]
    probabilities = kept["logits"]["CNNModel2", 0].softmax(1)
    areas = [metrics.roc_auc_score(labels == k, probabilities[:, k]) for k in range(10)]
    numbers["cnn_model_2_auc"] = min(areas)
    report8, kept8 = runs["08"]
    for name, on_dogs in kept8["used"].items():
        labels8 = kept8["dog behaviours" if on_dogs else "three animals"][2][1]
        seeds = [(kept8["logits"][name, seed], labels8, kept8["histories"][name, seed]) for seed in (0, 1)]
        numbers |= expected(re.sub(r"\W+", "_", name.lower()), seeds)
    recorded = report["numbers"] | report8["numbers"]
    assert {f"{stem}_test" for stem in stems.values()} < {*recorded}
    checked = {name: number["value"] for name, number in recorded.items() if not name.endswith("_parameters")}
    assert checked == pytest.approx({name: numbers[name] for name in checked}, abs=1e-6)


@pytest.mark.slow
def test_a_change_is_measured_on_the_same_test_images(runs):
    report, kept = runs["07"]
    labels = kept["splits"][2][1]
    right = {key[0]: (logits.argmax(1) == labels).double().mean().item() for key, logits in kept["ablation"].items()}
    table = report["tables"]["ablation"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["values"]]
    assert len(rows) == 7
    for row in rows:
        name = re.sub(r".*\((.*)\)", r"\1", row["change"])
        assert row["test"] == pytest.approx(right[name])
        assert row["difference"] == pytest.approx(right[name] - right[row["against"]])


def distinct(images):
    return {image.numpy().tobytes() for image in images}


@pytest.mark.slow
def test_nothing_is_trained_or_chosen_on_test_images(runs):
    sets = (runs["07"], ["splits"]), (runs["08"], ["photographs", "dog behaviours", "three animals"])
    for (_, kept), names in sets:
        trains, vals, tests = set(), set(), set()
        for name in names:
            parts = [distinct(images) for images, _ in kept[name]]
            assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
            trains, vals, tests = trains | parts[0], vals | parts[1], tests | parts[2]
        for call in kept["calls"]:
            learns, watches = distinct(call["learns"]), distinct(call["watches"])
            assert not (learns | watches) & tests
            if call["label"].startswith("by heart"):
                assert learns == watches and learns < trains
            elif not call["label"].startswith("negatives"):
                assert learns <= trains and watches <= vals
    _, kept = runs["07"]
    last = {name: history["val_accuracy"][-1] for (name, _), history in kept["histories"].items()}
    assert last[kept["best"]] == max(last.values())


@pytest.mark.slow
def test_trainings_are_as_the_text_says(runs):
    _, kept = runs["07"]
    for call in kept["calls"]:
        assert (call["optimizer"], call["learning_rate"], call["batch_size"]) == ("adam", 0.001, 32)
        assert call["augment"] == call["label"].startswith(("CNNModel,", "augmentation"))
        assert "weight_decay" not in call and "loss" not in call
    epochs = {call["label"].rpartition(", ")[0]: call["epochs"] for call in kept["calls"]}
    assert len({epochs[name] for name in ("BatchNorm", "dropout", "augmentation", "CNNModel2", "CNNModel")}) == 1
    assert {call["epochs"] for call in kept["calls"] if call["label"].startswith("by heart")} == {2}


@pytest.mark.slow
def test_only_what_should_train_moves(runs):
    """Weights and statistics: of fc1 and fc2, in one training of conv4 too, or of the last ten layers with weights."""
    _, kept = runs["08"]
    first, *others = kept["calls"]
    assert {"conv1.weight", "bn4.running_mean", "fc2.bias"} <= {*first["moved"]}
    rates = {"CNNModel, dogs": 0.005, "CNNModel, animals": 0.005, "resnet18": 0.001, "mobilenet_v2": 0.001}
    for call in others:
        layers = {name.rpartition(".")[0] for name in call["moved"]}
        start = next((name for name in rates if call["label"].startswith(name)), None)
        assert call["learning_rate"] == rates.get(start, 0.005) and call.get("optimizer", "adam") == "adam"
        if start in ("resnet18", "mobilenet_v2"):
            assert len(layers) == 10 and not call["augment"]
        else:
            assert layers == ({"conv4", "bn4"} if "conv4" in call["label"] else set()) | {"fc1", "fc2"}
            assert call["augment"]
