"""How a training looks while it lasts.

Under papermill, nbconvert and the report command, in a script and in a terminal that is tqdm's ordinary bar on stderr,
and nothing else. Where somebody looks on, in the front end of a notebook, it is a bar with the curves of the finished
epochs below it, which goes away at the end. The variable WORKBOOK_LIVE decides otherwise: 0 for never, 1 for in every
notebook's kernel.

The curves are written down as SVG, which takes a millisecond: matplotlib's figures, as the notebook draws them in the
end, take a hundred times as long.
"""

import io
import math
import os
import sys
import time
from contextlib import suppress
from html import escape
from typing import Any

from tqdm import tqdm

History = list[dict[str, float]]

FRONT_ENDS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG")
"""Variables of a kernel that a front end started: jupyter_server's (from 2.0; JupyterLab, Notebook) and Colab's."""
VS_CODE = "__vsc_ipynb_file__"
"""What VS Code adds to a notebook's names."""

INTERVAL = 1.0
"""Seconds from one drawing to the next, at least."""
LOOKS = {"train": ("training", "━", "#0072B2", "none"), "val": ("validation", "╍", "#D55E00", "5 3")}
"""By split: its name, a letter like its line, and the line's colour and dashes, which are those of `helpers.plots`."""
WIDTH, HEIGHT = 250, 100
"""Of a panel, in pixels."""


def progress_bar(history: History, total: int, *, done: int = 0) -> tqdm:
    """A bar over all batches of a training, to be used as a context.

    Args:
        history: a row for each finished epoch, to which the training adds.
        total: batches of all epochs.
        done: how many of them are done.
    """
    if in_front_end():
        return _LiveBar(history, total, done)
    return tqdm(total=total, initial=done, leave=False)


def in_front_end() -> bool:
    """Whether this is the kernel of a notebook that somebody looks at."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return False
    if wish := os.environ.get("WORKBOOK_LIVE"):
        return wish != "0"
    return VS_CODE in shell.user_ns or any(name in os.environ for name in FRONT_ENDS)


class _LiveBar(tqdm):
    """A bar in the cell's output, with curves below it. Whatever goes wrong with them, training goes on."""

    monitor_interval = 0  # no thread that draws beside the training

    def __init__(self, history: History, total: int, done: int) -> None:
        self._history = history
        self._drawn = -math.inf
        self._area: Any = None
        form = "{desc}{percentage:.0f}%, {elapsed} so far, {remaining} left{postfix}"
        # tqdm asks for a drawing more often, and display() says when it is time.
        often = {"mininterval": INTERVAL / 10, "miniters": 1}
        super().__init__(total=total, initial=done, leave=False, file=io.StringIO(), bar_format=form, **often)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draws anew, in place of what was drawn before; or takes it away if ``msg`` is "", as tqdm has it at the end.

        Not before there is a description, which says whose bar it is.
        """
        with suppress(Exception):
            if msg == "":
                if self._area is not None:
                    self._show({})
            elif self.desc and time.perf_counter() - self._drawn >= INTERVAL:
                self._show({"text/html": self._html()})
                self._drawn = time.perf_counter()

    def _html(self) -> str:
        bar = f'<progress max="{self.total}" value="{self.n}" style="width:100%;max-width:40em"></progress>'
        return f"<div>{escape(str(self))}</div>{bar}<div>{_curves(self._history)}</div>"

    def _show(self, content: dict[str, str]) -> None:
        from IPython.display import display

        if self._area is None:
            self._area = display(content, raw=True, display_id=True)
        else:
            self._area.update(content, raw=True)


def _curves(history: History) -> str:
    """Loss and accuracy of the training and validation images, side by side; "" before the first epoch's end."""
    return _panel(history, "loss", "{:.3f}") + _panel(history, "accuracy", "{:.1%}") if history else ""


def _panel(history: History, metric: str, form: str) -> str:
    """One metric's lines over the epochs, their last values above them, and the axes' ends beside them."""
    curves = {split: [row[f"{split}_{metric}"] for row in history] for split in LOOKS}
    finite = [value for values in curves.values() for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    last_values = ", ".join(
        f'<span style="color:{colour}">{sample}</span> {name} {form.format(curves[split][-1])}'
        for split, (name, sample, colour, _) in LOOKS.items()
    )
    lines = "".join(
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dashes}" stroke-linecap="round"/>'
        for split, (_, _, colour, dashes) in LOOKS.items()
        for points in _stretches(curves[split], low, high)
    )
    ends = [(-6, 8, "end", form.format(high)), (-6, HEIGHT, "end", form.format(low))]
    ends += [(0, HEIGHT + 16, "start", "epoch 1"), (WIDTH, HEIGHT + 16, "end", str(len(history)))]
    texts = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in ends)
    return (
        f'<div style="display:inline-block;margin-right:1em"><div>{metric}: {last_values}</div>'
        f'<svg width="{WIDTH + 70}" height="{HEIGHT + 28}" viewBox="-60 -6 {WIDTH + 70} {HEIGHT + 28}" '
        f'fill="currentColor" font-size="11">{texts}{lines}</svg></div>'
    )


def _stretches(values: list[float], low: float, high: float) -> list[str]:
    """A line's points as SVG has them, in several pieces: a number that isn't finite leaves a gap."""
    stretches: list[list[str]] = [[]]
    for i, value in enumerate(values):
        if math.isfinite(value):
            x, y = WIDTH * i / max(1, len(values) - 1), HEIGHT * (high - value) / ((high - low) or 1)
            stretches[-1].append(f"{x:.1f},{y:.1f}")
        elif stretches[-1]:
            stretches.append([])
    # The first point twice: a line to nowhere would not be seen.
    return [" ".join(points[:1] + points) for points in stretches if points]
