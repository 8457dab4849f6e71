"""``@fig-NAME`` and ``@tbl-NAME`` in texts: numbers with links on every page, and a complaint about unknown names."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.report import render
from helpers.report.document import Markdown, Reading, Table, read
from helpers.report.run import missing_results
from tests.report.documents import document, figure, page, pdf


def table(name: str, number: int) -> Table:
    return Table(name, f"The caption of {name}.", ["a"], [["1"]], ["right"], [], number)


def drawn(*texts):
    """What texts become on a page with Figures 1 and 2, "loss" and "roc_curve", and Table 1, "loss"."""
    named = [figure(1, name="loss", caption="The caption of loss."), figure(2, name="roc_curve"), table("loss", 1)]
    return page(*map(Markdown, texts), *named)


SHOWN = {
    "(@fig-loss, @fig-roc_curve)": "(Figure\u00a01, Figure\u00a02)",
    "**@fig-loss’s** end": "Figure\u00a01’s end",
    "@fig-loss، @tbl-loss؛ b": "Figure\u00a01، Table\u00a01؛ b",
    "a line\n    that goes on: @tbl-loss.": "a line that goes on: Table\u00a01.",
    "```x``` and @fig-loss": "x and Figure\u00a01",
    "@fig-loss-curve": "Figure loss-curve (not in this report)",
    "@tbl-roc_curve": "Table roc_curve (not in this report)",
}
KEPT = (
    "``a ` and @fig-loss``",
    "~~~python\n\n@fig-loss\n```\n@fig-loss\n~~~",
    "> ```\n> @fig-loss\n> ```",
    "Text.\n\n    @fig-loss",
    "write to someone@fig-loss.org",
    "[there](a@fig-loss)",
    "https://example.org/@fig-loss?x=@fig-loss",
    "@figure-loss @fig- @fig_loss",
)


def test_names_become_numbers_with_links():
    made = drawn(*SHOWN)
    assert [text.get_text().strip().replace("\n", " ") for text in made.select(".text")] == list(SHOWN.values())
    links = {link.get_text(): made.find(id=link["href"][1:]).get_text() for link in made.select(".text a")}
    assert links.keys() == {"Figure\u00a01", "Figure\u00a02", "Table\u00a01"}
    assert "The caption of loss." in links["Figure\u00a01"] and "The caption of loss." in links["Table\u00a01"]


def test_code_addresses_and_links_stay_as_they_are():
    made = drawn(*KEPT)
    assert [link["href"] for link in made.select(".text a") if link["href"].startswith("#")] == []
    assert "not in this report" not in made.get_text()
    assert render.unknown(document(*map(Markdown, KEPT), figure(1, name="other"))) == []


def test_the_pdf_links_to_the_page_of_the_figure():
    filler = [Markdown("A line of text.")] * 60
    reader = pdf(Markdown("See @fig-f and @tbl-t."), *filler, figure(1, size=(2, 1)), table("t", 1), Reading("x"))
    first, *_, last = reader.pages
    assert "See Figure 1 and Table 1." in first.extract_text().replace("\u00a0", " ")
    of_figure, of_table = (note.get_object()["/Dest"] for note in first["/Annots"])  # page, "/XYZ", x, y, zoom
    assert of_figure[0].get_object() == of_table[0].get_object() == last.get_object()
    assert of_figure[3] > of_table[3]
    assert "Figure 1." in last.extract_text()


CITING = "As [@he2016] and\n[@tan2019; @he2016, p. 3] say, `[@code]`, [@fig-f]."


def test_works_are_cited_and_listed_once_at_the_end():
    made = page(Markdown(f"## Part\n\n{CITING}"), Reading("See [@he2016]."), figure(1))
    text = made.find(class_="text").find_all("p")[0].get_text().replace("\n", " ")
    assert text == "As (He et al. 2016) and (Tan and Le 2019; He et al. 2016, 3) say, [@code], [Figure\u00a01]."
    link = made.find("a", string="He et al. 2016")
    assert "Deep Residual Learning" in made.find(id=link["href"][1:]).get_text()
    assert [heading.get_text() for heading in made.find_all("h2")] == ["Part", "References"]
    reader = pdf(Markdown(f"## Part\n\n{CITING}"), figure(1, size=(2, 1)))
    (first,) = (each.extract_text() for each in reader.pages)
    assert "As (He et al. 2016)" in first and "2 References" in first and "EfficientNet: Rethinking" in first
    assert len(reader.pages[0]["/Annots"]) == 6  # two in the contents, three citations, one figure


def test_a_run_whose_text_names_what_nobody_recorded_or_listed_has_failed():
    recorded = {"kind": "table", "name": "t", "caption": "c", "columns": [], "rows": [], "align": [], "bold": []}
    shown = new_output("display_data", {"application/vnd.workbook.v1+json": recorded})
    cells = [new_markdown_cell("# T\n\n@tbl-t and `@fig-x`"), new_code_cell("x", outputs=[shown])]
    assert missing_results(read(new_notebook(cells=cells))) == ""
    bad = read(new_notebook(cells=[*cells, new_markdown_cell("as @fig-loss and [@nobody1900; @he2016] show")]))
    assert missing_results(bad).endswith(": @fig-loss, @nobody1900")
    assert "(nobody1900?; He et al. 2016)" in page(*bad.blocks).get_text()
