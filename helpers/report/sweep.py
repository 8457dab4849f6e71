"""Sweeps: one notebook run at many points of its parameters.

`points` reads and checks what is asked for, `tasks` are the runs, and `summary_task` gathers what they left and is the
run of the notebook ``sweep`` over it.
"""

import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from helpers import ROOT
from helpers.record import csv_text
from helpers.report.document import private
from helpers.report.parameters import checked, defaults, parse, plan, read_yaml
from helpers.report.workspace import QUICK, Refused, Task, Workspace, nearest, read, write

SUMMARY = "sweep"
"""The notebook over a sweep's points, and the name of its reports."""
FILES = tuple(f"{SUMMARY}.{suffix}" for suffix in ("html", "pdf", "csv"))
MOST_POINTS = 10_000
LONGEST_NAME = 100
"""Characters: suffixes and temporary names must fit into the 255 bytes that file systems allow."""

Values = dict[str, Any]
"""Parameter -> value."""


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        name: its reports' file names, without suffix; the same values have the same name in every sweep.
        parameters: all that override the notebook's: the profile's, the file's, those of -p, and the point's own.
        varied: the point's own, in the order in which they were given.
    """

    name: str
    parameters: Values
    varied: Values


def points(
    workspace: Workspace,
    notebook: Path,
    *,
    profile: str = QUICK,
    file: Path | None = None,
    assignments: Sequence[tuple[str, str]] = (),
    grid: Sequence[str] = (),
    sweep_file: Path | None = None,
) -> list[Point]:
    """The points of a sweep: each set of values in the file with each combination of the grid's values.

    Args:
        workspace: where the profiles lie.
        notebook: whose parameters vary.
        profile: below the points' own values, as `helpers.report.parameters.plan` has it.
        file: likewise, over the profile.
        assignments: (name, text) of -p, likewise, over the file.
        grid: "NAME=VALUES" each, such as "SEED=0..4" or "LEARNING_RATE=1e-3,3e-4": a YAML list without its brackets,
            in which "0..4" stands for 0, 1, 2, 3 and 4. The last parameter changes first from point to point.
        sweep_file: YAML. A list of maps: each one a point, with whatever parameters it sets; {} is the notebook as it
            is. A map: a grid, from parameters to their values, as a list or as a text that the command line would take.

    Raises:
        Refused: for no points or more than 10,000, a parameter that is given twice or that the notebook doesn't have, a
            value of another kind than the default's, two points that are the same run, texts and files that cannot be
            read so.
    """
    known = defaults(read(notebook), name=notebook.stem)
    fixed = plan(workspace, [notebook], profile=profile, file=file, assignments=assignments).values[notebook]
    axes, sets = _of_file(sweep_file, known, notebook.stem) if sweep_file else ({}, [{}])
    elsewhere = dict.fromkeys([*axes, *(name for own in sets for name in own)], f"in --sweep and in {sweep_file}")
    for text in grid:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals:
            raise Refused(f"--sweep takes NAME=VALUES, such as SEED=0..4 or LEARNING_RATE=1e-3,3e-4, not {text!r}")
        if name in elsewhere:
            raise Refused(f"{name} is given {elsewhere[name]}: write all its values in one place")
        axes[name] = _values(name, values, _default(name, known, notebook.stem), where=f"--sweep {name}")
        elsewhere[name] = "twice in --sweep"
    twice = next((name for name, _ in assignments if name in elsewhere), None)
    if twice is not None:
        raise Refused(f"{twice} is given in -p and in the sweep: leave it out of one of them")
    count = math.prod(map(len, axes.values())) * len(sets) if grid or sweep_file else 0
    if not 0 < count <= MOST_POINTS:
        raise Refused(
            f"a sweep has 1 to {MOST_POINTS:,} points, this one {count:,}: "
            "name parameters and their values, such as --sweep SEED=0..4"
        )
    varied = [{**own, **dict(zip(axes, values, strict=True))} for own in sets for values in product(*axes.values())]
    made = [Point(_name(own), {**fixed, **own}, own) for own in varied]
    _refuse_same_runs(made, known)
    return made


def tasks(workspace: Workspace, profile: str, notebook: Path, points: Sequence[Point]) -> list[Task]:
    """The runs of the points: reports in one folder, each point's drawings in a folder of their own."""
    reports, figures = _folders(workspace, profile, notebook)
    return [
        Task(notebook, point.parameters, point.name, reports, figures / point.name, workspace.root, f"{SUMMARY}.html")
        for point in points
    ]


def summary_task(
    workspace: Workspace, profile: str, notebook: Path, points: Sequence[Point], *, outdated: Collection[str] = ()
) -> Task:
    """The run of the notebook over a sweep's points, whatever state they are in; writes what that notebook reads.

    These are ``points.json``, all that it needs of the points' reports, and for other programs ``sweep.csv``: a line
    for each point, with its parameters, its state, and every number unrounded, shares as shares.

    Args:
        workspace: whose folders.
        profile: of the runs.
        notebook: that ran.
        points: all of the sweep, one at least.
        outdated: names of points that were to run, since something changed, and did not: their reports don't count.
    """
    folder, figures = _folders(workspace, profile, notebook)
    known = defaults(read(notebook), name=notebook.stem)
    names = list(dict.fromkeys(name for point in points for name in point.varied))
    found = []
    for point in points:
        # Also what it leaves as it is, if another point doesn't.
        values = {name: {**known, **point.parameters}[name] for name in names}
        found.append(_result(folder, point, private(values), point.name in outdated))
    fixed = {name: value for name, value in points[0].parameters.items() if name not in names}
    about = {"notebook": notebook.stem, "profile": profile, "same": private(fixed)}
    text = json.dumps({**about, "numbers": _numbers(found), "points": found}, indent=1, ensure_ascii=False)
    write(folder / "points.json", text)
    write(folder / f"{SUMMARY}.csv", _csv(found))
    place = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    # The hash tells one state of the points from another: the notebook runs again when it is another one.
    parameters = {"RESULTS": place.as_posix(), "CONTENT": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}
    over = workspace.choose([SUMMARY])[0]
    return Task(over, parameters, SUMMARY, folder, figures / SUMMARY, workspace.root, "../../index.html")


def _folders(workspace: Workspace, profile: str, notebook: Path) -> tuple[Path, Path]:
    """Of a sweep's reports and of its drawings."""
    place = Path("sweeps", notebook.stem)
    return workspace.reports(profile) / place, workspace.figures(profile) / place


def _of_file(path: Path, known: Values, notebook: str) -> tuple[dict[str, list[Any]], list[Values]]:
    """The file's grid, with one empty set of values; or no grid, and its sets of values."""
    content = read_yaml(path)
    maps = content if isinstance(content, list) else [content]
    if not all(isinstance(own, dict) and all(isinstance(name, str) for name in own) for own in maps):
        raise Refused(
            f"{path} must hold a list of points, such as '- {{SEED: 0, EPOCHS: 2}}' on each line, "
            "or a map from parameters to lists of values, such as 'SEED: [0, 1, 2]'"
        )
    default = {name: _default(name, known, notebook) for own in maps for name in own}
    if isinstance(content, dict):
        axes = {name: _values(name, given, default[name], where=str(path)) for name, given in content.items()}
        return axes, [{}] if axes else []
    sets = [
        {name: checked(name, value, default[name], where=f"{path}, point {i}") for name, value in own.items()}
        for i, own in enumerate(content, 1)
    ]
    return {}, sets


def _default(name: str, known: Values, notebook: str) -> Any:
    if name not in known:
        raise Refused(f"{notebook} has no parameter {name!r}{nearest(name, known)}")
    return known[name]


def _values(name: str, given: Any, default: Any, *, where: str) -> list[Any]:
    """A parameter's values, from a list or from a text as it is typed behind --sweep."""
    values = _of_text(given, default, where) if isinstance(given, str) else given
    if not isinstance(values, list) or not values:
        raise Refused(f"{where}: {name} needs values, such as {name}=1,2 or, in a file, {name}: [1, 2]")
    return [checked(name, value, default, where=where) for value in values]


def _of_text(text: str, default: Any, where: str) -> list[Any]:
    import yaml

    is_number = default is None or type(default) in (int, float)
    # Numbers and texts as they were typed: YAML would take 010 for 8, and no for false.
    loader = yaml.BaseLoader if is_number or isinstance(default, str) else yaml.SafeLoader
    try:
        items = yaml.load(f"[{text}]", loader)
    except (yaml.YAMLError, ValueError) as error:
        why = "a part is empty, or needs quotes, as a text does with any of , : # [ ] { } in it"
        raise Refused(f"{where}: {text!r} isn't a list of values: {why}") from error
    if not is_number:
        return items
    texts = [each for item in items for each in (_range(item, where) if ".." in item else [item])]
    return [parse(each, default) if isinstance(each, str) else each for each in texts]


def _range(text: str, where: str) -> list[str]:
    """The whole numbers from one to another."""
    ends = re.fullmatch(r"([+-]?\d+)\.\.([+-]?\d+)", text)
    first, last = map(int, ends.groups()) if ends else (0, -1)
    if not first <= last < first + MOST_POINTS:
        raise Refused(f"{where}: {text!r} isn't a range of 1 to {MOST_POINTS:,} whole numbers, such as 0..4")
    return [str(number) for number in range(first, last + 1)]


def _refuse_same_runs(points: Sequence[Point], known: Values) -> None:
    """Refuses two points that run with the same values, named or not: a mean over seeds would count one twice."""
    seen: dict[str, int] = {}
    for i, point in enumerate(points, 1):
        run = json.dumps({**known, **point.parameters}, sort_keys=True)
        for key in (run, point.name):
            if seen.setdefault(key, i) != i:
                values = ", ".join(f"{name} = {value!r}" for name, value in point.varied.items())
                raise Refused(f"points {seen[key]} and {i} are the same run: {values or 'the notebook as it is'}")


def _name(varied: Values) -> str:
    """A readable file name, such as "LEARNING_RATE=0.001,SEED=0": unique, and the same on every machine and day.

    What file names cannot say exactly (blanks, slashes, letters beyond ASCII, capitals, which some file systems don't
    tell apart from small ones, or more than 100 characters) becomes hyphens or is cut; a hash of the values follows.
    """
    if not varied:
        return "as_it_is"
    full = ",".join(f"{name}={_readable(value)}" for name, value in sorted(varied.items()))
    safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", private(full))
    if safe == full and len(safe) <= LONGEST_NAME and all(map(_is_plain, varied.values())):
        return safe
    digest = hashlib.sha256(json.dumps(varied, sort_keys=True).encode()).hexdigest()[:10]
    return f"{safe[: LONGEST_NAME - len(digest) - 1]}~{digest}"


def _readable(value: Any) -> str:
    return "+".join(map(_readable, value)) if isinstance(value, list) else str(value)


def _is_plain(value: Any) -> bool:
    """Whether `_readable` says exactly what the value is, to those who know the parameter's kind."""
    if isinstance(value, list):
        return bool(value) and all(_is_plain(entry) and not isinstance(entry, list) for entry in value)
    return re.fullmatch(r"[a-z0-9._-]+", value) is not None if isinstance(value, str) else not isinstance(value, dict)


def _result(folder: Path, point: Point, values: Values, is_outdated: bool) -> dict[str, Any]:
    """What became of a point: its values, its state and why, and of a run that ended well what it gave."""
    pages = (f"{point.name}.{suffix}" for suffix in ("html", "pdf", "ipynb", "json"))
    page = next((name for name in pages if (folder / name).is_file()), "")
    result = {"report": point.name, "page": page, "parameters": values, "state": "not run", "seconds": None}
    result |= {
        "why": "it has not run yet, or did not end",
        "title": "",
        "stand_in": "",
        "provenance": {},
        "numbers": {},
    }
    try:
        content = json.loads((folder / f"{point.name}.json").read_text(encoding="utf-8"))
        error, seconds = content["error"], content["duration_seconds"]
        given = {key: content[key] for key in ("title", "stand_in", "provenance", "key_numbers", "numbers")}
    except (OSError, ValueError, KeyError, TypeError):
        return result
    if error:
        cell = f" (cell {error['cell']})" if error["cell"] else ""
        why = f"{': '.join(filter(None, [error['name'], error['message']]))}{cell}"
        return {**result, "state": "FAILED", "why": why, "seconds": seconds}
    if is_outdated:
        why = "its report is of an earlier run, and something has changed since"
        return {**result, "state": "outdated", "why": why}
    return {**result, **given, "state": "ok", "why": "", "seconds": seconds}


def _numbers(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name, label and unit of each recorded number; the notebook's key ones, or its first four, come first as "key"."""
    labels: dict[str, set[str]] = {}
    units: dict[str, str] = {}
    keys: dict[str, None] = {}
    for result in found:
        for name, number in result["numbers"].items():
            labels.setdefault(name, set()).add(number["label"])
            units.setdefault(name, number["unit"])
        patterns = result.get("key_numbers", ())
        keys |= {name: None for pattern in patterns for name in fnmatch.filter(result["numbers"], pattern)}
    keys = keys or dict.fromkeys(list(units)[:4])
    # A label may speak of a point's own parameters, such as how many epochs there were.
    said = {name: texts.pop() if len(texts) == 1 else name.replace("_", " ") for name, texts in labels.items()}
    return [{"name": n, "label": said[n], "unit": units[n], "key": n in keys} for n in {**keys, **units}]


def _csv(found: Sequence[dict[str, Any]]) -> str:
    rows = []
    for i, result in enumerate(found, 1):
        row = {"point": i, "report": result["report"], **{n: _cell(v) for n, v in result["parameters"].items()}}
        row |= {"run_state": result["state"], "run_error": result["why"], "run_seconds": result["seconds"]}
        for name, number in result["numbers"].items():
            row |= {name: number["value"]} | ({} if number["std"] is None else {f"{name} (std)": number["std"]})
        rows.append(row)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return csv_text([columns, *([row.get(column) for column in columns] for row in rows)])


def _cell(value: Any) -> Any:
    """A number as it is, everything else as text: None is a value too."""
    return value if type(value) in (int, float, str) else repr(value)
