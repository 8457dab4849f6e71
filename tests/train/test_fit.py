import math
import os
import shutil
import signal
import time

import pytest
import torch
from torch.nn import functional as F

from helpers import WorkbookError, models, train
from tests.train.same import assert_same


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


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def break_down():
    raise ZeroDivisionError


# Steps are left out in float16 until the gradients' scale fits.
FLOAT16 = {"loss": lambda logits, labels: 1000 * F.cross_entropy(logits, labels), "learning_rate": 1e-6}


@pytest.mark.parametrize(
    ("leave", "step", "kept", "precision", "options"),
    [
        (press_ctrl_c, 1, 0, "float32", {}),  # without a folder for checkpoints
        (press_ctrl_c, 6, 6, "float32", {"checkpoint_every": 2}),
        (press_ctrl_c, 10, 10, "bfloat16", {"optimizer": "sgd"}),
        (press_ctrl_c, 11, 11, "float16", {"optimizer": "sgd", **FLOAT16}),
        (break_down, 11, 8, "float32", {"checkpoint_every": 2}),
        (None, 4, 4, "float32", {}),  # at the end of a shorter training
    ],
)
def test_a_training_goes_on_from_where_it_was_left_and_a_finished_one_trains_no_more(
    make_images, tmp_path, at_step, monkeypatch, leave, step, kept, precision, options
):
    """After so many steps, of four an epoch; of which so many are kept."""
    images, val, whole, network = make_images(8, size=12), make_images(3, size=12), dropout_network(), dropout_network()
    options = {"epochs": 3, "batch_size": 8, "augment": train.RandomAffine(degrees=10), **options}
    options["compute"] = train.choose_compute("cpu", precision)
    expected = train.fit(whole, images, val, **options)
    options["checkpoint"] = tmp_path if kept else None
    if leave is None:
        train.fit(dropout_network(), images, val, **options | {"epochs": step // 4})
    else:
        at_step(step, leave)
        with pytest.raises((train.TrainingStopped, ZeroDivisionError)) as error:
            train.fit(dropout_network(), images, val, **options)
    if leave is press_ctrl_c:
        assert f"stopped in epoch {step // 4 + 1}, after {step % 4} of its 4 batches" in str(error.value)
        assert ("go on from there" in str(error.value)) == bool(kept)
        history = error.value.result.history
        assert len(history) == step // 4 and "val_accuracy" in history

    monkeypatch.undo()
    steps = at_step(0, None)
    result = train.fit(network, images, val, **options)
    assert len(steps) == 12 - kept and result.resumed_from == kept // 4
    assert_same(network, result, whole, expected)
    again = train.fit(dropout_network(), images, val, **options)
    assert again.resumed_from == (3 if kept else 0) and len(steps) == (12 - kept if kept else 24)
    with pytest.raises(KeyboardInterrupt):  # as usual after a training
        press_ctrl_c()


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
        ({"learning_rate": "a"}, "learning_rate is a positive number, not 'a'"),
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
