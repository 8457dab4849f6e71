"""What a network in use costs."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import nn

from helpers import train


def test_the_file_is_as_large_as_said(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    assert abs(train.size_on_disk(network) - (tmp_path / "weights.pt").stat().st_size) < 200  # the name is inside
    assert train.size_on_disk(nn.Linear(1000, 1000)) > 4 * 1000 * 1000


def test_the_rate_is_images_over_the_median_time_of_the_passes_after_the_first(make_images, cpu, monkeypatch):
    clock = iter([0.0, 100.0, 0.0, 1.0, 0.0, 2.0, 0.0, 50.0])  # warming up, then passes of 1, 2 and 50 seconds
    monkeypatch.setattr("helpers.train.use.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    images = make_images(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    floats = replace(images, images=images.images.float())
    assert train.inference_rate(network, floats, compute=cpu) == len(images) / 2.0
