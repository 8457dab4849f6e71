"""Small documents, and their pages read back: what tests of pages share."""

import functools
import io

import matplotlib.pyplot as plt
import pypdf
from bs4 import BeautifulSoup

from helpers.report import render
from helpers.report.document import Block, Document, Figure, Table

PERSIAN = "این یک پاراگراف فارسی است"
LOREM = "The network is trained on the classes of A, and the test split is touched once, at the end. " * 8


def document(*blocks: Block, title: str = "A title", **fields: object) -> Document:
    return Document(title, list(blocks), **fields)


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


def table(rows: int, columns: int, number: int = 1) -> Table:
    """Cells such as "3.002"; the first column says "r3"."""
    cells = [[f"r{row}", *(f"{row}.{column:03}" for column in range(1, columns))] for row in range(rows)]
    names = ["row", *(f"k{column}" for column in range(1, columns))]
    return Table("t", "Values by row.", names, cells, ["left"] + ["right"] * (columns - 1), [(0, 1)], number)
