"""Python source as what it does: without comments, layout, docstrings and line numbers."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

EXECUTION_TAGS = {"raises-exception", "skip-execution"}
"""Of a cell's tags those by which nbclient runs it otherwise, or not at all."""

# `ctx` follows from the place of a node; the others say how something was written.
_NOT_DOING = {"ctx", "kind", "type_comment", "type_ignores"}


@dataclass(frozen=True)
class CodeCell:
    """A code cell.

    Attributes:
        number: among the notebook's code cells, from 1 on.
        index: among all its cells, from 0 on.
        is_parameters: whether it is the parameters cell.
        is_injected: whether papermill has put it in.
        does: a normal form of what it does; "" if that is nothing.
        source: as it was written.
        tree: the parsed source; None where that isn't plain Python (IPython's magics).
        nodes: all of the tree, what holds others before these.
    """

    number: int
    index: int
    is_parameters: bool
    is_injected: bool
    does: str
    source: str
    tree: ast.Module | None
    nodes: list[ast.AST]


def digest(*texts: str) -> str:
    """A short hash."""
    hashed = blake2b(digest_size=8)
    for text in texts:
        hashed.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return hashed.hexdigest()


def code_cells(notebook: Mapping[str, Any]) -> list[CodeCell]:
    """A notebook's code cells in order."""
    cells = [(index, cell) for index, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    return [_code_cell(number, index, cell) for number, (index, cell) in enumerate(cells, start=1)]


def _code_cell(number: int, index: int, cell: Mapping[str, Any]) -> CodeCell:
    source, tags = cell["source"], set(cell["metadata"].get("tags", []))
    tree = parse(source)
    words = [_does(source, tree), *sorted(tags & EXECUTION_TAGS)]
    return CodeCell(
        number=number,
        index=index,
        is_parameters="parameters" in tags,
        is_injected="injected-parameters" in tags,
        does=" ".join(words) if words[0] else "",
        source=source,
        tree=tree,
        nodes=list(ast.walk(tree)) if tree else [],
    )


def parse(source: str) -> ast.Module | None:
    """The syntax tree of a cell or module, None if Python cannot read it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\\d" and the like: whoever runs the code hears of it
            return compile(source, "<source>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def normal_form(tree: ast.Module, source: str, *, shows_texts: bool = False) -> str:
    """The same text for sources that differ in comments, layout and docstrings only.

    Python's versions give the same but for rare constructs, such as nested formats in the first releases of 3.12.

    Args:
        tree: of the source.
        source: stands for itself where the tree is too deep to be walked.
        shows_texts: whether a text that stands alone at the top level does something, as at a cell's end.
    """
    parts: list[str] = []
    try:
        for statement in tree.body if shows_texts else _doing(tree.body):
            _collect(statement, parts)
    except RecursionError:
        return source
    return " ".join(parts)


def _does(source: str, tree: ast.Module | None) -> str:
    if tree is None:
        return source.strip()
    # IPython doesn't show the value of a last expression with a semicolon behind it, and the tree doesn't have that.
    return normal_form(tree, source, shows_texts=True) + ";" * (bool(tree.body) and source.rstrip().endswith(";"))


def _collect(node: ast.AST, parts: list[str]) -> None:
    """Appends the words of a node's normal form.

    Fields without a value are left out, since Python's versions differ in which there are.
    """
    parts.append(type(node).__name__)
    parts.append("(")
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or name in _NOT_DOING:
            continue
        if isinstance(value, ast.AST):
            parts.append(name)
            _collect(value, parts)
        elif not isinstance(value, list):
            parts.append(f"{name}={value!r}")
        elif value:
            parts.append(f"{name}[")
            for entry in _doing(value) if name == "body" else value:
                if isinstance(entry, ast.AST):
                    _collect(entry, parts)
                else:
                    parts.append(repr(entry))
            parts.append("]")
    parts.append(")")


def _doing(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements without texts that stand alone: docstrings of functions, classes, modules and constants."""
    return (statement for statement in body if not _is_text(statement))


def _is_text(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)
