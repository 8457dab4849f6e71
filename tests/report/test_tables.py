"""The texts of tables and readings: what is rounded, aligned, set in bold, and which unit a reader sees."""

import math

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.report import cells, tables
from helpers.report.document import Reading, read
from helpers.report.record import MIME
from helpers.report.sweep import tables as sweep
from helpers.report.sweep.results import Quantity
from helpers.report.tables import Number

ROOM = str.maketrans({"\u2007": " ", "\u2008": " ", "\u00a0": " "})
"""Spaces as wide as digits, points and others, as they are in a font in which all are equally wide."""


def numbers(*entries: Number) -> list[list[str]]:
    return tables.of_numbers(entries)["rows"]


def measured(*entries: Number) -> list[str]:
    return [row[2].translate(ROOM) for row in numbers(*entries)]


def frame_table(frame: pd.DataFrame, **options) -> dict:
    given = {"formats": {}, "best": {}, "stds": None, "by_row": False, **options}
    return tables.of_frame(frame, "t", **given)


def column(content: dict, j: int = 0) -> list[str]:
    return [row[j].translate(ROOM) for row in content["rows"]]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number("a", "A", 9.0, std=0.4, runs=3), "9.00 ± 0.40"),
        (Number("a", "A", 9.0, std=0.0, runs=3), "9 ± 0"),
        (Number("a", "A", 8 + 2 / 3, std=1.1547, runs=3), "8.67 ± 1.15"),
        (Number("a", "A", 1234.5, std=2.0, runs=3, unit="s"), "1,234 ± 2"),
        (Number("a", "A", 0.5, std=math.nan, unit="%"), "50.00"),
        (Number("a", "A", 2.5, std=math.inf), "2.50"),
        (Number("a", "A", 9.0, std=math.nan), "9"),
    ],
)
def test_a_deviation_is_neither_rounded_away_nor_made_up(number, text):
    assert measured(number) == [text]
    (recorded,) = tables.of_numbers([number])["numbers"]
    assert recorded["shown"]["value"].startswith(text)
    assert recorded["std"] == (number.std if math.isfinite(number.std) else None)


def test_a_small_number_gives_a_large_one_of_its_unit_no_decimals_that_say_nothing():
    entries = Number("a", "A", 1234.5), Number("b", "B", 0.0123), Number("c", "C", 7)
    assert measured(*entries) == ["1,234.5   ", "0.0123", "7     "]
    assert [text.index(".") - len(text) for text in measured(*entries)[:2]] == [-5, -5]  # one below the other
    assert tables.of_numbers(entries)["numbers"][0]["shown"]["value"] == "1,234.5"


def test_what_a_report_gave_is_not_rounded():
    rows = numbers(Number("a", "A", 123.4, reported=100.1234), Number("b", "B", 5.0, reported=0.25))
    assert [[text.translate(ROOM).strip() for text in row[1:]] for row in rows] == [
        ["100.1234", "123.4000", "+23.2766"],
        ["0.2500", "5.0000", "+4.7500"],
    ]


def test_points_and_deviations_stand_below_each_other_within_a_unit_also_where_units_differ():
    texts = measured(
        Number("a", "loss", 0.4382, std=0.0554, reported=0.6178),
        Number("b", "loss", 0.48, reported=0.2180),
        Number("c", "accuracy", 0.9389, std=0.1019, unit="%"),
        Number("d", "accuracy", 0.9867, std=0.0012, unit="%"),
        Number("e", "accuracy", 0.95, unit="%"),
    )
    assert texts == [
        "0.4382 ± 0.0554",
        "0.4800         ",
        "93.89 ± 10.19 %",
        "98.67 ±  0.12 %",
        "95.00         %",
    ]


def test_a_difference_of_shares_is_in_points():
    gap = Number("gap", "gap", 0.2833, std=0.01, reported=0.1642, unit="points")
    content = tables.of_numbers([gap])
    assert content["columns"][1:] == ["Reported earlier, points", "This run, points", "Difference, points"]
    assert content["rows"] == [["gap", "16.42", "28.33 ± 1.00", "+11.91"]]
    assert content["numbers"][0]["shown"]["value"] == "28.33 ± 1.00 points"
    assert content["numbers"][0]["value"] == 0.2833 and content["csv"].splitlines()[1].endswith(",share")
    mixed = numbers(gap, Number("a", "A", 0.5, unit="%"))
    assert [row[2].translate(ROOM) for row in mixed] == ["28.33 ± 1.00 points", "50.00 %"]


def test_a_sweep_shows_differences_of_shares_in_points_too():
    gap = Quantity("gap", "gap", "points", better="", is_key=False)
    assert sweep.figures_of(gap, 0.2833, 0.01) == "28.33 ± 1.00 points"


def test_the_heading_of_differences_says_points():
    frame = pd.DataFrame({"accuracy": [0.5, 0.75], "gap": [-0.125, 0.0], "error": [0.02, math.nan]})
    formats = {"accuracy": "{:.1%}", "gap": "{:+.1%}", "error": "{:.1%} points"}
    content = frame_table(frame, formats=formats, stds=frame[["gap"]].abs() / 10)
    assert content["columns"] == ["accuracy, %", "gap, points", "error, points"]
    assert [[text.translate(ROOM) for text in row] for row in content["rows"]] == [
        ["50.0", "−12.5 ± 1.2", "2.0"],
        ["75.0", "+0.0 ± 0.0", "–"],
    ]
    assert content["align"] == ["right"] * 3


def test_units_of_rows_stand_in_their_cells():
    frame = pd.DataFrame({"m": [0.5, 0.1], "n": [0.25, -0.2]}, index=pd.Index(["share", "gap"], name="quantity"))
    content = frame_table(frame, formats={"share": "{:.0%}", "gap": "{:+.1%}"}, stds=frame.abs() / 10, by_row=True)
    assert [[text.translate(ROOM) for text in row[1:]] for row in content["rows"]] == [
        ["50 ± 5 %", "25 ± 2 %"],
        ["+10.0 ± 1.0 points", "−20.0 ± 2.0 points"],
    ]
    assert content["columns"] == ["quantity", "m", "n"] and content["align"] == ["left", "right", "right"]


def test_a_column_of_several_units_keeps_them():
    content = frame_table(pd.DataFrame({"a": ["61.2%", "3 points"], "b": ["5%", "6 %"], "c": ["5%", "six"]}))
    assert content["columns"] == ["a", "b, %", "c"]
    assert content["rows"] == [["61.2%", "5", "5%"], ["3 points", "6", "six"]]


def test_what_looks_equal_is_equally_bold():
    frame = pd.DataFrame({"share": [0.90449, 0.9041, 0.903, math.nan], "loss": [0.5001, 0.5, 0.50049, 0.5]})
    content = frame_table(frame, formats={"share": "{:.1%}"}, best={"share": "max", "loss": "min"})
    assert column(content) == ["90.4", "90.4", "90.3", "–"]
    assert content["bold"] == [[0, 0], [1, 0]]  # the losses all look the same: none is the best
    by_row = frame_table(
        frame.iloc[:3].T.rename_axis("q").reset_index().set_axis(["q", "x", "y", "z"], axis=1),
        formats={"share": "{:.1%}"},
        best={"share": "max"},
        by_row=True,
    )
    assert by_row["bold"] == [[0, 1], [0, 2]]


def test_deviations_do_not_decide_what_is_best():
    frame = pd.DataFrame({"share": [0.5, 0.5, 0.25]})
    stds = pd.DataFrame({"share": [0.5, 0.1, 0.01]})
    content = frame_table(frame, formats={"share": "{:.0%}"}, best={"share": "max"}, stds=stds)
    assert content["bold"] == [[0, 0], [1, 0]]


def test_a_table_may_be_empty():
    content = frame_table(pd.DataFrame({"true": [], "share": []}), formats={"share": "{:.0%}"}, best={"share": "max"})
    assert (content["columns"], content["rows"], content["bold"]) == (["true", "share"], [], [])
    assert numbers() == []


def test_zeros_are_added_up_to_five_figures_and_then_room():
    assert [text.translate(ROOM) for text in cells.with_equal_decimals(["1,234.5", "0.0012", "10", "–", "5"])] == [
        "1,234.5   ",
        "0.0012",
        "10.000 ",
        "–",
        "5.0000",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is 50.1%, not 8 % or 100%.", "It is 50.1\u00a0%, not 8\u00a0% or 100\u00a0%."),
        ("97.5%) of **12%**", "97.5\u00a0%) of **12\u00a0%**"),
    ],
)
def test_per_cent_signs_of_readings_stand_behind_a_space(text, shown):
    assert cells.in_prose(text) == shown
    assert cells.in_prose(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "`f'{share:.1%} or 5%'`",
        "``python -p 5 % ` 5%``",
        "```\n5%\n```",
        "$x - 5%$",
        "https://example.org/a%20b?x=1%",
        "[there](a%20b/5%)",
        "<a title='5%'>",
        "5%x, conv%, 5&#37; and %",
    ],
)
def test_code_formulas_and_addresses_keep_their_per_cent_signs(text):
    assert cells.in_prose(text) == text


def test_a_document_has_its_readings_so():
    reading = {"kind": "reading", "text": "It is 50.1%."}
    output = new_output("display_data", {MIME: reading})
    (block,) = read(new_notebook(cells=[new_code_cell("x", outputs=[output])])).blocks[-1:]
    assert block == Reading("It is 50.1\u00a0%.")
