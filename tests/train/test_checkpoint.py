"""Checkpoints on a disk that is full, that would fill the memory, and that were made in other surroundings."""

import os
import warnings
import zipfile

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


def only_warning(file: CheckpointFile) -> str:
    """Loads a checkpoint that can't be used, and returns what is said about it."""
    with pytest.warns(train.CheckpointWarning) as caught:
        assert file.load() is None
    (warning,) = caught
    return str(warning.message)


def pack(path, compression, *more):
    """Writes a file of `torch.save` again with its members packed, and with more members."""
    with zipfile.ZipFile(path) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in [*members, *more]:
            archive.writestr(name, content)


def promise(path, size):
    """Lets a file's directory say that its first member has so many bytes."""
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02") + 24
    content[start : start + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["packed", "packed more", "promised", "no archive"])
def test_a_file_that_would_unpack_to_more_than_it_has_is_set_aside_unread(tmp_path, monkeypatch, kind):
    file = CheckpointFile(tmp_path, {"seed": 0}, epochs=3)
    file.save({"weights": torch.zeros(100_000)})
    if kind == "packed":
        pack(file.path, zipfile.ZIP_DEFLATED)
        assert file.path.stat().st_size < 10_000
    elif kind == "packed more":
        pack(file.path, zipfile.ZIP_DEFLATED, ("archive/zeros", bytes(50_000_000)))
    elif kind == "promised":
        promise(file.path, 4_000_000_000)
    else:
        torch.save({"format": 1}, file.path, _use_new_zipfile_serialization=False)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    assert "would unpack to more than its own size. Kept as" in only_warning(file)
    assert [path.suffix for path in tmp_path.iterdir()] == [".unusable-1"]


class Asking:
    """Unpickled, it is a tensor of so many numbers, of which the file holds none."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self):
        return torch.Tensor, (self.number,)


def test_a_file_that_asks_for_more_memory_than_it_has_itself_is_set_aside(tmp_path):
    file = CheckpointFile(tmp_path, {"seed": 0}, epochs=3)
    file.save({"weights": Asking(10**14)})
    assert "can't allocate memory" in only_warning(file)
    assert [path.suffix for path in tmp_path.iterdir()] == [".unusable-1"]


def test_too_little_memory_is_not_blamed_on_the_checkpoint(tmp_path, monkeypatch):
    file = CheckpointFile(tmp_path, {"seed": 0}, epochs=3)
    file.save({"weights": torch.zeros(1000)})

    def fail(*_, **__):
        raise RuntimeError("can't allocate memory: you tried to allocate 4000 bytes. Error code 12")

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(torch, "load", fail)
        file.load()
    assert torch.equal(file.load()["weights"], torch.zeros(1000))


# What is said when a training begins anew

SETTINGS = {
    "seed": 0,
    "parameter groups": [{"lr": 0.1, "params": ["weight"]}],
    "data": {"train": "0a1b"},
    "device": "cpu",
    "precision": "float32",
    "versions": {"torch": "2.6.0", "timm": "1.0.15"},
    "code": "0a1b",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "2c3d"}, "its code differs"),
        ({"versions": {"torch": "2.7.0", "timm": "1.0.15"}}, "its torch is '2.6.0', not '2.7.0'"),
        ({"device": "cuda", "precision": "bfloat16"}, "its device is 'cpu', not 'cuda'; its precision is 'float32'"),
    ],
)
def test_another_machine_or_version_is_told_and_its_checkpoint_stays(tmp_path, change, said):
    before = CheckpointFile(tmp_path, SETTINGS, epochs=3)
    before.save({"epoch": 3})
    message = only_warning(CheckpointFile(tmp_path, {**SETTINGS, **change}, epochs=5))
    assert message.startswith("Training anew: there is a checkpoint of this training, but its ") and said in message
    assert before.load() == {"epoch": 3}


@pytest.mark.parametrize("change", [{"seed": 1}, {"parameter groups": []}, {"data": {"train": "2c3d"}}])
def test_nothing_is_said_about_trainings_that_a_notebook_made_different(tmp_path, change):
    CheckpointFile(tmp_path, SETTINGS, epochs=3).save({"epoch": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CheckpointFile(tmp_path, {**SETTINGS, **change}, epochs=3).load() is None
        assert CheckpointFile(tmp_path, SETTINGS, epochs=2).load() is None, "a longer one is no start for it"


def test_of_several_the_newest_is_told_of_and_unreadable_ones_are_left_alone(tmp_path):
    files = [CheckpointFile(tmp_path, {**SETTINGS, "code": code}, epochs=3) for code in ("a", "b", "c", "d")]
    for age, (file, device) in enumerate(zip(files[:3], ("a", "b", "c"), strict=True)):
        file.settings["versions"] = {"torch": device}
        file.save({"epoch": 3})
        os.utime(file.path, (age, age))
    files[2].path.write_bytes(b"damaged")
    assert "its torch is 'b', not '2.6.0'" in only_warning(files[3])
    assert len(list(tmp_path.glob("*.pt"))) == 3


def test_a_renamed_checkpoint_is_told_what_differs(tmp_path):
    other = {**SETTINGS, "parameter groups": [{"lr": 0.01, "params": ["weight"]}], "data": {"train": "2c3d"}}
    file = CheckpointFile(tmp_path, other, epochs=3)
    CheckpointFile(tmp_path, SETTINGS, epochs=3).save({"epoch": 3})
    next(tmp_path.iterdir()).rename(file.path)
    assert "can't be used: its lr is 0.1, not 0.01; its data differs. Kept as" in only_warning(file)
