"""A notebook's HTML page: valid, self-contained, without scripts; what the notebook holds is shown or left out."""

import base64
import re
from dataclasses import replace

import html5lib
import pytest
from bs4 import BeautifulSoup

from helpers.report import render
from helpers.report.document import Failure, Markdown, Output, Reading
from tests.report.documents import CODE, EVERY_KIND, FAILURE, NASTY, PERSIAN, SVG, document, figure, page, table

DANGEROUS = (
    "<script>alert(1)</script><!--><script>alert(1)</script>-->",
    "<img src=x onerror=alert(1)><img src='//example.org/x' srcset='https://example.org/y 2x'>",
    "<a href=' java\nscript:alert(1)'>x</a><img src='data:text/html,<script>alert(1)</script>'>",
    "<svg><script>alert(1)</script><image href='https://example.org/x'/><use href='https://example.org/y#z'/></svg>",
    "<style>@import 'https://example.org/x.css'; p {background: url(https://example.org/x)}</style>",
    "<p style='background:url(https://example.org/x)'>x</p><iframe src='https://example.org'></iframe>",
    "<link rel=stylesheet href=https://example.org/x.css><meta http-equiv=refresh content='0;https://example.org'>",
    "<video src=https://example.org/x></video><form action=https://example.org><button>x</button></form>",
    "<table background=https://example.org/x><tr><td background=https://example.org/y onclick=x>x</table>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=x>'>",
    r"[@he2016 \`\<b onclick=x\>\<script>alert(1)\</script>\`{=html}]",
)
DANGEROUS_BLOCKS = [block for source in DANGEROUS for block in (Output("text/html", source, 1), Markdown(source))]
ALL_TEXTS = (*EVERY_KIND, Markdown("## The data\n\nThe same heading and note.[^1]\n\n[^1]: At the *end*."), FAILURE)


@pytest.fixture(scope="module")
def soup():
    return page(*ALL_TEXTS)


def remote_references(soup):
    """Whatever a browser would load from elsewhere: attributes and style rules, but not links to follow."""
    attributes = ("src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href", "ping")
    found = [tag[name] for tag in soup.find_all(True) for name in attributes if tag.has_attr(name)]
    found += [tag["href"] for tag in soup.find_all(href=True) if tag.name != "a"]
    sheets = [str(sheet.string or "") for sheet in soup.find_all("style")]
    styles = sheets + [tag["style"] for tag in soup.find_all(style=True)]
    found += [rule for style in styles for rule in re.findall(r"@import[^;]*|url\(|image-set\(|https?:", style)]
    return [reference for reference in found if not reference.startswith(("data:image/", "#"))]


@pytest.mark.parametrize("blocks", [ALL_TEXTS, [*DANGEROUS_BLOCKS, *ALL_TEXTS[-2:]]], ids=["every kind", "dangerous"])
def test_the_page_is_valid_and_needs_no_network_and_no_script(blocks):
    text = render.html(document(*blocks, title=f"Title {NASTY}"), name="01_a", profile="quick")
    soup, parser = BeautifulSoup(text, "html5lib"), html5lib.HTMLParser()
    parser.parse(text)
    assert parser.errors == [] and remote_references(soup) == []
    unwanted = "script, iframe, .text svg, .output svg, object, embed, link, form, base, video, button, noscript"
    assert not soup.select(unwanted)
    assert [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    (policy,) = soup.find_all("meta", attrs={"http-equiv": True})
    assert policy["http-equiv"] == "Content-Security-Policy" and policy["content"].startswith("default-src 'none'")
    ids, links = [tag["id"] for tag in soup.find_all(id=True)], [link["href"] for link in soup.find_all("a", href=True)]
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert len(ids) == len(set(ids)) and anchors and anchors <= set(ids)
    assert not [link for link in links if "script" in link]


def test_the_page_has_its_contents_its_formulas_and_its_texts_as_they_are(soup):
    entries = [link.get_text() for link in soup.find("nav", class_="side").find_all("a")]
    assert entries == ["The data", "Details", "More of it", "The data", "References", "Error"]
    assert soup.find("math").find("mo").get_text() == "<" and len(soup.find_all("math")) == 4
    assert f"printed {NASTY}" in soup.find("pre", class_="printed").get_text()
    cells = soup.find("figure", class_="table").find("tbody").find_all(["th", "td"])
    assert cells[0].get_text() == soup.find("dd").get_text() == NASTY
    (failure,) = soup.find_all(class_="failure")
    assert f"ValueError: bad rows in {NASTY}" in failure.get_text()
    assert soup.find("p", class_="notice bad").a["href"] == "#failure" and soup.find(class_="badge").string == "Failed"


def test_code_is_folded_and_highlighted(soup):
    (fold,) = soup.find_all("details", class_="code")
    assert fold.pre.get_text() == CODE
    assert not fold.has_attr("open")
    assert fold.summary.get_text(" ", strip=True) == "Code 7 lines"
    assert fold.find("span", class_="kw").get_text() == "class"


def test_neighbouring_details_are_folded_together_below_what_they_are():
    inside = [
        replace(made, tags=("detail",)) for made in (Markdown("### Every *class*\n\ntext"), figure(1), table(1, 2))
    ]
    drawn = page(Markdown("Before @fig-f."), *inside, figure(2, name="other"), replace(Reading("R"), tags=("detail",)))
    first, second = drawn.find_all("details", class_="more")
    assert first.summary.get_text() == "Details: Every class Figure 1, Table 1"
    assert first.find(id="figure-1") and first.find(id="table-1") and not first.has_attr("open")
    assert second.find(class_="reading") and not drawn.find(id="figure-2").find_parent("details")


def test_questions_and_answers_are_shown_for_what_they_are():
    parts = [("question", "Why?"), ("answer", PERSIAN), ("answer", "")]
    computed = Reading("Why 3%?", tags=("question",))
    drawn = page(*[Markdown(text, tags=(tag,)) for tag, text in parts], computed)
    assert [asked.get_text(strip=True) for asked in drawn.find_all(class_="question")] == ["Why?", "Why 3\u00a0%?"]
    assert drawn.find(class_="reading") is None
    answered, unanswered = drawn.find_all(class_="answer")
    assert answered["dir"] == "rtl" and "Not answered yet" in unanswered.get_text()


def test_drawings_have_sizes_and_alternative_texts_and_tables_their_columns_sides_and_bold_cells(soup):
    image, drawn = soup.find(id="figure-1").img, soup.find(id="table-1")
    assert base64.b64decode(image["src"].partition(",")[2]).decode() == SVG
    assert (image["alt"], image["width"], image["height"]) == (f"two lines, {NASTY}", "864", "288")
    assert not soup.find_all("img", alt=False) and drawn.figcaption.get_text() == f"Table 1. Scores of {NASTY}"
    assert [head.get("style") for head in drawn.thead.find_all("th", scope="col")][1:] == ["text-align: right;"] * 2
    assert [bold.get_text() for bold in drawn.table.find_all("strong")] == ["0.912"]


def test_the_top_of_a_page_says_how_the_run_ended():
    when = {"duration": 65.2, "finished": "2026-03-01T09:00:15+00:00"}
    facts = page(Markdown("text"), **when).find(class_="facts").get_text(" ", strip=True)
    assert facts == "Complete quick profile took 1 min 5 s finished 1 March 2026, 09:00 UTC"
    made = render.html(document(incomplete="3 of 4 points"), name="sweep", profile="p", overview="../../index.html")
    empty = BeautifulSoup(made, "html5lib")
    assert empty.find(class_="facts").get_text(" ", strip=True) == "3 of 4 points p profile"
    assert empty.find("a", string="All notebooks")["href"] == "../../index.html" and not empty.select("nav.side")


def test_each_block_of_text_has_its_own_direction():
    text = f"{PERSIAN} `model.eval()`\n\n## {PERSIAN}\n\n- {PERSIAN}\n\nEnglish {PERSIAN}\n\n- English {PERSIAN}"
    drawn = page(Markdown(text), Markdown(f"    {PERSIAN}"), *EVERY_KIND)
    found = drawn.find(class_="text").find_all(["p", "h2", "ul"])
    assert [tag.find_parent(dir=True)["dir"] for tag in found] == ["rtl", "rtl", "rtl", "ltr", "ltr"]
    assert all(tag["dir"] == "auto" for tag in drawn.main.select("h1, .table td, .table th"))
    assert all(pre["dir"] == "ltr" for pre in drawn.find_all("pre"))
    persian = [replace(made, caption=f"2. {PERSIAN}, F1") for made in (figure(), table(1, 2))]
    captions = page(*persian, figure(2), Failure("ValueError", PERSIAN, "", 1)).find_all(["figcaption"])
    assert [caption["dir"] for caption in captions] == ["rtl", "rtl", "ltr"]


def test_markdown_is_read_as_jupyterlab_reads_it_and_no_cell_reaches_into_the_next():
    open_cells = [Markdown(text) for text in ("<div><b>never closed", "<details>nor this", "```\nnor this")]
    texts = page(*open_cells, Markdown("last *one*")).select(".text")
    assert len(texts) == 4 and texts[3].em.get_text() == "one"
    assert not [text for text in texts if text.find_parent(class_="text")]
    drawn = page(Markdown("| a | b |\n|--|--|\n| 1 | two<br>lines, the last |"))
    assert [cell.get_text() for cell in drawn.find_all(["th", "td"])] == ["a", "b", "1", "two\nlines, the last"]
    assert not drawn.find("col")  # which would make all columns as wide
    drawn = page(Markdown("a line\n- no blank before\n\n- [x] done\n\n~~gone~~ a_b_c <kbd>key</kbd>"))
    assert drawn.select(".text > ul > li") and drawn.find("input", type="checkbox", checked=True, disabled=True)
    assert "a_b_c" in drawn.main.get_text()
    assert drawn.find("del").get_text() == "gone" and drawn.kbd.get_text() == "key"


def test_repeated_headings_get_ids_of_their_own_and_links_find_them():
    text = "## The data\n\n[there](#The-data) [nowhere](#none) [x](02_b.ipynb)"
    drawn = page(Markdown(text), Markdown("## The data"))
    assert [heading["id"] for heading in drawn.find_all("h2")] == ["section-the-data", "section-the-data-2"]
    assert drawn.find("a", string="there")["href"] == "#section-the-data"
    assert not drawn.find("a", string="nowhere") and "nowhere" in drawn.get_text()
    assert drawn.find("a", string="x")["href"] == "02_b.html"


def test_styles_names_and_classes_of_outputs_stay_where_they_were():
    attributes = "id='T_1' class='failure' onclick='x()' style='text-align:right;position:fixed;background:url(//x)'"
    parts = [f"<{tag} {attributes}>" for tag in ("table", "tbody", "tr", "td")]
    styled = f"<style>#T_1 td{{position:fixed}}</style>{''.join(parts)}1</td></tr></tbody></table>"
    drawn = page(Output("text/html", f"{styled}<p {attributes}><b {attributes}>a</b></p>", 1)).find(class_="output")
    assert {str(tag.attrs) for tag in drawn.find_all(["table", "tbody", "tr", "p", "strong"])} == {"{}"}
    assert drawn.td.attrs == {"style": "text-align: right;"} and "T_1" not in drawn.get_text()


def test_details_are_folded_as_in_jupyter():
    text = "<details><summary>What *was*</summary>\n\nIt.\n\n</details>\n\nafter"
    output = Output("text/html", "<details><summary>What *was*</summary><p>It.</p></details>", 1)
    drawn = page(Markdown(text), output)
    for made in drawn.select("details"):
        assert (made.summary.get_text(strip=True), made.p.get_text()) == ("What *was*", "It.")
    assert len(drawn.select("details")) == 2 and drawn.find("p", string="after").parent["class"] == ["text"]


def test_attached_and_local_pictures_are_embedded_and_others_become_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "NOTEBOOKS", tmp_path / "notebooks")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "a b.png").write_bytes(b"local")
    (tmp_path.parent / "outside.png").write_bytes(b"outside")
    text = (
        "![x](attachment:x%20y.png) ![l](a%20b.png) ![o](../../outside.png) ![gone](none.png) ![r](https://a.org/r.png)"
        " ![no](a%00b.png) ![s](<attachment:x y.png>) ![t][t] ![u][u]\n\n[t]: <attachment:x y.png>\n[u]: a%20b.png"
    )
    drawn = page(Markdown(text, {"x y.png": {"image/png": base64.b64encode(b"attached").decode()}}))
    images = {image["alt"]: base64.b64decode(image["src"].partition(",")[2]) for image in drawn.find_all("img")}
    assert images == {"x": b"attached", "l": b"local", "s": b"attached", "t": b"attached", "u": b"local"}
    (output,) = page(Output("text/html", "<p>25%</p><img src='a%20b.png' width='50%'>", 1)).find_all("img")
    assert output["style"] == "width:50.0%"
    assert "[picture: gone]" in drawn.get_text()
    assert drawn.find("a", string="[picture: r]")["href"] == "https://a.org/r.png"


def test_very_long_printed_text_is_cut_and_says_so():
    drawn = page(Output("text/plain", "x" * (render.TEXT_SHOWN + 1234), 1)).find("pre", class_="printed").get_text()
    assert len(drawn) < render.TEXT_SHOWN + 100
    assert "1,234 more characters are in the executed notebook" in drawn


def test_of_an_animation_or_a_script_nothing_is_shown_however_long():
    text = "<p>a film</p><script>frames = '{0}'</script><video><source src='data:video/mp4;base64,{0}'></video>"
    drawn = page(Output("text/html", text.format("A" * 1_000_000), 1))
    assert drawn.find(class_="output").get_text(strip=True) == "a film"
