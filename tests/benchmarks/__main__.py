"""``python -m tests.benchmarks NAME …``: runs the benchmark of that name, a file of this folder with a ``main``."""

import importlib
import pkgutil
import sys

import tests.benchmarks
from helpers import WorkbookError

# Folders hold what several benchmarks share.
modules = (module for module in pkgutil.iter_modules(tests.benchmarks.__path__) if not module.ispkg)
names = sorted(module.name for module in modules if module.name != "__main__")
if len(sys.argv) < 2 or sys.argv[1] not in names:
    print(f"usage: python -m tests.benchmarks {{{','.join(names)}}} [--help]", file=sys.stderr)
    sys.exit(2)
try:
    sys.exit(importlib.import_module(f"tests.benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
except WorkbookError as error:
    sys.exit(str(error))
