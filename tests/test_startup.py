"""A notebook's first cell should not take much longer than importing PyTorch, NumPy, pandas and matplotlib."""

import pkgutil
import subprocess
import sys

import pytest

import helpers

SLOW = ("timm", "torchvision", "huggingface_hub", "sklearn", "scipy", "seaborn", "papermill", "nbconvert", "typst")


@pytest.mark.slow
def test_importing_all_of_helpers_imports_nothing_slow():
    names = [module.name for module in pkgutil.iter_modules(helpers.__path__)]
    assert {"data", "models", "evaluate", "plots", "train", "transfer", "report"} <= set(names)
    lines = [*(f"import helpers.{name}" for name in names), "import helpers.record, sys"]
    code = "\n".join([*lines, f"print([name for name in {SLOW} if name in sys.modules])"])
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
