"""The report command in a process of its own, for a workbook that lies elsewhere."""

import sys
from pathlib import Path

CODE = """\
import sys
from pathlib import Path
from helpers.report.cli import main
sys.exit(main(sys.argv[2:], root=Path(sys.argv[1])))"""
"""The command as a program: its first argument is the folder that holds ``notebooks``."""


def report_command(root: Path | str, *arguments: str) -> list[str]:
    """What to start; ``helpers`` must be importable there, from the working folder or by PYTHONPATH.

    Args:
        root: the folder that holds ``notebooks``.
        arguments: as after ``python -m helpers.report``.
    """
    return [sys.executable, "-c", CODE, str(root), *arguments]
