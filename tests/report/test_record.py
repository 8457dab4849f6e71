"""What a notebook hands over is read back from a real cell's outputs in test_run; here from display() itself."""

import json
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.data import Source
from helpers.report import record


@pytest.fixture
def shown(monkeypatch):
    """The MIME bundles that were displayed."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    yield bundles
    for bundle in bundles:  # whatever is recorded must be writable as strict JSON
        json.dumps(bundle, allow_nan=False)


def content(shown):
    return shown[-1][record.MIME]


def data(warning=""):
    source = SimpleNamespace(title="Some <images>", where="a folder", warning=warning)
    return SimpleNamespace(source=source, counts="3 training images")


COMPUTE = SimpleNamespace(description="a processor", precision_description="float32 (as asked)")


def test_provenance_lists_parameters_and_nothing_else(shown):
    namespace = {
        "EPOCHS": 3,
        "SEEDS": [0, 1],
        "NAME": "x",
        "NONE": None,
        "RUNS": {"a": 1},
        "epochs": 4,
        "_X": 1,
        "F": len,
    }
    record.provenance(namespace, data=data(), compute=COMPUTE, weights="random")
    assert content(shown)["parameters"] == {"EPOCHS": 3, "SEEDS": [0, 1], "NAME": "x", "NONE": None}
    rows = dict(content(shown)["rows"])
    assert rows["Initial weights"] == "random"
    assert "torch" in rows["Versions"] and "Python" in rows["Versions"]
    assert "<images>" in BeautifulSoup(shown[-1]["text/html"], "html.parser").text


def named_set(title, stands_in_for, images):
    return SimpleNamespace(source=Source(title.lower(), title, "somewhere", stands_in_for), counts=f"{images} images")


def test_several_data_sets_are_told_apart_and_share_one_warning(shown):
    sets = {"dogs": named_set("Drawn shapes", "dogs", 5), "cats": named_set("Drawn shapes", "cats", 7)}
    record.provenance({}, data=sets, compute=COMPUTE, weights="random")
    rows = dict(content(shown)["rows"])
    assert rows["Data set"] == "Drawn shapes"
    assert rows["Images"] == "dogs: 5 images. cats: 7 images"
    assert content(shown)["warning"].startswith("STAND-IN DATA: drawn shapes, not dogs or cats.")

    record.provenance({}, data={**sets, "cars": named_set("Cars", "", 2)}, compute=COMPUTE, weights="random")
    assert dict(content(shown)["rows"])["Data set"] == "dogs: Drawn shapes. cats: Drawn shapes. cars: Cars"
    assert "cars" not in content(shown)["warning"].lower()


def test_a_stand_in_is_said_loudly_wherever_it_is_shown(shown):
    record.provenance({}, data=data("STAND-IN DATA"), compute=COMPUTE, weights="random")
    bundle = shown[-1]
    assert content(shown)["warning"] == "STAND-IN DATA"
    assert BeautifulSoup(bundle["text/html"], "html.parser").strong.text == "STAND-IN DATA"
    assert bundle["text/plain"].startswith("STAND-IN DATA")


@pytest.mark.parametrize("wrap", [lambda ax: ax, lambda ax: ax.figure, lambda ax: [ax], lambda ax: np.array([[ax]])])
def test_a_figure_is_shown_as_vectors_and_closed(shown, wrap):
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    record.figure(wrap(ax), "some_curve", "A caption.")
    assert not plt.fignum_exists(figure.number)
    assert shown[-1]["image/svg+xml"].lstrip().startswith("<?xml")
    assert shown[-1]["application/pdf"].startswith("JVBER")  # "%PDF" in base64
    drawn = content(shown)
    assert drawn.pop("csv") == "kind,x,y\nline,0.0,1\nline,1.0,2\n"
    assert drawn == {"kind": "figure", "name": "some_curve", "caption": "A caption.", "alt": "Line: from 1 to 2."}


def test_a_given_alternative_text_is_kept_and_a_figure_of_nothing_has_its_caption(shown):
    _, ax = plt.subplots()
    ax.plot([1, 2])
    record.figure(ax, "some_curve", "A caption.", alt="It rises.")
    assert content(shown)["alt"] == "It rises."
    record.figure(plt.subplots()[1], "nothing", "A caption.")
    assert content(shown)["alt"] == "A caption."


def test_the_same_figure_gives_the_same_bytes(shown):
    for _ in range(2):
        _, ax = plt.subplots()
        ax.plot([1, 3, 2])
        ax.set_title("title")
        record.figure(ax, "curve", "A caption.")
    assert shown[0] == shown[1]


@pytest.mark.parametrize("name", ["Test", "a b", "../up", "ä", "", "a-b"])
def test_names_must_do_as_file_names(shown, name):
    with pytest.raises(record.RecordError, match="lower-case"):
        record.table(pd.DataFrame({"a": [1]}), name, "A caption.")


def test_what_is_no_figure_is_refused():
    with pytest.raises(record.RecordError, match="Figure or Axes, not dict"):
        record.figure({}, "curve", "A caption.")


def test_a_table_keeps_values_and_shows_them_formatted(shown):
    frame = pd.DataFrame(
        {"name": ["a <b>", "c"], "share": [0.12345, float("nan")], "count": [1234, 5], "ok": [True, False]}
    )
    record.table(frame, "some_table", "A caption.", formats={"share": "{:.1%}"}, best={"count": "max"})
    table = content(shown)
    assert table["columns"] == ["name", "share, %", "count", "ok"]
    assert table["rows"] == [["a <b>", "12.3", "1,234", "yes"], ["c", "–", "5", "no"]]
    assert table["names"] == ["name", "share", "count", "ok"]
    assert table["values"] == [["a <b>", 0.12345, 1234, True], ["c", None, 5, False]]
    assert table["csv"] == "name,share,count,ok\na <b>,0.12345,1234,True\nc,,5,False\n"
    assert table["align"] == ["left", "right", "right", "left"]
    assert table["bold"] == [[0, 2]]
    cells = [cell.text for cell in BeautifulSoup(shown[-1]["text/html"], "html.parser").find_all("td")]
    assert cells[0] == "a <b>"


def test_a_named_index_is_a_column_and_an_unnamed_one_is_not(shown):
    frame = pd.DataFrame({"x": [1]}, index=["row"])
    record.table(frame, "plain", "A caption.")
    assert content(shown)["columns"] == ["x"]
    record.table(frame.rename_axis("class"), "named", "A caption.")
    assert content(shown)["columns"] == ["class", "x"]


def test_the_smallest_can_be_best_and_equals_share_it(shown):
    record.table(pd.DataFrame({"loss": [2, 1, 1]}), "losses", "A caption.", best={"loss": "min"})
    assert content(shown)["bold"] == [[1, 0], [2, 0]]
    record.table(pd.DataFrame({"loss": [1, 1, None]}), "losses", "A caption.", best={"loss": "min"})
    assert content(shown)["bold"] == []  # none is better than the others


def test_columns_may_be_numbers_and_share_a_name(shown):
    frame = pd.DataFrame([[0.25, 3, 0.5], [0.75, 4, 0.25]], columns=[1, "n", "n"]).rename_axis("n")
    record.table(frame, "some_table", "A caption.", formats={1: "{:.0%}"}, best={1: "max", "n": "min"})
    assert content(shown)["columns"] == ["n", "1, %", "n", "n"]
    assert content(shown)["rows"] == [["0", "25", "3", "0.500"], ["1", "75", "4", "0.250"]]
    assert content(shown)["bold"] == [[0, 0], [1, 1], [0, 2], [1, 3]]


def test_the_minus_sign_is_a_real_one_and_zero_has_none(shown):
    frame = pd.DataFrame({"plain": [-0.3061, -0.0, -0.0004], "count": [-1200, 0, 3], "text": ["a-1", "-2", "–"]})
    frame["form"], frame["small"] = [-0.5, -0.001, 0.001], [-1e-5, 1e-5, 0.5]
    record.table(frame, "some_table", "A caption.", formats={"form": "{:+.1%}", "small": "{:.0e}"})
    assert content(shown)["rows"] == [
        ["−0.306", "−1,200", "a-1", "−50.0", "−1e-05"],
        ["0.000", "0", "-2", "−0.1", "1e-05"],
        ["0.000", "3", "–", "+0.1", "5e-01"],
    ]
    record.numbers([record.Number("a", "A", 0.49999999, reported=0.5, unit="%")], "results", "A caption.")
    assert content(shown)["rows"][0][-1] == "0.00"


def test_formats_for_columns_that_do_not_exist_are_refused():
    with pytest.raises(record.RecordError, match="'some_table' has no 'shar'; it has share"):
        record.table(pd.DataFrame({"share": [1]}), "some_table", "A caption.", formats={"shar": "{}"})
    with pytest.raises(record.RecordError, match="'max' or 'min'"):
        record.table(pd.DataFrame({"share": [1]}), "some_table", "A caption.", best={"share": "most"})


@pytest.mark.parametrize(
    ("number", "texts"),
    [
        (record.Number("a", "A", 0.85, reported=0.9164, unit="%"), ["91.64 %", "85.00 %", "−6.64 points"]),
        (record.Number("a", "A", 0.5, std=0.0123, runs=3, unit="%"), ["–", "50.00 ± 1.23 %", "–"]),
        (record.Number("a", "A", 9, reported=50), ["50", "9", "−41"]),
        (record.Number("a", "A", 0.6123, reported=0.6178), ["0.6178", "0.6123", "−0.0055"]),
        (record.Number("a", "A", 12345.6, unit="images/s"), ["–", "12,346 images/s", "–"]),
        (record.Number("a", "A", 0.012345, unit="s"), ["–", "0.0123 s", "–"]),
        (record.Number("a", "A", math.nan, reported=0.5, unit="%"), ["50.00 %", "–", "–"]),
    ],
)
def test_numbers_stand_beside_reported_ones_with_their_difference(shown, number, texts):
    record.numbers([number], "results", "A caption.")
    (recorded,) = content(shown)["numbers"]
    assert list(recorded["shown"].values()) == texts
    unit = f" {number.unit}" if number.unit else ""
    bare = [text.removesuffix(unit).removesuffix(" points") for text in texts]
    assert content(shown)["rows"] == [["A", *bare]]  # the unit that all share is in the headings
    assert recorded["value"] == (None if math.isnan(number.value) else number.value)
    assert recorded["reported"] == number.reported


def test_a_unit_that_all_numbers_share_stands_in_the_headings(shown):
    percent = [record.Number("a", "A", 0.5, reported=0.25, unit="%"), record.Number("b", "B", 0.125, unit="%")]
    record.numbers(percent, "results", "A caption.")
    assert content(shown)["columns"] == ["Quantity", "Reported earlier, %", "This run, %", "Difference, points"]
    assert content(shown)["rows"] == [["A", "25.00", "50.00", "+25.00"], ["B", "–", "12.50", "–"]]
    record.numbers([*percent, record.Number("c", "C", 2, unit="s")], "results", "A caption.")
    assert content(shown)["columns"] == ["Quantity", "Reported earlier", "This run", "Difference"]
    assert content(shown)["rows"][0] == ["A", "25.00 %", "50.00 %", "+25.00 points"]
    assert content(shown)["rows"][2] == ["C", "–", "2 s", "–"]


def test_numbers_of_one_unit_have_equally_many_decimals_and_whole_ones_none(shown):
    entries = [
        record.Number("a", "loss", 0.0612, std=0.01),
        record.Number("b", "loss", 1.5),
        record.Number("c", "epoch", 9, reported=50),
        record.Number("d", "time", 12.345, unit="s"),
        record.Number("e", "time", 0.5, unit="s"),
    ]
    record.numbers(entries, "results", "A caption.")
    texts = [row[2].rstrip() for row in content(shown)["rows"]]  # without the room for a deviation
    assert texts == ["0.0612 ± 0.0100", "1.5000", "9", "12.345 s", "0.500 s"]


def test_numbers_are_csv_unrounded_with_their_difference(shown):
    entries = [
        record.Number("a", "=A", 1 / 3, std=0.1, runs=3, reported=0.25, unit="%"),
        record.Number("b", "B", math.nan, unit="s"),
    ]
    record.numbers(entries, "results", "A caption.")
    assert content(shown)["csv"].splitlines() == [
        "name,label,reported,value,std,runs,difference,unit",
        f"a,'=A,0.25,{1 / 3!r},0.1,3,{1 / 3 - 0.25!r},share",
        "b,B,,,,1,,s",
    ]


def test_a_column_has_equally_many_decimals(shown):
    frame = pd.DataFrame({"C": [0.001, 10.0, math.nan], "tiny": [1e-7, 1.0, 2.0], "n": [1, 20, 3000]})
    record.table(frame, "some_table", "A caption.", formats={"C": "{:g}", "tiny": "{:g}"})
    assert [row[0] for row in content(shown)["rows"]] == ["0.001", "10.000", "–"]
    assert [row[1] for row in content(shown)["rows"]] == ["1e-07", "1", "2"]  # exponents: left as they are
    assert [row[2] for row in content(shown)["rows"]] == ["1", "20", "3,000"]


def test_means_stand_with_their_deviations(shown):
    means = pd.DataFrame({"A": [0.5, 0.25], "B": [0.125, 1.0]}, index=pd.Index(["x", "y"], name="method"))
    stds = pd.DataFrame({"A": [0.0125, math.nan]}, index=means.index)
    record.table(means, "t", "A caption.", formats={"A": "{:.1%}", "B": "{:.2f}"}, stds=stds, best={"A": "max"})
    assert content(shown)["columns"] == ["method", "A, %", "B"]
    assert [[text.strip() for text in row] for row in content(shown)["rows"]] == [
        ["x", "50.0 ± 1.2", "0.12"],
        ["y", "25.0", "1.00"],
    ]
    assert content(shown)["align"] == ["left", "right", "right"] and content(shown)["bold"] == [[0, 1]]
    assert content(shown)["values"] == [["x", 0.5, 0.125], ["y", 0.25, 1.0]]
    assert content(shown)["csv"].splitlines() == ["method,A,A (std),B", "x,0.5,0.0125,0.125", "y,0.25,,1.0"]
    for wrong in (stds.rename(columns={"A": "C"}), stds.iloc[:1]):
        with pytest.raises(record.RecordError, match="stds need"):
            record.table(means, "t", "A caption.", stds=wrong)


def test_decimals_of_deviations_stand_below_each_other(shown):
    means = pd.DataFrame({"A": [0.5, 0.25]}, index=pd.Index(["x", "y"], name="method"))
    record.table(means, "t", "A caption.", formats={"A": "{:.1%}"}, stds=pd.DataFrame({"A": [0.1, 0.01]}, means.index))
    # Spaces as wide as a digit and as a full stop; without a deviation there is room for one.
    assert [row[1] for row in content(shown)["rows"]] == ["50.0 ± 10.0", "25.0 ± \u20071.0"]
    record.numbers(
        [record.Number("a", "A", 1.5, std=0.25, unit="s"), record.Number("b", "B", 2.5, unit="s")], "n", "N."
    )
    assert [row[2] for row in content(shown)["rows"]] == ["1.50 ± 0.25", "2.50\xa0\u2007\xa0\u2007\u2008\u2007\u2007"]
    assert content(shown)["numbers"][1]["shown"]["value"] == "2.50 s"


def test_rows_may_hold_quantities_of_their_own_formats_and_best(shown):
    frame = pd.DataFrame({"m": [0.5, 2.0], "n": [0.75, 1.0]}, index=pd.Index(["accuracy", "seconds"], name="quantity"))
    formats = {"accuracy": "{:.1%}", "seconds": "{:.2f}"}
    best = {"accuracy": "max", "seconds": "min"}
    record.table(frame, "t", "A caption.", formats=formats, best=best, stds=frame / 10, by_row=True)
    assert content(shown)["columns"] == ["quantity", "m", "n"]
    assert content(shown)["rows"] == [
        ["accuracy", "50.0 ± 5.0\u00a0%", "75.0 ± 7.5\u00a0%"],
        ["seconds", "2.00 ± 0.20", "1.00 ± 0.10"],
    ]
    assert content(shown)["bold"] == [[0, 2], [1, 2]] and content(shown)["align"] == ["left", "right", "right"]
    with pytest.raises(record.RecordError, match="no 'm'; it has accuracy, seconds"):
        record.table(frame, "t", "A caption.", formats={"m": "{}"}, by_row=True)


def test_texts_of_numbers_are_aligned_like_numbers(shown):
    frame = pd.DataFrame({"a": ["61.2% ± 1.3%", "–"], "b": ["1,234", "+5"], "c": ["3 px", "4"], "d": ["", "1"]})
    record.table(frame, "t", "A caption.")
    assert content(shown)["align"] == ["right", "right", "left", "left"]


def test_a_figure_whose_numbers_cannot_be_read_is_recorded_without_them(shown, monkeypatch):
    monkeypatch.setattr(record, "numbers_of", lambda figure: 1 / 0)
    _, ax = plt.subplots()
    with pytest.warns(UserWarning, match="could not be read from it: ZeroDivisionError"):
        record.figure(ax, "curve", "A caption.")
    assert content(shown)["csv"] == "" and "image/svg+xml" in shown[-1]


def test_a_figure_that_cannot_be_put_into_words_keeps_its_numbers(shown, monkeypatch):
    monkeypatch.setattr(record, "alt_text", lambda figure: 1 / 0)
    _, ax = plt.subplots()
    ax.plot([1, 2])
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        record.figure(ax, "curve", "A caption.")
    assert content(shown)["csv"] and content(shown)["alt"] == "A caption."


def test_numpy_numbers_are_recorded_as_plain_ones(shown):
    record.numbers([record.Number("a", "A", np.float32(0.5), std=np.float64(0.1), runs=np.int64(2))], "results", "A.")
    (recorded,) = content(shown)["numbers"]
    assert (recorded["value"], recorded["std"], recorded["runs"]) == (0.5, 0.1, 2)


def test_a_reading_is_markdown(shown):
    record.reading("It is **so**.")
    assert shown[-1]["text/markdown"] == "It is **so**."
    assert content(shown) == {"kind": "reading", "text": "It is **so**."}


def test_a_reading_has_the_minus_sign_of_the_tables(shown):
    name = record.literal("-5 conv2-1")
    record.reading(f"Accuracy changes by {-28.7:+.1f} points in {name}, `x=-1`, 1-3.")
    assert content(shown)["text"] == f"Accuracy changes by −28.7 points in {name}, `x=-1`, 1-3."
    assert shown[-1]["text/plain"] == "Accuracy changes by −28.7 points in -5 conv2-1, `x=-1`, 1-3."


def test_the_commit_is_given_and_a_folder_without_git_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "ROOT", tmp_path)
    assert record._git_commit() == "not a git checkout"
