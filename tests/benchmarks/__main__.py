"""``python -m tests.benchmarks NAME …``: runs the benchmark of that name."""

import importlib
import sys

from helpers import WorkbookError

NAMES = ("frozen", "loop", "neighbours", "scaling")
if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    sys.exit(f"usage: python -m tests.benchmarks {{{','.join(NAMES)}}} [--help]")
try:
    sys.exit(importlib.import_module(f"tests.benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
except WorkbookError as error:
    sys.exit(str(error))
