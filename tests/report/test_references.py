"""``@fig-NAME`` and ``@tbl-NAME`` in texts: numbers with links on every page, and a complaint about unknown names."""

import fnmatch
import re
from dataclasses import replace
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import ROOT
from helpers.report import render
from helpers.report.document import Markdown, Reading, Table, read, selected
from helpers.report.run import missing_results
from helpers.report.workspace import load
from tests.report.documents import document, figure, page, pdf, pdf_text

NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem != "sweep")
SAMPLES = {"classes", "samples", "dogs_samples", "animals_samples", "claims"}


def table(name: str, number: int) -> Table:
    return Table(name, f"The caption of {name}.", ["a"], [["1"]], ["right"], [], number)


@pytest.fixture(scope="module")
def drawn():
    """What texts become on a page with Figures 1 and 2, "loss" and "roc_curve", and Table 1, "loss"."""

    def draw(*texts):
        named = [figure(1, name="loss"), figure(2, name="roc_curve"), table("loss", 1)]
        return [made.p or made for made in page(*map(Markdown, texts), *named).select(".text")]

    return draw


SHOWN = {
    "@fig-loss": "Figure\u00a01",
    "See @tbl-loss.": "See Table\u00a01.",
    "(@fig-loss, @fig-roc_curve)": "(Figure\u00a01, Figure\u00a02)",
    "**@fig-loss’s** end": "Figure\u00a01’s end",
    "a line\n    that goes on: @fig-loss": "a line that goes on: Figure\u00a01",
    "```x``` and @fig-loss": "x and Figure\u00a01",
    "@fig-other": "figure other (not recorded)",
    "@fig-loss-curve": "figure loss-curve (not recorded)",
    "@tbl-roc_curve": "table roc_curve (not recorded)",
}
KEPT = (
    "`@fig-loss`",
    "``a ` and @fig-loss``",
    "```\n@fig-loss\n```",
    "~~~python\n\n@fig-loss\n```\n@fig-loss\n~~~",
    "> ```\n> @fig-loss\n> ```",
    "```\nnot closed\n\n@fig-loss",
    "Text.\n\n    @fig-loss",
    "write to someone@fig-loss.org",
    "x.@fig-loss.org",
    "<a href='x/@fig-loss'>there</a>",
    "[there](a@fig-loss)",
    "https://example.org/@fig-loss?x=@fig-loss",
    "@figure-loss @fig- @fig_loss",
)


def test_names_become_numbers_with_links(drawn):
    shown = drawn(*SHOWN)
    assert [" ".join(made.get_text().split(" ")).replace("\n", " ") for made in shown] == list(SHOWN.values())
    links = {link.get_text(): link["href"] for made in shown for link in made.find_all("a")}
    assert links == {"Figure\u00a01": "#figure-1", "Figure\u00a02": "#figure-2", "Table\u00a01": "#table-1"}


def test_code_addresses_and_links_stay_as_they_are(drawn):
    for text, made in zip(KEPT, drawn(*KEPT), strict=True):
        assert not [link for link in made.find_all("a", href=True) if link["href"].startswith("#")], text
        assert "not recorded" not in made.get_text(), text
    assert render.unknown(document(*map(Markdown, KEPT), figure(1, name="other"))) == []


def test_the_page_links_to_the_figure_the_table_and_the_heading():
    text = Markdown("## Figure 1\n\n[heading](#Figure-1) @fig-f")
    drawn = page(text, Reading("@tbl-t"), figure(7, caption="The caption of f."), table("t", 3))
    links = {link.get_text(): link["href"] for link in drawn.select(".text a, .reading a")}
    assert links["Figure\u00a07"] == "#figure-7" and links["Table\u00a03"] == "#table-3"
    assert "caption of f" in drawn.find(id="figure-7").get_text()
    assert "caption of t" in drawn.find(id="table-3").get_text()
    assert links["heading"] == f"#{drawn.find('h2')['id']}"


def test_the_pdf_links_to_the_page_of_the_figure():
    filler = [Markdown("A line of text.")] * 60
    reader = pdf(Markdown("See @fig-f and @tbl-t."), *filler, figure(1, size=(2, 1)), table("t", 1), Reading("x"))
    first, *_, last = reader.pages
    assert "See Figure 1 and Table 1." in first.extract_text().replace("\u00a0", " ")
    of_figure, of_table = (note.get_object()["/Dest"] for note in first["/Annots"])  # page, "/XYZ", x, y, zoom
    assert of_figure[0].get_object() == of_table[0].get_object() == last.get_object()
    assert of_figure[3] > of_table[3]
    assert "Figure 1." in last.extract_text()


def test_what_is_handed_in_says_where_a_figure_is_that_it_lacks():
    blocks = [
        Markdown("See @fig-f."),
        figure(1),
        replace(figure(2, name="g"), tags=("detail",)),
        Markdown("And @fig-g."),
    ]
    text = pdf_text(*selected(document(*blocks), edition="hand-in").blocks, left_out={"fig-g": 2})
    assert "See Figure 1." in text and "And Figure 2 of the full edition." in text


CITING = "As [@he2016] and\n[@tan2019; @he2016, p. 3] say, `[@code]`, [@fig-f]."


def test_works_are_cited_and_listed_once_at_the_end():
    drawn = page(Markdown(f"## Part\n\n{CITING}"), Reading("See [@he2016]."), figure(1))
    text = drawn.find(class_="text").find_all("p")[0].get_text().replace("\n", " ")
    assert text == "As (He et al. 2016) and (Tan and Le 2019; He et al. 2016, 3) say, [@code], [Figure\u00a01]."
    link = drawn.find("a", string="He et al. 2016")
    assert "Deep Residual Learning" in drawn.find(id=link["href"][1:]).get_text()
    assert [heading.get_text() for heading in drawn.find_all("h2")] == ["Part", "References"]
    assert drawn.get_text().count("Deep Residual Learning") == 1
    reader = pdf(Markdown(f"## Part\n\n{CITING}"), figure(1, size=(2, 1)))
    (first,) = (each.extract_text() for each in reader.pages)
    assert "As (He et al. 2016)" in first and "2 References" in first and "EfficientNet: Rethinking" in first
    assert len(reader.pages[0]["/Annots"]) == 6  # two in the contents, three citations, one figure


def test_a_work_that_nobody_listed_is_named():
    made = document(Markdown("As [@nobody1900; @he2016] says."))
    assert render.unknown(made) == ["@nobody1900"]
    assert "nobody1900 (not in references.bib)" in page(*made.blocks).get_text()


NEGATIVE = {
    "-28.7 points": "−28.7 points",
    "by -0.5, and (-1) “-2” **-3** -.5": "by −0.5, and (−1) “−2” −3 −.5",
    "from -1-3 to -2": "from −1-3 to −2",
    "loss=-1e-05": "loss=−1e-05",
    "if x \\<-5 or y >-6": "if x <−5 or y >−6",
    "line\n-5 more": "line −5 more",
    "1-3, 2024-01-02, 1e-05, ResNet-50, conv2-1 and 5%-6%": "1-3, 2024-01-02, 1e-05, ResNet-50, conv2-1 and 5%-6%",
    "`x = -5` and https://example.org/?a=-5": "x = -5 and https://example.org/?a=-5",
    "--5, -- 5, a---5 (1)-2": "--5, -- 5, a---5 (1)-2",
}


def test_hyphens_that_make_a_number_negative_are_minus_signs(drawn):
    assert [made.get_text().replace("\n", " ") for made in drawn(*NEGATIVE)] == list(NEGATIVE.values())


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
def test_notebooks_refer_to_every_result(path: Path):
    """Whoever reads the text is led to each figure and table; only sample pictures, the table of claims and what folded
    details show speak for themselves."""
    notebook = load(path)
    details = [cell.source for cell in notebook.cells if "detail" in cell.metadata.get("tags", [])]
    folded = {name for code in details for name in re.findall(r'"([\w*]+)", ', re.sub(r"\{[^{}]*\}", "*", code))}
    named = named_in(notebook) | folded
    results = {*notebook.metadata.workbook.expects, "results"} - SAMPLES
    assert {result for result in results if not any(agree(name, result) for name in named)} == set()
