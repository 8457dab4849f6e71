"""What became of a sweep's points, from the files that their runs left."""

import fnmatch
import json
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from helpers.report.document import private
from helpers.report.sweep.grid import Point

OK, FAILED, NOT_RUN, OUTDATED = "ok", "FAILED", "not run", "outdated"
KEPT = ("label", "unit", "value", "std")
"""What is kept of each number."""
_NEUTRAL = {"gap", "epoch", "difference", "change"}
_LARGER = {"accuracy", "precision", "recall", "f1", "auc", "sensitivity", "specificity"}
_SMALLER = {"loss", "error", "errors"}


@dataclass(frozen=True)
class Result:
    """One point's run.

    Attributes:
        point: which one.
        number: its place in the sweep, from 1.
        values: what it ran with, for every parameter that any point sets: also where this one leaves it as it is.
        state: `OK`, `FAILED`, `NOT_RUN`, or `OUTDATED` for a report that other parameters, code or data made.
        error: why the state isn't `OK`, or "".
        seconds: that its run took, or None.
        finished: when it ended, ISO 8601 in UTC, or None.
        numbers: by name, `KEPT` of what `helpers.report.numbers_file.content` says of them; {} unless it is `OK`, since
            what a run computed before it failed is no result of the sweep.
        about: the rest of that content that the summary needs: "title", "stand_in", "provenance", "key_numbers".
        page: the name of its page or of its best other file, or "".
    """

    point: Point
    number: int
    values: dict[str, Any]
    state: str
    error: str = ""
    seconds: float | None = None
    finished: str | None = None
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    page: str = ""


@dataclass(frozen=True)
class Quantity:
    """A number that points recorded.

    Attributes:
        name: its key.
        label: what it is, in words.
        unit: "%" (its values are shares), "s", "" …
        better: "max" or "min", as its name and label tell, or "" where they don't.
        is_key: whether the notebook says that it matters most.
    """

    name: str
    label: str
    unit: str
    better: str
    is_key: bool


def read(
    folder: Path, points: Sequence[Point], known: Mapping[str, Any], *, outdated: Collection[str] = ()
) -> list[Result]:
    """The results of the points, in their order; one file at a time is in memory.

    Args:
        folder: of the points' reports.
        points: all of the sweep.
        known: the notebook's own values of its parameters.
        outdated: names of points whose reports are known to be of other inputs; a failed one is told as that.
    """
    names = list(dict.fromkeys(name for point in points for name in point.varied))
    found = [_result(folder, point, i, names, known) for i, point in enumerate(points, 1)]
    return [_outdated(result) if result.point.name in outdated else result for result in found]


def _outdated(result: Result) -> Result:
    """An earlier run's result that is good no longer."""
    if result.state != OK:
        return result
    why = "its report is of an earlier run, and something has changed since"
    return replace(result, state=OUTDATED, error=why, seconds=None, finished=None, numbers={}, about={})


def _result(folder: Path, point: Point, number: int, names: Sequence[str], known: Mapping[str, Any]) -> Result:
    # As the report says it: without the folders of this machine.
    parameters = private({**known, **point.parameters})
    values = {name: parameters[name] for name in names}
    try:
        content = json.loads((folder / f"{point.name}.json").read_text(encoding="utf-8"))
        ran_with, status = content["parameters"], content["status"]
        numbers = {name: {key: number[key] for key in KEPT} for name, number in content["numbers"].items()}
        about = {key: content[key] for key in ("title", "stand_in", "provenance", "key_numbers")}
    except (OSError, ValueError, KeyError, TypeError):
        return Result(point, number, values, NOT_RUN, "it has not run yet, or did not end")
    page = next((name for name in _files(point) if (folder / name).is_file()), "")
    other = [name for name in parameters if name in ran_with and ran_with[name] != parameters[name]]
    if other:
        had = ", ".join(f"{name} = {ran_with[name]!r}, not {parameters[name]!r}" for name in other)
        return Result(point, number, values, OUTDATED, f"its report is of a run with {had}", page=page)
    seconds, finished = content["duration_seconds"], content["finished"]
    if status != "ok":
        return Result(point, number, values, FAILED, _error(content), seconds, finished, {}, about, page)
    return Result(point, number, values, OK, "", seconds, finished, numbers, about, page)


def _files(point: Point) -> list[str]:
    return [f"{point.name}.{suffix}" for suffix in ("html", "pdf", "ipynb", "json")]


def _error(content: Mapping[str, Any]) -> str:
    error = content["error"] or {"name": "Error", "message": "", "cell": None}
    cell = f" (cell {error['cell']})" if error["cell"] else ""
    return f"{': '.join(filter(None, [error['name'], error['message']]))}{cell}"


def good(results: Sequence[Result]) -> list[Result]:
    """Those that ended well."""
    return [result for result in results if result.state == OK]


def quantities(results: Sequence[Result]) -> list[Quantity]:
    """All numbers that points recorded, the notebook's key numbers first (its first four where it names none).

    Larger is better for accuracies and their like, smaller for losses, errors and seconds; no name tells of others.
    """
    labels: dict[str, set[str]] = {}
    units: dict[str, str] = {}
    keys: dict[str, None] = {}
    for result in good(results):
        for name, number in result.numbers.items():
            labels.setdefault(name, set()).add(number["label"])
            units.setdefault(name, number["unit"])
        keys |= {name: None for key in result.about["key_numbers"] for name in fnmatch.filter(result.numbers, key)}
    keys = keys or dict.fromkeys(list(units)[:4])
    # A label may speak of the point's own parameters, such as how many epochs there were.
    said = {name: next(iter(texts)) if len(texts) == 1 else name.replace("_", " ") for name, texts in labels.items()}
    order = [*keys, *(name for name in units if name not in keys)]
    return [
        Quantity(name, said[name], units[name], _better(name, said[name], units[name]), name in keys) for name in order
    ]


def _better(name: str, label: str, unit: str) -> str:
    words = set(re.findall(r"[a-z0-9]+", f"{name} {label}".lower()))
    if unit == "s":
        return "min"
    if _NEUTRAL & set(name.split("_")):
        return ""
    return "max" if words & _LARGER else "min" if words & _SMALLER else ""


def recorded(result: Result, quantity: Quantity) -> float | None:
    """The number that a point recorded, or None."""
    return result.numbers.get(quantity.name, {}).get("value")


def varying(results: Sequence[Result]) -> list[str]:
    """The parameters of which points have different values."""
    names = results[0].values if results else {}
    return [name for name in names if len({key_of(result.values[name]) for result in results}) > 1]


def is_seed(name: str) -> bool:
    """Whether runs that differ in this parameter alone repeat each other: SEED, SEEDS, SEEDS_BODY and the like."""
    return name.split("_")[0] in ("SEED", "SEEDS")


def key_of(value: Any) -> str:
    """A text that is the same for equal values of a parameter, lists too."""
    return json.dumps(value, sort_keys=True)


def groups(results: Sequence[Result], by: Sequence[str]) -> list[list[Result]]:
    """Results with the same values of the parameters ``by``, in the order of their first ones."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        found.setdefault(tuple(key_of(result.values[name]) for name in by), []).append(result)
    return list(found.values())


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean of at least one value, and the sample standard deviation of at least two."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
