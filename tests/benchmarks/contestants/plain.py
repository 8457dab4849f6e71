"""A plain PyTorch loop, as a good student would write it."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from tests.benchmarks.contest.job import MOMENTUM, Job


def train(network: nn.Module, job: Job) -> str:
    torch.manual_seed(job.seed)
    train_loader, val_loader = loaders(job)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=job.learning_rate, momentum=MOMENTUM)
    for epoch in range(1, job.epochs + 1):
        train_mode(network)
        for images, labels in train_loader:
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_loss, val_accuracy = validate(network, val_loader)
        print(f"epoch {epoch}: validation loss {val_loss:.3f}, accuracy {val_accuracy:.1%}")
    return "float32"


def loaders(job: Job) -> tuple[DataLoader, DataLoader]:
    """Of the training and the validation images: float batches from 0 to 1, decoded by worker processes."""
    steps = [transforms.ToTensor()]
    if job.image_size:
        steps = [transforms.Resize(job.image_size), transforms.CenterCrop(job.image_size), *steps]
    train, val = (ImageFolder(f"{job.folder}/{split}", transforms.Compose(steps)) for split in ("train", "val"))
    options = {"batch_size": job.batch_size, "num_workers": job.workers, "persistent_workers": job.workers > 0}
    return DataLoader(train, shuffle=True, **options), DataLoader(val, **options)


def train_mode(network: nn.Module) -> None:
    """Train mode, but for a frozen body: its BatchNorm must neither use nor move the statistics of batches."""
    network.train()
    for layer in network.children():
        parameters = list(layer.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            layer.eval()


@torch.no_grad()
def validate(network: nn.Module, loader: DataLoader) -> tuple[float, float]:
    network.eval()
    loss = correct = number = 0
    for images, labels in loader:
        logits = network(images)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(dim=1) == labels).sum().item()
        number += len(labels)
    return loss / number, correct / number
