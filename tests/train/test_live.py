"""What a training shows in a notebook's front end, and that it shows and changes nothing anywhere else."""

import itertools
import random
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

from helpers import models, reprs, train
from helpers.report import cli, document
from helpers.train import result as live
from tests.command import printed, write_notebook


@pytest.fixture
def shown(monkeypatch):
    """What a kernel would send to a front end, after each epoch however little time has passed."""
    published = []
    for module in (live, reprs):
        monkeypatch.setattr(module, "in_front_end", lambda: True)
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=itertools.count(0, 1000).__next__))
    monkeypatch.setattr("IPython.core.interactiveshell.InteractiveShell.initialized", lambda: True)
    publish = "IPython.core.display_functions.publish_display_data"
    monkeypatch.setattr(publish, lambda **message: published.append(message))
    return published


def fit(make_images, cpu):
    """A short training: its history and its weights, in bits."""
    images, network = make_images(8), models.cnn_on_a(4, image_size=8, width=4)
    result = train.fit(network, images, images, epochs=3, batch_size=8, compute=cpu)
    return result.history, [value.tolist() for value in network.state_dict().values()]


def test_a_front_end_sees_the_curves_of_finished_epochs_and_in_the_end_the_result(make_images, cpu, shown):
    with plt.rc_context({"svg.hashsalt": "one"}):
        history, _ = fit(make_images, cpu)
        expected = [live.picture(history[:epochs]) for epochs in (1, 2)]
    assert [page for message in shown if (page := message["data"].get("text/html")) in expected] == expected
    bars = [message["data"]["text/plain"] for message in shown if "training: epoch" in str(message["data"])]
    assert "epoch 1/3" in bars[0] and "epoch 3/3" in bars[-1]

    last = {message["transient"]["display_id"]: message["data"] for message in shown}
    *emptied, result = last.values()
    assert emptied == [{}, {}] and "Epochs finished" in result["text/html"] and "<img" in result["text/html"]
    # What a saved notebook holds of it makes no block of a report: so papermill, started by a cell, does no harm.
    outputs = [nbformat.v4.new_output("display_data", data) for data in last.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("fit()", outputs=outputs)])
    nbformat.validate(notebook)
    assert [type(block) for block in document.read(notebook).blocks] == [document.Code]


def test_looking_on_changes_no_number_no_seed_and_no_figure_also_when_drawing_fails(
    make_images, cpu, shown, monkeypatch
):
    figure, found = plt.figure(), []
    for draw in (live.picture, lambda history: 1 / 0, None):
        monkeypatch.setattr(live, "picture", draw)
        for module in (live, reprs):
            monkeypatch.setattr(module, "in_front_end", lambda draw=draw: draw is not None)
        shown.clear()
        history, weights = fit(make_images, cpu)
        state = [torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state()), plt.gcf().number]
        pictures = sum(message["data"].get("text/html", "").startswith("<img") for message in shown)
        found.append([history.drop(columns="seconds").to_dict(), weights, state, pictures])
    plt.close(figure)
    assert [each.pop() for each in found] == [2, 0, 0]
    assert found[0] == found[1] == found[2]


# Whether somebody looks on


KERNEL, JUPYTER = {"kernel": object()}, {"JPY_SESSION_NAME": "a.ipynb"}


@pytest.mark.parametrize(
    ("shell", "names", "variables", "looks_on"),
    [
        (KERNEL, {}, JUPYTER, True),
        (KERNEL, {"__vsc_ipynb_file__": "a.ipynb"}, {}, True),
        (KERNEL, {}, {}, False),
        ({}, {}, JUPYTER, False),
        (None, {}, {**JUPYTER, "WORKBOOK_LIVE": "1"}, False),
        (KERNEL, {}, {"WORKBOOK_LIVE": "1"}, True),
        (KERNEL, {"__vsc_ipynb_file__": "a.ipynb"}, {**JUPYTER, "WORKBOOK_LIVE": "0"}, False),
    ],
)
def test_only_a_kernel_that_a_front_end_started_counts(monkeypatch, shell, names, variables, looks_on):
    """And neither IPython in a terminal nor a script."""
    monkeypatch.setattr("os.environ", variables)
    running = None if shell is None else SimpleNamespace(user_ns=names, **shell)
    monkeypatch.setattr(reprs, "shell", lambda: running)
    assert reprs.in_front_end() is looks_on


def test_a_report_is_made_headless_also_from_inside_a_front_end(monkeypatch, tmp_path):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook.ipynb")
    monkeypatch.setenv("WORKBOOK_LIVE", "1")
    write_notebook(tmp_path, "01_any", "from helpers import reprs\nprint('looks on:', reprs.in_front_end())")
    cli.main(["01", "--format", "html"], root=tmp_path)
    assert printed(tmp_path, "01_any") == "looks on: False\n"
