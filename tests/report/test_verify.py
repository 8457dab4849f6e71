"""Hand-ins are run again: what was changed after the run is found, an honest one passes."""

import copy
import re

import nbformat
import pytest

from helpers import record
from helpers.report import cli
from tests.command import stopped, write_notebook

pytestmark = pytest.mark.slow

CODE = """\
import time
import matplotlib.pyplot as plt
import pandas as pd
from helpers import record
accuracy = 0.5 + SEED / 100 + RATE
fig, ax = plt.subplots()
ax.plot([0, accuracy])
record.figure(ax, "line", "A line.", data=pd.DataFrame({"y": [0, accuracy]}))
frame = pd.DataFrame({"run": ["a", "a", "b"], "loss": [accuracy, 2 * accuracy, 1.0], "epoch": [1, 2, 2]})
frame["train_seconds"] = [time.perf_counter() + i for i in range(3)]
record.table(pd.DataFrame([[accuracy, 1.0]], columns=["loss", "loss"]), "twins", "Two columns of one name.")
record.table(frame, "losses", "Both.")
speed = record.Number("speed", "Speed", time.perf_counter(), unit="images/s")
record.numbers([record.Number("accuracy", "Accuracy", accuracy, unit="%"), speed], "results", "Measured.")
record.reading("{network}'s second half reaches {accuracy:.1%}.", network="VGG16", accuracy=accuracy)
print("the end " * 100)"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workbook whose notebook has run."""
    root = tmp_path_factory.mktemp("workbook")
    write_notebook(root, "01_small", CODE, parameters="SEED = 3\nRATE = 0.1")
    assert cli.main(["01", "--format", "html", "-p", "RATE", "0.125"], root=root) == 0
    return root


@pytest.fixture
def executed(root):
    return nbformat.read(root / "reports" / "quick" / "01_small.ipynb", 4)


@pytest.fixture
def verify(root, tmp_path, capsys):
    """What the command says of each hand-in."""

    def say(*, status: int, **notebooks) -> list[str]:
        paths = {name: tmp_path / f"{name}.ipynb" for name in notebooks}
        for name, notebook in notebooks.items():
            nbformat.write(notebook, paths[name])
        assert cli.main(["--verify", *map(str, paths.values()), "--jobs", "2"], root=root) == status
        assert {*tmp_path.iterdir()} == {*paths.values()}
        return capsys.readouterr().out.strip().split("\n\n")

    return say


def recorded(notebook):
    """The outputs of its last cell, by kind."""
    outputs = [output.data for output in notebook.cells[-1].outputs if "data" in output]
    return {data[record.MIME]["kind"]: data for data in outputs if record.MIME in data}


def test_an_honest_hand_in_is_as_computed(executed, verify):
    (said,) = verify(status=0, علی=executed)
    assert re.search(r"علی.ipynb  as computed: \d+ results equal to the last digit$", said)


def test_what_was_changed_after_the_run_is_found(executed, verify):
    results, code = copy.deepcopy(executed), copy.deepcopy(executed)
    made = recorded(results)
    twins = next(output.data[record.MIME] for output in results.cells[-1].outputs if "'twins'" in str(output))
    twins["rows"][0][0] = "0.900"
    made["table"][record.MIME]["rows"][0][1] = "0.900"
    made["table"][record.MIME]["values"][0][1] = 0.9
    made["numbers"][record.MIME]["numbers"][0]["value"] = 0.9
    next(iter(made["reading"][record.MIME]["phrases"].values()))[1]["accuracy"] = 0.9
    made["reading"][record.MIME]["text"] = "VGG16's second half reaches 90.0%."
    made["figure"]["image/svg+xml"] = made["figure"]["image/svg+xml"].replace("<path ", '<path opacity="0.1" ', 1)
    results.cells[-1].outputs[-1].text = results.cells[-1].outputs[-1].text.strip() + " or not"
    code.cells[-1].source += "\nprint('more')"
    recorded(code)["figure"]["application/pdf"] = "AAAA" + recorded(code)["figure"]["application/pdf"][4:]
    for cell in code.cells:
        cell.source = cell.source.replace("SEED = 3", "SEED = 4").replace("0.125", "0.25")
    said = verify(status=1, results=results, code=code)
    assert "NOT AS COMPUTED" in said[0] and "NOT AS COMPUTED" in said[1]
    for words in (
        "table losses, shown, row 1, column 2, loss: '0.900' is shown, the code gives '0.655'",
        "table losses, unrounded, row 1, column 2, loss: '0.9' is shown, the code gives '0.655'",
        "table twins, shown, row 1, column 1, loss: '0.900' is shown, the code gives '0.655'",
        "number accuracy, value: '0.9' is shown, the code gives '0.655'",
        """values of "VGG16's second half reaches 65.5%.": """,
        "figure line, drawing: '#",
        "the end the end or not' is shown, the code gives '…",
        'half reaches 90.0%." is shown, the code gives "VGG16\'s second half reaches 65.5%."',
    ):
        assert words in said[0]
    assert "code of cell 2, parameter RATE: 0.125 → 0.25, parameter SEED: 3 → 4\n" in said[1]
    assert "figure line, drawing: '#" in said[1]


def test_on_another_machine_results_may_differ_a_little_and_a_damaged_hand_in_stops_no_other(executed, verify):
    executed.metadata.workbook.stamp["threads"] = "64"
    hand_ins = {name: copy.deepcopy(executed) for name in ("damaged", "unknown", "raises", "twice", "near", "far")}
    hand_ins["damaged"].metadata.workbook.stamp["code of cell 2"] = None
    del hand_ins["unknown"].metadata.workbook["stamp"]
    hand_ins["raises"].cells[-1].source = "1 / 0"
    hand_ins["twice"].cells[-1].outputs.insert(0, hand_ins["far"].cells[-1].outputs[0])
    for name, changed in (("near", {"value": 0.665}), ("far", {"value": 0.6, "std": 1.0, "reported": 0.65})):
        recorded(hand_ins[name])["numbers"][record.MIME]["numbers"][0] |= changed
    damaged, unknown, raises, twice, near, far = verify(status=1, **hand_ins)
    assert "NOT COMPARED: it is damaged" in damaged and "NOT COMPARED: it has no stamp" in unknown
    assert "NOT COMPARED: it does not run here: ZeroDivisionError" in raises
    assert "NOT COMPARED: it shows a run that failed: DuplicateName" in twice
    assert "near.ipynb  as computed: " in near and "number accuracy, value" in near.partition("nearly equal: ")[2]
    assert "threads: 64 → 1" in near
    wrong = far.partition("another here")[0]
    assert "far.ipynb  NOT AS COMPUTED" in wrong and "number accuracy, reported: '0.65' is shown" in wrong
    assert "number accuracy, value: '0.6' is shown, the code gives '0.655'" in wrong


def test_ctrl_c_ends_it(root, executed, tmp_path):
    executed.cells[-1].source = "while True:\n    pass"
    nbformat.write(executed, tmp_path / "endless.ipynb")
    status, said = stopped(root, "--verify", str(tmp_path / "endless.ipynb"), at=["cell 3/3"])
    assert status == 130 and said == "interrupted: 0 of 1 hand-ins were compared; kernels were stopped\n"
