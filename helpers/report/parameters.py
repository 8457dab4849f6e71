"""A run's parameters: the notebook's own defaults, overridden by its profile, then a file, then the command line.

All is checked before anything runs, since papermill lets an unknown name pass with a warning and a wrong kind of value
fail hours later.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers.report.workspace import QUICK, Refused, UnreadableNotebook, Workspace, nearest, read

Values = dict[str, Any]
"""Parameter -> value."""
_KINDS = {
    type(None): "a number or null",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a map",
}


def plan(
    workspace: Workspace,
    notebooks: Sequence[Path],
    *,
    profile: str = QUICK,
    file: Path | None = None,
    assignments: Sequence[tuple[str, str]] = (),
) -> tuple[dict[Path, Values], list[str]]:
    """The parameters of each notebook's run.

    Over its own defaults counts the profile, over that the YAML file for all notebooks, over everything the command
    line's assignments, (name, text). Returns the values that override each notebook's own, and notes: which names not
    all of them take.
    """
    known = {notebook: defaults(read(notebook), name=notebook.stem) for notebook in notebooks}
    given: list[tuple[str, Sequence[Path], Values]] = []  # where it is given, to whom, and what
    if profile != QUICK:
        profiles = {notebook: workspace.profile_file(profile, notebook) for notebook in notebooks}
        given += [(str(path), [notebook], _read_map(path)) for notebook, path in profiles.items()]
    if file:
        given.append((str(file), notebooks, _read_map(file)))
    given += [(f"-p {name}", notebooks, {name: text}) for name, text in assignments]
    values: dict[Path, Values] = {notebook: {} for notebook in notebooks}
    notes = []
    for where, chosen, pairs in given:
        for name, value in pairs.items():
            takers = [notebook for notebook in chosen if name in known[notebook]]
            others = ", ".join(notebook.stem for notebook in chosen if notebook not in takers)
            if not takers:
                names = dict.fromkeys(parameter for notebook in chosen for parameter in known[notebook])
                raise Refused(f"{where}: there is no parameter {name!r} in {others}{nearest(name, names)}")
            if others:
                notes.append(f"{name} is not a parameter of {others}")
            for notebook in takers:
                values[notebook][name] = checked(name, value, known[notebook][name], where=where)
    return values, notes


def defaults(notebook: Mapping[str, Any], *, name: str) -> Values:
    """What the notebook's cell tagged ``parameters`` assigns, in its order; {} without such a cell."""
    sources = [cell["source"] for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    if len(sources) > 1:
        raise UnreadableNotebook(f"{name}: {len(sources)} cells are tagged 'parameters'; papermill knows one only")
    try:
        statements = ast.parse("\n".join(sources)).body
    except SyntaxError as error:
        raise UnreadableNotebook(f"{name}: line {error.lineno} of the parameters cell isn't Python: {error}") from error
    return dict(_assignment(statement, name) for statement in statements)


def _assignment(statement: ast.stmt, notebook: str) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) if name.isupper():
            with suppress(ValueError, TypeError, Refused):
                return name, _jsonable(name, ast.literal_eval(statement.value), "")
    raise UnreadableNotebook(
        f"{notebook}: line {statement.lineno} of the parameters cell: it may only assign literals that JSON can hold "
        "to upper-case names, one a line, such as EPOCHS = 3"
    )


def checked(name: str, given: Any, default: Any, *, where: str) -> Any:
    """``given`` as a value of the default's kind; `Refused` otherwise, with ``where`` it came from.

    A text is read, unless the default is one: numbers as Python has them, all else as YAML. A whole number does for a
    float. A number's default also takes None, which stands for "all" or "none of it" in the notebooks, and a default of
    None takes numbers. Of a list's elements the first that isn't None says of what kind all are; a list with None in it
    takes None.
    """
    is_number, value = default is None or type(default) in (int, float), given
    if isinstance(given, str) and not isinstance(default, str):
        value = _number(given) if is_number else _yaml(given, where)
    if value is None and is_number:
        return None
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) not in ((int, float) if default is None else (type(default),)):
        kind = _KINDS[type(default)]
        raise Refused(f"{where}: {name} must be {kind} (its default is {default!r}), not {given!r}")
    if isinstance(default, list) and default:
        nothing = (None, "None", "null") if None in default else ()
        kind = next((known for known in default if known is not None), None)
        each = f"each entry of {name}"
        return [None if entry in nothing else checked(each, entry, kind, where=where) for entry in value]
    return _jsonable(name, value, where)


def _number(text: str) -> Any:
    """YAML would take 010 for 8, 1:30 for 90 and 1e-3 for a text. What is no number stays a text, to be refused."""
    if text.strip() in ("None", "null"):
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _jsonable(name: str, value: Any, where: str) -> Any:
    """``value`` if JSON gives it back the same: no dates, tuples, infinities or NaN."""
    with suppress(TypeError, ValueError):
        if json.loads(json.dumps(value, allow_nan=False)) == value:
            return value
    raise Refused(f"{where}: {name} = {value!r} isn't a value that JSON can hold")


def read_yaml(path: Path) -> Any:
    """What a YAML file says, None for an empty one; Refused if it is missing or isn't YAML."""
    try:
        return _yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{path} isn't YAML: {error}") from error


def _read_map(path: Path) -> Values:
    content = read_yaml(path)
    content = {} if content is None else content
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise Refused(f"{path} must hold parameters as a map, one a line, such as EPOCHS: 3")
    return content


def _yaml(text: str, where: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            names = [name.value for name, _ in node.value]
            if twice := [name for name in names if names.count(name) > 1]:
                raise yaml.YAMLError(f"{twice[0]!r} is there twice")  # YAML itself would take the last one
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise Refused(f"{where} isn't YAML: {' '.join(str(error).split())}") from error
