"""What code computes, as a hash: so that a checkpoint of one network is never taken for that of another.

Read is what Python runs, not how it was written: comments, layout and line numbers make no difference. What an
installed library holds counts by its name and the library's version; a notebook's own functions and classes by their
code, with all that this closes over, calls or refers to by name; any other object by its class and what pickle takes.
"""

import builtins
import dis
import functools
import hashlib
import importlib
import pickle
import random
import sys
import types
from collections import ChainMap, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLUMBING = ("helpers.data.", "helpers.files.", "helpers.storage.")
"""Parts of the workbook that bring numbers to a training, which are hashed themselves, and compute none in it."""
_PLAIN = {type(None), bool, int, float, complex, str, bytes}
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
_CODE = (types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
_PARTS: dict[type, str] = {
    types.CodeType: "co_argcount co_posonlyargcount co_kwonlyargcount co_flags co_names co_varnames co_cellvars "
    "co_freevars co_code co_exceptiontable co_consts",
    types.MethodType: "__self__ __func__",
    property: "fget fset fdel",
    functools.cached_property: "func",
    **dict.fromkeys((staticmethod, classmethod, functools._lru_cache_wrapper), "__wrapped__"),
}
_BOOKKEEPING = {  # of a class: what changes with a line number, as it is used (copied, say), or says nothing
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"),
    *("__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__conditional_annotations__"),
    *("__dataclass_fields__", "__dataclass_params__", "__abstractmethods__", "_abc_impl", "_backward_cls"),
    "__slotnames__",
}
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_DEREF")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")


class UnreadableError(Exception):
    """Something takes part whose code can't be read."""


def hash_of(value: object, named: dict[int, str] | None = None) -> str:
    """A short hash of an object: its class's code, its attributes, and all that these refer to.

    Args:
        value: a network, a function, tensors or any other object.
        named: by ``id``, what ``value`` may refer to that counts by the name given here, not by what it holds.

    Raises:
        UnreadableError: something can't be read; the message says what and where.
    """
    reader = _Reader(named or {})
    try:
        reader.dump(value)
    except Exception as error:  # of code that we don't know, or RecursionError
        reason = str(error) if isinstance(error, UnreadableError) else f"can't be read: {error}"
        steps = [(outer, inner) for outer, inner in pairwise(reader.trail) if isinstance(outer, dict)]
        where = [next((key for key, item in outer.items() if item is inner), None) for outer, inner in steps]
        path = ".".join(key for key in where if isinstance(key, str))
        raise UnreadableError(f"{path} {reason}".strip()) from error
    return reader.digest.hexdigest()


def hash_tensors(*tensors: Tensor) -> str:
    """A short hash of values, dtypes and shapes; no code is read."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        # Reinterpreted as bytes: NumPy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


class _Reader(pickle._Pickler):  # the one that is written in Python, where all can be saved in another way
    """Pickles an object, each one in it once, into a hash: nobody is to load it."""

    def __init__(self, named: dict[int, str]) -> None:
        self.digest = hashlib.blake2b(digest_size=8)
        super().__init__(types.SimpleNamespace(write=self.digest.update), protocol=4)
        self.trail: list[object] = []  # from the whole to what is being read
        self._named, self._hooks = named, {}
        self._global_hooks = {key: item for key, item in vars(nn.modules.module).items() if key.startswith("_global_")}

    def save(self, obj: Any) -> None:
        if type(obj) in _PLAIN:
            self.write(f"\n{obj!r}\n".encode("utf-8", "surrogatepass"))
            return
        self.trail.append(obj)
        parts = None if id(obj) in self.memo else self._parts(obj)
        if parts is None:
            if type(obj) not in self.dispatch:
                self.save(type(obj))
            super().save(obj)
        else:
            self.memoize(obj)
            for part in (type(obj).__name__, *parts):
                self.save(part)
        self.trail.pop()

    def memoize(self, obj: object) -> None:
        if type(obj) not in (tuple, frozenset):  # equal ones may be one object in one process and two in another
            super().memoize(obj)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if not (found := _name_in_library(obj, name)):
            raise UnreadableError(f"can't be read: a {type(obj).__module__}.{type(obj).__qualname__}")
        self.save(found)

    def _parts(self, value: Any) -> Iterable | None:
        """What of a value counts; None where pickle takes that."""
        kind = type(value)
        if kind in (list, tuple):
            return None
        if isinstance(value, Tensor):
            hooks = [getattr(value, name, None) or {} for name in ("_backward_hooks", "_post_accumulate_grad_hooks")]
            about = kind, vars(value), *map(self._in_order, hooks)
            if name := self._named.get(id(value)):
                return *about, name
            return *about, hash_tensors(value)
        if id(value) in self._named:
            return [self._named[id(value)]]
        if kind is dict:
            hooks = {key: item for key, item in value.items() if type(item) is OrderedDict and "_hooks" in str(key)}
            return [{**value, **{key: self._in_order(item) for key, item in hooks.items()}}] if hooks else None
        if kind in (set, frozenset):
            return [sorted(hash_of(member, self._named) for member in value)]
        if isinstance(value, _GENERATORS):
            own = f"draws from a generator of its own ({kind.__name__}), which a training can't take up again"
            raise UnreadableError(f"{own}: draw from torch's, torch.rand() say")
        if isinstance(value, types.ModuleType):
            library = _library(value.__name__)
            own = {} if library else {key: item for key, item in vars(value).items() if not key.startswith("__")}
            return value.__name__, library, own
        if isinstance(value, type):
            return _class_parts(value)
        if isinstance(value, nn.Module):
            own = {key: item for key, item in vars(value).items() if key != "training"}
            return {kind.__name__: kind}, own, self._global_hooks
        if kind in (types.FunctionType, types.BuiltinFunctionType) and (name := _name_in_library(value)):
            return [name]
        if kind is types.FunctionType:
            return value.__code__, value.__defaults__, value.__kwdefaults__, vars(value), _surroundings(value)
        if kind in _PARTS:
            return [getattr(value, part) for part in _PARTS[kind].split()]
        if _name_in_library(kind):
            return None
        reduced = [list(part) if isinstance(part, Iterator) else part for part in value.__reduce_ex__(4)]
        return kind, reduced, object.__getstate__(value)  # a class may tell pickle something else

    def _in_order(self, hooks: dict[int, object]) -> list[tuple[int, object]]:
        """Hooks by numbers that are the same in every process, which counts up those that it ever had."""
        return [(self._hooks.setdefault(number, len(self._hooks)), hook) for number, hook in hooks.items()]


def _class_parts(kind: type) -> tuple[object, ...]:
    """A library's class by its name, and what a notebook has put into it; any other by all that it holds."""
    if name := _name_in_library(kind):
        members = {f"{base.__name__}.{key}": each for base in kind.__mro__ for key, each in vars(base).items()}
        found = {key: each for key, each in sorted(members.items()) if isinstance(each, types.FunctionType)}
        return name, {key: each for key, each in found.items() if not _library(each.__globals__.get("__name__", ""))}
    return type(kind), kind.__bases__, {key: vars(kind)[key] for key in sorted(vars(kind).keys() - _BOOKKEEPING)}


def _surroundings(function: types.FunctionType) -> dict[str, Any]:
    """What a function closes over, and what it and those inside it look up: of a module only what they ask it for."""
    closed, names = {}, ChainMap(function.__globals__, vars(builtins))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it may hold nothing yet
            closed[name] = cell.cell_contents
    found = {name: item for name, item in closed.items() if not isinstance(item, types.ModuleType)}
    codes = [function.__code__]
    for code in codes:  # which grows meanwhile
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        label, item, imported = "", None, None
        for step, after in pairwise(each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"):
            name = step.argval
            if step.opname in _LOADS:
                label, item = name, (closed if step.opname == "LOAD_DEREF" else names).get(name)
                if name in ("eval", "exec", "globals", "__import__") and name not in function.__globals__:
                    raise UnreadableError(f"looks names up by {name}()")
            elif step.opname == "IMPORT_NAME":
                label, item = name, importlib.import_module(name)
                imported = item
            elif step.opname == "IMPORT_FROM":
                label, item = name, _held(imported, name)
            elif step.opname in _ATTRIBUTES and isinstance(item, types.ModuleType):
                label, item = f"{label}.{name}", _held(item, name)
            else:
                item = None
            if item is not None and not (isinstance(item, types.ModuleType) and after.opname in _ATTRIBUTES):
                found[label] = item
    return found


def _held(module: types.ModuleType, name: str) -> Any:
    """What a module holds under a name; itself where that is nothing yet, or a library's, and no code."""
    item = getattr(module, name, module)
    return item if isinstance(item, _CODE) or not _library(module.__name__) else module


def _name_in_library(value: Any, name: str | None = None) -> str:
    """The name of a value with its library's name and version; "" if no installed library holds it under this name."""
    module = getattr(value, "__module__", None) or type(value).__module__
    library = _library(module)
    name = name or (value.__name__ if isinstance(value, types.BuiltinFunctionType) else value.__qualname__)
    found: Any = sys.modules.get(module) if library else None
    for part in name.split("."):
        found = getattr(found, part, None)
    # A static class of C, without the flag of those made while Python runs, may have no name in any module.
    is_there = found is value or (isinstance(value, type) and not value.__flags__ & 1 << 9)
    return f"{library}: {module}.{name}" if library and is_there else ""


@functools.cache
def _library(module: str) -> str:
    """Name and version of the installed library that a module belongs to; "" for code that anybody may be editing."""
    if f"{module}.".startswith(PLUMBING):
        return "the workbook"
    top = module.partition(".")[0]
    package = vars(sys.modules.get(top, builtins))
    file = Path(package.get("__file__") or dis.__file__)
    if {"site-packages", "dist-packages"} & set(file.parts):
        return f"{top} {package['__version__']}" if "__version__" in package else ""
    in_python = top in sys.stdlib_module_names and file.is_relative_to(Path(dis.__file__).parent)
    return f"Python {sys.version}" if in_python else ""
