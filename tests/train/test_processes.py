"""Trainings side by side against the plain loop, which is the truth about them."""

import multiprocessing
import os
import signal
import threading
import time
from functools import partial

import pytest
import torch

from helpers import WorkbookError, models, train
from helpers.train import processes
from tests.train.same import assert_same

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """Whatever this machine has, and images so few go through a file as many would."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    monkeypatch.setattr(processes, "SHARED", 2**10)


def make_networks():
    networks = [models.arc3(4, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=12, dropout=0.3, seed=s) for s in range(3)]
    networks[1][1].requires_grad_(False)
    return networks


def make_trainings(networks, make_images, cpu, **options):
    """Also with what pickle alone can't take to another process."""
    images, val = make_images(30, size=12), make_images(5, size=12, seed=1)
    fit = partial(train.fit, train=images, val=val, compute=cpu, batch_size=16, learning_rate=0.05)
    adam = lambda model: torch.optim.Adam(model.parameters(), lr=0.01)  # noqa: E731
    ways = [
        {"optimizer": "sgd", "augment": train.RandomAffine(degrees=10)},
        {"optimizer": "sgd", "extra": {"again": val}},
        {"optimizer": adam, "augment": lambda batch: batch.flip(3) / 255},
    ]
    return [
        partial(fit, network, **way, label=f"training {seed}", seed=seed, **options)
        for seed, (network, way) in enumerate(zip(networks, ways, strict=True))
    ]


def assert_all_same(expected, results, networks, others):
    for each in zip(others, results, networks, expected, strict=True):
        assert_same(*each)


def test_they_equal_the_plain_loop_bit_for_bit_and_share_its_checkpoints(make_images, cpu, tmp_path):
    networks, others = make_networks(), make_networks()
    expected = [training() for training in make_trainings(networks, make_images, cpu, epochs=2)]
    assert expected[1].cached_layers
    results = train.side_by_side(make_trainings(others, make_images, cpu, epochs=2, checkpoint=tmp_path))
    assert_all_same(expected, results, networks, others)
    again = make_networks()
    resumed = [training() for training in make_trainings(again, make_images, cpu, epochs=2, checkpoint=tmp_path)]
    assert [result.resumed_from for result in resumed] == [2, 2, 2]
    assert_all_same(expected, results, networks, again)


def test_ctrl_c_stops_all_at_the_end_of_a_batch_and_they_go_on_from_there(make_images, cpu, tmp_path):
    networks, others = make_networks(), make_networks()
    options = {"epochs": 30, "checkpoint": tmp_path}

    def press_ctrl_c():
        while not list(tmp_path.glob("*.pt")):
            time.sleep(0.01)
        for process in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:  # as a terminal does
            os.kill(process, signal.SIGINT)

    presser = threading.Thread(target=press_ctrl_c)
    presser.start()
    with pytest.raises(train.TrainingStopped, match=r"stopped in epoch .* of its 8 batches") as stopped:
        train.side_by_side(make_trainings(make_networks(), make_images, cpu, **options))
    presser.join()
    assert len(stopped.value.result.history) < 30
    assert len(list(tmp_path.glob("*.pt"))) == 2  # the third did not begin
    results = train.side_by_side(make_trainings(others, make_images, cpu, **options))
    assert sum(result.resumed_from for result in results) > 0
    expected = [training() for training in make_trainings(networks, make_images, cpu, epochs=30)]
    assert_all_same(expected, results, networks, others)


class Counting:
    """Keeps something that no checkpoint holds."""

    count = 0

    def __call__(self, batch):
        self.count += 1
        return batch / 255


def test_warnings_come_back_and_the_error_of_one_too_and_no_further_training_begins(
    make_images, cpu, tmp_path, monkeypatch
):
    (tmp_path / "data").touch()
    monkeypatch.setattr("helpers.DATA", tmp_path / "data")  # a file: no folder can be made there
    trainings = make_trainings(make_networks(), make_images, cpu, epochs=1, checkpoint=tmp_path / "warned")[:2]
    with pytest.warns(train.CheckpointWarning, match="training 0: no checkpoint is kept"):
        train.side_by_side([partial(trainings[0], augment=Counting()), trainings[1]])
    trainings = make_trainings(make_networks(), make_images, cpu, epochs=200, checkpoint=tmp_path)
    trainings[1] = partial(trainings[1], optimizer=lambda model: 1 / 0)
    trainings[2] = partial(trainings[2], optimizer=lambda model: (tmp_path / "began").touch())
    with pytest.raises(ZeroDivisionError):
        train.side_by_side(trainings)
    assert not (tmp_path / "began").exists()
    assert all(torch.load(file)["state"]["progress"]["epoch"] < 200 for file in tmp_path.glob("*.pt"))


def test_a_process_that_is_killed_is_one_sentence_and_the_next_call_trains(make_images, cpu):
    trainings = make_trainings(make_networks(), make_images, cpu, epochs=1)
    killed = partial(trainings[1], optimizer=lambda model: os.kill(os.getpid(), signal.SIGKILL))  # as the kernel does
    with pytest.raises(WorkbookError, match=r"lack of memory.*LOKY_MAX_CPU_COUNT=1"):
        train.side_by_side([trainings[0], killed])
    assert len(train.side_by_side(trainings)) == 3


def test_with_one_core_they_train_here_one_after_the_other(make_images, cpu, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    trainings, order = make_trainings(make_networks(), make_images, cpu, epochs=1), []
    train.side_by_side(
        [partial(each, augment=lambda batch, i=i: order.append(i) or batch / 255) for i, each in enumerate(trainings)]
    )
    assert order == sorted(order) and set(order) == {0, 1, 2}
    with pytest.raises(WorkbookError, match="a network of its own"):
        train.side_by_side([trainings[0]] * 2)
    assert train.side_by_side([]) == [], "a notebook may have trained all of them already"
