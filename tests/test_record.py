"""What a notebook hands over: the outputs of a cell, and what the report reads out of them."""

import csv
import io
import json
import math
import re
import subprocess
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers import NOTEBOOKS, WorkbookError, models, plots, record
from helpers.data import Source
from helpers.report import document
from helpers.report.language import translated
from tests.command import executed_cell

NAMES = ("circle", "square", "گربه")


@pytest.fixture
def shown(monkeypatch):
    """The MIME bundles that were displayed, without those of figures' captions."""
    bundles = []

    def display(bundle, raw):
        if bundle[record.MIME]["kind"] != "caption":
            bundles.append(bundle)

    monkeypatch.setattr("IPython.display.display", display)
    provenance()
    bundles.clear()
    yield bundles
    plt.close("all")


def images(title="Cars", stands_in_for="", count=3):
    return SimpleNamespace(source=Source("x", title, "a folder", stands_in_for, drawn=True), counts=f"{count} images")


def provenance(namespace=(), *, data=None, weights="random, drawn from the seed"):
    compute = SimpleNamespace(description="a processor", precision_description="float32 (as asked)")
    record.provenance(dict(namespace), data=data or images(), compute=compute, weights=weights)


def read(shown):
    """The last output as the report has it."""
    output = new_output("display_data", json.loads(json.dumps(shown[-1], allow_nan=False)))
    return document.read(new_notebook(cells=[new_code_cell("", outputs=[output])]))


def block(shown):
    return read(shown).blocks[0]


def lines_of(shown):
    return block(shown).csv.splitlines()


# Provenance


def test_provenance_lists_parameters_and_nothing_else_and_says_a_stand_in_loudly(shown):
    given = {"EPOCHS": 3, "SEEDS": [0, 1], "NAME": "folder:/media/me/گربه‌ها", "NONE": None}
    namespace = {**given, "RUNS": {"a": 1}, "epochs": 4, "_X": 1, "F": len, "LISTS": [[1]]}
    provenance(namespace, data=images("Some <images>", "cats"), weights="random")
    warning = "STAND-IN DATA: drawn shapes in the place of cats."
    assert read(shown).parameters == given and block(shown).warning.startswith(warning)
    rows = dict(block(shown).rows)
    assert rows["Parameters"] == f"EPOCHS = 3, SEEDS = [0, 1], NAME = {'folder:…/گربه‌ها'!r}, NONE = None"
    assert rows["Initial weights"] == "random" and rows["Device"] == "a processor" and rows["Seed"] == "none"
    assert rows["Precision"] == "float32 (as asked)" and "torch" in rows["Versions"]
    handed_in = dict(document.selected(read(shown), edition="hand-in").blocks[0].rows)
    assert handed_in.keys() == rows.keys() - {"Precision", "Versions", "Git commit"}
    in_persian = document.selected(translated(read(shown), "fa", ""), edition="hand-in").blocks[0].rows
    assert len(in_persian) == len(handed_in) and not {*handed_in} & {*dict(in_persian)}
    html = BeautifulSoup(shown[-1]["text/html"], "html.parser")
    assert "<images>" in html.text and html.strong.text.startswith(warning)
    assert shown[-1]["text/plain"].startswith(warning)


def test_jupyterlab_names_all_works_that_texts_can_cite(shown, monkeypatch):
    for in_front_end in (False, True):
        monkeypatch.setattr(record.reprs, "in_front_end", lambda known=in_front_end: known)
        provenance()
    without, named = (json.loads(re.search("numbers = ({.*?});", bundle["text/html"])[1]) for bundle in shown)
    assert without == {} and named["@he2016"] == "He 2016, Deep Residual Learning for Image Recognition"
    assert len(named) == (NOTEBOOKS / "references.bib").read_text(encoding="utf-8").count("\n@")
    assert not [text for text in named.values() if re.search("[{}\n]", text)]


def test_several_data_sets_are_told_apart_and_share_one_warning(shown):
    sets = {name: images("Drawn shapes", name, count) for name, count in (("dogs", 5), ("hares", 6), ("cats", 7))}
    provenance(data=sets)
    rows = dict(block(shown).rows)
    assert rows["Data set"] == "Drawn shapes" and rows["Images"] == "dogs: 5 images. hares: 6 images. cats: 7 images."
    assert block(shown).warning.startswith("STAND-IN DATA: drawn shapes in the place of dogs, hares and cats.")
    assert "⁨dogs⁩، ⁨hares⁩ و ⁨cats⁩" in translated(read(shown), "fa", "").stand_in

    del sets["hares"]
    provenance(data={**sets, "cars": images()})
    assert dict(block(shown).rows)["Data set"] == "dogs: Drawn shapes. cats: Drawn shapes. cars: Cars."
    assert "place of dogs and cats." in block(shown).warning


@pytest.mark.parametrize("seeds", [[], 3, ["a"]])
def test_provenance_refuses_a_run_without_seeds(seeds):
    with pytest.raises(WorkbookError, match="SEEDS_A is a list of whole numbers"):
        provenance({"SEEDS": [0], "SEEDS_A": seeds})


def test_the_commit_is_given_and_none_where_git_does_not_know_the_files(shown, monkeypatch, tmp_path):
    def commit(root):
        monkeypatch.setattr(record, "PACKAGE", root)
        provenance()
        return dict(block(shown).rows)["Git commit"]

    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    assert commit(tmp_path) == "not a git checkout"
    (tmp_path / "a.py").write_text("a = 1")
    (unpacked / "b.py").write_text("b = 1")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for what in (["init", "-q"], ["add", "a.py"], ["commit", "-qm", "A"]):
        subprocess.run([*git, *what], cwd=tmp_path, check=True)
    assert re.fullmatch("[0-9a-f]{12}", commit(tmp_path)) and commit(unpacked) == "not a git checkout"
    (tmp_path / "a.py").write_text("a = 2")
    assert commit(tmp_path).endswith(", with uncommitted changes")


# Figures


def test_a_figure_is_shown_as_vectors_and_closed_with_the_numbers_and_words_that_are_given(shown):
    frame = pd.DataFrame({"y": [1 / 3, math.nan]}, index=pd.Index([1, 2], name="x"))
    for wrap in (lambda ax: ax, lambda ax: ax.figure, lambda ax: np.array([[ax]])):
        figure, ax = plt.subplots()
        ax.plot([1, 2])
        record.figure(wrap(ax), "some_curve", "A caption.", alt="It rises.", data=frame)
        assert not plt.fignum_exists(figure.number)
    made = block(shown)
    assert "<svg" in made.svg and made.pdf.startswith(b"%PDF")
    assert (made.name, made.caption, made.alt) == ("some_curve", "A caption.", "It rises.")
    assert lines_of(shown) == ["x,y", f"1,{1 / 3!r}", "2,"]
    record.figure(plots.bars_with_error(MEANS), "theirs", "A caption.", data=frame.reset_index(drop=True))
    assert lines_of(shown)[0] == "y" and block(shown).alt.startswith("Bars of accuracy")
    record.figure(plt.figure(), "empty", "A caption.")
    assert (block(shown).alt, block(shown).csv) == ("A caption.", "")
    with pytest.warns(UserWarning, match="draws 200,001 numbers: its CSV file.* is left out"):
        record.figure(plt.figure(), "large", "A caption.", data=pd.DataFrame({"y": range(200_001)}))
    assert block(shown).csv == ""


def test_panels_side_by_side_are_told_so_that_a_narrow_screen_can_stack_them(shown):
    axes = plt.subplots(2, 2, figsize=(8, 4))[1]
    record.figure(axes, "four", "A caption.")
    panels = block(shown).panels
    left, top = np.array(panels)[:, :2].round(1).T
    assert list(zip(left, top, strict=True)) == [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]
    assert sum(width * height for _, _, width, height in panels) == pytest.approx(1, abs=0.001)
    for single in (plt.subplots()[1], plt.subplots(2)[1], plots.confusion(MATRIX, NAMES)):
        record.figure(single, "one", "A caption.")
        assert block(shown).panels == []


@pytest.mark.parametrize("name", ["Test", "../up", "", "x" * 101, "aux", "nul", "com1", "a.b", "a b", "a:b", "é"])
def test_names_must_do_as_file_names_of_any_system(name):
    for call, what in ((record.table, pd.DataFrame({"a": [1]})), (record.figure, plt.figure())):
        with pytest.raises(WorkbookError, match="lower-case"):
            call(what, name, "A caption.")
    assert record.is_name("auxiliary") and record.is_name("com")


def test_no_cell_of_a_csv_file_runs_as_a_formula(shown):
    safe = ["x", "-1.5", "-2e-05", "+1", "-inf", "–", "−3", "a=1", "'=c"]
    frame = pd.DataFrame({"=head": [*safe, "=cmd|x", "@a", "-cmd", "+x", "\tx", "\n=y", "\r=z", "＝１", '=a,"b"']})
    expected = [*safe, "'=cmd|x", "'@a", "'-cmd", "'+x", "'\tx", "'\n=y", "'=z", "'＝１", '\'=a,"b"']
    record.figure(plt.subplots()[1], "own", "A caption.", data=frame)
    record.table(frame, "own", "A caption.")
    for content in (shown[0][record.MIME], shown[1][record.MIME]):
        assert [row[0] for row in csv.reader(io.StringIO(content["csv"]))] == ["'=head", *expected]


def test_panels_are_told_apart_and_whole_numbers_stay_whole(shown):
    record.figure(plots.learning_curves(LOSSES.iloc[:, 1:]), "curves", "A caption.")
    header, first, best, *_, last = lines_of(shown)
    assert header == "panel,split,epoch,loss,marked,accuracy" and first == "loss,validation,1,3.5,,"
    assert best == "loss,validation,2,1.25,best," and last == "accuracy,validation,3,,,0.5"


def history(**columns):
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(columns["val_loss"]) + 1, name="epoch"))


LOSSES = history(train_loss=[4.0234, 2, 1.15], val_loss=[3.5, 1.25, 1.5], val_accuracy=[0.1, 0.555, 0.5])
MEANS = pd.DataFrame({"on A": [0.5, 0.25], "on B": [1.0, math.nan]}, index=pd.Index(["x", "y"], name="method"))
MATRIX = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
PICTURES = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)


IN_WORDS = {
    "Lines of loss by epoch: training: 4.02 at 1, 2 at 2, 1.15 at 3; validation: 3.5 at 1, 1.25 at 2, 1.5 at 3. Lines "
    "of accuracy by epoch: validation: 10% at 1, 55.5% at 2, 50% at 3.": lambda: plots.learning_curves(LOSSES),
    "Lines of validation loss by epoch: a: from −1.5 at 1, to 1 at 5, lowest −1.5 at 1, highest 3 at 2.": lambda: (
        plots.compare_curves({"a": history(val_loss=[-1.5, 3, 0, 2, 1])}, "val_loss")
    ),
    "Bars of images by method: on A: 1,234 at x, 617 at y; on B: 2,469 at x.": lambda: plots.bars_with_error(
        MEANS * 2469, percent=False, ylabel="images"
    ),
    "Bars of accuracy by method: without values.": lambda: plots.bars_with_error(MEANS * math.nan),
    "Heat map of % of the true class's images by true class and predicted class: lowest 0 at circle and گربه, highest "
    "80 at circle and circle.": lambda: plots.confusion(MATRIX, NAMES),
    "3 pictures, 2 predicted rightly: circle, square.": lambda: plots.sample_grid(
        PICTURES, [0, 1, 0], NAMES, predictions=[0, 2, 0], confidences=[0.5] * 3
    ),
}


@pytest.mark.parametrize("said", IN_WORDS)
def test_a_figure_tells_in_words_what_it_shows(shown, said):
    record.figure(IN_WORDS[said](), "figure", "A caption.")
    assert block(shown).alt == said


def test_long_texts_are_cut_between_two_words(shown):
    runs = {f"a line with quite a long name {i}": history(val_loss=[2.0, 1.0, i]) for i in range(7)}
    record.figure(plots.compare_curves(runs, "val_loss"), "curves", "A caption.")
    said = block(shown).alt
    assert 200 < len(said) <= 300 and said.endswith("; a line with quite a long name 4: 2 …")


def test_captions_have_the_number_and_the_name_that_texts_refer_to_and_readings_the_number():
    def show():
        record.figure(plots.learning_curves(LOSSES), "curves", "Loss & more.")
        record.table(pd.DataFrame({"n": [1, 2]}), "n", "All.")
        record.reading("@fig-curves and @tbl-n, not @tbl-later")

    executed_cell(provenance)
    for cell in (executed_cell(show), executed_cell(show)):  # which keeps its numbers when it runs again
        _, figure, table, reading = (output.data for output in cell.outputs)
        captions = [BeautifulSoup(of["text/html"], "html.parser").p.text for of in (figure, table)]
        assert captions == ["Figure 1 @fig-curves Loss & more.", "Table 1 @tbl-n All."]
        assert reading["text/markdown"] == "Figure 1 and Table 1, not @tbl-later"
        blocks = document.read(new_notebook(cells=[cell])).blocks[1:]  # the code
        assert [type(block).__name__ for block in blocks] == ["Figure", "Table", "Reading"]
        assert blocks[-1].text == "@fig-curves and @tbl-n, not @tbl-later"


# Tables


def tabled(shown, frame, **given):
    """The table as the report has it."""
    record.table(frame, "some_table", "A caption.", **given)
    return block(shown)


def column(made, j=0):
    return [row[j] for row in made.rows]


def test_a_table_keeps_values_and_shows_them_formatted(shown):
    frame = pd.DataFrame({"name": ["a <b>", "=c"], "share": [0.12345, math.nan], "count": [1234, 5]})
    made = tabled(shown, frame, formats={"share": "{:.1%}"}, best={"count": "max"}, links=["a.html", "b:c"])
    assert (made.name, made.caption, made.links) == ("some_table", "A caption.", ["a.html", ""])
    assert made.columns == ["name", "share, %", "count"] and made.names == ["name", "share", "count"]
    assert made.rows == [["a <b>", "12.3", "1,234"], ["=c", "–", "5"]] and made.bold == [(0, 2)]
    assert made.values == [["a <b>", 0.12345, 1234], ["=c", None, 5]]
    assert made.csv == "name,share,count\na <b>,0.12345,1234\n'=c,,5\n"
    html = BeautifulSoup(shown[-1]["text/html"], "html.parser")
    assert (html.td.text, html.table.b.text) == ("a <b>", "1,234")
    assert html.select("td")[1]["style"].endswith("right")

    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": [pd.NaT, None], "x": [math.inf, math.nan]})
    made = tabled(shown, frame)
    assert made.rows == [["1"], ["–"]] and made.csv == "n,t,x\n1,,\n,,\n"
    assert made.values == [[1, None, None], [None] * 3]
    assert tabled(shown, frame.rename_axis("class")).columns == ["class", "n"]


@pytest.mark.parametrize(
    ("values", "form", "heading", "texts", "side"),
    [
        ([-0.3061, -0.0, -0.0004], None, "x", "−0.306|0.000|0.000", "right"),
        ([-1200, 0, 3], None, "x", "−1,200|0|3", "right"),
        ([-0.5, -0.001, 0.001], "{:+.1%}", "x, points", "−50.0|−0.1|+0.1", "right"),
        ([0.02, math.nan, 0.5], "{:.1%} points", "x, points", "2.0|–|50.0", "right"),
        ([-1e-5, 0.0, 0.5, 0.01], "{:.1e}", "x", "−1.0×10⁻⁵|0|0.50|0.010", "right"),
        ([1.5e-7, 1, 2000], "{:g}", "x", "1.5×10⁻⁷|1|2000", "right"),
        # Equally many decimals, unless they say nothing.
        ([0.001, 10.0, math.nan, 12345.5], "{:,g}", "x", "0.001|10.000|–|12,345.5", "right"),
        ([0.5, 0.01], "{:.0e}", "x", "0.5|0.01", "right"),
        ([0.5, -0.01], "{:+.0e}", "x", "+0.5|−0.01", "right"),
        ([1.5, -2.0], "{:+.1f} points", "x, points", "+1.5|−2.0", "right"),
        ([1.5, 2.0], "{:.1f} %", "x, %", "1.5|2.0", "right"),
        ([1.5, 0.0], "{:.1f} seconds", "x", "1.5 seconds|0.0 seconds", "left"),
        ([True, False], None, "x", "yes|no", "left"),
        (["+3.2 ± 4.2", "–"], None, "x", "+3.2 ± 4.2|–", "right"),
        (["1 × 2", "a-1", "-2"], None, "x", "1 × 2|a-1|-2", "left"),
    ],
)
def test_a_column_is_written_as_its_format_says(shown, values, form, heading, texts, side):
    made = tabled(shown, pd.DataFrame({"x": values}), formats={"x": form} if form else None)
    assert made.columns == [heading] and column(made) == texts.split("|") and made.align == [side]


def test_a_column_without_values_is_left_out_and_what_is_alike_is_said_once(shown):
    frame = pd.DataFrame({"run": ["a", "b"], "val": [0.5, 0.75], "epochs": [3, 3], "share": 0.25, "none": ["–", "–"]})
    made = tabled(shown, frame, formats={"share": "{:.0%}"}, best={"val": "max"})
    assert made.columns == ["run", "val"] and made.bold == [(1, 1)] and made.align == ["left", "right"]
    assert made.caption == "A caption. In all rows “epochs” is “3”, “share, %” is “25”."
    assert made.values[0] == ["a", 0.5, 3, 0.25, "–"] and made.names == [*frame] and lines_of(shown)[0].count(",") == 4
    assert tabled(shown, frame[["run", "epochs", "none"]]).columns == ["run", "epochs"]
    assert tabled(shown, frame.iloc[:1]).columns == ["run", "val", "epochs", "share"]


def test_what_a_table_does_not_have_is_refused():
    frame = pd.DataFrame({"share": [1]})
    for given, message in (
        ({"formats": {"shar": "{}"}}, "'some_table' has no 'shar'; it has share"),
        ({"best": {"share": "most"}}, "'max' or 'min'"),
        ({"stds": pd.DataFrame({"other": [1]})}, "stds need"),
        ({"stds": pd.DataFrame({"share": [1, 2]})}, "stds need"),
    ):
        with pytest.raises(WorkbookError, match=message):
            record.table(frame, "some_table", "A caption.", **given)


def test_means_stand_with_their_deviations(shown):
    means = pd.DataFrame({"A": [0.5, 0.25], "gap": [-0.125, 0.0]}, index=pd.Index(["x", "y"], name="method"))
    stds = pd.DataFrame({"A": [0.0125, math.nan], "gap": [0.0125, 0]}, index=means.index)
    made = tabled(shown, means, formats={"A": "{:.1%}", "gap": "{:+.1%}"}, stds=stds, best={"A": "max"})
    assert made.columns == ["method", "A, %", "gap, points"] and made.align == ["left", "right", "right"]
    assert made.rows == [["x", "50.0 ± 1.2", "−12.5 ± 1.2"], ["y", "25.0", "+0.0 ± 0.0"]] and made.bold == [(0, 1)]
    assert made.values == [["x", 0.5, -0.125], ["y", 0.25, 0.0]]
    assert lines_of(shown)[:2] == ["method,A,A (±),gap,gap (±)", "x,0.5,0.0125,-0.125,0.0125"]
    rounded = pd.DataFrame({"n": [17.2, 0.25]})
    assert column(tabled(shown, rounded, formats={"n": "{:.2g}"}, stds=rounded)) == ["17 ± 17", "0.25 ± 0.25"]


def test_what_looks_equal_is_equally_bold_and_nothing_where_all_does(shown):
    frame = pd.DataFrame({"share": [0.90449, 0.9041, 0.903, math.nan], "loss": [0.5001, 0.5, 0.50049, 0.5]})
    frame["n"] = [2, 1, 1, 3]
    best, stds = {"share": "max", "loss": "min", "n": "min"}, pd.DataFrame({"share": [0.5, 0.1, 0.01, 0]})
    made = tabled(shown, frame, formats={"share": "{:.1%}"}, best=best, stds=stds)
    assert made.columns == ["share, %", "n"] and made.bold == [(0, 0), (1, 0), (1, 1), (2, 1)]


# Numbers

Number = record.Number


def measured(shown, *entries):
    """The columns and the rows of the results."""
    record.numbers(entries, "results", "A caption.")
    return block(shown).columns, block(shown).rows


@pytest.mark.parametrize(
    ("number", "texts"),
    [
        (Number("a", "A", 0.85, reported=0.9164, unit="%"), ["91.64 %", "85.00 %", "−6.64 points"]),
        (Number("a", "A", 0.5, std=0.0123, runs=3, unit="%"), ["–", "50.00 ± 1.23 %", "–"]),
        (Number("a", "A", 0.2833, reported=0.1642, unit="points"), ["16.42 points", "28.33 points", "+11.91 points"]),
        (Number("a", "A", 0.49999999, reported=0.5, unit="%"), ["50.00 %", "50.00 %", "0.00 points"]),
        (Number("a", "A", 0.6123, reported=0.6178), ["0.6178", "0.6123", "−0.0055"]),
        (Number("a", "A", 0.012345, unit="s"), ["–", "0.0123 s", "–"]),
        (Number("a", "A", 0.5, std=math.nan, unit="%"), ["–", "50.00 %", "–"]),
        (Number("a", "A", math.nan, reported=0.5, unit="%"), ["50.00 %", "–", "–"]),
    ],
)
def test_numbers_stand_beside_reported_ones_with_their_difference(shown, number, texts):
    record.numbers([number], "results", "A caption.")
    recorded = read(shown).numbers["a"]
    assert list(recorded["shown"].values()) == texts
    assert recorded["value"] == (None if math.isnan(number.value) else number.value)
    assert recorded["reported"] == number.reported


def test_a_unit_that_all_numbers_share_stands_in_the_headings(shown):
    percent = [Number("a", "A", 0.5, reported=0.25, unit="%"), Number("b", "B", 0.125, unit="%")]
    columns = ["Quantity", "Reported earlier, %", "This run, %", "Difference, points"]
    assert measured(shown, *percent) == (columns, [["A", "25.00", "50.00", "+25.00"], ["B", "–", "12.50", "–"]])
    columns = ["Quantity", "Reported earlier", "This run", "Difference (of %: points)"]
    rows = [["A, %", "25.00", "50.00", "+25.00"], ["B, %", "–", "12.50", "–"], ["C, s", "–", "2", "–"]]
    assert measured(shown, *percent, Number("c", "C", 2, unit="s")) == (columns, rows)


def test_numbers_of_one_unit_have_equally_many_decimals_unless_they_say_nothing(shown):
    entries = [
        Number("a", "loss", 0.0612, std=0.01),
        Number("b", "loss", 1.5),
        Number("c", "epoch", 9),
        Number("d", "epoch", 9.0, std=0.4, runs=3),
        Number("e", "images", 1234.5),
        Number("f", "time", 12.345, unit="s"),
        Number("g", "time", 0.5, unit="s"),
    ]
    texts = ["0.0612 ± 0.0100", "1.5000", "9", "9.0000 ± 0.4000", "1,234.5", "12.345", "0.500"]
    assert [row[1] for row in measured(shown, *entries)[1]] == texts
    assert measured(shown, Number("a", "A", 8 + 2 / 3, std=1.1547, runs=3))[1] == [["A", "8.67 ± 1.15"]]
    assert measured(shown, Number("a", "A", 123.4, reported=100.1234))[1][0][2] == "123.4000"
    missing = Number("h", "sum of losses", math.nan, reported=140.8)
    assert measured(shown, entries[0], missing)[1][1][1:3] == ["140.8", "–"]


def test_numbers_are_csv_unrounded_with_their_difference(shown):
    entries = [
        Number("a", "=A", 1 / 3, std=np.float64(0.1), runs=np.int64(3), reported=0.25, unit="%"),
        Number("b", "B", math.nan, unit="s"),
        Number("c", "C", np.float32(0.5)),
    ]
    record.numbers(entries, "results", "A caption.")
    assert lines_of(shown) == [
        "name,label,reported,value,std,runs,difference,unit",
        f"a,'=A,0.25,{1 / 3!r},0.1,3,{1 / 3 - 0.25!r},share",
        *("b,B,,,,1,,s", "c,C,,0.5,,1,,"),
    ]


@pytest.mark.parametrize(
    ("stands_in_for", "weights"),
    [("CIFAR-100", "random"), ("", f"resnet18: {models.backbone('resnet18', weights='random').origin}")],
)
def test_stand_in_images_and_weights_have_no_difference(shown, stands_in_for, weights):
    provenance(data=images("Cars", stands_in_for), weights=weights)
    columns = ["Quantity", "Reported earlier, %", "This run, %"]
    number = Number("a", "A", 0.5, reported=0.25, unit="%")
    assert measured(shown, number) == (columns, [["A", "25.00", "50.00"]])
    assert lines_of(shown)[1] == "a,A,0.25,0.5,,1,,share"
    assert read(shown).numbers["a"]["shown"]["difference"] == "–"


# What earlier reports say

REPORT = """
title: Report S9 (cars)
figures:
  val_accuracy: {label: Validation accuracy, value: 0.0801, printed: "0.0801", unit: "%", where: part b, what: after it}
  val_loss: {label: Loss, value: 140.8, printed: "140.8", unit: "", where: part a, what: sum, ours: ours are means}
  epochs: {label: Epochs, value: 25, printed: "25", unit: "", where: part c, what: text, wrong: the printout has 40}
claims:
  order: {text: Fine-tuning is best, where: part d, change: more runs}
"""


@pytest.fixture
def report(monkeypatch, tmp_path):
    """Writes the only report in the working folder, and reads it."""

    def written(text=REPORT, name="S9"):
        (tmp_path / "notebooks/reported").mkdir(parents=True, exist_ok=True)
        (tmp_path / "notebooks/reported/S9.yaml").write_text(text)
        return record.reported(name)

    monkeypatch.chdir(tmp_path)
    return written


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("what: text, ", "", "S9.yaml: epochs has .*; 'what' is missing"),
        ("wrong:", "wrnog:", "S9.yaml: epochs has .*; 'wrnog' is .* unknown"),
        ("where: part d", "where: [", "S9.yaml needs .*ParserError"),
        ("value: 25", "value: many", "S9.yaml needs .*'many'"),
    ],
)
def test_a_report_that_lacks_something_is_refused(report, old, new, named):
    with pytest.raises(WorkbookError, match=f"(?s){named}"):
        report(REPORT.replace(old, new))


def test_results_stand_beside_the_same_quantities_of_a_report(shown, report):
    with pytest.raises(WorkbookError, match="no report 'S8' in notebooks/reported, only S9"):
        report(name="S8")
    source, values = report(), np.array([0.1, 0.2])
    assert source.figures.loc["epochs", "wrong"] == "the printout has 40"
    record.compared(source, {"epochs": 9, "val_accuracy": values}, "results", "A caption.")
    assert block(shown).columns == ["Quantity", "Where", "Reported earlier", "This run", "Difference (of %: points)"]
    assert block(shown).rows == [
        ["Validation accuracy, %", "part b", "8.01", "15.00 ± 7.07", "+6.99"],
        ["Loss", "part a", "140.8", "ours are means", "–"],
        ["Epochs", "part c", "25", "9", "−16"],
    ]
    numbers = read(shown).numbers
    assert list(numbers) == ["val_accuracy", "epochs"] and numbers["val_accuracy"]["runs"] == 2
    record.compared(source, {"val_accuracy": 0.1}, "results", "A caption.", keys=["epochs"])
    assert block(shown).rows[1] == ["Epochs", "part c", "25", "–", "–"]
    with pytest.raises(WorkbookError, match=r"Report S9 \(cars\) has no figure 'test'"):
        record.compared(source, {"test": 0.1}, "results", "A caption.")


def test_claims_stand_beside_what_the_run_says_of_them(shown, report):
    source = report(REPORT + "  few: {text: Few images, where: part e}\n  gap: {text: No gap, where: part f}\n")
    record.claims(source, {"gap": ("3 points", "does not hold here"), "order": ("+1", "yes")}, "Said.")
    assert block(shown).name == "claims" and block(shown).caption == "Said."
    assert block(shown).columns == ["claim", "where", "this run", "verdict", "what would change it"]
    assert block(shown).rows == [
        ["Fine-tuning is best", "part d", "+1", "yes", "more runs"],
        ["No gap", "part f", "3 points", "does not hold here", ""],
    ]
    handed_in = document.selected(read(shown), edition="hand-in").blocks[0]
    assert handed_in.columns == ["claim", "this run", "verdict"]
    assert handed_in.rows[1] == ["No gap", "3 points", "does not hold here"]
    with pytest.raises(WorkbookError, match=r"S9 .* has no claim 'best'"):
        record.claims(source, {"best": ("", "")}, "Said.")


# Readings


def test_a_reading_is_markdown_and_names_stand_in_it_as_they_are(shown):
    name = record.literal("-5 conv2-1 *x*\n&")
    record.reading(f"Accuracy **changes** by {-0.287:+.1%} in {name}, `x=-1`, 1-3.")
    assert shown[-1]["text/plain"] == "Accuracy **changes** by -28.7% in -5 conv2-1 *x* &, `x=-1`, 1-3."
    assert block(shown).text == shown[-1]["text/markdown"] == f"Accuracy **changes** by -28.7% in {name}, `x=-1`, 1-3."
