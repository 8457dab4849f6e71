"""What is read out of an executed notebook: blocks, numbers, the error; and what is left out."""

import sysconfig
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest

from helpers import ROOT
from helpers.record import MIME
from helpers.report import document, workspace
from helpers.report.document import Code, Failure, Figure, Markdown, Output, Table
from tests.report.documents import of_kind


def read(*cells, name="01_x", **metadata):
    return document.read(v4.new_notebook(cells=list(cells), metadata=metadata), name=name)


def text(source, *tags):
    return v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *outputs, tags=()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shown(data):
    return v4.new_output("display_data", data=data)


def recorded(kind, data=(), **content):
    return shown({MIME: {"kind": kind, **content}, **dict(data)})


def figure(name):
    drawing = {"image/svg+xml": "<svg/>", "application/pdf": ""}
    return recorded("figure", drawing, name=name, caption="A line.", alt="a line")


def table(name, *numbers):
    """Of numbers with these names, or of others."""
    content = {"columns": [], "rows": [], "align": [], "bold": []}
    results = [{"name": number, "value": 0.5} for number in numbers]
    return recorded("table", name=name, caption="Scores.", numbers=results, **content)


def error(name, message, traceback=f"\x1b[31m{ROOT}/helpers/train.py\x1b[0m"):
    return v4.new_output("error", ename=name, evalue=message, traceback=[traceback])


def test_notebooks_are_read_as_nbformat_reads_them(tmp_path):
    shown_too = {"text/html": "<b>\nx", "image/png": "AAAA\n", "application/json": ["a", "b"]}
    attached = v4.new_markdown_cell("a\nb", attachments={"a.svg": {"image/svg+xml": "<svg>\n</svg>"}})
    cells = [attached, code("x\ny", stream("a\nb"), shown(shown_too), error("E", "e"))]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    assert workspace.read(tmp_path / "a.ipynb") == nbformat.read(tmp_path / "a.ipynb", as_version=4)


@pytest.mark.parametrize(
    ("source", "title", "rest"),
    [
        ("# Nets on `shapes`: *A* #\ntext", "Nets on shapes: A", ["text", "# Two"]),
        ("## A chapter", "Two", ["## A chapter"]),
        ("# About [C#](https://example.org/c)", "About C#", ["# Two"]),
    ],
)
def test_the_first_level_1_heading_is_the_title_and_is_taken_off(source, title, rest):
    made = read(text(source), text("# Two"))
    assert (made.title, [block.text.strip("\n") for block in made.blocks]) == (title, rest)
    assert read(text("## A chapter"), name="fallback").title == "fallback"


def test_tags_hide_input_output_or_the_whole_cell_and_parameters_where_a_provenance_lists_them():
    cells = [
        code("removed()", stream("never"), tags=["remove-cell"]),
        code("hidden()", stream("kept"), tags=["hide-input"]),
        code("silent()", stream("gone"), tags=["remove-output"]),
        text("An Exception was encountered", "papermill-error-cell-tag"),
        code("EPOCHS = 3", tags=["parameters"]),
        code("EPOCHS = 5", tags=["injected-parameters"]),
    ]
    provenance = recorded("provenance", rows=[], warning="")
    for outputs, are_shown in (
        ([], [False, True, True, True, True]),
        ([provenance], [False, True, False, False, True]),
    ):
        made = read(*cells, code("x", *outputs))
        assert [block.shown for block in of_kind(made, Code)] == are_shown
        assert [block.content for block in of_kind(made, Output)] == ["kept"] and not of_kind(made, Markdown)


def test_metadata_give_parameters_and_times():
    run = {"parameters": {"EPOCHS": 1}, "duration": 61.5, "end_time": "2026-03-01T12:30:15.123456+03:30"}
    made = read(code("x"), papermill=run)
    assert (made.parameters, made.duration, made.finished) == ({"EPOCHS": 1}, 61.5, "2026-03-01T09:00:15+00:00")


def test_provenance_parameters_and_error_name_no_folder_of_this_machine():
    home, library = Path.home(), sysconfig.get_path("stdlib")
    pictures = f"folder:{home}/pics"
    rows = [["Source", f"{home}/pics and {ROOT}/data/cifar"], ["Data set", "at /elsewhere"]]
    provenance = recorded("provenance", rows=rows, warning=f"not {ROOT}", parameters={"A": [pictures], "B": 1})
    failure = error("E", f"no {home}/x, '{ROOT}'", f"{library}/os.py:1\n\x1b[1m{ROOT}/a.py")
    made = read(code(f'A = ["{pictures}"]', provenance, failure, tags=["injected-parameters"]))
    source, provenance, failure = made.blocks
    assert source.source == 'A = ["folder:~/pics"]'
    assert provenance.rows == [("Source", "~/pics and data/cifar"), ("Data set", "at /elsewhere")]
    assert provenance.warning == "not ."
    assert made.parameters == {"A": ["folder:~/pics"], "B": 1}
    assert failure == Failure("E", "no ~/x, '.'", "…/os.py:1\na.py", 1)


DEAD = code("os.abort()")
DEAD.metadata["papermill"] = {"exception": True}


@pytest.mark.parametrize(
    ("cells", "failure"),
    [
        ([code("x", error("E", "\x1b[1mbad\x1b[0m rows"))], Failure("E", "bad rows", "helpers/train.py", 2)),
        ([code("x", error("E", "m"), tags=["remove-cell"])], Failure("E", "m", "helpers/train.py", 2)),
        ([code("x = 1"), DEAD], Failure("Interrupted", "the run ended in this cell and left no error message", "", 3)),
        ([code("exit(1)", error("SystemExit", "1"))], Failure("SystemExit", "1", "helpers/train.py", 2)),
    ],
)
def test_the_first_error_is_shown_once_at_the_end_and_an_exit_is_none(cells, failure):
    made = read(code("exit()", error("SystemExit", "0")), *cells, text("and"), code("x", error("E", "later")))
    assert of_kind(made, Failure) == made.blocks[-1:] == [failure]


@pytest.mark.parametrize(
    ("outputs", "said", "kept"),
    [
        ([figure("same"), figure("same")], "two figures under the name 'same'", ["same", "same"]),
        ([table("same"), table("same", "a")], "two tables under the name 'same'", ["same", "same"]),
        ([table("a", "same"), table("b", "same")], "two numbers under the name 'same'", ["a", "b"]),
        ([figure("../../x")], "a figure's name, '../../x', names a file", []),
        ([table("../../x")], "a table's name, '../../x', names a file", []),
        ([table("same", "../../x")], "a number's name, '../../x', names a file", ["same"]),
    ],
)
def test_a_name_that_is_taken_or_no_files_is_a_failure_and_the_others_are_kept(outputs, said, kept):
    made = read(code("x", figure("good"), table("good"), *outputs))
    assert said in made.failure.message and made.blocks[-1] == made.failure and "../../x" not in made.numbers
    assert [block.name for block in of_kind(made, Figure | Table)] == ["good", "good", *kept]


WARNING = "/tmp/ipykernel_12/345.py:3: UserWarning: careful\n  warnings.warn('careful')\n"
LONGER = (
    "/usr/lib/site-packages/sklearn/linear_model/_logistic.py:473: ConvergenceWarning: lbfgs failed\n"
    "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT\n\n"
    "    https://scikit-learn.org/stable/modules/preprocessing.html\n"
    "  n_iter_i = _check_optimize_result(\n"
)
BAR = "\repoch 1/3:  40%|████      | 4/10 [00:01<00:02,  2.10it/s]"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize(
    ("outputs", "kept"),
    [
        ([stream("one\n"), stream(BAR + BAR + "\r" + " " * 60 + "\r", "stderr"), stream("two\n")], ["one\ntwo"]),
        ([stream("7it [00:00, 96.2it/s]\nthree\n", "stderr")], ["three"]),
        ([stream("loading 1\rloading 2\rloaded\nnext\r\n\x1b[32mgreen\x1b[0m")], ["loaded\nnext\ngreen"]),
        ([stream("accuracy: 57%\n\nA | B")], ["accuracy: 57%\n\nA | B"]),
        ([stream(WARNING + "a log line\n" + LONGER + "another", "stderr")], ["a log line\nanother"]),
        ([stream(WARNING, "stdout")], [WARNING.strip("\n")]),
        ([shown({WIDGET: {"model_id": "1"}, "text/plain": "  0%|   | 0/9 [00:00<?, ?it/s]"})], []),
        ([shown({"text/plain": "[<matplotlib.lines.Line2D at 0x7f3b5c0a1d90>]"})], []),
        ([shown({"text/plain": "<5 rows, 3 at most>"})], ["<5 rows, 3 at most>"]),
    ],
)
def test_what_only_a_terminal_or_python_had_to_say_is_left_out_of_texts(outputs, kept):
    assert [block.content for block in of_kind(read(code("run()", *outputs)), Output)] == kept


def test_the_best_form_of_an_output_is_chosen():
    data = {"application/json": {}}
    for best, content in (("text/plain", "x"), ("text/latex", "$x$"), ("text/html", "<b>x</b>"), ("image/png", "iVBO")):
        data[best] = content
        made = read(code("x", v4.new_output("execute_result", data=data)))
        assert made.blocks == [Code("x", 1), Output(best, content, 1)]


def test_the_reader_sees_the_code_that_was_asked_for_and_all_where_no_cell_is_key():
    for tags, wanted in ((["key"], {"all": ["a", "b"], "key": ["b"], "none": []}), ([], {"key": ["a", "b"]})):
        made = read(code("a"), code("b", tags=tags), text("text"))
        for which, sources in wanted.items():
            seen = document.selected(made, code=which)
            assert [block.source for block in of_kind(seen, Code)] == sources and of_kind(seen, Markdown)


def test_what_is_handed_in_lacks_details_and_unanswered_questions_and_counts_what_it_has():
    made = read(
        text("For all."),
        code("x", figure("every_class"), tags=["detail"]),
        code("y", figure("loss"), table("scores"), tags=["key"]),
        text("## Questions", "question"),
        text("Why?", "question"),
        text(document.UNANSWERED, "answer"),
        text("How much?", "question"),
        code("z", recorded("reading", text="computed"), tags=["question"]),
        text(f"{document.UNANSWERED} پاسخ", "answer"),
        text("When?", "question"),
        text("", "answer"),
    )
    seen = document.selected(made, code="key", edition="hand-in")
    assert [b.text for b in seen.blocks if hasattr(b, "text")] == [
        "For all.", "## Questions", "How much?", "computed", "پاسخ"]  # fmt: skip
    assert [(b.name, b.number) for b in of_kind(seen, Figure | Table)] == [("loss", 1), ("scores", 1)]
    assert [(b.name, b.number) for b in of_kind(document.selected(made), Figure)] == [("every_class", 1), ("loss", 2)]
    silent = document.selected(read(text("## Questions", "question"), text("Why?", "question"), text("", "answer")))
    assert len(silent.blocks) == 3
    assert document.selected(silent, edition="hand-in").blocks == []
