"""Whatever a notebook holds, its page keeps its shape: as a browser reads it, texts stay texts, HTML stays harmless."""

import random
import re
from types import SimpleNamespace
from unittest.mock import patch

import html5lib
import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import record
from helpers.report import clean, document, foreign, render
from helpers.report.document import Document, Markdown, Output

# The same examples in every run.
of_pages = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a page's fault is seen without minutes of making it smaller
    suppress_health_check=list(HealthCheck),
)
of_fragments = settings(max_examples=200, deadline=None, derandomize=True)

TEXT_PIECES = st.sampled_from(
    ["<script>alert(1)</script>", "<b>", "</td>", "</figcaption>", "</main>", "</title>", "</style>", "-->",
     "<!--", "]]>", "<![CDATA[", "'", '"', "&", "&lt;", "&#x3c;", "{{ 7*7 }}", "{% raw %}", "../../etc/passwd",
     "javascript:alert(1)", "onload=x", "<img src=x onerror=x>", "\n", "\t", "\x00", "\x1b[31m", "\u202e",
     "\u2028", "گربه", "😀", "x" * 300, "%", "\\"]
)  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r")
# With something to see at the start, so that nothing is left out as empty.
TEXTS = st.lists(TEXT_PIECES | st.text(LETTERS, max_size=9), max_size=6).map(lambda pieces: "a" + "".join(pieces))
HARMLESS = "plain text"


def parsed(page):
    """All elements of the page in their order, the page itself first, as a browser makes them of the source."""
    tree = html5lib.parse(page, treebuilder="etree", namespaceHTMLElements=False)
    elements = [element for element in tree.iter() if isinstance(element.tag, str)]
    for element in elements:
        element.tag = element.tag.split("}")[-1]  # MathML's have a namespace
    return elements


def shape(page):
    return [(element.tag, sorted(element.attrib)) for element in parsed(page)]


def squeezed(text):
    return "".join(text.split())


@pytest.fixture(scope="module")
def drawn():
    """A figure's outputs, whose caption is replaced: drawing one for each text would take the most time."""
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    with patch("IPython.display.display") as display:
        record.figure(figure, "line", "caption")
    return display.call_args.args[0]


def notebook_of(text, drawn):
    """An executed notebook with the text wherever a notebook's own or recorded text can stand."""
    bundles = []
    source = SimpleNamespace(title=text, where=text, warning=text)
    with patch("IPython.display.display", lambda bundle, raw: bundles.append(bundle)):
        compute = SimpleNamespace(description=text, precision_description=text)
        data = SimpleNamespace(source=source, counts=text)
        record.provenance({"NAME": text}, data=data, compute=compute, weights=text)
        record.table(pd.DataFrame({text: [text, text], "n": [1, 2], "note": ["", text]}), "classes", text)
        number = record.Number("accuracy", text, 0.5, reported=0.6, unit="%")
        record.numbers([number], "results", text)
    bundles.append(drawn | {record.MIME: drawn[record.MIME] | {"caption": text, "alt": text}})
    outputs = [new_output("display_data", data=bundle) for bundle in bundles]
    outputs.append(new_output("stream", name="stdout", text=text))
    outputs.append(new_output("error", ename="Error", evalue=text, traceback=[text]))
    cells = [new_markdown_cell("# Title"), new_code_cell("", outputs=outputs)]
    return nbformat.reads(nbformat.writes(new_notebook(cells=cells)), as_version=4)


@of_pages
@given(TEXTS)
@example("a</pre></td></figcaption></title></style><script>alert(1)</script><!--")
@example("a' onload='x' \" onerror=\"x")
def test_a_text_adds_no_element_and_no_attribute_and_is_shown_wherever_it_stands(drawn, text):
    made, plain = (document.read(notebook_of(each, drawn), name="01_a") for each in (text, HARMLESS))
    page = render.html(made, name="01_a", profile="quick")
    assert shape(page) == shape(render.html(plain, name="01_a", profile="quick"))
    elements = parsed(page)
    shown = squeezed(clean.printable(text))
    (picture,) = [element for element in elements if element.tag == "img"]
    assert squeezed(picture.get("alt")) == shown
    places = {"figcaption": 3, "dd": 4, "td": 1, "th": 4, "pre": 2, "strong": 1, "p": 1}
    for tag, least in places.items():
        holders = [
            element for element in elements if element.tag == tag and shown in squeezed("".join(element.itertext()))
        ]
        assert len(holders) >= least, tag


TAGS = [
    "script", "style", "iframe", "svg", "math", "img", "a", "b", "p", "div", "span", "table", "tr", "td", "th",
    "li", "ul", "ol", "h1", "h2", "pre", "code", "form", "input", "button", "textarea", "select", "title",
    "noscript", "noembed", "noframes", "xmp", "plaintext", "template", "object", "embed", "link", "meta", "base",
    "frameset", "body", "html", "head", "video", "audio", "mi", "mtext", "annotation", "annotation-xml",
    "foreignObject", "mglyph", "malignmark", "details", "summary", "dl", "dd", "dt", "br", "hr", "image",
    "marquee", "isindex"
]  # fmt: skip
ATTRIBUTES = [
    "onclick=alert(1)", "onerror='x'", "href=javascript:alert(1)", "href='java\tscript:x'",
    "src=//evil.example/x", "src=x", "style='background:url(//evil.example)'", "style='a:b;position:fixed'",
    "action=//evil.example", "id=main", "class=bad", "http-equiv=refresh content='0;//evil.example'",
    "srcset='//evil.example 1x'", "xlink:href=javascript:x", "encoding=text/html",
    "title='</p><script>x</script>'", "alt='\"><img src=x onerror=x>'", "colspan=99999", "type=checkbox", "/",
    "=", "'", '"', "<"
]  # fmt: skip
OTHER_MARKS = [
    "<!--", "-->", "--!>", "<![CDATA[", "]]>", "<?php", "?>", "<!DOCTYPE a [", "<!x", ">", "<", "&lt;", "&",
    "text", "alert(1)", "\x00", "\n\n", "    ", "`", "```\n", "$", "[x](javascript:alert(1))", "گربه"
]  # fmt: skip
SHOWN_TAGS = ["a", "p", "img", "math", "table", "td", "span"]


def soup_of(seed):
    """A random mixture of marks. (Made of hypothesis' own lists, a few hundred examples are too much alike.)"""
    rng = random.Random(seed)

    def opened():
        attributes = rng.choices(ATTRIBUTES, k=rng.choice([0, 1, 2]))
        return f"<{' '.join([rng.choice(rng.choice([TAGS, SHOWN_TAGS])), *attributes])}>"

    makers = [opened, opened, lambda: f"</{rng.choice(TAGS)}>", lambda: rng.choice(OTHER_MARKS)]
    return "".join(rng.choice(makers)() for _ in range(rng.randint(1, 12)))


SOUP = st.integers(0, 2**32).map(soup_of)

# None of these belongs in what a notebook's text becomes.
HARMFUL = {
    "script", "style", "iframe", "frame", "frameset", "svg", "form", "button", "textarea", "select", "title",
    "noscript", "noembed", "noframes", "xmp", "plaintext", "template", "object", "embed", "applet", "link", "meta",
    "base", "video", "audio", "source", "track", "image", "annotation-xml", "foreignObject", "mglyph", "malignmark",
    "portal",
}  # fmt: skip


def assert_harmless(elements):
    """Nothing that runs, loads, sends, or leads anywhere but by a click to the web."""
    for element in elements:
        assert element.tag not in HARMFUL
        assert element.tag != "input" or (element.get("type") == "checkbox" and "disabled" in element.attrib)
        for name, value in element.attrib.items():
            plain = re.sub(r"[\x00-\x20]", "", value).lower()
            assert not str(name).startswith("on") and str(name) not in (
                "srcset",
                "action",
                "http-equiv",
                "xlink:href",
            )
            assert "javascript:" not in plain or name in ("alt", "title")
            assert name != "src" or plain.startswith("data:image/")
            assert name != "style" or not re.search(r"url\(|position|expression", plain)


@of_fragments
@given(SOUP)
@example("<a href=javascript:alert(1)>x</a><a href=' java\nscript:alert(1)'>y</a>")
@example("<![CDATA[ > <script>alert(1)</script> ]]>")
@example("<![CDATA[><meta http-equiv=refresh content='0;//evil.example'>]]>")
@example("<?x ><script>alert(1)</script>?>")
@example("<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=x>'>")
def test_cleaned_html_is_harmless_as_a_browser_reads_it(source):
    cleaned = str(foreign.cleaned(source))
    assert_harmless(parsed(f"<body>{cleaned}"))
    assert_harmless(parsed(f"<body>{foreign.cleaned(source, prefix='output-1-')}"))
    rules = foreign.rules(source, prefix="output-1-")
    assert "<" not in rules and "url(" not in rules


@of_pages
@given(st.lists(SOUP, min_size=12, max_size=12))
def test_no_html_leaves_its_place_on_the_page(soups):
    """Each output is followed by a known text, which stands where it would stand alone."""
    blocks = []
    for number, soup in enumerate(soups):
        blocks += [
            (Output("text/html", soup, 1), Markdown(soup))[number % 2],
            Output("text/plain", f"end {number}.", 1),
        ]
    made = Document("T", blocks, {}, {}, duration=None, finished=None, failed=False)
    page, *elements = parsed(render.html(made, name="a", profile="p"))
    _, body = page
    (main,) = body.iter("main")
    ends = [element.text for element in main if element.tag == "pre" and "printed" in element.get("class", "")]
    assert ends == [f"end {number}." for number in range(len(soups))]
    assert len([element for element in elements if element.get("http-equiv")]) == 1
    assert {element.tag for element in elements} & HARMFUL == {"title", "meta", "style"}
    assert not {element.tag for element in body.iter()} & HARMFUL
