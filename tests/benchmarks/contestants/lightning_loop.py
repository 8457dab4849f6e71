"""Lightning, as its documentation has it, without what costs time and is not needed here.

That is: no logger, no checkpoints, no progress bar, no summary of the network, no trial of the validation beforehand.
"""

from types import SimpleNamespace

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.benchmarks.contestants.plain import loaders


class Classifier(L.LightningModule):
    def __init__(self, network: nn.Module, job: SimpleNamespace) -> None:
        super().__init__()
        self.network, self.job = network, job

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self.network(images)
        self.log("val_loss", F.cross_entropy(logits, labels))
        self.log("val_accuracy", (logits.argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.job.learning_rate, momentum=self.job.momentum)


def train(network: nn.Module, job: SimpleNamespace) -> str:
    L.seed_everything(job.seed, verbose=False)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=job.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Classifier(network, job), *loaders(job))
    return "float32"
