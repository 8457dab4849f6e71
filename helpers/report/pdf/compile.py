"""From Typst source to PDF bytes. What Typst cannot set is replaced by a box that says so, block by block."""

import bisect
import functools
import importlib.util
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from helpers import WorkbookError
from helpers.report.clean import printable
from helpers.report.pdf import typst_text

FONTS = Path(__file__).resolve().parent.parent / "fonts"
TEMPLATES = Path(__file__).resolve().parent
MOST_REPAIRS = 60


class PdfError(WorkbookError):
    """A report that Typst could not set, even without the parts that it complained about."""


@dataclass(frozen=True)
class Part:
    """One block of the report.

    Attributes:
        source: Typst source, calls of what ``template.typ`` defines.
        plain: the block's text, shown where Typst cannot set the source.
        files: pictures that the source names, as {file name: content}.
        fallback: what is set instead where Typst cannot set the source; a box with the plain text if None.
        label: the name that links to what the source makes, or to what replaces it, call it by; "" if none do.
    """

    source: str
    plain: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    fallback: "Part | None" = None
    label: str = ""

    @property
    def labelled(self) -> str:
        """The source with its label, as many lines as the source."""
        return f"{self.source} <{self.label}>" if self.label else self.source


def compile_parts(parts: Sequence[Part], *, preamble: str, template: str = "template.typ") -> bytes:
    """The PDF of the parts in their order; the same input gives the same bytes.

    Args:
        parts: the blocks; a block that Typst cannot set is shown as its plain text, in a box that says why.
        preamble: Typst source before the first part, one line: the call of the template's ``report``, say.
        template: the file beside this one whose definitions the sources call ``wb``.

    Raises:
        PdfError: Typst still complained when `MOST_REPAIRS` parts had been replaced.
    """
    import typst

    parts = list(parts)
    head = f'#import "{template}" as wb\n{preamble}\n'
    with tempfile.TemporaryDirectory(prefix="workbook-pdf-") as name:
        folder = Path(name)
        _write_files(folder, parts)
        for _ in range(MOST_REPAIRS):
            try:
                return _compile(folder, parts, head)
            except typst.TypstError as error:
                fault = error
            for index in _named_parts(fault, parts) or [_first_faulty_part(folder, parts, head)]:
                parts[index] = _replacement(parts[index], str(fault))
    raise PdfError(f"The PDF could not be set, even without the parts that Typst named: {printable(str(fault))}")


def _write_files(folder: Path, parts: Sequence[Part]) -> None:
    """All that the source reads lies in one folder, which is Typst's root: it can open nothing else."""
    for template in TEMPLATES.glob("*.typ"):
        shutil.copy(template, folder)
    for part in parts:
        for name, content in {**part.files, **(part.fallback.files if part.fallback else {})}.items():
            (folder / name).write_bytes(content)


@functools.cache
def _fonts() -> Any:
    """The project's fonts and matplotlib's, whichever fonts the machine has: reports look the same everywhere."""
    import typst

    matplotlib = importlib.util.find_spec("matplotlib").submodule_search_locations[0]
    paths = [FONTS, Path(matplotlib) / "mpl-data" / "fonts" / "ttf"]
    return typst.Fonts(include_system_fonts=False, font_paths=[str(path) for path in paths])


def _compile(folder: Path, parts: Sequence[Part], head: str) -> bytes:
    import typst

    main = folder / "main.typ"
    main.write_text(head + "".join(f"{part.labelled}\n\n" for part in parts), encoding="utf-8")
    return typst.compile(str(main), root=str(folder), font_paths=_fonts(), format="pdf", timestamp=0)


def _named_parts(fault: Exception, parts: Sequence[Part]) -> list[int]:
    """The parts whose lines or pictures Typst's message names; none if it names only the template."""
    line, ends = 2, []
    for part in parts:
        line += part.source.count("\n") + 2
        ends.append(line)
    faulty = set()
    for name, number in re.findall(r"┌─ (?:[^\n]*[/\\])?([^/\\\n]+):(\d+):\d+", fault.diagnostic):
        if name == "main.typ":
            faulty.add(bisect.bisect_left(ends, int(number)))
        faulty.update(index for index, part in enumerate(parts) if name in part.files)
    return sorted(index for index in faulty if index < len(parts))


def _first_faulty_part(folder: Path, parts: Sequence[Part], head: str) -> int:
    import typst

    good, bad = 0, len(parts)  # the first `good` parts alone can be set, the first `bad` ones cannot
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _compile(folder, parts[:middle], head)
            good = middle
        except typst.TypstError:
            bad = middle
    return bad - 1


def _replacement(part: Part, reason: str) -> Part:
    if part.fallback:
        return replace(part.fallback, label=part.label)
    words = typst_text.words(f"This part could not be set: {reason}")
    details = typst_text.code(typst_text.shortened(part.plain, first=60))
    return Part(f"#wb.alarm-box({words}, details: {details})", label=part.label)
