"""What runs leave for others: a notebook's numbers as JSON, and the page over all notebooks of a profile from these."""

import fnmatch
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from helpers.phrases import say
from helpers.record import is_name, telling
from helpers.report import render
from helpers.report.document import Document, Figure, Provenance, Reading, Table, read
from helpers.report.language import Language, translated
from helpers.report.workspace import BOOK, ENGLISH, Settings, UnreadableNotebook, left, load, write

NUMBERS_SHOWN = 4
_SENTENCE = re.compile(r"(?:(?!\n[ \t]*\n).)*?(?<! vs)(?<!Fig)[.!?؟](?=\s+[^\sa-z]|\s*\Z)", re.DOTALL)
"""A text's first one: it ends before a blank and a capital letter, a digit or a mark."""
THUMBNAIL_BYTES = 600_000
"""A larger drawing is not shown on its card: thirty of them would make the page slow."""
FILES = {
    "html": "Page",
    "pdf": "PDF",
    "ipynb": "Notebook",
    "json": "Numbers",
    "last-good.html": "Last good page",
    "last-good.pdf": "Last good PDF",
}
"""Suffixes of a notebook's files beside the index, and what their links are called."""
PAGES_LINKS = ("PDF", "Notebook", "Numbers")
"""Those that a notebook's page has, too."""

COMPARED = ("Quantity", "Reported earlier", "This run", "Difference (of %: points)")

Numbers = Mapping[str, Mapping[str, Any]]
"""By name, as ``Document.numbers`` has them."""


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
    return _strict(made)


def _sentences(document: Document) -> Iterator[dict[str, Any]]:
    """Conclusions, and what captions, tables and provenance tell by a template."""
    for block in document.blocks:
        told = {block.text: [block.text, {}]} if isinstance(block, Reading) else {}
        of = " ".join([type(block).__name__.lower(), *filter(None, [getattr(block, "name", "")])])
        for text, (template, values) in (told | block.phrases).items():
            yield {"of": of, "text": text, "template": template, "values": values}


def finding(document: Document) -> str:
    """What the notebook found: a sentence in Markdown that the run computed; "" where it has none, or failed."""
    text = "" if document.failure else document.finding.strip()
    sentence = _SENTENCE.match(text)
    return sentence[0] if sentence else text.split("\n\n")[0]


def _plain(text: str, document: Document) -> str:
    """The Markdown of a sentence without its marks, references with their numbers."""
    language = Language(document.language)
    numbers = {block.name: block.number for block in document.blocks if isinstance(block, Figure | Table)}

    def number(found: re.Match[str]) -> str:
        return f"{language.told('Figure' if found[1] == 'fig' else 'Table')} {numbers.get(found[2], found[2])}"

    return re.sub(r"[*`]", "", re.sub(r"@(fig|tbl)-(\w+(?:-\w+)*)", number, text))


def _strict(value: Any) -> Any:
    """``value`` without NaN and infinities, which JSON doesn't have."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def key_numbers(numbers: Numbers, patterns: Iterable[str]) -> list[str]:
    """Names of the notebook's key numbers; where it has none the first ones, those reported earlier before others."""
    named = dict.fromkeys(name for pattern in patterns for name in fnmatch.filter(numbers, pattern))
    return [*named] or sorted(numbers, key=lambda name: numbers[name]["reported"] is None)[:NUMBERS_SHOWN]


def compared(numbers: Numbers, patterns: Sequence[str], language: Language) -> list[list[str]]:
    """The numbers for which an earlier report gave a figure, beside it; where it gave none, the key ones.

    Each row says what it is, with its unit; the earlier figure, this run's and their difference are without.
    """
    reported = [number for number in numbers.values() if number["reported"] is not None]
    rows = []
    for number in reported or [numbers[name] for name in key_numbers(numbers, patterns)]:
        texts = [number["shown"][key] for key in ("reported", "value", "difference")]
        unit = f"{language.known(', ')}{language.known(number['unit'])}" if number["unit"] else ""
        label = number["label"] + unit
        rows.append([label, *(text.removesuffix(f" {number['unit']}").removesuffix(" points") for text in texts)])
    return rows


def write_page(reports: Path, figures: Path, how: Settings) -> None:
    """Writes ``index.html``: a card for each notebook that left its numbers in ``reports``, and one table of these.

    The notebooks' pages get links to their neighbours' and to their own files, those that exist now.
    """
    language = Language(how.language)
    contents = {path.stem: left(path) for path in sorted(reports.glob("*.json"))}
    found = {name: _told(made, reports, language.code) for name, made in contents.items() if "status" in made}
    failed = [name for name, content in found.items() if content["status"] != "ok"]
    stand_ins = sum(bool(content["stand_in"]) for content in found.values())
    tables = [compared(content["numbers"], content.get("key_numbers", []), language) for content in found.values()]
    columns = list(zip(*itertools.chain(*tables), strict=True))
    kept, note = telling(COMPARED, columns, "", fixed=[0, 2]) if columns else ([], "")
    groups = [
        {
            "title": content["title"],
            "stand_in": bool(content["stand_in"]),
            "rows": [{"label": row[0], "texts": [row[j] for j in kept[1:]]} for row in rows],
        }
        for content, rows in zip(found.values(), tables, strict=True)
        if rows
    ]
    meta = {
        "title": language.told(say("Reports, {profile} profile", profile=how.profile)),
        "profile": how.profile,
        "count": language.told(say("{count} notebook" if len(found) == 1 else "{count} notebooks", count=len(found))),
        "duration": language.told(render.in_words(sum(content["duration_seconds"] or 0 for content in found.values()))),
        "failed": {"count": str(len(failed)), "names": ", ".join(failed)} if failed else None,
        "stand_ins": language.told(say("{some} of {all}", some=stand_ins, all=len(found))) if stand_ins else "",
        "links": _links(reports, language),
        "cards": [{"number": str(i), **_card(reports, language, *each)} for i, each in enumerate(found.items())],
        "columns": [language.told(COMPARED[j]) for j in kept[1:]],
        "width": str(len(kept)),
        "note": note,
        "compared": groups,
    }
    thumbnails = [_thumbnail(content, figures / name) for name, content in found.items()]
    page = render.page(meta, "index.html", language.code)
    page = re.sub(r"<!--thumbnail (\d+)-->", lambda place: thumbnails[int(place[1])], page)
    write(reports / "index.html", page)
    _link(reports, meta["cards"], language)


def _told(content: dict[str, Any], reports: Path, code: str) -> dict[str, Any]:
    """What a notebook left, in another language than English: told by its executed notebook, where that is there."""
    path = reports / f"{content['notebook']}.ipynb"
    if code == ENGLISH or not path.is_file():
        return content
    try:
        document = translated(read(load(path)), Language(code, path.stem))
    except UnreadableNotebook:
        return content
    made = numbers(document, name=path.stem, profile=content["profile"])
    return content | {key: made[key] for key in ("title", "finding", "numbers", "provenance", "figures")}


def _link(reports: Path, cards: Sequence[dict[str, Any]], language: Language) -> None:
    """Writes the links into the pages that lack some or have others."""
    pages = [card for card in cards if card["page"].endswith(".html")]
    for before, card, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        near = [(other, rel) for other, rel in ((before, "prev"), (after, "next")) if other]
        titles = {"prev": "Previous", "next": "Next"}
        links = {
            "files": [_anchor(file["path"], file["text"]) for file in card["files"] if file["kind"] in PAGES_LINKS],
            "neighbours": [
                _anchor(other["page"], f"{language.told(titles[rel])}: {other['title']}", f' rel="{rel}"')
                for other, rel in near
            ],
        }
        path = reports / unquote(card["page"])
        found = text = path.read_text(encoding="utf-8")
        for mark, anchors in links.items():
            start, opened, rest = text.partition(f"<!--{mark}-->")
            _, closed, end = rest.partition(f"<!--/{mark}-->")
            text = "".join([start, opened, *anchors, closed, end]) if closed else text
        if text != found:
            write(path, text)


def _anchor(path: str, text: str, more: str = "") -> str:
    return f'<a href="{path}"{more} dir="auto">{escape(text)}</a>'


def _links(reports: Path, language: Language) -> list[dict[str, str]]:
    """What else lies in ``reports``: the book and each sweep's page."""
    found = {BOOK: language.told("The whole book (PDF)")} if (reports / BOOK).is_file() else {}
    sweeps = sorted(path.parent.name for path in reports.glob("sweeps/*/sweep.html"))
    found |= {f"sweeps/{name}/sweep.html": language.told(say("Sweep of {name}", name=name)) for name in sweeps}
    return [{"path": quote(path), "text": text} for path, text in found.items()]


def _card(reports: Path, language: Language, name: str, content: dict[str, Any]) -> dict[str, Any]:
    suffixes = [suffix for suffix in FILES if (reports / f"{name}.{suffix}").is_file()]
    files = [
        {"kind": FILES[suffix], "text": language.told(FILES[suffix]), "path": quote(f"{name}.{suffix}")}
        for suffix in suffixes
    ]
    seconds, error = content["duration_seconds"], content["error"]
    data = next(iter(content["provenance"].values()), "")
    state, badge = ("warn", "Stand-in data") if content["stand_in"] else ("plain", "Real data")
    failed = content["status"] != "ok"
    return {
        "title": content["title"],
        "finding": content.get("finding", ""),
        "state": "bad" if failed else "good",
        "badge": language.told("Failed" if failed else "Complete"),
        "error": {"name": error["name"], "message": error["message"][:200]} if error else None,
        "data": {"text": data, "state": state, "badge": language.told(badge)} if data else None,
        "duration": "" if seconds is None else language.told(render.in_words(seconds)),
        "numbers": [
            {"label": number["label"], "text": number["shown"]["value"]}
            for number in map(content["numbers"].get, key_numbers(content["numbers"], content.get("key_numbers", [])))
        ],
        "page": files[0]["path"],
        "files": files,
    }


def _thumbnail(content: dict[str, Any], folder: Path) -> str:
    """The key figure, or else the first one, that is small enough, with its alternative text."""
    key = content.get("key_figure")
    for name in sorted(content["figures"], key=lambda figure: figure != key):
        path = folder / f"{name}.svg"
        if is_name(name) and path.is_file() and path.stat().st_size <= THUMBNAIL_BYTES:
            alt = escape(content["figures"][name]["alt"])
            return f'<div class="thumbnail"><img src="{render.data_uri("svg", path.read_bytes())}" alt="{alt}"></div>'
    return '<div class="thumbnail blank">no figure</div>'
