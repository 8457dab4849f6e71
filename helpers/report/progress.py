"""What a run shows while it lasts: each notebook under way, its cell, the time, and the cell's own progress bar."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from helpers.report.clean import is_progress

_BETWEEN_LINES = 10.0
_SIGN_OF_LIFE = 60.0


class Progress:
    """On a terminal a line for each notebook under way, redrawn in place; elsewhere, as in a log, a line now and then.

    Use as a context manager around the whole run: a thread keeps the elapsed times going while cells are silent.

    Args:
        stream: where to write, such as ``sys.stderr``.
        clock: seconds, monotonic; replaced in tests.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self.clock = clock
        self._in_place = stream.isatty()
        self.lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._rows: list[Row] = []
        self._drawn = 0  # lines that stand on the terminal

    def __enter__(self) -> "Progress":
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep_going, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.clear()

    @contextmanager
    def row(self, name: str) -> "Iterator[Row]":
        """A line for the notebook ``name``, as long as the block lasts."""
        row = Row(name, self)
        with self.lock:
            self._rows.append(row)
        try:
            yield row
        finally:
            with self.lock:
                self._rows.remove(row)
                if self._in_place:
                    self._draw()

    def tick(self) -> None:
        """Shows the time that has passed: on a terminal always, elsewhere for rows whose last line is old enough."""
        with self.lock:
            if self._in_place:
                self._draw()
                return
            for row in self._rows:
                if row.is_due():
                    self._print(row)

    def changed(self, row: "Row") -> None:
        """A row has something new that is to be shown at once."""
        with self.lock:
            self._draw() if self._in_place else self._print(row)

    def message(self, text: str) -> None:
        """A line that stays."""
        with self.lock:
            self.clear()
            self._write(f"{text}\n")
            if self._in_place:
                self._draw()

    def clear(self) -> None:
        """Takes the lines off a terminal."""
        with self.lock:
            if self._in_place:
                self._write(self._back() + "\x1b[J")
                self._drawn = 0

    def _keep_going(self) -> None:
        while not self._stop.wait(1.0):
            self.tick()

    def _draw(self) -> None:
        size = shutil.get_terminal_size()
        # A terminal can't go back to lines that have left it at its top.
        rows = self._rows[: max(1, size.lines - 1)]
        lines = [f"{row.text()[: size.columns - 1]}\x1b[K" for row in rows]
        # "\x1b[J" takes away what is below: lines of notebooks that have ended.
        self._write(self._back() + "\n".join(lines) + "\x1b[J")
        self._drawn = len(lines)

    def _back(self) -> str:
        """To the beginning of the first line drawn."""
        return "\r" + (f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else "")

    def _print(self, row: "Row") -> None:
        row.shown()
        self._write(f"{row.text()}\n")

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


class Row:
    """One notebook's line, which `Progress` draws: where it is, since when, and the bar of its cell."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name, self._progress = name, progress
        self._position, self._bar = "", ""
        self._started = self._last_line = progress.clock()
        self._last_label = ""

    def step(self, position: str) -> None:
        """The notebook goes on to another cell or stage, such as "cell 3/21"."""
        with self._progress.lock:
            self._position, self._bar, self._last_label = position, "", ""
            self._progress.changed(self)

    def printed(self, text: str) -> None:
        """A cell wrote ``text`` to stderr: the newest tqdm bar in it, if any, is shown."""
        bars = [state for state in re.split(r"[\r\n]", text) if is_progress(state)]
        if bars:
            with self._progress.lock:
                self._bar = bars[-1].strip()
                self._progress.tick()

    def text(self) -> str:
        elapsed = duration(self._progress.clock() - self._started)
        return "  ".join(filter(None, [self._name, self._position, elapsed, self._bar]))

    def is_due(self) -> bool:
        """Whether a log should get a line: for a new bar, or as a sign of life."""
        silence = self._progress.clock() - self._last_line
        return silence >= _SIGN_OF_LIFE or (self._label() != self._last_label and silence >= _BETWEEN_LINES)

    def shown(self) -> None:
        """Notes that a log has got the line."""
        self._last_line, self._last_label = self._progress.clock(), self._label()

    def _label(self) -> str:
        return self._bar.split(":")[0]


def duration(seconds: float) -> str:
    """Seconds as "0:42" or "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
