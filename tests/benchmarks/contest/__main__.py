"""One training in this process: ``python -m tests.benchmarks.contest JOB WEIGHTS STARTED``.

JOB is a `Job` as JSON, WEIGHTS the file that the trained network goes to, STARTED when this process was started, in
seconds since 1970. The last line printed is JSON: what a `Run` says of this process alone.
"""

import importlib
import json
import math
import sys
import time
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.benchmarks.contest.job import Job
from tests.benchmarks.contestants import CONTESTANTS


def main(description: str, weights: str, started: str) -> None:
    job = Job(**json.loads(description))
    contestant = importlib.import_module(f"tests.benchmarks.contestants.{CONTESTANTS[job.contestant].module}")
    network = job.network()
    # The first optimizer makes PyTorch import its compiler. Some libraries have done so by now: let everybody.
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    steps: list[float] = []  # the time at the end of each
    register_optimizer_step_post_hook(lambda *_: steps.append(time.perf_counter()))

    start_seconds, opened = time.time() - float(started), time.perf_counter()
    precision = contestant.train(network, job)

    memory = _peak_memory()
    in_epoch = math.ceil(sum(1 for _ in Path(job.folder, "train").glob("*/*")) / job.batch_size)
    if len(steps) != in_epoch * job.epochs:
        raise RuntimeError(f"{job.contestant} made {len(steps)} steps, not {job.epochs} epochs of {in_epoch}")
    torch.save(network.state_dict(), weights)
    results = {
        "start_seconds": start_seconds,
        "first_seconds": steps[in_epoch - 1] - opened,
        "later_seconds": (steps[-1] - steps[in_epoch - 1]) / (job.epochs - 1),
        "total_seconds": steps[-1] - opened,
        "precision": precision,
        "memory": memory,
    }
    print(json.dumps(results))


def _peak_memory() -> float | None:
    """Not ``resource.getrusage``: that remembers the memory of the process which started this one."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(*sys.argv[1:])
