import math
import os
import shutil
import signal
import time

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import WorkbookError, models, train


def small_network(**options):
    return models.cnn_on_a(4, image_size=8, width=4, num_blocks=2, **options)


def dropout_network(seed=0):
    return models.arc3(4, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=12, dropout=0.3, seed=seed)


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def same_history(one, other):
    """The measured columns agree bit for bit; only the clock may differ."""
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)
    return True


def test_evaluation_agrees_with_the_whole_set_at_once(make_images, cpu):
    """Sums of counts, not averages of batches: 4 x 300 images are not a whole number of evaluation batches."""
    images, val = make_images(4), make_images(300, seed=1)
    val = val.subset(val.labels.argsort())  # so that each batch has another accuracy
    network = small_network()
    result = train.fit(network, images, val, epochs=1, compute=cpu)
    with torch.no_grad():
        logits = network(val.images)
    torch.testing.assert_close(train.predict(network, val, compute=cpu), logits, atol=1e-5, rtol=1e-4)
    assert result.last["val_accuracy"] == pytest.approx((logits.argmax(1) == val.labels).float().mean().item())
    assert result.last["val_loss"] == pytest.approx(F.cross_entropy(logits, val.labels).item(), rel=1e-4)


@pytest.mark.parametrize("num_images", [17, 16, 1])
def test_a_last_batch_of_one_is_left_out_but_not_an_only_one(make_images, cpu, num_images):
    images = make_images(5).subset(torch.arange(num_images))
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4)).double()
    seen = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])) if module.training else None)
    images = type(images)(images.images.double(), images.labels, images.class_names, "train", images.source)
    train.fit(network, images, images, epochs=1, batch_size=8, compute=cpu)
    assert seen == ([8, 8] if num_images > 1 else [1])


def test_it_leaves_the_global_generator_alone(make_images, cpu):
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    train.fit(dropout_network(), make_images(2, size=12), make_images(2, size=12), epochs=1, compute=cpu)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("sgd", "float32"), ("adam", "float32"), ("adamw", "float32"), ("adam", "bfloat16")]
)
def test_a_training_from_a_checkpoint_equals_an_uninterrupted_one(
    make_images, tmp_path, at_step, monkeypatch, optimizer, precision
):
    images, val = make_images(8, size=12), make_images(3, size=12, seed=1)
    options = {
        "epochs": 4,
        "batch_size": 8,
        "optimizer": optimizer,
        "augment": train.RandomAffine(degrees=10),
        "compute": train.choose_compute("cpu", precision),
    }
    whole = dropout_network()
    expected = train.fit(whole, images, val, **options)

    def crash():
        raise ZeroDivisionError

    at_step(2 * 4 + 3, crash)  # in the middle of the third epoch
    with pytest.raises(ZeroDivisionError):
        train.fit(dropout_network(), images, val, checkpoint=tmp_path, **options)
    monkeypatch.undo()
    resumed = dropout_network()
    result = train.fit(resumed, images, val, checkpoint=tmp_path, **options)
    assert result.resumed_from == 2
    assert same_weights(whole, resumed)
    assert same_history(expected.history, result.history)
    assert result.best_epoch == expected.best_epoch
    assert all(torch.equal(result.best_state[name], value) for name, value in expected.best_state.items())


def test_a_finished_training_is_taken_from_its_checkpoint(make_images, cpu, tmp_path, monkeypatch):
    images = make_images(4)
    first = small_network()
    expected = train.fit(first, images, images, epochs=2, checkpoint=tmp_path, compute=cpu)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: pytest.fail("it trained again"))
    again = small_network()
    result = train.fit(again, images, images, epochs=2, checkpoint=tmp_path, compute=cpu)
    assert result.resumed_from == 2
    assert same_weights(first, again)
    pd.testing.assert_frame_equal(result.history, expected.history, check_exact=True)


def test_a_longer_training_starts_from_a_shorter_one_and_leaves_it(make_images, cpu, tmp_path):
    images = make_images(4)
    whole = small_network()
    train.fit(whole, images, images, epochs=5, compute=cpu)
    train.fit(small_network(), images, images, epochs=2, checkpoint=tmp_path, compute=cpu)
    longer = small_network()
    assert train.fit(longer, images, images, epochs=5, checkpoint=tmp_path, compute=cpu).resumed_from == 2
    assert same_weights(whole, longer)
    shorter = train.fit(small_network(), images, images, epochs=2, checkpoint=tmp_path, compute=cpu)
    assert shorter.resumed_from == len(shorter.history) == 2


CHANGES = {
    "learning rate": {"learning_rate": 0.1},
    "batch size": {"batch_size": 4},
    "seed": {"seed": 1},
    "optimizer": {"optimizer": "adamw"},
    "weight decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.5},
    "loss": {"loss": "l1"},
    "augmentation": {"augment": train.RandomAffine()},
    "precision": {"compute": train.choose_compute("cpu", "bfloat16")},
    "frozen statistics": {"move_frozen_statistics": True},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_training_is_never_resumed(make_images, cpu, tmp_path, change):
    options = {"epochs": 1, "checkpoint": tmp_path, "compute": cpu, "optimizer": "sgd"}
    train.fit(small_network(), make_images(4), make_images(4), **options)
    result = train.fit(small_network(), make_images(4), make_images(4), **{**options, **CHANGES[change]})
    assert result.resumed_from == 0
    assert train.fit(small_network(), make_images(4), make_images(4), **options).resumed_from == 1


def test_with_other_threads_it_is_another_training(make_images, cpu, tmp_path):
    """Sums depend on how they are cut into parts."""
    options = {"epochs": 1, "checkpoint": tmp_path, "compute": cpu}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        train.fit(small_network(), make_images(4), make_images(4), **options)
        torch.set_num_threads(2)
        assert train.fit(small_network(), make_images(4), make_images(4), **options).resumed_from == 0
        torch.set_num_threads(1)
        assert train.fit(small_network(), make_images(4), make_images(4), **options).resumed_from == 1
    finally:
        torch.set_num_threads(threads)


def test_a_command_that_trains_anew_reads_checkpoints_from_after_its_start_alone(
    make_images, cpu, tmp_path, monkeypatch
):
    images, before, after, later = make_images(4), *(tmp_path / name for name in ("before", "after", "later"))
    train.fit(small_network(), images, images, epochs=1, checkpoint=before, compute=cpu)
    shutil.copytree(before, after)  # as another process would have left it
    monkeypatch.setenv("WORKBOOK_TRAIN_ANEW", str(time.time()))
    resumed = [
        train.fit(small_network(), images, images, epochs=epochs, checkpoint=after, compute=cpu).resumed_from
        for epochs in (1, 3)
    ]
    assert resumed == [0, 1]
    shutil.copytree(after, later)  # as another notebook of the same command would
    assert train.fit(small_network(), images, images, epochs=3, checkpoint=later, compute=cpu).resumed_from == 3


def test_other_data_or_another_network_is_never_resumed(make_images, cpu, tmp_path):
    options = {"epochs": 1, "checkpoint": tmp_path, "compute": cpu}
    images, others = make_images(4), make_images(4, seed=1)
    train.fit(small_network(), images, images, **options)
    assert train.fit(small_network(), others, images, **options).resumed_from == 0
    assert train.fit(small_network(), images, others, **options).resumed_from == 0
    assert train.fit(small_network(), images, images, extra={"b": images}, **options).resumed_from == 0
    assert train.fit(small_network(seed=1), images, images, **options).resumed_from == 0


def test_extra_splits_cannot_take_the_place_of_others(make_images, cpu):
    with pytest.raises(WorkbookError, match="'train'"):
        train.fit(
            small_network(), make_images(2), make_images(2), epochs=1, extra={"train": make_images(2)}, compute=cpu
        )


@pytest.mark.parametrize("optimizer", ["adam", lambda model: torch.optim.Adam(model.parameters())])
def test_frozen_parts_are_part_of_the_key(make_images, cpu, tmp_path, optimizer):
    """Also where the optimizer holds them."""
    options = {"epochs": 1, "optimizer": optimizer, "checkpoint": tmp_path, "compute": cpu}
    train.fit(small_network(), make_images(4), make_images(4), **options)
    network = small_network()
    network.conv1_1.requires_grad_(False)
    assert train.fit(network, make_images(4), make_images(4), **options).resumed_from == 0


@pytest.mark.parametrize("with_file", [False, True])
def test_ctrl_c_stops_after_a_batch_and_a_new_network_goes_on_from_its_checkpoint(
    make_images, cpu, tmp_path, press_ctrl_c, at_step, with_file
):
    images = make_images(8)
    options = {"epochs": 3, "batch_size": 8, "compute": cpu}
    whole = small_network()
    expected = train.fit(whole, images, images, **options)

    options["checkpoint"] = tmp_path if with_file else None
    stopped = press_ctrl_c(small_network(), 6, images, images, **options)
    assert "stopped in epoch 2, after 2 of its 4 batches" in str(stopped)
    assert ("go on from there" in str(stopped)) == with_file
    assert list(stopped.result.history.index) == [1]

    network = small_network()
    steps = at_step(0, None)
    result = train.fit(network, images, images, **options)
    assert len(steps) == (6 if with_file else 12)
    assert same_weights(network, whole)
    assert same_history(result.history, expected.history)


def test_ctrl_c_in_the_first_epoch_leaves_an_empty_history(make_images, cpu, press_ctrl_c):
    images = make_images(8)
    stopped = press_ctrl_c(small_network(), 1, images, images, epochs=2, batch_size=8, compute=cpu)
    assert stopped.result.history.empty
    assert "val_accuracy" in stopped.result.history


def test_ctrl_c_works_as_usual_after_a_training(make_images, cpu):
    train.fit(small_network(), make_images(2), make_images(2), epochs=1, compute=cpu)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_loss_that_is_not_finite_stops_with_epoch_and_batch(make_images, cpu):
    images = make_images(8)

    def spoil(batch):
        spoil.calls += 1
        return batch.float() * (float("nan") if spoil.calls == 4 + 3 else 1 / 255)

    spoil.calls = 0
    with pytest.raises(train.Diverged, match=r"nan in epoch 2, batch 3 of 4.*learning rate"):
        train.fit(small_network(), images, images, epochs=3, batch_size=8, augment=spoil, compute=cpu)


def test_a_front_that_varies_is_not_cached(make_images, cpu):
    images = make_images(4, size=12)
    dropping = dropout_network()
    dropping[:-1].requires_grad_(False)
    # Up to the first dropout, no further.
    first_dropout = [type(layer) for layer in dropping].index(models.Dropout)
    assert train.fit(dropping, images, images, epochs=1, compute=cpu).cached_layers == first_dropout

    images, moving = make_images(4), small_network()
    moving[:-1].requires_grad_(False)
    result = train.fit(moving, images, images, epochs=1, compute=cpu, move_frozen_statistics=True)
    assert result.cached_layers == 2  # Normalize and the first convolution

    augmented = small_network()
    augmented[:-1].requires_grad_(False)
    result = train.fit(augmented, images, images, epochs=1, compute=cpu, augment=train.RandomAffine())
    assert result.cached_layers == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"optimizer": "adamm"}, "sgd, adam, adamw"),
        ({"loss": "l2"}, "cross_entropy, l1"),
    ],
)
def test_bad_options_are_named(make_images, cpu, options, message):
    with pytest.raises(WorkbookError, match=message):
        train.fit(small_network(), make_images(2), make_images(2), compute=cpu, **{"epochs": 1, **options})


def test_labels_without_an_output_are_named(make_images, cpu):
    with pytest.raises(WorkbookError, match=r"'val' has labels up to 5.*4 outputs"):
        train.fit(small_network(), make_images(2), make_images(2, num_classes=6), epochs=1, compute=cpu)


def test_a_network_that_is_all_frozen_is_refused(make_images, cpu):
    with pytest.raises(WorkbookError, match="nothing to train"):
        train.fit(small_network().requires_grad_(False), make_images(2), make_images(2), epochs=1, compute=cpu)
