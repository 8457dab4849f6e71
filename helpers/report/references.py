"""Texts that speak of a figure or a table by its name, as in Quarto: ``@fig-NAME`` and ``@tbl-NAME``.

A name becomes "Figure 3" with a link to it, before anything else reads the text: so that every page, and a book whose
figures are numbered by chapter, says the same.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

from helpers.report.document import Document, Figure, Markdown, Reading, Table

_TOKENS = re.compile(
    r"""
    # Code within a line, HTML's tags, where links lead to, and addresses: what they hold is left alone.
      (?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n)[\s\S])+?(?<!`)(?P=ticks)(?!`)
    | <[^<>\n]*>
    | \]\([^()\n]*\)
    | \bhttps?://[^\s<>]+
    # What is looked for, outside e-mail addresses and paths.
    | (?<![\w.@/\\&+-])@(?P<kind>fig|tbl)-(?P<name>\w+(?:-\w+)*)
    """,
    re.VERBOSE,
)
_FENCE = re.compile(r"[ >]*(`{3,}(?!.*`)|~{3,})")
_INDENTED = re.compile(r" {4}| {0,3}\t")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d+[.)])\s")


def resolved(document: Document) -> Document:
    """The document whose texts call figures and tables by their numbers, with links to their `anchor`.

    A name that the run did not record is shown as such; code, addresses and links are left as they are.
    """
    targets = _targets(document)

    def named(kind: str, name: str) -> str:
        noun = "Figure" if kind == "fig" else "Table"
        if (kind, name) not in targets:
            return f"{noun.lower()} `{name}` (not recorded)"
        target = targets[kind, name]
        return f"[{noun}\u00a0{target.number}](#{anchor(target)})"

    blocks = [
        replace(block, text=_replaced(block.text, named)) if isinstance(block, Markdown | Reading) else block
        for block in document.blocks
    ]
    return replace(document, blocks=blocks)


def missing(document: Document) -> list[str]:
    """The references, such as "@fig-loss", to what the document doesn't have; each once, in reading order."""
    targets = _targets(document)
    unknown: dict[str, None] = {}

    def note(kind: str, name: str) -> str:
        if (kind, name) not in targets:
            unknown[f"@{kind}-{name}"] = None
        return ""

    for block in document.blocks:
        if isinstance(block, Markdown | Reading):
            _replaced(block.text, note)
    return list(unknown)


def anchor(block: Figure | Table) -> str:
    """The name of the place that references to a figure or table lead to, such as "figure-3"."""
    return f"{'figure' if isinstance(block, Figure) else 'table'}-{block.number}"


def numbered_by_chapter(document: Document, chapter: int) -> Document:
    """The document as a chapter of a book: the second figure of chapter 3 is Figure "3.2"."""
    blocks = [
        replace(block, number=f"{chapter}.{block.number}") if isinstance(block, Figure | Table) else block
        for block in document.blocks
    ]
    return replace(document, blocks=blocks)


def _targets(document: Document) -> dict[tuple[str, str], Figure | Table]:
    """Figures by ("fig", name) and tables by ("tbl", name); of two under one name the first counts."""
    targets: dict[tuple[str, str], Figure | Table] = {}
    for block in document.blocks:
        if isinstance(block, Figure | Table):
            targets.setdefault(("fig" if isinstance(block, Figure) else "tbl", block.name), block)
    return targets


def _replaced(text: str, new: Callable[[str, str], str]) -> str:
    """Markdown with ``new(kind, name)`` in the place of each reference."""
    if "@" not in text:
        return text

    def of_token(token: re.Match[str]) -> str:
        return new(token["kind"], token["name"]) if token["kind"] else token[0]

    pieces = []
    for is_code, lines in groupby(_lines(text), key=lambda line: line[0]):
        piece = "".join(line for _, line in lines)
        pieces.append(piece if is_code else _TOKENS.sub(of_token, piece))
    return "".join(pieces)


def _lines(text: str) -> Iterator[tuple[bool, str]]:
    """Each line with its end, and whether it belongs to a block of code, fenced or indented."""
    fence, in_list, may_be_code = "", False, True
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence or mark:
            if not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            yield True, line
        elif not line.strip():
            may_be_code = True
            yield False, line
        elif _INDENTED.match(line):
            # Below an item of a list that is its next paragraph.
            is_code = may_be_code and not in_list
            may_be_code = is_code
            yield is_code, line
        else:
            in_list = _LIST_ITEM.match(line) is not None or (in_list and not may_be_code)
            may_be_code = False
            yield False, line
