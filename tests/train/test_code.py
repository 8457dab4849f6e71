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
KERNELS = {"size": [3]}

def squash(x, gain=1.0):
    return F.leaky_relu(x, SLOPE) * gain

def shift_by(amount):
    def shifted(images):
        return images.float() / 255 + amount
    return shifted

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
    def __init__(self, by, *, times=1):
        self.by, self.times = by, times

    def __call__(self, images):
        return images.float() / 255 * self.by ** self.times

    def darker(self, images):
        return images.float() / 255 / self.by

def dim(images, by, *, plus=0.0):
    return images.float() / 255 * by + plus

def plain_sgd(model, momentum=0.0):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)

class Halved(torch.optim.SGD):
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad *= 0.5
        super().step()

def halved(model):
    return Halved(model.parameters(), lr=0.1)

torch.manual_seed(0)
network = Net()
network.scale = 1.0
network.head.register_forward_hook(lambda module, inputs, output: output + 0.0)
network.head.weight.register_hook(lambda gradient: gradient * 1.0)
OPTIONS = {}
"""

WITH = {
    "nothing": "",
    "object": "OPTIONS = {'augment': Brighter(0.9)}",
    "closure": "OPTIONS = {'augment': shift_by(0.1)}",
    "lambda": "OPTIONS = {'augment': lambda images: dim(images, 0.9)}",
    "partial": "OPTIONS = {'augment': functools.partial(dim, by=0.9)}",
    "method": "OPTIONS = {'augment': Brighter(0.9).darker}",
    "optimizer": "OPTIONS = {'optimizer': plain_sgd}",
    "own optimizer": "OPTIONS = {'optimizer': halved}",
}
"""What the training of NOTEBOOK is called with."""

EDITS = [
    ("nothing", "F.max_pool2d(squash(x), 2)", "F.avg_pool2d(torch.sigmoid(x), 2)"),
    ("nothing", "F.leaky_relu(x, SLOPE)", "F.elu(x, SLOPE)"),  # a function that forward calls
    ("nothing", "SLOPE = 0.1", "SLOPE = 0.2"),
    ("nothing", "network.scale = 1.0", "network.scale = 2.0"),
    ("nothing", "rate = 0.0", "rate = 0.5"),
    ("nothing", "features * 1.0", "features * 2.0"),
    ("nothing", "output + 0.0", "output * 2.0"),
    ("nothing", "gradient * 1.0", "gradient * 2.0"),
    ("object", "* self.by ** self.times", "+ self.by ** self.times"),
    ("object", "Brighter(0.9)", "Brighter(0.8)"),
    ("closure", "shift_by(0.1)", "shift_by(0.2)"),
    ("lambda", "images, 0.9", "images, 0.8"),
    ("lambda", "255 * by", "255 + by"),
    ("partial", "by=0.9", "by=0.8"),
    ("method", "255 / self.by", "255 - self.by"),
    ("optimizer", "momentum=0.0", "momentum=0.5"),
    ("optimizer", "SGD(model.parameters(), lr=0.1, mom", "SGD(model.head.parameters(), lr=0.1, mom"),
    ("own optimizer", "grad *= 0.5", "grad *= 0.25"),
]  # fmt: skip


def run(source: str, images, compute, checkpoint=None):
    """The result, and the weights that a notebook's training ends with."""
    names = {"__name__": "__main__"}
    exec(source, names)
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "optimizer": "sgd", **names["OPTIONS"]}
    result = train.fit(names["network"], images, images, compute=compute, checkpoint=checkpoint, **options)
    return result, list(names["network"].state_dict().values())


@pytest.mark.parametrize(("call", "old", "new"), EDITS)
def test_edited_code_trains_from_nothing(make_images, cpu, tmp_path, call, old, new):
    images, source = make_images(6), NOTEBOOK + WITH[call]
    edited = source.replace(old, new)
    assert edited != source
    _, old_weights = run(source, images, cpu, tmp_path)
    result, weights = run(edited, images, cpu, tmp_path)
    expected, expected_weights = run(edited, images, cpu)
    assert result.resumed_from == 0
    assert result.history.drop(columns="seconds").equals(expected.history.drop(columns="seconds"))
    assert all(map(torch.equal, weights, expected_weights))
    assert not all(map(torch.equal, weights, old_weights)), "an edit that computes the same would show nothing"
    for again in (source, edited):
        assert run(again, images, cpu, tmp_path)[0].resumed_from == 2


@pytest.mark.parametrize("call", WITH)
def test_the_same_code_in_other_words_is_resumed(make_images, cpu, tmp_path, call):
    images, source = make_images(6), NOTEBOOK + WITH[call]
    run(source, images, cpu, tmp_path)
    reworded = "# A heading.\n\n\n" + source.replace(
        "self.pool(self.conv(x))", "self.pool(\n    self.conv(x)  # 3x3\n)"
    )
    reworded = reworded.replace("    def forward", "    # What it does.\n\n    def forward").replace("0.1", "0.10")
    assert reworded.count("\n") > source.count("\n") + 8
    assert run(reworded, images, cpu, tmp_path)[0].resumed_from == 2


@pytest.mark.parametrize(
    "how",
    [
        "import bright\nbrighten = lambda images: bright.brighter(images)",
        "from bright import brighter as brighten",
        "def brighten(images):\n    from bright import brighter\n    return brighter(images)",
        "import bright\nNAME = 'brighter'\nbrighten = lambda images: getattr(bright, NAME)(images)",
    ],
)
def test_a_module_of_ones_own_counts_by_what_it_does(make_images, cpu, tmp_path, monkeypatch, how):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "bright.py"
    source = f"{NOTEBOOK}\n{how}\nOPTIONS = {{'augment': brighten}}"
    resumed = []
    for content in ("FACTOR = 0.9", "FACTOR = 0.9  # the same", "FACTOR = 0.8"):
        module.write_text(f"{content}\ndef brighter(images):\n    return images / 255 * FACTOR\n")
        monkeypatch.delitem(sys.modules, "bright", raising=False)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        resumed.append(run(source, make_images(6), cpu, tmp_path / "checkpoints")[0].resumed_from)
    assert resumed == [0, 2, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(nn.Linear, "forward", lambda self, x: x[:, :4].tanh() * self.weight.sum()),
        lambda patch: patch.setattr(F, "leaky_relu", lambda x, slope: x.tanh()),
        lambda patch: nn.modules.module.register_module_forward_hook(lambda module, inputs, output: output * 2),
    ],
)
def test_what_a_notebook_puts_into_a_library_counts(make_images, cpu, tmp_path, monkeypatch, change):
    images = make_images(6)
    run(NOTEBOOK, images, cpu, tmp_path)
    hook = change(monkeypatch)
    expected, _ = run(NOTEBOOK, images, cpu)
    result, _ = run(NOTEBOOK, images, cpu, tmp_path)
    assert result.resumed_from == 0
    assert result.history.drop(columns="seconds").equals(expected.history.drop(columns="seconds"))
    monkeypatch.undo()
    if hook is not None:
        hook.remove()
    assert run(NOTEBOOK, images, cpu, tmp_path)[0].resumed_from == 2


class Locked:
    """An augmentation that holds something whose state nobody can know."""

    def __init__(self, thing):
        self.thing = thing

    def __call__(self, images):
        return images.float() / 255


@pytest.mark.parametrize(
    ("augment", "reason"),
    [
        (Locked(threading.Lock()), r"augment\.thing can't be read: .*_thread.lock"),
        (Locked(np.random.default_rng(0)), r"augment\.thing draws from a generator of its own"),
        (
            lambda images: images / 255 + 0 * random.random(),
            r"augment\.random\.random draws from a generator of its own",
        ),
        (
            lambda images: images / 255 + 0 * np.random.rand(),
            r"augment\.np\.random\.rand draws from a generator of its own",
        ),
        (lambda images: eval("images / 255"), r"augment looks names up by eval\(\)"),
    ],
)
def test_what_cannot_be_read_trains_without_a_checkpoint_and_says_why(make_images, cpu, tmp_path, augment, reason):
    images = make_images(6)
    expected, _ = run(NOTEBOOK + "OPTIONS = {'augment': lambda images: images.float() / 255}", images, cpu)
    for _ in range(2):
        names = {"__name__": "__main__"}
        exec(NOTEBOOK, names)
        options = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "optimizer": "sgd", "augment": augment}
        with pytest.warns(train.CheckpointWarning, match=reason):
            result = train.fit(names["network"], images, images, compute=cpu, checkpoint=tmp_path, **options)
        assert result.resumed_from == 0 and list(tmp_path.iterdir()) == []
        assert result.history.drop(columns="seconds").equals(expected.history.drop(columns="seconds"))


COUNTS = """
class Counts:
    seen = 0

    def count(self):
        self.seen += 1
        return self.seen

class Stronger(Counts):
    def __call__(self, images):
        return images.float() / 255 * 0.9 ** self.count()

class Dimming(Counts, nn.Module):
    def forward(self, x):
        return x * 0.9 ** (self.count() if self.training else 0)
"""


@pytest.mark.parametrize(
    "makes", ["OPTIONS = {'augment': Stronger()}", "network.pool = nn.Sequential(network.pool, Dimming())"]
)
def test_what_changes_as_it_trains_is_in_no_checkpoint(make_images, cpu, tmp_path, makes):
    """A training that went on from its tensors alone would count from the beginning."""
    images, source = make_images(6), NOTEBOOK + COUNTS + makes
    expected, _ = run(source, images, cpu)
    for _ in range(2):
        with pytest.warns(train.CheckpointWarning, match="no checkpoint is kept any more"):
            result, _ = run(source, images, cpu, tmp_path)
        assert result.resumed_from == 0 and list(tmp_path.iterdir()) == []
        assert result.history.drop(columns="seconds").equals(expected.history.drop(columns="seconds"))


@pytest.mark.slow
def test_another_process_goes_on(make_images, tmp_path):
    """One that orders sets otherwise, and has made other hooks before."""
    (tmp_path / "images").write_bytes(pickle.dumps(make_images(6)))
    script = tmp_path / "notebook.py"
    script.write_text(f"""{NOTEBOOK}
import pickle, sys
from pathlib import Path
from helpers import train

def augment(images, known=frozenset({{"bright", "dim", "grey", ("a", 1)}})):
    return images.float() / 255 * (0.5 if "dim" in known else 1.0) + len(COLOURS & known)

COLOURS = {{"red", "green", "blue", "grey"}}
for _ in range(int(sys.argv[1])):
    network.register_forward_hook(print).remove()
network.register_forward_hook(lambda module, inputs, output: output * 2.0)
images = pickle.loads(Path("images").read_bytes())
options = dict(batch_size=8, augment=augment, compute=train.choose_compute(device="cpu"), checkpoint=Path("kept"))
print(train.fit(network, images, images, epochs=2, **options).resumed_from)
""")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    resumed = []
    for number in ("1", "2"):
        call = {"cwd": tmp_path, "env": {**environment, "PYTHONHASHSEED": number}}
        resumed.append(subprocess.run([sys.executable, script, number], **call, stdout=subprocess.PIPE).stdout)
    assert resumed == [b"0\n", b"2\n"]
