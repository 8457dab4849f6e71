"""An executed notebook as a plain document: a title and a list of blocks, which HTML and PDF draw each in its way."""

import base64
import csv
import io
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from helpers.record import MIME, NAMES, csv_text, is_name
from helpers.report import clean
from helpers.report.workspace import UnreadableNotebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

REMOVED_TAGS = {"remove-cell", "papermill-error-cell-tag"}
DETAIL, QUESTION, ANSWER, KEY = PLACES = ("detail", "question", "answer", "key")
"""Tags that say in which editions a cell is printed, see `selected`; of a key cell the code, too."""
UNANSWERED = "*Your answer:*"
"""What an answer cell holds before somebody has written into it."""
HIDDEN_INPUT_TAGS = {"hide-input", "remove-input"}
PARAMETER_TAGS = {"parameters", "injected-parameters"}  # hidden too where a provenance lists the parameters
PICTURES = tuple(f"image/{kind}" for kind in ("svg+xml", "png", "jpeg", "gif", "webp"))
BEST_FIRST = (*PICTURES, "text/html", "text/markdown", "text/latex", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"
_TITLE = re.compile(r"^#[ \t]+(\S[^\n]*)\n?", re.MULTILINE)
# The heading of the section that says what was found.
_END = re.compile(r"^#+\s+(?:Conclusions?|Discussion)\b", re.MULTILINE)
# What an expression statement at a cell's end shows of an object without a text of its own.
_BARE_OBJECT = re.compile(r"\[?<[^<>\n]{0,200}(?: at 0x[0-9a-fA-F]+|: >|\bAxes)[^<>\n]{0,100}>")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A piece of a report."""

    tags: tuple[str, ...] = ()  # those of its cell that are in `PLACES`
    phrases: dict[str, Any] = field(default_factory=dict)  # of texts that `record.say` made: template and values


@dataclass(frozen=True)
class Markdown(Block):
    """Text of a Markdown cell (its level-1 title taken off the first one), or Markdown that a cell's output shows."""

    text: str
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)  # name in a link -> {MIME type: base64}


@dataclass(frozen=True)
class Code(Block):
    """A code cell's source. ``cell`` counts code cells from 1, here and in other blocks, as a fresh run does."""

    source: str
    cell: int
    shown: bool = True  # whether the cell's tags let the reader see it at all


@dataclass(frozen=True)
class Provenance(Block):
    """Where the numbers come from: rows of (label, text)."""

    rows: list[tuple[str, str]]
    warning: str  # said loudly: that images are a stand-in, or that some are there more than once; else ""
    stand_in: bool = False

    def in_hand_in(self) -> "Provenance":
        """What a lecturer asks about; the rest is for whoever wants the same digits once more."""
        return replace(self, rows=[row for row in self.rows if row[0] not in ("Precision", "Versions", "Git commit")])


@dataclass(frozen=True)
class Figure(Block):
    """A recorded figure: the same drawing twice."""

    name: str
    caption: str
    alt: str
    svg: str
    pdf: bytes
    number: int | str  # counted through the document, as tables are; in a book a text such as "3.2"
    csv: str = ""  # the numbers behind it; "" where it draws none
    panels: list[list[float]] = field(default_factory=list)  # left, top, width and height of each, as shares of it


@dataclass(frozen=True)
class Table(Block):
    """A recorded table: texts by row, "left" or "right" for each column, (row, column) of the cells in bold."""

    name: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    align: list[str]
    bold: list[tuple[int, int]]
    number: int | str
    # The rows unrounded and the columns without units; none for a table of numbers, which `Document.numbers` has.
    values: list[list[Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    csv: str = ""
    links: list[str] = field(default_factory=list)  # where the first cell of each row leads to, "" for nowhere
    detail: list[int] = field(default_factory=list)  # columns that only the full edition has

    def in_hand_in(self) -> "Table":
        """The table without the columns that only the full edition has."""
        kept = [column for column in range(len(self.columns)) if column not in self.detail]
        return replace(
            self,
            columns=[self.columns[column] for column in kept],
            rows=[[row[column] for column in kept] for row in self.rows],
            align=[self.align[column] for column in kept],
            bold=[(row, kept.index(column)) for row, column in self.bold if column in kept],
        )


@dataclass(frozen=True)
class Reading(Block):
    """A conclusion computed from the run, as Markdown."""

    text: str


@dataclass(frozen=True)
class Output(Block):
    """Any other output of a cell, by MIME type ("text/plain" for printed text), the best one for a page chosen."""

    mime: str
    content: Any
    cell: int


@dataclass(frozen=True)
class Failure(Block):
    """The error that ended the run: the exception's name and message, and the traceback without terminal colours."""

    name: str
    message: str
    traceback: str
    cell: int | None

    def __str__(self) -> str:
        where = "" if self.cell is None else f" (cell {self.cell})"
        return ": ".join(filter(None, [self.name, self.message])) + where


@dataclass(frozen=True)
class Document:
    """One notebook's report, its blocks in reading order."""

    title: str  # the notebook's level-1 heading, or its name
    blocks: list[Block] = field(default_factory=list)
    # name -> attributes of `record.Number`, and their texts with units as "shown"
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    duration: float | None = None  # seconds that the run took, where the notebook says it
    finished: str | None = None  # ISO 8601 in UTC to the second
    key_figure: str = ""  # names of the figure and the numbers that stand for the notebook, see `record.provenance`
    key_numbers: tuple[str, ...] = ()
    incomplete: str = ""  # what of a report over others is missing (see `record.opening`)
    left_out: tuple[str, ...] = ()  # "fig-NAME" and "tbl-NAME" of the full edition only
    finding: str = ""  # the reading that says what was found: the first of the conclusion, else the last
    language: str = "en"  # that its texts are in

    @property
    def failure(self) -> Failure | None:
        """The error that ended the run."""
        return next((block for block in self.blocks if isinstance(block, Failure)), None)

    @property
    def stand_in(self) -> str:
        """The warning that images stand in for others, or ""."""
        return next((block.warning for block in self.blocks if isinstance(block, Provenance) and block.stand_in), "")


def selected(document: Document, *, code: str = "all", edition: str = "full") -> Document:
    """The part of the document that a reader gets to see.

    The full edition has everything. The one that is handed in lacks cells tagged "detail", and questions that nobody
    has answered; it counts the figures and tables that it has from 1 on, and `Document.left_out` names the others. Code
    is that of "all" cells, of "none", or of those tagged "key" (all where none is).
    """
    blocks, left_out = document.blocks, ()
    if code == "none" or (code == "key" and any(isinstance(block, Code) and KEY in block.tags for block in blocks)):
        blocks = [block for block in blocks if not isinstance(block, Code) or (code == "key" and KEY in block.tags)]
    if edition == "hand-in":
        kept = _answered([block for block in blocks if DETAIL not in block.tags])
        left_out = tuple(references(blocks) - references(kept))
        counts = {Figure: itertools.count(1), Table: itertools.count(1)}
        blocks = [
            replace(block, number=next(counts[type(block)])) if type(block) in counts else block for block in kept
        ]
        blocks = [block.in_hand_in() if isinstance(block, Provenance | Table) else block for block in blocks]
    return replace(document, blocks=blocks, left_out=left_out)


def references(blocks: list[Block]) -> set[str]:
    """How texts name the figures and tables among the blocks: "fig-NAME" and "tbl-NAME"."""
    kinds = {Figure: "fig", Table: "tbl"}
    return {f"{kinds[type(block)]}-{block.name}" for block in blocks if type(block) in kinds}


def _answered(blocks: list[Block]) -> list[Block]:
    """The blocks without questions that no answer follows, and without a heading of nothing but those."""
    kept: list[Block] = []
    answered = answered_below = False
    for block in reversed(blocks):
        is_answer = ANSWER in block.tags and isinstance(block, Markdown)
        if is_answer:
            answered = bool(block.text)
            answered_below |= answered
        asked_in_vain = not (answered_below if is_heading(block) else answered)
        if not (asked_in_vain and (is_answer or QUESTION in block.tags)):
            kept.append(block)
    return kept[::-1]


def is_heading(block: Block) -> bool:
    """Whether it is text that begins with a heading."""
    return isinstance(block, Markdown) and block.text.lstrip().startswith("#")


def with_failure(document: Document, name: str, message: str) -> Document:
    """The document as of a run that failed, after its last cell, with an error of this name."""
    failure = Failure(name, clean.private(clean.printable(message)), "", None)
    return replace(document, blocks=[*document.blocks, failure])


def read(notebook: "NotebookNode", *, name: str = "") -> Document:
    """The document in an executed notebook.

    A run that failed is a document too, whose last block is the Failure. So is a run that recorded two figures, tables
    or numbers under one name, or one under a name that is no file's: results may have taken hours, and the page with
    all others names the mistake. Provenance, parameters and the failure name no folder of this machine.

    Args:
        notebook: nbformat 4, as papermill, nbconvert or JupyterLab saved it.
        name: the title where the notebook has no level-1 heading.

    Raises:
        UnreadableNotebook: if something isn't where it belongs.
    """
    try:
        return _Reader(notebook).document(name)
    except Exception as error:  # nbformat only warns of what is missing or wrong, and it may be anything.
        why = f"{type(error).__name__}: {error}"
        raise UnreadableNotebook(f"the notebook {name} is damaged ({why}): run it again") from error


def title(notebook: Mapping[str, Any], *, name: str) -> str:
    """The title of its document, from a notebook's JSON alone."""
    texts = [clean.printable(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return next(filter(None, (_take_title(text)[0] for text in texts)), name)


def private(content: Any) -> Any:
    """Plain data, its texts without the folders of this machine (see ``clean.private``)."""
    return _with_texts(content, clean.private)


class _Reader:
    """Walks through the cells; collects blocks, and what is known once for the whole document."""

    def __init__(self, notebook: "NotebookNode") -> None:
        self._notebook, self._run = notebook, notebook.metadata.get("papermill", {})
        self._title = ""
        self._about: dict[str, Any] = {"parameters": private(dict(self._run.get("parameters", {})))}
        self._blocks: list[Block] = []
        self._numbers: dict[str, dict[str, Any]] = {}
        self._failure: Failure | None = None
        self._misnamed: Failure | None = None
        self._names: set[tuple[str, str]] = set()
        self._cell = 0

    def document(self, name: str) -> Document:
        outputs = [output for cell in self._notebook.cells for output in cell.get("outputs", [])]
        kinds = [output.get("data", {}).get(MIME, {}).get("kind") for output in outputs]
        hidden = HIDDEN_INPUT_TAGS | (PARAMETER_TAGS if "provenance" in kinds else set())
        for cell in self._notebook.cells:
            tags, before = set(cell.metadata.get("tags", [])), len(self._blocks)
            if cell.cell_type == "code":
                self._cell += 1
                self._failure = self._failure or _failure(cell, self._cell)
            if tags & REMOVED_TAGS:
                continue
            if cell.cell_type == "markdown":
                self._markdown(cell, tags)
            elif cell.cell_type == "code":
                self._code(cell, tags, hidden)
            places = tuple(tag for tag in PLACES if tag in tags)
            self._blocks[before:] = [replace(block, tags=places) for block in self._blocks[before:]]
        failure = self._failure or self._misnamed
        return Document(
            title=self._title or name,
            blocks=self._blocks + ([failure] if failure else []),
            numbers=self._numbers,
            duration=self._run.get("duration"),
            finished=_utc(self._run["end_time"]) if self._run.get("end_time") else None,
            finding=_finding(self._blocks),
            **self._about,
        )

    def _markdown(self, cell: "NotebookNode", tags: set[str]) -> None:
        text = clean.printable(cell.source)
        if not self._title:
            self._title, text = _take_title(text)
        if ANSWER in tags:
            text = text.strip().removeprefix(UNANSWERED).strip()
        if text.strip() or ANSWER in tags:
            self._blocks.append(Markdown(text.strip("\n"), dict(cell.get("attachments", {}))))

    def _code(self, cell: "NotebookNode", tags: set[str], hidden: set[str]) -> None:
        source = clean.printable(cell.source).strip("\n")
        if source.strip():
            is_hidden = tags & hidden or cell.metadata.get("jupyter", {}).get("source_hidden", False)
            source = clean.private(source) if tags & PARAMETER_TAGS else source
            self._blocks.append(Code(source, self._cell, shown=not is_hidden))
        for output in [] if "remove-output" in tags else cell.get("outputs", []):
            if output.output_type == "stream":
                self._printed(output)
            elif output.output_type in ("display_data", "execute_result"):
                self._shown(output.data)

    def _printed(self, output: "NotebookNode") -> None:
        text = clean.printed(output.text)
        text = (clean.without_warnings(text) if output.name == "stderr" else text).strip("\n")
        if not text.strip():
            return
        last = self._blocks[-1] if self._blocks else None
        # Lines that only a progress bar had parted are one paragraph.
        if isinstance(last, Output) and (last.mime, last.cell) == ("text/plain", self._cell):
            text = f"{last.content}\n{text}"
            self._blocks.pop()
        self._blocks.append(Output("text/plain", text, self._cell))

    def _shown(self, data: dict[str, Any]) -> None:
        if MIME in data:
            self._recorded(_with_texts(data[MIME], clean.printable), data)
            return
        mime = next((mime for mime in BEST_FIRST if mime in data), None)
        if mime is None or WIDGET in data:
            return
        content = data[mime] if mime in PICTURES else clean.printable(data[mime])
        if mime == "text/markdown":
            self._blocks.append(Markdown(content))
        elif content.strip() and not (mime == "text/plain" and _BARE_OBJECT.match(content.strip())):
            self._blocks.append(Output(mime, content, self._cell))

    def _recorded(self, content: dict[str, Any], data: dict[str, Any]) -> None:
        kind = content.pop("kind")
        if "csv" in content:
            # A notebook that is handed on may say anything: what a spreadsheet would run is guarded here as well.
            content["csv"] = csv_text(csv.reader(io.StringIO(content["csv"])))
        if kind == "provenance":
            self._title = content.get("title") or self._title
            self._about = {
                "parameters": private(content["parameters"]) or self._about["parameters"],
                "incomplete": content.get("incomplete", ""),
                "key_figure": str(content.get("key_figure", "")),
                "key_numbers": tuple(map(str, content.get("key_numbers", []))),
            }
            rows = [(label, clean.private(text)) for label, text in content["rows"]]
            warning = clean.private(content["warning"])
            phrases = {clean.private(text): private(said) for text, said in content.get("phrases", {}).items()}
            self._blocks.append(Provenance(rows, warning, "STAND-IN DATA" in warning, phrases=phrases))
        elif kind == "reading":
            self._blocks.append(Reading(content["text"], phrases=content.get("phrases", {})))
        elif kind == "figure" and self._claim("figure", content["name"]):
            svg, pdf = data["image/svg+xml"], base64.b64decode(data["application/pdf"])
            self._blocks.append(Figure(**content, svg=svg, pdf=pdf, number=self._next_number(Figure)))
        elif kind in ("table", "numbers") and self._claim("table", content["name"]):
            for number in content.pop("numbers", []):
                if self._claim("number", number["name"]):
                    self._numbers[number["name"]] = number
            content["bold"] = [(row, column) for row, column in content["bold"]]
            # Only beside the report: a link of a notebook from elsewhere could run as a program.
            content["links"] = ["" if ":" in link else link for link in content.get("links", [])]
            self._blocks.append(Table(**content, number=self._next_number(Table)))

    def _next_number(self, kind: type) -> int:
        return 1 + sum(isinstance(block, kind) for block in self._blocks)

    def _claim(self, kind: str, name: Any) -> bool:
        """Whether its files can be called so; the first name that cannot, or is taken, is the document's failure."""
        error, message = "", ""
        if not is_name(name):
            error, message = "UnusableName", f"a {kind}'s name, {name!r}, {NAMES}"
        elif (kind, name) in self._names:
            error, message = "DuplicateName", f"it records two {kind}s under the name {name!r}: give each its own"
        if error and not self._misnamed:
            self._misnamed = Failure(error, message, "", self._cell)
        self._names.add((kind, str(name)))
        return is_name(name)


def _finding(blocks: list[Block]) -> str:
    headings = [i for i, block in enumerate(blocks) if isinstance(block, Markdown) and _END.search(block.text)]
    below = blocks[headings[-1] :] if headings else []
    found, others = (
        [block.text for block in part if isinstance(block, Reading) and QUESTION not in block.tags]
        for part in (below, blocks)
    )
    return found[0] if found else others[-1] if others else ""


def _with_texts(content: Any, change: Callable[[str], str]) -> Any:
    """Plain data with every text in it changed."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [_with_texts(item, change) for item in content]
    return {key: _with_texts(item, change) for key, item in content.items()} if isinstance(content, dict) else content


def _take_title(text: str) -> tuple[str, str]:
    """The first level-1 heading without closing marks, links, code and emphasis marks, and the text without it."""
    found = _TITLE.search(text)
    if not found:
        return "", text
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"[ \t]+#+[ \t]*$", "", found[1]))
    return re.sub(r"[`*]", "", words).strip(), text[: found.start()] + text[found.end() :]


def _failure(cell: "NotebookNode", number: int) -> Failure | None:
    """The error that ended the run in this cell."""
    for output in cell.get("outputs", []):
        # A notebook may end itself with exit(): papermill counts that as success too.
        if output.output_type == "error" and not (output.ename == "SystemExit" and output.evalue in ("", "0")):
            texts = (output.ename, output.evalue, "\n".join(output.traceback))
            return Failure(*(clean.private(clean.printable(text)) for text in texts), number)
    # A kernel that died leaves no error output, only papermill's mark on the cell.
    if cell.metadata.get("papermill", {}).get("exception"):
        return Failure("Interrupted", "the run ended in this cell and left no error message", "", number)
    return None


def _utc(stamp: str) -> str:
    moment = datetime.fromisoformat(stamp)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds")
