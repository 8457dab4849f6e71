"""A document as one HTML file that needs nothing else: no network, no script, no second file."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from helpers import ROOT
from helpers.report import durations, markdown, references, safe_html
from helpers.report.document import (
    Block,
    Code,
    Document,
    Failure,
    Figure,
    Markdown,
    Output,
    Provenance,
    Reading,
    Table,
)

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
NOTEBOOKS = ROOT / "notebooks"
TEXT_SHOWN = 100_000
"""Characters of printed text that a page shows of one output; the notebook has them all."""
WIDE_FIGURE = 560
"""CSS pixels: a wider figure is scrolled on a phone, so that its letters stay legible."""
_PICTURE_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}
_COLOURED = re.compile(r"(?:^|[;{ ])(?:background|color)")


def render(document: Document, *, name: str, profile: str, overview: str = "index.html") -> str:
    """The page of one notebook.

    Args:
        document: what ``document.read`` returned.
        name: the notebook's file name without its suffix.
        profile: the profile of the run, such as "quick".
        overview: where the page over all notebooks is, relative to this one.

    Returns:
        HTML5 with everything inside; its only relative links are to the overview and those of its tables. Code is
        folded. Scripts, event handlers and remote pictures that the notebook holds are left out.
    """
    document = references.resolved(document)
    page = _Page(document)
    provenance = [block for block in document.blocks if isinstance(block, Provenance)]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            document=document,
            name=name,
            profile=profile,
            overview=overview,
            duration="" if document.duration is None else durations.in_words(document.duration),
            finished=finished_text(document.finished),
            provenance=provenance,
            failure=next((block for block in document.blocks if isinstance(block, Failure)), None),
            blocks=page.views,
            contents=page.contents,
            footnotes=page.footnotes,
            rules=page.rules,
        )
    )


@cache
def environment() -> "Environment":
    """jinja2 with the report's templates; every value is escaped unless it is marked as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["direction"] = safe_html.direction
    made.globals["style_sheet"] = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return made


def finished_text(stamp: str | None) -> str:
    """An ISO 8601 time in UTC as "22 November 2026, 04:25 UTC"; "" for None."""
    if stamp is None:
        return ""
    moment = datetime.fromisoformat(stamp)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def svg_picture(svg: str) -> dict[str, Any]:
    """An SVG as a picture of its own: its ids cannot collide with another's, and no script in it can run.

    Returns:
        "src" (a data URI), and "width" and "height" in CSS pixels, or None where the SVG doesn't say.
    """
    root = re.search(r"<svg\b[^>]*>", svg)
    sizes = dict(re.findall(r'\b(width|height)="([\d.]+)(?:pt|px)?"', root[0] if root else ""))
    scale = 4 / 3 if root and "pt" in root[0] else 1
    pixels = {side: round(float(sizes[side]) * scale) if side in sizes else None for side in ("width", "height")}
    return {"src": data_uri("svg+xml", svg.encode()), **pixels}


def data_uri(kind: str, content: bytes) -> str:
    """``content`` as the source of a picture of type image/``kind``."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


class _Page:
    """The views of a document's blocks, and what is collected on the way: contents, footnotes, outputs' style rules."""

    def __init__(self, document: Document) -> None:
        from markupsafe import Markup

        self._markup = Markup
        self._outputs = 0
        self._ids: set[str] = set()
        self._anchors = {references.anchor(block) for block in document.blocks if isinstance(block, Figure | Table)}
        self.contents: list[dict[str, Any]] = []
        self.rules = Markup()
        blocks = [block for block in document.blocks if not isinstance(block, Provenance)]
        texts = [text for block in blocks if (text := _markdown_of(block)) is not None]
        fragments, notes = markdown.to_html(texts)
        self._fragments = iter(fragments)
        self.views = [view for block in blocks if (view := self._view(block)) is not None]
        self.footnotes = self._markdown(notes, {}) if notes else ""
        self._unlink_dead_anchors()

    def _view(self, block: Block) -> dict[str, Any] | None:
        if isinstance(block, Code):
            return self._code(block) if block.shown else None
        if isinstance(block, Markdown):
            return {"kind": "text", "html": self._markdown(next(self._fragments), _attached(block))}
        if isinstance(block, Reading):
            return {"kind": "reading", "html": self._markdown(next(self._fragments), {})}
        if isinstance(block, Figure):
            return {"kind": "figure", "figure": block, "wide": WIDE_FIGURE, **svg_picture(block.svg)}
        if isinstance(block, Table):
            return {"kind": "table", "table": block, "bold": set(block.bold)}
        if isinstance(block, Failure):
            return {"kind": "failure", "failure": block}
        return self._output(block)

    def _code(self, block: Code) -> dict[str, Any]:
        return {"kind": "code", "html": highlighted(block.source), "lines": block.source.count("\n") + 1}

    def _output(self, block: Output) -> dict[str, Any]:
        self._outputs += 1
        if block.mime == "text/latex":
            return {"kind": "text", "html": self._markdown(next(self._fragments), {})}
        if block.mime == "text/html":
            return self._html_output(block)
        if block.mime == "image/svg+xml":
            return {"kind": "picture", "wide": WIDE_FIGURE, "cell": block.cell, **svg_picture(block.content)}
        if block.mime.startswith("image/"):
            source = f"data:{block.mime};base64,{''.join(block.content.split())}"
            return {"kind": "picture", "wide": None, "cell": block.cell, "src": source, "width": None, "height": None}
        left_out = max(0, len(block.content) - TEXT_SHOWN)
        return {"kind": "printed", "text": block.content[:TEXT_SHOWN], "left_out": left_out, "cell": block.cell}

    def _html_output(self, block: Output) -> dict[str, Any]:
        soup, rules = safe_html.styled_output(block.content, prefix=f"output-{self._outputs}-")
        _wrap_tables(soup)
        self.rules += self._markup(rules)
        html = self._markup(soup)
        # Colours that the notebook chose were chosen for white paper.
        return {"kind": "html", "html": html, "paper": bool(_COLOURED.search(rules) or soup.find(style=_COLOURED))}

    def _markdown(self, fragment: str, pictures: Mapping[str, str]) -> Any:
        soup = safe_html.parse(fragment, pictures={**_local_pictures(fragment), **pictures})
        self._name_headings(soup)
        _wrap_tables(soup)
        for scrolled in soup.select("pre, math[display=block]"):
            scrolled["tabindex"] = "0"
        return self._markup(soup)

    def _name_headings(self, soup: "BeautifulSoup") -> None:
        """Gives the headings ids, once in the page each, and lists them; no other id but a footnote's is kept."""
        for tag in soup.find_all(id=True):
            if not re.fullmatch(r"fn(?:ref)?\d+", tag["id"]):
                del tag["id"]
        for heading in soup.find_all(re.compile(r"^h[1-6]$")):
            heading["id"] = self._unique(slug(heading.get_text()))
            level = int(heading.name[1])
            if level <= 3:
                self.contents.append({"id": heading["id"], "level": level, "text": _heading_text(heading)})

    def _unique(self, name: str) -> str:
        found, count = name, 1
        while found in self._ids:
            count += 1
            found = f"{name}-{count}"
        self._ids.add(found)
        return found

    def _unlink_dead_anchors(self) -> None:
        """Links within the page find their headings however they are spelled; those that find nothing become text."""
        for view in self.views:
            if view["kind"] in ("text", "reading"):
                view["html"] = self._markup(re.sub(r' href="#([^"]*)"', self._settled, str(view["html"])))

    def _settled(self, link: re.Match[str]) -> str:
        if re.fullmatch(r"fn(?:ref)?\d+", link[1]) or link[1] in self._anchors:
            return link[0]
        target = slug(unquote(link[1]).replace("-", " "))
        return f' href="#{target}"' if target in self._ids else ""


def highlighted(source: str) -> Any:
    """Python source as HTML with pygments' short class names; safe to insert."""
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)))


def slug(text: str) -> str:
    """A heading's id: letters and digits of any script, in lower case, joined by hyphens."""
    return "section-" + "-".join(re.findall(r"\w+", text.lower()))


def _heading_text(heading: "Tag") -> str:
    """What the contents show: without the TeX that MathML carries along."""
    return "".join(text for text in heading.strings if text.parent.name != "annotation").strip()


def _markdown_of(block: Block) -> str | None:
    if isinstance(block, Markdown | Reading):
        return block.text
    return block.content if isinstance(block, Output) and block.mime == "text/latex" else None


def _attached(block: Markdown) -> dict[str, str]:
    return {
        f"attachment:{name}": f"data:{mime};base64,{''.join(content.split())}"
        for name, bundle in block.attachments.items()
        for mime, content in bundle.items()
        if mime.startswith("image/")
    }


def _local_pictures(fragment: str) -> dict[str, str]:
    """Pictures that lie beside the notebooks, by the paths that the text gives for them."""
    found = {}
    for source in set(re.findall(r'<img[^>]*? src="([^":]+)"', fragment)):
        path = (NOTEBOOKS / unquote(source)).resolve()
        kind = _PICTURE_TYPES.get(path.suffix.lower())
        if kind and path.is_relative_to(ROOT) and path.is_file():
            found[unquote(source)] = data_uri(kind, path.read_bytes())
    return found


def _wrap_tables(soup: "BeautifulSoup") -> None:
    """Puts each table into a box in which it can be scrolled, by keyboard too."""
    for table in soup.find_all("table"):
        if not table.find_parent("table"):
            box = {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": "Table"}
            table.wrap(soup.new_tag("div", attrs=box))
    for head in soup.find_all("th"):
        # A frame's corner: said to be a header, it would be one without a name.
        if not head.get_text(strip=True):
            head.name = "td"
