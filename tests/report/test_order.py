"""Which notebook runs before which."""

import random

import nbformat
import pytest

from helpers import ROOT
from helpers.report import plain
from helpers.report.order import after, in_order, predecessors
from helpers.report.workspace import Refused, UnknownName, Workspace


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("01_a", "02_b", "03_c", "04_d"):
        nbformat.write(nbformat.v4.new_notebook(), folder / f"{name}.ipynb")
    return Workspace(tmp_path)


def ordered(workspace, *names, **declared):
    """Numbers in the order in which the notebooks run, where ``_2=["1"]`` says that 02 comes after 01."""
    notebooks = workspace.choose(names)
    wanted = {path: declared.get(f"_{int(path.stem[:2])}", []) for path in notebooks}
    return [int(path.stem[:2]) for path in in_order(notebooks, predecessors(wanted, workspace))]


def test_without_declarations_the_order_stays(workspace):
    assert ordered(workspace, "3", "1", "2") == [3, 1, 2]


@pytest.mark.parametrize("name", ["01_a", "01", "1", "01_a.ipynb"])
def test_a_predecessor_comes_first_the_others_stay(workspace, name):
    assert ordered(workspace, "4", "2", "3", "1", _2=[name]) == [4, 1, 2, 3]


def test_chains(workspace):
    assert ordered(workspace, "4", "3", "2", "1", _4=["3"], _3=["2", "1"], _2=["1"]) == [1, 2, 3, 4]


def test_a_predecessor_that_was_not_chosen_is_not_needed(workspace):
    assert ordered(workspace, "2", "3", _2=["1"]) == [2, 3]


def test_any_declarations_without_a_circle_are_kept(workspace):
    pick = random.Random(0)
    for _ in range(50):
        ranks = pick.sample(range(1, 5), 4)
        declared = {f"_{n}": [str(m) for m in ranks[: ranks.index(n)] if pick.random() < 0.5] for n in ranks}
        order = ordered(workspace, *map(str, pick.sample(ranks, 4)), **declared)
        assert sorted(order) == [1, 2, 3, 4]
        for name, names in declared.items():
            assert all(order.index(int(m)) < order.index(int(name[1:])) for m in names)


@pytest.mark.parametrize("circle", [{"_1": ["1"]}, {"_1": ["2"], "_2": ["1"]}, {"_1": ["3"], "_3": ["2"], "_2": ["1"]}])
def test_a_circle_is_refused(workspace, circle):
    with pytest.raises(Refused, match=r"01_a after .*01_a"):
        ordered(workspace, "1", "2", "3", "4", **circle)


def test_an_unknown_name_is_refused(workspace):
    with pytest.raises(UnknownName, match=r"02_b.*'01_aa'; did you mean '01_a'"):
        ordered(workspace, "2", _2=["01_aa"])


def test_declarations_are_read_from_the_metadata():
    def notebook(about):
        return nbformat.v4.new_notebook(metadata={"workbook": about})

    assert after(nbformat.v4.new_notebook()) == after(notebook({})) == []
    assert after(notebook({"after": ["01_a", 2]})) == ["01_a", "2"]
    for wrong in ("01_a", [None], {"01_a": 1}):
        with pytest.raises(Refused, match="list of names"):
            after(notebook({"after": wrong}))


def test_the_workbooks_own_notebooks():
    workspace = Workspace(ROOT)
    wanted = {path: after(plain.read(path)) for path in reversed(workspace.numbered())}
    order = [path.stem[:2] for path in in_order(list(wanted), predecessors(wanted, workspace))]
    assert order.index("01") < order.index("02") and order.index("07") < order.index("08")
