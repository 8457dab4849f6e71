"""Documents, and their pages read back: what tests of pages share."""

import functools
import io
from dataclasses import replace
from types import UnionType

import matplotlib.pyplot as plt
import pandas as pd
import pypdf
from bs4 import BeautifulSoup

from helpers.report import render
from helpers.report.document import Block, Code, Document, Failure, Figure, Markdown, Output, Provenance, Reading, Table

PERSIAN = "این یک پاراگراف فارسی است"
LOREM = "The network is trained on the classes of A, and the test split is touched once, at the end. " * 8
NASTY = "<script>alert('x')</script> & \"quoted\" 'name'"
LONG = "a_name_that_has_no_place_to_break_it_" * 5


def document(*blocks: Block, title: str = "A title", **fields: object) -> Document:
    return Document(title, list(blocks), **fields)


def of_kind(made: Document, kind: type | UnionType) -> list:
    return [block for block in made.blocks if isinstance(block, kind)]


def page(*blocks: Block, **fields: object) -> BeautifulSoup:
    """The HTML page, as a browser's parser reads it."""
    return BeautifulSoup(render.html(document(*blocks, **fields), name="01_a", profile="quick"), "html5lib")


def pdf(*blocks: Block, **fields: object) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(render.pdf(document(*blocks, **fields))))


def pages_of(reader: pypdf.PdfReader) -> list[str]:
    return [page.extract_text().replace("\u00a0", " ") for page in reader.pages]


def pdf_text(*blocks: Block, **fields: object) -> str:
    return "\n".join(pages_of(pdf(*blocks, **fields)))


def in_order(text: str, words: list[str]) -> bool:
    places = [text.index(word) for word in words]
    return places == sorted(places)


@functools.cache
def drawing(width: float = 5, height: float = 3) -> tuple[str, bytes]:
    """The same lines as SVG and as PDF."""
    figure, axes = plt.subplots(figsize=(width, height))
    axes.plot([1, 2, 3])
    buffers = {kind: io.BytesIO() for kind in ("svg", "pdf")}
    for kind, buffer in buffers.items():
        figure.savefig(buffer, format=kind)
    plt.close(figure)
    return buffers["svg"].getvalue().decode(), buffers["pdf"].getvalue()


def figure(
    number: int = 1,
    *,
    size: tuple[float, float] = (5, 3),
    caption: str = "A line.",
    name: str = "f",
    alt: str = "a line",
) -> Figure:
    svg, content = drawing(*size)
    return Figure(name, caption, alt, svg, content, number)


def table(rows: int, columns: int, number: int = 1, *, name: str = "t", caption: str = "Values by row.") -> Table:
    """Cells such as "3.002"; the first column says "r3"."""
    cells = [[f"r{row}", *(f"{row}.{column:03}" for column in range(1, columns))] for row in range(rows)]
    names = ["row", *(f"k{column}" for column in range(1, columns))]
    return Table(name, caption, names, cells, ["left"] + ["right"] * (columns - 1), [(0, 1)], number)


TEXT = """
A paragraph with $a<b$, `code`, a [link](https://example.org), **bold** and *slanted* words, and a note.[^1]

## The data

1. one with

   > a quotation and a [link](#the-data) in it

- [x] done

### Details

$$\\sum_{i=1}^{n} x_i^2 + \\int_0^1 f(x)\\,dx = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15$$

| name | score |
|:--|--:|
| first | 0.91 |

#### Smaller still

![a square](attachment:square.svg) and ~~wrong~~ words.

---

[^1]: At the *end*, with a [link](https://example.org).
"""
CODE = '''\
@decorated
class Model(nn.Module):  # a comment
    """What it is."""

    def forward(self, x: int = 0x1F, *, rate: float = 1.5e-3) -> None:
        if not isinstance(x, str) and x is None or self.layers[-1] @ x >= 10:
            raise ValueError(f"{x!r:>10} is not a number\\n" + r"\\d+" + b"bytes".decode())'''
SVG = drawing(9, 3)[0]
ODD_TABLE = Table(
    "scores",
    f"Scores of {NASTY}",
    [NASTY, "n", "F1"],
    [[NASTY, "1,200", "0.912"], [PERSIAN, "7", "23.125 ± 0.25"]],
    ["left", "right", "right"],
    [(0, 2)],
    1,
    values=[[NASTY, 1200, 0.9123], [PERSIAN, 7, None]],
)
EVERY_KIND = (
    Provenance([("Data set", NASTY), ("Parameters", "A = 1, " * 40), ("Path", LONG)], f"STAND-IN DATA: {NASTY}", True),
    Markdown(TEXT, {"square.svg": {"image/svg+xml": SVG}}),
    Code(CODE, 1),
    Code("secret = 1", 2, shown=False),
    Output("text/plain", f"printed {NASTY}\n{LONG}\n" + "many lines\n" * 40, 1),
    Output("text/plain", "printed by another output of the same cell", 1),
    Output("text/html", pd.DataFrame({f"column {i}": [1.5, 2.5] for i in range(12)}).to_html(), 2),
    Output("text/latex", r"$\displaystyle \frac{1}{2}$", 2),
    Output("image/svg+xml", SVG, 2),
    figure(1, size=(9, 3), name="curves", caption=f"Loss of {NASTY}", alt=f"two lines, {NASTY}"),
    Figure("pair", "Two halves", "half a line, twice", SVG, b"%PDF", 3, "", [[0, 0, 0.5, 1], [0.5, 0, 0.5, 1]]),
    figure(2, name="small", caption=f"Accuracy, {LONG}"),
    ODD_TABLE,
    table(3, 15, 2, name="wide"),
    table(60, 5, 3, name="long"),
    Reading("The best is **A** by 3 points, see [Figure 1](#figure-1); $x^2$."),
    Reading("And a second sentence."),
    Markdown("### More of it\n\nAs [@he2016] says.", tags=("detail",)),
    replace(table(3, 4, 4, name="folded"), tags=("detail",)),
    *[Markdown(text, tags=(tag,)) for text, tag in (("Why?", "question"), ("Because.", "answer"), ("", "answer"))],
)
FAILURE = Failure("ValueError", f"bad rows in {NASTY}", f"Traceback (most recent call last)\n{NASTY} {LONG}", 3)
