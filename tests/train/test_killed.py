"""Trainings whose processes are killed, in a step or while a checkpoint is written, end with the numbers of quiet ones.

Each process dies at a given call, not after a given time. They are forks of a process of its own (this file, run as a
script) that has trained nothing before.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import pytest
import torch

from helpers import ROOT, files, models, train
from helpers.data import ImageData, Source
from helpers.train.checkpoint import hash_tensors

pytestmark = pytest.mark.slow

DEATHS = [("step", 1), ("open", 1), ("step", 9), ("fsync", 2), ("fsync", 1), ("step", 30), ("replace", 1)]
DEATHS += [("replace", 2), ("step", 21), ("open", 1)]
"""The calls in which processes are killed, one process after the other."""


def test_killed_trainings_end_with_the_same_numbers_bit_for_bit():
    done = subprocess.run(
        [sys.executable, __file__], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["statuses"] == [0, *[-signal.SIGKILL] * len(DEATHS), 0]
    assert answer["killed"] == answer["quiet"] and answer["resumed"] == 10
    # Half-written files have other names, and go a day later.
    (name,) = [name for name in answer["names"] if not name.endswith(".part")]
    assert name.endswith("-15.pt")


def images(seed: int, per_class: int) -> ImageData:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (4 * per_class, 3, 12, 12), generator=generator, dtype=torch.uint8)
    source = Source("random", "Random pixels", "made by a test")
    return ImageData(pixels, torch.arange(4).repeat(per_class), tuple("abcd"), "train", source)


def results(folder: Path) -> tuple[list, int]:
    """A training with all that is random: order, augmentation, dropout, initial weights; and how much it took up."""
    network = models.arc3(4, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=12, dropout=0.3, seed=0)
    augment = train.RandomAffine(degrees=20, zoom=(0.8, 1.2))
    options = {"epochs": 15, "batch_size": 16, "augment": augment, "checkpoint": folder, "checkpoint_every": 2}
    result = train.fit(network, images(1, 24), images(2, 8), compute=train.choose_compute("cpu", "float32"), **options)
    history = result.history.drop(columns="seconds").map(float.hex).to_dict("list")
    return [history, result.best_epoch, hash_tensors(*network.state_dict().values())], result.resumed_from


def die_in(call: str, count: int) -> None:
    """Has this process killed in the count-th call."""
    module, name = {"step": (torch.autograd, "backward"), "open": (files, "open")}.get(call, (files.os, call))
    original, left = getattr(module, name, open), [count]

    def dying(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(module, name, dying)


def run(folder: Path, death: tuple[str, int] | None = None) -> int:
    """Trains in a fork; its exit code."""
    process = os.fork()
    if not process:
        try:
            if death:
                die_in(*death)
            folder.with_suffix(".json").write_text(json.dumps(results(folder)))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # imports for seconds, which each fork would do again
    with tempfile.TemporaryDirectory() as name:
        quiet, killed = Path(name, "quiet"), Path(name, "killed")
        statuses = [run(quiet), *(run(killed, death) for death in DEATHS), run(killed)]
        found = [json.loads(folder.with_suffix(".json").read_text()) for folder in (quiet, killed)]
        answer = {"statuses": statuses, "names": sorted(path.name for path in killed.iterdir())}
        print(json.dumps({**answer, "quiet": found[0][0], "killed": found[1][0], "resumed": found[1][1]}))
