"""Checkpoints on a disk that is full."""

import os

import pytest
import torch

from helpers import models, train
from helpers.train.checkpoint import CheckpointFile


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


@pytest.mark.parametrize("room", [0, 1000, 400_000])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, room):
    file = CheckpointFile(tmp_path, {"seed": 0}, epochs=3)
    file.save({"weights": torch.zeros(100_000)})
    monkeypatch.setattr("helpers.files.open", lambda *args: FullDisk(open(*args), room), raising=False)  # noqa: SIM115
    with pytest.raises(train.CheckpointError, match=r"can't be written .* No space left on device\. Make room"):
        file.save({"weights": torch.ones(100_000)})
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [file.path.name]
    assert torch.equal(file.load()["weights"], torch.zeros(100_000))


def test_a_training_that_cannot_keep_a_checkpoint_says_why(make_images, cpu, tmp_path):
    folder = tmp_path / "file"
    folder.touch()  # where the folder of checkpoints should be
    network = torch.nn.Sequential(models.Normalize([0.5] * 3, [0.25] * 3), torch.nn.Flatten(), torch.nn.Linear(192, 4))
    images = make_images(4)
    with pytest.raises(train.CheckpointError, match="the folder 'file'"):
        train.fit(network, images, images, epochs=1, compute=cpu, checkpoint=folder)
