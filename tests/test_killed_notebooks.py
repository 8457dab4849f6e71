"""A notebook that is killed ends with the numbers of one that is not: the benchmark that does this for all, on one."""

import importlib

import pytest

from helpers import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    """Found as ``tests.benchmarks`` whatever folder and command pytest was started from."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("tests.benchmarks.killed_notebooks")


def test_a_killed_notebook_ends_with_the_same_numbers(benchmark, tmp_path):
    """Six networks with two seeds each, and the report command or the kernel killed at three moments."""
    options = ["--profile", "smoke", "--format", "html", "-p", "SEEDS", "[0, 1]"]
    trial = benchmark.try_notebook(tmp_path, "06_fashion_mnist", options, kills=3, seed=7)
    assert trial.differences == []
    assert trial.trainings == 12 and trial.compared > 500
    assert {hit.target for hit in trial.hits} == {"command", "kernel"}
    first, _, third = trial.hits
    assert 0 < first.begun < third.begun <= trial.trainings
    assert first.cell not in ("", "the end")


def test_a_difference_in_the_last_digit_is_found_and_durations_are_none(benchmark):
    accuracy, seconds = {"value": 0.1, "unit": "%"}, {"value": 2.0, "unit": "s"}
    table = {"columns": ["network", "s/epoch", "loss"], "values": [["a", 1.0, 0.0], ["seconds an epoch", 1.0, 2.0]]}
    report = {"status": "ok", "numbers": {"accuracy": accuracy, "time": seconds}, "tables": {"test": table}}
    slower = {**table, "values": [["a", 3.0, 0.0], ["seconds an epoch", 4.0, 5.0]]}
    same = {**report, "numbers": {"accuracy": accuracy, "time": {**seconds, "value": 3.0}}, "tables": {"test": slower}}
    one = benchmark.measured(report)
    assert benchmark.differences(one, benchmark.measured(same)) == []

    other = benchmark.measured({**report, "numbers": {"accuracy": {**accuracy, "value": 0.1 + 2**-56}}, "tables": {}})
    assert len(benchmark.differences(one, other)) == 3  # and the table's two values that are no durations
    negative = {**report, "tables": {"test": {**table, "values": [["a", 1.0, -0.0]]}}}
    assert benchmark.differences(one, benchmark.measured(negative)) == ["/tables/test/0/loss: 0.0 and -0.0"]
    failed = benchmark.measured({**report, "status": "failed"})
    assert benchmark.differences(one, failed) == ["/status: 'ok' and 'failed'"]


def test_a_run_that_fails_by_itself_is_an_error(benchmark, tmp_path):
    folder = benchmark.Folder(tmp_path / "folder", "06_fashion_mnist", ["--profile", "smoke", "--timeout", "0.001"])
    with pytest.raises(benchmark.KillingError, match=r"06_fashion_mnist fails:\n(.*\n)*.*stopped at its limit"):
        folder.finish()
