"""HTML from notebooks made fit for a page that must run no script and load nothing.

What is kept is listed here, and everything else goes: a page's strict Content-Security-Policy is the second fence.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Dropped with what they hold; any other tag that isn't listed below is dropped and its content kept.
_DROPPED = _words("""
    script style iframe frame frameset object embed applet template noscript svg canvas audio video map form button
    select textarea link meta base title head
""")
_TEXT_TAGS = _words("""
    a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure
    h1 h2 h3 h4 h5 h6 hr i img input ins kbd label li mark ol p pre q s samp section small span strong sub summary sup
    table tbody td tfoot th thead time tr u ul var wbr
""")
_MATH_TAGS = _words("""
    math annotation menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms
    mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none semantics
""")
_KEPT_TAGS = _TEXT_TAGS | _MATH_TAGS
_ATTRIBUTES = _words("""
    id dir lang title style colspan rowspan scope headers href src alt width height align start value datetime open
    checked role aria-label aria-hidden display xmlns stretchy fence separator form accent accentunder mathvariant
    columnalign columnspacing rowspacing linethickness displaystyle scriptlevel lspace rspace minsize maxsize encoding
    depth voffset notation largeop movablelimits symmetric
""")
_TAKES_DIRECTION = _words("p h1 h2 h3 h4 h5 h6 li td th caption figcaption dt dd summary")
_HOLDS_BLOCKS = _words("ul ol dl blockquote")
_BLOCKS = _TAKES_DIRECTION | _HOLDS_BLOCKS
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_LINK = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_NOTEBOOK_LINK = re.compile(r"(?:\./)?([\w-]+)\.ipynb(?:#.*)?")
_STYLE_FUNCTIONS = ("url", "image", "image-set", "src", "element", "expression", "cross-fade")
_STYLE_PROPERTIES = ("position", "behavior", "-moz-binding", "z-index")


def parse(html: str, *, pictures: Mapping[str, str] | None = None) -> "BeautifulSoup":
    """Parses and cleans a fragment of HTML.

    Args:
        html: any text, well formed or not.
        pictures: ``src`` of a picture -> data URI; other pictures are kept where they are data URIs themselves,
            and else replaced by their alternative text, with a link where they are on the web.

    Returns:
        The fragment without scripts, event handlers, forms, embedded pages, unsafe styles or anything that a browser
        would load; with text directions set.
    """
    from bs4 import BeautifulSoup
    from bs4.element import PreformattedString

    soup = BeautifulSoup(html, "html.parser")
    # Comments, <![CDATA[…]]> and the like come out as they went in, and a browser ends them elsewhere than this parser.
    for unescaped in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        unescaped.extract()
    for tag in soup.find_all(True):
        if tag.decomposed:
            continue
        if tag.name in _DROPPED or (tag.name == "input" and tag.get("type") != "checkbox"):
            tag.decompose()
        elif tag.name not in _KEPT_TAGS:
            tag.unwrap()
        else:
            _clean_attributes(tag)
    # The page has its one title; a further level-1 heading is a chapter.
    for heading in soup.find_all("h1"):
        heading.name = "h2"
    for picture in soup.find_all("img"):
        _settle_picture(soup, picture, pictures or {})
    _set_directions(soup)
    return soup


def styled_output(html: str, *, prefix: str) -> tuple["BeautifulSoup", str]:
    """A cell's HTML output, and its style sheet where that styles by ids alone, as pandas' Styler does.

    Args:
        html: the output.
        prefix: put before its ids, so that two outputs of one Styler don't share them.

    Returns:
        The cleaned fragment and the rules ("" where there are none).
    """
    from bs4 import BeautifulSoup, SoupStrainer

    sheets = [sheet.get_text() for sheet in BeautifulSoup(html, "html.parser", parse_only=SoupStrainer("style"))]
    soup = parse(html)
    for tag in soup.find_all(id=True):
        tag["id"] = prefix + tag["id"]
    for tag in soup.find_all(headers=True):
        tag["headers"] = " ".join(prefix + name for name in tag["headers"].split())
    for link in soup.find_all("a", href=re.compile("^#")):
        link["href"] = "#" + prefix + link["href"][1:]
    return soup, "\n".join(_id_rules(sheet, prefix) for sheet in sheets)


def direction(text: str) -> str:
    """ "rtl" if the first letter with a direction of its own is Persian, Arabic or Hebrew, say; else "ltr".

    HTML's dir="auto" does the same, where nothing else, such as "Figure 1.", comes before the text.
    """
    strong = (unicodedata.bidirectional(letter) for letter in text)
    return "ltr" if next((kind for kind in strong if kind in ("L", "R", "AL")), "L") == "L" else "rtl"


def _clean_attributes(tag: "Tag") -> None:
    for name in list(tag.attrs):
        if name not in _ATTRIBUTES:
            del tag[name]
    if "style" in tag.attrs:
        tag["style"] = safe_declarations(tag["style"])
        if not tag["style"]:
            del tag["style"]
    if tag.name == "input":
        tag.attrs.update({"type": "checkbox", "disabled": ""})
    if tag.name != "img":
        tag.attrs.pop("src", None)
    if tag.name == "a":
        _settle_link(tag)
    else:
        tag.attrs.pop("href", None)


def _settle_link(tag: "Tag") -> None:
    target = tag.get("href", "").strip()
    notebook = _NOTEBOOK_LINK.fullmatch(target)
    if notebook:
        tag["href"] = f"{notebook[1]}.html"
    elif _LINK.match(target):
        tag["rel"] = "noreferrer"
    elif not target.startswith("#"):
        tag.attrs.pop("href", None)


def _settle_picture(soup: "BeautifulSoup", picture: "Tag", pictures: Mapping[str, str]) -> None:
    source = unquote(picture.get("src", ""))
    source = pictures.get(source, source)
    text = picture.get("alt", "")
    if _PICTURE.fullmatch(source):
        picture.attrs.update({"src": source, "alt": text})
        return
    web = _LINK.match(source) is not None
    note = soup.new_tag("a" if web else "span", attrs={"href": source, "rel": "noreferrer"} if web else {})
    note.string = f"[picture: {text or 'not shown'}]"
    # A link inside a link isn't HTML.
    if web and picture.find_parent("a"):
        note.name, note.attrs = "span", {}
    picture.replace_with(note)


def _set_directions(soup: "BeautifulSoup") -> None:
    """Lets each block of text take its own direction; code always runs from left to right."""
    for tag in soup.find_all(list(_TAKES_DIRECTION)):
        # dir="auto" doesn't look into children that have a direction: an item of paragraphs takes its list's.
        if not any(child.name in _BLOCKS for child in tag.descendants):
            tag["dir"] = "auto"
    for tag in soup.find_all(list(_HOLDS_BLOCKS)):
        tag["dir"] = direction(tag.get_text())
    for tag in soup.find_all(["pre", "code", "kbd", "samp", "math"]):
        tag["dir"] = "ltr"


@lru_cache(maxsize=10_000)  # A table's cells mostly have the same ones.
def safe_declarations(style: str) -> str:
    """The declarations of ``style`` that load nothing and stay in their place."""
    import tinycss2

    kept = []
    for item in tinycss2.parse_declaration_list(style, skip_comments=True, skip_whitespace=True):
        if item.type == "declaration" and item.lower_name not in _STYLE_PROPERTIES and not _loads(item.value):
            kept.append(f"{item.lower_name}:{tinycss2.serialize(item.value).strip()}")
    return ";".join(kept)


def _loads(tokens: list[Any]) -> bool:
    for token in tokens:
        if token.type in ("url", "bad-url", "error"):
            return True
        if token.type == "function" and (token.lower_name in _STYLE_FUNCTIONS or _loads(token.arguments)):
            return True
        if token.type.endswith("block") and _loads(token.content):
            return True
    return False


def _id_rules(sheet: str, prefix: str) -> str:
    """The rules whose every selector names an id, with the ids prefixed: other rules could restyle the whole page."""
    import tinycss2

    rules = []
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        if rule.type != "qualified-rule":
            continue
        selectors = tinycss2.serialize(rule.prelude).split(",")
        body = safe_declarations(tinycss2.serialize(rule.content))
        if body and all(re.match(r"\s*#[\w-]+", selector) for selector in selectors):
            rules.append(",".join(f"#{prefix}{selector.strip()[1:]}" for selector in selectors) + f"{{{body}}}")
    # "</style" ends the sheet wherever it stands, in a string too.
    return "\n".join(rules).replace("<", "")
