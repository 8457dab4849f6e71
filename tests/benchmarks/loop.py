"""Is the training loop faster than what others would write?

The same CNN with the same initial weights learns from the same image files with `helpers.train.fit`, a plain PyTorch
loop, Lightning and fastai (pip install -r tests/benchmarks/requirements-peers.txt), everything on the processor. What
each of them does stands in tests/benchmarks/contestants/.

Every training has a process of its own and an empty data folder, and is timed at the optimizer's steps:
  epoch 1   from opening the images, after the imports, to the epoch's last step; decoding, starting worker processes
            and writing caches included
  later     from there to the last step of all; each epoch has one pass over the validation images
  memory    the process's peak resident memory (VmHWM), and the peak of what its worker processes have mapped for
            themselves alone (Private_* of smaps_rollup, added up over the workers, looked at every 2 seconds)
  accuracy  on test images, computed alike for all from the trained weights, in float32
All compute with as many threads as there are cores. The contestants take turns, seed by seed, and ratios are taken
within a seed.
"""

from collections.abc import Sequence

from tests.benchmarks.contest.compare import compare, make_parser

PEERS = ("pytorch", "lightning", "fastai")


def main(argv: Sequence[str]) -> int:
    """Prints tables; a training that failed raises a `WorkbookError` when all have had their turn."""
    compare(make_parser("loop", __doc__, peers=PEERS, images=10_000, epochs=3).parse_args(argv))
    return 0
