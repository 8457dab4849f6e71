"""A notebook that is killed ends with the numbers of one that is not: the benchmark that does this for all, on one."""

import importlib

import pytest

from helpers import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def benchmark(monkeypatch):
    """Found as ``tests.benchmarks`` whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("tests.benchmarks.killed_notebooks")


def test_a_killed_notebook_ends_with_the_same_numbers(benchmark, tmp_path):
    """The report command or the kernel is killed in the midst of a training."""
    options = ["--profile", "smoke", "--format", "html"]
    trial = benchmark.try_notebook(tmp_path, "01_cnn_on_a", options, kills=1, seed=7)
    assert trial.differences == []
    assert trial.compared > 100
    (hit,) = trial.hits
    assert 0 < hit.begun <= trial.trainings and hit.cell not in ("", "the end")


def test_a_difference_in_the_last_digit_is_found_and_durations_are_none(benchmark):
    def measured(accuracy=0.1, loss=0.0, seconds=1.0):
        numbers = {"accuracy": {"value": accuracy, "unit": "%"}, "time": {"value": seconds, "unit": "s"}}
        values = [["a", seconds, loss], ["seconds an epoch", seconds, seconds]]
        table = {"columns": ["network", "s/epoch", "loss"], "values": values}
        return benchmark.measured({"status": "ok", "numbers": numbers, "tables": {"test": table}})

    assert benchmark.differences(measured(), measured(seconds=3.0)) == []
    assert len(benchmark.differences(measured(), measured(accuracy=0.1 + 2**-56))) == 1
    assert benchmark.differences(measured(), measured(loss=-0.0)) == ["/tables/test/0/loss: 0.0 and -0.0"]
