"""Ctrl-C that waits for the end of a step."""

import signal
import threading
from types import FrameType


class InterruptFlag:
    """Inside its context the first Ctrl-C only sets this flag; the second one interrupts at once, as usual.

    So a step is never left half done. Where signals can't be caught (outside the main thread) Ctrl-C stays as it is.
    """

    def __init__(self) -> None:
        self._is_set = False

    def __bool__(self) -> bool:
        return self._is_set

    def __enter__(self) -> "InterruptFlag":
        self._catches = threading.current_thread() is threading.main_thread()
        if self._catches:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._catches:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_set:
            raise KeyboardInterrupt
        self._is_set = True
