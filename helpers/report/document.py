"""An executed notebook as a plain document: a title and a list of blocks, which HTML and PDF draw each in its way."""

from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode


@dataclass(frozen=True)
class Markdown:
    """Text of a Markdown cell (its level-1 title taken off the first one), or Markdown that a cell's output shows.

    ``attachments`` maps the names of pictures in ``attachment:`` links to {MIME type: base64}.
    """

    text: str
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Code:
    """A code cell's source. ``shown`` tells whether the cell's tags let the reader see it at all."""

    source: str
    cell: int
    shown: bool = True


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from: rows of (label, text); ``warning`` says loudly that images are a stand-in, or ""."""

    rows: list[tuple[str, str]]
    warning: str


@dataclass(frozen=True)
class Figure:
    """A recorded figure: ``svg`` text and ``pdf`` bytes of the same drawing, numbered through the document."""

    name: str
    caption: str
    alt: str
    svg: str
    pdf: bytes
    number: int


@dataclass(frozen=True)
class Table:
    """A recorded table: texts by row, "left" or "right" for each column, (row, column) of the cells in bold."""

    name: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    align: list[str]
    bold: list[tuple[int, int]]
    number: int


@dataclass(frozen=True)
class Reading:
    """A conclusion computed from the run, as Markdown."""

    text: str


@dataclass(frozen=True)
class Output:
    """Any other output of a cell, by MIME type ("text/plain" for printed text), the best one for a page chosen."""

    mime: str
    content: Any
    cell: int


@dataclass(frozen=True)
class Failure:
    """The error that ended the run: the exception's name and message, and the traceback without terminal colours."""

    name: str
    message: str
    traceback: str
    cell: int | None


Block = Markdown | Code | Provenance | Figure | Table | Reading | Output | Failure


@dataclass(frozen=True)
class Document:
    """One notebook's report.

    Attributes:
        title: the notebook's level-1 heading, or its name.
        blocks: in reading order.
        numbers: what ``record.numbers`` recorded, by name, as dictionaries of ``record.Number``'s attributes.
        parameters: the run's parameters, by name.
        duration: seconds that the execution took, or None where the notebook does not say.
        finished: when it ended, ISO 8601, or None.
        failed: whether the run ended with an error.
    """

    title: str
    blocks: list[Block]
    numbers: dict[str, dict[str, Any]]
    parameters: dict[str, Any]
    duration: float | None
    finished: str | None
    failed: bool


def read(notebook: NotebookNode, *, name: str = "") -> Document:
    """The document in an executed notebook: see the module's docstring."""
    raise NotImplementedError
