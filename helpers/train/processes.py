"""Trainings that don't depend on each other, in processes of their own."""

import io
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import psutil
import torch
from torch import Tensor

import helpers
from helpers import Interrupted, WorkbookError
from helpers.reprs import progress_bar
from helpers.train import checkpoint
from helpers.train.compute import choose_compute
from helpers.train.fit import STOPPED_BY, ctrl_c
from helpers.train.result import Result, TrainingStopped, show_result

MEMORY = 2 * 2**30
"""Bytes that a training may need."""
SHARED = 2**20
"""Bytes from which on a tensor goes to the processes in a file that they map, and not as a copy each."""
IDLE = 300.0
"""Seconds that a process waits for further trainings, since to start one takes some."""
STOP = "stop"
"""A file that is there once trainings are to end after their batch."""


def side_by_side(trainings: Sequence[partial[Result]]) -> list[Result]:
    """Trains several networks at a time, with the same results, bit for bit, as one after the other.

    Each training computes in a process of its own, with as many threads as it would have here, and as many train at a
    time as there are cores and memory for. With one core, on a GPU or under Windows (where Ctrl-C can't be held back)
    this is ``[training() for training in trainings]``, and the checkpoints are always those of that loop.

    Args:
        trainings: each a ``partial(train.fit, network, ...)``, or of a notebook's own function that trains its first
            argument: a network that no other one trains.

    Returns:
        What each gives back, in the same order. Parameters and buffers of the networks are the trained ones; what
        networks, augmentations and optimizers keep beside these stays in the processes.

    Raises:
        WorkbookError, or what else a training raises: of the first that fails. The others stop as after Ctrl-C.
        TrainingStopped: after Ctrl-C, of the first that was stopped. Further ones have not begun.
        After any error all networks are as they came; what was trained is in the checkpoints.
    """
    networks = [training.args[0] for training in trainings]
    if len({id(network) for network in networks}) < len(networks):
        raise WorkbookError("Each training side by side needs a network of its own, since none waits for another.")
    num_processes = _num_processes(trainings)
    if num_processes < 2:
        return [training() for training in trainings]
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        futures = _run(trainings, num_processes)
        answers = [future.result() for future in futures]  # or the first error
    except TerminatedWorkerError:
        raise WorkbookError(
            "A process that trained was killed, most likely for lack of memory. End other programs, or train one "
            "network at a time (%env LOKY_MAX_CPU_COUNT=1 in a cell above); then run this again, from its checkpoints."
        ) from None
    for warning in [warning for _, _, caught in answers for warning in caught]:
        warnings.warn(warning, stacklevel=2)
    outcomes = [outcome for _, outcome, _ in answers]
    for outcome in outcomes:
        if isinstance(outcome, TrainingStopped):
            raise outcome
    if len(futures) < len(trainings):
        raise Interrupted(f"stopped after {len(futures)} of {len(trainings)} trainings")
    for network, (state, outcome, _) in zip(networks, answers, strict=True):
        network.to(memory_format=torch.channels_last).load_state_dict(state)
        network.eval()
        for part in outcome if isinstance(outcome, tuple) else (outcome,):
            if isinstance(part, Result):
                show_result(part)
    return outcomes


def _num_processes(trainings: Sequence[partial[Result]]) -> int:
    """How many trainings this machine carries at a time; LOKY_MAX_CPU_COUNT limits the cores, as in scikit-learn."""
    computes = [training.keywords.get("compute") or choose_compute() for training in trainings]
    if sys.platform == "win32" or any(compute.device.type != "cpu" for compute in computes):
        return 1
    import joblib  # not above: whoever trains one network does not wait for it

    cores, memory = joblib.cpu_count() // torch.get_num_threads(), psutil.virtual_memory().available // MEMORY
    return min(len(trainings), cores, memory)


def _run(trainings: Sequence[partial[Result]], num_processes: int) -> list[Future]:
    """The futures of all trainings that began, at their end: after Ctrl-C or an error no further one begins."""
    from joblib.externals.loky import get_reusable_executor

    env = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "TQDM_DISABLE": "1"}
    futures: list[Future] = []
    running: set[Future] = set()
    shared: dict[int, tuple[Tensor, Path]] = {}
    about = f"{len(trainings)} trainings, {num_processes} at a time"
    with _folder() as folder, ctrl_c() as is_stopped, progress_bar(total=len(trainings), desc=about) as bar:
        stop = folder / STOP
        with _without_ctrl_c():
            executor = get_reusable_executor(num_processes, timeout=IDLE, env=env)
        try:
            while running or (len(futures) < len(trainings) and not stop.exists()):
                while len(running) < num_processes and len(futures) < len(trainings) and not stop.exists():
                    content = io.BytesIO()
                    _Pickler(content, folder, shared).dump(trainings[len(futures)])
                    with _without_ctrl_c():
                        futures.append(executor.submit(_train, content.getvalue(), folder, checkpoint.STARTED))
                    running.add(futures[-1])
                ended, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                if is_stopped() or any(future.exception() for future in ended):
                    stop.touch()
                bar.update(len(ended))
                bar.refresh()  # the time
        except BaseException:  # the second Ctrl-C, say
            executor.shutdown(kill_workers=True)
            raise
    return futures


@contextmanager
def _folder() -> Iterator[Path]:
    """For what processes share: large tensors, and whether to stop; one that a killed process left is removed."""
    cache = helpers.DATA / "cache"
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    for earlier in cache.glob("trainings-*"):
        if not psutil.pid_exists(int(earlier.name.split("-")[1])):
            shutil.rmtree(earlier, ignore_errors=True)
    place = cache if os.access(cache, os.W_OK) else None  # of data that one may only read, where programs usually do
    with tempfile.TemporaryDirectory(prefix=f"trainings-{os.getpid()}-", dir=place) as folder:
        yield Path(folder)


class _Pickler(cloudpickle.Pickler):
    """Pickles trainings: a notebook's own functions and classes too, and large tensors by the name of a file."""

    def __init__(self, stream: BinaryIO, folder: Path, shared: dict[int, tuple[Tensor, Path]]) -> None:
        super().__init__(stream)
        self._folder, self._shared = folder, shared

    def reducer_override(self, value: Any) -> Any:
        if type(value) is Tensor and value.nbytes >= SHARED and value.is_contiguous() and not value.requires_grad:
            with suppress(OSError):  # no room for a file: each process gets a copy
                if id(value) not in self._shared:
                    file = self._folder / str(len(self._shared))
                    file.write_bytes(value.reshape(-1).view(torch.uint8).numpy())
                    self._shared[id(value)] = value, file
                return _mapped, (str(self._shared[id(value)][1]), value.dtype, value.shape)
        return super().reducer_override(value)


def _mapped(file: str, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    return torch.from_file(file, shared=False, size=shape.numel(), dtype=dtype).view(shape)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Holds Ctrl-C, which a terminal sends to all processes, back here, and for good in those that begin meanwhile."""
    resource_tracker.ensure_running()  # whose own start would let it through again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _train(content: bytes, folder: Path, started: float) -> tuple[dict[str, Tensor], Any, list[Warning]]:
    """In a process: the network's state after a training, what this gives back, and its warnings."""
    choose_compute()
    checkpoint.STARTED = started
    parent = multiprocessing.parent_process().pid  # where it was killed, nobody would ever get what is trained
    STOPPED_BY[:] = [(folder / STOP).exists, lambda: os.getppid() != parent]
    training = cloudpickle.loads(content)
    with warnings.catch_warnings(record=True) as caught:
        try:
            outcome = training()
        except TrainingStopped as stopped:
            outcome = stopped
        if os.getppid() != parent:
            os._exit(1)
    return training.args[0].state_dict(), outcome, [warning.message for warning in caught]
