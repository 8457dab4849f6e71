"""What a notebook shows beside what it records: objects as tables, and progress where somebody looks on."""

import os
import sys
from collections.abc import Iterable, Sequence
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
