"""Training processes that are killed at twenty moments: the last one's results are those of a quiet training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("killed_training.py")


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, SCRIPT, tmp_path_factory.mktemp("scratch")]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_trainings_end_with_the_same_numbers_bit_for_bit(answer):
    first, *killed, last = answer["statuses"]
    assert (first, last) == (0, 0)
    assert len(killed) == 20 and killed.count(-9) >= 14, "the last ones may find a training that has ended"
    assert answer["killed"] == answer["quiet"]
    (history, _, weights), (other_history, _, other_weights) = answer["quiet"]
    assert weights != other_weights and history != other_history
    assert len(set(history["train_loss"])) == 15


def test_no_half_written_file_bears_a_checkpoints_name(answer):
    named = [name for name in answer["names"] if not name.endswith(".part")]  # these go a day later
    assert len(named) == 2 and all(name.endswith("-15.pt") for name in named)
