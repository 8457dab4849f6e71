"""The learning curves of a training: while it lasts, where somebody looks on, and afterwards in its `Result`."""

import base64
import io
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pandas as pd

FRONT_ENDS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG")
"""Variables of a kernel that a front end started: jupyter_server's (JupyterLab, Notebook) and Colab's."""
VS_CODE = "__vsc_ipynb_file__"
"""What VS Code adds to a notebook's names."""


@contextmanager
def live_curves() -> Iterator[Callable[[list[dict[str, float]]], None]]:
    """Gives a function that draws the curves of finished epochs below a cell, in place of those before; none stay.

    Under papermill and nbconvert, in scripts and terminals it shows nothing; the variable WORKBOOK_LIVE decides
    otherwise: 0 for never, 1 for in every notebook's kernel. Whatever goes wrong with it, training goes on.
    """
    area, next_time = None, -math.inf

    def show(history: list[dict[str, float]]) -> None:
        nonlocal area, next_time
        if not history or time.perf_counter() < next_time or not in_front_end():
            return
        started = time.perf_counter()
        with suppress(Exception):
            from IPython.display import display

            content = {"text/html": picture(pd.DataFrame(history).set_index("epoch"))}
            if area is None:
                area = display(content, raw=True, display_id=True)
            else:
                area.update(content, raw=True)
        now = time.perf_counter()
        next_time = now + max(1.0, 20 * (now - started))  # it takes at most a twentieth of the time

    try:
        yield show
    finally:
        if area is not None:
            with suppress(Exception):
                area.update({}, raw=True)


def in_front_end() -> bool:
    """Whether this is the kernel of a notebook that somebody looks at."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return False
    if wish := os.environ.get("WORKBOOK_LIVE"):
        return wish != "0"
    return VS_CODE in shell.user_ns or any(name in os.environ for name in FRONT_ENDS)


def picture(history: pd.DataFrame, resume_epoch: int | None = None) -> str:
    """Loss and accuracy per epoch, as an image in HTML."""
    import matplotlib
    from matplotlib.figure import Figure

    from helpers import plots  # not above: whoever only trains does not wait for matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context(plots.STYLE):
        # Without pyplot, which would show the figure a second time and make it the notebook's current one.
        figure = Figure(figsize=(6.1, 2.6), layout="constrained")
        axes = figure.subplots(1, 2)
        plots.learning_curves(history, resume_epoch=resume_epoch, axes=axes)
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    source = f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<img alt="Loss and accuracy per epoch" src="{source}">'
