"""As the notebooks of this workbook do it. `load` reads the test images too, within the time of the first epoch."""

from types import SimpleNamespace

from torch import nn

from helpers.data import load
from helpers.train import choose_compute, fit


def train(network: nn.Module, job: SimpleNamespace) -> str:
    splits = load(f"folder:{job.folder}", own="cifar10")
    compute = choose_compute("cpu", job.precision)
    fit(
        network,
        splits.train,
        splits.val,
        epochs=job.epochs,
        batch_size=job.batch_size,
        optimizer="sgd",
        learning_rate=job.learning_rate,
        momentum=job.momentum,
        seed=job.seed,
        compute=compute,
    )
    return compute.for_network(network).precision
