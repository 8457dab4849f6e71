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

from helpers.report.workspace import QUICK, Refused, UnreadableNotebook, Workspace, nearest, read

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_KINDS = {
    type(None): "a number or null",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a map",
}


@dataclass(frozen=True)
class Plan:
    """What each notebook runs with: the values that override its own, by path; and what the user should be told."""

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
    """
    known = {notebook: defaults(read(notebook), name=notebook.stem) for notebook in notebooks}
    made = Plan({notebook: {} for notebook in notebooks}, [])

    def put(name: str, value: Any, where: str, chosen: Sequence[Path] = notebooks, *, is_typed: bool = False) -> None:
        takers = [notebook for notebook in chosen if name in known[notebook]]
        others = [notebook.stem for notebook in chosen if notebook not in takers]
        if not takers:
            raise Refused(f"{where}: {_unknown(name, [known[notebook] for notebook in chosen], others)}")
        if others:
            made.notes.append(f"{name} is not a parameter of {', '.join(others)}")
        for notebook in takers:
            default = known[notebook][name]
            given = parse(value, default) if is_typed else value
            made.values[notebook][name] = checked(name, given, default, where=where)

    for notebook in notebooks if profile != QUICK else ():
        path = workspace.profile_file(profile, notebook)
        for name, value in _read_map(path).items():
            put(name, value, str(path), [notebook])
    for name, value in _read_map(file).items() if file else ():
        put(name, value, str(file))
    for name, text in assignments:
        put(name, text, f"-p {name}", is_typed=True)
    return made


def _unknown(name: str, known: Sequence[Mapping[str, Any]], notebooks: Sequence[str]) -> str:
    missing = f"{notebooks[0]} has no" if len(notebooks) == 1 else "none of the chosen notebooks has a"
    names = dict.fromkeys(parameter for parameters in known for parameter in parameters)
    others = nearest(name, names) if names else ": there is no cell tagged 'parameters', so nothing can be set"
    return f"{missing} parameter {name!r}{others}"


def defaults(notebook: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What the notebook's cell tagged ``parameters`` assigns, in its order; {} without such a cell.

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
    except (SyntaxError, TypeError, ValueError) as error:  # the latter for no text, or characters that no source has
        line = f"line {error.lineno} of " if isinstance(error, SyntaxError) else ""
        raise UnreadableNotebook(f"{name}: {line}the parameters cell isn't Python: {error}") from error
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


def parse(text: str, default: Any) -> Any:
    """The value that ``text`` of the command line means for a parameter with this default.

    A text default takes the text as it is. Any other understands None (as --list shows it) and null. Numbers are read
    as Python reads them from text, since YAML takes 010 for 8 and 1:30 for 90 (what is none stays a text, for `checked`
    to refuse); all else is read as YAML.
    """
    if isinstance(default, str):
        return text
    if text.strip() in ("None", "null"):
        return None
    if default is None or type(default) in (int, float):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(text)
        return text
    try:
        return _yaml(text)
    except ValueError as error:
        raise Refused(f"cannot read {text!r}: {error}") from error


def checked(name: str, value: Any, default: Any, *, where: str) -> Any:
    """``value`` if it is of the default's kind; `Refused` otherwise, with ``where`` it came from.

    A whole number does for a float. A number's default also takes None, which stands for "all" or "none of it" in the
    notebooks, and a default of None takes numbers. Of a list's elements the first that isn't None says of what kind all
    are; a list with None in it takes None.
    """
    is_number = default is None or type(default) in (int, float)
    return None if value is None and is_number else _of_kind(name, value, default, where)


def _of_kind(name: str, value: Any, default: Any, where: str) -> Any:
    if isinstance(default, float) and type(value) is int:
        with suppress(OverflowError):
            value = float(value)
    if type(value) not in ((int, float) if default is None else (type(default),)):
        is_exponent = isinstance(value, str) and _EXPONENT.fullmatch(value)
        hint = "; YAML reads 1e-3 as text: write 1.0e-3" if is_exponent else ""
        kind = _KINDS[type(default)]
        raise Refused(f"{where}: {name} must be {kind} (its default is {default!r}), not {value!r}{hint}")
    if isinstance(default, list) and default:
        nothing = (None, "None") if None in default else ()  # YAML reads None, as Python writes it, as a text
        kind = next((known for known in default if known is not None), None)
        each = f"each entry of {name}"
        return [None if entry in nothing else _of_kind(each, entry, kind, where) for entry in value]
    return _jsonable(name, value, where)


def _jsonable(name: str, value: Any, where: str) -> Any:
    """``value`` if JSON gives it back the same: no dates, tuples, infinities or NaN."""
    with suppress(TypeError, ValueError):
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()  # A file name that isn't UTF-8 could not be written into the executed notebook.
        if json.loads(text) == value:
            return value
    raise Refused(f"{where}: {name} = {value!r} isn't a value that JSON can hold")


def read_yaml(path: Path) -> Any:
    """What a YAML file says, None for an empty one; Refused if it is missing or isn't YAML."""
    try:
        return _yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"cannot read the parameters in {path}: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"{path} isn't YAML: {error}") from error


def _read_map(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    content = {} if content is None else content
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise Refused(f"{path} must hold parameters as a map, one a line, such as EPOCHS: 3")
    return content


def _yaml(text: str) -> Any:
    """What ``text`` says as YAML; a ValueError where it says nothing."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, *place: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # a few lines of them stand for gigabytes
                raise ValueError("aliases such as *name aren't allowed here: write the value out")
            return super().compose_node(*place)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            names = [self.construct_object(name, deep=True) for name, _ in node.value]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{twice[0]!r} is there twice")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    # Not all that PyYAML raises is its own: numbers without digits (0x_), dates that don't exist, too deep a nesting.
    except Exception as error:
        raise ValueError(" ".join(str(error).split())) from error
