"""A notebook's page: valid, self-contained, without scripts; what the notebook holds is shown or safely left out."""

import base64
import json
import re
from dataclasses import replace

import html5lib
import pytest
from bs4 import BeautifulSoup

from helpers.report import html, markdown, numbers_file, safe_html
from helpers.report.document import (
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

NASTY = "<script>alert('x')</script> & \"quoted\" 'name'"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="720pt" height="360pt"><defs><clipPath id="p1"/></defs></svg>'
PNG = base64.b64encode(b"\x89PNG").decode()
PERSIAN = "این یک پاراگراف فارسی است"


def make(*blocks, numbers=None, **changes):
    settings = {"title": "A title", "parameters": {}, "duration": 65.2, "finished": "2026-03-01T09:00:15+00:00"}
    settings |= {"failed": any(isinstance(block, Failure) for block in blocks), **changes}
    return Document(blocks=list(blocks), numbers=numbers or {}, **settings)


def page(*blocks, **changes):
    return BeautifulSoup(html.render(make(*blocks, **changes), name="01_a", profile="quick"), "html.parser")


def figure(number=1, name="curves"):
    return Figure(name, f"Loss of {NASTY}", f"two lines, {NASTY}", SVG, b"%PDF", number)


def table(number=1):
    rows = [[NASTY, "1,200", "0.912"], [PERSIAN, "7", "–"]]
    values = [[NASTY, 1200, 0.9123], [PERSIAN, 7, None]]
    sides = ["left", "right", "right"]
    return Table("scores", f"Scores of {NASTY}", [NASTY, "n", "F1"], rows, sides, [(0, 2)], number, values)


EVERYTHING = (
    Markdown("Text with $a<b$, a [link](https://example.org) and\n\n- a list\n- of two\n\n## The data\n\n### Details"),
    Code("def f(x):\n    return x @ x.T  # a <comment>", 1),
    Code("secret = 1", 2, shown=False),
    Provenance([("Data set", NASTY), ("Seed", "0")], f"STAND-IN DATA: {NASTY}"),
    Output("text/plain", f"printed {NASTY}", 1),
    Output("text/html", '<table border="1" class="dataframe"><tr><th>a</th><td>1</td></tr></table>', 1),
    Output("text/latex", r"$\displaystyle \frac{1}{2}$", 1),
    Output("image/png", PNG, 1),
    Output("image/svg+xml", SVG, 1),
    figure(1),
    figure(2, "confusion"),
    table(),
    Reading("The best is **A**, $x^2$."),
    Markdown("## The data\n\nA note.[^1]\n\n[^1]: At the *end*."),
    Failure("ValueError", f"bad rows {NASTY}", f"Traceback {NASTY}", 3),
)


@pytest.fixture(scope="module")
def everything():
    return html.render(make(*EVERYTHING, title=f"Title {NASTY}"), name="01_a", profile="quick")


@pytest.fixture(scope="module")
def soup(everything):
    return BeautifulSoup(everything, "html.parser")


def remote_references(text):
    """Whatever a browser would load from elsewhere: attributes and style rules, but not links to follow."""
    soup = BeautifulSoup(text, "html.parser")
    attributes = ("src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href", "ping")
    found = [tag[name] for tag in soup.find_all(True) for name in attributes if tag.has_attr(name)]
    found += [tag["href"] for tag in soup.find_all(href=True) if tag.name != "a"]
    styles = [sheet.get_text() for sheet in soup.find_all("style")] + [
        tag["style"] for tag in soup.find_all(style=True)
    ]
    found += [rule for style in styles for rule in re.findall(r"@import[^;]*|url\([^)]*\)|image-set\([^)]*\)", style)]
    return [reference for reference in found if not reference.startswith("data:image/")]


def test_the_page_is_valid_html(everything):
    parser = html5lib.HTMLParser()
    parser.parse(everything)
    assert parser.errors == []


def test_the_page_needs_no_network_and_no_script(everything, soup):
    assert remote_references(everything) == []
    assert soup.find_all(["script", "iframe", "object", "embed", "link", "form"]) == []
    assert [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_anchor_leads_somewhere(soup):
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    anchors = [link["href"][1:] for link in soup.find_all("a", href=re.compile("^#"))]
    assert anchors
    assert set(anchors) <= set(ids)


def test_landmarks_language_and_title(soup):
    assert soup.html["lang"] == "en"
    assert soup.title.get_text() == f"Title {NASTY}"
    assert soup.h1.get_text() == f"Title {NASTY}"
    assert len(soup.find_all("h1")) == len(soup.find_all("main")) == 1
    assert soup.find("meta", attrs={"name": "viewport"})["content"] == "width=device-width, initial-scale=1"
    assert all(nav["aria-label"] == "Contents" for nav in soup.find_all("nav"))


def test_contents_list_the_chapters_in_order(soup):
    entries = [link.get_text() for link in soup.find("nav", class_="side").find_all("a")]
    assert entries == ["The data", "Details", "The data", "Error"]


def test_code_is_folded_highlighted_and_hidden_by_tags(soup):
    folds = soup.find_all("details", class_="code")
    assert [fold.pre.get_text() for fold in folds] == ["def f(x):\n    return x @ x.T  # a <comment>\n"]
    assert not folds[0].has_attr("open")
    assert folds[0].summary.get_text(" ", strip=True) == "Code 2 lines"
    assert folds[0].find("span", class_="k").get_text() == "def"
    assert "secret" not in soup.get_text()


def test_texts_are_escaped_and_shown_as_they_are(soup):
    assert f"printed {NASTY}" in soup.find("pre", class_="printed").get_text()
    cells = soup.find("figure", class_="table").find("tbody").find_all(["th", "td"])
    assert cells[0].get_text() == NASTY
    assert soup.find("dd").get_text() == NASTY
    assert f"STAND-IN DATA: {NASTY}" in soup.find("p", class_="stand-in").get_text()


def test_provenance_and_stand_in_banner_come_before_the_text(everything):
    banner, rows, text = (everything.index(part) for part in ("STAND-IN DATA", "<dl>", "Text with"))
    assert banner < rows < text


def test_figures_are_pictures_of_their_own_with_alternative_text(soup):
    first = soup.find(id="figure-1")
    image = first.find("img")
    assert base64.b64decode(image["src"].partition(",")[2]).decode() == SVG
    assert (image["alt"], image["width"], image["height"]) == (f"two lines, {NASTY}", "960", "480")
    assert first.figcaption.get_text() == f"Figure 1. Loss of {NASTY}"
    assert soup.find(id="figure-2").figcaption.b.get_text() == "Figure 2."
    assert soup.find_all("img", alt=False) == []


def test_tables_have_captions_aligned_columns_and_bold_cells(soup):
    drawn = soup.find(id="table-1")
    assert drawn.figcaption.get_text() == f"Table 1. Scores of {NASTY}"
    heads = drawn.thead.find_all("th", scope="col")
    assert [head["class"] for head in heads] == [["left"], ["right"], ["right"]]
    assert [bold.get_text() for bold in drawn.table.find_all("b")] == ["0.912"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in soup.select("div.scroll[role=region]"))


def test_the_error_is_named_on_top_and_shown_once(soup):
    assert len(soup.find_all(class_="failure")) == 1
    assert f"ValueError: bad rows {NASTY}" in soup.find(class_="failure").get_text()
    assert soup.find("p", class_="notice bad").a["href"] == "#failure"
    assert soup.find(class_="badge").get_text() == "Failed"


def test_a_run_without_an_error_is_complete():
    drawn = page(Markdown("text"))
    assert drawn.find(class_="badge").get_text() == "Complete"
    assert drawn.find(class_="failure") is None
    facts = drawn.find(class_="facts").get_text(" ", strip=True)
    assert facts == "Complete quick profile took 1 min 5 s finished 1 March 2026, 09:00 UTC"


def test_an_empty_notebook_has_a_page():
    drawn = page(duration=None, finished=None)
    assert drawn.h1.get_text() == "A title"
    assert drawn.find("nav") is None


def test_formulas_are_mathml():
    drawn = page(Markdown("Inline $a<b$ and\n\n$$\\sum_i x_i$$\n\n\\begin{align}a&=b\\end{align}"), EVERYTHING[6])
    assert [math.get("display") for math in drawn.find_all("math")] == ["inline", "block", "block", "inline"]
    assert drawn.find("math").find("mo").get_text() == "<"


def test_each_block_of_text_has_its_own_direction():
    drawn = page(
        Markdown(f"{PERSIAN} `model.eval()`\n\n## {PERSIAN}\n\n- {PERSIAN}\n\n| {PERSIAN} |\n|--|\n| x |"), table()
    )
    assert all(tag["dir"] == "auto" for tag in drawn.main.select(".text p, .text li, h1, h2, td, th"))
    assert drawn.find("ul")["dir"] == "rtl"
    assert drawn.find("code")["dir"] == "ltr"


def test_captions_and_errors_take_the_direction_of_their_own_text():
    persian = [replace(made, caption=f"2. {PERSIAN}, F1") for made in (figure(), table())]
    drawn = page(*persian, figure(2), Failure("ValueError", PERSIAN, "", 1))
    assert [caption["dir"] for caption in drawn.find_all("figcaption")] == ["rtl", "rtl", "ltr"]
    assert drawn.find(id="failure").p["dir"] == "rtl"


def test_a_text_that_pandoc_fails_on_is_shown_as_typed(monkeypatch):
    import pypandoc

    convert = pypandoc.convert_text

    def fails_on_some(source, *arguments, **options):
        if "NO WAY" in source:
            raise RuntimeError("pandoc died")
        return convert(source, *arguments, **options)

    monkeypatch.setattr(pypandoc, "convert_text", fails_on_some)
    drawn = page(Markdown("*one*[^1]\n\n[^1]: a note"), Markdown("**NO WAY** <b>"), Reading("*three*"))
    assert [tag.get_text() for tag in drawn.main.find_all("em")] == ["one", "three"]
    assert drawn.select_one(".text pre").get_text() == "**NO WAY** <b>"
    assert "a note" in drawn.main.get_text()
    assert page(Markdown("NO WAY <i>")).select_one(".text pre").get_text() == "NO WAY <i>"


def test_code_runs_from_left_to_right_among_persian():
    assert all(pre["dir"] == "ltr" for pre in page(Markdown(f"    {PERSIAN}"), *EVERYTHING).find_all("pre"))


def test_a_list_of_paragraphs_takes_the_direction_of_its_text():
    list_of_two = safe_html.parse(f"<ul><li><p>{PERSIAN}</p></li></ul><ul><li><p>English {PERSIAN}</p></li></ul>")
    assert [made["dir"] for made in list_of_two.find_all("ul")] == ["rtl", "ltr"]
    assert not list_of_two.li.has_attr("dir")


def test_one_text_cannot_break_out_into_the_next():
    drawn = page(Markdown("<div><b>never closed"), Markdown("```\nnor this"), Markdown("last *one*"))
    texts = drawn.find_all("div", class_="text", recursive=True)
    assert len(texts) == 3
    assert texts[2].em.get_text() == "one"
    assert texts[2].find_parent("div", class_="text") is None


def test_markdown_is_read_as_jupyterlab_reads_it():
    fragments, footnotes = markdown.to_html(
        ["a line\n- no blank before\n\n- [x] done\n\n~~gone~~ a_b_c", "", "x[^n]\n\n[^n]: note"]
    )
    assert len(fragments) == 3
    assert fragments[0].count("<li>") == 2
    assert "checkbox" in fragments[0]
    assert "a_b_c" in fragments[0]
    assert fragments[1] == ""
    assert "note" in footnotes


def test_an_outputs_headings_leave_the_page_its_one_title():
    drawn = page(Output("text/html", "<h1>shouted</h1>", 1))
    assert [heading.get_text() for heading in drawn.find_all("h1")] == ["A title"]
    assert "shouted" in drawn.find(class_="output").get_text()


def test_repeated_headings_get_ids_of_their_own_and_links_find_them():
    drawn = page(Markdown("## The data\n\n[there](#The-data) [nowhere](#none) [x](02_b.ipynb)"), Markdown("# The data"))
    assert [heading["id"] for heading in drawn.find_all("h2")] == ["section-the-data", "section-the-data-2"]
    assert drawn.find("a", string="there")["href"] == "#section-the-data"
    assert not drawn.find("a", string="nowhere").has_attr("href")
    assert drawn.find("a", string="x")["href"] == "02_b.html"


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' java\nscript:alert(1)'>x</a>",
        "<iframe src='https://example.org'></iframe>",
        "<svg><script>alert(1)</script><image href='https://example.org/x'/></svg>",
        "<style>@import 'https://example.org/x.css'; p {background: url(https://example.org/x)}</style>",
        "<p style='background:url(https://example.org/x)'>x</p>",
        "<p style='background:u\\72l(https://example.org/x)'>x</p>",
        "<p style='background:image-set(\"https://example.org/x\" 1x)'>x</p>",
        "<link rel=stylesheet href=https://example.org/x.css>",
        "<meta http-equiv=refresh content='0;https://example.org'>",
        "<base href=https://example.org>",
        "<math><mi xlink:href='javascript:alert(1)' href='https://example.org'>x</mi></math>",
        "<video src=https://example.org/x poster=https://example.org/y></video>",
        "<input type=image src=https://example.org/x>",
        "<form action=https://example.org><button formaction=https://example.org>x</button></form>",
        "<img src='data:text/html,<script>alert(1)</script>'>",
        "<table background=https://example.org/x><td background=https://example.org/y>x</table>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
        "<style>#a{}</style/><script>alert(1)</script>",
        "<style>#a{content:'</style><script>alert(1)</script>'}</style>",
        "<!--><script>alert(1)</script>-->",
    ],
)
def test_nothing_dangerous_passes(source):
    text = html.render(make(Output("text/html", source, 1), Markdown(source)), name="a", profile="p")
    assert remote_references(text) == []
    tree = html5lib.parse(text, treebuilder="etree", namespaceHTMLElements=False)
    tags = {element.tag.split("}")[-1] for element in tree.iter() if isinstance(element.tag, str)}
    assert not tags & {"script", "iframe", "svg", "link", "base", "video", "form", "button", "object", "noscript"}
    attributes = [(key, value) for element in tree.iter() for key, value in element.attrib.items()]
    assert [key for key, _ in attributes if key.startswith("on")] == []
    assert [value for key, value in attributes if key == "href" and "script" in value] == []
    assert len([key for key, _ in attributes if key == "http-equiv"]) == 1


def test_a_remote_picture_becomes_its_text_and_a_link():
    drawn = page(
        Markdown("![a cat](https://example.org/cat.png) [![a badge](https://example.org/b.svg)](https://example.org)")
    )
    cat = drawn.find("a", string="[picture: a cat]")
    assert cat["href"] == "https://example.org/cat.png"
    assert drawn.find("span", string="[picture: a badge]").parent["href"] == "https://example.org"
    assert drawn.find("img") is None


def test_attached_and_local_pictures_are_embedded(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "ROOT", tmp_path)
    monkeypatch.setattr(html, "NOTEBOOKS", tmp_path / "notebooks")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a b.png").write_bytes(b"local")
    (tmp_path.parent / "outside.png").write_bytes(b"outside")
    text = "![x](attachment:x%20y.png) ![l](a%20b.png) ![o](../../outside.png) ![gone](none.png)"
    drawn = page(Markdown(text, {"x y.png": {"image/png": base64.b64encode(b"attached").decode()}}))
    images = {image["alt"]: base64.b64decode(image["src"].partition(",")[2]) for image in drawn.find_all("img")}
    assert images == {"x": b"attached", "l": b"local"}
    assert "[picture: gone]" in drawn.get_text()


def test_a_styled_frame_keeps_its_colours_under_ids_of_its_own():
    styled = (
        "<style>#T_1 td{color:red;position:fixed} body{display:none} #T_1_x, p{color:blue}</style>"
        '<table id="T_1"><tr><td id="T_1_x" class="failure">1</td></tr></table>'
    )
    text = html.render(make(Output("text/html", styled, 1), Output("text/html", styled, 1)), name="a", profile="p")
    drawn = BeautifulSoup(text, "html.parser")
    assert [made["id"] for made in drawn.find_all("table")] == ["output-1-T_1", "output-2-T_1"]
    sheet = drawn.style.get_text()
    assert "#output-1-T_1 td{color:red}" in sheet
    assert "display:none}" not in sheet.partition("#output-1")[2]
    assert "color:blue" not in sheet
    assert drawn.td.get("class") is None
    assert drawn.find("div", class_="output paper") is not None


def test_a_header_without_a_text_is_a_plain_cell():
    frame = "<table><thead><tr><th>&nbsp;</th><th>a</th></tr></thead><tr><th>0</th><td>1</td></tr></table>"
    recorded = Table("t", "c", ["", "n"], [["x", "1"], ["", "2"]], ["left", "right"], [], 1)
    for block, headers in ((Output("text/html", frame, 1), ["a", "0"]), (recorded, ["n", "x"])):
        drawn = page(block).table
        assert [head.get_text() for head in drawn.find_all("th")] == headers
        assert len({len(row.find_all(["th", "td"])) for row in drawn.find_all("tr")}) == 1


def test_what_can_be_scrolled_is_reached_by_the_keyboard():
    drawn = page(Markdown("$$x$$\n\n```\ncode\n```\n\n|a|\n|-|\n|1|"), Output("text/plain", "printed", 1), table())
    found = drawn.select("math[display=block], pre, .scroll")
    assert len(found) == 5
    assert all(element["tabindex"] == "0" for element in found)


def test_very_long_printed_text_is_cut_and_says_so():
    drawn = page(Output("text/plain", "x" * (html.TEXT_SHOWN + 1234), 1)).find("pre", class_="printed").get_text()
    assert len(drawn) < html.TEXT_SHOWN + 100
    assert "1,234 more characters are in the executed notebook" in drawn


def test_pages_are_the_same_each_time(everything):
    assert html.render(make(*EVERYTHING, title=f"Title {NASTY}"), name="01_a", profile="quick") == everything


def test_the_duration_is_told_where_it_is_known():
    assert "took 1 min 5 s" in page().find(class_="facts").get_text(" ", strip=True)
    assert "took" not in page(duration=None).find(class_="facts").get_text()


def luminance(colour):
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_meets_wcag_aa(scheme):
    sheet = (html.TEMPLATES / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\n *\}", sheet, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    words = ["ink", "quiet", "accent"]
    pairs = [(word, ground) for word in words for ground in ("paper", "tint")] + [("ink", "reading")]
    pairs += [(f"{kind}-ink", kind) for kind in ("good", "bad", "warn")] + [("bad-ink", "paper"), ("quiet", "reading")]
    pairs += [(name, "tint") for name in colours if name.startswith("code-")]
    for ink, ground in pairs:
        darker, lighter = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, ground)


def test_numbers_are_strict_json_with_all_that_was_recorded():
    number = {"name": "accuracy", "label": "Accuracy", "value": 0.5, "std": float("nan"), "runs": 3, "reported": 0.6}
    content = numbers_file.content(
        make(
            *EVERYTHING,
            numbers={"accuracy": number},
            parameters={"RATE": float("inf"), "LIST": [1, float("nan")]},
            key_figure="curves",
            key_numbers=("accuracy",),
        ),
        name="01_a",
        profile="quick",
    )
    read = json.loads(json.dumps(content, allow_nan=False))
    assert read == content
    assert (read["notebook"], read["profile"], read["status"], read["duration_seconds"]) == (
        "01_a",
        "quick",
        "failed",
        65.2,
    )
    assert read["error"] == {"name": "ValueError", "message": f"bad rows {NASTY}", "cell": 3}
    assert read["parameters"] == {"RATE": None, "LIST": [1, None]}
    assert read["numbers"] == {"accuracy": {"label": "Accuracy", "value": 0.5, "std": None, "runs": 3, "reported": 0.6}}
    assert read["tables"]["scores"]["values"][0] == [NASTY, 1200, 0.9123]
    assert list(read["figures"]) == ["curves", "confusion"]
    assert (read["key_figure"], read["key_numbers"]) == ("curves", ["accuracy"])
    assert read["stand_in"].startswith("STAND-IN DATA")
    assert read["provenance"]["Seed"] == "0"
