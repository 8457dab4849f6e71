"""What a training shows in a notebook's front end, and that it shows and changes nothing anywhere else."""

import json
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from helpers import ROOT
from helpers.report import cli, document
from helpers.train import live

pytestmark = pytest.mark.slow

SETUP = """
import json, os, random
from types import SimpleNamespace
import numpy as np
import torch
from matplotlib import pyplot as plt
from helpers import train
from helpers.data import ImageData, Source
from helpers.train import live
# After each epoch, however little time has passed.
live.time = SimpleNamespace(perf_counter=(reading // 3 * 1000 for reading in range(10**9)).__next__)
plt.rcParams["svg.hashsalt"] = "one"
labels = torch.arange(4).repeat(8)
pixels = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
images = ImageData(pixels, labels, ("a", "b", "c", "d"), "train", Source("x", "X", "a test"))
cpu = train.choose_compute("cpu", "float32")

def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))

def fit(model=None, **options):
    options = {"epochs": 3, "batch_size": 8, "compute": cpu, "label": "a <b>", **options}
    return train.fit(model or network(), images, images, **options)

def numbers(result):
    return result.history.drop(columns="seconds").to_json(double_precision=15)
"""


class Kernel:
    """A kernel as a front end has it: code goes in, messages come out."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def run(self, code: str) -> list[dict]:
        """The messages of a cell, which must raise nothing, until the kernel is idle again."""
        asked, messages = self.client.execute(code), []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                assert of_kind(messages, "error") == []
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


def of_kind(messages: list[dict], *kinds: str) -> list[dict]:
    return [message["content"] for message in messages if message["msg_type"] in kinds]


def displayed(messages: list[dict]) -> list[dict]:
    return of_kind(messages, "display_data", "update_display_data")


def printed(messages: list[dict], name: str = "stdout") -> str:
    return "".join(content["text"] for content in of_kind(messages, "stream") if content["name"] == name)


def pages(messages: list[dict]) -> list[str]:
    """What was to be seen, one after the other, but for the emptiness after each training."""
    return [content["data"]["text/html"] for content in displayed(messages) if content["data"]]


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


def test_a_front_end_sees_the_curves_of_the_finished_epochs_until_the_end(kernel):
    messages = kernel.run("result = fit()")
    shown = displayed(messages)
    assert len(shown) == 3 and len({content["transient"]["display_id"] for content in shown}) == 1
    assert shown[-1]["data"] == {}
    assert "a <b>: epoch 1/3" in printed(messages, "stderr")
    expected = printed(kernel.run("for epochs in (1, 2): print(live.picture(result.history[:epochs]))"))
    assert pages(messages) == expected.splitlines()


def test_a_saved_notebook_and_its_report_hold_nothing_of_it(kernel):
    """So papermill, started by a cell of JupyterLab and thus taken for one, does no harm either."""
    outputs = left_behind(kernel.run("result = fit()\nprint('done')"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("fit()", outputs=outputs)])
    nbformat.validate(notebook)
    shown = [block for block in document.read(notebook).blocks if not isinstance(block, document.Code)]
    assert [block.content for block in shown] == ["done"]


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
    assert len(pages(messages)) == 2
    assert json.loads(printed(messages)) == [True, True, True, True]


def test_training_goes_on_when_drawing_fails(kernel):
    code = """
        works, live.picture = live.picture, lambda history: 1 / 0
        try:
            result = fit()
        finally:
            live.picture = works
        print(numbers(result) == numbers(fit()))
    """
    messages = kernel.run("if True:" + code)
    assert printed(messages) == "True\n" and len(pages(messages)) == 2, "the second one's"


# Whether somebody looks on


KERNEL, JUPYTER = {"kernel": object()}, {"JPY_SESSION_NAME": "a.ipynb"}


@pytest.mark.parametrize(
    ("shell", "names", "variables", "looks_on"),
    [
        (KERNEL, {}, JUPYTER, True),
        (KERNEL, {"__vsc_ipynb_file__": "a.ipynb"}, {}, True),
        (KERNEL, {}, {}, False),
        (None, {}, {**JUPYTER, "WORKBOOK_LIVE": "1"}, False),
        (KERNEL, {}, {"WORKBOOK_LIVE": "1"}, True),
        (KERNEL, {"__vsc_ipynb_file__": "a.ipynb"}, {**JUPYTER, "WORKBOOK_LIVE": "0"}, False),
    ],
)
def test_only_a_kernel_that_a_front_end_started_counts(monkeypatch, shell, names, variables, looks_on):
    """And neither IPython in a terminal nor a script."""
    for name in ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "WORKBOOK_LIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    running = None if shell is None else SimpleNamespace(user_ns=names, **shell)
    monkeypatch.setitem(live.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: running))
    assert live.in_front_end() is looks_on


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
