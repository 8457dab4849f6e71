"""Any literal goes from the command line or a file, by way of papermill, into the cell that the kernel runs."""

import json
import warnings
from contextlib import suppress
from keyword import iskeyword

import nbformat
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers.report.parameters import defaults, plan
from helpers.report.workspace import Refused, UnreadableNotebook, Workspace

# The same examples in every run.
some = settings(max_examples=50, deadline=None, derandomize=True)
many = settings(max_examples=100, deadline=None, derandomize=True)

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True).filter(lambda name: not iskeyword(name))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
INTEGERS = st.integers(-(2**70), 2**70)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)


def alike(default, value):
    """A default, and a value of its kind."""
    return st.tuples(default, value)


OVERRIDES = st.one_of(
    alike(st.booleans(), st.booleans()),
    alike(INTEGERS, INTEGERS | st.none()),
    alike(FLOATS, FLOATS | st.integers(-(2**53), 2**53) | st.none()),
    alike(st.none(), FLOATS | INTEGERS | st.none()),
    alike(TEXTS, TEXTS),
    alike(st.lists(INTEGERS, min_size=1), st.lists(INTEGERS)),
    alike(st.lists(INTEGERS, min_size=1).map(lambda items: [*items, None]), st.lists(INTEGERS | st.none())),
    alike(st.lists(FLOATS, min_size=1), st.lists(FLOATS)),
    alike(st.lists(TEXTS, min_size=1), st.lists(TEXTS)),
    alike(st.just([]), st.lists(JSON, max_size=3)),
    alike(st.dictionaries(TEXTS, JSON, max_size=3), st.dictionaries(TEXTS, JSON, max_size=3)),
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("workbook"))
    (workspace.notebooks / "profiles" / "full").mkdir(parents=True)
    return workspace


def write_notebook(workspace, source):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    path = workspace.notebooks / "01_any.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def assignments(values):
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def executed(path, values):
    """What the notebook's names are worth after its cells have run, with the values put in as a run does it."""
    read = load_notebook_node(str(path))
    written = nbformat.writes(parameterize_notebook(read, values, kernel_name="python3", language="python"))
    namespace = {}
    for cell in nbformat.reads(written.encode().decode(), 4).cells:  # as a file has it
        exec(cell.source, namespace)
    return {name: value for name, value in namespace.items() if name.isupper()}


def typed(value):
    """The command line's text for a value: a text as it is, anything else as YAML."""
    return value if isinstance(value, str) else in_yaml(value, default_flow_style=True).removesuffix("...\n")


def in_yaml(value, **options):
    return yaml.safe_dump(value, sort_keys=False, **options)


@some
@given(st.dictionaries(NAMES, JSON, min_size=1, max_size=5))
def test_any_json_literal_is_a_default_and_stays_what_it_is(workspace, values):
    path = write_notebook(workspace, assignments(values))
    assert repr(defaults(nbformat.read(path, 4), name="01")) == repr(values)
    assert plan(workspace, [path]).values == {path: {}}
    assert repr(executed(path, {})) == repr(values)
    # Given as they are, they come out as they were: papermill writes them anew.
    assert repr(executed(path, dict(values))) == repr(values)


@pytest.mark.parametrize("way", ["command line", "file", "profile"])
@some
@example(name="FOLDER", pair=("", "folder:C:\\new\\table 'x' \"y\" گربه\u2028\x85\x00\n"))
@example(name="RATES", pair=([0.1], [1e-05, 5e-324, 1.7976931348623157e308, -0.0]))
@given(name=NAMES, pair=OVERRIDES)
def test_any_value_of_the_default_s_kind_reaches_the_executed_cell(workspace, way, name, pair):
    default, value = pair
    path = write_notebook(workspace, assignments({"FIRST": 1, name: default}))
    file = workspace.profile_file("full", path) if way == "profile" else workspace.root / "mine.yaml"
    file.write_text(in_yaml({name: value}), encoding="utf-8")
    options = {
        "command line": {"assignments": [(name, typed(value))]},
        "file": {"file": file},
        "profile": {"profile": "full"},
    }
    planned = plan(workspace, [path], **options[way]).values[path]
    found = executed(path, planned)[name]
    # A whole number does for a float, and becomes one.
    expected = float(value) if isinstance(default, float) and isinstance(value, int) else value
    assert repr(found) == repr(expected)
    assert json.loads(json.dumps(planned)) == planned


def kind(value):
    return "number" if type(value) in (int, float) else type(value).__name__


@many
@given(name=NAMES, default=SCALARS | st.just([]) | st.just({}), value=SCALARS | st.just([]) | st.just({}))
def test_a_value_of_another_kind_is_one_clear_error(workspace, name, default, value):
    path = write_notebook(workspace, assignments({name: default}))
    file = workspace.root / "mine.yaml"
    file.write_text(in_yaml({name: value}), encoding="utf-8")
    kinds = {kind(default), kind(value)}
    fits = len(kinds) == 1 or kinds == {"number", "NoneType"}
    if fits and not (type(default) is int and type(value) is float):
        assert name in plan(workspace, [path], file=file).values[path]
        return
    with pytest.raises(Refused) as error:
        plan(workspace, [path], file=file)
    assert all(part in str(error.value) for part in (str(file), name, repr(value)))


YAML_PIECES = st.sampled_from(
    ["[", "]", "{", "}", ": ", ", ", "- ", "\n", "&a ", "*a", "!!int ", "!!timestamp ", "0x_", "2024-13-45", "<<",
     "=", "~", "'", '"', "1e999", ".nan", "%", "? ", "| ", "\t", "A", "B", "\ud800", "\x00", "1", "None", "null",
     "!!binary ", "..."]
)  # fmt: skip
YAML_TEXTS = st.text(max_size=20) | st.lists(YAML_PIECES, max_size=8).map("".join)


@many
@example("[0x_]", [1])
@example("[2024-13-45]", [1])
@example("!!timestamp x", {})
@example("[" * 3000, [1])
@example("&a [*a]", [])
@example("1" + "0" * 400, 0.5)
@example("1" * 5000, 1)
@example("1" * 5000, None)
@example("folder:\udcff", "")
@given(YAML_TEXTS, SCALARS | st.just([]) | st.just([1, None]) | st.just({}))
def test_any_text_on_the_command_line_is_a_value_or_refused(workspace, text, default):
    path = write_notebook(workspace, assignments({"A": default}))
    try:
        values = plan(workspace, [path], assignments=[("A", text)]).values[path]
    except Refused as error:
        assert "A" in str(error) or "cannot read" in str(error)
        return
    assert repr(executed(path, values)["A"]) == repr(values["A"])


CODE_PIECES = st.sampled_from(
    ["A", "B", " = ", "\n", "1", "-", "[", "]", "{", "}", ": ", ", ", "'x'", "b''", "(", ")", "**A", "1j", "\x00",
     "...", "f'{A}'", "lambda: 1", "None", "# text", "\\", "%time", "!ls", "import os", ";", "1e999", "0777", "'",
     '"""']
)  # fmt: skip


@many
@example("A = {[]: 1}")
@example("A = '\ud800'")
@example("A = 1\x00")
@example("A = " + "9" * 5000)
@given(st.lists(CODE_PIECES, max_size=9).map("".join) | st.text(max_size=20))
def test_any_parameters_cell_is_read_without_running_it_or_refused(source):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    with warnings.catch_warnings(), suppress(UnreadableNotebook):
        warnings.simplefilter("ignore")  # of Python, about the source
        values = defaults(nbformat.v4.new_notebook(cells=[cell]), name="01_any")
        assert all(name.isupper() for name in values)
        assert json.loads(json.dumps(values, allow_nan=False)) == values
