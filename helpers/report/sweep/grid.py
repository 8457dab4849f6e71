"""The points of a sweep, from the command line and a YAML file, all checked before anything runs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from helpers.report import workspace as plain
from helpers.report.parameters import checked, defaults, plan, read_yaml
from helpers.report.sweep.names import point_name
from helpers.report.sweep.values import BadSweep, values_of
from helpers.report.workspace import QUICK, Task, UnknownName, Workspace, nearest

MOST_POINTS = 10_000

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
        grid: "NAME=VALUES" each, such as "SEED=0..4" or "LEARNING_RATE=1e-3,3e-4" (see `values.values_of`). The last
            one changes first from point to point.
        sweep_file: YAML. A list of maps: each one a point, with whatever parameters it sets; {} is the notebook as it
            is. A map: a grid, from parameters to their values, as a list or as a text that the command line would take.

    Raises:
        BadSweep: for no points or more than 10,000, a parameter that is given twice, two points that are the same run,
            texts and files that cannot be read so.
        UnknownName: for a parameter that the notebook doesn't have.
        BadValue: for a value of another kind than the default's.
        BadFile: for a file that is missing or isn't YAML.
        UnreadableNotebook: as from ``plan``.
    """
    known = defaults(plain.read(notebook), name=notebook.stem)
    fixed = plan(workspace, [notebook], profile=profile, file=file, assignments=assignments).values[notebook]
    axes, sets = _of_command(grid, known, notebook.stem), [{}]
    if sweep_file is not None:
        file_axes, sets = _of_file(sweep_file, known, notebook.stem)
        _refuse_shared(axes, [*file_axes, *(name for own in sets for name in own)], f"--sweep and in {sweep_file}")
        axes = {**file_axes, **axes}
    names = dict.fromkeys([*axes, *(name for own in sets for name in own)])
    _refuse_shared(names, [name for name, _ in assignments], "-p and in the sweep")
    _check_count(math.prod(map(len, axes.values())) * len(sets) if axes or sweep_file else 0)
    made = [
        _point({**own, **dict(zip(axes, values, strict=True))}, fixed)
        for own in sets
        for values in product(*axes.values())
    ]
    _refuse_same_runs(made, known)
    return made


def tasks(workspace: Workspace, profile: str, notebook: Path, points: Sequence[Point]) -> list[Task]:
    """The runs of the points: reports in one folder, each point's drawings in a folder of their own."""
    reports, figures = sweep_folder(workspace, profile, notebook), workspace.figures(profile) / "sweeps" / notebook.stem
    return [
        Task(notebook, point.parameters, point.name, reports, figures / point.name, workspace.root) for point in points
    ]


def sweep_folder(workspace: Workspace, profile: str, notebook: Path) -> Path:
    """The folder of the reports of a notebook's sweeps."""
    return workspace.reports(profile) / "sweeps" / notebook.stem


def _of_command(grid: Sequence[str], known: Mapping[str, Any], notebook: str) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for text in grid:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals:
            raise BadSweep(f"--sweep takes NAME=VALUES, such as SEED=0..4 or LEARNING_RATE=1e-3,3e-4, not {text!r}")
        if name in axes:
            raise BadSweep(f"{name} is given twice in --sweep: write all its values behind one {name}=")
        axes[name] = values_of(name, values, _default(name, known, notebook), where=f"--sweep {name}", most=MOST_POINTS)
    return axes


def _of_file(path: Path, known: Mapping[str, Any], notebook: str) -> tuple[dict[str, list[Any]], list[Values]]:
    """The file's grid, with one empty set of values; or no grid, and its sets of values."""
    content = read_yaml(path)
    maps = content if isinstance(content, list) else [content]
    if not all(isinstance(own, dict) and all(isinstance(name, str) for name in own) for own in maps):
        raise BadSweep(
            f"{path} must hold a list of points, such as '- {{SEED: 0, EPOCHS: 2}}' on each line, "
            "or a map from parameters to lists of values, such as 'SEED: [0, 1, 2]'"
        )
    _check_count(len(content))
    if isinstance(content, dict):
        axes = {name: _axis(name, given, _default(name, known, notebook), path) for name, given in content.items()}
        return axes, [{}]
    return {}, [_own(own, known, notebook, where=f"{path}, point {i}") for i, own in enumerate(content, 1)]


def _own(given: Values, known: Mapping[str, Any], notebook: str, *, where: str) -> Values:
    return {name: checked(name, value, _default(name, known, notebook), where=where) for name, value in given.items()}


def _axis(name: str, given: Any, default: Any, path: Path) -> list[Any]:
    if isinstance(given, str):
        return values_of(name, given, default, where=str(path), most=MOST_POINTS)
    if not isinstance(given, list) or not given:
        raise BadSweep(f"{path}: {name} needs a list of values, such as {name}: [{given!r}]")
    return [checked(name, value, default, where=str(path)) for value in given]


def _default(name: str, known: Mapping[str, Any], notebook: str) -> Any:
    if name not in known:
        raise UnknownName(f"{notebook} has no parameter {name!r}{nearest(name, known)}")
    return known[name]


def _refuse_shared(names: Mapping[str, Any], others: Sequence[str], places: str) -> None:
    shared = next((name for name in others if name in names), None)
    if shared is not None:
        raise BadSweep(f"{shared} is given in {places}: leave it out of one of them")


def _check_count(count: int) -> None:
    if not count:
        raise BadSweep("the sweep has no points: name a parameter and its values, such as --sweep SEED=0..4")
    if count > MOST_POINTS:
        raise BadSweep(f"the sweep has {count:,} points; {MOST_POINTS:,} are the most: leave out some values")


def _point(varied: Values, fixed: Values) -> Point:
    return Point(point_name(varied), {**fixed, **varied}, varied)


def _refuse_same_runs(points: Sequence[Point], known: Mapping[str, Any]) -> None:
    """Two points that run with the same values, whether they name them or not: a mean over seeds would count one twice.

    Raises:
        BadSweep: for such points, or two whose files would have one name.
    """
    seen: dict[str, int] = {}
    for i, point in enumerate(points, 1):
        run = json.dumps({**known, **point.parameters}, sort_keys=True)
        for key in (run, point.name):
            if seen.setdefault(key, i) != i:
                values = ", ".join(f"{name} = {value!r}" for name, value in point.varied.items())
                raise BadSweep(f"points {seen[key]} and {i} are the same run: {values or 'the notebook as it is'}")
