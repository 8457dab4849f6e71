"""Checkpoints on a disk that is full, files that are damaged or not ours, and which files a folder keeps."""

import math
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from helpers import ROOT, train
from helpers.train import checkpoint


@pytest.fixture
def fit(make_images, cpu):
    """Trains a small network; ``factor`` is part of its code."""

    def fitted(folder, *, epochs=2, factor=0.1, **options):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        network[0].register_forward_hook(lambda module, inputs, output: output.float() * factor)
        images = make_images(4)
        return train.fit(network, images, images, epochs=epochs, compute=cpu, checkpoint=folder, **options)

    return fitted


def test_where_no_checkpoint_can_be_written_a_training_goes_without_and_leaves_the_one_before(
    fit, tmp_path, monkeypatch
):
    fit(tmp_path, epochs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(_file) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("helpers.files.os.fsync", full_disk)
    with pytest.warns(train.CheckpointWarning, match="can't be written: No space left on device. Make room") as caught:
        assert len(fit(tmp_path, epochs=3).history) == 3
    assert len(caught) == 1
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert fit(tmp_path).resumed_from == 1
    with pytest.warns(train.CheckpointWarning, match="can't be written"):
        fit(next(tmp_path.iterdir()))  # a file where the folder should be


@pytest.mark.parametrize("damage", ["truncated", "garbage", "foreign", "malicious", "older format", "other training"])
def test_a_file_that_is_damaged_or_not_ours_is_not_taken_up_and_soon_replaced(fit, tmp_path, malicious, damage):
    folder = tmp_path / "kept"
    expected = fit(folder).history["val_loss"]
    (path,) = folder.iterdir()
    content = torch.load(path, weights_only=True)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "garbage":
        path.write_bytes(b"not a checkpoint")
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(2)}, path)
    elif damage == "malicious":
        torch.save({**content, "state": malicious}, path)
    elif damage == "older format":
        torch.save({**content, "format": 0}, path)
    else:
        fit(tmp_path / "other", seed=1)
        next((tmp_path / "other").iterdir()).replace(path)
    with pytest.warns(train.CheckpointWarning, match=rf"checkpoint {path.name} can't be used: .* without it"):
        assert fit(folder).history["val_loss"].equals(expected)
    assert list(folder.iterdir()) == [path] and fit(folder).resumed_from == 2


def test_the_schedule_of_the_readme_is_taken_up_where_it_was(fit, make_images, tmp_path):
    code = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\nSTEPS")[1].split("```")[0]
    names = {"math": math, "torch": torch, "images": SimpleNamespace(train=make_images(4))}
    names |= {"EPOCHS": 4, "BATCH_SIZE": 8, "LEARNING_RATE": 0.5}
    exec(f"STEPS{code}", names)

    def by_pytorch(network):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, names["STEPS"])
        optimizer.register_step_post_hook(lambda *_: schedule.step())
        return optimizer

    mine = {"batch_size": 8, "optimizer": names["annealed_sgd"]}
    fit(tmp_path, epochs=2, **mine)
    resumed = fit(tmp_path, epochs=4, **mine)
    at_once, pytorchs = fit(None, epochs=4, **mine), fit(None, epochs=4, batch_size=8, optimizer=by_pytorch)
    losses = [result.history["val_loss"].tolist() for result in (resumed, at_once, pytorchs)]
    assert resumed.resumed_from == 2 and losses[0] == losses[1] == pytest.approx(losses[2])


@pytest.mark.parametrize("earlier", [True, False])
def test_a_finished_training_removes_what_it_replaces_of_earlier_runs_and_nothing_else(fit, tmp_path, earlier):
    made, folder = {}, tmp_path / "made"
    for name, options in (
        ("shortest", {"epochs": 1}),
        ("longest", {"epochs": 4}),
        ("other code", {"factor": 0.2}),
        ("other seed", {"seed": 1}),
        ("shorter", {}),
    ):
        fit(folder, **options)
        (made[name],) = {path.name for path in folder.iterdir()} - {*made.values()}
    later = shutil.copytree(folder, tmp_path / "later")  # as another process left it
    for path in later.iterdir() if earlier else []:
        os.utime(path, (checkpoint.STARTED - 60, checkpoint.STARTED - 60))
    assert fit(later, epochs=3).resumed_from == 2
    left = {name for name in made if (later / made[name]).exists()}
    # The shorter one was taken up, and may be again.
    assert left == ({"longest", "other seed", "shorter"} if earlier else {*made})
    assert len(list(later.iterdir())) == len(left) + 1
