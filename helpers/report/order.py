"""In which order notebooks run that take something over from each other, such as a trained network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.report.workspace import Refused, UnknownName, Workspace


def after(notebook: Mapping[str, Any]) -> list[str]:
    """The notebooks that this one says it takes something over from: ``workbook.after`` in its metadata.

    Args:
        notebook: nbformat 4.

    Returns:
        Names or numbers, as on the command line.

    Raises:
        Refused: if there is something else than a list of these.
    """
    declared = notebook["metadata"].get("workbook", {}).get("after", [])
    if not isinstance(declared, list) or not all(isinstance(name, str | int) for name in declared):
        raise Refused(
            f'"after" in a notebook\'s metadata must be a list of names, such as ["01_cnn_on_a"]: {declared!r}'
        )
    return [str(name) for name in declared]


def predecessors(declared: Mapping[Path, Sequence[str]], workspace: Workspace) -> dict[Path, list[Path]]:
    """The notebooks that have to run before each; those that aren't to run at all are left out.

    Args:
        declared: what `after` gave for each notebook that is to run.
        workspace: where names are looked up.

    Raises:
        UnknownName: for a name that no notebook has.
    """
    return {
        notebook: [path for name in names for path in _named(name, notebook, workspace) if path in declared]
        for notebook, names in declared.items()
    }


def in_order(notebooks: Sequence[Path], before: Mapping[Path, Sequence[Path]]) -> list[Path]:
    """The notebooks, each behind its predecessors, and otherwise in the order given.

    Args:
        notebooks: that are to run.
        before: what `predecessors` gave.

    Raises:
        Refused: if notebooks wait for each other.
    """
    ordered: list[Path] = []

    def place(notebook: Path, waiting: list[Path]) -> None:
        if notebook in waiting:
            circle = [*waiting[waiting.index(notebook) :], notebook]
            names = " after ".join(path.stem for path in circle)
            raise Refused(f'notebooks wait for each other: {names}; take one "after" out of their metadata')
        if notebook not in ordered:
            for predecessor in before.get(notebook, ()):
                place(predecessor, [*waiting, notebook])
            ordered.append(notebook)

    for notebook in notebooks:
        place(notebook, [])
    return ordered


def _named(name: str, notebook: Path, workspace: Workspace) -> list[Path]:
    try:
        return workspace.choose([name])
    except UnknownName as error:
        raise UnknownName(f"the metadata of {notebook.stem} want it after another notebook, but {error}") from error
