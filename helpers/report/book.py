"""All notebooks of a profile as one book, ``workbook.pdf``: cover, contents, a summary, a chapter for each."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from helpers import WorkbookError
from helpers.phrases import isolated, per_cent_apart, say
from helpers.report import clean, render
from helpers.report.cover import Cover
from helpers.report.document import Document, selected
from helpers.report.index import Documents, executed, finding
from helpers.report.language import Language
from helpers.report.run import in_words
from helpers.report.workspace import BOOK, Settings, write

FEWEST_CHAPTERS = 2


def write_book(reports: Path, documents: Documents, how: Settings) -> str:
    """Writes ``workbook.pdf`` into a profile's folder, from all that lies there; returns why it could not, or "".

    One notebook makes no book. One of earlier runs goes in any case: it would show other numbers than the reports.
    """
    try:
        (reports / BOOK).unlink(missing_ok=True)
        if "pdf" in how.formats and len(documents) >= FEWEST_CHAPTERS:
            write(reports / BOOK, pdf(documents, how))
    except (WorkbookError, OSError) as error:
        return clean.private(f"{BOOK} could not be made: {in_words(error)}")
    return ""


def is_outdated(reports: Path, how: Settings) -> bool:
    """Whether the page over the reports or the book is missing or older than one of them, or has one that is gone."""
    paths, page = executed(reports), reports / "index.html"
    newest = max((path.stat().st_mtime_ns for path in paths), default=0)
    over = [page, *([reports / BOOK] if "pdf" in how.formats and len(paths) >= FEWEST_CHAPTERS else [])]
    if any(not path.is_file() or path.stat().st_mtime_ns < newest for path in over):
        return True
    linked = re.findall(r'href="([^"]+\.ipynb)"', page.read_text(encoding="utf-8"))
    return {*linked} != {quote(path.name) for path in paths}


def pdf(documents: Documents, how: Settings) -> bytes:
    """The book as a PDF on A4 paper, its figures and tables numbered by chapter; the full edition lists them."""
    language, count = Language(how.language), len(documents)
    failed = sum(bool(document.failure) for document in documents.values())
    stand_ins = sum(bool(document.stand_in) for document in documents.values())
    newest = max(document.finished or "" for document in documents.values())
    about = [
        say(
            "{count} notebooks, of which {failed} failed" if failed else "{count} notebooks", count=count, failed=failed
        ),
        say("profile {profile}", profile=how.profile),
    ]
    summary: list[dict[str, Any]] = [{"kind": "unnumbered", "level": 1, "text": language.told("Summary")}]
    if stand_ins:
        about.append(say("stand-in data in {some} of {count} chapters", some=stand_ins, count=count))
        warning = say(
            "STAND-IN DATA in {some} of {count} chapters. Such numbers say how the methods behave, nothing about the "
            "data sets that the images stand in for.",
            some=stand_ins,
            count=count,
        )
        summary.append({"kind": "warning", "text": language.told(warning)})
    summary += [_found(number, document, language) for number, document in enumerate(documents.values(), 1)]
    facts = " · ".join([*([language.day(newest)] if newest else []), *map(language.told, about)])

    pictures, blocks = render.Pictures(), summary
    for number, (name, document) in enumerate(documents.items(), 1):
        line = " · ".join(filter(None, [isolated(name), render.facts(document)]))
        opening = {"title": document.title, "facts": line, "failed": bool(document.failure)}
        blocks.append({"kind": "chapter", "chapter": number, **opening})
        printed = selected(document, code=how.show_code, edition=how.edition)
        blocks += render.described(printed, pictures, paper=True, chapter=number)
    cover = how.cover or Cover()
    title = language.known(cover.title) or language.told("Experiments in image classification")
    front = {"title": title, "cover": cover.described(pictures, title, language), "facts": facts}
    meta = {**front, "book": True, "full": how.edition == "full"}
    return render.typeset(meta, blocks, pictures, level=2, language=how.language)


def _found(chapter: int, document: Document, language: Language) -> dict[str, Any]:
    """A chapter's entry in the summary: what was found, or that it failed."""
    failed = f"{language.told('Failed')}. {' '.join(str(document.failure).split())}" if document.failure else ""
    about = {"chapter": chapter, "title": document.title, "state": failed}
    return {"kind": "finding", "text": per_cent_apart(finding(document)), "format": "markdown", **about}
