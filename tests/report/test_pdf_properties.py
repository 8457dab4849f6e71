"""Any text and any table can be set on paper, and read back from it. A PDF takes a while, so each one holds many."""

import io
import re
import unicodedata
from collections import Counter

import pypdf
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from helpers.report import render
from helpers.report.document import Code, Document, Failure, Markdown, Output, Provenance, Table

# The same examples in every run. Many texts make a large one, which would be made smaller for minutes.
settings_of_pdfs = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow, HealthCheck.data_too_large],
)

PIECES = st.sampled_from(
    ["#", "$", "*", "_", "`", "@", "<", ">", "\\", "\\u{41}", "#panic(1)", "<label>", "@ref", "//", "/*", "*/",
     "[", "]", "{", "}", "(", ")", '"', "'", "~", "--", "...", "= ", "+ ", "- ", "/ ", "%", "^", "&", "|", "```",
     "$x$", "$$", "\\[", "\\begin{align}", "\\frac{1}", "<b>", "</td>", "<script>", "&amp;", "![](a.png)", "[^1]",
     "\x00", "\x07", "\x1b[31m", "\ud800", "\u202e", "\u200f", "\ufeff", "\u2028", "\x85", "\t", "\n", "\n\n", " ",
     "😀", "👩‍👩‍👧", "سلام", "گزارش ۱۲۳", "中文", "é", "x" * 400, "long/path/" * 20, "1e-05", "−0.5", "nan"]
)  # fmt: skip
ANY_TEXT = st.lists(PIECES | st.text(max_size=8), max_size=8).map("".join)
ASCII_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=28).filter(str.strip)


# TeX within Markdown, as JupyterLab reads it, however it is escaped.
def many(texts, number=25):
    return st.lists(texts, min_size=number, max_size=number)


def text_of(*blocks):
    made = Document("T", list(blocks), {}, {}, duration=None, finished=None, failed=False)
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(render.pdf(made))).pages]
    # A text that goes on overleaf is parted by the page's number and the title on top of the next page.
    return "\n".join(re.sub(r"\A\s*T\n|\n\d+ / \d+\s*\Z", "", page) for page in pages)


def condensed(text):
    """Without blanks and line ends, which a PDF doesn't keep, ligatures, and the minus sign that -1 is set with."""
    return re.sub(r"[\s\u200b\u200c]", "", unicodedata.normalize("NFKC", text)).replace("−", "-")


def table(texts):
    return Table("t", texts[0], [texts[0], "n"], [[text, "1"] for text in texts], ["left", "right"], [(0, 0)], 1)


@settings_of_pdfs
@given(many(ANY_TEXT))
def test_any_texts_can_be_set_everywhere(texts):
    blocks = [Provenance([(text, text) for text in texts[:4]], texts[0]), table(texts)]
    for text in texts:
        html = f"<table><tr><td>{text}</td></tr></table>"
        blocks += [Markdown(text), Code(text, 1), Output("text/plain", text, 1), Output("text/html", html, 1)]
        blocks += [Output("text/html", text, 1), Output("text/latex", text, 1)]
    read = text_of(*blocks, Failure(*texts[:3], None), Markdown("The end."))
    assert "could not be set" not in read
    assert "The end." in read


@settings_of_pdfs
@given(many(ASCII_TEXT))
@example(
    ["#", "$", "*", "_", "`", "@", "<", "\\", "//", "/*", "#1", "$x$", "<a>", "@a", "*b*", "= a", "fi ffi", "--", "..."]
)
def test_any_ascii_text_is_read_back_as_it_was(texts):
    blocks = [Provenance([("label", text) for text in texts], texts[0]), table(texts)]
    blocks += [block for text in texts for block in (Code(text, 1), Output("text/plain", text, 1))]
    read = condensed(text_of(*blocks, Failure("Error", texts[0], "", None)))
    assert "couldnotbeset" not in read
    for text, shown in Counter(map(condensed, texts)).items():
        # In the provenance, the table, the code and the output.
        assert read.count(text) >= 4 * shown, text
