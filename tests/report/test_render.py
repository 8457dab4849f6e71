"""What a report tells on either of its pages, HTML and PDF, both read back."""

import sys

import numpy as np
import pandas as pd
import pypandoc
import pytest

from helpers.report import render
from helpers.report.document import Code, Failure, Markdown, Output, Provenance, Reading, Table
from tests.report.documents import document, figure, in_order, page, pdf, pdf_text, table

WHEN = {"duration": 3725.2, "finished": "2026-03-04T10:12:13+00:00"}
MARKUP = (
    '\\ " # $ \' `code` <lab> @ref *b* _i_ ~ #import "x" #panic("y") \x00\x07\x1b[31m red \ud800 😀 سلام /* // ] ) } {'
    " $x^$ $$ \\begin{align"
)


@pytest.fixture(params=["html", "pdf"])
def text(request):
    """What a page of such blocks says, each run of white space as one space."""

    def of(*blocks, **fields) -> str:
        found = pdf_text(*blocks, **fields) if request.param == "pdf" else page(*blocks, **fields).main.get_text()
        return " ".join(found.replace("\u200b", "").split())

    return of


def test_a_page_opens_with_title_date_warning_and_provenance(text):
    provenance = Provenance([("Data set", "drawn shapes"), ("Seed", "7")], "STAND-IN DATA: drawn shapes.")
    sections = [Markdown("## Data\n\ntext"), Markdown("## Results\n\ntext")]
    blocks = [Markdown("What this is about."), Code("import torch", 1), provenance, *sections]
    said = text(*blocks, title="CNN on A", **WHEN)
    opening = ["CNN on A", "4 March 2026, 10:12 UTC", "STAND-IN DATA: drawn shapes.", "Seed", "7"]
    assert in_order(said, [*opening, "Contents", "What this is about.", "import torch"])
    assert "took 1 h 2 min" in said and said.count("STAND-IN") == 1 and "failed" not in said.lower()


def test_a_failed_run_says_so_on_top_and_shows_its_error_at_the_end(text):
    frames = "\n".join(f"frame {i}" for i in range(200))
    said = text(Code("fit()", 12), Failure("RuntimeError", "the loss is not finite", frames, 12))
    top, error = said.split("fit()")
    assert "failed" in top.lower() and in_order(error, ["RuntimeError", "the loss is not finite", "frame 199"])


def test_code_is_shown_unless_its_cell_hides_it(text):
    said = text(Code("def f(x):\n    return x @ x.T  # a <comment>", 1), Code("secret = 1", 2, shown=False))
    assert "def f(x): return x @ x.T # a <comment>" in said and "secret" not in said


def test_data_frames_of_outputs_are_tables(text):
    columns = pd.MultiIndex.from_product([["A", "B"], ["P", "R"]])
    index = pd.MultiIndex.from_product([["x", "y"], ["1", "2"]])
    frame = pd.DataFrame(np.arange(16).reshape(4, 4) + 100, index=index, columns=columns)
    said = text(Output("text/html", frame.to_html(), 1), Output("text/html", frame.style.to_html(), 1))
    for wanted in ("A B", "P R P R", "1 100 101 102 103", "2 112 113 114 115"):
        assert said.count(wanted) == 2


def test_text_is_never_read_as_markup(text):
    blocks = [
        Markdown(MARKUP),
        Code(MARKUP, 1),
        Output("text/plain", MARKUP, 1),
        Output("text/html", f"<table><tr><td>{MARKUP}</td></tr></table>", 1),
        Provenance([(MARKUP, MARKUP)], MARKUP),
        Table("t", MARKUP, [MARKUP], [[MARKUP]], ["left"], [], 1),
        Reading(MARKUP),
        Output("text/latex", MARKUP, 1),  # TeX itself ends at the first sign that it doesn't know
        Failure(MARKUP, MARKUP, MARKUP, None),
    ]
    typst_in_markdown = '```{=typst}\n#panic("a")\n```\n\n`#panic("b")`{=typst}\n\n<raw>#panic("c")</raw>'
    typst_in_markdown += '\n\n[@he2016 \\`#panic("d")\\`{=typst}]'
    said = text(*blocks, Markdown(typst_in_markdown), Markdown("The end."), title=MARKUP).replace(" ", "")
    assert "Theend." in said and said.count("#panic") >= 17


def test_no_file_outside_the_report_is_read(text, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    pictures = Markdown(f"![picture]({secret}) <img src='{secret}'>")
    said = text(pictures, Output("text/latex", rf"\input{{{secret}}}", 1))
    assert "the secret" not in said and "picture" in said


def test_texts_that_pandoc_fails_on_are_shown_as_typed(text, monkeypatch):
    run = render.subprocess.run

    def fails_on_markdown(*arguments, **options):
        if b'"longest": 0' not in options["input"]:
            raise render.subprocess.TimeoutExpired("pandoc", 60)
        return run(*arguments, **options)

    monkeypatch.setattr(render.subprocess, "run", fails_on_markdown)
    assert in_order(text(Markdown("**NO WAY** <b>"), Reading("*three*"), table(1, 2)), ["**NO WAY** <b>", "*three*"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes")
def test_ctrl_c_in_a_terminal_ends_no_pandoc_that_draws_a_page(monkeypatch, tmp_path):
    """Its group gets it, and texts would be shown as typed: pandoc leads one of its own."""
    program = tmp_path / "pandoc"
    program.write_text(f'#!/bin/sh\nkill -0 -$$ && exec {pypandoc.get_pandoc_path()} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(pypandoc, "get_pandoc_path", lambda: str(program))
    assert page(Markdown("**bold**")).main.find("strong")


# Names of figures, tables and works


NAMED = [figure(i, name=name, caption=f"As of {name}, #{i}.") for i, name in enumerate(("loss", "roc_curve"), 1)]
NAMED.append(table(1, 2, name="loss", caption="As of loss."))
SHOWN = {
    "(@fig-loss, @fig-roc_curve)": "(Figure 1, Figure 2)",
    "**@fig-loss** ends": "Figure 1 ends",
    "a line\n    that goes on: @tbl-loss.": "a line that goes on: Table 1.",
    "```x``` and @fig-loss": "x and Figure 1",
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
CITING = "As [@he2016] and\n[@tan2019; @he2016, p. 3] say, `[@code]`, [@fig-f]."


def test_figures_and_tables_have_numbered_captions_and_texts_name_the_numbers(text):
    said = text(*map(Markdown, SHOWN), *NAMED)
    captions = ["Figure 1. As of loss, #1.", "Figure 2. As of roc_curve, #2.", "Table 1. As of loss."]
    assert [words for words in [*SHOWN.values(), *captions] if words not in said] == []


def test_code_addresses_and_links_stay_as_they_are():
    made = page(*map(Markdown, KEPT), *NAMED)
    assert [link["href"] for link in made.select(".text a") if link["href"].startswith("#")] == []
    assert "not in this report" not in made.get_text()
    assert render.unknown(document(*map(Markdown, KEPT), figure(1, name="other"))) == []


def test_numbers_link_to_their_figures():
    made = page(Markdown("**@fig-roc_curve’s** @fig-loss، @tbl-loss؛ b"), *NAMED)
    told = {link.get_text(): made.find(id=link["href"][1:]).figcaption.get_text() for link in made.select(".text a")}
    captions = ["Figure 2. As of roc_curve, #2.", "Figure 1. As of loss, #1.", "Table 1. As of loss."]
    assert told == dict(zip(["Figure\u00a02", "Figure\u00a01", "Table\u00a01"], captions, strict=True))
    filler = [Markdown("A line of text.")] * 60
    first, *_, last = pdf(Markdown("See @fig-f and @tbl-t."), *filler, figure(size=(2, 1)), table(1, 2)).pages
    of_figure, of_table = (note.get_object()["/Dest"] for note in first["/Annots"])  # page, "/XYZ", x, y, zoom
    assert of_figure[0].get_object() == of_table[0].get_object() == last.get_object()
    assert of_figure[3] > of_table[3] and "Figure 1." in last.extract_text()


def test_works_are_cited_and_listed_once_at_the_end(text):
    said = text(Markdown(f"## Part\n\n{CITING}"), Reading("See [@he2016]."), figure(1, size=(2, 1)))
    assert "As (He et al. 2016) and (Tan and Le 2019; He et al. 2016, 3) say, [@code], [Figure 1]." in said
    assert in_order(said.split("say, [@code]")[1], ["References", "Deep Residual Learning", "EfficientNet: Rethinking"])
    assert said.count("Deep Residual Learning") == 1


def test_citations_link_to_the_list_of_works():
    made = page(Markdown(f"{CITING} [@nobody1900; @he2016]"), figure())
    assert "(nobody1900?; He et al. 2016)" in made.get_text()
    assert "Deep Residual" in made.find(id=made.find("a", string="He et al. 2016")["href"][1:]).get_text()
    (only,) = pdf(Markdown(f"## Part\n\n{CITING}"), figure(1, size=(2, 1))).pages
    assert len(only["/Annots"]) == 6  # two in the contents, three citations, one figure
