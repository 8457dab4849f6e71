"""Which modules of this project a notebook uses, found by reading the import statements, and which libraries."""

import ast
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path

from helpers.report.inputs.sources import CodeCell, digest, normal_form, parse

Imports = list[ast.Import | ast.ImportFrom]


@dataclass
class Used:
    """What code uses, directly and through what it imports.

    Attributes:
        modules: this project's, by their full names, with a hash of what each does.
        libraries: the names under which other packages are imported; Python's own are left out.
    """

    modules: dict[str, str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Module:
    """A module of this project.

    Attributes:
        hash: of what it does.
        tree: its syntax tree, an empty one if Python cannot read it.
        imports: all its import statements, also those inside functions, but not those for type checkers.
        only_imports: whether it has nothing of its own: a package that gathers names of its parts.
        is_package: whether it is the ``__init__.py`` of a folder.
    """

    hash: str
    tree: ast.Module
    imports: Imports
    only_imports: bool
    is_package: bool


def used(cells: Sequence[CodeCell], folders: Sequence[Path]) -> Used:
    """What a notebook's code cells use.

    The unit is the module. A package's ``__init__.py`` that does nothing but import is seen through: of
    ``from helpers import models`` and ``models.arc2(…)`` only the module with ``arc2`` counts, and what that imports.

    Args:
        cells: of the notebook.
        folders: where this project's modules lie, the preferred folder first; all others are libraries.
    """
    search = _Search(folders)
    imports = [found for cell in cells for found in (_imports(cell.tree) if cell.tree else _imports_in(cell.source))]
    # What a cell that Python can't read does with a package is unknown: all of it may be used.
    nodes = chain.from_iterable(cell.nodes for cell in cells) if all(cell.tree for cell in cells) else None
    search.follow(imports, nodes)
    return search.found


def module_at(file: Path | str) -> Module:
    """What there is to know about the module in this file."""
    # Sources are as Python reads them; what isn't UTF-8 is no Python, and hashed all the same.
    with open(file, encoding="utf-8", errors="surrogateescape") as stream:
        return _parsed(stream.read(), os.path.basename(file) == "__init__.py")


@lru_cache(maxsize=1024)
def _parsed(source: str, is_package: bool) -> Module:
    tree = parse(source)
    if tree is None:
        return Module(digest(source), ast.Module([], []), [], False, is_package)
    only_imports = all(isinstance(part, ast.Import | ast.ImportFrom) or _declares(part) for part in tree.body)
    return Module(digest(normal_form(tree, source)), tree, list(_imports(tree)), only_imports, is_package)


class _Search:
    """Follows imports from module to module, each once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.found = Used()
        self._folders = [os.fspath(folder) for folder in folders]
        self._modules: dict[str, Module | None] = {}

    def follow(self, imports: Imports, nodes: Iterable[ast.AST] | None, *, package: str = "") -> None:
        """Takes in all that some code imports.

        Args:
            imports: the code's import statements.
            nodes: of the code's syntax tree, what holds others before these; None if it doesn't tell what is used.
            package: where its relative imports begin.
        """
        packages: dict[str, str] = {}
        for statement in imports:
            base = _absolute(statement, package) if isinstance(statement, ast.ImportFrom) else ""
            for alias in statement.names:
                if alias.name == "*":
                    self._use(base)
                elif not base and not alias.asname:
                    self._use(alias.name)
                else:
                    module, is_module = self._origin(base, alias.name)
                    if nodes is not None and is_module and self._only_imports(module):
                        packages[alias.asname or alias.name] = module
                    else:
                        self._use(module)
        if packages:
            attributes = _attributes(nodes)
            for name, module in packages.items():
                for attribute in attributes[name]:
                    self._use(self._origin(module, attribute)[0] if attribute else module)

    def _origin(self, base: str, name: str) -> tuple[str, bool]:
        """The module where ``base.name`` comes from, and whether it is that module itself."""
        if not base:
            return name, True
        source = self._gathered(base, name)
        if source and source != (base, name):  # as of "from . import name" in a package
            return self._origin(*source)
        submodule = f"{base}.{name}"
        return (submodule, True) if self._module(submodule) else (base, False)

    def _gathered(self, package: str, name: str) -> tuple[str, str] | None:
        """From which module, and as what, a package that only imports has a name."""
        for statement in self._module(package).imports if self._only_imports(package) else ():
            for alias in statement.names if isinstance(statement, ast.ImportFrom) else ():
                if (alias.asname or alias.name) == name:
                    return _absolute(statement, package), alias.name
        return None

    def _use(self, name: str) -> None:
        """Takes in a module with all that it imports, and the packages that it lies in."""
        module = self._module(name)
        if module is None:
            self.found.libraries |= {name.partition(".")[0]} - sys.stdlib_module_names
            return
        if name in self.found.modules:
            return
        self.found.modules[name] = module.hash
        parent = name.rpartition(".")[0]
        nodes = None if module.only_imports else ast.walk(module.tree)
        self.follow(module.imports, nodes, package=name if module.is_package else parent)
        while parent:
            if self._module(parent) and not self._only_imports(parent):
                self._use(parent)
            parent = parent.rpartition(".")[0]

    def _only_imports(self, name: str) -> bool:
        module = self._module(name)
        return module is not None and module.only_imports

    def _module(self, name: str) -> Module | None:
        """The project's module of this name, None for a library's."""
        if name not in self._modules:
            places = [os.path.join(folder, *name.split(".")) for folder in self._folders]
            files = [file for place in places for file in (os.path.join(place, "__init__.py"), f"{place}.py")]
            file = next(filter(os.path.isfile, files), None)
            self._modules[name] = file and module_at(file)
        return self._modules[name]


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
            continue
        # Of all that a statement holds, other statements are only here.
        parts = ("orelse",) if _is_for_type_checkers(node) else ("body", "orelse", "finalbody", "handlers", "cases")
        for part in parts:
            pending += getattr(node, part, [])


def _imports_in(source: str) -> list[ast.stmt]:
    """The import statements on lines of their own in a source that Python can't read."""
    lines = [line.strip() for line in source.splitlines()]
    parsed = [parse(line) for line in lines if line.startswith(("import ", "from "))]
    return [statement for tree in parsed if tree for statement in tree.body]


def _attributes(nodes: Iterable[ast.AST]) -> dict[str, set[str]]:
    """What is taken of each name, as in ``name.attribute``; "" where the name itself is used."""
    found: dict[str, set[str]] = defaultdict(set)
    owners = set()
    for node in nodes:  # an attribute comes before what it is taken of
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found[node.value.id].add(node.attr)
            owners.add(id(node.value))
        elif isinstance(node, ast.Name) and id(node) not in owners:
            found[node.id].add("")
    return found


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    """The module that a ``from … import`` names, in a module of this package."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - statement.level + 1], *filter(None, [statement.module])])


def _declares(statement: ast.stmt) -> bool:
    """Whether it is a docstring, ``__all__``, or for type checkers only."""
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)] == ["__all__"]
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or _is_for_type_checkers(statement)


def _is_for_type_checkers(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    return getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING"
