"""All notebooks of a profile as one book: title page, contents, a summary, and a chapter for each notebook."""

from collections.abc import Sequence
from datetime import datetime

from helpers.record import KEYS
from helpers.report import book, references
from helpers.report.book import Chapter
from helpers.report.compared import compared
from helpers.report.document import Document, Figure
from helpers.report.pdf import facts, have_own_numbers, markdown, provenance_first, tables
from helpers.report.pdf.blocks import formulas, image_maker, parts_of, places
from helpers.report.pdf.compile import Part, compile_parts
from helpers.report.pdf.markdown import Piece
from helpers.report.pdf.tables import Cell, Grid
from helpers.report.pdf.typst_text import array, words

_COLUMNS = ["Quantity", "Reported earlier", "This run", "Difference", "Images"]
_ALIGN = ["left", "right", "right", "right", "left"]
_CHAPTER_FILL = "#eef4fa"
_IMAGES = {True: "stand-in", False: "real", None: "–"}


def render_book(chapters: Sequence[Chapter], *, title: str, author: str = "", course: str = "", profile: str) -> bytes:
    """The book as a PDF on A4 paper; the same chapters give the same bytes.

    Args:
        chapters: in their order, numbered from 1; figures and tables are numbered by chapter.
        title, author, course: for the title page; no line is set for an empty one.
        profile: the profile of the runs.

    Raises:
        PdfError: Typst could not set it, even with plain text in place of what it complained about.
    """
    numbered = [
        Chapter(chapter.name, references.resolved(references.numbered_by_chapter(chapter.document, number)))
        for number, chapter in enumerate(chapters, 1)
    ]
    parts = [
        _title_page(numbered, title, author, course, profile),
        Part("#wb.book-contents"),
        *_summary(numbered),
        *(part for number, chapter in enumerate(numbered, 1) for part in _chapter(number, chapter)),
    ]
    preamble = f"#show: wb.book.with(title: {words(title)}, author: {words(author)})"
    return compile_parts(parts, preamble=preamble, template="book.typ")


def _title_page(chapters: Sequence[Chapter], title: str, author: str, course: str, profile: str) -> Part:
    rows = array(array(map(words, row)) for row in _facts(chapters, profile))
    arguments = f"author: {words(author)}, course: {words(course)}, rows: {rows}"
    return Part(f"#wb.title-page({words(title)}, {arguments})", title)


def _facts(chapters: Sequence[Chapter], profile: str) -> list[tuple[str, str]]:
    documents = [chapter.document for chapter in chapters]
    failed = sum(document.failed for document in documents)
    stand_ins = sum(bool(book.is_stand_in(document)) for document in documents)
    commits = book.commits(documents)
    others = f"; {_counted(len(commits) - 1, 'other commit')} in other chapters" if len(commits) > 1 else ""
    changed = sum(book.has_uncommitted_changes(document) for document in documents)
    dirty = f"; files had been changed since in {changed} of {len(chapters)}" if changed else ""
    newest = max((document.finished for document in documents if document.finished), default="")
    rows = [
        ("Newest run", _day(newest) if newest else ""),
        ("Profile", profile),
        ("Notebooks", f"{len(chapters)}{f', of which {failed} failed' if failed else ''}"),
        ("Images", f"stand-in data in {stand_ins} of {len(chapters)} chapters" if stand_ins else ""),
        ("Git commit", commits[0] + others + dirty if commits else ""),
    ]
    return [(label, text) for label, text in rows if text]


def _day(stamp: str) -> str:
    moment = datetime.fromisoformat(stamp)
    return f"{moment.day} {moment:%B %Y}"


def _summary(chapters: Sequence[Chapter]) -> list[Part]:
    opening = Part(f"#wb.unnumbered(1, {words('Summary')})")
    if not chapters:
        return [opening, Part(f"#wb.note({words('No notebook of this profile has been run yet.')})")]
    return [opening, *_states(chapters), *_comparison(chapters), *_findings(chapters)]


def _states(chapters: Sequence[Chapter]) -> list[Part]:
    """Which notebooks failed, and how much of the book rests on stand-in data."""
    count = len(chapters)
    failed = [(number, chapter) for number, chapter in enumerate(chapters, 1) if chapter.document.failed]
    stand_ins = sum(bool(book.is_stand_in(chapter.document)) for chapter in chapters)
    parts = []
    if failed:
        lines = [f"Chapter {number}, {chapter.name}. {book.failure(chapter.document)}" for number, chapter in failed]
        label = f"{len(failed)} of {_counted(count, 'notebook')} failed"
        parts.append(Part(f"#wb.alarm-list({words(label)}, {array(map(words, lines))})", "\n".join([label, *lines])))
    if stand_ins:
        where = "all chapters" if stand_ins == count else f"{stand_ins} of {count} chapters"
        text = (
            f"STAND-IN DATA in {where}. Such numbers say how the methods behave, nothing about the data sets that the "
            "images stand in for."
        )
        parts.append(Part(f"#wb.warning-bar({words(text)})", text))
    return parts


def _comparison(chapters: Sequence[Chapter]) -> list[Part]:
    grid = _grid(chapters)
    if not grid.cells:
        return []
    caption = (
        "Figures of earlier reports and of these runs; without such a report, the notebook's key numbers. "
        "Numbers from stand-in images are not held against the reported ones."
    )
    table = f'#wb.captioned-table("S.1", {words(caption)}, {tables.typst(grid)})'
    heading = f"#wb.unnumbered(2, {words('Reported and measured')})"
    return [Part(heading), Part(table, f"Table S.1. {caption}\n{tables.plain(grid)}")]


def _grid(chapters: Sequence[Chapter]) -> Grid:
    cells: list[Cell] = []
    y = 1
    for number, chapter in enumerate(chapters, 1):
        rows = _compared_rows(chapter.document)
        if rows:
            title = f"{number}\u2002{chapter.document.title}"
            cells.append(Cell(0, y, title, width=len(_COLUMNS), bold=True, fill=_CHAPTER_FILL, align="left"))
            cells += [Cell(x, y + 1 + i, text) for i, row in enumerate(rows) for x, text in enumerate(row)]
            y += 1 + len(rows)
    head = [Cell(x, 0, text, bold=True) for x, text in enumerate(_COLUMNS)] if cells else []
    return Grid(head + cells, columns=len(_COLUMNS), head=1, stub=1, align=_ALIGN)


def _compared_rows(document: Document) -> list[list[str]]:
    stand_in = book.is_stand_in(document)
    rows = compared(document.numbers, document.key_numbers, stand_in=bool(stand_in))
    return [[row[key] for key in ("label", *KEYS)] + [_IMAGES[stand_in]] for row in rows]


def _findings(chapters: Sequence[Chapter]) -> list[Part]:
    """For each notebook its chapter, one sentence, and its key figure."""
    labels: dict[str, str] = {}
    for number, chapter in enumerate(chapters, 1):
        labels |= places(chapter.document.blocks, prefix=_prefix(number))
    sentences = [Piece("" if chapter.document.failed else book.finding(chapter.document)) for chapter in chapters]
    results = markdown.convert(sentences, prefix="s-", places=labels)
    parts = [Part(f"#wb.unnumbered(2, {words('Chapter by chapter')})")]
    for number, (chapter, sentence, result) in enumerate(zip(chapters, sentences, results, strict=True), 1):
        parts += formulas(result)
        parts.append(_finding(number, chapter, sentence.text, result.source))
    return parts


def _finding(number: int, chapter: Chapter, sentence: str, source: str) -> Part:
    document = chapter.document
    state = f"Failed. {book.failure(document)}" if document.failed else ""
    plain = "\n".join(filter(None, [document.title, state, sentence]))
    arguments = f"{number}, {words(document.title)}, {words(_place(number))}, state: {words(state)}"
    without_figure = Part(f"#wb.finding({arguments})[\n{source}\n]", plain)
    figure = book.key_figure(document)
    if figure is None:
        return without_figure

    def with_figure(file: str, content: bytes, fallback: Part) -> Part:
        drawn = _key_figure(figure, file, prefix=_prefix(number))
        return Part(f"#wb.finding({arguments}, key: {drawn})[\n{source}\n]", plain, {file: content}, fallback)

    as_svg = with_figure(f"s{number}.svg", figure.svg.encode(), without_figure)
    return with_figure(f"s{number}.pdf", figure.pdf, as_svg) if figure.pdf else as_svg


def _key_figure(figure: Figure, file: str, *, prefix: str) -> str:
    place = words(prefix + references.anchor(figure))
    return f'wb.key-figure("{figure.number}", {words(figure.caption)}, {place}, {image_maker(file, figure.alt)})'


def _chapter(number: int, chapter: Chapter) -> list[Part]:
    document = chapter.document
    parts, headings = parts_of(provenance_first(document.blocks), prefix=_prefix(number), level=2)
    failed = str(document.failed).lower()
    about = " · ".join(filter(None, [chapter.name, facts(document)]))
    arguments = f"{words(document.title)}, {words(_place(number))}, facts: {words(about)}, failed: {failed}"
    opening = Part(f'#set heading(numbering: "1.1")\n#wb.chapter({arguments})', document.title)
    if have_own_numbers(headings):
        return [opening, Part("#set heading(numbering: none)"), *parts]
    return [opening, *parts]


def _prefix(number: int) -> str:
    """Begins the labels and file names of a chapter."""
    return f"d{number}-"


def _place(number: int) -> str:
    """The label of a chapter's heading."""
    return f"chapter-{number}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
