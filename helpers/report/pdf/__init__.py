"""A report as a PDF: Document -> Typst -> PDF, without a browser, LaTeX or the network.

``blocks`` turns each block of the document into one part of Typst source (Markdown by way of pandoc, HTML tables by
way of BeautifulSoup), ``template.typ`` says what a part looks like, and ``compile`` sets them.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from helpers.report import durations, references
from helpers.report.document import Block, Document, Provenance
from helpers.report.pdf.blocks import parts_of
from helpers.report.pdf.compile import Part, PdfError, compile_parts
from helpers.report.pdf.typst_text import words

__all__ = ["PdfError", "render"]

FEWEST_HEADINGS_FOR_CONTENTS = 2
_OWN_NUMBER = re.compile(r"\d+(\.\d+)*[.):]?\s")


def render(document: Document) -> bytes:
    """The document as a PDF on A4 paper; the same document gives the same bytes.

    Raises:
        PdfError: Typst could not set it, even with plain text in place of what it complained about.
    """
    # Every label and file name of a document begins alike: in a book several documents stand together.
    parts, headings = parts_of(provenance_first(references.resolved(document).blocks), prefix="d1-")
    first = 1 if any(isinstance(block, Provenance) for block in document.blocks) else 0
    opening = [_title(document), *parts[:first]]
    if len(headings) >= FEWEST_HEADINGS_FOR_CONTENTS:
        opening.append(Part("#wb.contents"))
    numbered = str(not have_own_numbers(headings)).lower()
    preamble = f"#show: wb.report.with(title: {words(document.title)}, numbered: {numbered})"
    return compile_parts([*opening, *parts[first:]], preamble=preamble)


def provenance_first(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with the first provenance, if there is one, before all others."""
    first = next((block for block in blocks if isinstance(block, Provenance)), None)
    return [first, *(block for block in blocks if block is not first)] if first else list(blocks)


def have_own_numbers(headings: Sequence[str]) -> bool:
    """Whether the author numbered headings: then they are not numbered again."""
    return any(_OWN_NUMBER.match(heading) for heading in headings)


def facts(document: Document) -> str:
    """When the run finished and how long it took, in words; "" where the notebook says neither."""
    took = "" if document.duration is None else f"took {durations.in_words(document.duration)}"
    return " · ".join(filter(None, [_finished(document.finished), took]))


def _title(document: Document) -> Part:
    failed = str(document.failed).lower()
    arguments = f"{words(document.title)}, facts: {words(facts(document))}, failed: {failed}"
    return Part(f"#wb.title-block({arguments})", document.title)


def _finished(stamp: str | None) -> str:
    if stamp is None:
        return ""
    try:
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return stamp
    return f"Run finished on {moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()
