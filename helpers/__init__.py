"""The small module behind the notebooks: data, models, training, metrics, plots and reports.

Nothing heavy is imported here, so that ``python -m helpers.report --help`` answers at once.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""This folder."""

_IS_INSTALLED = (PACKAGE / "notebooks").is_dir()  # by pip, which puts the notebooks beside the helpers

ROOT = Path.cwd() if _IS_INSTALLED else PACKAGE.parent
"""The repository's root: every path of the project starts here, whatever the working folder is. Where pip has installed
the workbook there is no repository, and it is the folder that Python was started in."""

NOTEBOOKS = (PACKAGE if _IS_INSTALLED else ROOT) / "notebooks"
"""The notebooks, and what they and their reports read: profiles, what was reported, references, languages."""

DATA = (ROOT / Path(os.environ.get("WORKBOOK_DATA") or "data").expanduser()).resolve()
"""Data sets, weights, caches and checkpoints. The environment variable WORKBOOK_DATA moves it, to a larger disk say;
a relative path counts from the root."""


class WorkbookError(Exception):
    """Base of every error that these helpers raise on purpose: its message says what to do about it.

    In place of a traceback a notebook shows the message, and the lines of its own that led there.
    """

    def _render_traceback_(self) -> list[str]:  # IPython calls it
        import traceback

        walked = zip(traceback.walk_tb(self.__traceback__), traceback.extract_tb(self.__traceback__), strict=True)
        own = [line for (frame, _), line in walked if frame.f_globals.get("__name__") == "__main__"]
        return [_in_red(self), *(f"    line {line.lineno}, in {line.name.strip('<>')}: {line.line}" for line in own)]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a front end's Stop, ended what these helpers were doing; a notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        return [_in_red(self)]


def _in_red(error: BaseException) -> str:
    return f"\x1b[31m{type(error).__name__}\x1b[0m: {error}"


CHECKPOINTS = DATA / "cache" / "checkpoints"
"""Where the notebooks' trainings keep theirs, a folder for each kind of training."""
