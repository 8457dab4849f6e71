"""fastai, as its documentation has it, without progress bar and table of results.

``persistent_workers`` would change nothing: fastai starts new workers in each epoch whatever it says (fastai/fastai
issue 3734). ``drop_last=False``, so that it makes as many steps as the others.
"""

from functools import partial
from types import SimpleNamespace

import torch
from fastai.vision.all import ImageDataLoaders, Learner, OptimWrapper, accuracy, set_seed
from torch import nn
from torch.nn import functional as F


def train(network: nn.Module, job: SimpleNamespace) -> str:
    set_seed(job.seed)
    loaders = ImageDataLoaders.from_folder(
        job.folder,
        train="train",
        valid="val",
        bs=job.batch_size,
        drop_last=False,
        num_workers=job.workers,
        device=torch.device("cpu"),
    )
    sgd = partial(OptimWrapper, opt=torch.optim.SGD, momentum=job.momentum)
    learner = Learner(loaders, network, loss_func=F.cross_entropy, opt_func=sgd, metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit(job.epochs, lr=job.learning_rate)
    return "float32"
