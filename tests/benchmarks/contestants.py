"""One training, written in several ways, to be read side by side.

Each function trains the network in place and returns the precision it computed in. What is the same for all (folder,
batch size, learning rate …) are attributes of the job, see `tests.benchmarks.loop`.
"""

from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from helpers.data import load
from helpers.train import choose_compute, fit


def ours(network: nn.Module, job: SimpleNamespace) -> str:
    """As the notebooks do it. `load` reads the test images too, within the time of the first epoch."""
    splits = load(f"folder:{job.folder}", own="cifar10")
    compute = choose_compute("cpu", job.precision)
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
    options = {"bs": job.batch_size, "num_workers": job.workers, "drop_last": False, "device": torch.device("cpu")}
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
    options = {"batch_size": job.batch_size, "num_workers": job.workers, "persistent_workers": job.workers > 0}
    return DataLoader(train, shuffle=True, **options), DataLoader(val, **options)
