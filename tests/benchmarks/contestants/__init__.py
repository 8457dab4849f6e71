"""One training, written in several ways, to be read side by side.

Each file has ``train(network, job)``, which trains the network in place and returns the precision it computed in. What
is the same for all (data, network, optimizer, batch size …) stands in the `tests.benchmarks.contest.job.Job`.
"""

import importlib.util
from typing import NamedTuple


class Contestant(NamedTuple):
    """A way to train.

    Attributes:
        module: the file of this folder.
        package: what must be installed for it.
        precision: what it is asked to compute in; None: what the command line says.
    """

    module: str
    package: str = "torch"
    precision: str | None = None

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


CONTESTANTS = {
    "ours": Contestant("ours"),
    "ours-float32": Contestant("ours", precision="float32"),
    "pytorch": Contestant("plain", "torchvision"),
    "lightning": Contestant("lightning_loop", "lightning"),
    "fastai": Contestant("fastai_loop", "fastai"),
}
COMPARISONS = ("ours-float32",)
"""What is neither ours nor a peer: it shows what a part of the difference comes from."""
