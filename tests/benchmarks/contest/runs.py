"""Trainings one after the other, each in a process of its own, so that memory and a cold start are its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import torch

from helpers import ROOT, evaluate
from helpers.data import ImageData
from tests.benchmarks.contest.images import ContestError
from tests.benchmarks.contest.job import Job
from tests.benchmarks.contestants import CONTESTANTS

SAMPLE_SECONDS = 2.0
"""Between two looks at the workers' memory. A look takes 15 ms of a core for each: more often, it would slow them."""


@dataclass(frozen=True)
class Run:
    """What one training took.

    Attributes:
        contestant, seed: which one.
        precision: it computed in.
        start_seconds: from starting the process until the images are opened: imports, and building the network.
        first_seconds: from opening the images to the last step of the first epoch.
        later_seconds: a later epoch and one validation, on average: from the last step of the first epoch to the last
            step of all.
        total_seconds: from opening the images to the last step of all.
        memory: MiB; the peak resident memory of the process, and the peak of what its worker processes have for
            themselves (the pages that they share with it are counted once). None: the system doesn't tell.
        accuracy: share (0 to 1) of the test images.
    """

    contestant: str
    seed: int
    precision: str
    start_seconds: float
    first_seconds: float
    later_seconds: float
    total_seconds: float
    memory: float | None
    accuracy: float


def run_all(
    job: Job, contestants: Sequence[str], seeds: Sequence[int], test: ImageData
) -> Iterator[Run | ContestError]:
    """All contestants with the first seed, all with the next one …; who begins changes from seed to seed."""
    for turn, seed in enumerate(seeds):
        first = turn % len(contestants)
        for name in (*contestants[first:], *contestants[:first]):
            precision = CONTESTANTS[name].precision or job.precision
            try:
                yield run(replace(job, contestant=name, seed=seed, precision=precision), test)
            except ContestError as error:  # the others go on
                yield error


def run(job: Job, test: ImageData) -> Run:
    """One training in a process of its own, with an empty data folder.

    Raises:
        ContestError: the training failed; with the end of what it wrote.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch, "weights.pt")
        command = [sys.executable, "-m", "tests.benchmarks.contest", json.dumps(asdict(job)), str(weights)]
        # With the fault handler a library that crashes says where.
        # The others take all cores as they come.
        environment = {"OMP_NUM_THREADS": str(os.cpu_count()), **os.environ, "PYTHONFAULTHANDLER": "1"}
        environment["WORKBOOK_DATA"] = scratch
        process = subprocess.Popen(
            [*command, str(time.time())],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            output, errors, workers = _wait(process)
        finally:
            process.kill()
        if process.returncode:
            reason = f"exit status {process.returncode}"
            raise ContestError(f"{job.contestant}, seed {job.seed}, failed ({reason}):\n{errors[-2000:]}")
        results = json.loads(output.splitlines()[-1])
        if results["memory"] is not None:
            results["memory"] += workers
        return Run(job.contestant, job.seed, accuracy=_accuracy(job, weights, test), **results)


def _wait(process: subprocess.Popen) -> tuple[str, str, float]:
    """Until a process ends: what it wrote to both streams, and its workers' peak of private memory in MiB."""
    peak = 0.0
    while True:
        try:
            return *process.communicate(timeout=SAMPLE_SECONDS), peak
        except subprocess.TimeoutExpired:
            with suppress(psutil.Error):  # it has just ended
                workers = psutil.Process(process.pid).children(recursive=True)
                peak = max(peak, sum(_private_memory(worker.pid) for worker in workers))


def _private_memory(pid: int) -> float:
    """MiB that no other process has mapped: after a fork, what the process wrote to; 0 if it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@torch.inference_mode()
def _accuracy(job: Job, weights: Path, test: ImageData) -> float:
    """The trained network's, in float32 and eval mode: computed here, alike for all."""
    network = job.network()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    logits = torch.cat([network(images) for images in test.images.split(256)])
    if not torch.isfinite(logits).all():
        raise ContestError(f"{job.contestant}, seed {job.seed}, diverged: take a smaller --learning-rate")
    return evaluate.accuracy(logits, test.labels)
