"""``@fig-NAME`` and ``@tbl-NAME`` in texts: numbers with links on every page, and a complaint about unknown names."""

import fnmatch
import io
import re
from pathlib import Path

import pypdf
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import ROOT
from helpers.report import html, pdf, references
from helpers.report.document import Block, Document, Figure, Markdown, Output, Reading, Table, read
from helpers.report.run import missing_results
from helpers.report.workspace import load

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90pt" height="60pt"><rect width="80" height="50"/></svg>'
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem != "sweep")
SAMPLES = {"classes", "samples", "dogs_samples", "animals_samples"}


def figure(name: str, number: int) -> Figure:
    return Figure(name, f"The caption of {name}.", name, SVG, b"", number)


def table(name: str, number: int) -> Table:
    return Table(name, f"The caption of {name}.", ["a"], [["1"]], ["right"], [], number)


def document(*blocks: Block) -> Document:
    return Document("Title", list(blocks), {}, {}, duration=None, finished=None, failed=False)


def resolved(text: str) -> str:
    """The text in a document with Figure 1 and 2, "loss" and "roc_curve", and Table 1, "loss"."""
    made = document(Markdown(text), figure("loss", 1), figure("roc_curve", 2), table("loss", 1))
    return references.resolved(made).blocks[0].text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@fig-loss", "[Figure\u00a01](#figure-1)"),
        ("See @tbl-loss.", "See [Table\u00a01](#table-1)."),
        ("(@fig-loss, @fig-roc_curve)", "([Figure\u00a01](#figure-1), [Figure\u00a02](#figure-2))"),
        ("**@fig-loss’s** end", "**[Figure\u00a01](#figure-1)’s** end"),
        ("- item\n\n    below it @fig-loss", "- item\n\n    below it [Figure\u00a01](#figure-1)"),
        ("a line\n    that goes on: @fig-loss", "a line\n    that goes on: [Figure\u00a01](#figure-1)"),
        ("```x``` and @fig-loss", "```x``` and [Figure\u00a01](#figure-1)"),
        ("@fig-other", "figure `other` (not recorded)"),
        ("@fig-loss-curve", "figure `loss-curve` (not recorded)"),
        ("@tbl-roc_curve", "table `roc_curve` (not recorded)"),
    ],
)
def test_names_become_numbers_with_links(text, shown):
    assert resolved(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "`@fig-loss`",
        "``a ` and @fig-loss``",
        "`a span over\ntwo lines @fig-loss`",
        "```\n@fig-loss\n```",
        "~~~python\n\n@fig-loss\n```\n@fig-loss\n~~~",
        "> ```\n> @fig-loss\n> ```",
        "```\nnot closed\n\n@fig-loss",
        "Text.\n\n    @fig-loss\n\n    @fig-loss\n",
        "\t@fig-loss",
        "write to someone@fig-loss.org",
        "x.@fig-loss.org",
        "<a href='x/@fig-loss'>there</a>",
        "[there](a@fig-loss) and ![picture](@fig-loss)",
        "https://example.org/@fig-loss?x=@fig-loss",
        "\\@fig-loss",
        "@figure-loss @fig- @fig_loss",
        "the sign &#64;fig-loss",
    ],
)
def test_code_addresses_and_links_stay_as_they_are(text):
    assert resolved(text) == text


def test_readings_have_references_and_other_outputs_do_not():
    made = document(Reading("As @fig-loss says."), Output("text/plain", "@fig-loss", 1), figure("loss", 1))
    reading, output, _ = references.resolved(made).blocks
    assert reading.text == "As [Figure\u00a01](#figure-1) says."
    assert output.content == "@fig-loss"


def test_missing_names_are_listed_once_in_reading_order():
    made = document(Markdown("@tbl-b @fig-a `@fig-c` @tbl-b"), figure("loss", 1), Reading("@fig-loss @fig-d"))
    assert references.missing(made) == ["@tbl-b", "@fig-a", "@fig-d"]


def test_in_a_chapter_figures_and_tables_have_its_number():
    made = references.numbered_by_chapter(document(Markdown("@tbl-t"), figure("f", 2), table("t", 3)), 4)
    text, drawn, listed = references.resolved(made).blocks
    assert (text.text, drawn.number, listed.number) == ("[Table\u00a04.3](#table-4.3)", "4.2", "4.3")


def test_the_page_links_to_the_figure_and_the_table():
    made = document(
        Markdown("## Figure 1\n\n[heading](#Figure-1) @fig-f"), Reading("@tbl-t"), figure("f", 7), table("t", 3)
    )
    soup = BeautifulSoup(html.render(made, name="n", profile="quick"), "html.parser")
    links = {link.get_text(): link["href"] for link in soup.select(".text a, .reading a")}
    assert links["Figure\u00a07"] == "#figure-7" and links["Table\u00a03"] == "#table-3"
    assert "caption of f" in soup.find(id="figure-7").get_text()
    assert "caption of t" in soup.find(id="table-3").get_text()
    assert links["heading"] == f"#{soup.find('h2')['id']}"


def test_the_pdf_links_to_the_page_of_the_figure():
    filler = [Markdown("A line of text.")] * 60
    made = document(Markdown("See @fig-f and @tbl-t."), *filler, figure("f", 1), table("t", 1), Reading("x"))
    reader = pypdf.PdfReader(io.BytesIO(pdf.render(made)))
    first, *_, last = reader.pages
    assert "See Figure 1 and Table 1." in first.extract_text().replace("\u00a0", " ")
    of_figure, of_table = (note.get_object()["/Dest"] for note in first["/Annots"])  # page, "/XYZ", x, y, zoom
    assert of_figure[0].get_object() == of_table[0].get_object() == last.get_object()
    assert of_figure[3] > of_table[3]
    assert "Figure 1." in last.extract_text()


def test_a_reference_to_what_typst_cannot_set_leads_to_the_box_in_its_place():
    broken = Figure("f", "A caption.", "alt", "<svg><g></svg>", b"%PDF-1.4 broken", 1)
    content = pdf.render(document(Markdown("See @fig-f."), broken))
    (page,) = pypdf.PdfReader(io.BytesIO(content)).pages
    text = page.extract_text().replace("\u00a0", " ")
    assert "See Figure 1." in text
    assert text.count("could not be set") == 1


def test_a_run_whose_text_names_what_it_did_not_record_has_failed():
    recorded = {"kind": "table", "name": "t", "caption": "c", "columns": [], "rows": [], "align": [], "bold": []}
    shown = new_output("display_data", {"application/vnd.workbook.v1+json": recorded})
    cells = [new_markdown_cell("# T\n\n@tbl-t and `@fig-x`"), new_code_cell("x", outputs=[shown])]
    good = new_notebook(cells=cells)
    assert missing_results(good, read(good)) == ""
    bad = new_notebook(cells=[*cells, new_markdown_cell("as @fig-loss shows")])
    assert "@fig-loss" in missing_results(bad, read(bad))


def named_in(notebook) -> set[str]:
    """The names that a notebook's text speaks of, and its code in f-strings, where a "{…}" stands as "*"."""
    expected = notebook.metadata.get("workbook", {}).get("expects", [])
    texts = [re.sub(r"\{[^{}]*\}", "*", cell.source) for cell in notebook.cells]
    pairs = [pair for text in texts for pair in re.findall(r"@(?:fig|tbl)-([\w*]+) to @(?:fig|tbl)-([\w*]+)", text)]
    # "@fig-a to @fig-c" speaks of all between them, too: the metadata lists them in reading order.
    listed = [(expected.index(start), expected.index(end)) for start, end in pairs if {start, end} <= {*expected}]
    between = {name for start, end in listed for name in expected[start:end]}
    return between | {name for text in texts for name in re.findall(r"@(?:fig|tbl)-([\w*]+)", text)}


def agree(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(pattern, name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_refer_only_to_results_that_every_profile_records(path: Path):
    notebook = load(path)
    expected = {*notebook.metadata.get("workbook", {}).get("expects", []), "results"}
    named = {reference.split("-", 1)[1] for reference in references.missing(read(notebook))}
    assert named and all(any(fnmatch.fnmatchcase(name, pattern) for pattern in expected) for name in named)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_refer_to_every_result(path: Path):
    """Whoever reads the text is led to each figure and table; only sample pictures speak for themselves."""
    notebook = load(path)
    named = named_in(notebook)
    results = {*notebook.metadata.workbook.expects, "results"} - SAMPLES
    assert {result for result in results if not any(agree(name, result) for name in named)} == set()
