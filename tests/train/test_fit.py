import math
import os
import shutil
import signal
import time

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from helpers import WorkbookError, models, train


@pytest.fixture
def at_step(monkeypatch):
    """Has something done in a training step, counted from 1; neither network nor augmentation know of it."""

    def at(step, action):
        backward, steps = torch.autograd.backward, []

        def counted(*arguments, **options):
            steps.append(1)
            if len(steps) == step:
                action()
            return backward(*arguments, **options)

        monkeypatch.setattr(torch.autograd, "backward", counted)
        return steps

    return at


def small_network(**options):
    return models.cnn_on_a(4, image_size=8, width=4, **options)


def dropout_network():
    return models.arc3(4, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=12, dropout=0.3, seed=0)


def assert_equal(network, result, other, expected):
    """Bit for bit; only the clock may differ."""
    torch.testing.assert_close(dict(network.state_dict()), dict(other.state_dict()), rtol=0, atol=0)
    torch.testing.assert_close(result.best_state, expected.best_state, rtol=0, atol=0)
    one, two = (each.history.drop(columns="seconds") for each in (result, expected))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert result.best_epoch == expected.best_epoch


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("with_file", "step", "where", "optimizer", "precision"),
    [
        (False, 1, "1, after 1", "adam", "float32"),
        (True, 6, "2, after 2", "adam", "float32"),
        (True, 10, "3, after 2", "sgd", "bfloat16"),
        (True, 11, "3, after 3", "sgd", "float16"),
    ],
)
def test_ctrl_c_stops_after_a_batch_and_a_new_network_goes_on_from_its_checkpoint(
    make_images, tmp_path, at_step, monkeypatch, with_file, step, where, optimizer, precision
):
    images, val, whole, network = make_images(8, size=12), make_images(3, size=12), dropout_network(), dropout_network()
    options = {"epochs": 3, "batch_size": 8, "optimizer": optimizer, "augment": train.RandomAffine(degrees=10)}
    options["compute"] = train.choose_compute("cpu", precision)
    if precision == "float16":  # steps are left out until the gradients' scale fits
        options |= {"loss": lambda logits, labels: 1000 * F.cross_entropy(logits, labels), "learning_rate": 1e-6}
    expected = train.fit(whole, images, val, **options)
    options["checkpoint"] = tmp_path if with_file else None
    at_step(step, press_ctrl_c)
    with pytest.raises(train.TrainingStopped, match=f"stopped in epoch {where} of its 4 batches") as stopped:
        train.fit(dropout_network(), images, val, **options)
    assert ("go on from there" in str(stopped.value)) == with_file
    history = stopped.value.result.history
    assert len(history) == step // 4 and "val_accuracy" in history

    monkeypatch.undo()
    steps = at_step(0, None)
    result = train.fit(network, images, val, **options)
    assert len(steps) == (12 - step if with_file else 12) and result.resumed_from == (step // 4 if with_file else 0)
    assert_equal(network, result, whole, expected)
    with pytest.raises(KeyboardInterrupt):  # as usual after a training
        press_ctrl_c()


def test_a_longer_training_starts_from_a_shorter_one_and_a_finished_one_trains_no_more(
    make_images, cpu, tmp_path, at_step
):
    images, whole, longer = make_images(4), small_network(), small_network()
    expected = train.fit(whole, images, images, epochs=5, compute=cpu)
    train.fit(small_network(), images, images, epochs=2, checkpoint=tmp_path, compute=cpu)
    result = train.fit(longer, images, images, epochs=5, checkpoint=tmp_path, compute=cpu)
    assert result.resumed_from == 2
    assert_equal(longer, result, whole, expected)
    steps = at_step(0, None)
    for epochs in (2, 5):
        again = train.fit(small_network(), images, images, epochs=epochs, checkpoint=tmp_path, compute=cpu)
        assert again.resumed_from == len(again.history) == epochs
    assert not steps


def test_a_training_that_an_error_ends_goes_on_from_the_last_checkpoint(
    make_images, cpu, tmp_path, at_step, monkeypatch
):
    images, whole, network = make_images(8, size=12), dropout_network(), dropout_network()
    options = {"epochs": 5, "batch_size": 8, "checkpoint_every": 2, "compute": cpu}
    expected = train.fit(whole, images, images, **options)
    at_step(14, lambda: 1 / 0)  # of four an epoch
    with pytest.raises(ZeroDivisionError):
        train.fit(dropout_network(), images, images, checkpoint=tmp_path, **options)
    monkeypatch.undo()
    result = train.fit(network, images, images, checkpoint=tmp_path, **options)
    assert result.resumed_from == 2
    assert_equal(network, result, whole, expected)


CHANGES = {
    "learning_rate": 0.1,
    "batch_size": 4,
    "seed": 1,
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "momentum": 0.5,
    "loss": "l1",
    "augment": train.RandomAffine(),
    "compute": train.choose_compute("cpu", "bfloat16"),
    "move_frozen_statistics": True,
}


def test_another_training_is_never_resumed(make_images, cpu, tmp_path):
    images, others = make_images(4), make_images(4, seed=1)
    options = {"epochs": 1, "checkpoint": tmp_path, "compute": cpu, "optimizer": "sgd"}

    def resumed(network=None, training=images, val=images, **more):
        return train.fit(network or small_network(), training, val, **{**options, **more}).resumed_from

    assert resumed() == 0
    for name, value in CHANGES.items():
        assert resumed(**{name: value}) == 0, name
    losses = [torch.nn.CrossEntropyLoss(label_smoothing=share) for share in (0.1, 0.2)]
    assert resumed(loss=losses[0]) == resumed(loss=losses[1]) == 0 and resumed(loss=losses[0]) == 1
    assert resumed(training=others) == resumed(val=others) == resumed(extra={"b": images}) == 0
    assert resumed(small_network(seed=1)) == 0
    for optimizer in ("sgd", lambda model: torch.optim.Adam(model.parameters())):  # also one that holds frozen parts
        network = small_network()
        network.conv1_1.requires_grad_(False)
        assert resumed(small_network(), optimizer=optimizer) == (optimizer == "sgd")
        assert resumed(network, optimizer=optimizer) == 0
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)  # sums depend on how they are cut into parts
        assert resumed() == 0
    finally:
        torch.set_num_threads(threads)
    assert resumed() == 1


def test_a_command_that_trains_anew_reads_checkpoints_from_after_its_start_alone(
    make_images, cpu, tmp_path, monkeypatch
):
    images, before, after, later = make_images(4), *(tmp_path / name for name in ("before", "after", "later"))

    def resumed(folder, epochs):
        return train.fit(small_network(), images, images, epochs=epochs, checkpoint=folder, compute=cpu).resumed_from

    resumed(before, 1)
    shutil.copytree(before, after)  # as another process would have left it
    monkeypatch.setenv("WORKBOOK_TRAIN_ANEW", str(time.time()))
    assert [resumed(after, 1), resumed(after, 3)] == [0, 1]
    shutil.copytree(after, later)  # as another notebook of the same command would
    assert resumed(later, 3) == 3


def test_a_loss_that_is_not_finite_stops_with_epoch_and_batch(make_images, cpu):
    images, calls = make_images(8), []

    def spoil(batch):
        calls.append(1)
        return batch.float() * (float("nan") if len(calls) == 4 + 3 else 1 / 255)

    with pytest.raises(train.Diverged, match=r"nan in epoch 2, batch 3 of 4.*learning rate"):
        train.fit(small_network(), images, images, epochs=3, batch_size=8, augment=spoil, compute=cpu)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"optimizer": "adamm"}, "sgd, adam, adamw"),
        ({"loss": "l2"}, "cross_entropy, l1"),
        ({"val": 6}, r"'val' has labels up to 5.*4 outputs"),
        ({"extra": {"train": None}}, "'train'"),
        ({"network": small_network().requires_grad_(False)}, "nothing to train"),
        ({"network": torch.nn.Conv2d(3, 4, 8)}, r"images, \(3, 8, 8\) of torch.uint8: .*models.Normalize"),
        ({"network": torch.nn.Embedding(0, 4)}, "no weights: is its width"),
    ],
)
def test_what_cannot_be_trained_is_named(make_images, cpu, options, message):
    val, options = make_images(2, num_classes=options.get("val", 4)), {"epochs": 1, **options, "compute": cpu}
    options.pop("val", None)
    with pytest.raises(WorkbookError, match=message):
        train.fit(options.pop("network", small_network()), make_images(2), val, **options)
