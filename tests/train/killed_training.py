"""Run by `test_killed.py`: trains in child processes and kills them with SIGKILL, at random moments and while writing.

Prints JSON: what became of each child, and the results of the last one, which may live.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from helpers import files, models, train
from helpers.data import ImageData, Source
from helpers.train.checkpoint import hash_tensors

RANDOM_KILLS = 14
WRITING_KILLS = [("open", 1), ("write", 1), ("write", 2), ("fsync", 1), ("replace", 1), ("replace", 2)]


def images(seed: int, per_class: int) -> ImageData:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (4 * per_class, 3, 12, 12), generator=generator, dtype=torch.uint8)
    source = Source("random", "Random pixels", "made by a test")
    return ImageData(pixels, torch.arange(4).repeat(per_class), tuple("abcd"), "train", source)


def results(folder: Path) -> list:
    """Two trainings with all that is random: order, augmentation, dropout, initial weights."""
    collected = []
    for seed in (0, 1):
        network = make_network(seed)
        result = train.fit(
            network,
            images(1, 24),
            images(2, 8),
            epochs=15,
            batch_size=16,
            augment=train.RandomAffine(degrees=20, zoom=(0.8, 1.2)),
            seed=seed,
            compute=train.choose_compute("cpu", "float32"),
            checkpoint=folder,
            checkpoint_every=2,
        )
        history = result.history.drop(columns="seconds").map(float.hex).to_dict("list")
        collected.append([history, result.best_epoch, hash_tensors(*network.state_dict().values())])
    return collected


def make_network(seed: int) -> torch.nn.Sequential:
    with models.seeded(seed):
        return torch.nn.Sequential(
            models.Normalize([0.5] * 3, [0.25] * 3),
            torch.nn.Conv2d(3, 8, 3),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            models.Dropout(0.3),
            torch.nn.Flatten(),
            torch.nn.Linear(800, 4),
        )


def die_when_writing(call: str, count: int) -> None:
    """Has this process killed in the middle of its count-th checkpoint."""
    calls = {"left": count}

    def dying(original):
        def function(*arguments, **options):
            calls["left"] -= 1
            if calls["left"] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return function

    if call == "open":
        files.open = dying(open)
    elif call == "write":
        files.open = lambda *arguments: HalfWriting(dying, open(*arguments))  # noqa: SIM115 (it closes the stream)
    else:
        setattr(files.os, call, dying(getattr(os, call)))


class HalfWriting:
    """A stream that writes half of what it is given before it asks whether it should die."""

    def __init__(self, dying, stream) -> None:
        self.stream, self.rest = stream, dying(stream.write)

    def write(self, content) -> None:
        self.stream.write(content[: len(content) // 2])
        self.stream.flush()
        self.rest(content[len(content) // 2 :])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def __getattr__(self, name):
        return getattr(self.stream, name)


def start(folder: Path, output: Path, dying: tuple[str, int] | None = None) -> int:
    process = os.fork()
    if process:
        return process
    try:
        if dying:
            die_when_writing(*dying)
        output.write_text(json.dumps(results(folder)))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(scratch: Path) -> None:
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # imports for seconds, which is no moment of a training
    quiet = scratch / "quiet.json"
    started = time.monotonic()
    statuses = [status(start(scratch / "quiet", quiet))]
    duration = time.monotonic() - started

    folder, output = scratch / "killed", scratch / "killed.json"
    moments = random.Random(0)
    kills = [*WRITING_KILLS, *[None] * RANDOM_KILLS]
    moments.shuffle(kills)
    for dying in kills:
        process = start(folder, output, dying)
        if dying is None:
            time.sleep(moments.uniform(0, duration / 5))
            os.kill(process, signal.SIGKILL)
        statuses.append(status(process))
    statuses.append(status(start(folder, output)))
    answer = {"statuses": statuses, "names": sorted(path.name for path in folder.iterdir())}
    answer |= {"quiet": json.loads(quiet.read_text()), "killed": json.loads(output.read_text())}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
