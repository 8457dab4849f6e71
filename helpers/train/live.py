"""What a training shows where somebody looks on: the time left and its curves while it lasts, then its `Result`."""

import base64
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from helpers.record import MIME
from helpers.reprs import Area, in_front_end, shell

if TYPE_CHECKING:
    from helpers.train.result import Result

_last: tuple[int, Any, str] | None = None  # the result shown last: its cell's number, its place and its HTML


@contextmanager
def live_curves() -> Iterator[Callable[[list[dict[str, float]]], None]]:
    """Gives a function that draws the curves of finished epochs below a cell, in place of those before; none stay.

    Under papermill and nbconvert, in scripts and terminals it shows nothing; the variable WORKBOOK_LIVE decides
    otherwise: 0 for never, 1 for in every notebook's kernel.
    """
    area, next_time = Area(), -math.inf
    if in_front_end():
        from helpers import plots  # noqa: F401  # now, and not while the time left is measured

    def show(history: list[dict[str, float]]) -> None:
        nonlocal next_time
        if not history or time.perf_counter() < next_time or not in_front_end():
            return
        started = time.perf_counter()
        with suppress(Exception):
            area.show({"text/html": picture(pd.DataFrame(history).set_index("epoch"))})
        now = time.perf_counter()
        next_time = now + max(1.0, 20 * (now - started))  # it takes at most a twentieth of the time

    try:
        yield show
    finally:
        area.show({})


def show_result(result: "Result") -> None:
    """Shows a result of one epoch or more below the cell, if somebody looks on; folded once another one's follows.

    No report shows it: a notebook records what its reader is to see.
    """
    global _last
    if not (result.best_epoch and in_front_end()):
        return

    def content(html: str, is_open: str) -> dict[str, Any]:
        return {MIME: {"kind": "training"}, "text/html": f"<details{is_open}>{html}</details>", "text/plain": ""}

    with suppress(Exception):
        cell = getattr(shell(), "execution_count", None)
        if _last and _last[0] == cell:
            _last[1].show(content(_last[2], ""))
        best = dict(result._rows())["Best epoch"]
        summary = escape(f"{result.label}: best epoch {best}")
        _last = cell, Area(), f"<summary>{summary}</summary>{result._repr_html_()}"
        _last[1].show(content(_last[2], " open"))


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
