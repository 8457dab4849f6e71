"""``python -m tests.benchmarks NAME …``: runs the benchmark of that name, a file of this folder with a ``main``."""

import importlib
import pkgutil
import sys

import tests.benchmarks

names = sorted(module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__) if module.name != "__main__")
if len(sys.argv) < 2 or sys.argv[1] not in names:
    print(f"usage: python -m tests.benchmarks {{{','.join(names)}}} [--help]", file=sys.stderr)
    sys.exit(2)
sys.exit(importlib.import_module(f"tests.benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
