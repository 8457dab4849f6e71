"""What code computes, as a hash: so that a checkpoint of one network is never taken for that of another.

Read is what Python runs, not how it was written: comments, layout and line numbers make no difference. What an
installed library holds counts by its name and the library's version; a notebook's own functions and classes by their
code, with all that this closes over, calls or refers to by name; any other object by its class and what pickle takes.
"""

import builtins
import copyreg
import dis
import functools
import hashlib
import importlib
import itertools
import random
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLUMBING = ("helpers.data", "helpers.files", "helpers.storage")
"""Parts of the workbook that bring numbers to a training, which are hashed themselves, and compute none in it."""
_PLAIN = {type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.memory_format}
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
_PARTS: dict[type, str] = {
    types.CodeType: "co_argcount co_posonlyargcount co_kwonlyargcount co_flags co_names co_varnames co_cellvars "
    "co_freevars co_code co_exceptiontable co_consts",
    types.FunctionType: "__code__ __defaults__ __kwdefaults__ __dict__",
    types.MethodType: "__self__ __func__",
    staticmethod: "__func__",
    classmethod: "__func__",
    property: "fget fset fdel",
    functools.cached_property: "func",
    functools._lru_cache_wrapper: "__wrapped__",
}
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_DEREF")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_BOOKKEEPING = {  # of a class: what changes with a line number, as it is used (copied, say), or says nothing
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"),
    *("__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__conditional_annotations__"),
    *("__dataclass_fields__", "__dataclass_params__", "__abstractmethods__", "_abc_impl", "_backward_cls"),
    "__slotnames__",
}


_Asked = frozenset[tuple[str, ...]]
"""What code asks of a module: attributes of attributes, as ("nn", "Linear"); () for what else there may be."""
_WHOLE: _Asked = frozenset([()])


class UnreadableError(Exception):
    """Something takes part whose code can't be read."""


def hash_code(value: object, named: dict[int, str]) -> str:
    """A short hash of an object: its class's code, its attributes, and all that these refer to.

    Args:
        value: a network, a function or any other object.
        named: by ``id``, what ``value`` may refer to that counts by the name given here, not by what it holds.

    Raises:
        UnreadableError: something can't be read; the message says what and where.
    """
    reader = _Reader(named)
    try:
        reader.read(value)
    except Exception as error:  # of code that we don't know, or RecursionError
        reason = str(error) if isinstance(error, UnreadableError) else f"can't be read: {error}"
        raise UnreadableError(f"{'.'.join(filter(None, reader.path))} {reason}".strip()) from error
    return reader.digest.hexdigest()


class _Reader:
    """Goes through an object and what it refers to, and hashes what it meets. Each object is read once."""

    def __init__(self, named: dict[int, str]) -> None:
        self.digest = hashlib.blake2b(digest_size=8)
        self.path: list[str] = []
        self._named = named
        self._met: dict[object, tuple[int, object]] = {}  # its number, and itself: while it lives, no other has its id
        self._hooks: dict[int, int] = {}

    def read(self, value: Any, label: str = "", asked: _Asked = _WHOLE) -> None:
        """Hashes a value. ``asked``: what the code that refers to it asks of it."""
        self.path.append(label)
        self._note(label, type(value).__name__)
        key = (id(value), asked if isinstance(value, types.ModuleType) else None)
        if type(value) in _PLAIN:
            self._note(value)
        elif type(value) in (tuple, frozenset):  # equal ones may be one object in one process and two in another
            self._content(value, asked)
        elif key in self._met:
            self._note("met", self._met[key][0])
        else:
            self._met[key] = (len(self._met), value)
            self._content(value, asked)
        self.path.pop()

    def _note(self, *parts: object) -> None:
        self.digest.update(f"{parts!r}\n".encode("utf-8", "surrogatepass"))

    def _content(self, value: Any, asked: _Asked) -> None:
        kind = type(value)
        if isinstance(value, Tensor):
            self._tensor(value)
        elif id(value) in self._named:
            self._note("named", self._named[id(value)])
        elif isinstance(value, types.ModuleType):
            self._module(value, asked)
        elif isinstance(value, type):
            self._class(value)
        elif kind is types.FunctionType and (name := _name_in_library(value, value.__qualname__)):
            self._note(name)
        elif (
            kind is types.BuiltinFunctionType
            and not isinstance(value.__self__, _GENERATORS)
            and (name := _name_in_library(value, value.__name__))
        ):  # PyTorch's hold what can't be read
            self._note(name)
        elif kind in _PARTS:
            self._items([getattr(value, part) for part in _PARTS[kind].split()])
            if kind is types.FunctionType:
                self._surroundings(value)
        elif kind in (list, tuple):
            self._items(value)
        elif kind is dict:
            self._dict(value)
        elif kind in (set, frozenset):
            self._note(sorted(hash_code(member, self._named) for member in value))
        elif isinstance(value, nn.Module):
            self.read(kind, kind.__name__)
            self._dict({key: item for key, item in vars(value).items() if key != "training"})
            self._dict({key: item for key, item in vars(nn.modules.module).items() if key.startswith("_global_")})
        else:
            self._object(value)

    def _items(self, items: list | tuple) -> None:
        self._note(len(items))
        for item in items:
            self.read(item)

    def _dict(self, items: dict) -> None:
        self._note(len(items))
        for key, item in items.items():
            label = key if isinstance(key, str) else ""
            if "_hooks" in label and type(item) is OrderedDict:  # a process counts hooks up: their keys are numbers
                item = [(self._hooks.setdefault(number, len(self._hooks)), hook) for number, hook in item.items()]
            self.read(key)
            self.read(item, label)

    def _tensor(self, tensor: Tensor) -> None:
        self.read(type(tensor))
        hooks = ("_backward_hooks", "_post_accumulate_grad_hooks")
        self._dict({**vars(tensor), **{name: getattr(tensor, name, None) or None for name in hooks}})
        if name := self._named.get(id(tensor)):
            self._note("named", name)
            return
        self._note(tensor.dtype, tuple(tensor.shape))
        self.digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())

    def _module(self, module: types.ModuleType, asked: _Asked) -> None:
        """A library by its name, and what code asks of it; of another module everything where that can't be told."""
        library = _library(module.__name__)
        self._note(module.__name__, library)
        later: dict[str, set[tuple[str, ...]]] = {}
        for name, *rest in filter(None, asked):
            later.setdefault(name, set()).add(tuple(rest))
        found = {name: getattr(module, name) for name in later if hasattr(module, name)}
        if library:  # a notebook may have put something there, or it draws from a generator
            code = (types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
            found = {name: item for name, item in found.items() if isinstance(item, code)}
        elif () in asked or len(found) < len(later):
            found, later = {key: item for key, item in vars(module).items() if not key.startswith("__")}, {}
        for name in sorted(found):
            self.read(found[name], name, frozenset(later.get(name, _WHOLE)))

    def _class(self, kind: type) -> None:
        name = _name_in_library(kind, kind.__qualname__)
        self._note(name)
        if name:  # what a notebook has put into it
            members = {(base.__name__, key): each for base in kind.__mro__ for key, each in vars(base).items()}
            members = {key: each for key, each in members.items() if _is_own_function(each)}
        else:
            self._items([type(kind), *kind.__bases__])
            members = {key: member for key, member in vars(kind).items() if key not in _BOOKKEEPING}
        self._dict({key: members[key] for key in sorted(members)})

    def _surroundings(self, function: types.FunctionType) -> None:
        """What a function closes over, and what it and those inside it look up by name."""
        codes, found = [function.__code__], {}
        for code in codes:  # which grows meanwhile
            codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        asked: dict[str, set[tuple[str, ...]]] = {}
        for instructions in (list(dis.get_instructions(code)) for code in codes):
            for index, instruction in enumerate(instructions):
                name = instruction.argval
                if instruction.opname == "IMPORT_NAME":
                    imported = f"import {name}"
                    found[imported] = importlib.import_module(name)
                    if instructions[index + 1].opname != "IMPORT_FROM":
                        asked.setdefault(imported, set()).add(())
                elif instruction.opname == "IMPORT_FROM":
                    asked.setdefault(imported, set()).add((name,))
                elif instruction.opname in _LOADS:
                    later = itertools.takewhile(lambda each: each.opname in _ATTRIBUTES, instructions[index + 1 :])
                    asked.setdefault(name, set()).add(tuple(each.argval for each in later))
                    if name in ("eval", "exec", "globals", "__import__") and name not in function.__globals__:
                        raise UnreadableError(f"looks names up by {name}()")
                    if instruction.opname != "LOAD_DEREF":
                        found[name] = function.__globals__.get(name, getattr(builtins, name, None))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # it may hold nothing yet
                found[name] = cell.cell_contents
        for name, item in found.items():
            self.read(item, name, frozenset(asked.get(name, _WHOLE)))

    def _object(self, value: Any) -> None:
        kind = type(value)
        if isinstance(value, _GENERATORS):
            own = f"draws from a generator of its own ({kind.__name__}), which a training can't take up again"
            raise UnreadableError(f"{own}: draw from torch's, torch.rand() say")
        self.read(kind, kind.__name__)
        reduced = copyreg.dispatch_table.get(kind, lambda value: value.__reduce_ex__(4))(value)
        if not isinstance(reduced, str):
            self._items([list(part) if isinstance(part, Iterator) else part for part in reduced])
        elif name := _name_in_library(value, reduced):
            self._note(name)
        else:
            raise UnreadableError(f"can't be read: a {kind.__module__}.{kind.__qualname__}")
        if not _name_in_library(kind, kind.__qualname__):
            self.read(object.__getstate__(value))  # a class may tell pickle something else


def _is_own_function(member: object) -> bool:
    return isinstance(member, types.FunctionType) and not _library(member.__globals__.get("__name__", "__main__"))


def _name_in_library(value: Any, name: str) -> str:
    """The name of a value with its library's name and version; "" if no installed library holds it under this name."""
    module = getattr(value, "__module__", None) or type(value).__module__
    library = _library(module)
    found: Any = sys.modules.get(module) if library else None
    for part in name.split("."):
        found = getattr(found, part, None)
    # A static class of C, without the flag of those made while Python runs, may have no name in any module.
    is_there = found is value or (isinstance(value, type) and not value.__flags__ & 1 << 9)
    return f"{library}: {module}.{name}" if library and is_there else ""


@functools.cache
def _library(module: str) -> str:
    """Name and version of the installed library that a module belongs to; "" for code that anybody may be editing."""
    if any(f"{module}.".startswith(f"{part}.") for part in PLUMBING):
        return "the workbook"
    top = module.partition(".")[0]
    package = vars(sys.modules.get(top, builtins))
    file = Path(package.get("__file__") or dis.__file__)
    if {"site-packages", "dist-packages"} & set(file.parts):
        return f"{top} {package['__version__']}" if "__version__" in package else ""
    in_python = top in sys.stdlib_module_names and file.is_relative_to(Path(dis.__file__).parent)
    return f"Python {sys.version}" if in_python else ""
