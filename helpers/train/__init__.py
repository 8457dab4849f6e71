"""Training: ``fit`` is the one loop of all experiments, ``predict`` the way from a network to logits."""

from helpers.train.augment import RandomAffine
from helpers.train.checkpoint import CheckpointWarning
from helpers.train.compute import Compute, choose_compute
from helpers.train.fit import fit, predict
from helpers.train.measure import inference_rate, size_on_disk
from helpers.train.result import Result, TrainingStopped

__all__ = [
    "CheckpointWarning",
    "Compute",
    "RandomAffine",
    "Result",
    "TrainingStopped",
    "choose_compute",
    "fit",
    "inference_rate",
    "predict",
    "size_on_disk",
]
