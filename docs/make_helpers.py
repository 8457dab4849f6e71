"""Writes docs/helpers.md: what the helpers offer to a notebook, from their docstrings.

python docs/make_helpers.py
"""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().with_name("helpers.md")
MODULES = ("data", "models", "train", "transfer", "explain", "evaluate", "plots", "record")
OPENING = """\
# What the helpers offer

Made by `docs/make_helpers.py` from the docstrings; `help(train.fit)`, or `train.fit?` in JupyterLab, shows all of one:
shapes, units, errors, sources.
"""


def page() -> str:
    return "\n".join([OPENING, *(chapter(importlib.import_module(f"helpers.{name}")) for name in MODULES)])


def chapter(module: ModuleType) -> str:
    """What is made in a module, or brought there from those below it."""
    made = {name: str(getattr(value, "__module__", "")) for name, value in vars(module).items() if callable(value)}
    own = [name for name, where in made.items() if f"{where}.".startswith(f"{module.__name__}.")]
    names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    lines = [line(name, getattr(module, name)) for name in names if callable(getattr(module, name))]
    return f"## `{module.__name__}`\n\n{first_sentence(module)}\n\n" + "\n".join(filter(None, lines)) + "\n"


def line(name: str, value: object) -> str:
    if isinstance(value, type) and issubclass(value, BaseException):
        return ""
    signature = inspect.signature(value)
    shown = (each for each in signature.parameters.values() if not isinstance(each.default, Path))
    bare = [each.replace(annotation=each.empty) for each in shown]
    return (
        f"- `{name}{signature.replace(parameters=bare, return_annotation=signature.empty)}` – {first_sentence(value)}"
    )


def first_sentence(value: object) -> str:
    text = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s+(?=[A-Z`])", text)[0].removesuffix(":").replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
