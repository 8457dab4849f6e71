"""Is the training loop faster than what others would write?

The same CNN with the same initial weights learns from the same image files of 32 pixels with `helpers.train.fit`, a
plain PyTorch loop, Lightning and fastai (pip install -r tests/benchmarks/requirements-peers.txt), everything on the
processor. What each of them does stands in tests/benchmarks/contestants.py.

Every training has a process of its own and an empty data folder, and is timed at the optimizer's steps:
  start-up  from starting the process until the images are opened: imports, and building the network
  epoch 1   from opening the images to the epoch's last step; decoding, starting worker processes and writing caches
            included
  later     from there to the last step of all; each epoch has one pass over the validation images
  accuracy  on test images, computed alike for all, in float32
All compute with as many threads as there are cores. The contestants take turns, seed by seed, and ratios are taken
within a seed.
"""

import argparse
import itertools
import json
import math
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import psutil
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from helpers import ROOT, WorkbookError, evaluate, models
from helpers.data import folder
from helpers.train import choose_compute
from tests.benchmarks import contestants

PEERS = ("lightning", "fastai")
CONTESTANTS = ("ours", "ours, float32", "pytorch", *filter(find_spec, PEERS))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks loop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/<class>/* and test/<class>/*")
    parser.add_argument("--images", type=int, default=10_000, help="to train with (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="two or more (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    options = parser.parse_args(argv)
    print(f"Not installed: {', '.join(sorted({*PEERS} - {*CONTESTANTS})) or 'none'}")
    processor = choose_compute("cpu").description.split(",")[0]
    print(f"{processor}, {os.cpu_count()} threads each, Python {platform.python_version()}, torch {torch.__version__}")
    rows = []
    with tempfile.TemporaryDirectory() as images:
        num_classes = _link(options.data, Path(images), options.images)
        for turn, seed in enumerate(options.seeds):
            first = turn % len(CONTESTANTS)
            for name in (*CONTESTANTS[first:], *CONTESTANTS[:first]):
                job = {"contestant": name, "folder": images, "seed": seed, "num_classes": num_classes}
                job |= {"epochs": options.epochs, "batch_size": options.batch_size}
                rows.append({"contestant": name, "seed": seed} | _train_in_a_process(job))
                print(rows[-1], f"load {psutil.getloadavg()[0]:.1f}", flush=True)
    runs = pd.DataFrame(rows)
    print(f"\n{options.images:,} training images, {options.epochs} epochs; medians of the seeds:\n")
    print(results(runs, options.images), ratios(runs), sep="\n\n")
    return 0


def results(runs: pd.DataFrame, num_images: int) -> str:
    """Each contestant's start-up in seconds, images a second, and test accuracy: medians over the seeds."""
    rates = runs.assign(**{part: num_images / runs[part] for part in ("epoch 1", "later")})
    table = rates.drop(columns="seed").groupby(["contestant", "precision"], sort=False).median()
    return table.round({"start-up": 1, "epoch 1": 0, "later": 0, "accuracy": 3}).to_string()


def ratios(runs: pd.DataFrame) -> str:
    """How many times as fast ours are as each peer: median, least and most of the ratios within a seed."""
    seconds, lines = runs.set_index(["contestant", "seed"])[["epoch 1", "later"]], []
    for ours, peer in itertools.product(CONTESTANTS[:2], CONTESTANTS[2:]):
        times = seconds.loc[peer] / seconds.loc[ours]
        lines.append(f"{ours} against {peer}:\n{times.agg(['median', 'min', 'max']).round(2).to_string()}")
    return "\n".join(lines)


def _link(data: Path, images: Path, number: int) -> int:
    """A folder of links, so that all contestants read the same files, as many of each class; the number of classes."""
    classes = sorted(path.name for path in data.glob("train/*") if path.is_dir())
    each, few = number // max(1, len(classes)), number // max(1, 5 * len(classes))
    for place, name in enumerate(classes):
        train, test = (sorted((data / part / name).iterdir()) for part in ("train", "test"))
        for files in (train, test):
            random.Random(0).shuffle(files)
        if len(train) < each + few or len(test) < few:
            raise WorkbookError(f"class {name} has too few images: take a smaller --images")
        for split, files in {"train": train[:each], "val": train[each : each + few], "test": test[:few]}.items():
            # With a number in front, since "2" comes before "10" for some contestants and after it for others.
            target = images / split / f"{place:04d} {name}"
            target.mkdir(parents=True)
            for file in files:
                (target / file.name).symlink_to(file.resolve())
    return len(classes)


def _train_in_a_process(job: dict) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        environment = {"OMP_NUM_THREADS": str(os.cpu_count()), **os.environ, "WORKBOOK_DATA": scratch}
        code = "import sys; from tests.benchmarks import loop; loop.train(*sys.argv[1:])"
        call = [sys.executable, "-c", code, json.dumps(job), str(time.time())]
        done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise WorkbookError(f"{job['contestant']}, seed {job['seed']}, failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def train(described: str, began: str) -> None:
    """In a process: one training; prints what it took, as JSON."""
    job = SimpleNamespace(**json.loads(described), learning_rate=0.02, momentum=0.9, workers=os.cpu_count())
    job.precision = "float32" if "float32" in job.contestant else "auto"
    contestant = getattr(contestants, job.contestant.split(",")[0])
    network = models.resolution_cnn(job.num_classes, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=32, seed=job.seed)
    # The first optimizer makes PyTorch import its compiler. Some libraries have done so by now: let everybody.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    steps: list[float] = []  # the time at the end of each
    register_optimizer_step_post_hook(lambda *_: steps.append(time.perf_counter()))

    took, opened = {"start-up": time.time() - float(began)}, time.perf_counter()
    took["precision"] = contestant(network, job)
    in_epoch = math.ceil(sum(1 for _ in Path(job.folder, "train").glob("*/*")) / job.batch_size)
    if len(steps) != in_epoch * job.epochs:
        raise WorkbookError(f"{job.contestant} made {len(steps)} steps, not {job.epochs} epochs of {in_epoch}")
    took["epoch 1"] = steps[in_epoch - 1] - opened
    took["later"] = (steps[-1] - steps[in_epoch - 1]) / (job.epochs - 1)
    test = folder.read(Path(job.folder), image_size=32, channels=3, cache=None)["test"]
    with torch.inference_mode():
        logits = torch.cat([network.eval()(images) for images in test.images.split(256)])
    print(json.dumps({**took, "accuracy": evaluate.accuracy(logits, test.labels)}))
