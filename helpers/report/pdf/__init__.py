"""A report as a PDF: Document -> Typst -> PDF, without a browser, LaTeX or the network.

``blocks`` turns each block of the document into one part of Typst source (Markdown by way of pandoc, HTML tables by
way of BeautifulSoup), ``template.typ`` says what a part looks like, and ``compile`` sets them.
"""

import re
from datetime import datetime

from helpers.report import durations
from helpers.report.document import Document, Provenance
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
    provenance = next((block for block in document.blocks if isinstance(block, Provenance)), None)
    body = [block for block in document.blocks if block is not provenance]
    # Every label and file name of a document begins alike, so that several documents could stand in one book.
    parts, headings = parts_of([provenance, *body] if provenance else body, prefix="d1-")
    first = 1 if provenance else 0
    opening = [_title(document), *parts[:first]]
    if len(headings) >= FEWEST_HEADINGS_FOR_CONTENTS:
        opening.append(Part("#wb.contents"))
    # Headings that their author numbered are not numbered again.
    numbered = not any(_OWN_NUMBER.match(heading) for heading in headings)
    preamble = f"#show: wb.report.with(title: {words(document.title)}, numbered: {str(numbered).lower()})"
    return compile_parts([*opening, *parts[first:]], preamble=preamble)


def _title(document: Document) -> Part:
    took = "" if document.duration is None else f"took {durations.in_words(document.duration)}"
    facts = " · ".join(filter(None, [_finished(document.finished), took]))
    failed = str(document.failed).lower()
    return Part(f"#wb.title-block({words(document.title)}, facts: {words(facts)}, failed: {failed})", document.title)


def _finished(stamp: str | None) -> str:
    if stamp is None:
        return ""
    try:
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return stamp
    return f"Run finished on {moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()
