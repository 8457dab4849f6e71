"""A notebook's first cell should not take much longer than importing PyTorch, and --help shows at once."""

import pkgutil
import subprocess
import sys

import pytest

import helpers

SLOW = {"timm", "torchvision", "huggingface_hub", "sklearn", "scipy", "seaborn", "papermill", "nbconvert", "typst"}
NOT_FOR_HELP = {"torch", "pandas", "matplotlib", "IPython", "jinja2", "nbclient", "nbformat", *SLOW}


def said(code: str, slow: set[str]) -> str:
    """What code in a process of its own prints, which imports none of these modules."""
    code += f"\nimport sys\nassert not {slow} & sys.modules.keys(), {slow} & sys.modules.keys()"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=helpers.ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_importing_all_of_helpers_imports_nothing_slow():
    names = {module.name for module in pkgutil.iter_modules(helpers.__path__)}
    assert names > {"data", "models", "evaluate", "plots", "record", "train", "transfer", "report"}
    said("\n".join(f"import helpers.{name}" for name in names), SLOW)


@pytest.mark.slow
def test_help_imports_nothing_slow_and_shows_examples():
    run = "runpy.run_module('helpers.report', run_name='__main__')"
    help_ = f"import runpy, sys; sys.argv = ['report', '--help']\ntry: {run}\nexcept SystemExit: pass"
    assert "examples:" in said(help_, NOT_FOR_HELP)
