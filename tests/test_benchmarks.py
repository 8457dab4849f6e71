"""What the comparison of training loops makes of its times."""

import importlib

import pandas as pd
import pytest

from helpers import ROOT


@pytest.fixture
def loop(monkeypatch):
    """Found as ``tests.benchmarks`` whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("tests.benchmarks.loop")


def test_ratios_are_taken_within_a_seed(loop):
    # The machine is slower during the second seed, and Lightning has no third.
    took = {"ours": [1, 10, 2], "pytorch": [3, 20, 8], "lightning": [2, 15]}
    rows = [(name, seed, value, 2 * value) for name, values in took.items() for seed, value in enumerate(values)]
    told = loop.ratios(pd.DataFrame(rows, columns=["contestant", "seed", "epoch 1", "later"])).splitlines()
    assert told[0] == "ours against pytorch: epoch 1 3.00 (2.00 to 4.00), later 3.00 (2.00 to 4.00)"
    assert told[1] == "ours against lightning: epoch 1 1.75 (1.50 to 2.00), later 1.75 (1.50 to 2.00)"
    assert told[2] == "ours against the best peer: epoch 1 1.75, later 1.75"
