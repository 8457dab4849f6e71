"""A plain PyTorch loop, as a good student would write it."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def train(network: nn.Module, job: SimpleNamespace) -> str:
    torch.manual_seed(job.seed)
    train_loader, val_loader = loaders(job)
    optimizer = torch.optim.SGD(network.parameters(), lr=job.learning_rate, momentum=job.momentum)
    for epoch in range(1, job.epochs + 1):
        network.train()
        for images, labels in train_loader:
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_loss, val_accuracy = validate(network, val_loader)
        print(f"epoch {epoch}: validation loss {val_loss:.3f}, accuracy {val_accuracy:.1%}")
    return "float32"


def loaders(job: SimpleNamespace) -> tuple[DataLoader, DataLoader]:
    """Of the training and the validation images: float batches from 0 to 1, decoded by worker processes."""
    train, val = (ImageFolder(f"{job.folder}/{split}", transforms.ToTensor()) for split in ("train", "val"))
    options = {"batch_size": job.batch_size, "num_workers": job.workers, "persistent_workers": job.workers > 0}
    return DataLoader(train, shuffle=True, **options), DataLoader(val, **options)


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
