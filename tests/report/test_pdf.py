"""The PDF report, read back with pypdf, or looked at as pixels where it matters what stands where."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pypdf
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.report import pdf
from helpers.report.document import (
    Block,
    Code,
    Document,
    Failure,
    Figure,
    Markdown,
    Output,
    Provenance,
    Reading,
    Table,
)
from helpers.report.pdf.blocks import parts_of
from helpers.report.pdf.compile import Part, PdfError, compile_parts
from helpers.report.pdf.typst_text import breakable, shortened

NASTY = (
    '\\ " # $ \' `code` <lab> @ref *b* _i_ ~ #import "x" #panic("y") \x00\x07\x1b[31m red \ud800 😀 سلام /* // ] ) } {'
    " $x^$ $$ \\begin{align"
)
LOREM = "The network is trained on the classes of A, and the test split is touched once, at the end. " * 8


def make_document(*blocks: Block, title: str = "A report", failed: bool = False, **times: object) -> Document:
    times = {"duration": None, "finished": None, **times}
    return Document(title=title, blocks=list(blocks), numbers={}, parameters={}, failed=failed, **times)


def page_texts(content: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]


def text_of(*blocks: Block) -> str:
    return "\n".join(page_texts(pdf.render(make_document(*blocks))))


def make_table(rows: int, columns: int, number: int = 1) -> Table:
    cells = [[f"r{r}", *(f"{r}.{c:03}" for c in range(1, columns))] for r in range(rows)]
    names = ["row", *(f"k{c}" for c in range(1, columns))]
    align = ["left"] + ["right"] * (columns - 1)
    return Table("t", "Values by row.", names, cells, align, [(0, 1)], number)


def make_figure(number: int = 1, *, size: tuple[float, float] = (5, 3), caption: str = "A line.") -> Figure:
    fig, ax = plt.subplots(figsize=size)
    ax.plot([1, 2, 3])
    buffers = {kind: io.BytesIO() for kind in ("pdf", "svg")}
    for kind, buffer in buffers.items():
        fig.savefig(buffer, format=kind)
    plt.close(fig)
    return Figure("f", caption, "a line", buffers["svg"].getvalue().decode(), buffers["pdf"].getvalue(), number)


@pytest.fixture
def ink(monkeypatch):
    """Draws the report's pages with 2 pixels a millimetre: for each page, where it isn't white (rows, columns)."""

    def draw(*blocks: Block) -> list[np.ndarray]:
        original = typst.compile
        with monkeypatch.context() as patch:
            patch.setattr(typst, "compile", lambda *a, **k: original(*a, **{**k, "format": "png", "ppi": 2 * 25.4}))
            pages = pdf.render(make_document(*blocks))
        pages = pages if isinstance(pages, list) else [pages]
        return [np.asarray(Image.open(io.BytesIO(page)).convert("L")) < 250 for page in pages]

    return draw


def assert_inside_margins(pages: list[np.ndarray]) -> None:
    for page in pages:
        assert page.shape == (594, 420)  # A4
        assert page.any()
        assert not page[:, : 2 * 16].any() and not page[:, -2 * 21 :].any()
        assert not page[: 2 * 8].any() and not page[-2 * 8 :].any()


# The page


def test_the_first_page_opens_with_title_warning_provenance_and_contents():
    provenance = Provenance([("Data set", "drawn shapes"), ("Seed", "7")], "STAND-IN DATA: drawn shapes.")
    document = make_document(
        Markdown("What this is about."),
        Code("import torch", 1),
        provenance,
        Markdown("## Data\n\ntext"),
        Markdown("## Results\n\ntext"),
        title="CNN on A",
        duration=3725.2,
        finished="2026-03-04T10:12:13+00:00",
    )
    text = page_texts(pdf.render(document))[0]
    order = ["CNN on A", "4 March 2026, 10:12", "STAND-IN DATA: drawn shapes.", "Data set drawn shapes", "Seed 7"]
    order += ["Contents", "What this is about.", "import torch"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "1 h 2 min" in text
    assert "FAILED" not in text
    assert text.count("STAND-IN") == 1


def test_contents_name_the_pages_on_which_the_sections_stand():
    sections = [Markdown(f"## Section {name}\n\n### Part {name}\n\n" + (LOREM + "\n\n") * 6) for name in "ABCDE"]
    pages = page_texts(pdf.render(make_document(*sections)))
    entries = re.findall(r"^(\d) Section (\w)[ .]+(\d+)$", pages[0], re.MULTILINE)
    assert [(number, name) for number, name, _ in entries] == [(str(i + 1), name) for i, name in enumerate("ABCDE")]
    for number, name, page in entries:
        heading = f"{number} Section {name}\n"
        assert [i for i, text in enumerate(pages) if heading in text] == [int(page) - 1]
    assert len({page for *_, page in entries}) > 1
    assert "2.1 Part B" in pages[0]


def test_every_page_has_its_number_and_later_ones_the_title():
    pages = page_texts(pdf.render(make_document(Markdown((LOREM + "\n\n") * 20), title="The running title")))
    assert len(pages) >= 2
    for i, text in enumerate(pages):
        assert f"{i + 1} / {len(pages)}" in text
        assert text.count("The running title") == 1


def test_a_single_heading_needs_no_contents_and_headings_with_numbers_get_no_second_one():
    assert "Contents" not in text_of(Markdown("## Only one\n\ntext"))
    text = text_of(Markdown("## 1. Data\n\ntext"), Markdown("## 2. Results\n\ntext"))
    assert "Contents" in text
    assert "1 1." not in text


def test_headings_start_at_level_one_whichever_level_the_notebook_starts_at():
    assert "1.1 Inner" in text_of(Markdown("### Outer\n\n#### Inner\n\ntext"))


def test_an_empty_document_is_a_page_with_a_title():
    (text,) = page_texts(pdf.render(make_document(title="Nothing here")))
    assert "Nothing here" in text


def test_a_failed_run_says_so_on_top_and_shows_the_end_of_the_traceback():
    frames = "\n".join(f"frame {i}" for i in range(200))
    failure = Failure("RuntimeError", "the loss is not finite", f"{frames}\nRuntimeError: the loss is not finite", 12)
    text = "\n".join(page_texts(pdf.render(make_document(Code("fit()", 12), failure, failed=True))))
    assert text.index("FAILED") < text.index("fit()") < text.index("RuntimeError in cell 12")
    assert "frame 199" in text
    assert "frame 50\n" not in text


def test_the_same_document_gives_the_same_bytes():
    document = make_document(Markdown("## A\n\n$x^2$"), make_figure(), make_table(3, 3), Markdown("## B"))
    assert pdf.render(document) == pdf.render(document)


def test_the_metadata_name_the_title_and_no_time():
    metadata = pypdf.PdfReader(io.BytesIO(pdf.render(make_document(title="CNN on A \\ #x")))).metadata
    assert metadata.title == "CNN on A \\ #x"
    assert metadata.creation_date is None


@pytest.mark.parametrize(("seconds", "words"), [(3.94, "3.9 s"), (59.96, "1 min 0 s"), (174, "2 min 54 s")])
def test_durations_are_worded_as_on_the_other_pages(seconds, words):
    (text,) = page_texts(pdf.render(make_document(duration=seconds)))
    assert re.search(rf"took {words}$", text, re.MULTILINE)


# Figures and tables


def test_figures_are_vectors_with_numbered_captions():
    content = pdf.render(make_document(make_figure(3, caption="Loss by epoch, #not code.")))
    (page,) = pypdf.PdfReader(io.BytesIO(content)).pages
    assert "Figure 3. Loss by epoch, #not code." in page.extract_text()
    assert not page.images
    assert "/Form" in {entry.get_object()["/Subtype"] for entry in page["/Resources"]["/XObject"].values()}


def test_figures_larger_than_the_page_are_shrunk(ink):
    pages = ink(make_figure(1, size=(20, 3)), make_figure(2, size=(3, 40)), Markdown("The end."))
    assert_inside_margins(pages)
    assert len(pages) <= 3


def test_figures_stand_between_the_words_before_and_after_them_in_a_long_report():
    blocks, wanted = [], []
    for i in range(1, 25):
        blocks += [
            Markdown(f"### Part {i}.\n\n{LOREM}"),
            make_figure(i, size=(6, 1 + i % 5)),
            Markdown(f"Then {i}. {LOREM}"),
        ]
        wanted += [f"Part {i}.", f"Figure {i}.", f"Then {i}."]
    text = "\n".join(page_texts(pdf.render(make_document(*blocks))))
    places = [text.rindex(words) for words in wanted]  # the last: contents come before
    assert places == sorted(places)


def test_a_figure_that_does_not_fit_opens_the_next_page():
    before, after = Markdown((LOREM + "\n\n") * 3), Markdown(f"After. {LOREM}")
    first, second = page_texts(pdf.render(make_document(before, make_figure(1, size=(6, 6)), after)))
    assert "Figure" not in first
    assert second.index("Figure 1.") < second.index("After.")


def test_two_figures_a_little_higher_than_half_a_page_share_one():
    before = Markdown((LOREM + "\n\n") * 5)
    figures = [make_figure(i, size=(6, 4.6)) for i in (1, 2)]
    _, second = page_texts(pdf.render(make_document(before, *figures)))
    assert "Figure 1." in second and "Figure 2." in second


def test_a_figure_without_a_readable_pdf_falls_back_to_its_svg():
    figure = make_figure()
    broken = Figure("f", "A line.", "alt", figure.svg, b"%PDF-1.4 broken", 1)
    text = text_of(broken)
    assert "Figure 1. A line." in text
    assert "could not be set" not in text


def test_a_long_table_repeats_its_header_on_every_page(ink):
    table = make_table(100, 4)
    pages = page_texts(pdf.render(make_document(table)))
    text = "\n".join(pages)
    assert len(pages) >= 2
    assert pages[0].index("Table 1. Values by row.") < pages[0].index("row k1 k2 k3")
    assert all(page.count("row k1 k2 k3") == 1 for page in pages)
    for row in table.rows:
        assert f"\n{' '.join(row)}\n" in text + "\n"
    assert_inside_margins(ink(table))


def test_a_wide_table_shows_every_column_behind_the_first_one_inside_the_margins(ink):
    table = make_table(5, 40)
    text = text_of(table)
    shown = set(text.split())
    assert {cell for row in table.rows for cell in row} | set(table.columns) <= shown
    assert text.split().count("r4") >= 3
    assert_inside_margins(ink(table))


def test_long_texts_wrap_in_tables_and_captions_stay_inside_the_margins(ink):
    names = ["x" * 300, "a name of many words " * 15, "short"]
    table = Table("t", "y" * 300, ["class", "n"], [[name, "1"] for name in names], ["left", "right"], [], 1)
    text = re.sub(r"[\s\u200b]", "", text_of(table))
    assert "x" * 300 in text and "y" * 300 in text
    assert_inside_margins(ink(table))


def test_texts_of_a_narrow_table_stay_on_one_line():
    rows = [[run, *["100.00%"] * 6] for run in ("Arc2 SGD", "Arc2 Adam, no dropout")]
    text = text_of(Table("t", "c", ["run", *"abcdef"], rows, ["left"] + ["right"] * 6, [], 1))
    assert "Arc2 Adam, no dropout 100.00%" in text


def test_a_page_begins_and_ends_with_at_least_three_rows_of_a_table():
    table = make_table(30, 3)
    for lines in range(12, 34, 2):
        pages = page_texts(pdf.render(make_document(*[Markdown("A line of text.")] * lines, table)))
        shown = [len(re.findall(r"^r\d+ ", page, re.MULTILINE)) for page in pages]
        assert sum(shown) == 30
        assert not {1, 2} & set(shown)


def test_a_reading_stands_on_a_page_with_its_table():
    for lines in range(24, 38):
        blocks = [*[Markdown("A line of text.")] * lines, make_table(4, 3), Reading("What it says.")]
        pages = page_texts(pdf.render(make_document(*blocks)))
        assert all(("Table 1." in page) == ("What it says." in page) for page in pages)


def test_a_table_without_rows_or_columns_is_no_error():
    table = Table("t", "Empty.", ["a", "b"], [], ["left", "right"], [], 1)
    nothing = Table("t", "Nothing.", [], [], [], [], 2)
    text = text_of(table, nothing)
    assert "Table 1. Empty." in text and "Table 2. Nothing." in text
    assert "could not be set" not in text


def test_numbers_are_right_aligned_and_texts_left_aligned():
    table = Table("t", "c", ["name", "value"], [["a", "1"], ["bbbbb", "10000"]], ["left", "right"], [], 1)
    starts = {}

    def visit(text, cm, tm, font, size):
        starts[text.strip()] = tm[4] * cm[0] + cm[4]

    pypdf.PdfReader(io.BytesIO(pdf.render(make_document(table)))).pages[0].extract_text(visitor_text=visit)
    assert starts["a"] == pytest.approx(starts["bbbbb"], abs=0.1)
    assert starts["1"] > starts["10000"] + 5


# Cells


def test_code_is_shown_unless_its_cell_hides_it():
    text = text_of(Code("shown = 1", 1), Code("hidden = 2", 2, shown=False))
    assert "shown = 1" in text
    assert "hidden" not in text


def test_code_longer_than_a_page_goes_on_and_long_lines_wrap(ink):
    source = "\n".join(f"value_{i} = {i}" for i in range(150)) + "\nlong = '" + "ab " * 200 + "z" * 400 + "'"
    text = text_of(Code(source, 1))
    assert all(f"value_{i} = {i}\n" in text for i in range(150))
    assert re.sub(r"[\s\u200b]", "", text).count("z") >= 400
    pages = ink(Output("text/plain", "w" * 1000, 1), Markdown("```\n" + "v" * 500 + "\n```"))
    assert_inside_margins(pages)


def test_printed_text_keeps_its_first_and_last_lines_and_counts_the_rest():
    text = text_of(Output("text/plain", "\n".join(f"line {i}" for i in range(1000)), 1))
    assert "line 0\n" in text and "line 13\n" in text and "line 996\n" in text and "line 999" in text
    assert "982 more lines" in text
    assert "line 14\n" not in text and "line 995\n" not in text
    assert "more lines" not in text_of(Output("text/plain", "\n".join("abc"), 1))


@pytest.mark.parametrize(("count", "is_whole"), [(23, True), (24, False)])
def test_printed_text_is_cut_only_where_that_saves_room(count, is_whole):
    text = shortened("\n".join(f"line {i}" for i in range(count)))
    assert ("more lines" not in text) == is_whole
    assert len(text.split("\n")) == (count if is_whole else 19)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("/usr/share/datasets/fashion_mnist.v2", ["/usr/", "share/", "datasets/", "fashion_", "mnist.", "v2"]),
        ("[0.125,1e-05,0.250,1e-06,0.375,1e-07]", ["[0.125,", "1e-05,", "0.250,", "1e-06,", "0.375,", "1e-07]"]),
        ("x" * 40 + "/y", ["x" * 15, "x" * 15, "x" * 10 + "/", "y"]),
        ("/short/path", ["/short/path"]),
    ],
)
def test_long_words_break_at_their_joints(word, parts):
    assert breakable(word).split("\u200b") == parts


def test_a_path_in_the_provenance_can_be_copied():
    path = "/usr/share/datasets/fashion-mnist/original"
    (part,), _ = parts_of([Provenance([("Source", path)], "")], prefix="")
    assert path in part.source


def test_a_line_of_megabytes_is_counted_not_set():
    assert f"{-(-3_000_000 // 94) - 18:,} more lines" in text_of(Output("text/plain", "x" * 3_000_000, 1))


@pytest.mark.parametrize("mime", ["image/png", "image/jpeg"])
def test_raster_pictures_of_outputs_are_shown(mime):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(buffer, format=mime.split("/")[1])
    output = Output(mime, base64.b64encode(buffer.getvalue()).decode(), 1)
    (page,) = pypdf.PdfReader(io.BytesIO(pdf.render(make_document(output)))).pages
    (picture,) = page.images
    assert picture.image.size == (40, 30)


def test_vector_pictures_of_outputs_stay_vectors():
    figure = make_figure()
    outputs = [
        Output("image/svg+xml", figure.svg, 1),
        Output("application/pdf", base64.b64encode(figure.pdf).decode(), 1),
    ]
    for output in outputs:
        (page,) = pypdf.PdfReader(io.BytesIO(pdf.render(make_document(output)))).pages
        assert not page.images
        assert "could not be set" not in page.extract_text()
        assert len(page.get_contents().get_data()) > 100


def test_html_and_latex_outputs_are_set():
    text = text_of(
        Output("text/html", "<p>from <em>HTML</em><script>alert(1)</script></p>", 1),
        Output("text/latex", r"$\displaystyle \alpha + 1$", 1),
    )
    assert "from HTML" in text and "alert" not in text
    assert "𝛼" in text


def test_readings_are_set_off_as_such():
    text = text_of(Reading("Accuracy is **57.2 %**, $p < 0.05$."))
    assert text.index("Reading\n") < text.index("Accuracy is 57.2 %")


# Directions


def test_persian_text_is_set_from_the_right_and_other_text_from_the_left(ink):
    (english,) = ink(Markdown("Short."))
    (persian,) = ink(Markdown("کوتاه."))
    below_the_title_s_line = int(np.flatnonzero(english.sum(axis=1) > 300).max()) + 2
    body = slice(below_the_title_s_line, 2 * 270)  # down to the page number
    assert english[body, :210].any() and not english[body, 210:].any()
    assert persian[body, 210:].any() and not persian[body, :210].any()


def test_persian_letters_are_all_there():
    words = ["گزارش", "فارسی", "شبکه", "دقت", "نمودار", "هشدار"]
    report, persian, net, accuracy, chart, warning = words
    table = Table("t", accuracy, [net, "n"], [[persian, "1"]], ["left", "right"], [], 1)
    figure = make_figure(caption=chart)
    blocks = [Provenance([("Data", report)], warning), Markdown(f"## {report}\n\n- {net} `code`\n\n> {persian}")]
    text = text_of(*blocks, table, figure, Markdown(f"## {persian}"))
    for word in words:
        assert word in text or word[::-1] in text
    assert "could not be set" not in text


# Whatever notebooks hold


@pytest.mark.parametrize(
    "block",
    [
        Markdown(NASTY),
        Code(NASTY, 1),
        Output("text/plain", NASTY, 1),
        Output("text/html", f"<table><tr><td>{NASTY}</td></tr></table>", 1),
        Output("text/html", NASTY, 1),
        Output("text/latex", NASTY, 1),
        Provenance([(NASTY, NASTY)], NASTY),
        Table("t", NASTY, [NASTY], [[NASTY]], ["left"], [], 1),
        Reading(NASTY),
        Failure(NASTY, NASTY, NASTY, None),
    ],
    ids=lambda block: f"{type(block).__name__} {getattr(block, 'mime', '')}".strip(),
)
def test_text_is_never_read_as_markup(block):
    text = text_of(block, Markdown("The end."))
    assert "could not be set" not in text
    assert "The end." in text
    if getattr(block, "mime", "") != "text/latex":  # TeX itself ends at the first sign that it doesn't know
        assert "#panic" in text.replace("\n", "")


def test_markdown_cannot_inject_typst():
    text = text_of(Markdown('```{=typst}\n#panic("a")\n```\n\n`#panic("b")`{=typst}\n\n<raw>#panic("c")</raw>'))
    assert "could not be set" not in text
    assert all(f'#panic("{name}")' in text for name in "ab")


@given(st.text(max_size=200))
@settings(max_examples=12, deadline=None)
def test_any_text_can_be_set_anywhere(text):
    table = Table("t", text, [text], [[text]], ["left"], [], 1)
    content = pdf.render(make_document(Markdown(text), Code(text, 1), Output("text/plain", text, 1), table, title=text))
    assert not any("could not be set" in page for page in page_texts(content))


@pytest.mark.parametrize(
    "output",
    [
        Output("image/png", base64.b64encode(b"not a picture").decode(), 1),
        Output("image/png", "###", 1),
        Output("image/svg+xml", "<svg><g></svg>", 1),
    ],
)
def test_what_typst_cannot_set_becomes_a_box_between_its_neighbours(output):
    text = text_of(Markdown("Before it."), output, Markdown("After it."))
    assert text.index("Before it.") < text.index("could not be set") < text.index("After it.")


def test_a_formula_that_typst_refuses_is_shown_as_tex():
    refused = Part("#let formula = $ unknownname $", fallback=Part(r'#let formula = raw("\\unknown")'))
    content = compile_parts([refused, Part("The formula #formula; stands here.")], preamble="")
    assert r"The formula \unknown stands here." in page_texts(content)[0]


def test_faults_inside_the_template_are_traced_to_their_part():
    parts = [Part(f"Part {i}.") for i in range(9)]
    parts[5] = Part("#wb.note(5)", plain="the plain text of it")
    (text,) = page_texts(compile_parts(parts, preamble=""))
    assert "could not be set" in text and "the plain text of it" in text
    assert all(f"Part {i}." in text for i in range(9) if i != 5)


def test_what_no_replacement_helps_is_a_named_error(monkeypatch):
    monkeypatch.setattr("helpers.report.pdf.compile.MOST_REPAIRS", 2)
    with pytest.raises(PdfError, match="undefined-function"):
        compile_parts([Part("text")], preamble="#undefined-function()")


def test_typst_reads_no_file_outside_the_report(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    text = text_of(
        Markdown(f"![picture]({secret}) <img src='{secret}'>"), Output("text/latex", rf"\input{{{secret}}}", 1)
    )
    assert "the secret" not in text
    assert "picture" in text


@pytest.mark.parametrize(
    ("show_code", "shown"), [("all", {"print(1)", "print(2)"}), ("key", {"print(1)"}), ("none", set())]
)
def test_the_exporter_shows_the_code_that_was_asked_for(show_code, shown):
    from nbformat.v4 import new_code_cell, new_notebook
    from traitlets.config import Config

    from helpers.report.pdf.exporter import WorkbookPDFExporter

    cells = [new_code_cell("print(1)", metadata={"tags": ["key"]}), new_code_cell("print(2)")]
    config = Config(WorkbookPDFExporter={"show_code": show_code})
    content, _ = WorkbookPDFExporter(config=config).from_notebook_node(new_notebook(cells=cells))
    text = "".join(page_texts(content))
    assert {code for code in ("print(1)", "print(2)") if code in text} == shown


def test_nbconvert_finds_the_exporter_and_it_sets_a_notebook():
    from nbconvert.exporters import get_exporter
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    printed = new_output("stream", name="stdout", text="printed text\n")
    cells = [new_markdown_cell("# Its title\n\nIts text."), new_code_cell("print(1)", outputs=[printed])]
    content, resources = get_exporter("workbook-pdf")().from_notebook_node(new_notebook(cells=cells))
    (text,) = page_texts(content)
    assert all(part in text for part in ("Its title", "Its text.", "print(1)", "printed text"))
    assert resources["output_extension"] == ".pdf"
