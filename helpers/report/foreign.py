"""HTML and CSS that a notebook brings, made fit for a page that runs no script, loads nothing and keeps its layout.

What is kept is listed here, and everything else goes; a page's strict Content-Security-Policy is the second fence.
"""

import re
from functools import lru_cache

import nh3


def _words(text: str) -> set[str]:
    return set(text.split())


_TEXT = _words("""
    a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure
    h2 h3 h4 h5 h6 hr i img input ins kbd label li mark ol p pre q s samp section small span strong sub summary sup
    table tbody td tfoot th thead time tr u ul var wbr
""")
_MATH = _words("""
    math annotation menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms
    mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none semantics
""")
_DROPPED_WHOLE = _words("""
    script style iframe frame frameset object embed applet template noscript svg canvas audio video map form button
    select textarea title head
""")
_ATTRIBUTES = {
    "*": _words("id dir lang title style role aria-label aria-hidden tabindex"),
    "a": {"href"},
    "img": _words("src alt width height"),
    "input": _words("type checked disabled"),
    "details": {"open"},
    "ol": _words("start type reversed"),
    "time": {"datetime"},
    **dict.fromkeys(["td", "th", "col", "colgroup"], _words("colspan rowspan scope headers span")),
    **dict.fromkeys(
        _MATH,
        _words("""
            display xmlns encoding stretchy fence separator form accent accentunder mathvariant columnalign
            columnspacing rowspacing linethickness displaystyle scriptlevel lspace rspace minsize maxsize depth height
            width voffset notation largeop movablelimits symmetric id dir style tabindex
        """),
    ),
}
_SET = {
    tag: {"dir": "auto"}
    for tag in ["p", "h2", "h3", "h4", "h5", "h6", "td", "th", "caption", "figcaption", "dt", "dd", "summary"]
} | {
    "pre": {"dir": "ltr", "tabindex": "0"},
    **{tag: {"dir": "ltr"} for tag in ("code", "kbd", "samp", "math")},
    "input": {"type": "checkbox", "disabled": ""},
}
_CLASSES = {"div": {"scroll"}, "a": {"footnote-ref", "footnote-back"}, "ul": {"task-list"}}
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
_OWN_ID = re.compile(r"section-\S+|fn(?:ref)?\d+|refs?(?:-[\w:.-]+)?")
_NOTEBOOK = re.compile(r"(?:\./)?([\w-]+)\.ipynb(?:#.*)?")
_LINK = re.compile(r"https?:|mailto:|[\w-]+\.html$", re.IGNORECASE)
_PROPERTIES = _words("""
    color background-color background font-weight font-style font-family font-size font-variant text-align
    text-decoration text-transform vertical-align white-space width min-width max-width height border border-top
    border-right border-bottom border-left border-color border-style border-width border-collapse border-spacing
    border-radius padding padding-top padding-right padding-bottom padding-left list-style-type direction display
""")
# Words, numbers, colours and gradients: no address, quotation mark, escape or comment, and no negative length.
_VALUE = re.compile(r"(?:(?:rgba?|hsla?|linear-gradient)\(|[\w\s.,%#)]|(?<=\w)-(?=\w))+", re.ASCII)
_SELECTORS = re.compile(r"\s*#[\w-]++[\w\s.:>#-]*+(?:,\s*#[\w-]++[\w\s.:>#-]*+)*", re.ASCII)


def cleaned(html: str, *, prefix: str = "", picture: str = "") -> str:
    """A fragment of HTML without scripts, event handlers, forms, embedded pages, unsafe styles or anything that loads.

    Args:
        html: any text, well formed or not.
        prefix: put before its ids, so that two outputs do not share them; "" keeps headings' and footnotes' only.
        picture: how the names of the page's own pictures begin; others are kept where they are data URIs.
    """

    def settled(tag: str, name: str, value: str) -> str | None:
        match name:
            case "id":
                return prefix + value if prefix or _OWN_ID.fullmatch(value) else None
            case "headers":
                return " ".join(prefix + each for each in value.split())
            case "style":
                return declarations(value) or None
            case "src":
                return value if _PICTURE.fullmatch(value) or (picture and value.startswith(picture)) else None
            case "href" if notebook := _NOTEBOOK.fullmatch(value):
                return f"{notebook[1]}.html"
            case "href":
                return f"#{prefix}{value[1:]}" if value.startswith("#") else value if _LINK.match(value) else None
        return value

    return nh3.clean(
        html,
        tags=_TEXT | _MATH,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=settled,
        set_tag_attribute_values=_SET,
        allowed_classes={} if prefix else _CLASSES,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noreferrer",
    )


def rules(html: str, *, prefix: str) -> str:
    """Its style sheets' rules that speak of its ids alone, as pandas' Styler does: others could style the page."""
    kept = []
    for element in re.split("<style", html, flags=re.IGNORECASE)[1:]:
        sheet = re.split("</style", element.partition(">")[2], maxsplit=1, flags=re.IGNORECASE)[0]
        for selectors, _, body in (rule.partition("{") for rule in sheet.split("}")):
            if _SELECTORS.fullmatch(selectors) and (body := declarations(body)):
                kept.append(f"{selectors.strip().replace('#', f'#{prefix}')}{{{body}}}")
    return "\n".join(kept)


@lru_cache(maxsize=10_000)  # a table's cells mostly have the same ones
def declarations(style: str) -> str:
    """The declarations of ``style`` that load nothing and stay in their place."""
    kept = []
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip().removesuffix("!important").strip()
        if name in _PROPERTIES and len(value) < 500 and _VALUE.fullmatch(value):
            kept.append(f"{name}:{value}")
    return ";".join(kept)
