"""An executed notebook as a plain document: a title and a list of blocks, which HTML and PDF draw each in its way."""

import base64
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from helpers.record import MIME, NAMES, csv_text, is_name
from helpers.report import clean
from helpers.report.workspace import UnreadableNotebook

REMOVED_TAGS = {"remove-cell", "papermill-error-cell-tag"}
DETAIL, QUESTION, ANSWER, KEY = PLACES = ("detail", "question", "answer", "key")
"""Tags that say in which editions a cell is printed, see `selected`; of a key cell the code, too."""
UNANSWERED = "*Your answer:*"
"""What an answer cell holds before somebody has written into it."""
HIDDEN_INPUT_TAGS = {"hide-input", "remove-input"}
PARAMETER_TAGS = {"parameters", "injected-parameters"}  # hidden too where a provenance lists the parameters
PICTURES = tuple(f"image/{kind}" for kind in ("svg+xml", "png", "jpeg", "gif", "webp"))
BEST_FIRST = (*PICTURES, "text/html", "text/markdown", "text/latex", "text/plain")
EXITS = (("SystemExit", ""), ("SystemExit", "0"))
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
    about: dict[str, Any] = field(default_factory=dict)  # what it says of the document, by that one's attributes
    detail: list[int] = field(default_factory=list)  # rows that only the full edition has


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
    numbers: list[dict[str, Any]] = field(default_factory=list)  # those in it, as `Document.numbers` has them


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
    has answered; it counts the figures and tables that it has from 1 on. Code is that of "all" cells, of "none", or of
    those tagged "key" (all where none is).
    """
    cells = [block for block in document.blocks if isinstance(block, Code)]
    shown = {"all": cells, "none": [], "key": [cell for cell in cells if KEY in cell.tags] or cells}[code]
    blocks = [block for block in document.blocks if not isinstance(block, Code) or block in shown]
    if edition == "full":
        return replace(document, blocks=blocks)
    kept = _answered([block for block in blocks if DETAIL not in block.tags])
    return replace(document, blocks=_counted(map(_in_hand_in, kept)))


def _in_hand_in(block: Block) -> Block:
    match block:
        case Provenance():
            return replace(block, rows=[row for i, row in enumerate(block.rows) if i not in block.detail])
        case Table():
            kept = [column for column in range(len(block.columns)) if column not in block.detail]
            return replace(
                block,
                columns=[block.columns[column] for column in kept],
                rows=[[row[column] for column in kept] for row in block.rows],
                align=[block.align[column] for column in kept],
                bold=[(row, kept.index(column)) for row, column in block.bold if column in kept],
            )
    return block


def _counted(blocks: Iterable[Block]) -> list[Block]:
    counts = {Figure: itertools.count(1), Table: itertools.count(1)}
    return [replace(block, number=next(counts[type(block)])) if type(block) in counts else block for block in blocks]


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


def read(notebook: Mapping[str, Any], *, name: str = "") -> Document:
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
        return _document(notebook, name)
    except Exception as error:  # What is missing or wrong in a notebook may be anything.
        why = f"{type(error).__name__}: {error}"
        raise UnreadableNotebook(f"the notebook {name} is damaged ({why}): run it again") from error


def private(content: Any) -> Any:
    """Plain data, its texts without the folders of this machine (see ``clean.private``)."""
    return with_texts(content, clean.private)


def _document(notebook: Mapping[str, Any], name: str) -> Document:
    count = itertools.count(1)
    cells = [(cell, next(count) if cell["cell_type"] == "code" else 0) for cell in notebook["cells"]]
    outputs = [output for cell, _ in cells for output in cell.get("outputs", [])]
    kinds = [output.get("data", {}).get(MIME, {}).get("kind") for output in outputs]
    hidden = HIDDEN_INPUT_TAGS | (PARAMETER_TAGS if "provenance" in kinds else set())
    title, found = _without_title([block for cell, number in cells for block in _blocks(cell, number, hidden)])
    failures = itertools.chain((_failure(cell, number) for cell, number in cells), _misnamed(found))
    failure = next(filter(None, failures), None)
    run = notebook["metadata"].get("papermill", {})
    about = {"title": title or name, "parameters": private(dict(run.get("parameters", {})))}
    for source in (block for block in found if isinstance(block, Provenance)):
        about |= source.about
    named = [block for block in found if is_name(getattr(block, "name", "none"))]
    numbers = [number for block in named if isinstance(block, Table) for number in block.numbers]
    return Document(
        blocks=_counted(named) + ([failure] if failure else []),
        numbers={number["name"]: number for number in numbers if is_name(number["name"])},
        duration=run.get("duration"),
        finished=_utc(run["end_time"]) if run.get("end_time") else None,
        finding=_finding(found),
        **about,
    )


def _blocks(cell: Mapping[str, Any], number: int, hidden: set[str]) -> list[Block]:
    """What a cell shows; a code cell's number counts from 1."""
    tags = set(cell["metadata"].get("tags", []))
    if tags & REMOVED_TAGS:
        return []
    made: list[Block] = []
    source = clean.printable(cell["source"])
    if cell["cell_type"] == "markdown":
        text = source.strip().removeprefix(UNANSWERED).strip() if ANSWER in tags else source.strip("\n")
        if text.strip() or ANSWER in tags:
            made.append(Markdown(text, dict(cell.get("attachments", {}))))
    elif number and source.strip():
        source = (clean.private(source) if tags & PARAMETER_TAGS else source).strip("\n")
        is_hidden = tags & hidden or cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        made.append(Code(source, number, shown=not is_hidden))
    for output in [] if "remove-output" in tags else cell.get("outputs", []):
        if output["output_type"] == "stream":
            text = clean.printed(output["text"], output["name"]).strip("\n")
            # Lines that only a progress bar had parted are one paragraph.
            if text.strip() and made and isinstance(made[-1], Output) and made[-1].mime == "text/plain":
                made[-1] = replace(made[-1], content=f"{made[-1].content}\n{text}")
            elif text.strip():
                made.append(Output("text/plain", text, number))
        elif output["output_type"] in ("display_data", "execute_result"):
            block = _shown(with_texts(output["data"], clean.printable), number)
            made += [block] if block else []
    places = tuple(tag for tag in PLACES if tag in tags)
    return [replace(block, tags=places) for block in made]


def _shown(data: dict[str, Any], cell: int) -> Block | None:
    if MIME in data:
        return _recorded(data[MIME], data)
    mime = next((mime for mime in BEST_FIRST if mime in data), None)
    if mime is None or WIDGET in data or not data[mime].strip():
        return None
    if mime == "text/markdown":
        return Markdown(data[mime])
    is_bare = mime == "text/plain" and _BARE_OBJECT.match(data[mime].strip())
    return None if is_bare else Output(mime, data[mime], cell)


def _recorded(content: dict[str, Any], data: dict[str, Any]) -> Block | None:
    kind = content.pop("kind")
    if "csv" in content:
        # A notebook that is handed on may say anything: what a spreadsheet would run is guarded here as well.
        content["csv"] = csv_text(csv.reader(io.StringIO(content["csv"])))
    if kind == "provenance":
        content = private(content)
        rows, warning = [(label, text) for label, text in content["rows"]], content["warning"]
        about = {name: content[name] for name in ("title", "parameters") if content.get(name)}
        about |= {name: str(content.get(name, "")) for name in ("incomplete", "key_figure")}
        about["key_numbers"] = tuple(map(str, content.get("key_numbers", [])))
        phrases = {clean.private(text): phrase for text, phrase in content.get("phrases", {}).items()}
        # A lecturer asks about the others; these are for whoever wants the same digits once more.
        detail = [i for i, (label, _) in enumerate(rows) if label in ("Precision", "Versions", "Git commit")]
        return Provenance(rows, warning, "STAND-IN DATA" in warning, about, detail, phrases=phrases)
    if kind == "reading":
        return Reading(content["text"], phrases=content.get("phrases", {}))
    if kind == "figure":
        svg, pdf = data["image/svg+xml"], base64.b64decode(data["application/pdf"])
        return Figure(**content, svg=svg, pdf=pdf, number=0)
    if kind in ("table", "numbers"):
        content["bold"] = [(row, column) for row, column in content["bold"]]
        # Only beside the report: a link of a notebook from elsewhere could run as a program.
        content["links"] = ["" if ":" in link else link for link in content.get("links", [])]
        return Table(**content, number=0)
    return None


def _misnamed(blocks: list[Block]) -> Iterator[Failure]:
    """Names that files cannot have, or that are taken."""
    tables = [block for block in blocks if isinstance(block, Table)]
    names = [("figure", block.name) for block in blocks if isinstance(block, Figure)]
    names += [("table", table.name) for table in tables]
    names += [("number", number["name"]) for table in tables for number in table.numbers]
    for i, (kind, name) in enumerate(names):
        if not is_name(name):
            yield Failure("UnusableName", f"a {kind}'s name, {name!r}, {NAMES}", "", None)
        elif (kind, name) in names[:i]:
            message = f"it records two {kind}s under the name {name!r}: give each its own"
            yield Failure("DuplicateName", message, "", None)


def _finding(blocks: list[Block]) -> str:
    headings = [i for i, block in enumerate(blocks) if isinstance(block, Markdown) and _END.search(block.text)]
    below = blocks[headings[-1] :] if headings else []
    found, others = (
        [block.text for block in part if isinstance(block, Reading) and QUESTION not in block.tags]
        for part in (below, blocks)
    )
    return found[0] if found else others[-1] if others else ""


def with_texts(content: Any, change: Callable[[str], str]) -> Any:
    """Plain data with every text in it changed."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [with_texts(item, change) for item in content]
    return {key: with_texts(item, change) for key, item in content.items()} if isinstance(content, dict) else content


def _without_title(blocks: list[Block]) -> tuple[str, list[Block]]:
    """The first level-1 heading without closing marks, links, code and emphasis marks, and the blocks without it."""
    for i, block in enumerate(blocks):
        if isinstance(block, Markdown) and (found := _TITLE.search(block.text)):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"[ \t]+#+[ \t]*$", "", found[1]))
            rest = (block.text[: found.start()] + block.text[found.end() :]).strip("\n")
            kept = [replace(block, text=rest)] if rest.strip() else []
            return re.sub(r"[`*]", "", words).strip(), [*blocks[:i], *kept, *blocks[i + 1 :]]
    return "", blocks


def _failure(cell: Mapping[str, Any], number: int) -> Failure | None:
    """The error that ended the run in this cell."""
    for output in cell.get("outputs", []):
        # A notebook may end itself with exit(): papermill counts that as success too.
        if output["output_type"] == "error" and (output["ename"], output["evalue"]) not in EXITS:
            texts = (output["ename"], output["evalue"], "\n".join(output["traceback"]))
            return Failure(*(clean.private(clean.printable(text)) for text in texts), number)
    # A kernel that died leaves no error output, only papermill's mark on the cell.
    if cell["metadata"].get("papermill", {}).get("exception"):
        return Failure("Interrupted", "the run ended in this cell and left no error message", "", number)
    return None


def _utc(stamp: str) -> str:
    moment = datetime.fromisoformat(stamp)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds")
