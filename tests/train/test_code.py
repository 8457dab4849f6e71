"""A training of other code is another training: whatever a notebook changes in what computes, nothing old is taken up.

A notebook's cells are strings here, run as a kernel runs them: names in `__main__`, and no file behind them.
"""

import importlib
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import ROOT, train

NOTEBOOK = """
import functools
import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.1
KERNELS = {"size": [3], "names": [("a b", 1), ("a b", 1)]}

def squash(x, gain=1.0):
    return (lambda: F.leaky_relu(x, SLOPE) * gain)()

class Pooled(nn.Module):
    def forward(self, x):
        return F.max_pool2d(squash(x), 2)

class Net(nn.Module):
    rate = 0.0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, KERNELS["size"][0])
        self.pool, self.head = Pooled(), nn.Linear(36, 4)
        self.pick = lambda features: features * 1.0

    def forward(self, images):
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        x = self.pick(self.pool(self.conv(x)).flatten(1))
        return self.head(F.dropout(x, self.rate, self.training)) * self.scale

class Brighter:
    __reduce__ = lambda self: "bright"  # what a class tells pickle is not all that it is
    def __init__(self, by, *, times=1):
        self.by, self.times = by, times

    def __call__(self, images):
        return images.float() / 255 * self.by ** self.times

def dim(images, by, *, plus=0.0, minus=0.0):
    return images * by + plus - minus

class Halved(torch.optim.SGD):
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad *= 0.5
        super().step()

torch.manual_seed(0)
network = Net()
network.scale = 1.0
network.head.register_forward_hook(lambda module, inputs, output: output + 0.0)
network.head.weight.register_hook(lambda gradient: gradient * 1.0)
OPTIONS = {
    "augment": (lambda *by: lambda images: functools.partial(dim, plus=0.1)(by[0](images), by[1]))(Brighter(0.9), 0.8),
    "optimizer": lambda model: Halved(model.parameters(), lr=0.1),
}
"""
EDITS = {
    "F.max_pool2d(squash(x), 2)": "F.avg_pool2d(torch.sigmoid(x), 2)",
    "F.leaky_relu(x, SLOPE)": "F.elu(x, SLOPE)",  # a function that forward calls
    "SLOPE = 0.1": "SLOPE = 0.2",
    "network.scale = 1.0": "network.scale = 2.0",
    "rate = 0.0": "rate = 0.5",
    "features * 1.0": "features * 2.0",
    "output + 0.0": "output * 2.0",  # a hook
    "gradient * 1.0": "gradient * 2.0",
    "* self.by ** self.times": "+ self.by ** self.times",
    "Brighter(0.9)": "Brighter(0.8)",
    "plus=0.1": "plus=0.2",
    "0.8),": "0.7),",  # what a lambda closes over
    "gain=1.0": "gain=2.0",
    "minus=0.0": "minus=0.1",
    "images * by": "images + by",  # a function that a partial calls
    "grad *= 0.5": "grad *= 0.25",
}


def run(source, images, compute, checkpoint=None, **more):
    """How many epochs a notebook's training resumes, and its history."""
    names = {"__name__": "__main__"}
    exec(source, names)
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "optimizer": "sgd", **names["OPTIONS"], **more}
    result = train.fit(names["network"], images, images, compute=compute, checkpoint=checkpoint, **options)
    return result.resumed_from, result.history.drop(columns="seconds").to_dict()


def test_edited_code_trains_from_nothing_and_the_same_in_other_words_goes_on(make_images, cpu, tmp_path):
    images = make_images(6)
    _, first = run(NOTEBOOK, images, cpu, tmp_path)
    for old, new in EDITS.items():
        edited = NOTEBOOK.replace(old, new)
        resumed, history = run(edited, images, cpu, tmp_path)
        assert resumed == 0 and history != first, new
        assert run(edited, images, cpu, tmp_path) == (2, history)
    reworded = "# A heading.\n\n\n" + NOTEBOOK.replace("self.conv(x))", "\n    self.conv(x)  # 3x3\n)")
    reworded = reworded.replace("    def forward", "    # What it does.\n\n    def forward").replace("0.1", "0.10")
    reworded = reworded.replace('("a b", 1)]', 'tuple(["A b".lower(), 1])]')  # equal, and no longer the same object
    assert reworded.count("\n") > NOTEBOOK.count("\n") + 8
    assert run(reworded, images, cpu, tmp_path) == (2, first)


@pytest.mark.parametrize(
    "how",
    [
        "import bright\nbrighten = lambda images: bright.brighter(images)",
        "def brighten(images):\n    from bright import __doc__, brighter\n    return brighter(images)",
        "import bright\nNAME = 'brighter'\nbrighten = lambda images: getattr(bright, NAME)(images)",
    ],
)
def test_a_module_of_ones_own_counts_by_what_it_does(make_images, cpu, tmp_path, monkeypatch, how):
    monkeypatch.syspath_prepend(tmp_path)
    module, resumed = tmp_path / "bright.py", []
    for content in ("FACTOR = 0.9", "FACTOR = 0.9  # the same", "FACTOR = 0.8"):
        module.write_text(f"{content}\ndef brighter(images):\n    return images / 255 * FACTOR\n")
        monkeypatch.delitem(sys.modules, "bright", raising=False)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        source = f"{NOTEBOOK}\n{how}\nOPTIONS = {{'augment': brighten}}"
        resumed.append(run(source, make_images(6), cpu, tmp_path / "checkpoints")[0])
    assert resumed == [0, 2, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(nn.Linear, "forward", lambda self, x: F.linear(x, self.weight.tanh(), self.bias)),
        lambda patch: patch.setattr(F, "leaky_relu", lambda x, slope: x.tanh()),
        lambda patch: nn.modules.module.register_module_forward_hook(lambda module, inputs, output: output * 2),
    ],
)
def test_what_a_notebook_puts_into_a_library_counts(make_images, cpu, tmp_path, monkeypatch, change):
    images = make_images(6)
    run(NOTEBOOK, images, cpu, tmp_path)
    hook = change(monkeypatch)
    assert run(NOTEBOOK, images, cpu, tmp_path)[0] == 0
    monkeypatch.undo()
    if hook is not None:
        hook.remove()
    assert run(NOTEBOOK, images, cpu, tmp_path)[0] == 2


class Locked:
    """An augmentation that holds something whose state nobody can know."""

    def __init__(self, thing):
        self.thing = thing

    def __call__(self, images):
        return images.float() / 255


STRONGER = """
class Stronger:
    seen = 0

    def __call__(self, images):
        self.seen += 1
        return images.float() / 255 * 0.9 ** self.seen

OPTIONS = {"augment": Stronger()}
"""


@pytest.mark.parametrize(
    ("source", "more", "reason"),
    [
        ("", {"augment": Locked(threading.Lock())}, r"augment\.thing can't be read: .*_thread.lock"),
        ("", {"augment": Locked(np.random.default_rng(0))}, r"augment\.thing draws from a generator of its own"),
        ("", {"augment": lambda images: images / 255 + 0 * random.random()}, r"augment\.random\.random draws"),
        ("", {"augment": lambda images: images / 255 + 0 * np.random.rand()}, r"augment\.np\.random\.rand draws"),
        ("", {"augment": lambda images: eval("images / 255")}, r"augment looks names up by eval\(\)"),
        # What changes as it trains: a training that went on from its tensors alone would count from the beginning.
        (STRONGER, {}, "no checkpoint is kept any more"),
    ],
)
def test_what_no_checkpoint_could_hold_trains_without_one_and_says_why(
    make_images, cpu, tmp_path, source, more, reason
):
    images, source = make_images(6), NOTEBOOK + source
    _, expected = run(source, images, cpu, **more)
    with pytest.warns(train.CheckpointWarning, match=reason):
        assert run(source, images, cpu, tmp_path, **more) == (0, expected)
    assert list(tmp_path.iterdir()) == []


IN_ANOTHER_PROCESS = """
import pickle
from pathlib import Path
from helpers import train

def augment(images, known=frozenset({"bright", "dim", "grey", ("a", 1)})):
    return images.float() / 255 * (0.5 if "dim" in known else 1.0) + len({"red", "green", "grey"} & known)

for _ in range(OTHER_HOOKS):
    network.register_forward_hook(print).remove()
network.register_forward_hook(lambda module, inputs, output: output * 2.0)
images = pickle.loads(Path("images").read_bytes())
options = dict(batch_size=8, augment=augment, compute=train.choose_compute("cpu"), checkpoint=Path("kept"))
print(train.fit(network, images, images, epochs=2, **options).resumed_from)
"""


@pytest.mark.slow
def test_another_process_goes_on(make_images, tmp_path, monkeypatch, capsys):
    """One that orders sets otherwise, and has made other hooks before."""
    (tmp_path / "images").write_bytes(pickle.dumps(make_images(6)))
    monkeypatch.chdir(tmp_path)
    exec(f"OTHER_HOOKS = 1\n{NOTEBOOK}{IN_ANOTHER_PROCESS}", {"__name__": "__main__"})
    assert capsys.readouterr().out == "0\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "2"}
    call = [sys.executable, "-c", f"OTHER_HOOKS = 2\n{NOTEBOOK}{IN_ANOTHER_PROCESS}"]
    assert subprocess.run(call, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout == "2\n"


def test_what_a_notebook_put_into_tensors_is_not_read_with_the_images(make_images, cpu, monkeypatch):
    names = {"__name__": "__main__"}
    exec("def shout(self): return eval('1')", names)
    monkeypatch.setattr(torch.Tensor, "shout", names["shout"], raising=False)
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    images = make_images(2)
    network(images.images.float())
    images = replace(images, images=images.images.float())
    assert len(train.fit(network, images, images, epochs=1, compute=cpu).history) == 1
