"""Measurements that take minutes or real data, and so are no tests: ``python -m tests.benchmarks NAME``."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from helpers import ROOT


def in_processes(number: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a function gives in so many new processes at once: trainings of notebooks have one each."""
    run = f"from {function.__module__} import {function.__name__} as run; result = run(*{arguments!r})"
    call = [sys.executable, "-c", f"import json; {run}; print(json.dumps(result))"]
    started = [subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
