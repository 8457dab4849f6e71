"""Is the training loop faster than what others would write?

The same CNN with the same initial weights learns from the same image files of 32 pixels with `helpers.train.fit`, a
plain PyTorch loop, Lightning and fastai (pip install -r tests/benchmarks/requirements-peers.txt), everything on the
processor, with as many threads as there are cores. Every training has a process of its own and an empty data folder,
and is timed at the optimizer's steps, with --data a folder that holds train/<class>/* and test/<class>/*, --images to
train with, and two --epochs or more:
  start-up  from starting the process until the images are opened: imports, and building the network
  epoch 1   from opening the images to the epoch's last step; decoding, starting worker processes and writing caches
            included
  later     from there to the last step of all; each epoch has one pass over the validation images
  accuracy  on test images, computed alike for all, in float32
The contestants take turns, seed by seed, and ratios are taken within a seed.
"""

import itertools
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader

from helpers import data, evaluate, models
from helpers.data import folder
from helpers.train import choose_compute, fit
from tests.benchmarks import in_processes

# The contestants, to be read side by side. Each trains the network in place and returns the precision it computed in.
# What is the same for all (folder, batch size, learning rate …) are attributes of the job.


def ours(network: nn.Module, job: SimpleNamespace) -> str:
    """As the notebooks do it. `load` reads the test images too, within the time of the first epoch."""
    splits = data.load(f"folder:{job.folder}", own="cifar10")
    compute = choose_compute("cpu", "float32" if "float32" in job.contestant else "auto")
    options = {"epochs": job.epochs, "batch_size": job.batch_size, "seed": job.seed, "compute": compute}
    options |= {"optimizer": "sgd", "learning_rate": job.learning_rate, "momentum": job.momentum}
    fit(network, splits.train, splits.val, **options)
    return compute.for_network(network).precision


def pytorch(network: nn.Module, job: SimpleNamespace) -> str:
    """A plain loop, as a good student would write it."""
    torch.manual_seed(job.seed)
    train_loader, val_loader = _loaders(job)
    optimizer = torch.optim.SGD(network.parameters(), lr=job.learning_rate, momentum=job.momentum)
    for epoch in range(1, job.epochs + 1):
        network.train()
        for images, labels in train_loader:
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        loss, correct, seen = 0.0, 0, 0
        with torch.inference_mode():
            for images, labels in val_loader:
                logits = network(images)
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
                seen += len(labels)
        print(f"epoch {epoch}: validation loss {loss / seen:.3f}, accuracy {correct / seen:.1%}")
    return "float32"


def lightning(network: nn.Module, job: SimpleNamespace) -> str:
    """As its documentation has it, without what costs time and is not needed here.

    That is: no logger, no checkpoints, no progress bar, no summary of the network, no trial of the validation before.
    """
    import lightning as L

    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            images, labels = batch
            return F.cross_entropy(self.network(images), labels)

        def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
            images, labels = batch
            logits = self.network(images)
            self.log("val_loss", F.cross_entropy(logits, labels))
            self.log("val_accuracy", (logits.argmax(dim=1) == labels).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=job.learning_rate, momentum=job.momentum)

    L.seed_everything(job.seed, verbose=False)
    without = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options = dict.fromkeys(without, False) | {"num_sanity_val_steps": 0}
    trainer = L.Trainer(accelerator="cpu", devices=1, max_epochs=job.epochs, **options)
    trainer.fit(Classifier(), *_loaders(job))
    return "float32"


def fastai(network: nn.Module, job: SimpleNamespace) -> str:
    """As its documentation has it, without progress bar and table of results.

    ``persistent_workers`` would change nothing: fastai starts new workers in each epoch whatever it says (fastai/fastai
    issue 3734). ``drop_last=False``, so that it makes as many steps as the others.
    """
    from fastai.vision.all import ImageDataLoaders, Learner, OptimWrapper, accuracy, set_seed

    set_seed(job.seed)
    options = {"bs": job.batch_size, "num_workers": os.cpu_count(), "drop_last": False, "device": torch.device("cpu")}
    loaders = ImageDataLoaders.from_folder(job.folder, train="train", valid="val", **options)
    sgd = partial(OptimWrapper, opt=torch.optim.SGD, momentum=job.momentum)
    learner = Learner(loaders, network, loss_func=F.cross_entropy, opt_func=sgd, metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit(job.epochs, lr=job.learning_rate)
    return "float32"


def _loaders(job: SimpleNamespace) -> tuple[DataLoader, DataLoader]:
    """Of the training and the validation images: float batches from 0 to 1, decoded by worker processes."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    train, val = (ImageFolder(f"{job.folder}/{split}", transforms.ToTensor()) for split in ("train", "val"))
    options = {"batch_size": job.batch_size, "num_workers": os.cpu_count(), "persistent_workers": True}
    return DataLoader(train, shuffle=True, **options), DataLoader(val, **options)


CONTESTANTS = ("ours", "ours, float32", "pytorch", *filter(find_spec, ("lightning", "fastai")))


def main(
    data: str, images: int = 10_000, epochs: int = 3, seeds: Sequence[int] = (0, 1, 2), batch_size: int = 128
) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    rows = []
    with tempfile.TemporaryDirectory() as linked:
        job = {"folder": linked, "num_classes": _link(Path(data), Path(linked), images)}
        job |= {"epochs": epochs, "batch_size": batch_size, "learning_rate": 0.02, "momentum": 0.9}
        for turn, seed in enumerate(seeds):
            first = turn % len(CONTESTANTS)
            for name in (*CONTESTANTS[first:], *CONTESTANTS[:first]):
                rows.append(_in_a_process(job | {"contestant": name, "seed": seed}))
                print(rows[-1], flush=True)
    seconds = pd.DataFrame(rows).set_index(["contestant", "seed"])
    table = seconds.assign(**{part: images / seconds[part] for part in ("epoch 1", "later")})
    medians = table.groupby(["contestant", "precision"], sort=False).median()
    print("\nStart-up in seconds, images a second, accuracy: medians of the seeds", medians.round(3), sep="\n\n")
    for name, peer in itertools.product(CONTESTANTS[:2], CONTESTANTS[2:]):
        their, our = (seconds.loc[each, ["epoch 1", "later"]] for each in (peer, name))
        times = (their / our).agg(["median", "min", "max"])
        print(f"\n{name} against {peer}, times as fast:\n{times.round(2)}")


def _link(images: Path, links: Path, number: int) -> int:
    """A folder of links, so that all contestants read the same files, as many of each class; the number of classes."""
    classes = sorted(path.name for path in images.glob("train/*") if path.is_dir())
    each, few = number // len(classes), number // (5 * len(classes))
    for place, name in enumerate(classes):
        train, test = (sorted((images / part / name).iterdir()) for part in ("train", "test"))
        for files in (train, test):
            random.Random(0).shuffle(files)
        if len(train) < each + few or len(test) < few:
            sys.exit(f"class {name} has too few images: take a smaller --images")
        for split, files in {"train": train[:each], "val": train[each : each + few], "test": test[:few]}.items():
            # With a number in front, since "2" comes before "10" for some contestants and after it for others.
            target = links / split / f"{place:04d} {name}"
            target.mkdir(parents=True)
            for file in files:
                (target / file.name).symlink_to(file.resolve())
    return len(classes)


def _in_a_process(job: dict) -> dict:
    with tempfile.TemporaryDirectory() as os.environ["WORKBOOK_DATA"]:
        return in_processes(1, train, job, time.time())[0]


def train(described: dict, began: float) -> dict:
    """In a process: one training, and what it took."""
    job = SimpleNamespace(**described)
    contestant = globals()[job.contestant.split(",")[0]]
    network = models.resolution_cnn(job.num_classes, mean=(0.5,) * 3, std=(0.25,) * 3, image_size=32, seed=job.seed)
    # The first optimizer makes PyTorch import its compiler. Some libraries have done so by now: let everybody.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    steps: list[float] = []  # the time at the end of each
    register_optimizer_step_post_hook(lambda *_: steps.append(time.perf_counter()))

    took = {"contestant": job.contestant, "seed": job.seed, "start-up": time.time() - began}
    opened = time.perf_counter()
    took["precision"] = contestant(network, job)
    in_epoch = math.ceil(sum(1 for _ in Path(job.folder, "train").glob("*/*")) / job.batch_size)
    assert len(steps) == in_epoch * job.epochs, f"{job.contestant} made {len(steps)} steps"
    took["epoch 1"] = steps[in_epoch - 1] - opened
    took["later"] = (steps[-1] - steps[in_epoch - 1]) / (job.epochs - 1)
    test = folder.read(Path(job.folder), image_size=32, channels=3, cache=None)["test"]
    with torch.inference_mode():
        logits = torch.cat([network.eval()(images) for images in test.images.split(256)])
    return {**took, "accuracy": evaluate.accuracy(logits, test.labels)}
