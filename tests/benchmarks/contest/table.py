"""What the runs of a comparison say, as tables in Markdown."""

import os
import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from statistics import mean, median, stdev

from helpers.train import choose_compute
from tests.benchmarks.contest.runs import Run
from tests.benchmarks.contestants import COMPARISONS, CONTESTANTS


def machine(workers: int) -> str:
    """Processor, threads, versions of what is compared, and how busy other programs keep the machine."""
    packages = [name for name in ("torch", "torchvision", "lightning", "fastai") if find_spec(name)]
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    return (
        f"Machine: {choose_compute('cpu').description}, loaders with {workers} workers each; "
        f"Python {platform.python_version()}, {', '.join(versions)}; {_load()}"
    )


def _load() -> str:
    try:
        return f"load average {os.getloadavg()[0]:.1f} before the start"
    except (AttributeError, OSError):  # Windows
        return "load unknown"


def results(runs: Sequence[Run], num_images: int) -> str:
    """Each contestant's medians over the seeds; of the memory the most, of the accuracy mean and standard deviation.

    Args:
        runs: at least one.
        num_images: training images.
    """
    header = ["", "precision", "start-up, s", "epoch 1, images/s", "later, images/s", "total, s"]
    rows = [[*header, "peak memory, MiB", "test accuracy"]]
    for name in _names(runs):
        own = [run for run in runs if run.contestant == name]
        memory = [run.memory for run in own if run.memory is not None]
        rows.append(
            [
                name,
                own[0].precision,
                f"{median(run.start_seconds for run in own):.1f}",
                f"{median(num_images / run.first_seconds for run in own):,.0f}",
                f"{median(num_images / run.later_seconds for run in own):,.0f}",
                f"{median(run.total_seconds for run in own):,.1f}",
                f"{max(memory):,.0f}" if memory else "unknown",
                _mean_and_deviation([run.accuracy for run in own], "{:.1%}"),
            ]
        )
    return _markdown(rows)


def ratios(runs: Sequence[Run]) -> str:
    """How many times as fast `ours` is as each other contestant: the median over seeds, and from least to most.

    The last row has the smallest of the peers' medians in each column; `COMPARISONS` are no peers.
    """
    quantities: dict[str, Callable[[Run], float]] = {
        "epoch 1": lambda run: run.first_seconds,
        "later epochs": lambda run: run.later_seconds,
        "in all": lambda run: run.total_seconds,
    }
    others = [name for name in _names(runs) if name != "ours"]
    peers = [name for name in others if name not in COMPARISONS]
    rows = [["ours against", *quantities, "memory", "accuracy, points"]]
    for name in others:
        pairs = _pairs(runs, name)
        if pairs:
            times = [_times([value(other) / value(ours) for ours, other in pairs]) for value in quantities.values()]
            memory = [ours.memory / other.memory for ours, other in pairs if ours.memory and other.memory]
            points = [100 * (ours.accuracy - other.accuracy) for ours, other in pairs]
            rows.append([name, *times, _times(memory), _mean_and_deviation(points, "{:+.1f}")])
    if compared := [name for name in peers if _pairs(runs, name)]:
        best = [f"{min(speedup(runs, name, value) for name in compared):.2f}×" for value in quantities.values()]
        rows.append(["the best peer", *best, "", ""])
    return _markdown(rows)


def speedup(runs: Sequence[Run], name: str, seconds: Callable[[Run], float]) -> float:
    """How many times the seconds of `ours` another contestant takes: the median over the seeds that both finished."""
    return median(seconds(other) / seconds(ours) for ours, other in _pairs(runs, name))


def _names(runs: Sequence[Run]) -> list[str]:
    """In the order of `CONTESTANTS`, whoever ran first."""
    return [name for name in CONTESTANTS if any(run.contestant == name for run in runs)]


def _pairs(runs: Sequence[Run], name: str) -> list[tuple[Run, Run]]:
    """The runs of `ours` and of another contestant that have the same seed."""
    ours = {run.seed: run for run in runs if run.contestant == "ours"}
    return [(ours[run.seed], run) for run in runs if run.contestant == name and run.seed in ours]


def _times(values: Sequence[float]) -> str:
    if not values:
        return "unknown"
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{median(values):.2f}×{spread}"


def _mean_and_deviation(values: Sequence[float], form: str) -> str:
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(mean(values))} ± {form.format(stdev(values)).lstrip('+')}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
