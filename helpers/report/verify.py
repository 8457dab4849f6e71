"""Checking a hand-in: its notebook runs again, and what it shows is held against what its code gives here.

Where the device, the libraries, the helpers and the data are those of the hand-in's run, all of it has to be the same
to the last digit; elsewhere numbers may lie as far apart as chance explains.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from threading import Lock
from typing import TYPE_CHECKING, Any

from helpers import WorkbookError
from helpers.record import SHARES
from helpers.report import incremental
from helpers.report.clean import printable
from helpers.report.document import Document, Figure, Output, Provenance, Reading, Table, read
from helpers.report.parameters import defaults
from helpers.report.watch import Watch
from helpers.report.workspace import Run, Settings, load

if TYPE_CHECKING:
    from nbformat import NotebookNode

POINTS, SHARE, DEVIATIONS = 2.0, 0.05, 3.0
"""How far apart numbers may lie elsewhere: in points for percentages, as a share of others, in deviations of runs."""
_NUMBER = re.compile(r"(?<![\w-])([+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)")
# Only kernels run side by side: two threads that parse Python's code at a time trip CPython 3.11 up (gh-106905).
_alone = Lock()
TIMED = ("s", "images/s", "MiB")
VALUES = "values of "
# What no two runs share.
_TIMES = re.compile(
    r"\bseconds\b|\ba second\b|\btimes? as (?:long|fast|slow)|\btime (?:of|for) an? |\b[Tt]raining time|^s\b|, s$"
    r"|\d (?:s|min|h)\b|images/s|\bMiB\b|\btook\b"
)


@dataclass
class Verdict:
    """What was found of a hand-in."""

    name: str
    error: str = ""  # why nothing could be compared
    edited: list[str] = field(default_factory=list)  # what of code and parameters is not as it was when it ran
    elsewhere: list[str] = field(default_factory=list)  # what of device, libraries, helpers and data is another here
    equal: int = 0
    near: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)  # texts and figures that another machine may explain
    different: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.error or self.edited or self.different)

    def lines(self) -> Iterator[str]:
        """What to say of it: one line, and below that what is wrong."""
        how = f"{self.equal} results equal to the last digit" + (f", {len(self.near)} nearly" if self.near else "")
        verdict = "as computed" if self.is_good else "NOT COMPARED" if self.error else "NOT AS COMPUTED"
        yield f"{self.name}  {verdict}: {self.error or how}"
        yield from (f"    changed after its run: {text}" for text in self.edited)
        yield from (f"    {text}" for text in self.different)
        if self.elsewhere:
            yield f"    another here than in its run: {'; '.join(self.elsewhere)}"
        if self.near:
            yield f"    nearly equal: {', '.join(shorten(what, 80, placeholder=' …') for what in self.near)}"
        yield from (f"    to be looked at, as another machine may explain it: {text}" for text in self.unclear)


def verify(paths: Sequence[Path], settings: Settings, root: Path) -> Iterator[Verdict]:
    """Runs executed notebooks again, ``settings.jobs`` at a time, and compares; in their order.

    Their code runs in ``root``, as whoever hands in has written it. Nothing is written under their names.
    """
    watches = [Watch(path.stem) for path in paths]
    with ThreadPoolExecutor(settings.jobs) as pool:
        try:
            yield from pool.map(lambda path, watch: _verify(path, watch, settings, root), paths, watches)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for watch in watches:  # after Ctrl-C, some are under way
                watch.stop()


def _verify(path: Path, watch: Watch, settings: Settings, root: Path) -> Verdict:
    verdict = Verdict(str(path))
    try:
        _hold_against_a_run(path, watch, verdict, settings, root)
    except Exception as error:  # a hand-in may hold anything, and others wait for their verdict
        verdict.error = printable(str(error) if isinstance(error, WorkbookError) else f"it is damaged: {error!r}")
    return verdict


def _hold_against_a_run(path: Path, watch: Watch, verdict: Verdict, settings: Settings, root: Path) -> None:
    from helpers.report import kernel

    with _alone:
        handed_in = load(path)
        shown = _shown(read(handed_in, name=path.stem))
        run = Run(path, _injected(handed_in), path.stem, path.parent, path.parent, root)
        then, _ = incremental.earlier(path)
        if then is None:
            verdict.error = "it has no stamp: its run failed, or was none of the report command"
            return
        verdict.edited = incremental.changes(then, incremental.of_notebook(handed_in, run))
        # Before the run, which may leave files that the first one looked for in vain.
        verdict.elsewhere = incremental.changes(then, incremental.of_machine(then, root, settings))
    executed = kernel.execute(_source(handed_in), run, settings, watch)
    with _alone:
        given = read(executed, name=path.stem)
        if given.failure:
            verdict.error = printable(f"it does not run here: {given.failure}")
            return
        now_shown = _shown(given)
        for label in ("Device", "Precision"):
            a, b = (each.pop(f"provenance, {label}", "") for each in (shown, now_shown))
            verdict.elsewhere += [f"{label}: {a} → {b}"] if a != b else []
        _compare(shown, now_shown, verdict)


def _injected(notebook: "NotebookNode") -> dict[str, Any]:
    """The parameters that the command gave to the run."""
    cells = [
        {"source": cell.source, "metadata": {"tags": ["parameters"]}}
        for cell in notebook.cells
        if incremental.is_injected(cell)
    ]
    return defaults({"cells": cells}, name="the cell of injected parameters")


def _source(notebook: "NotebookNode") -> str:
    """The notebook before it ran; papermill puts the parameters in again."""
    import nbformat

    cells = [cell for cell in notebook.cells if not incremental.is_injected(cell)]
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells = cells
    return nbformat.writes(notebook)


def _shown(document: Document) -> dict[str, Any]:
    """What a reader sees of the results, by what it is called: (value, deviation) of numbers, texts of all else."""
    found: dict[str, Any] = {}
    for name, number in document.numbers.items():
        if number["unit"] not in TIMED and not _is_timed(name):
            about = number["unit"] in SHARES, number["label"], number["reported"]
            found[f"number {name}"] = (number["value"], number["std"], *about)
            found |= {f"{name} as shown, {key}": text for key, text in number["shown"].items()}
    readings = [block.text for block in document.blocks if isinstance(block, Reading) and not _is_timed(block.text)]
    found |= {f"reading {i}": text for i, text in enumerate(readings, 1)}
    printed = [block for block in document.blocks if isinstance(block, Output) and not _is_timed(str(block.content))]
    found |= {
        f"output {i} of cell {block.cell}": f"{block.mime}: {block.content}" for i, block in enumerate(printed, 1)
    }
    for block in document.blocks:
        if isinstance(block, Provenance):
            found["provenance, warning"] = block.warning
            found |= {
                f"provenance, {label}": text for label, text in block.rows if label not in ("Versions", "Git commit")
            }
        elif isinstance(block, Figure):
            found[f"figure {block.name}"] = (block.caption, block.csv, block.svg, block.pdf, block.alt)
        elif isinstance(block, Table):
            found |= {f"table {block.name}, {place}": text for place, text in _cells(block)}
    # Of these reports in other languages are made. A notebook's file has them in another order than its run.
    phrases = {text: phrase for block in document.blocks for text, phrase in block.phrases.items()}
    said = {text: json.dumps(phrase, ensure_ascii=False, sort_keys=True) for text, phrase in phrases.items()}
    return found | {f"{VALUES}{text!r}": values for text, values in said.items() if not _is_timed(text)}


def _is_timed(text: str) -> bool:
    return bool(_TIMES.search(text.replace("_", " ")))


def _cells(table: Table) -> Iterator[tuple[str, str]]:
    yield "caption", table.caption
    for i, row in enumerate(table.rows):
        for j, (column, text) in enumerate(zip(table.columns, row, strict=True)):
            if not any(map(_is_timed, (column, row[0], text))):
                unit, bold = column.rpartition(", ")[2], (i, j) in table.bold
                shown = f"{text} {unit}" if unit in SHARES else text
                yield f"row {i + 1} ({row[0]}), {column}", f"**{shown}**" if bold else shown
    behind = {"unrounded": [table.names, *table.values], "CSV": list(csv.reader(io.StringIO(table.csv)))}
    for what, (names, *rows) in ((what, rows) for what, rows in behind.items() if rows):
        for i, row in enumerate(rows, 1):
            pairs = [(name, str(value)) for name, value in zip(names, row, strict=True)]
            texts = [text for name, text in pairs if not any(map(_is_timed, (name, text)))]
            if not _is_timed(pairs[0][1]) and not {*TIMED} & {*row}:
                yield f"row {i}, {what}", ", ".join(texts)


def _compare(then: Mapping[str, Any], now: Mapping[str, Any], verdict: Verdict) -> None:
    for what in [*then, *(what for what in now if what not in then)]:
        a, b = then.get(what), now.get(what)
        if what.startswith(VALUES) and None in (a, b):
            continue  # the text is another one, which is told already
        if a == b:
            verdict.equal += 1
        elif verdict.elsewhere and a is not None and b is not None and _is_near(a, b):
            verdict.near.append(what)
        elif verdict.elsewhere and isinstance(a, str | tuple) and not what.startswith("number "):
            verdict.unclear.append(_in_words(what, a, b))
        else:
            verdict.different.append(_in_words(what, a, b))


def _is_near(a: Any, b: Any) -> bool:
    """Whether chance explains the difference of numbers, or of all numbers in texts that else are the same."""
    match a, b:
        case (value, _, is_share, *about), (other, std, _, *others) if not isinstance(value, str):
            # What a hand-in says its deviation is counts for nothing.
            if value is None or other is None or about != others:
                return False
            most = max(DEVIATIONS * (std or 0.0), POINTS / 100 if is_share else SHARE * abs(other))
            return abs(value - other) <= most
        case (caption, numbers, *_), (other_caption, other_numbers, *_):
            return _is_near(caption, other_caption) and _is_near(numbers, other_numbers)
    pieces, others = _NUMBER.split(a), _NUMBER.split(b)
    if pieces[::2] != others[::2]:
        return False
    values = [[float(text.replace(",", "").replace("−", "-")) for text in each[1::2]] for each in (pieces, others)]
    units = [text.lstrip().startswith(SHARES) for text in pieces[2::2]]
    most = [POINTS if is_share else SHARE * abs(y) for is_share, y in zip(units, values[1], strict=True)]
    return all(abs(x - y) <= limit for x, y, limit in zip(*values, most, strict=True))


def _in_words(what: str, then: Any, now: Any) -> str:
    if then is None:
        return f"{what} is missing"
    if now is None:
        return f"{what} is not what the code gives: it gives none"
    if isinstance(then, str):
        return f"{what}: {then!r} is shown, the code gives {now!r}"
    if what.startswith("figure "):
        return f"{what} is not what the code draws"
    then, now = (then, now) if then[0] == now[0] else (then[0], now[0])
    return f"{what}: {then} is shown, the code gives {now}"
