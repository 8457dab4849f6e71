"""Training: ``fit`` is the one loop of all experiments, ``predict`` the way from a network to logits."""

from helpers.train.augment import RandomAffine
from helpers.train.checkpoint import CheckpointWarning
from helpers.train.compute import Compute, choose_compute
from helpers.train.fit import Diverged, fit, num_batches
from helpers.train.processes import side_by_side
from helpers.train.result import Result, TrainingStopped
from helpers.train.use import inference_rate, predict, size_on_disk
