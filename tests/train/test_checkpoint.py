"""Checkpoints on a disk that is full, files that are damaged or not ours, and which files a folder keeps."""

import os
import shutil

import pytest
import torch

from helpers import WorkbookError, models, train
from helpers.train import checkpoint
from helpers.train.checkpoint import CheckpointFile

KEY = "start", "code"


class FullDisk:
    """A stream that takes some bytes, and no more."""

    def __init__(self, stream, room: int) -> None:
        self.stream, self.room = stream, room

    def write(self, content) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise OSError(28, os.strerror(28))
        return self.stream.write(content)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def __getattr__(self, name):
        return getattr(self.stream, name)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    file = CheckpointFile(tmp_path, *KEY, epochs=3)
    file.save({"weights": torch.zeros(100_000)})
    monkeypatch.setattr("helpers.files.open", lambda *args: FullDisk(open(*args), room=1000), raising=False)  # noqa: SIM115
    with pytest.raises(WorkbookError, match=r"can't be written .* No space left on device\. Make room"):
        file.save({"weights": torch.ones(100_000)})
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [file.path.name]
    assert torch.equal(file.load()["weights"], torch.zeros(100_000))


def test_a_training_that_cannot_keep_a_checkpoint_says_why(make_images, cpu, tmp_path):
    folder = tmp_path / "file"
    folder.touch()  # where the folder of checkpoints should be
    network = torch.nn.Sequential(models.Normalize([0.5] * 3, [0.25] * 3), torch.nn.Flatten(), torch.nn.Linear(192, 4))
    images = make_images(4)
    with pytest.raises(WorkbookError, match="the folder 'file'"):
        train.fit(network, images, images, epochs=1, compute=cpu, checkpoint=folder)


class Malicious:
    """Unpickling it as the old torch.load did would make a folder."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.mkdir, (self.marker,))


@pytest.mark.parametrize("damage", ["truncated", "garbage", "foreign", "malicious", "older format", "other training"])
def test_a_file_that_is_damaged_or_not_ours_is_set_aside(tmp_path, damage):
    file, marker = CheckpointFile(tmp_path, *KEY, 3), tmp_path / "executed"
    file.save({"epoch": 1, "weights": torch.zeros(1000)})
    content = torch.load(file.path, weights_only=True)
    if damage == "truncated":
        file.path.write_bytes(file.path.read_bytes()[:-1000])
    elif damage == "garbage":
        file.path.write_bytes(b"not a checkpoint")
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(2)}, file.path)
    elif damage == "malicious":
        torch.save({**content, "state": Malicious(marker)}, file.path)
    elif damage == "older format":
        torch.save({**content, "format": 0}, file.path)
    else:
        other = CheckpointFile(tmp_path, "start", "another", 3)
        other.save({"epoch": 2})
        other.path.replace(file.path)
    with pytest.warns(train.CheckpointWarning, match=rf"{file.path.name} can't be used: .* training anew"):
        assert file.load() is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".unusable"]
    assert not marker.exists()


# What a folder keeps


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """Files as an earlier process left them."""
    made = [
        CheckpointFile(tmp_path / "made", start, code, epochs)
        for start, code in (KEY, ("start", "old"), ("another", "code"))
        for epochs in (2, 5, 9)
    ]
    for file in made:
        file.save({"epoch": file.epochs})
    folder = tmp_path / "earlier"
    shutil.copytree(tmp_path / "made", folder)
    monkeypatch.setattr(checkpoint, "STARTED", checkpoint.STARTED + 3600)
    return folder


def names(folder):
    return sorted(path.name.removesuffix(".pt") for path in folder.iterdir())


def test_a_finished_training_removes_what_it_replaces_and_nothing_else(earlier):
    file = CheckpointFile(earlier, *KEY, 7)
    file.save({"epoch": 7})
    file.remove_replaced()
    others = [f"another-code-{epochs}" for epochs in (2, 5, 9)]
    assert names(earlier) == [*others, "start-code-7", "start-code-9"]


def test_files_of_runs_side_by_side_stay(earlier, monkeypatch):
    monkeypatch.setattr(checkpoint, "STARTED", 0.0)
    before = names(earlier)
    CheckpointFile(earlier, *KEY, 9).remove_replaced()
    assert names(earlier) == before


def test_old_code_and_shorter_trainings_go_when_a_training_ends(make_images, cpu, tmp_path, monkeypatch):
    images, folder = make_images(4), tmp_path / "later"

    def run(epochs, factor, at):
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4).requires_grad_(True))
        torch.nn.init.constant_(network[1].weight, 0.01)
        torch.nn.init.zeros_(network[1].bias)
        network[0].register_forward_hook(lambda module, inputs, output: output.float() * factor)
        return train.fit(network, images, images, epochs=epochs, compute=cpu, checkpoint=at)

    for epochs, factor in ((1, 0.1), (2, 0.1), (2, 0.2)):
        run(epochs, factor, tmp_path / "before")
    shutil.copytree(tmp_path / "before", folder)
    assert len(names(folder)) == 3
    monkeypatch.setattr(checkpoint, "STARTED", checkpoint.STARTED + 3600)
    assert run(3, 0.1, folder).resumed_from == 2
    assert [name.rpartition("-")[2] for name in names(folder)] == ["2", "3"], "it was taken up, and may be again"
    assert run(3, 0.1, folder).resumed_from == 3
