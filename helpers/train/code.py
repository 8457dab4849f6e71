"""What code computes, as a hash: so that a checkpoint of one network is never taken for that of another.

Read is what Python runs, not how it was written: comments, layout and line numbers make no difference. What an
installed library holds counts by its name and the library's version; everything else, a notebook's own layers,
augmentations and optimizers, by its code, with what this closes over and all that it calls or refers to by name.
"""

import builtins
import dis
import functools
import hashlib
import importlib
import random
import sys
import types
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLUMBING = ("helpers.data", "helpers.files", "helpers.storage")
"""Parts of the workbook that bring numbers to a training, which are hashed themselves, and compute none in it."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice)
_PLAIN_TORCH = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
_IN_C = (types.BuiltinFunctionType, types.MethodWrapperType, types.MethodDescriptorType)
_IN_C += (types.WrapperDescriptorType, types.ClassMethodDescriptorType)
_NO_CODE = (types.GetSetDescriptorType, types.MemberDescriptorType)
_BY_TEXT = {"eval", "exec", "globals", "__import__"}
_BOOKKEEPING = {  # of a class, and of torch.autograd.Function: what changes with a line number, or says nothing
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"),
    *("__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__conditional_annotations__"),
    *("__dataclass_fields__", "__dataclass_params__", "__abstractmethods__", "_abc_impl", "_backward_cls"),
}


class UnreadableError(Exception):
    """Something takes part whose code can't be read."""


def hash_code(value: object, named: dict[int, str], what: str = "") -> str:
    """A short hash of an object: its class's code, its attributes, and all that these refer to.

    Args:
        value: a network, a function or any other object.
        named: by ``id``, what ``value`` may refer to that counts by the name given here, not by what it holds.
        what: the value's name, for the message.

    Raises:
        UnreadableError: something can't be read; the message says what and where.
    """
    reader = _Reader({key: name for key, name in named.items() if key != id(value)})
    try:
        reader.read(value, what)
    except RecursionError:
        raise UnreadableError(f"{type(value).__name__} refers to too much") from None
    return reader.digest.hexdigest()


class _Reader:
    """Goes through an object and what it refers to, and hashes what it meets. Each object is read once."""

    def __init__(self, named: dict[int, str]) -> None:
        self.digest = hashlib.blake2b(digest_size=8)
        self._named = named
        self._seen: dict[object, int] = {}
        self._kept: list[object] = []  # as long as an object lives, no other one has its id
        self._path: list[str] = []

    def note(self, *parts: object) -> None:
        self.digest.update(f"{parts!r}\n".encode("utf-8", "surrogatepass"))

    def read(self, value: Any, label: str = "", attributes: frozenset[str] = frozenset()) -> None:
        """Hashes a value. ``attributes``: what the code that refers to it may ask of it."""
        self.note(label)
        if isinstance(value, types.ModuleType):
            self._module(value, attributes)
        elif type(value) in _PLAIN or isinstance(value, _PLAIN_TORCH):
            self.note(type(value).__name__, repr(value))
        elif type(value) is tuple:
            self._items("tuple", value)
        elif id(value) in self._named:
            self.note("named", self._named[id(value)])
        elif not self._is_known(id(value)):
            self._kept.append(value)
            self._path.append(label)
            self._content(value)
            self._path.pop()

    def _content(self, value: Any) -> None:
        if type(value) is list:
            self._items("list", value)
        elif type(value) is dict:
            self.note("dict", len(value))
            for key, item in value.items():
                self.read(key)
                self.read(item, key if isinstance(key, str) else "")
        elif type(value) in (set, frozenset):
            self.note("set", sorted(hash_code([member], self._named) for member in value))
        elif isinstance(value, Tensor | np.ndarray):
            self._array(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._items("method", (value.__self__, value.__func__))
        elif isinstance(value, _IN_C):
            self._c_function(value)
        elif isinstance(value, staticmethod | classmethod):
            self._items(type(value).__name__, (value.__func__,))
        elif isinstance(value, property):
            self._items("property", (value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.cached_property):
            self._items("property", (value.func,))
        elif isinstance(value, functools._lru_cache_wrapper):
            self._items("cached", (value.__wrapped__,))
        elif isinstance(value, nn.Module):
            self._network(value)
        elif not isinstance(value, _NO_CODE):
            self._object(value)

    def _is_known(self, key: object) -> bool:
        """Whether an object was met before: then its number is hashed."""
        if key in self._seen:
            self.note("seen", self._seen[key])
            return True
        self._seen[key] = len(self._seen)
        return False

    def _items(self, kind: str, items: Any) -> None:
        self.note(kind, len(items))
        for item in items:
            self.read(item)

    def _array(self, value: Any) -> None:
        self.note(type(value).__name__, str(value.dtype), tuple(value.shape))
        if isinstance(value, Tensor):
            try:  # reinterpreted as bytes: NumPy has no bfloat16
                value = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            except (RuntimeError, NotImplementedError) as error:
                raise self._unreadable(value) from error
        if value.dtype.hasobject:
            self._items("array", value.tolist())
        else:
            self.digest.update(value.tobytes())

    def _code(self, code: types.CodeType) -> None:
        arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
        self.note("code", arguments, names, code.co_code, getattr(code, "co_exceptiontable", b""))
        for constant in code.co_consts:
            self.read(constant)

    def _function(self, function: types.FunctionType) -> None:
        if name := _name_in_library(function):
            self.note("function", name)
            return
        self._code(function.__code__)
        self.read(function.__defaults__, "defaults")
        self.read(function.__kwdefaults__, "defaults")
        attributes = frozenset(name for code in _codes(function.__code__) for name in code.co_names)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:  # nothing in it yet
                continue
            self.read(content, name, attributes)
        for name, value in vars(function).items():
            self.read(value, name)
        self._globals(function, attributes)

    def _globals(self, function: types.FunctionType, attributes: frozenset[str]) -> None:
        loaded, imported = set(), set()
        for instruction in (each for code in _codes(function.__code__) for each in dis.get_instructions(code)):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                loaded.add(instruction.argval)
            elif instruction.opname == "IMPORT_NAME":
                imported.add(instruction.argval)
        for name in sorted(loaded):
            if name in function.__globals__:
                self.read(function.__globals__[name], name, attributes)
            elif name in _BY_TEXT:
                raise UnreadableError(f"{self._where()} looks names up by {name}()")
            else:
                self.note(name, hasattr(builtins, name))
        for name in sorted(imported):
            try:
                module = sys.modules.get(name) or importlib.import_module(name)
            except Exception as error:
                raise UnreadableError(f"{self._where()} imports {name!r}: {error}") from error
            self.read(module, name, attributes)

    def _module(self, module: types.ModuleType, attributes: frozenset[str]) -> None:
        """A library by its name; of another module what is asked of it, or everything where that can't be told."""
        name = module.__name__
        if library := _library(name):
            self.note("module", name, library)
            return
        names = attributes or frozenset(key for key in vars(module) if not key.startswith("__"))
        if self._is_known((name, names)):
            return
        for key in sorted(names):
            if key not in vars(module) and hasattr(module, "__path__") and f"{name}.{key}" in sys.modules:
                self.read(sys.modules[f"{name}.{key}"], key, attributes)
            elif key in vars(module):
                self.read(vars(module)[key], key, attributes)

    def _class(self, kind: type) -> None:
        if name := _name_in_library(kind):
            self.note("class", name)
            # What a notebook has put into it.
            members = [(key, member) for key, member in vars(kind).items() if _is_own_function(member)]
        else:
            self.note("class")
            self._items("bases", kind.__bases__)
            self.read(type(kind), "metaclass")
            members = [(key, member) for key, member in vars(kind).items() if key not in _BOOKKEEPING]
        for key, member in sorted(members, key=lambda item: item[0]):
            self.read(member, key)

    def _c_function(self, function: Any) -> None:
        holder = getattr(function, "__objclass__", None) or getattr(function, "__self__", None)
        if holder is not None and not isinstance(holder, types.ModuleType):
            self.read(holder)
            self.note(function.__name__)
        elif library := _library(function.__module__ or "builtins"):
            self.note(function.__module__, function.__qualname__, library)
        else:
            raise self._unreadable(function)

    def _network(self, module: nn.Module) -> None:
        """A layer with all that it holds, hooks included; but not its mode."""
        self.read(type(module), type(module).__name__)
        for parameter in module._parameters.values():
            if parameter is not None:
                hooks = parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None)
                self._items("hooks", [hook for kind in hooks for hook in (kind or {}).values()])
        for key, value in sorted(vars(module).items()):
            if key == "training":
                continue
            # The keys of hooks are numbers that a process counts up.
            self.read(list(value.values()) if "_hooks" in key and isinstance(value, dict) else value, key)

    def _object(self, value: object) -> None:
        """Its class and its state, as pickle would take them."""
        if isinstance(value, _GENERATORS):
            raise UnreadableError(
                f"{self._where()} draws from a generator of its own ({type(value).__name__}), which a training can't "
                "take up again: draw from torch's, torch.rand() say"
            )
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise self._unreadable(value) from error
        self.read(type(value), type(value).__name__)
        if isinstance(reduced, str):
            self.note(reduced)
            return
        made_by, arguments, *rest = reduced
        self.read(made_by)
        self._items("arguments", tuple(arguments))
        for part in rest:
            self.read(list(part) if isinstance(part, Iterator) else part)
        if not _name_in_library(type(value)):
            self.read(getattr(value, "__dict__", None))  # a class may tell pickle something else

    def _where(self) -> str:
        return ".".join(label for label in self._path if label) or "it"

    def _unreadable(self, value: object) -> UnreadableError:
        kind = type(value)
        return UnreadableError(f"{self._where()} is a {kind.__module__}.{kind.__qualname__}, which can't be read")


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_own_function(member: object) -> bool:
    return isinstance(member, types.FunctionType) and not _library(member.__globals__.get("__name__", "__main__"))


def _name_in_library(thing: type | types.FunctionType) -> str:
    """The name under which an installed library holds a class or function, and its version; "" if none does."""
    library = _library(thing.__module__ or "builtins")
    found: Any = sys.modules.get(thing.__module__) if library else None
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return f"{library}: {thing.__module__}.{thing.__qualname__}" if found is thing else ""


@functools.lru_cache(None)
def _library(module: str) -> str:
    """Name and version of the installed library that a module belongs to; "" for code that anybody may be editing."""
    if any(f"{module}.".startswith(f"{part}.") for part in PLUMBING):
        return "the workbook"
    top = module.partition(".")[0]
    package = sys.modules.get(top)
    if package is None or top == "__main__":
        return ""
    file = getattr(package, "__file__", None) or next(iter(getattr(package, "__path__", ())), None)
    if file is None:
        return f"Python {sys.version}" if top in sys.stdlib_module_names else ""
    if {"site-packages", "dist-packages"} & set(Path(file).parts):
        return _version(top)
    in_python = Path(file).is_relative_to(Path(dis.__file__).parent)
    return f"Python {sys.version}" if in_python and top in sys.stdlib_module_names else ""


def _version(package: str) -> str:
    names = [package]
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(package, [])
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)
