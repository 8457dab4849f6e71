"""Training: ``fit`` is the one loop of all experiments, ``predict`` the way from a network to logits."""

from helpers.train.augment import RandomAffine
from helpers.train.checkpoint import CheckpointError, CheckpointWarning
from helpers.train.compute import Compute, ComputeError, choose_compute
from helpers.train.fit import TrainError, fit, predict
from helpers.train.measure import inference_rate, size_on_disk
from helpers.train.result import Result, TrainingStopped

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "Compute",
    "ComputeError",
    "RandomAffine",
    "Result",
    "TrainError",
    "TrainingStopped",
    "choose_compute",
    "fit",
    "inference_rate",
    "predict",
    "size_on_disk",
]
