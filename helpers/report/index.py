"""What runs leave for others: a notebook's numbers as JSON, and the page over all notebooks of a profile."""

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from helpers.phrases import per_cent_apart, say
from helpers.report import render
from helpers.report.document import Document, Figure, Provenance, Reading, Table, with_failure
from helpers.report.document import read as document_of
from helpers.report.language import Language, translated
from helpers.report.workspace import BOOK, Settings, UnreadableNotebook, left, read, write

NUMBERS_SHOWN = 4
# Before a capital letter, a digit or a mark.
_SENTENCE_END = re.compile(r"(?<=[.!?؟])(?<! vs\.)(?<!Fig\.)\s+(?=[^\sa-z])|\n[ \t]*\n")
# Where a notebook's page has them.
_LINKS = re.compile(r"(<!--(files|neighbours)-->).*?(?=<!--/)", re.DOTALL)
THUMBNAIL_SIZE = 600_000
"""Characters: a larger drawing is not shown on its card: thirty of them would make the page slow."""
FILES = {
    "html": say("Page"),
    "pdf": say("PDF"),
    "ipynb": say("Notebook"),
    "json": say("Numbers"),
    "last-good.html": say("Last good page"),
    "last-good.pdf": say("Last good PDF"),
}
"""Suffixes of a notebook's files beside the index, and what their links are called."""
Documents = Mapping[str, Document]
"""Notebooks' names, and what their last runs left, in their order."""


def executed(reports: Path) -> list[Path]:
    """The executed notebooks in a profile's folder of reports, in the order of their numbers; those without come last.

    What lies there hidden is none.
    """

    def place(path: Path) -> tuple[float, str]:
        return float(re.match(r"\d*", path.name, re.ASCII)[0] or "inf"), path.name

    return sorted(reports.glob("[!.]*.ipynb"), key=place)


def gathered(reports: Path, language: str) -> Documents:
    """What the last runs of all notebooks left in a profile's folder of reports, in a language.

    A notebook that cannot be read is a document, too, that failed and says so: nothing is left out in silence.
    """
    return {path.stem: translated(_document(path), language, path.stem) for path in executed(reports)}


def _document(path: Path) -> Document:
    try:
        document = document_of(read(path), name=path.stem)
    except UnreadableNotebook as error:
        message = f"its executed notebook cannot be read: {type(error.__cause__).__name__}; run it again"
        return with_failure(Document(path.stem), type(error).__name__, message)
    # A failure that showed only when the report was written, which its numbers tell of.
    error = None if document.failure else left(path.with_suffix(".json")).get("error")
    return with_failure(document, error["name"], error["message"]) if error else document


def numbers(document: Document, *, name: str, profile: str) -> dict[str, Any]:
    """Everything that ``document`` recorded, unrounded, as strict JSON has it: the content of ``<name>.json``.

    Returns:
        Keys in a fixed order: "notebook", "profile", "title", "status" ("ok" or "failed"), "error" (None, or its
        "name", "message" and "cell"), "duration_seconds", "finished", "stand_in" (a warning, or ""), "provenance",
        "parameters", "numbers" (by name: "label", "value", "std", "runs", "reported", "unit", "shown"), "tables" (by
        name: "caption", "columns", "values"), "figures" (by name: "caption", "alt"), "sentences" (a list: what they are
        "of", "text", "template" and its "values", as `helpers.phrases` keeps them), "finding" (a sentence, or ""),
        "key_figure" (a name, or "") and "key_numbers" (names). None stands for NaN and infinities.
    """

    def those(kind: type) -> list[Any]:
        return [block for block in document.blocks if isinstance(block, kind)]

    # A table of numbers has no values of its own: they are in "numbers" already.
    tables = [block for block in those(Table) if block.values or not block.rows]
    failure = document.failure
    made = {
        "notebook": name,
        "profile": profile,
        "title": document.title,
        "status": "failed" if failure else "ok",
        "error": {key: getattr(failure, key) for key in ("name", "message", "cell")} if failure else None,
        "duration_seconds": document.duration,
        "finished": document.finished,
        "stand_in": document.stand_in,
        "provenance": {label: text for source in those(Provenance) for label, text in source.rows},
        "parameters": document.parameters,
        "numbers": {
            key: {name: value for name, value in number.items() if name != "name"}
            for key, number in document.numbers.items()
        },
        "tables": {
            block.name: {"caption": block.caption, "columns": block.names or block.columns, "values": block.values}
            for block in tables
        },
        "figures": {block.name: {"caption": block.caption, "alt": block.alt} for block in those(Figure)},
        "sentences": list(_sentences(document)),
        "finding": _plain(finding(document), document),
        "key_figure": document.key_figure,
        "key_numbers": document.key_numbers,
    }
    # JSON has neither NaN nor infinities.
    return json.loads(json.dumps(made), parse_constant=lambda name: None)


def _sentences(document: Document) -> Iterator[dict[str, Any]]:
    """Conclusions, and what captions, tables and provenance tell by a template."""
    for block in document.blocks:
        told = {block.text: [block.text, {}]} if isinstance(block, Reading) else {}
        of = " ".join([type(block).__name__.lower(), *filter(None, [getattr(block, "name", "")])])
        for text, (template, values) in (told | block.phrases).items():
            yield {"of": of, "text": text, "template": template, "values": values}


def finding(document: Document) -> str:
    """What the notebook found: a sentence in Markdown that the run computed; "" where it has none, or failed."""
    return "" if document.failure else _SENTENCE_END.split(document.finding.strip(), maxsplit=1)[0]


def _plain(text: str, document: Document) -> str:
    """The Markdown of a sentence without its marks, references with their numbers."""
    language = Language(document.language)
    numbers = {block.name: block.number for block in document.blocks if isinstance(block, Figure | Table)}

    def number(found: re.Match[str]) -> str:
        return f"{language.told('Figure' if found[1] == 'fig' else 'Table')} {numbers.get(found[2], found[2])}"

    return re.sub(r"[*`]", "", re.sub(r"@(fig|tbl)-(\w+(?:-\w+)*)", number, text))


def key_numbers(numbers: Mapping[str, Mapping[str, Any]], patterns: Iterable[str]) -> list[str]:
    """Names of the notebook's key numbers; where it has none the first ones, those reported earlier before others."""
    named = dict.fromkeys(name for pattern in patterns for name in fnmatch.filter(numbers, pattern))
    return [*named] or sorted(numbers, key=lambda name: numbers[name]["reported"] is None)[:NUMBERS_SHOWN]


def compared(document: Document, language: Language) -> list[dict[str, Any]]:
    """The numbers for which an earlier report gave a figure.

    Each row says what it is, with its unit; the earlier figure, this run's and their difference are without.
    """
    rows = []
    for number in (number for number in document.numbers.values() if number["reported"] is not None):
        texts = [number["shown"][key] for key in ("reported", "value", "difference")]
        unit = f"{language.known(', ')}{language.known(number['unit'])}" if number["unit"] else ""
        figures = [text.removesuffix(f" {number['unit']}").removesuffix(" points") for text in texts]
        rows.append({"label": number["label"] + unit, "texts": figures})
    return rows


def write_page(reports: Path, documents: Documents, how: Settings) -> None:
    """Writes ``index.html`` into ``reports``: a card for each notebook, and one table of what was reported earlier.

    The notebooks' pages get links to their neighbours' and to their own files, those that exist now.
    """
    language = Language(how.language)
    failed = [name for name, document in documents.items() if document.failure]
    stand_ins = sum(bool(document.stand_in) for document in documents.values())
    count, seconds = len(documents), sum(document.duration or 0 for document in documents.values())
    groups = [
        {"title": document.title, "stand_in": bool(document.stand_in), "rows": compared(document, language)}
        for document in documents.values()
    ]
    meta = {
        "title": language.told(say("Reports, {profile} profile", profile=how.profile)),
        "profile": how.profile,
        "count": language.told(say("{count} notebook" if count == 1 else "{count} notebooks", count=count)),
        "duration": language.told(render.in_words(seconds)),
        "failed": {"count": str(len(failed)), "names": ", ".join(failed)} if failed else None,
        "stand_ins": language.told(say("{some} of {all}", some=stand_ins, all=count)) if stand_ins else "",
        "links": _links(reports, language),
        "cards": [_card(reports, language, *each) for each in documents.items()],
        "compared": [group for group in groups if group["rows"]],
    }
    write(reports / "index.html", render.page(meta, "index.html", language.code))
    _link(reports, meta["cards"], language)


def _links(reports: Path, language: Language) -> list[dict[str, str]]:
    """What else lies in ``reports``: the book and each sweep's page."""
    found = {BOOK: language.told("The whole book (PDF)")} if (reports / BOOK).is_file() else {}
    sweeps = sorted(path.parent.name for path in reports.glob("sweeps/*/sweep.html"))
    found |= {f"sweeps/{name}/sweep.html": language.told(say("Sweep of {name}", name=name)) for name in sweeps}
    return [{"path": quote(path), "text": text} for path, text in found.items()]


def _card(reports: Path, language: Language, name: str, document: Document) -> dict[str, Any]:
    files = [
        {"text": language.told(text), "path": quote(f"{name}.{suffix}")}
        for suffix, text in FILES.items()
        if (reports / f"{name}.{suffix}").is_file()
    ]
    failure = document.failure
    sources = [text for block in document.blocks if isinstance(block, Provenance) for _, text in block.rows]
    return {
        "title": document.title,
        "finding": per_cent_apart(_plain(finding(document), document)),
        "error": {"name": failure.name, "message": failure.message[:200]} if failure else None,
        "stand_in": bool(document.stand_in),
        "data": sources[0] if sources else "",
        "duration": "" if document.duration is None else language.told(render.in_words(document.duration)),
        "numbers": [
            {"label": document.numbers[key]["label"], "text": document.numbers[key]["shown"]["value"]}
            for key in key_numbers(document.numbers, document.key_numbers)
        ],
        "thumbnail": _thumbnail(document),
        "page": files[0]["path"],
        "files": files,
    }


def _thumbnail(document: Document) -> dict[str, str] | None:
    """The key figure, or else the first one, that is small enough, with its alternative text."""
    figures = [block for block in document.blocks if isinstance(block, Figure) and len(block.svg) <= THUMBNAIL_SIZE]
    chosen = next((figure for figure in figures if figure.name == document.key_figure), next(iter(figures), None))
    # Templates escape all but the mark that would end the attribute.
    return chosen and {"source": render.data_uri("svg", chosen.svg.encode()), "alt": chosen.alt.replace('"', "”")}


def _link(reports: Path, cards: Sequence[dict[str, Any]], language: Language) -> None:
    """Writes the links into the pages that lack some or have others."""
    pages = [card for card in cards if card["page"].endswith(".html")]
    for before, card, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        near = [(language.told("Previous"), "prev", before), (language.told("Next"), "next", after)]
        links = {
            "files": [_anchor(file["path"], file["text"]) for file in card["files"][1:]],
            "neighbours": [
                _anchor(other["page"], f"{where}: {other['title']}", f' rel="{rel}"')
                for where, rel, other in near
                if other
            ],
        }
        path = reports / unquote(card["page"])
        text = path.read_text(encoding="utf-8")
        linked = _LINKS.sub(lambda place, links=links: f"{place[1]}{''.join(links[place[2]])}", text)
        if linked != text:
            write(path, linked)


def _anchor(path: str, text: str, more: str = "") -> str:
    return f'<a href="{path}"{more} dir="auto">{escape(text)}</a>'
