"""A comparison from its options to its tables."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import helpers
from helpers import models
from helpers.data import ImageData, folder
from tests.benchmarks.contest import table
from tests.benchmarks.contest.images import ContestError, link_images
from tests.benchmarks.contest.job import MOMENTUM, Job
from tests.benchmarks.contest.runs import Run, run_all
from tests.benchmarks.contestants import COMPARISONS, CONTESTANTS


def make_parser(prog: str, text: str, *, peers: Sequence[str], images: int, epochs: int) -> argparse.ArgumentParser:
    """The options that all comparisons have.

    Args:
        prog: the benchmark's name.
        text: what it does.
        peers: the contestants beside ours.
        images, epochs: defaults.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks {prog}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/<class>/* and test/<class>/*")
    parser.add_argument("--images", type=int, default=images, help="to train with (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=epochs, help="two or more (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="default: %(default)s")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="that of ours")
    parser.add_argument(
        "--contestants",
        nargs="+",
        choices=["ours", *peers, *COMPARISONS],
        default=["ours", *peers],
        metavar="NAME",
        help=f"ours, {', '.join(peers)} (default: these); for comparison {', '.join(COMPARISONS)}",
    )
    return parser


def compare(options: argparse.Namespace, *, image_size: int | None = None, body: str = "") -> list[Run]:
    """Trains with every contestant and seed, and prints the tables.

    Args:
        options: from a `make_parser`.
        image_size, body: as in `Job`.

    Returns:
        One for each contestant and seed, in the order they were made.

    Raises:
        ContestError: images or options that don't do; or, after the tables of the others, trainings that failed.
    """
    if options.epochs < 2:
        raise ContestError("--epochs is 2 or more: the first epoch has the cost of a cold start")
    contestants = _installed(options.contestants)
    workers = _cores()
    machine = table.machine(workers)  # before this process makes a load itself
    with tempfile.TemporaryDirectory() as scratch:
        counts = link_images(options.data, Path(scratch), train_images=options.images)
        # All contestants find the files in the operating system's cache, since they have been read here.
        splits = folder.read(Path(scratch), image_size=image_size, channels=3, cache=None)
        job = _job(options, Path(scratch), splits["train"], workers, image_size, body)
        print(_heading(job, counts, options.seeds), machine, "", sep="\n", flush=True)
        runs, failed = [], 0
        for result in run_all(job, contestants, options.seeds, splits["test"]):
            if isinstance(result, Run):
                runs.append(result)
                print(_line(result, counts["train"]), flush=True)
            else:
                failed += 1
                print(result, flush=True)
    if runs:
        print("", table.results(runs, counts["train"]), sep="\n")
    names = {run.contestant for run in runs}
    if "ours" in names and len(names) > 1:
        print("", table.ratios(runs), sep="\n")
    if failed:
        raise ContestError(f"{failed} trainings failed, see above")
    return runs


def _cores() -> int:
    """That this process may use: in a container perhaps not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _installed(contestants: Sequence[str]) -> list[str]:
    missing = [name for name in contestants if not CONTESTANTS[name].is_installed]
    if len(missing) == len(contestants):
        raise ContestError(f"not installed: {', '.join(missing)}")
    if missing:
        print(
            f"Left out, since not installed: {', '.join(missing)}. "
            "To have them: pip install -r tests/benchmarks/requirements-peers.txt\n"
        )
    return [name for name in contestants if name not in missing]


def _job(
    options: argparse.Namespace, images: Path, train: ImageData, workers: int, image_size: int | None, body: str
) -> Job:
    average, deviation = train.mean_std()
    return Job(
        contestant="",
        folder=str(images),
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        workers=workers,
        seed=0,
        precision=options.precision,
        image_size=image_size,
        num_classes=train.num_classes,
        pixels=train.images.shape[-1],
        mean=average,
        std=deviation,
        body=body,
        weights_root=str(helpers.DATA),
    )


def _heading(job: Job, counts: dict[str, int], seeds: Sequence[int]) -> str:
    network = "a CNN (helpers.models.resolution_cnn)"
    if job.body:
        origin = models.backbone(job.body, root=helpers.DATA).origin
        network = f"{job.body} ({origin}), frozen, and a linear head"
    return (
        f"{counts['train']:,} training, {counts['val']:,} validation and {counts['test']:,} test images of "
        f"{job.pixels} px, {job.num_classes} classes; {network}; {job.epochs} epochs, batches of {job.batch_size}, SGD "
        f"with learning rate {job.learning_rate:g} and momentum {MOMENTUM}; seeds {', '.join(map(str, seeds))}"
    )


def _line(run: Run, num_images: int) -> str:
    return (
        f"{run.contestant}, seed {run.seed}: epoch 1 {num_images / run.first_seconds:,.0f} images/s, "
        f"later {num_images / run.later_seconds:,.0f} images/s, {run.accuracy:.1%}"
    )
