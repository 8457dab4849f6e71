"""Markdown, HTML and LaTeX to Typst, by one run of pandoc for a whole document."""

import base64
import binascii
import json
import re
import subprocess
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.report.clean import printable
from helpers.report.pdf.typst_text import code, quoted

SCRIPT = Path(__file__).with_name("markdown.lua")
FORMATS = {
    # GitHub's Markdown is what Jupyter shows. Emoji names (:100:) and front matter it doesn't know.
    "markdown": "gfm-emoji-yaml_metadata_block",
    "html": "html",
    "latex": "latex",
}
EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
}
"""Pictures that Typst can set, and the endings by which it knows them."""

PANDOC_SECONDS = 120

_DATA_URI = re.compile(r"data:(image/[a-z+]+);base64,([A-Za-z0-9+/=]+)")
_ENVIRONMENTS = "align|alignat|aligned|array|cases|eqnarray|equation|gather|multline|split|[bpvBV]?matrix"
_NO_BLANK_LINE = r"(?:(?!\n[ \t]*\n).)+?"
_MATH = re.compile(
    rf"\$\${_NO_BLANK_LINE}\$\$"
    rf"|\$(?:(?!\n[ \t]*\n)[^$])+\$"
    rf"|\\\\\[{_NO_BLANK_LINE}\\\\\]"
    rf"|\\\\\({_NO_BLANK_LINE}\\\\\)"
    rf"|\\begin\{{(?P<name>(?:{_ENVIRONMENTS})\*?)\}}{_NO_BLANK_LINE}\\end\{{(?P=name)\}}",
    re.DOTALL,
)


@dataclass(frozen=True)
class Piece:
    """A text for pandoc; ``pictures`` maps what the text calls a picture to its content, as {MIME type: base64}."""

    text: str
    kind: str = "markdown"
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Converted:
    """A piece as Typst.

    Attributes:
        source: Typst source.
        formulas: definitions of the formulas that the source names, each with one that shows its TeX instead.
        files: the pictures that the source names.
        headings: their texts.
    """

    source: str
    formulas: list[tuple[str, str]]
    files: dict[str, bytes]
    headings: list[str]


def convert(
    pieces: Sequence[Piece], *, prefix: str, places: Mapping[str, str] | None = None, level: int = 1
) -> list[Converted]:
    """The pieces of one document as Typst, links between them included.

    Args:
        pieces: in the document's order.
        prefix: begins every label and file name, which keeps documents in one book apart.
        places: what links call a place outside the pieces, such as "figure-3" -> its label.
        level: what the highest headings become.
    """
    if not pieces:
        return []
    orders, files = [], []
    for index, piece in enumerate(pieces):
        text, pictures = _lifted_data_uris(printable(piece.text), piece.pictures)
        names, contents = _picture_files(pictures, f"{prefix}m{index}-")
        text = _math_on_one_line(text) if piece.kind == "markdown" else text
        orders.append({"text": text, "format": FORMATS[piece.kind], "images": names})
        files.append(contents)
    results = _run_pandoc({"prefix": prefix, "places": dict(places or {}), "level": level, "pieces": orders})
    return [
        Converted(result["typst"], _definitions(result["formulas"]), found, result["headings"])
        for result, found in zip(results, files, strict=True)
    ]


def decoded(content: str | bytes) -> bytes:
    """A picture as a notebook holds it: base64, or the text of an SVG; empty if it is neither."""
    if isinstance(content, bytes):
        return content
    if content.lstrip().startswith("<"):
        return content.encode()
    try:
        return base64.b64decode(content)
    except (binascii.Error, ValueError):
        return b""


def _definitions(formulas: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [
        (f"#let {formula['name']} = {formula['typst']}", f"#let {formula['name']} = raw({quoted(formula['tex'])})")
        for formula in formulas
    ]


def _lifted_data_uris(text: str, pictures: dict[str, dict[str, str]]) -> tuple[str, dict[str, dict[str, str]]]:
    """Pictures written into the text itself, taken out of it as attachments."""
    pictures = dict(pictures)

    def lift(match: re.Match[str]) -> str:
        name = f"data-{len(pictures)}"
        pictures[name] = {match.group(1): match.group(2)}
        return f"attachment:{name}"

    return _DATA_URI.sub(lift, text), pictures


def _picture_files(pictures: dict[str, dict[str, str]], prefix: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """What the text calls its pictures -> file names, and file names -> contents."""
    names, contents = {}, {}
    for name, bundle in pictures.items():
        mime = next((mime for mime in EXTENSIONS if mime in bundle), None)
        content = decoded(bundle[mime]) if mime else b""
        if content:
            file = f"{prefix}{len(contents)}.{EXTENSIONS[mime]}"
            contents[file] = content
            names |= {f"attachment:{name}": file, f"attachment:{urllib.parse.quote(name)}": file}
    return names, contents


def _math_on_one_line(text: str) -> str:
    """Each formula on one line and between dollars, except in blocks of code.

    Jupyter takes formulas out before it reads Markdown; pandoc would see a list where a formula's line starts with
    "-". Environments without dollars are formulas in Jupyter, too.
    """
    pieces = re.split(r"(^[ >]*(?P<fence>`{3,}|~{3,}).*?(?:^[ >]*(?P=fence)[`~]*[ \t]*$|\Z))", text, flags=re.M | re.S)
    # re.split gives text, code, fence, text, code, fence …, text.
    for index in range(0, len(pieces), 3):
        pieces[index] = _MATH.sub(_one_line_formula, pieces[index])
    return "".join(piece for index, piece in enumerate(pieces) if index % 3 != 2)


def _one_line_formula(match: re.Match[str]) -> str:
    formula = match.group()
    if "\n>" in formula or (formula.startswith("$") and "\n" in formula and not _is_display_math(formula)):
        return formula  # in a quotation; or two prices
    lines = formula.split("\n")
    if len(lines) > 1:
        # On one line, a comment would take the rest of the formula along. What was typed on one line may be no formula
        # at all, but two prices with a percentage between them.
        lines = [re.sub(r"(?<!\\)%.*", "", line) for line in lines]
    joined = " ".join(line.strip() for line in lines)
    if joined.startswith("$"):
        return joined
    if joined.startswith("\\begin"):
        return f"$${joined}$$"
    dollars = "$$" if joined.startswith("\\\\[") else "$"
    return dollars + joined[3:-3].strip() + dollars


def _is_display_math(formula: str) -> bool:
    return formula.startswith("$$") or "\\begin" in formula


def _run_pandoc(order: dict[str, Any]) -> list[dict[str, Any]]:
    import pypandoc

    command = [pypandoc.get_pandoc_path(), "lua", str(SCRIPT)]
    try:
        run = subprocess.run(
            command, input=json.dumps(order).encode(), capture_output=True, timeout=PANDOC_SECONDS, check=True
        )
    except subprocess.SubprocessError:
        # The report is worth having with its Markdown as it was typed.
        as_code = (f"#wb.code({code(piece['text'])})" for piece in order["pieces"])
        return [{"typst": source, "formulas": [], "headings": []} for source in as_code]
    return json.loads(run.stdout)
