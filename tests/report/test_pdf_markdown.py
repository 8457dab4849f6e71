"""Markdown in the PDF, as Jupyter shows it."""

import base64
import io

import pypdf
import pytest
from PIL import Image

from helpers.report import pdf
from helpers.report.document import Document, Markdown
from helpers.report.pdf.markdown import Piece, convert


def render(*texts: str, **attachments: dict[str, str]) -> pypdf.PdfReader:
    blocks = [Markdown(text, attachments) for text in texts]
    document = Document("Title", blocks, {}, {}, duration=None, finished=None, failed=False)
    return pypdf.PdfReader(io.BytesIO(pdf.render(document)))


def text_of(*texts: str) -> str:
    text = "\n".join(page.extract_text() for page in render(*texts).pages)
    assert "could not be set" not in text
    return text


def png() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def links(reader: pypdf.PdfReader) -> list[str]:
    """The addresses, or the names of the places, that the document's links lead to."""
    found = [note.get_object() for page in reader.pages for note in page.get("/Annots", [])]
    return [note["/A"]["/URI"] if "/A" in note else str(note["/Dest"]) for note in found]


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"$A \cap B$", "𝐴∩𝐵"),
        (r"$A \otimes B$", "𝐴⊗𝐵"),
        (r"$\begin{vmatrix} a \\ b \end{vmatrix}$", "𝑎"),
        (r"$\begin{Vmatrix} a \\ b \end{Vmatrix}$", "𝑎"),
        (r"$\llbracket x \rrbracket$", "⟦𝑥⟧"),
        (r"$\mathtt{y}$", "𝚢"),
        (r"$\widehat{xy} \bar{x} \vec{v}$", "𝑣"),
        (r"$\unknowncommand{x}$", r"\unknowncommand{x}"),
        ("$$\na\n- b\n+ c % a comment - with a sign\n$$", "𝑎−𝑏+𝑐"),
        ("\\begin{align}\na &= b \\\\\n&= c\n\\end{align}", "𝑎=𝑏"),
        (r"\\(a + b\\)", "𝑎+𝑏"),
        (r"\\[a + b\\]", "𝑎+𝑏"),
        ("in a list:\n- $a - b$\n- $$\n  c\n  - d\n  $$", "𝑐−𝑑"),
    ],
)
def test_formulas(tex, shown):
    text = text_of(f"Before {tex} after.")
    assert shown in text.replace(" ", "")
    assert "\\begin" not in text
    assert "%" not in text


def test_dollars_that_are_money_or_code_stay_as_they_are():
    text = text_of("- costs $5\n- or $6\n\n`$x$` and\n\n```\n$$\na\n- b\n$$\n\\begin{align}\n```\n")
    assert "costs $5" in text and "or $6" in text and "$x$" in text
    assert "$$\na\n- b\n$$\n\\begin{align}" in text


def test_tables_lists_footnotes_and_quotations():
    text = text_of(
        "| layer | count |\n|:--|--:|\n| `conv1_1` | 1,792 |\n\n- one\n  - nested **bold**\n\n1. first\n\n> quoted\n\n"
        "A note[^1].\n\n[^1]: its text\n\n---\n\n- [x] done"
    )
    for part in ("layer count", "conv1_1 1,792", "nested bold", "1. first", "quoted", "its text", "☒ done"):
        assert part in text.replace("•", "").replace("–", "")


def test_html_in_markdown_is_shown_and_scripts_are_not():
    text = text_of(
        "H<sub>2</sub>O<br>new line <b>bold</b> <span onclick='x()'>span</span>\n\n"
        "<div align='center'>\n\n**inside** a div\n\n</div>\n\n"
        "<table>\n\n<tr><td>cell one</td><td>two</td></tr>\n\n</table>\n\n<script>alert(1)</script>\n\n<!-- hidden -->"
    )
    for part in ("H2O\nnew line bold span", "inside a div", "cell one two"):
        assert part in text
    assert "alert" not in text and "hidden" not in text


def test_links_lead_to_headings_and_addresses_and_others_become_text():
    reader = render(
        "## First Part\n\n[web](https://example.org/a) [here](#Second-Part) [nowhere](#no-such) [file](other.ipynb) "
        "[script](javascript:alert(1))",
        "## Second Part\n\n[back](#first-part)\n\n## First Part\n\nagain",
    )
    text = reader.pages[0].extract_text()
    assert all(word in text for word in ("web", "here", "nowhere", "file", "script"))
    contents, linked = links(reader)[:3], links(reader)[3:]
    assert linked == ["https://example.org/a", contents[1], contents[0]]


def test_attachments_and_pictures_in_the_text_are_shown_and_all_others_become_text():
    reader = render(
        "![a](attachment:my%20picture.png)\n\ninline ![b](attachment:x.png) "
        f"<img src='attachment:x.png' width='20'> ![c](data:image/png;base64,{png()})\n\n"
        "![remote one](https://example.org/x.png) ![missing one](attachment:none.png) ![](local.png)",
        **{"my picture.png": {"image/png": png()}, "x.png": {"image/png": png()}, "bad.png": {"text/plain": "x"}},
    )
    page = reader.pages[0]
    text = page.extract_text()
    assert page.get_contents().get_data().count(b" Do") == 4
    assert "remote one" in text and "missing one" in text and "local.png" in text
    assert links(reader) == ["https://example.org/x.png"]


def test_each_cell_is_read_for_itself():
    text = text_of("Unclosed <div> and ```\n```\ncode", "## Heading after it\n\n**bold**")
    assert "Heading after it" in text and "**" not in text


def test_markdown_without_pandoc_is_shown_as_typed(monkeypatch):
    monkeypatch.setattr("helpers.report.pdf.markdown.PANDOC_SECONDS", 0)
    assert "## Heading **bold**" in text_of("## Heading **bold**")


def test_long_words_break_at_their_joints():
    path = "/usr/share/image-classification/datasets/fashion_mnist.v2/original"
    pieces = ["/usr/", "share/", "image-", "classification/", "datasets/", "fashion_", "mnist.", "v2/", "original"]
    (converted,) = convert([Piece(path)], prefix="")
    assert converted.source.replace("\\", "").split("\u200b") == pieces
    (converted,) = convert([Piece("`" + "0.125,1e-05," * 5 + "`")], prefix="")
    assert converted.source.count("0.125,\u200b1e-05,") == 5
