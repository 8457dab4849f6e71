"""fastai, as its documentation has it, without progress bar and table of results.

``persistent_workers`` would change nothing: fastai starts new workers in each epoch whatever it says (fastai/fastai
issue 3734). ``drop_last=False``, so that it makes as many steps as the others.
"""

from functools import partial

import torch
from fastai.vision.all import ImageDataLoaders, Learner, OptimWrapper, Resize, accuracy, set_seed
from torch import nn
from torch.nn import functional as F

from tests.benchmarks.contest.job import MOMENTUM, Job


def train(network: nn.Module, job: Job) -> str:
    set_seed(job.seed)
    loaders = ImageDataLoaders.from_folder(
        job.folder,
        train="train",
        valid="val",
        item_tfms=Resize(job.image_size) if job.image_size else None,
        bs=job.batch_size,
        drop_last=False,
        num_workers=job.workers,
        device=torch.device("cpu"),
    )
    sgd = partial(OptimWrapper, opt=torch.optim.SGD, momentum=MOMENTUM)
    learner = Learner(loaders, network, loss_func=F.cross_entropy, opt_func=sgd, metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit(job.epochs, lr=job.learning_rate)
    return "float32"
