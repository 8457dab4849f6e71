"""The cover of a report, and all reports as one book: its chapters, its summary, and the PDF read back."""

import io
import re
from dataclasses import replace

import pypdf
from PIL import Image

from helpers import ROOT
from helpers.report import book, render
from helpers.report.cover import Cover, read
from helpers.report.document import Block, Code, Document, Failure, Markdown, Output, Provenance, Reading, Table
from helpers.report.workspace import Settings
from tests.report.documents import LOREM, document, figure, in_order, pages_of, table

WHEN = {"duration": 61.0, "finished": "2026-03-04T10:12:13+00:00"}


def make_document(*blocks: Block, title: str = "A report", **fields: object) -> Document:
    return document(*blocks, title=title, **{**WHEN, **fields})


def bound(*documents: Document, edition: str = "hand-in", **options: object) -> pypdf.PdfReader:
    made = {f"{i:02}_notebook": document for i, document in enumerate(documents, 1)}
    how = Settings("quick", cover=Cover(**{"title": "The book", **options}), edition=edition)
    return pypdf.PdfReader(io.BytesIO(book.pdf(made, how)))


def page_with(reader: pypdf.PdfReader, heading: str) -> str:
    return next(page for page in pages_of(reader) if re.search(rf"^{heading}$", page, re.MULTILINE))


def outline(reader: pypdf.PdfReader) -> dict[str, int]:
    """The bookmarks, with their pages from 1."""

    def flat(items):
        for item in items:
            yield from flat(item) if isinstance(item, list) else [item]

    return {item.title: reader.get_destination_page_number(item) + 1 for item in flat(reader.outline)}


def test_the_title_page_names_who_and_when():
    stand_in = Provenance([("Data set", "d")], "STAND-IN DATA: shapes.", stand_in=True)
    made = [make_document(stand_in), make_document(finished="2026-03-05T01:00:00+00:00"), make_document(finished=None)]
    about = {"title": "My experiments", "authors": (("Sara Moradi", "401"),), "course": "Deep learning"}
    reader = bound(*made, **about)
    first = pages_of(reader)[0]
    order = ["Deep learning", "My experiments", "Sara Moradi", "401", "5 March 2026", "quick", "in 1 of 3 chapters"]
    assert in_order(first, order) and "A report" not in first
    assert "STAND-IN DATA in 1 of 3 chapters" in page_with(reader, "Summary")
    assert (reader.metadata.title, reader.metadata.author) == ("My experiments", "Sara Moradi")


def test_the_title_that_the_workbook_comes_with_is_told_in_persian():
    how = Settings("quick", cover=read(ROOT), language="fa")
    made = book.pdf({f"0{i}": make_document(Markdown("متن"), language="fa") for i in (1, 2)}, how)
    assert pypdf.PdfReader(io.BytesIO(made)).metadata.title == "آزمایش‌هایی در دسته‌بندی تصویر"


def test_contents_name_the_pages_of_chapters_and_sections():
    parts = [Markdown(f"## Part {i}\n\n" + (LOREM + "\n\n") * 6) for i in range(3)]
    reader = bound(*(make_document(*parts, title=f"Chapter of {name}") for name in "AB"), edition="full")
    pages = pages_of(reader)
    marks = outline(reader)
    lines = re.findall(r"^(\d[\d.]* (?:Chapter of \w|Part \d))[ .]*?(\d+)$", pages[1], re.MULTILINE)
    assert len(lines) == 8 and {title: int(page) for title, page in lines}.items() <= marks.items()
    assert marks.pop("Contents") == 2
    assert all(title in pages[page - 1].replace("\n", " ") for title, page in marks.items())


def test_figures_and_tables_are_numbered_by_chapter_and_referred_to_so():
    figures = [figure(i, name=f"f{i}", caption=f"Caption {i}.") for i in (1, 2)]
    blocks = [Markdown("## See\n\n@fig-f2, @tbl-t and `@fig-f2`"), *figures, table(1, 2), Reading("As in @fig-f1.")]
    chapters = [make_document(*blocks, finding="As in @fig-f1.") for _ in range(2)]
    text = "\n".join(pages_of(bound(*chapters, edition="full")))
    for chapter in (1, 2):
        assert f"Figure {chapter}.2, Table {chapter}.1 and @fig-f2" in text
        assert f"Figure {chapter}.2. Caption 2." in text and f"Table {chapter}.1. Values by row." in text
        assert text.count(f"As in Figure {chapter}.1.") == 2  # in the chapter and in the summary


def test_a_failed_notebook_is_named_as_failed_with_its_error():
    failure = Failure("ValueError", "the loss is not finite", "Traceback\nValueError: the loss is not finite", 7)
    failed = make_document(Markdown("What it is."), Reading("Half."), failure, title="Broken", finding="Half.")
    reader = bound(make_document(finding="It works. More."), failed)
    pages, summary = pages_of(reader), page_with(reader, "Summary")
    assert in_order(summary, ["It works.", "Failed. ValueError: the loss is not finite (cell 7)", "Half."])
    assert "2 notebooks, of which 1 failed" in pages[0] and "Broken (failed)" in pages[1] and "More." not in summary
    chapter = "\n".join(pages[outline(reader)["2 Broken (failed)"] - 1 :])
    assert in_order(chapter, ["Chapter 2", "FAILED.", "What it is.", "Half.", "ValueError in code cell 7"])


def test_the_full_edition_lists_figures_and_tables_with_their_pages_and_has_what_the_other_leaves_out():
    figures = [figure(i, name=f"f{i}", caption=f"Caption {i} of it.") for i in (1, 2)]
    cells = [Code("other = 1", 1), Code("key = 1", 2, tags=("key",)), Markdown("Only there.", tags=("detail",))]
    text = Markdown(LOREM)  # so much that the second figure floats from the page where it was recorded
    parts = [Markdown("## Part"), figures[0], text, figures[1], text, text]
    documents = [make_document(*parts), make_document(table(2, 2), *cells)]
    reader = bound(*documents, edition="full")
    lines = re.findall(r"^((?:Figure|Table) \d\.\d\.) .* (\d+)$", page_with(reader, "Contents"), re.MULTILINE)
    assert [name for name, _ in lines] == ["Figure 1.1.", "Figure 1.2.", "Table 2.1."]
    for name, place in lines:
        assert name in pages_of(reader)[int(place) - 1]
    full, handed_in = ("\n".join(pages_of(made)) for made in (reader, bound(*documents)))
    assert "Only there." in full and not re.search("Figures|Only there", handed_in)
    assert all("key = 1" in text and "other" not in text for text in (full, handed_in))


def test_tables_that_the_full_edition_lists_stand_where_they_were_recorded():
    tables = [table(2, 2, number, name=f"t{number}") for number in (1, 2)]
    page = page_with(
        bound(make_document(tables[0], Markdown("Between."), tables[1], Markdown("After.")), edition="full"), "Between."
    )
    assert in_order(page, ["Table 1.1.", "Between.", "Table 1.2.", "After."])


def test_the_full_edition_has_figures_of_foreign_html_and_tables_without_columns():
    foreign = Output("text/html", "<figure><p>Inside.</p><figcaption>Of it.</figcaption></figure>", 1)
    reader = bound(make_document(foreign, Table("t", "Nothing.", [], [], [], [], 1), figure()), edition="full")
    assert all(text in "\n".join(pages_of(reader)) for text in ("Inside.", "Nothing.", "Figure 1.1."))


# The cover

FIELDS = """
above: به نام خدا
logo: logo.png
university: University of Example
term: 1404
date: 2026-11-29
authors:
  - name: سارا مرادی
    number: 401123
  - Ali Rad
"""


def drawn(cover: Cover | None) -> list[str]:
    content = render.pdf(document(*[Markdown(LOREM)] * 9, title="The report"), cover)
    return pages_of(pypdf.PdfReader(io.BytesIO(content)))


def test_a_cover_from_a_file_and_below_it_pyproject_opens_a_report_and_heads_its_pages(tmp_path):
    assert read(tmp_path) == Cover()
    Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "logo.png")
    (tmp_path / "cover.yaml").write_text(FIELDS, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.workbook.cover]\nterm = "spring"\ncourse = "Deep learning"\n')
    made = read(tmp_path, tmp_path / "cover.yaml")
    assert made.authors == (("سارا مرادی", "401123"), ("Ali Rad", ""))
    assert made.logo == (tmp_path / "logo.png").read_bytes()
    first, second, third = drawn(made)
    own = ["Deep learning", "University of Example", "The report", "401123", "Ali Rad", "1404", "29 November 2026"]
    assert [word for word in own if word not in first] == [] and "spring" not in first
    assert LOREM[:20] in second and "1 / 2" in second
    assert "The report" in third and "Ali Rad" in third and "2 / 2" in third


def test_without_a_field_of_its_own_a_report_has_no_cover():
    bare = drawn(None)
    assert drawn(replace(Cover(), title="The book")) == bare and "The report" in bare[0] and LOREM[:20] in bare[0]
