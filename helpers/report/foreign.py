"""HTML and CSS that a notebook brings, made fit for a page that runs no script, loads nothing and keeps its layout.

What is kept is listed here, and everything else goes; a page's strict Content-Security-Policy is the second fence.
"""

import re

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
    **dict.fromkeys(["td", "th", "col", "colgroup"], _words("colspan rowspan scope span")),
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
_PROPERTIES = _words("text-align vertical-align font-weight font-style white-space width min-width max-width height")


def cleaned(html: str, *, ids: bool = True, picture: str = "") -> str:
    """A fragment of HTML without scripts, event handlers, forms, embedded pages, unsafe styles or anything that loads.

    Of ids, those of headings, footnotes and cited works may stay (others could be twice on a page); of pictures, data
    URIs and those of the page itself, whose names begin with ``picture``.
    """

    def settled(tag: str, name: str, value: str) -> str | None:
        match name:
            case "id":
                return value if ids and _OWN_ID.fullmatch(value) else None
            case "src":
                return value if _PICTURE.fullmatch(value) or (picture and value.startswith(picture)) else None
            case "href" if notebook := _NOTEBOOK.fullmatch(value):
                return f"{notebook[1]}.html"
            case "href":
                return value if value.startswith("#") or _LINK.match(value) else None
        return value

    return nh3.clean(
        html,
        tags=_TEXT | _MATH,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=settled,
        set_tag_attribute_values=_SET,
        allowed_classes=_CLASSES,
        filter_style_properties=_PROPERTIES,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noreferrer",
    )
