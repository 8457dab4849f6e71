"""A notebook under way, as those see it who wait for it: its line of progress, and how to stop it."""

import os
import re
import signal
import sys
import time
from contextlib import suppress
from typing import Self

import psutil
from tqdm import tqdm

from helpers.phrases import for_terminal
from helpers.report import clean


class Watch:
    """One run's kernel. A terminal shows and redraws a line of progress, a log gets a line for each cell."""

    def __init__(self, name: str) -> None:
        self._name = for_terminal(name)
        self._bar: tqdm | None = None
        self._process: psutil.Process | None = None
        self.is_stopped = False

    def __enter__(self) -> Self:
        """Begins to show something."""
        self._begun = time.monotonic()
        self._bar = tqdm(
            desc=f"{self._name}  starting the kernel",
            bar_format="{desc} |{bar:10}| {elapsed}{postfix}",
            file=sys.stderr,
            disable=None,
            leave=False,
            dynamic_ncols=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._bar.close()

    def cell(self, number: int, total: int) -> None:
        """The notebook goes on to another cell."""
        if not self._bar.disable:
            self._bar.total, self._bar.n = total, number - 1
            self._bar.set_postfix_str("", refresh=False)
            self._bar.set_description_str(f"{self._name}  cell {number}/{total}")
        else:
            elapsed = tqdm.format_interval(time.monotonic() - self._begun)
            print(f"{self._name}  cell {number}/{total}  {elapsed}", file=sys.stderr, flush=True)

    def printed(self, text: str) -> None:
        """A cell wrote ``text`` to stderr: of checkpoints it is told, of progress bars the newest one is shown."""
        for said in re.findall(r"CheckpointWarning: (.*)", text):  # no result: reports leave all warnings out
            tqdm.write(f"{self._name}  {for_terminal(clean.printable(said))}", file=sys.stderr)
        bars = [state for state in re.split(r"[\r\n]", text) if clean.is_progress(state)]
        if bars:
            self._bar.set_postfix_str(clean.printable(bars[-1]).strip(), refresh=False)
            self.refresh()

    def refresh(self) -> None:
        """Shows the time that has passed."""
        if self._bar is not None:
            self._bar.refresh()

    def begin(self, pid: int) -> None:
        """The kernel's process has started; on POSIX it leads a group of its own."""
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)
        if self.is_stopped:
            self.end()

    def stop(self) -> None:
        """Kills the kernel, or will as soon as it has started: the run ends as one whose kernel died."""
        self.is_stopped = True
        self.end()

    def end(self) -> None:
        """Ends the kernel and what it may have left, once: later its number may be another process's."""
        process, self._process = self._process, None
        with suppress(psutil.Error, OSError):
            if process is not None and hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            elif process is not None:
                for each in [*process.children(recursive=True), process]:
                    each.kill()
