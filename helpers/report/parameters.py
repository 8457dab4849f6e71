"""A run's parameters: the notebook's own defaults, overridden by its profile, then a file, then the command line.

All is checked before anything runs, since papermill lets an unknown name pass with a warning and a wrong kind of value
fail hours later.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.report.plain import read
from helpers.report.workspace import QUICK, Refused, UnknownName, UnreadableNotebook, Workspace, nearest

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "a map"}


class BadValue(Refused):
    """A parameter's value of the wrong kind."""


class BadFile(Refused):
    """A file of parameters that is missing or isn't a YAML map."""


@dataclass(frozen=True)
class Plan:
    """What each notebook runs with.

    Attributes:
        values: notebook's path -> {parameter: value}: those that differ from "as the notebook has it".
        notes: what the user should know before the run, such as a parameter that only some notebooks have.
    """

    values: dict[Path, dict[str, Any]]
    notes: list[str]


def plan(
    workspace: Workspace,
    notebooks: Sequence[Path],
    *,
    profile: str = QUICK,
    file: Path | None = None,
    assignments: Sequence[tuple[str, str]] = (),
) -> Plan:
    """The parameters of each notebook's run.

    Args:
        workspace: where the profiles lie.
        notebooks: the chosen ones.
        profile: ``notebooks/profiles/<profile>/<notebook>.yaml`` applies, if it isn't quick.
        file: a YAML file for all chosen notebooks, over the profile.
        assignments: (name, text) of the command line, over everything.

    Raises:
        UnreadableNotebook: if a notebook's parameters cell isn't literals assigned to upper-case names.
        UnknownName: for a name that no chosen notebook has (in a profile: that its notebook does not have).
        BadValue: for a value of another kind than the default's.
        BadFile: for a YAML file that is missing or unreadable.
    """
    known = {notebook: defaults(read(notebook), name=notebook.stem) for notebook in notebooks}
    values = {notebook: _of_profile(workspace, profile, notebook, known[notebook]) for notebook in notebooks}
    notes: list[str] = []
    for name, value in (_read_yaml(file) if file else {}).items():
        for notebook in _takers(name, known, notes):
            values[notebook][name] = checked(name, value, known[notebook][name], where=str(file))
    for name, text in assignments:
        for notebook in _takers(name, known, notes):
            default = known[notebook][name]
            values[notebook][name] = checked(name, parse(text, default), default, where=f"-p {name}")
    return Plan(values, notes)


def defaults(notebook: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What the notebook's cell tagged ``parameters`` assigns, in its order; {} without such a cell.

    Args:
        notebook: nbformat 4.
        name: the notebook's, for messages.

    Raises:
        UnreadableNotebook: if there are two such cells, or one does more than assign literals to upper-case names.
    """
    try:
        sources = [cell["source"] for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    except (AttributeError, KeyError, TypeError) as error:  # nbformat only warns of cells not as they should be.
        raise UnreadableNotebook(f"{name}: not every cell is as Jupyter writes it: {error}") from error
    if len(sources) > 1:
        raise UnreadableNotebook(f"{name}: {len(sources)} cells are tagged 'parameters'; papermill knows one only")
    if not sources:
        return {}
    try:
        statements = ast.parse(sources[0]).body
    except SyntaxError as error:
        raise UnreadableNotebook(
            f"{name}: line {error.lineno} of the parameters cell isn't Python: {error.msg}"
        ) from error
    except (TypeError, ValueError) as error:  # No text, or one with a character that no source may hold.
        raise UnreadableNotebook(f"{name}: the parameters cell isn't Python: {error}") from error
    return dict(_assignment(statement, name) for statement in statements)


def parse(text: str, default: Any) -> Any:
    """The value that ``text`` of the command line means for a parameter with this default.

    A text default takes the text as it is. Any other understands None (as --list shows it) and null. Numbers are read
    as Python reads them from text, since YAML takes 010 for 8 and 1:30 for 90; all else is read as YAML.

    Args:
        text: as it was typed.
        default: the parameters cell's value.

    Returns:
        The value; a text that is no number stays one for a number's default, for `checked` to refuse.

    Raises:
        BadValue: if the text isn't YAML.
    """
    if isinstance(default, str):
        return text
    if text.strip() in ("None", "null"):
        return None
    if default is None or type(default) in (int, float):
        return _number_or_text(text)
    try:
        return _yaml(text)
    except ValueError as error:
        raise BadValue(f"cannot read {text!r}: {error}") from error


def checked(name: str, value: Any, default: Any, *, where: str) -> Any:
    """``value`` if it is of the default's kind.

    A whole number does for a float. A number's default also takes None, which stands for "all" or "none of it" in the
    notebooks, and a default of None takes numbers.

    Args:
        name: the parameter's.
        value: what is asked for.
        default: the parameters cell's value. The first element of a list that isn't None says of what
            kind all its elements are; a list with None in it takes None.
        where: the value's origin, for messages.

    Raises:
        BadValue: if it is of another kind, or JSON has no such value.
    """
    if value is None and type(default) in (int, float):
        return None
    return _of_kind(name, value, default, where)


def _of_kind(name: str, value: Any, default: Any, where: str) -> Any:
    if default is None:
        if value is not None and type(value) not in (int, float):
            raise BadValue(f"{where}: {name} must be a number or null (its default is None), not {value!r}")
        return _jsonable(name, value, where)
    if isinstance(default, float) and type(value) is int:
        with suppress(OverflowError):
            return float(value)
    if type(value) is not type(default):
        hint = "; YAML reads 1e-3 as text: write 1.0e-3" if _is_exponent(value) else ""
        kind = _KINDS[type(default)]
        raise BadValue(f"{where}: {name} must be {kind} (as its default, {default!r}), not {value!r}{hint}")
    if isinstance(default, list) and default:
        return [_entry_of_kind(name, entry, default, where) for entry in value]
    return _jsonable(name, value, where)


def _entry_of_kind(name: str, entry: Any, default: list[Any], where: str) -> Any:
    # YAML reads None, as Python writes it, as a text.
    if None in default and entry in (None, "None"):
        return None
    kind = next((known for known in default if known is not None), None)
    return _of_kind(f"each entry of {name}", entry, kind, where)


def _number_or_text(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _assignment(statement: ast.stmt, notebook: str) -> tuple[str, Any]:
    rule = "its parameters cell may only assign literals to upper-case names, one a line, such as EPOCHS = 3"
    place = f"{notebook}: line {statement.lineno} of the parameters cell: {rule}"
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise UnreadableNotebook(place)
    target = statement.targets[0]
    if not isinstance(target, ast.Name) or not target.id.isupper():
        raise UnreadableNotebook(place)
    try:
        return target.id, _jsonable(target.id, ast.literal_eval(statement.value), place)
    except (ValueError, TypeError, BadValue) as error:
        raise UnreadableNotebook(f"{place}; {target.id}'s value isn't a literal that JSON can hold") from error


def _of_profile(workspace: Workspace, profile: str, notebook: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    if profile == QUICK:
        return {}
    file = workspace.profile_file(profile, notebook)
    given = _read_yaml(file)
    for name in given:
        if name not in known:
            raise UnknownName(f"{file}: {notebook.stem} has no parameter {name!r}{_nearest_parameter(name, known)}")
    return {name: checked(name, value, known[name], where=str(file)) for name, value in given.items()}


def _takers(name: str, known: Mapping[Path, Mapping[str, Any]], notes: list[str]) -> list[Path]:
    """The notebooks that have the parameter; a note names the others, if any."""
    takers = [notebook for notebook, parameters in known.items() if name in parameters]
    if not takers:
        everywhere = dict.fromkeys(parameter for parameters in known.values() for parameter in parameters)
        missing = f"{next(iter(known)).stem} has no" if len(known) == 1 else "none of the chosen notebooks has a"
        raise UnknownName(f"{missing} parameter {name!r}{_nearest_parameter(name, everywhere)}")
    others = [notebook.stem for notebook in known if notebook not in takers]
    if others:
        notes.append(f"{name} is not a parameter of {', '.join(others)}")
    return takers


def _nearest_parameter(name: str, known: Mapping[str, Any]) -> str:
    return nearest(name, known) if known else ": there is no cell tagged 'parameters', so nothing can be set"


def read_yaml(path: Path) -> Any:
    """What a YAML file says, None for an empty one.

    Raises:
        BadFile: if it is missing or isn't YAML.
    """
    try:
        return _yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"cannot read the parameters in {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(f"{path} isn't YAML: {error}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    content = {} if content is None else content
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise BadFile(f"{path} must hold parameters as a map, one a line, such as EPOCHS: 3")
    return content


def _yaml(text: str) -> Any:
    """What ``text`` says as YAML; a ValueError where it says nothing."""
    import yaml

    try:
        return yaml.safe_load(text)
    # Not all that PyYAML raises is its own: numbers without digits (0x_), dates that don't exist, too deep a nesting.
    except Exception as error:
        raise ValueError(_on_one_line(error)) from error


def _jsonable(name: str, value: Any, where: str) -> Any:
    """``value`` if JSON gives it back the same: no dates, tuples, infinities or NaN."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()  # A file name that isn't UTF-8 could not be written into the executed notebook.
        if json.loads(text) == value:
            return value
    except (TypeError, ValueError):
        pass
    raise BadValue(f"{where}: {name} = {value!r} isn't a value that JSON can hold")


def _is_exponent(value: Any) -> bool:
    return isinstance(value, str) and _EXPONENT.fullmatch(value) is not None


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
