"""Sweeps: one notebook run at many points of its parameters.

`points` reads and checks what is asked for; `summary` gathers what the points' runs left and is the run of the notebook
``sweep`` over it.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from helpers import ROOT
from helpers.record import csv_text
from helpers.report.document import Failure, private
from helpers.report.index import key_numbers
from helpers.report.parameters import Values, checked, defaults, plan, read_yaml
from helpers.report.workspace import FORCED, QUICK, Refused, Run, Workspace, nearest, read, write

SUMMARY = "sweep"
"""The notebook over a sweep's points, and the name of its reports."""
LONGEST_NAME = 100
"""Characters: suffixes and temporary names must fit into the 255 bytes that file systems allow."""


def points(
    workspace: Workspace,
    notebook: Path,
    *,
    profile: str = QUICK,
    file: Path | None = None,
    assignments: Sequence[tuple[str, str]] = (),
    grid: Sequence[str] = (),
    sweep_file: Path | None = None,
) -> list[Run]:
    """The runs of a sweep over a notebook's parameters: at each point of a grid, or of a file's list.

    A grid is "NAME=VALUES" each, such as "SEED=0..4" or "LEARNING_RATE=1e-3,3e-4": a YAML list without its brackets, in
    which "0..4" stands for 0, 1, 2, 3 and 4. The last parameter changes first. A file is a YAML list of maps, each a
    point with whatever it sets; {} is the notebook as it is. Profile, file and assignments apply below these values.

    Reports lie in one folder, the drawings of each in one of its own. The same values have the same name in every
    sweep; two points that are the same run are refused.
    """
    known = defaults(read(notebook), name=notebook.stem)
    fixed = plan(workspace, [notebook], profile=profile, file=file, assignments=assignments)[0][notebook]
    sets = _of_file(sweep_file, known) if sweep_file else _of_grid(grid, known)
    if twice := {name for own in sets for name in own} & dict(assignments).keys():
        raise Refused(f"{min(twice)} is given in two places, -p and the sweep: write its values in one")
    reports, figures = (
        folder / "sweeps" / notebook.stem for folder in (workspace.reports(profile), workspace.figures(profile))
    )
    runs, seen = [], {}
    for number, varied in enumerate(sets, 1):
        name, parameters = _name(varied), {**fixed, **varied}
        # By their values, named or not: a mean over seeds would count one twice.
        first = seen.setdefault(json.dumps({**known, **parameters}, sort_keys=True), number)
        if first != number:
            said = ", ".join(f"{name} = {value!r}" for name, value in varied.items()) or "the notebook as it is"
            raise Refused(f"points {first} and {number} are the same run: {said}")
        over = f"{SUMMARY}.html"
        runs.append(Run(notebook, parameters, name, reports, figures / name, workspace.root, over, varied))
    return runs


def summary(workspace: Workspace, profile: str, runs: Sequence[Run]) -> Run:
    """The run of the notebook over a sweep's points, whatever state they are in; writes what that notebook reads.

    These are ``points.json``, all that it needs of the points' reports, and for other programs ``sweep.csv``: a line
    for each point, with its parameters, its state, and every number unrounded, shares as shares.
    """
    notebook, folder = runs[0].notebook, runs[0].reports
    known = defaults(read(notebook), name=notebook.stem)
    names = list(dict.fromkeys(name for run in runs for name in run.varied))
    # Also what a point leaves as it is, if another doesn't.
    found = [_result(run, private({name: {**known, **run.parameters}[name] for name in names})) for run in runs]
    fixed = {name: value for name, value in runs[0].parameters.items() if name not in names}
    about = {"notebook": notebook.stem, "profile": profile, "same": private(fixed)}
    text = json.dumps({**about, "numbers": _numbers(found), "points": found}, indent=1, ensure_ascii=False)
    write(folder / "points.json", text)
    write(folder / f"{SUMMARY}.csv", _csv(found))
    place = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    (over,) = workspace.choose([SUMMARY])
    figures = runs[0].figures.with_name(SUMMARY)
    return Run(over, {"RESULTS": place.as_posix()}, SUMMARY, folder, figures, workspace.root, "../../index.html")


def _of_file(path: Path, known: Values) -> list[Values]:
    content = read_yaml(path)
    if not content or not isinstance(content, list) or not all(isinstance(own, dict) for own in content):
        raise Refused(f"{path} must hold a list of points, such as '- {{SEED: 0, EPOCHS: 2}}' on each line")
    return [
        {name: checked(name, value, _default(name, known), where=f"{path}, point {i}") for name, value in own.items()}
        for i, own in enumerate(content, 1)
    ]


def _of_grid(grid: Sequence[str], known: Values) -> list[Values]:
    axes: dict[str, list[Any]] = {}
    for text in grid:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or name in axes:
            raise Refused(f"--sweep takes NAME=VALUES, each once, such as SEED=0..4 or RATE=1e-3,3e-4, not {text!r}")
        axes[name] = _of_text(name, values, _default(name, known))
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _default(name: str, known: Values) -> Any:
    if name not in known:
        raise Refused(f"the notebook has no parameter {name!r}{nearest(name, known)}")
    return known[name]


def _of_text(name: str, text: str, default: Any) -> list[Any]:
    """A parameter's values from a text as it is typed behind --sweep; of numbers "0..4" stands for five."""
    import yaml

    try:
        items = yaml.load(f"[{text}]", yaml.BaseLoader)  # texts as they were typed, for `checked` to read
    except yaml.YAMLError:
        items = []
    if not items:
        why = "a part is empty, or needs quotes, as a text does with any of , : # [ ] { } in it"
        raise Refused(f"--sweep: {text!r} isn't a list of values: {why}")
    values = []
    for item in items:
        ends = re.fullmatch(r"([+-]?\d+)\.\.([+-]?\d+)", str(item)) if not isinstance(default, str) else None
        numbers = range(int(ends[1]), int(ends[2]) + 1) if ends else ()
        values += numbers or [item]  # which `checked` refuses if it was to be a range
    return [checked(name, value, default, where="--sweep") for value in values]


def _name(varied: Values) -> str:
    """A readable file name, such as "LEARNING_RATE=0.001,SEED=0": unique, and the same on every machine and day.

    Texts, lists and maps, which file names cannot say exactly, are followed by a hash of the values, as is what is cut
    after 100 characters.
    """
    if not varied:
        return "as_it_is"
    full = ",".join(f"{name}={value}" for name, value in sorted(varied.items()))
    if len(full) <= LONGEST_NAME and all(value is None or isinstance(value, int | float) for value in varied.values()):
        return full
    readable = re.sub(r"[][{}'\"]", "", private(full)).replace(", ", "+")
    safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", readable)
    digest = hashlib.sha256(json.dumps(varied, sort_keys=True).encode()).hexdigest()[:10]
    return f"{safe[: LONGEST_NAME - len(digest) - 1]}~{digest}"


def _result(run: Run, values: Values) -> dict[str, Any]:
    """What became of a point: its values, its state and why, and of a run that ended well what it gave."""
    pages = (run.file(suffix) for suffix in ("html", "pdf", "ipynb", "json"))
    page = next((page.name for page in pages if page.is_file()), "")
    content, state, why = run.numbers(), "ok", ""
    given = ("title", "stand_in", "provenance", "key_numbers", "numbers")
    if not content.keys() >= {"error", *given}:
        state, why = "not run", "it has not run yet, or did not end"
    elif content["error"]:
        state, why = "FAILED", str(Failure(**content["error"], traceback=""))
    # A run that wrote nothing left the report of an earlier one.
    elif {*run.reasons} - {FORCED} and not run.is_written:
        state, why = "outdated", "its report is of an earlier run, and something has changed since"
    seconds = content["duration_seconds"] if state in ("ok", "FAILED") else None
    told = {"report": run.name, "page": page, "parameters": values, "state": state, "why": why, "seconds": seconds}
    empty = {"title": "", "stand_in": "", "provenance": {}, "key_numbers": [], "numbers": {}}
    return told | ({key: content[key] for key in given} if state == "ok" else empty)


def _numbers(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name, label and unit of each recorded number; the notebook's key ones come first, as "key"."""
    first: dict[str, dict[str, Any]] = {}
    labels: dict[str, set[str]] = {}
    for result in found:
        for name, number in result["numbers"].items():
            first.setdefault(name, number)
            labels.setdefault(name, set()).add(number["label"])
    keys = key_numbers(first, (pattern for result in found for pattern in result["key_numbers"]))
    # A label may speak of a point's own parameters, such as how many epochs there were.
    said = {name: texts.pop() if len(texts) == 1 else name.replace("_", " ") for name, texts in labels.items()}
    names = dict.fromkeys([*keys, *first])
    return [{"name": n, "label": said[n], "unit": first[n]["unit"], "key": n in keys} for n in names]


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
