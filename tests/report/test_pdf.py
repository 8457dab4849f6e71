"""The PDF report, read back with pypdf, or looked at as pixels where it matters what stands where."""

import io
import re

import numpy as np
import pypdf
import pytest
import typst
from PIL import Image

from helpers.report import render
from helpers.report.document import Code, Failure, Markdown, Output, Table
from tests.report.documents import LOREM, document, figure, in_order, pages_of, pdf, pdf_text, table


@pytest.fixture
def ink(monkeypatch):
    """Draws the report's pages with 2 pixels a millimetre: for each page, where it isn't white (rows, columns)."""

    def draw(*blocks, **fields):
        original = typst.compile
        with monkeypatch.context() as patch:
            patch.setattr(typst, "compile", lambda *a, **k: original(*a, **{**k, "format": "png", "ppi": 2 * 25.4}))
            drawn = render.pdf(document(*blocks, **fields))
        drawn = drawn if isinstance(drawn, list) else [drawn]
        return [np.asarray(Image.open(io.BytesIO(each)).convert("L")) < 250 for each in drawn]

    return draw


def assert_inside_margins(pages):
    for drawn in pages:
        assert drawn.shape in ((594, 420), (420, 594))  # A4, upright or on its side
        assert drawn.any()
        assert not drawn[:, : 2 * 16].any() and not drawn[:, -2 * 20 :].any()
        assert not drawn[: 2 * 8].any() and not drawn[-2 * 8 :].any()


def sizes_of(page):
    """The sizes in points that texts of the page are set in."""
    found = []
    page.extract_text(visitor_text=lambda text, cm, tm, font, size: found.append(size * abs(tm[0] or tm[1])))
    return list(filter(None, found))


# The page


def test_headings_are_numbered_from_the_highest_unless_they_have_numbers_of_their_own():
    assert "1.1 Inner" in pdf_text(Markdown("### Outer\n\n#### Inner\n\ntext"))
    text = pdf_text(Markdown("## 1. Data\n\ntext"), Markdown("## 2. Results\n\ntext"))
    assert "Contents" in text and "1 1." not in text


def test_the_same_document_gives_the_same_bytes_and_names_its_title_and_no_time():
    made = document(Markdown("## A\n\n$x^2$"), figure(), table(3, 3), Markdown("## B"), title="CNN on A \\ #x")
    content = render.pdf(made)
    assert render.pdf(made) == content
    metadata = pypdf.PdfReader(io.BytesIO(content)).metadata
    assert (metadata.title, metadata.creation_date) == ("CNN on A \\ #x", None)


def test_figures_are_vectors():
    (drawn,) = pdf(figure()).pages
    assert not drawn.images
    assert "/Form" in {entry.get_object()["/Subtype"] for entry in drawn["/Resources"]["/XObject"].values()}


def test_text_goes_on_before_a_figure_that_does_not_fit_and_figures_keep_their_order():
    small = figure(2, size=(5, 0.4), name="g", caption="A flat line.")
    first, second = pages_of(pdf(*[Markdown(LOREM)] * 6, figure(), small, Markdown("So it goes on.")))
    assert "So it goes on." in first and "Figure" not in first
    assert in_order(second, ["Figure 1.", "Figure 2."])
    # On a page with room for both they stand where they were recorded.
    assert in_order(pdf_text(figure(), small, Markdown("The end.")), ["Figure 1.", "Figure 2.", "The end."])


def test_a_figure_that_fits_once_another_floats_stays_below_its_section_s_heading():
    text, large = Markdown(LOREM), figure(2, size=(5, 3.9), name="g", caption="Another line.")
    of_section = [Markdown("## The images\n\nHere they are."), large, Markdown("## The networks")]
    second = pages_of(pdf(*[text] * 4, figure(size=(5, 3.6)), *[text] * 3, *of_section, *[text] * 3))[1]
    assert in_order(second, ["Figure 1.", "Here they are.", "Figure 2."])


# Tables


def test_a_long_table_repeats_its_header_on_every_page(ink):
    made = table(100, 4)
    pages = pages_of(pdf(made))
    assert len(pages) >= 2
    assert in_order(pages[0], ["Table 1. Values by row.", "row k1 k2 k3"])
    assert all(text.count("row k1 k2 k3") == 1 for text in pages)
    assert all(f"\n{' '.join(row)}\n" in "\n".join(pages) + "\n" for row in made.rows)
    assert_inside_margins(ink(made))


def test_headings_of_numbers_never_overlap_though_the_word_of_most_letters_is_not_the_widest(ink):
    (drawn,) = ink(Table("t", "", ["iiiiiiiiii WWWWWWWWW"] * 6, [["1"] * 6], ["right"] * 6, [], 1), title="-")
    rows = [np.flatnonzero(np.diff(np.flatnonzero(row)) > 4).size + 1 for row in drawn[2 * 22 : 2 * 200] if row.any()]
    assert rows.count(6) > 10  # two lines of headings and one of numbers: those that overlap would be one


def test_a_wide_table_gets_smaller_and_lies_on_its_side_where_that_would_be_too_small(ink):
    made = [table(5, columns, number) for number, columns in enumerate((6, 13, 24, 40), 1)]
    pages = pdf(Markdown("Before."), *made, Markdown("After.")).pages
    for each, on_its_side in zip(made, (False, False, True, True), strict=True):
        (of_table,) = [one for one in pages if f"Table {each.number}." in one.extract_text()]
        assert (of_table.mediabox.width > of_table.mediabox.height) == on_its_side
        assert {*each.columns}.union(*each.rows) <= {*of_table.extract_text().split()}
        assert len(each.columns) == 40 or min(sizes_of(of_table)) >= 6.9
    assert_inside_margins(ink(*made))


def test_numbers_are_right_aligned_and_texts_left_aligned():
    made = Table("t", "c", ["name", "value"], [["a", "1"], ["bbbbb", "10000"]], ["left", "right"], [], 1)
    starts = {}
    visit = {"visitor_text": lambda text, cm, tm, *_: starts.update({text.strip(): tm[4] * cm[0] + cm[4]})}
    pdf(made).pages[0].extract_text(**visit)
    assert starts["a"] == pytest.approx(starts["bbbbb"], abs=0.1)
    assert starts["1"] > starts["10000"] + 5


# Code and printed text


def test_code_goes_on_overleaf_and_of_a_traceback_the_end_is_shown():
    source = "\n".join(f"value_{i} = {i}" for i in range(150)) + "\nlong = '" + "ab " * 200 + "z" * 400 + "'"
    frames = "\n".join(f"frame {i}" for i in range(200))
    text = pdf_text(Code(source, 1), Failure("RuntimeError", "It is not finite", frames, 12))
    assert all(f"value_{i} = {i}\n" in text for i in range(150))
    assert re.sub(r"[\s\u200b]", "", text).count("z") >= 400
    assert "frame 199" in text and "frame 50\n" not in text


def test_printed_text_keeps_its_first_and_last_lines_and_counts_the_rest():
    text = pdf_text(Output("text/plain", "\n".join(f"line {i}" for i in range(1000)), 1))
    assert all(f"line {i}" in text for i in (0, 13, 996, 999))
    assert "982 more lines" in text
    assert "line 14\n" not in text and "line 995\n" not in text
    assert "more lines" not in pdf_text(Output("text/plain", "\n".join(["line"] * 23), 1))
    assert f"{-(-3_000_000 // 94) - 18:,} more lines" in pdf_text(Output("text/plain", "x" * 3_000_000, 1))


# Texts


def test_formulas_and_what_is_none_and_tables_lists_and_footnotes():
    shown = {
        r"$A \cap B$": "𝐴∩𝐵",
        r"$\begin{Vmatrix} p \\ q \end{Vmatrix}$": "𝑝",
        r"$\unknowncommand{x}$": r"\unknowncommand{x}",
        "$$\na\n- b\n+ c % a comment - with a sign\n$$": "𝑎−𝑏+𝑐",
        "\\begin{align}\nr &= s \\tag{7} \\\\\n&= c \\label{c}\\notag\n\\end{align}": "𝑟=𝑠(7)",
        "in a list:\n- $a - b$\n- $$\n  e\n  - f\n  $$": "𝑒−𝑓",
        "- costs $5\n- or $6": "costs$5",
        "`$x$` and\n\n```\n\\begin{align}\n```\n": "$x$",
    }
    others = Markdown("| a | b |\n|:--|--:|\n| `c_1` | 1 |\n\n- one\n  - **two**\n\n> quoted[^1]\n\n[^1]: note")
    made = [*[Markdown(f"Before {tex} after.") for tex in shown], others]
    text = pdf_text(*made, Output("text/latex", r"$\displaystyle \alpha + 1$", 1)).replace(" ", "")
    assert [part for part in [*shown.values(), "𝛼", "c_11", "two", "quoted", "note"] if part not in text] == []
    assert text.count("\\begin") == 1 and "%" not in text


def test_a_formula_that_typst_refuses_is_shown_as_tex_and_the_others_as_formulas(monkeypatch):
    written = render.convert

    def with_a_fault(*arguments, **options):
        return written(*arguments, **options).replace("$alpha$", "$unknownname$")

    monkeypatch.setattr(render, "convert", with_a_fault)
    text = pdf_text(Markdown(r"First $\alpha$, then $\beta$ and $x^2$."))
    assert r"First \alpha, then 𝛽" in text


def test_links_lead_to_headings_and_addresses_and_others_become_text():
    others = "[nowhere](#no-such) [file](other.ipynb) [script](javascript:alert(1))"
    first = f"## First Part\n\n[web](https://example.org/a) [here](#Second-Part) {others}"
    reader = pdf(Markdown(first), Markdown("## Second Part\n\n[back](#first-part)\n\n## First Part\n\nagain"))
    notes = [note.get_object() for each in reader.pages for note in each.get("/Annots", [])]
    found = [note["/A"]["/URI"] if "/A" in note else str(note["/Dest"]) for note in notes]
    assert all(word in reader.pages[0].extract_text() for word in ("web", "here", "nowhere", "file", "script"))
    assert found[3:] == ["https://example.org/a", found[1], found[0]]


# Directions


def test_persian_text_is_set_from_the_right_and_other_text_from_the_left(ink):
    (english,) = ink(Markdown("Short."))
    (persian,) = ink(Markdown("کوتاه."))
    below_the_title_s_line = int(np.flatnonzero(english.sum(axis=1) > 300).max()) + 4
    body = slice(below_the_title_s_line, 2 * 270)  # down to the page number
    assert english[body, :210].any() and not english[body, 210:].any()
    assert persian[body, 210:].any() and not persian[body, :210].any()
    (apart,) = ink(Markdown("## Dropout\n\nShort.\n\n- SGD"), language="fa")
    assert apart[body, 210:].any() and not apart[body, :210].any()


# nbconvert


def test_nbconvert_finds_the_exporter_and_it_shows_the_code_that_was_asked_for():
    from nbconvert.exporters import get_exporter
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
    from traitlets.config import Config

    cells = [new_code_cell(f"print({i})", metadata={"tags": ["key"] * (i == 1)}) for i in (1, 2)]
    cells[0].outputs = [new_output("stream", name="stdout", text="printed text\n")]
    notebook = new_notebook(cells=[new_markdown_cell("# Its title\n\n## The data"), *cells])
    # The language's catalogue is that of the notebook that papermill executed.
    notebook.metadata["papermill"] = {"input_path": "notebooks/01_cnn_on_a.ipynb"}
    # By default the code of key cells alone.
    exporter = get_exporter("workbook-pdf")(config=Config(WorkbookPDFExporter={"show_code": "all"}), language="fa")
    content, resources = exporter.from_notebook_node(notebook)
    text = "".join(pages_of(pypdf.PdfReader(io.BytesIO(content))))
    assert all(part in text for part in ("Its title", "داده", "print(1)", "print(2)", "printed text"))
    assert "The data" not in text and resources["output_extension"] == ".pdf"
