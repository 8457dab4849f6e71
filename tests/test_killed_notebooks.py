"""A notebook whose kernel and whose command are killed in a training ends with the numbers of one that is not."""

import signal

import pytest

from helpers.report import cli
from tests.command import left, printed, start, write_notebook

pytestmark = pytest.mark.slow

TRAINS = """\
from helpers import data, models, train
images = data.load("shapes", own="three_animals", train_per_class=12, test_per_class=4, image_size=16, num_classes=3)
network = models.arc3(3, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=16, dropout=0.3, seed=SEED)
options = {"epochs": 5, "batch_size": 8, "compute": train.choose_compute("cpu", "float32")}
result = train.fit(network, images.train, images.test, checkpoint=CHECKPOINT, **options)
history = result.history.drop(columns="seconds")"""
DIES = """\
import os, signal, time
from pathlib import Path

replace, CHECKPOINT = os.replace, Path("checkpoints")


def dies_after_a_checkpoint(source, target):
    replace(source, target)
    if KILLED and str(target).endswith(".pt"):
        os.kill(os.getpid() if KILLED == "kernel" else os.getppid(), signal.SIGKILL)
        time.sleep(600)  # a kernel without its command ends itself


os.replace = dies_after_a_checkpoint"""
RECORDS = """\
from helpers import record
print("resumed from", result.resumed_from)
record.numbers([record.Number(name, name, history[name].iloc[-1]) for name in history], "last", "The last epoch.")"""


def test_a_killed_notebook_ends_with_the_same_numbers(tmp_path):
    quiet = {"SEED": 3, "CHECKPOINT": None}
    exec(TRAINS, quiet)
    write_notebook(tmp_path, "01_trains", DIES, TRAINS, RECORDS, parameters="SEED = 3\nKILLED = ''")
    assert cli.main(["--format", "html", "-p", "KILLED", "kernel"], root=tmp_path) == 1
    assert left(tmp_path, "01_trains")["error"]["name"] == "KernelDied"
    with start(tmp_path, "--format", "html", "-p", "KILLED", "command") as command:
        said = command.communicate()
    assert command.returncode == -signal.SIGKILL, said
    assert cli.main(["--format", "html"], root=tmp_path) == 0
    assert "resumed from 2" in printed(tmp_path, "01_trains")
    numbers = left(tmp_path, "01_trains")["numbers"]
    assert {name: number["value"] for name, number in numbers.items()} == quiet["history"].iloc[-1].to_dict()
