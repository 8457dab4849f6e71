"""What is read out of an executed notebook: blocks, numbers, the error; and what is left out."""

import base64
import csv
import io
import sysconfig
import time
from pathlib import Path

import nbformat.v4 as v4
import pytest

from helpers import ROOT
from helpers.record import MIME
from helpers.report import clean, document
from helpers.report.document import Code, Failure, Figure, Markdown, Output, Provenance, Reading, Table


def notebook(*cells, **papermill):
    made = v4.new_notebook(cells=list(cells))
    if papermill:
        made.metadata["papermill"] = papermill
    return made


def code(source, *outputs, tags=()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shown(data, kind="display_data"):
    return v4.new_output(kind, data=data)


def figure(name, csv=""):
    content = {"kind": "figure", "name": name, "caption": f"the caption of {name}", "alt": "a line", "csv": csv}
    drawing = {"image/svg+xml": "<svg/>", "application/pdf": base64.b64encode(b"%PDF").decode()}
    return shown({MIME: content, **drawing})


def table(name, values):
    content = {"columns": ["class", "F1"], "rows": [["a", "0.5"]], "align": ["left", "right"], "bold": [[0, 1]]}
    return shown({MIME: {"kind": "table", "name": name, "caption": "scores", **content, "values": values}})


def numbers(name, *keys):
    shown_as = {"reported": "–", "value": "50.00 %", "difference": "–"}
    known = {"value": 0.5, "std": None, "runs": 1, "reported": None, "unit": "%", "shown": shown_as}
    entries = [{"name": key, "label": key, **known} for key in keys]
    rows = [[key, "–", "50.00 %", "–"] for key in keys]
    content = {"columns": ["Quantity", "Reported earlier", "This run", "Difference"], "rows": rows}
    sides = {"align": ["left", "right", "right", "right"], "bold": []}
    return shown({MIME: {"kind": "numbers", "name": name, "caption": "c", **content, **sides, "numbers": entries}})


PROVENANCE = shown(
    {MIME: {"kind": "provenance", "rows": [["Data set", "shapes"]], "warning": "STAND-IN", "parameters": {"EPOCHS": 5}}}
)


def error(name, message):
    return v4.new_output("error", ename=name, evalue=message, traceback=[f"\x1b[31m{ROOT}/helpers/train.py\x1b[0m"])


def kinds(made):
    return [type(block) for block in made.blocks]


def texts(*outputs, tags=()):
    blocks = document.read(notebook(code("run()", *outputs, tags=tags))).blocks
    return [block.content for block in blocks if isinstance(block, Output)]


def test_blocks_come_in_order_and_are_numbered_by_kind():
    made = document.read(
        notebook(
            v4.new_markdown_cell("# A title\n\nAn introduction"),
            code("x = 1", PROVENANCE, figure("one"), table("scores", [["a", 0.512345]])),
            code(
                "y = 2",
                figure("two"),
                numbers("results", "accuracy"),
                shown({MIME: {"kind": "reading", "text": "good"}}),
            ),
        )
    )
    assert kinds(made) == [Markdown, Code, Provenance, Figure, Table, Code, Figure, Table, Reading]
    assert [block.number for block in made.blocks if isinstance(block, Figure)] == [1, 2]
    assert [block.number for block in made.blocks if isinstance(block, Table)] == [1, 2]
    assert [block.cell for block in made.blocks if isinstance(block, Code)] == [1, 2]
    assert made.blocks[3].pdf == b"%PDF"
    assert made.blocks[4].values == [["a", 0.512345]]
    assert made.blocks[4].bold == [(0, 1)]
    assert made.parameters == {"EPOCHS": 5}
    assert made.numbers["accuracy"]["value"] == 0.5
    assert made.numbers["accuracy"]["shown"] == {"reported": "–", "value": "50.00 %", "difference": "–"}


@pytest.mark.parametrize(
    ("source", "title", "rest"),
    [
        ("# Nets on `shapes`: *A* #\ntext", "Nets on shapes: A", ["text"]),
        ("A title\n=======\n\ntext", "A title", ["\ntext"]),
        ("```\n# a comment\n```", "fallback", ["```\n# a comment\n```"]),
        ("## A chapter", "fallback", ["## A chapter"]),
        ("# About [C#](https://example.org/c)", "About C#", []),
    ],
)
def test_the_first_level_1_heading_is_the_title(source, title, rest):
    made = document.read(notebook(v4.new_markdown_cell(source)), name="fallback")
    assert made.title == title
    assert [block.text.strip("\n") for block in made.blocks] == [text.strip("\n") for text in rest]


def test_only_one_heading_is_taken_off():
    made = document.read(notebook(v4.new_markdown_cell("# One"), v4.new_markdown_cell("# Two")))
    assert (made.title, [block.text for block in made.blocks]) == ("One", ["# Two"])


def test_tags_hide_input_output_or_the_whole_cell():
    made = document.read(
        notebook(
            code("removed()", stream("never"), tags=["remove-cell"]),
            code("hidden()", stream("kept"), tags=["hide-input"]),
            code("silent()", stream("gone"), tags=["remove-output"]),
            v4.new_markdown_cell("An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}),
        )
    )
    assert kinds(made) == [Code, Output, Code]
    assert [block.shown for block in made.blocks if isinstance(block, Code)] == [False, True]
    assert made.blocks[1].content == "kept"


@pytest.mark.parametrize(("outputs", "expected"), [([PROVENANCE], False), ([], True)])
def test_parameters_are_hidden_only_where_a_provenance_lists_them(outputs, expected):
    cells = [code("EPOCHS = 3", tags=["parameters"]), code("EPOCHS = 5", tags=["injected-parameters"])]
    made = document.read(notebook(*cells, code("x", *outputs)))
    assert [block.shown for block in made.blocks if isinstance(block, Code)] == [expected, expected, True]


def test_papermills_metadata_give_parameters_duration_and_end():
    run = {"parameters": {"EPOCHS": 1}, "duration": 61.5, "end_time": "2026-03-01T12:30:15.123456+03:30"}
    made = document.read(notebook(code("x = 1"), **run))
    assert (made.parameters, made.duration, made.finished) == ({"EPOCHS": 1}, 61.5, "2026-03-01T09:00:15+00:00")
    plain = document.read(notebook(code("x = 1")))
    assert (plain.parameters, plain.duration, plain.finished, plain.failed) == ({}, None, None, False)


def test_an_error_is_shown_once_at_the_end_without_colours_and_machine_paths():
    cells = [
        code("boom()", stream("before"), error("ValueError", "\x1b[1mbad\x1b[0m rows")),
        v4.new_markdown_cell("a later text"),
    ]
    made = document.read(notebook(*cells))
    assert made.failed
    assert made.blocks[-1] == Failure("ValueError", "bad rows", "helpers/train.py", 1)
    assert kinds(made).count(Failure) == 1


def test_the_provenance_says_how_much_memory_the_run_needed():
    executed = notebook(code("x", PROVENANCE))
    assert [label for label, _ in document.read(executed).blocks[1].rows] == ["Data set"], "unknown outside the command"
    executed.metadata["workbook"] = {"peak_mib": 1234}
    label, text = document.read(executed).blocks[1].rows[-1]
    assert label == "Peak memory" and "1,234 MiB" in text


def test_provenance_parameters_and_error_name_no_folder_of_this_machine():
    home, library = Path.home(), sysconfig.get_path("stdlib")
    pictures = f"folder:{home}/pics"
    rows = [["Source", f"{home}/pics and {ROOT}/data/cifar"], ["Data set", "at /elsewhere"]]
    content = {"kind": "provenance", "rows": rows, "warning": f"not {ROOT}", "parameters": {"A": [pictures], "B": 1}}
    failure = v4.new_output(
        "error", ename="E", evalue=f"no {home}/x, '{ROOT}'", traceback=[f"{library}/os.py:1", f"\x1b[1m{ROOT}/a.py"]
    )
    made = document.read(notebook(code("x", shown({MIME: content}), failure)))
    provenance, error = made.blocks[1:]
    assert provenance.rows == [("Source", "~/pics and data/cifar"), ("Data set", "at /elsewhere")]
    assert provenance.warning == "not ."
    assert made.parameters == {"A": ["folder:~/pics"], "B": 1}
    assert error == Failure("E", "no ~/x, '.'", "…/os.py:1\na.py", 1)


def test_only_whole_folders_are_taken_out_of_a_text(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ali")
    text = "/home/ali/a /home/alice/b /mnt/home/ali/c file:///home/ali https://x.org/home/ali (/home/ali)."
    assert clean.private(text) == "~/a /home/alice/b /mnt/home/ali/c file://~ https://x.org/home/ali (~)."


def test_injected_parameters_name_no_folder_of_this_machine():
    made = document.read(notebook(code(f'DATASET = "folder:{Path.home()}/pics"', tags=["injected-parameters"])))
    assert made.blocks[0].source == 'DATASET = "folder:~/pics"'


def test_the_notebooks_metadata_name_its_key_figure_and_numbers():
    made = notebook(code("x"))
    assert (document.read(made).key_figure, document.read(made).key_numbers) == ("", ())
    made.metadata["workbook"] = {"key_figure": "curves", "key_numbers": ["accuracy", "time"]}
    assert (document.read(made).key_figure, document.read(made).key_numbers) == ("curves", ("accuracy", "time"))


def test_an_error_in_a_removed_cell_is_still_a_failure():
    assert document.read(notebook(code("x", error("E", "m"), tags=["remove-cell"]))).failed


def test_a_dead_kernel_is_a_failure_though_it_leaves_no_error():
    cell = code("os.abort()")
    cell.metadata["papermill"] = {"exception": True}
    made = document.read(notebook(code("x = 1"), cell))
    assert (made.failed, made.blocks[-1].cell) == (True, 2)


def test_a_notebook_that_ends_itself_with_exit_has_not_failed():
    assert not document.read(notebook(code("exit()", error("SystemExit", "0")))).failed
    assert document.read(notebook(code("exit(1)", error("SystemExit", "1")))).failed


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ([figure("same"), figure("same")], "figures"),
        ([table("same", []), numbers("same", "a")], "tables"),
        ([numbers("one", "same"), numbers("two", "same")], "numbers"),
    ],
)
def test_two_results_of_one_name_fail_and_are_all_kept(outputs, kind):
    made = document.read(notebook(code("x", *outputs)))
    assert made.failed
    assert f"two {kind} under the name 'same'" in made.blocks[-1].message
    assert len(made.blocks) == 4
    assert not document.read(notebook(code("x", figure("same"), table("same", [])))).failed


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "tables/x", "..", "", "Upper", "a\n", "ä", "x" * 101, 3, None])
def test_a_result_whose_name_is_no_files_is_left_out_and_named(name):
    for outputs in ([figure(name)], [table(name, [])], [numbers("table", name)], [numbers(name, "number")]):
        made = document.read(notebook(code("x", figure("good"), *outputs)))
        assert made.failed and "names a file" in made.blocks[-1].message and repr(name) in made.blocks[-1].message
        blocks = [block for block in made.blocks if isinstance(block, Figure | Table)]
        assert {block.name for block in blocks} <= {"good", "table"} and set(made.numbers) == set()


@pytest.mark.parametrize(
    "about", [{"key_figure": ["a"]}, {"key_figure": None}, {"key_numbers": [1]}, {"key_numbers": 3}, 3]
)
def test_metadata_of_another_kind_are_damage_and_named(about):
    made = notebook(code("x"))
    made.metadata["workbook"] = about
    with pytest.raises(document.DamagedNotebook, match="the notebook 01_x is damaged"):
        document.read(made, name="01_x")


def test_no_cell_of_a_csv_file_runs_as_a_formula_whoever_wrote_the_notebook():
    lines = ["=cmd|x,x", "-1.5,-2e-05", "+1,@a", '"=a,""b""",\'=c', '"\tx","\n=y"', "-inf,-cmd", "–,−3"]
    made = document.read(notebook(code("x", figure("f", "\n".join(lines) + "\n"))))
    rows = list(csv.reader(io.StringIO(made.blocks[1].csv)))
    assert rows == [
        ["'=cmd|x", "x"],
        ["-1.5", "-2e-05"],
        ["+1", "'@a"],
        ['\'=a,"b"', "'=c"],
        ["'\tx", "'\n=y"],
        ["-inf", "'-cmd"],
        ["–", "−3"],
    ]


def test_progress_bars_are_dropped_and_the_lines_around_them_join():
    bar = "\repoch 1/3:  40%|████      | 4/10 [00:01<00:02,  2.10it/s]"
    assert texts(
        stream("one\n"),
        stream(bar + bar + "\r" + " " * 60 + "\r", "stderr"),
        stream("two\n"),
        stream("7it [00:00, 96.2it/s]\n100%|██████████| 9/9 [00:00<00:00, 7.0kB/s]\n", "stderr"),
        stream("three\n"),
    ) == ["one\ntwo\nthree"]


def test_of_a_rewritten_line_the_last_state_is_kept():
    assert texts(stream("loading 1\rloading 2\rloaded\nnext\r\n\x1b[32mgreen\x1b[0m")) == ["loaded\nnext\ngreen"]
    assert texts(stream("working\r          \r\nkept")) == ["kept"]


def test_an_empty_line_and_a_percentage_that_is_no_bar_stay():
    assert texts(stream("accuracy: 57%\n\nA | B")) == ["accuracy: 57%\n\nA | B"]


def test_warnings_that_name_files_are_dropped_and_other_stderr_is_kept():
    warning = "/tmp/ipykernel_12/345.py:3: UserWarning: careful\n  warnings.warn('careful')\n"
    longer = (
        "/usr/lib/site-packages/sklearn/linear_model/_logistic.py:473: ConvergenceWarning: lbfgs failed\n"
        "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT\n\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html\n"
        "  n_iter_i = _check_optimize_result(\n"
    )
    assert texts(stream(warning + "a log line\n" + longer + "another", "stderr")) == ["a log line\nanother"]
    assert texts(stream(warning, "stdout")) == [warning.strip("\n")]


def test_a_warning_without_a_source_line_takes_no_other_line_along():
    assert texts(stream("C:\\site\\x.py:1: FutureWarning: soon\nkept", "stderr")) == ["kept"]


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        ({"text/plain": "x", "text/html": "<b>x</b>", "image/png": "iVBO"}, "image/png"),
        ({"text/plain": "x", "text/html": "<b>x</b>", "text/latex": "$x$"}, "text/html"),
        ({"text/plain": "x", "text/latex": "$x$"}, "text/latex"),
        ({"text/plain": "x", "application/json": {}}, "text/plain"),
    ],
)
def test_the_best_form_of_an_output_is_chosen(data, mime):
    blocks = document.read(notebook(code("x", shown(data, "execute_result")))).blocks
    assert [block.mime for block in blocks[1:]] == [mime]


def test_markdown_that_a_cell_shows_is_text():
    made = document.read(notebook(code("x", shown({"text/plain": "<obj>", "text/markdown": "*yes*"}))))
    assert made.blocks[1] == Markdown("*yes*")


@pytest.mark.parametrize(
    "data",
    [
        {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "  0%|   | 0/9 [00:00<?, ?it/s]"},
        {"text/plain": "<Axes: title={'center': 'Loss'}>"},
        {"text/plain": "[<matplotlib.lines.Line2D at 0x7f3b5c0a1d90>]"},
        {"application/vnd.plotly.v1+json": {}},
    ],
)
def test_widgets_and_bare_objects_are_left_out(data):
    assert texts(shown(data, "execute_result")) == []


def test_a_markup_like_text_is_no_bare_object():
    assert texts(shown({"text/plain": "<5 rows, 3 at most>"}, "execute_result")) == ["<5 rows, 3 at most>"]


def test_control_characters_and_lone_surrogates_are_taken_out():
    assert clean.printable("a\x00b\ud800c\x1b]0;title\x07\td\r\n") == "abc\td\n"


@pytest.mark.parametrize("part", ["/", "x", "9", "a\r", " ", "<", "1%|"])
def test_a_line_of_three_megabytes_takes_no_time(part):
    line = part * (3_000_000 // len(part))
    started = time.process_time()
    clean.without_warnings(clean.printed(line + "\n"))
    texts(shown({"text/plain": line}))
    clean.private(line)
    # What isn't linear in the length takes hours; other programs' work on the machine doesn't count.
    assert time.process_time() - started < 10


@pytest.mark.parametrize(("which", "sources"), [("all", ["a = 1", "b = 2"]), ("key", ["b = 2"]), ("none", [])])
def test_the_reader_sees_the_code_that_was_asked_for(which, sources):
    notebook = v4.new_notebook()
    notebook.cells = [
        v4.new_code_cell("a = 1"),
        v4.new_code_cell("b = 2", metadata={"tags": ["key"]}),
        v4.new_markdown_cell("text"),
    ]
    seen = document.with_code(document.read(notebook), which)
    assert [block.source for block in seen.blocks if isinstance(block, document.Code)] == sources
    assert any(isinstance(block, document.Markdown) for block in seen.blocks)


def test_without_key_cells_all_code_is_key():
    notebook = v4.new_notebook()
    notebook.cells = [v4.new_code_cell("a = 1"), v4.new_code_cell("b = 2")]
    read = document.read(notebook)
    assert document.with_code(read, "key") == read
    assert document.with_code(read, "none").blocks == []
