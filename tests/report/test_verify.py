"""Hand-ins are run again: what was changed after the run is found, an honest one passes."""

import copy
import shutil
import signal
import subprocess

import nbformat
import psutil
import pytest

from helpers import ROOT, record
from helpers.report import cli
from tests.command import RESULT, report_command, write_notebook

CODE = """\
import matplotlib.pyplot as plt
import pandas as pd
from helpers import record
accuracy = 0.5 + SEED / 100 + RATE
fig, ax = plt.subplots()
ax.plot([0, accuracy])
record.figure(ax, "line", "A line.", data=pd.DataFrame({"y": [0, accuracy]}))
frame = pd.DataFrame({"run": ["a", "a", "b"], "loss": [accuracy, 2 * accuracy, 1.0], "epoch": [1, 2, 2]})
record.table(frame, "losses", "Both.")
record.numbers([record.Number("accuracy", "Accuracy", accuracy, unit="%")], "results", "Measured.")
record.reading("VGG16's second half reaches {accuracy:.1%}.", accuracy=accuracy)
print("the end")"""


def content(notebook, kind):
    """What the notebook's cell recorded, and the whole output."""
    outputs = [o for o in notebook.cells[-1].outputs if o.get("data", {}).get(record.MIME, {}).get("kind") == kind]
    return outputs[0].data[record.MIME], outputs[0].data


def a_number_in_a_table(notebook):
    content(notebook, "table")[0]["rows"][0][1] = "0.900"


def a_result(notebook):
    content(notebook, "numbers")[0]["numbers"][0]["value"] = 0.9


def a_figure(notebook):
    drawn = content(notebook, "figure")[1]
    drawn["image/svg+xml"] = drawn["image/svg+xml"].replace("<path ", '<path opacity="0.1" ', 1)


def what_is_printed_of_a_figure(notebook):
    drawn = content(notebook, "figure")[1]
    drawn["application/pdf"] = "AAAA" + drawn["application/pdf"][4:]


def what_was_printed(notebook):
    notebook.cells[-1].outputs[-1].text = "another end"


def a_reading(notebook):
    content(notebook, "reading")[0]["text"] = "VGG16's second half reaches 90.0%."


def the_code(notebook):
    notebook.cells[-1].source = notebook.cells[-1].source.replace("0.5", "0.6")


def a_parameter(notebook):
    cell = next(cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("0.125", "0.25")


def the_seed(notebook):
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("SEED = 3", "SEED = 4")


FOUND = {
    a_number_in_a_table: "table losses, row 1 (a), loss: '0.900' is shown, the code gives '0.655'",
    a_result: "number accuracy: 0.9 is shown, the code gives 0.655",
    a_figure: "figure line is not what the code draws",
    what_is_printed_of_a_figure: "figure line is not what the code draws",
    what_was_printed: "output 1 of cell 3: 'text/plain: another end' is shown, the code gives 'text/plain: the end'",
    a_reading: 'half reaches 90.0%." is shown, the code gives "VGG16\'s second half reaches 65.5%."',
    the_code: "code of cell 2",
    a_parameter: "parameter RATE: 0.125 → 0.25",
    the_seed: "parameter SEED: 3 → 4",
}


@pytest.mark.slow
def test_what_was_changed_after_the_run_is_found_and_an_honest_copy_passes(tmp_path, capsys):
    write_notebook(tmp_path, "01_small", CODE, parameters="SEED = 3\nRATE = 0.1")
    assert cli.main(["01", "--format", "html", "-p", "RATE", "0.125"], root=tmp_path) == 0
    executed = nbformat.read(tmp_path / "reports" / "quick" / "01_small.ipynb", 4)
    folder = tmp_path / "handed in"
    folder.mkdir()
    for change in FOUND:
        notebook = copy.deepcopy(executed)
        change(notebook)
        nbformat.write(notebook, folder / f"{change.__name__}.ipynb")
    capsys.readouterr()
    assert cli.main(["--verify", str(folder), "--jobs", "2"], root=tmp_path) == 1
    said = capsys.readouterr().out
    for change, words in FOUND.items():
        about = said.partition(f"{change.__name__}.ipynb  ")[2].partition("\n\n")[0]
        assert about.startswith("NOT AS COMPUTED") and words in about, said

    honest = tmp_path / "علی.ipynb"
    shutil.copy(tmp_path / "reports" / "quick" / "01_small.ipynb", honest)
    assert cli.main(["--verify", str(honest)], root=tmp_path) == 0
    assert "علی.ipynb  as computed: 20 results equal to the last digit" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.html")) and {path.suffix for path in folder.iterdir()} == {".ipynb"}


@pytest.mark.slow
def test_on_another_machine_results_may_differ_a_little_and_a_damaged_hand_in_stops_no_other(tmp_path, capsys):
    write_notebook(tmp_path, "01_small", CODE, parameters="SEED = 3\nRATE = 0.1")
    assert cli.main(["01", "--format", "html"], root=tmp_path) == 0
    executed = nbformat.read(tmp_path / "reports" / "quick" / "01_small.ipynb", 4)
    executed.metadata.workbook.stamp["machine"]["threads"] = "64"
    for name, value in (("near", 0.64), ("far", 0.6)):
        content(executed, "numbers")[0]["numbers"][0] |= {"value": value, "std": 1.0}
        nbformat.write(executed, tmp_path / f"{name}.ipynb")
    executed.metadata.workbook.stamp["libraries"] = None
    nbformat.write(executed, tmp_path / "damaged.ipynb")
    capsys.readouterr()
    paths = [str(tmp_path / f"{name}.ipynb") for name in ("damaged", "near", "far")]
    assert cli.main(["--verify", *paths], root=tmp_path) == 1
    damaged, near, far = capsys.readouterr().out.strip().split("\n\n")
    assert "NOT COMPARED: it" in damaged
    assert "near.ipynb  as computed: " in near and "nearly equal: number accuracy" in near
    assert "threads: 64 → 1" in near
    assert "far.ipynb  NOT AS COMPUTED" in far and "number accuracy: 0.6 is shown, the code gives 0.63" in far


@pytest.mark.slow
def test_ctrl_c_ends_it(tmp_path):
    code = "import pathlib\nwhile pathlib.Path('waits').exists():\n    pass"
    write_notebook(tmp_path, "01_small", RESULT, code)
    assert cli.main(["01", "--format", "html"], root=tmp_path) == 0
    (tmp_path / "waits").touch()
    command = report_command(tmp_path, "--verify", str(tmp_path / "reports" / "quick"))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            next(line for line in process.stderr if "cell 3/3" in line)
            kernels = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130 and said == "interrupted: 0 of 1 hand-ins were compared; kernels were stopped\n"
    assert kernels and not psutil.wait_procs(kernels, timeout=120)[1]
