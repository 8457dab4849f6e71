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


def test_a_front_end_sees_the_curves_of_finished_epochs_until_the_end_and_nothing_stays(kernel):
    messages = kernel.run("result = fit()")
    shown = displayed(messages)
    assert len(shown) == 3 and len({content["transient"]["display_id"] for content in shown}) == 1
    assert shown[-1]["data"] == {}
    assert "a <b>: epoch 1/3" in printed(messages, "stderr")
    expected = printed(kernel.run("for epochs in (1, 2): print(live.picture(result.history[:epochs]))"))
    assert [content["data"]["text/html"] for content in shown[:-1]] == expected.splitlines()

    # What a saved notebook holds of it makes no block of a report: so papermill, started by a cell, does no harm.
    data = nbformat.v4.new_output("display_data", shown[-1]["data"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("fit()", outputs=[data])])
    nbformat.validate(notebook)
    assert [type(block) for block in document.read(notebook).blocks] == [document.Code]


def test_looking_on_changes_no_number_no_seed_and_no_setting_also_when_drawing_fails(kernel):
    code = """
        def state():
            return [torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state()),
                    dict(plt.rcParams), plt.get_fignums()]
        results, states, works = [], [], live.picture
        figure = plt.figure()
        for is_live, draws in (("1", works), ("1", lambda history: 1 / 0), ("0", works)):
            os.environ["WORKBOOK_LIVE"], live.picture, model = is_live, draws, network()
            torch.manual_seed(5); random.seed(5); np.random.seed(5)
            before, result = state(), fit(model)
            results.append([numbers(result), *(value.tolist() for value in model.state_dict().values())])
            states.append(state() == before and plt.gcf() is figure)
        plt.close(figure)
        del os.environ["WORKBOOK_LIVE"]
        print(json.dumps([results[0] == results[1] == results[2], *states]))
    """
    kernel.run("fit()")  # imports what drawing needs, which may set what it likes
    messages = kernel.run("if True:" + code)
    assert json.loads(printed(messages)) == [True, True, True, True]
    assert len([content for content in displayed(messages) if content["data"]]) == 2, "the first one's"


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
