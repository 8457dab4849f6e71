"""What a run shows while it lasts: the notebook, the cell, the time, and the cell's own progress bar."""

import re
import shutil
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from helpers.report.clean import is_progress

_BETWEEN_LINES = 10.0
_SIGN_OF_LIFE = 60.0


class Progress:
    """One line on a terminal, redrawn in place; elsewhere, as in a log file, a line now and then.

    Use as a context manager around each notebook: a thread keeps the elapsed time going while a cell is silent.

    Args:
        stream: where to write, such as ``sys.stderr``.
        clock: seconds, monotonic; replaced in tests.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._in_place = stream.isatty()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._notebook, self._position, self._bar = "", "", ""
        self._started = self._last_line = clock()
        self._last_label = ""

    def __enter__(self) -> "Progress":
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep_going, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.clear()

    def start(self, notebook: str, position: str) -> None:
        """A notebook begins: ``position`` says in words where it is, such as "starting the kernel"."""
        with self._lock:
            self._notebook, self._started = notebook, self._clock()
        self.step(position)

    def step(self, position: str) -> None:
        """The notebook goes on to another cell or stage, such as "cell 3/21"."""
        with self._lock:
            self._position, self._bar, self._last_label = position, "", ""
            self._draw() if self._in_place else self._print()

    def printed(self, text: str) -> None:
        """A cell wrote ``text`` to stderr: the newest tqdm bar in it, if any, is shown."""
        bars = [state for state in re.split(r"[\r\n]", text) if is_progress(state)]
        if not bars:
            return
        with self._lock:
            self._bar = bars[-1].strip()
            self.tick()

    def tick(self) -> None:
        """Shows the time that has passed: on a terminal always, elsewhere if the last line is old enough."""
        with self._lock:
            if self._in_place:
                self._draw()
                return
            label = self._bar.split(":")[0]
            silence = self._clock() - self._last_line
            if silence >= _SIGN_OF_LIFE or (label != self._last_label and silence >= _BETWEEN_LINES):
                self._last_label = label
                self._print()

    def message(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self.clear()
            self._write(f"{text}\n")

    def clear(self) -> None:
        """Takes the line off a terminal."""
        if self._in_place:
            self._write("\r\x1b[K")

    def _keep_going(self) -> None:
        while not self._stop.wait(1.0):
            self.tick()

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns
        self._write(f"\r{self._line()[: width - 1]}\x1b[K")

    def _print(self) -> None:
        self._last_line = self._clock()
        self._write(f"{self._line()}\n")

    def _line(self) -> str:
        elapsed = duration(self._clock() - self._started)
        return "  ".join(filter(None, [self._notebook, self._position, elapsed, self._bar]))

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds as "0:42" or "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
