"""What does it save to run a frozen network once, and not in every epoch?

A linear head learns on a frozen ImageNet network: with `helpers.train.fit`, and with a plain PyTorch loop that runs the
whole network in each epoch. Timed and measured as in the benchmark `loop`.
"""

from collections.abc import Sequence

from tests.benchmarks.contest import table
from tests.benchmarks.contest.compare import compare, make_parser

GOAL = 0.8
"""For each epoch, ours should be this many times as fast as the plain loop in all."""


def main(argv: Sequence[str]) -> int:
    """Prints tables; a training that failed raises a `WorkbookError` when all have had their turn."""
    parser = make_parser("frozen", __doc__, peers=["pytorch"], images=1000, epochs=10)
    parser.add_argument("--network", default="tf_efficientnet_lite0", help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="pixels (default: %(default)s)")
    options = parser.parse_args(argv)
    runs = compare(options, image_size=options.size, body=options.network)
    if {"ours", "pytorch"} <= {run.contestant for run in runs}:
        times = table.speedup(runs, "pytorch", lambda run: run.total_seconds)
        share = times / options.epochs
        print(f"\nours is {times:.1f} times as fast in {options.epochs} epochs: {share:.2f} an epoch (goal: {GOAL})")
    return 0
