"""What a notebook shows beside what it records: tables, and where somebody looks on a form, and progress."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

from tqdm import tqdm

FRONT_ENDS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG")
"""Variables of a kernel that a front end started: jupyter_server's (JupyterLab, Notebook) and Colab's."""
VS_CODE = "__vsc_ipynb_file__"
"""What VS Code adds to a notebook's names."""


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of what something is called and what it is, as HTML."""
    # Names may be Persian: each cell runs in the direction of its own first letter.
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(label)}</th>'
        f'<td style="text-align:left" dir="auto">{escape(text)}</td></tr>'
        for label, text in rows
    )
    return f"<table><tbody>{cells}</tbody></table>"


def parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notebook, by its ``globals()``: upper-case names whose values JSON can hold."""

    def is_plain(value: Any) -> bool:
        items = value if isinstance(value, list) else [value]
        return all(isinstance(item, str | int | float | None) for item in items)

    names = (name for name in namespace if name.isupper() and not name.startswith("_"))
    return {name: namespace[name] for name in names if is_plain(namespace[name])}


def parameter_form(namespace: dict[str, Any]) -> None:
    """Shows a field for each parameter, where somebody looks on and ipywidgets are installed.

    What is written there counts for cells that run afterwards, and is not saved: the notebook's report is made with the
    values of its parameters cell. With every change all parameters are what the form says, since cells may have given
    one another value, as where None stands for a share of what was loaded.

    Args:
        namespace: the notebook's ``globals()``, see `parameters`.
    """
    if not in_front_end():
        return
    try:
        import ipywidgets
    except ImportError:  # the cell of parameters is there all the same
        return
    from IPython.display import display

    from helpers.report.parameters import checked
    from helpers.report.workspace import Refused

    defaults, said = parameters(namespace), ipywidgets.HTML()
    chosen = dict(defaults)

    def take(change: Any) -> None:
        name = change.owner.description
        try:
            chosen[name] = checked(name, change.new, defaults[name], where="form")
            namespace.update(chosen)
            said.value = escape(f"{name} = {chosen[name]!r} counts for the cells below that run from now on")
        except Refused as error:
            said.value = escape(str(error))

    fields = []
    for name, value in defaults.items():
        text = value if isinstance(value, str) else repr(value)  # as in the cell above
        look = {"style": {"description_width": "12em"}, "layout": {"width": "min(100%, 48em)"}}
        fields.append(ipywidgets.Text(text, description=name, continuous_update=False, **look))
        fields[-1].observe(take, "value")
    display(ipywidgets.Accordion([ipywidgets.VBox([*fields, said])], titles=["Parameters: try other values"]))


def progress_bar(**options: Any) -> tqdm:
    """A tqdm bar that goes at its end. In a front end it isn't on standard error, which is red there and stays.

    The time left is that of the mean speed until now.
    """
    return tqdm(**options, leave=False, smoothing=0, file=_Line() if in_front_end() else None)


class Area:
    """A place below a cell for what changes. Whatever goes wrong with it, the work goes on."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, content: dict[str, Any]) -> None:
        with suppress(Exception):
            from IPython.display import display

            if self._handle is not None:
                self._handle.update(content, raw=True)
            elif content:
                self._handle = display(content, raw=True, display_id=True)


class _Line:
    """A file that shows the last line written to it, in place of the one before; nothing where that is blank."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._area = Area()

    def write(self, text: str) -> None:
        line = text.strip()
        self._area.show({"text/plain": line} if line else {})

    def flush(self) -> None:
        pass


def in_front_end() -> bool:
    """Whether this is the kernel of a notebook that somebody looks at."""
    running = shell()
    if not hasattr(running, "kernel"):
        return False
    if wish := os.environ.get("WORKBOOK_LIVE"):
        return wish != "0"
    return VS_CODE in running.user_ns or any(name in os.environ for name in FRONT_ENDS)


def shell() -> Any:
    """IPython's, None where there is none."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
