"""Checking a hand-in: its notebook runs again, and what it shows is held against what its code gives here.

Where the device, the libraries, the helpers and the data are those of the hand-in's run, all of it has to be the same
to the last digit; elsewhere numbers may lie as far apart as chance explains.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from threading import Lock
from typing import Any

from helpers import WorkbookError
from helpers.record import SHARES
from helpers.report import incremental
from helpers.report.clean import printable
from helpers.report.document import Block, Document, Figure, Output, Provenance, Reading, Table
from helpers.report.document import read as document_of
from helpers.report.parameters import defaults
from helpers.report.stamp import digest
from helpers.report.watch import Watch
from helpers.report.workspace import Run, Settings, read

POINTS, SHARE, DEVIATIONS = 2.0, 0.05, 3.0
"""How far apart numbers may lie elsewhere: in points for percentages, as a share of others, in deviations of runs."""
EXCERPT = 200
"""Characters of a text that are shown."""
_NUMBER = re.compile(r"(?<![\w-])([+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)")
# Only kernels run side by side: two threads that parse Python's code at a time trip CPython 3.11 up (gh-106905).
_alone = Lock()
VALUES = "values of "
_OF_A_MACHINE = ("Versions", "Git commit")
TIMED = ("s", "images/s", "MiB")
# What no two runs share, by units, by names and in sentences.
_TIMES = re.compile(
    r"images/s|\bMiB\b|(?<=[(, ])s(?= an\b|[,):]|$)|\d (?:s|min|h)\b|\bseconds\b|\b[Tt]raining time"
    r"|\btimes? as (?:long|fast|slow)|\btime (?:of|for) an? |\btook\b"
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
        if self.edited:
            yield f"    changed after its run: {', '.join(self.edited)}"
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
        handed_in = read(path)
        document = document_of(handed_in, name=path.stem)
        run = Run(path, _injected(handed_in), path.stem, path.parent, path.parent, root)
        then, _ = incremental.earlier(path)
        if then is None:
            raise WorkbookError(
                "it has no stamp, as good runs of the report command leave: ask for reports/<profile>/<notebook>.ipynb"
            )
        if document.failure:  # also two results of one name
            raise WorkbookError(f"it shows a run that failed: {document.failure}")
        # Before the run, which may leave files that the first one looked for in vain.
        for change in incremental.changes(then, incremental.inputs(handed_in, run, settings, then)):
            is_edited = change.startswith((incremental.CODE, incremental.PARAMETER))
            (verdict.edited if is_edited else verdict.elsewhere).append(change)
    executed = kernel.execute(json.dumps(handed_in), run, settings, watch)
    with _alone:
        given = document_of(executed, name=path.stem)
        if given.failure:
            raise WorkbookError(f"it does not run here: {given.failure}")
        shown, now_shown = _shown(document), _shown(given)
        for label in ("Device", "Precision"):
            a, b = (each.pop(f"provenance 1, {label}", "") for each in (shown, now_shown))
            verdict.elsewhere += [f"{label}: {a} → {b}"] if a != b else []
        _compare(shown, now_shown, _limits(given), verdict)


def _injected(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the command gave to the run."""
    cells = [
        {"source": cell["source"], "metadata": {"tags": ["parameters"]}}
        for cell in notebook["cells"]
        if incremental.is_injected(cell)
    ]
    return defaults({"cells": cells}, name="the cell of injected parameters")


def _shown(document: Document) -> dict[str, str]:
    """What a reader sees of the results, and what lies behind it, by what it is called; nothing of times."""
    numbers = {name: number for name, number in document.numbers.items() if number["unit"] not in TIMED}
    found: dict[str, Any] = {f"number {name}": number for name, number in numbers.items()}
    counts: Counter[str] = Counter()
    for block in document.blocks:
        if not (parts := _parts(block)):
            continue
        kind = type(block).__name__.lower()
        counts[kind] += 1
        found[f"{kind} {getattr(block, 'name', counts[kind])}"] = parts
        # Of these reports in other languages are made. JupyterLab saves them in another order than a run has them.
        for text, phrase in block.phrases.items():
            found[f"{VALUES}{text!r}"] = json.dumps(phrase, ensure_ascii=False, sort_keys=True)
    return {what: text for what, text in _leaves(found) if not _is_timed(f"{what}: {text}")}


def _is_timed(text: str) -> bool:
    return bool(_TIMES.search(text.replace("_", " ")))


def _parts(block: Block) -> dict[str, Any]:
    match block:
        case Reading():
            return {"text": block.text}
        case Output():
            return {f"of cell {block.cell}": f"{block.mime}: {block.content}"}
        case Provenance():
            rows = [("warning", block.warning), *block.rows]
            return {label: text for label, text in rows if label not in _OF_A_MACHINE}
        case Figure():
            drawing = digest(block.svg, block.pdf, block.alt)
            return {"caption": block.caption, "numbers behind it": block.csv, "drawing": drawing}
        case Table():
            rows = {"shown": _rows(block.columns, *block.rows), "unrounded": _rows(block.names, *block.values)}
            rows["CSV"] = _rows(*csv.reader(io.StringIO(block.csv)))
            return {"caption": block.caption, "bold": str(sorted(block.bold)), **rows}
    return {}  # of the notebook itself


def _rows(columns: Sequence[str] = (), *rows: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """A table's cells by row and column, of which several may share a name; without rows of times."""
    return {
        f"row {i}": {f"column {j}, {name}": cell for j, (name, cell) in enumerate(zip(columns, row, strict=True), 1)}
        for i, row in enumerate(rows, 1)
        if not (_is_timed(str(row[0])) or {*TIMED} & {*map(str, row)})
    }


def _leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The texts and numbers in nested mappings, with their places."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}, ")
        else:
            yield f"{above}{name}", str(value)


def _limits(document: Document) -> dict[str, float]:
    """How far numbers of a run elsewhere may lie from those of this one."""
    limits = {}
    for name, number in document.numbers.items():
        most = POINTS / 100 if number["unit"] in SHARES else SHARE * abs(number["value"] or 0.0)
        # What a hand-in says its deviation is counts for nothing.
        limits[f"number {name}, value"] = max(DEVIATIONS * (number["std"] or 0.0), most)
        limits[f"number {name}, std"] = math.inf
    return limits


def _compare(then: Mapping[str, str], now: Mapping[str, str], limits: Mapping[str, float], verdict: Verdict) -> None:
    for what in dict.fromkeys([*then, *now]):
        a, b = then.get(what, ""), now.get(what, "")
        may_differ = bool(verdict.elsewhere) and what in then
        is_text = not what.startswith("number ") or ", shown, " in what
        if a == b:
            verdict.equal += 1
        elif what.startswith(VALUES) and "" in (a, b):
            continue  # the text is another one, which is told already
        elif may_differ and b and (what.endswith(", drawing") or _is_near(a, b, what, limits)):
            verdict.near.append(what)
        else:
            shown, given = _excerpts(a, b)
            told = f"{what}: {shown!r} is shown, the code gives {given!r}"
            (verdict.unclear if may_differ and is_text else verdict.different).append(told)


def _excerpts(a: str, b: str) -> tuple[str, str]:
    """Of long texts, such as the numbers behind a figure, a part that begins shortly before they differ."""
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    begin = max(0, same - EXCERPT // 2)
    end = begin + EXCERPT
    a, b = ("…" * (begin > 0) + text[begin:end] + "…" * (len(text) > end) for text in (a, b))
    return a, b


def _is_near(a: str, b: str, what: str, limits: Mapping[str, float]) -> bool:
    """Whether texts are the same but for their numbers, and chance explains these."""
    pieces, others = _NUMBER.split(a), _NUMBER.split(b)
    if pieces[::2] != others[::2]:
        return False
    for text, other, behind in zip(pieces[1::2], others[1::2], pieces[2::2], strict=True):
        x, y = (float(each.replace(",", "").replace("−", "-")) for each in (text, other))
        is_share = behind.lstrip().startswith(SHARES) or what.endswith(SHARES)
        if abs(x - y) > limits.get(what, POINTS if is_share else SHARE * abs(y)):
            return False
    return True
