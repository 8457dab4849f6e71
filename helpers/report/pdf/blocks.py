"""The blocks of a document as parts of a PDF: one block, one call of what template.typ defines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.report import document, references
from helpers.report.pdf import html_tables, markdown, tables
from helpers.report.pdf.compile import Part
from helpers.report.pdf.markdown import EXTENSIONS, Converted, Piece
from helpers.report.pdf.typst_text import array, code, quoted, shortened, words

LAST_TRACEBACK_LINES = 30
LONGEST_WORD_OF_PROVENANCE = 70
"""Characters that fit on a line of it: a path that is copied should hold no invisible places to break."""
LARGEST_HTML = 4_000_000
"""Characters of an HTML output beyond which it is not read: a table of that size is no use on paper."""


def parts_of(blocks: list[document.Block], *, prefix: str, level: int = 1) -> tuple[list[Part], list[str]]:
    """The blocks' parts in their order, and the texts of the headings in them.

    Args:
        blocks: in reading order, their references resolved.
        prefix: begins the labels and file names of this document.
        level: of the highest headings.
    """
    pieces = {index: piece for index, block in enumerate(blocks) if (piece := _piece(block)) is not None}
    results = markdown.convert(list(pieces.values()), prefix=prefix, places=places(blocks, prefix=prefix), level=level)
    converted = dict(zip(pieces, results, strict=True))
    parts = []
    for index, block in enumerate(blocks):
        if index in converted:
            parts += _converted_parts(block, pieces[index].text, converted[index])
        else:
            parts.append(_part(block, f"{prefix}b{index}"))
            if isinstance(block, document.Figure | document.Table):
                parts[-1] = replace(parts[-1], label=prefix + references.anchor(block))
            if isinstance(block, document.Table) and isinstance(
                next(iter(blocks[index + 1 :]), None), document.Reading
            ):
                parts[-1] = _kept_with_next(parts[-1])
    return parts, [heading for result in converted.values() for heading in result.headings]


def places(blocks: list[document.Block], *, prefix: str) -> dict[str, str]:
    """The labels of the figures and tables, by what references to them lead to."""
    numbered = (block for block in blocks if isinstance(block, document.Figure | document.Table))
    return {(anchor := references.anchor(block)): prefix + anchor for block in numbered}


def formulas(result: Converted) -> list[Part]:
    """The definitions of the formulas that the converted text names."""
    return [Part(definition, fallback=Part(as_code)) for definition, as_code in result.formulas]


def _converted_parts(block: document.Block, text: str, result: Converted) -> list[Part]:
    """The definitions of the formulas, then what names them."""
    source = f"#wb.reading[\n{result.source}\n]" if isinstance(block, document.Reading) else result.source
    return [*formulas(result), Part(source, text, result.files)]


def _piece(block: document.Block) -> Piece | None:
    """What pandoc converts of the block; None for a block that it has nothing to do with."""
    if isinstance(block, document.Markdown):
        return Piece(block.text, pictures=block.attachments)
    if isinstance(block, document.Reading):
        return Piece(block.text)
    if not isinstance(block, document.Output):
        return None
    if block.mime == "text/html":
        is_prose = "<table" not in block.content.lower() and len(block.content) <= LARGEST_HTML
        return Piece(block.content, kind="html") if is_prose else None
    return Piece(block.content, kind="latex") if block.mime == "text/latex" else None


def _part(block: document.Block, name: str) -> Part:
    makers: dict[type, Callable[[Any, str], Part]] = {
        document.Code: _code,
        document.Provenance: _provenance,
        document.Figure: _figure,
        document.Table: _table,
        document.Output: _output,
        document.Failure: _failure,
    }
    return makers[type(block)](block, name)


def _code(block: document.Code, name: str) -> Part:
    if not block.shown:
        return Part("")
    return Part(f'#wb.code({code(block.source)}, lang: "python", cell: {quoted(str(block.cell))})', block.source)


def _provenance(block: document.Provenance, name: str) -> Part:
    rows = array(array(words(text, longest=LONGEST_WORD_OF_PROVENANCE) for text in row) for row in block.rows)
    plain = "\n".join([block.warning, *(f"{label}: {text}" for label, text in block.rows)])
    return Part(f"#wb.provenance({rows}, warning: {words(block.warning)})", plain)


def _figure(block: document.Figure, name: str) -> Part:
    """The figure as PDF, or as SVG where Typst doesn't take the PDF."""
    svg = _drawing(block, name, f"{name}.svg", block.svg.encode())
    if not block.pdf:
        return svg
    return replace(_drawing(block, name, f"{name}.pdf", block.pdf), fallback=svg)


def _drawing(block: document.Figure, name: str, file: str, content: bytes) -> Part:
    arguments = f'"{block.number}", {words(block.caption)}, {image_maker(file, block.alt)}'
    return Part(f"#wb.drawing({arguments})", f"Figure {block.number}. {block.caption}", {file: content})


def image_maker(file: str, alt: str) -> str:
    """A function that makes the image in a size: Typst's errors about a picture then name the line of its block."""
    return f"(..size) => image({quoted(file)}, alt: {quoted(alt)}, ..size)"


def _table(block: document.Table, name: str) -> Part:
    grid = tables.recorded(block)
    plain = f"Table {block.number}. {block.caption}\n{tables.plain(grid)}"
    return Part(f'#wb.captioned-table("{block.number}", {words(block.caption)}, {tables.typst(grid)})', plain)


def _kept_with_next(part: Part) -> Part:
    """The part on the page of the one after it: a conclusion doesn't stand alone on a page."""
    return replace(part, source=f"#wb.kept-with-next[\n{part.source}\n]")


def _failure(block: document.Failure, name: str) -> Part:
    label = block.name if block.cell is None else f"{block.name} in cell {block.cell}"
    tail = "\n".join(block.traceback.rstrip().split("\n")[-LAST_TRACEBACK_LINES:])
    arguments = f"message: {words(shortened(block.message))}, details: {code(shortened(tail, first=0, last=40))}"
    return Part(f"#wb.alarm-box({words(label)}, {arguments})", f"{label}\n{block.message}\n{tail}")


def _output(block: document.Output, name: str) -> Part:
    if block.mime in EXTENSIONS:
        return _picture(block, name)
    if block.mime == "text/html" and len(block.content) <= LARGEST_HTML:
        return _html(block)
    if block.mime == "text/html":
        return Part(f"#wb.note({words(f'An HTML output of {len(block.content):,} characters is left out.')})")
    return Part(f"#wb.printed({code(shortened(block.content))})", block.content)


def _picture(block: document.Output, name: str) -> Part:
    file = f"{name}.{EXTENSIONS[block.mime]}"
    image = image_maker(file, f"Output of cell {block.cell}")
    return Part(f"#wb.picture({image})", f"A picture ({block.mime})", {file: markdown.decoded(block.content)})


def _html(block: document.Output) -> Part:
    """Tables of an HTML output, with the text around them below."""
    grids, around = html_tables.read(block.content)
    lines = []
    for grid in grids:
        lines += [f"#wb.note({words(grid.caption)})"] if grid.caption else []
        lines.append(f"#{tables.typst(grid)}")
    lines += [f"#wb.note({words(around[:500])})"] if around else []
    return Part("\n\n".join(lines), "\n".join([*map(tables.plain, grids), around]))
