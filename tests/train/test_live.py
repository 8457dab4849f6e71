"""What a training shows in a notebook's front end, and that it shows and changes nothing anywhere else."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from helpers import ROOT
from helpers.report import cli, document
from helpers.train import checkpoint, live

SETUP = """
import json, os, random, signal
import numpy as np
import torch
from matplotlib import pyplot as plt
from helpers import train
from helpers.data import ImageData, Source
from helpers.train import live
# Drawn anew however little time has passed.
live.INTERVAL = 0.0
labels = torch.arange(4).repeat(8)
pixels = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
images = ImageData(pixels, labels, ("a", "b", "c", "d"), "train", Source("x", "X", "a test"))
cpu = train.choose_compute("cpu", "float32")

class Interrupt:
    def __init__(self, at=None):
        self.batches, self.at = 0, at
    def __repr__(self):
        return "Interrupt()"
    def __call__(self, batch):
        self.batches += 1
        if self.batches == self.at:
            signal.raise_signal(signal.SIGINT)
        return batch + 0.01 * torch.randn(batch.shape)

def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))

def fit(model=None, **options):
    options = {"epochs": 3, "batch_size": 8, "compute": cpu, "augment": Interrupt(), "label": "a <b>", **options}
    return train.fit(model or network(), images, images, **options)

def numbers(result):
    return result.history.drop(columns="seconds").to_json(double_precision=15)
"""


class Kernel:
    """A kernel as a front end has it: code goes in, messages come out."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def run(self, code: str, *, raises: str | None = None) -> list[dict]:
        """The messages of a cell, until the kernel is idle again; the cell must raise this error, or none."""
        asked, messages = self.client.execute(code), []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                assert [error["ename"] for error in of_kind(messages, "error")] == ([raises] if raises else [])
                return messages
            if message["msg_type"] not in ("status", "execute_input"):
                messages.append(message)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("JPY_SESSION_NAME", "a notebook.ipynb")
        patch.delenv("WORKBOOK_LIVE", raising=False)
        kernel = Kernel()
    assert kernel.run(SETUP) == []
    yield kernel
    kernel.close()


@pytest.fixture
def headless(kernel):
    """The same kernel, as papermill would have started it."""
    kernel.run('name = os.environ.pop("JPY_SESSION_NAME")')
    yield kernel
    kernel.run('os.environ["JPY_SESSION_NAME"] = name')


def of_kind(messages: list[dict], *kinds: str) -> list[dict]:
    return [message["content"] for message in messages if message["msg_type"] in kinds]


def displayed(messages: list[dict]) -> list[dict]:
    return of_kind(messages, "display_data", "update_display_data")


def printed(messages: list[dict], name: str = "stdout") -> str:
    return "".join(content["text"] for content in of_kind(messages, "stream") if content["name"] == name)


def pages(messages: list[dict]) -> list[str]:
    """What was to be seen, one after the other, but for the emptiness after each training."""
    return [content["data"]["text/html"] for content in displayed(messages) if content["data"]]


def lines(page: str) -> list[list[tuple[float, float]]]:
    """The points of each line in a page's panels."""
    return [
        [tuple(float(number) for number in point.split(",")) for point in points.split()]
        for svg in re.findall("<svg.*?</svg>", page)
        for points in (line.get("points") for line in ElementTree.fromstring(svg).iter("polyline"))
    ]


def left_behind(messages: list[dict]) -> list[nbformat.NotebookNode]:
    """The outputs that a saved notebook has of a cell."""
    outputs = {}
    for number, message in enumerate(messages):
        key = message["content"].get("transient", {}).get("display_id", number)
        if message["msg_type"] == "update_display_data":
            outputs[key].data = nbformat.from_dict(message["content"]["data"])
        else:
            outputs[key] = nbformat.v4.output_from_msg(message)
    return list(outputs.values())


def test_a_front_end_sees_one_area_change_and_go_away(kernel):
    messages = kernel.run("result = fit()")
    assert [message["msg_type"] for message in messages[:2]] == ["display_data", "update_display_data"]
    assert {message["msg_type"] for message in messages[1:]} == {"update_display_data"}
    assert len({content["transient"]["display_id"] for content in displayed(messages)}) == 1
    assert displayed(messages)[-1]["data"] == {}
    seen = pages(messages)
    assert [int(value) for page in seen for value in re.findall('value="(.*?)"', page)] == [
        0,
        *range(1, 5),
        *range(4, 9),
        *range(8, 13),
    ]
    assert all("a &lt;b&gt;: epoch " in page and re.search(r"%, \d\d:\d\d so far, .* left", page) for page in seen)


def test_the_curves_are_those_of_the_finished_epochs(kernel):
    """Two panels of two lines; each line's first point is there twice."""
    messages = kernel.run("result = fit()\nprint(json.dumps(result.history.to_dict('list')))")
    assert [{len(line) for line in lines(page)} for page in pages(messages)] == [set()] * 5 + [{2}] * 5 + [{3}] * 5
    history = json.loads(printed(messages))
    last = pages(messages)[-1]
    for shown, metric in zip((lines(last)[:2], lines(last)[2:]), ("loss", "accuracy"), strict=True):
        drawn = [history[f"{split}_{metric}"][:2] for split in ("train", "val")]
        low, high = min(map(min, drawn)), max(map(max, drawn))
        for line, values in zip(shown, drawn, strict=True):
            assert [y for _, y in line[1:]] == pytest.approx(
                [100 * (high - v) / (high - low) for v in values], abs=0.06
            )
            assert [x for x, _ in line] == [0, 0, 250]
    assert f"training {history['train_loss'][1]:.3f}" in last and f"validation {history['val_accuracy'][1]:.1%}" in last


def test_a_saved_notebook_and_its_report_hold_nothing_of_it(kernel):
    """So papermill, started by a cell of JupyterLab and thus taken for one, does no harm either."""
    outputs = left_behind(kernel.run("result = fit()\nprint('done')"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("fit()", outputs=outputs)])
    nbformat.validate(notebook)
    shown = [block for block in document.read(notebook).blocks if not isinstance(block, document.Code)]
    assert [block.content for block in shown] == ["done"]


@pytest.mark.parametrize("epochs", [0, 3])
def test_without_a_front_end_a_cell_has_no_output(headless, epochs):
    messages = headless.run(f"result = fit(epochs=max(1, {epochs}))")
    assert displayed(messages) == [] and printed(messages) == ""
    assert "a <b>: epoch 1/" in printed(messages, "stderr")


def test_the_variable_overrides_what_the_front_end_says(kernel):
    kernel.run('os.environ["WORKBOOK_LIVE"] = "0"')
    assert displayed(kernel.run("result = fit()")) == []
    kernel.run('os.environ["WORKBOOK_LIVE"] = "1"; name = os.environ.pop("JPY_SESSION_NAME")')
    assert displayed(kernel.run("result = fit()"))
    kernel.run('del os.environ["WORKBOOK_LIVE"]; os.environ["JPY_SESSION_NAME"] = name')


def test_looking_on_changes_no_number_no_seed_and_no_setting(kernel):
    code = """
        def state():
            return [torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state()),
                    dict(plt.rcParams), plt.get_fignums()]
        models, results, states = [network(), network()], [], []
        figure = plt.figure()
        for model, is_live in zip(models, ("1", "0")):
            os.environ["WORKBOOK_LIVE"] = is_live
            torch.manual_seed(5); random.seed(5); np.random.seed(5)
            before = state()
            results.append(fit(model))
            states.append(state() == before and plt.gcf() is figure)
        plt.close(figure)
        del os.environ["WORKBOOK_LIVE"]
        same = all(torch.equal(*pair) for pair in zip(*(model.state_dict().values() for model in models)))
        print(json.dumps([same, numbers(results[0]) == numbers(results[1]), *states]))
    """
    kernel.run("fit()")  # imports what drawing needs, which may set what it likes
    messages = kernel.run("if True:" + code)
    assert lines(pages(messages)[-1])
    assert json.loads(printed(messages)) == [True, True, True, True]


def test_ctrl_c_ends_it_and_the_cell_goes_on_with_the_same_numbers(kernel):
    kernel.run("model, interrupt = network(), Interrupt(at=6)")
    stopped = kernel.run("result = fit(model, augment=interrupt)", raises="TrainingStopped")
    assert displayed(stopped)[-1]["data"] == {}
    finished = kernel.run("result = fit(model, augment=interrupt)\nprint(numbers(result) == numbers(fit()))")
    assert printed(finished) == "True\n"
    assert '<progress max="12" value="6"' in pages(finished)[0]


def test_a_resumed_training_shows_the_epochs_before(kernel, tmp_path):
    kernel.run(f"from pathlib import Path\nfolder = Path({str(tmp_path)!r})")
    kernel.run("fit(epochs=2, checkpoint=folder)")
    messages = kernel.run("print(fit(epochs=4, checkpoint=folder).resumed_from)")
    assert printed(messages) == "2\n"
    assert '<progress max="16" value="8"' in pages(messages)[0]
    assert {len(line) for line in lines(pages(messages)[0])} == {3}
    assert kernel.run("result = fit(epochs=4, checkpoint=folder)") == [], "nothing left to train"


@pytest.mark.parametrize("broken", ["_curves", "_LiveBar._show", "_LiveBar._html"])
def test_training_goes_on_when_drawing_fails(kernel, broken):
    code = f"""
        calls = []
        def fails(*args, **kwargs):
            calls.append(args)
            raise ValueError("it breaks")
        works, live.{broken} = live.{broken}, fails
        try:
            result = fit()
        finally:
            live.{broken} = works
        print(len(calls) > 3, numbers(result) == numbers(fit()))
    """
    assert printed(kernel.run("if True:" + code)) == "True True\n"


def test_numbers_that_are_not_finite_leave_a_gap():
    rows = [{"train_loss": loss, "val_loss": 2.0, "train_accuracy": 0.5, "val_accuracy": 0.5} for loss in (1, 0, 3)]
    rows[1]["train_loss"], rows[2]["val_loss"] = math.inf, math.nan
    first, last, val_loss, *accuracies = lines(live._curves(rows))
    assert first == [(0, 100), (0, 100)] and last == [(250, 0), (250, 0)], "not joined over what lies between"
    assert val_loss == [(0, 50), (0, 50), (125, 50)]
    assert accuracies == [[(0, 0), (0, 0), (125, 0), (250, 0)]] * 2


# Whether somebody looks on


@pytest.mark.parametrize(
    ("kernel_runs", "names", "variables", "looks_on"),
    [
        (True, {}, {"JPY_SESSION_NAME": "a.ipynb"}, True),
        (True, {}, {"COLAB_RELEASE_TAG": "release"}, True),
        (True, {"__vsc_ipynb_file__": "a.ipynb"}, {}, True),
        (True, {}, {}, False),
        (False, {}, {"JPY_SESSION_NAME": "a.ipynb"}, False),
        (False, {}, {"WORKBOOK_LIVE": "1"}, False),
        (True, {}, {"WORKBOOK_LIVE": "1"}, True),
        (True, {}, {"WORKBOOK_LIVE": "", "JPY_SESSION_NAME": "a.ipynb"}, True),
        (True, {"__vsc_ipynb_file__": "a.ipynb"}, {"WORKBOOK_LIVE": "0", "JPY_SESSION_NAME": "a.ipynb"}, False),
    ],
)
def test_only_a_kernel_that_a_front_end_started_counts(monkeypatch, kernel_runs, names, variables, looks_on):
    for name in ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "WORKBOOK_LIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shell = SimpleNamespace(user_ns=names, **({"kernel": object()} if kernel_runs else {}))
    monkeypatch.setitem(live.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert live.in_front_end() is looks_on


def test_a_script_has_no_shell(monkeypatch):
    monkeypatch.setenv("WORKBOOK_LIVE", "1")
    monkeypatch.setitem(live.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not live.in_front_end()
    monkeypatch.delitem(live.sys.modules, "IPython")
    assert not live.in_front_end()


def test_a_report_is_made_headless_also_from_inside_a_front_end(monkeypatch, tmp_path):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook.ipynb")
    monkeypatch.setenv("WORKBOOK_LIVE", "1")
    cells = ["SEED = 0", "from helpers.train import live\nprint('looks on:', live.in_front_end())"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "01_any.ipynb")
    cli.main(["01", "--format", "html"], root=tmp_path)
    executed = nbformat.read(tmp_path / "reports" / "quick" / "01_any.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "looks on: False\n"


def test_how_a_training_looks_decides_about_no_checkpoint(monkeypatch):
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or b"")
    checkpoint.hash_sources()
    assert "fit.py" in read and not {"live.py", "result.py"} & set(read)
