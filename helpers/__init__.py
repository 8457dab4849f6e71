"""The small module behind the notebooks: data, models, training, metrics, plots and reports.

Nothing heavy is imported here, so that ``python -m helpers.report --help`` answers at once.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository's root: every path of the project starts here, whatever the working folder is."""

DATA = (ROOT / Path(os.environ.get("WORKBOOK_DATA") or "data").expanduser()).resolve()
"""Data sets, weights, caches and checkpoints. The environment variable WORKBOOK_DATA moves it, to a larger disk say;
a relative path counts from the root."""


class WorkbookError(Exception):
    """Base of every error that these helpers raise on purpose: its message says what to do about it."""


CHECKPOINTS = DATA / "cache" / "checkpoints"
"""Where the notebooks' trainings keep theirs, a folder for each kind of training."""
