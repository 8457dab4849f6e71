"""The report command in a process of its own, for a workbook that lies elsewhere."""

import sys
from pathlib import Path


def report_command(root: Path | str, *arguments: str) -> list[str]:
    """What to start; ``helpers`` must be importable there, from the working folder or by PYTHONPATH.

    Args:
        root: the folder that holds ``notebooks``.
        arguments: as after ``python -m helpers.report``.
    """
    code = "import sys; from pathlib import Path; from helpers.report.cli import main; "
    code += "sys.exit(main(sys.argv[2:], root=Path(sys.argv[1])))"
    return [sys.executable, "-c", code, str(root), *arguments]
