"""A report's pages: blocks of a document -> JSON -> one pandoc document (workbook.lua) -> HTML, or Typst -> PDF.

Both pages come from the same blocks by the same reader. Nothing is fetched, no script runs, and of this machine's files
only pictures that lie in the workbook are read.
"""

import atexit
import base64
import contextlib
import functools
import importlib.util
import itertools
import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from helpers import NOTEBOOKS, ROOT, WorkbookError
from helpers.phrases import Said, isolated, per_cent_apart, say
from helpers.report import document as parts
from helpers.report.clean import printable
from helpers.report.language import TEMPLATES, Language

if TYPE_CHECKING:
    from helpers.report.cover import Cover

HERE = Path(__file__).parent
BIBLIOGRAPHY = NOTEBOOKS / "references.bib"
SECONDS = 30
"""For one run of pandoc; where it needs more, or fails, long texts and then all are shown as they were typed."""
TEXT_SHOWN = 100_000
"""Characters of printed text that a page shows of one output; the notebook has them all."""
LINE_COLUMNS = 94
"""Characters of 8 pt code that fit the width of a PDF's page."""
WIDE_FIGURE = 560
"""CSS pixels: a wider figure is scrolled on a phone, so that its letters stay legible."""
PICTURES = {suffix: f"image/{suffix}" for suffix in ("png", "jpeg", "gif", "webp")}
PICTURES |= {"ttf": "font/ttf", "jpg": "image/jpeg", "svg": "image/svg+xml", "pdf": "application/pdf"}
# What a picture's address can be in a text: written in, attached to the cell, or a file beside the notebooks.
_ADDRESS = re.compile(
    r"""(?<=\]\()(?!<)(?:[^\s()]|\([^\s()]*\))+(?=[\s)])|(?<=src=['"])[^'"]+(?=['"])"""
    r"""|(?:(?<=\]\(<)|(?<=\]:[ ]<))[^<>\n]+(?=>)|(?<=\]:[ ])(?!<)\S+"""
)
_DATA_URI = re.compile(r"data:(image/[a-z+]+);base64,([A-Za-z0-9+/=]+)")
# In Markdown: code and addresses, in which nothing is a reference.
_NO_TEXT = re.compile(r"(`+|~~~+).*?\1|(?<=\n\n) {4}[^\n]*|\w+://\S+", re.DOTALL)
# In a formula: its number, which pandoc can't set at the margin, and what else is said of numbers.
_TAG = re.compile(r"\\(?:tag\*?\{([^{}]*)\}|label\{[^{}]*\}|(?:notag|nonumber)(?![a-z]))")
_REFERENCE = re.compile(r"(?<![\w.@/\\&+-])@((?:fig|tbl)-\w+(?:-\w+)*)")
_CITATION = re.compile(r"\[@(?!fig-|tbl-)[^\[\]]+\]")
# Of an output: what no page shows, however long it is.
_NOT_SHOWN = re.compile(r"<(script|style|video|audio)\b(?:(?!<\1\b).)*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_PICTURE = re.compile(r'(?<=src="|ref=")picture-\d+\.\w+')
_EMPTY_HEADER = re.compile(r'<th((?: [\w-]+="[^"<>]*")*)>(?:\s|&nbsp;)*</th>')


def html(document: parts.Document, *, name: str, profile: str, overview: str = "index.html") -> str:
    """The page of one notebook: HTML5 with everything inside, whose only relative links are to other pages.

    One of these is ``overview``, the page over all notebooks.
    """
    language = Language(document.language)
    pictures = Pictures()
    blocks = described(document, pictures, paper=False)
    failure = next((block for block in blocks if block["kind"] == "failure"), None)
    meta = {
        "title": document.title,
        "name": name,
        "profile": profile,
        "overview": overview,
        "badge": language.told("Failed") if failure else document.incomplete or language.told("Complete"),
        "state": "bad" if failure else "warn" if document.incomplete else "good",
        "duration": "" if document.duration is None else language.told(in_words(document.duration)),
        "stamp": document.finished or "",
        "finished": language.day(document.finished, time=True) if document.finished else "",
        "failure": failure or {},
        "sources": [
            {"warning": block.warning, "rows": [{"label": label, "text": text} for label, text in block.rows]}
            for block in document.blocks
            if isinstance(block, parts.Provenance)
        ],
    }
    order = {"to": "html", "language": document.language, "meta": meta, "blocks": blocks}
    page = convert(order, pictures, "page.html").replace('<math display="block"', '<math tabindex="0" display="block"')
    page = page.replace('<input type="checkbox"', '<input type="checkbox" disabled=""')
    page = _EMPTY_HEADER.sub(r"<td\1></td>", page)
    page = _PICTURE.sub(lambda found: data_uri(found[0], pictures.files.get(found[0], b"")), page)
    return _with_style(page, document.language)


def pdf(document: parts.Document, cover: "Cover | None" = None) -> bytes:
    """The document as a PDF on A4 paper, behind its cover; the same document gives the same bytes."""
    pictures = Pictures()
    front = cover.described(pictures, document.title, Language(document.language)) if cover else {"given": False}
    meta = {"title": document.title, "facts": facts(document), "failed": bool(document.failure), "cover": front}
    return typeset(meta, described(document, pictures, paper=True), pictures, level=1, language=document.language)


def unknown(document: parts.Document) -> list[str]:
    """References and citations that lead nowhere, such as "@fig-loss" and "@he2016"; each once."""
    texts = [block.text for block in document.blocks if isinstance(block, parts.Markdown | parts.Reading)]
    bibliography = BIBLIOGRAPHY.read_text(encoding="utf-8") if BIBLIOGRAPHY.is_file() else ""
    kinds = {parts.Figure: "fig", parts.Table: "tbl"}
    known = {f"{kinds[type(block)]}-{block.name}" for block in document.blocks if type(block) in kinds}
    known |= set(re.findall(r"^@\w+\{([^,\s]+)", bibliography, re.MULTILINE))
    text = _NO_TEXT.sub("", "\n\n".join(texts))
    named = [*_REFERENCE.findall(text), *re.findall(r"@([\w:.-]*\w)", " ".join(_CITATION.findall(text)))]
    return [f"@{name}" for name in dict.fromkeys(named) if name not in known]


def described(document: parts.Document, pictures: "Pictures", *, paper: bool, chapter: int = 0) -> list[dict[str, Any]]:
    """The blocks as workbook.lua takes them, their pictures added to ``pictures``.

    On paper, printed text is cut and provenance comes first; figures are numbered by a book's chapter, if it is one's.
    """
    language = Language(document.language)
    blocks = [block for block in document.blocks if not isinstance(block, parts.Provenance)]
    sources = [block for block in document.blocks if isinstance(block, parts.Provenance)]
    made = []
    for block in [*(sources if paper else []), *blocks]:
        about = _described(block, pictures, language, paper)
        if about is None:
            continue
        about |= {"chapter": chapter or 1, "detail": parts.DETAIL in block.tags}
        last = made[-1] if made else {"kind": ""}
        if about["kind"] == last["kind"] == "reading" and about["detail"] == last["detail"]:
            last["text"] += f"\n\n{about['text']}"  # conclusions in a row share a box
            continue
        made.append(about)
        if "number" in about:
            number = f"{chapter}.{about['number']}" if chapter else str(about["number"])
            shown = ".".join(map(language.signs, number.split(".")))
            about |= {"number": shown, "anchor": f"{about['kind']}-{number}"}
    return made if paper else _folded(made, language)


def _folded(blocks: list[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """The blocks, those of neighbouring detail cells between a "fold", which says what they are, and an "unfold"."""
    made: list[dict[str, Any]] = []
    for is_detail, group in itertools.groupby(blocks, key=lambda block: block["detail"]):
        found = list(group)
        if is_detail and any(block["kind"] != "code" for block in found):  # code is folded by itself
            headings = [re.match(r"#+\s+(.*)", block.get("text", "")) for block in found if block["kind"] == "text"]
            title = next((re.sub(r"[`*]", "", heading[1]) for heading in headings if heading), "")
            numbered = [block for block in found if "number" in block]
            names = [f"{language.told(block['kind'].title())} {block['number']}" for block in numbered]
            more = language.known(", ").join(names)
            if not title and not more:
                text = next((block["text"] for block in found if block["kind"] in ("text", "reading")), "")
                more = textwrap.shorten(text.replace("*", ""), 70, placeholder=" …")
                more = re.sub(r"`([^`]*)(?:`|$)", lambda code: isolated(code[1]), more)
            found = [{"kind": "fold", "title": title, "more": more}, *found, {"kind": "unfold"}]
        made += found
    return made


_COMPUTED = {"text", "caption", "columns", "rows"}
_NOT_DRAWN = {"svg", "pdf", "csv", "values", "names", "phrases", "tags", "attachments"}


def _described(block: parts.Block, pictures: "Pictures", language: Language, paper: bool) -> dict[str, Any] | None:
    fields = {name: value for name, value in vars(block).items() if name not in _NOT_DRAWN}
    if isinstance(block, parts.Reading | parts.Figure | parts.Table):  # which are computed
        fields |= {name: parts.with_texts(fields[name], per_cent_apart) for name in _COMPUTED & fields.keys()}
    about = {"kind": type(block).__name__.lower(), **fields}
    if about.get("cell") is not None:
        about["cell"] = language.signs(str(block.cell))
    match block:
        case parts.Markdown():
            is_question = parts.QUESTION in block.tags and not parts.is_heading(block)
            kind = "answer" if parts.ANSWER in block.tags else "question" if is_question else "text"
            text = block.text or f"*{language.told('Not answered yet.')}*"
            return {"kind": kind, "text": pictures.settled(text, block.attachments)}
        case parts.Reading():
            kind = "question" if parts.QUESTION in block.tags else "reading"
            return about | {"kind": kind, "text": pictures.settled(about["text"])}
        case parts.Code(shown=False):
            return None
        case parts.Code():
            count = block.source.count("\n") + 1
            lines = language.told(say("{count} line" if count == 1 else "{count} lines", count=count))
            return about | {"text": block.source.expandtabs(4), "lang": "python", "lines": lines}
        case parts.Table():
            return about | {"more": language.told(say("({count} rows: scroll to see all.)", count=len(block.rows)))}
        case parts.Figure():
            return about | pictures.figure(block.svg, block.pdf if paper else b"")
        case parts.Failure() if paper:
            return about | {"traceback": "\n".join(block.traceback.rstrip().split("\n")[-30:])}
        case parts.Output(mime="text/latex"):
            return about | {"kind": "text", "text": block.content, "format": "latex"}
        case parts.Output(mime="text/html"):
            return about | {"kind": "html", "text": pictures.settled(_NOT_SHOWN.sub("", block.content))}
        case parts.Output(mime="text/plain"):
            return about | {"kind": "printed", "text": shortened(block.content) if paper else _cut(block.content)}
        case parts.Output():
            is_drawing = block.mime == "image/svg+xml"
            drawn = (
                pictures.figure(block.content, b"") if is_drawing else {"file": pictures.add(block.mime, block.content)}
            )
            alt = language.told(say("Picture shown by code cell {cell}", cell=block.cell))
            return about | {"kind": "figure", "alt": alt, **drawn}
    return about


def _cut(text: str) -> str:
    left_out = len(text) - TEXT_SHOWN
    more = f"\n\n… {left_out:,} more characters are in the executed notebook."
    return text[:TEXT_SHOWN] + more if left_out > 0 else text


def shortened(text: str, *, first: int = 14, last: int = 4) -> str:
    """Printed text in lines of at most `LINE_COLUMNS` characters: the first and last ones, the others only counted."""
    lines = [line.expandtabs(8).rstrip() for line in text.rstrip().split("\n")]
    printed = [line[at : at + LINE_COLUMNS] for line in lines for at in range(0, max(1, len(line)), LINE_COLUMNS)]
    left_out = len(printed) - first - last
    if left_out >= 6:  # less is not worth a gap
        printed[first:-last] = [f"… {left_out:,} more lines …"]
    return "\n".join(printed)


_PARAGRAPH = r"(?:(?!\n[ >]*\n).){1,2000}?"
_FORMULA = re.compile(
    rf"^[ >]*(?P<fence>```+|~~~+).*?(?:^[ >]*(?P=fence)|\Z)|(?P<tick>`+){_PARAGRAPH}(?P=tick)|\$[^$\n]+\$"
    rf"|\$\$(?P<display>{_PARAGRAPH})\$\$"
    rf"|(?P<bare>\\begin\{{(?P<name>[a-zA-Z]+\*?)\}}{_PARAGRAPH}\\end\{{(?P=name)\}})",
    re.DOTALL | re.MULTILINE,
)


def _formulas_on_one_line(text: str) -> str:
    """Each displayed formula on one line and between dollars, except in code and quotations.

    Jupyter takes formulas out before it reads Markdown; pandoc would see a list where a formula's line starts with
    "-". Environments without dollars are formulas in Jupyter, too.
    """

    def one_line(found: re.Match[str]) -> str:
        formula = found["display"] or found["bare"]
        if not formula or "\n>" in formula:
            return found[0]
        formula = _TAG.sub(lambda tag: rf"\qquad ({tag[1]})" if tag[1] else "", formula)
        # On one line, a comment would take the rest of the formula along.
        lines = [re.sub(r"(?<!\\)%.*", "", line).strip() for line in formula.split("\n")]
        return f"$${' '.join(lines)}$$"

    return _FORMULA.sub(one_line, text)


class Pictures:
    """The pictures of a page by their names."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._count = 0

    def add(self, mime: str, content: str | bytes) -> str:
        """The name of a picture as a notebook holds it: bytes, base64, or the text of an SVG."""
        self._count += 1
        suffix = next((suffix for suffix, kind in PICTURES.items() if kind == mime), "bin")
        name = f"picture-{self._count}.{suffix}"
        if isinstance(content, str):
            try:
                content = content.encode() if content.lstrip().startswith("<") else base64.b64decode(content)
            except ValueError:
                content = b""
        if content:
            self.files[name] = content
        return name

    def figure(self, svg: str, pdf: bytes) -> dict[str, Any]:
        """A drawing: its PDF, if there is one, and its SVG, where Typst can't set that; its size in CSS pixels."""
        other = self.add("image/svg+xml", svg)
        file = self.add("application/pdf", pdf) if pdf else other
        root = re.search(r"<svg\b[^>]*>", svg)
        sizes = dict(re.findall(r'\b(width|height)="([\d.]+)(?:pt|px)?"', root[0] if root else ""))
        scale = 4 / 3 if root and "pt" in root[0] else 1
        size = {side: str(round(float(sizes[side]) * scale)) for side in sizes}
        wide = int(size.get("width", 0)) > WIDE_FIGURE
        return {"file": file, "other": other, "wide": wide, **(size if len(size) == 2 else {})}

    def settled(self, text: str, attachments: Mapping[str, dict[str, str]] | None = None) -> str:
        """A text as pandoc reads it: formulas on one line, and its own pictures called by their names here."""
        named = _ADDRESS.sub(lambda found: self._named(unquote(found[0]), attachments or {}) or found[0], text)
        return _formulas_on_one_line(named)

    def _named(self, address: str, attachments: Mapping[str, dict[str, str]]) -> str:
        if written := _DATA_URI.fullmatch(address):
            return self.add(*written.groups())
        bundle = attachments.get(address.removeprefix("attachment:"), {})
        path = (NOTEBOOKS / printable(address)).resolve()
        mime = PICTURES.get(path.suffix.lower().removeprefix("."), "")
        if mime and path.is_relative_to(ROOT) and os.path.isfile(path):
            bundle = {mime: path.read_bytes()}
        return next((self.add(mime, content) for mime, content in bundle.items() if mime in PICTURES.values()), "")


def convert(order: dict[str, Any], pictures: Pictures, template: str = "") -> str:
    """What pandoc makes of the blocks; where it fails or takes too long, with the texts as they were typed."""
    import pypandoc

    refused = order.get("refused", {})
    more = {"files": {name: name not in refused for name in pictures.files}, "refused": refused}
    here = _templates(order["language"])
    command = [pypandoc.get_pandoc_path(), "-f", str(here / "workbook.lua"), "-t", order["to"]]
    command += ["--wrap=none", "--mathml", "--syntax-highlighting=none"]
    if template:
        command += ["--standalone", f"--template={here / template}"]
    if any("[@" in block.get("text", "") for block in order["blocks"]) and BIBLIOGRAPHY.is_file():
        more["bibliography"] = BIBLIOGRAPHY.read_text(encoding="utf-8")
    # Apart from the terminal, whose Ctrl-C would end pandoc, too, and leave the texts as they were typed.
    apart = {"start_new_session": True, "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    how = {"capture_output": True, "timeout": SECONDS, "check": True, **apart}
    for longest in (1_000_000, 1000, 0):
        given = json.dumps(_clean({"level": 2, "bibliography": "", **order, **more, "longest": longest}))
        try:
            run = subprocess.run(command, input=given.encode(), **how)
        except subprocess.SubprocessError as error:
            fault = error
        else:
            return run.stdout.decode()
    raise WorkbookError(f"pandoc could not make the page: {(fault.stderr or b'').decode()[:500]}")


@functools.cache
def _templates(language: str) -> Path:
    """A folder of the templates in a language, for as long as this process lasts."""
    folder = tempfile.TemporaryDirectory(prefix="workbook-templates-")
    atexit.register(folder.cleanup)
    for file in HERE.iterdir():
        if file.suffix in TEMPLATES:
            (Path(folder.name) / file.name).write_text(Language(language).template(file), encoding="utf-8")
    return Path(folder.name)


def _clean(content: Any) -> Any:
    """Plain data without None, control characters and lone surrogates, which neither HTML nor Typst takes."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, list | tuple):
        return [_clean(item) for item in content]
    if isinstance(content, dict):
        return {key: _clean(item) for key, item in content.items() if item is not None}
    return content


def data_uri(name: str, content: bytes) -> str:
    """A picture as the source of an <img>; what its name ends with tells its kind."""
    mime = PICTURES.get(name.rpartition(".")[2], "image/png")
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def page(variables: dict[str, Any], template: str, language: str = "en") -> str:
    """A page that is made of a template alone, with the style sheet in it; texts are escaped."""
    order = {"to": "html", "language": language, "meta": variables, "blocks": []}
    return _with_style(convert(order, Pictures(), template), language)


def _with_style(page: str, language: str) -> str:
    style = (_templates(language) / "style.css").read_text(encoding="utf-8")
    if Language(language).direction == "rtl":  # whose letters not every machine has
        for name, weight in (("Regular", "normal"), ("Bold", "bold")):
            font = data_uri("x.ttf", (HERE / "fonts" / f"Vazirmatn-{name}.ttf").read_bytes())
            style += f"@font-face {{ font-family: Vazirmatn; font-weight: {weight}; src: url({font}); }}\n"
        style += ":root { --text: Vazirmatn, serif; --plain: Vazirmatn, sans-serif; }\n"
    return page.replace("/*style*/", style, 1)


def typeset(
    meta: dict[str, Any], blocks: list[dict[str, Any]], pictures: Pictures, *, level: int, language: str = "en"
) -> bytes:
    """The PDF of variables and blocks, with as many of their formulas and pictures as Typst takes.

    The highest headings become those of a level. Raises `WorkbookError` if Typst complains of something else.
    """
    import typst

    refused: set[str] = set()
    order = {"to": "typst", "language": language, "meta": meta, "blocks": blocks, "level": level}
    while True:
        source = convert({**order, "refused": dict.fromkeys(refused, True)}, pictures)
        with tempfile.TemporaryDirectory(prefix="workbook-pdf-") as folder:
            # All that the source reads lies in one folder, which is Typst's root: it can open nothing else.
            look = (_templates(language) / "workbook.typ").read_bytes()
            given = json.dumps(_clean({"meta": meta, "blocks": blocks})).encode()
            files = pictures.files | {"workbook.typ": look, "main.typ": source.encode(), "given.json": given}
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            try:
                main = str(Path(folder, "main.typ"))
                with contextlib.suppress(RuntimeError):  # compile() says the same, and where
                    _fill_pages(typst.Compiler(main, root=folder, font_paths=_fonts()), Path(folder, "floating.json"))
                return typst.compile(main, root=folder, font_paths=_fonts(), format="pdf", timestamp=0)
            except typst.TypstError as error:
                culprits = _culprits(source, error) - refused
                if not culprits:
                    raise WorkbookError(f"the PDF could not be set: {printable(str(error))}") from error
                refused |= culprits


def _fill_pages(compiler: Any, floating: Path) -> None:
    """Writes down which figures and tables float, and where to, so that no page ends early, until nothing changes.

    To the top of a page float those that would begin it, and what would come before one of a lower number. What stays
    on the page where it was recorded needn't; what comes too early on top of a page floats to the foot.
    """
    found: dict[str, str] = {}
    settled: set[str] = set()
    while True:
        floating.write_text(json.dumps(found), encoding="utf-8")
        placed = sorted(json.loads(compiler.query("<placed>", field="value")), key=lambda it: it["at"])
        stay = {it["anchor"] for it in placed if it["stays"]} - settled
        settled |= stay
        now = {anchor: where for anchor, where in found.items() if anchor not in stay}
        for i, it in enumerate(placed):
            if any(_is_later(it["anchor"], other["anchor"]) for other in placed[i + 1 :]):
                now[it["anchor"]] = "bottom" if it["anchor"] in found else "top"
            elif it["begins"]:
                now[it["anchor"]] = "top"
        if now == found:
            return
        found = now


def _is_later(one: str, other: str) -> bool:
    """Whether of two figures, or of two tables, the first has the higher number: "figure-2.10" and "figure-2.9"."""
    (kind, number), (other_kind, other_number) = (anchor.split("-") for anchor in (one, other))
    return kind == other_kind and [*map(int, number.split("."))] > [*map(int, other_number.split("."))]


def _culprits(source: str, error: Any) -> set[str]:
    """The pictures that Typst's message names, and the formulas and pictures at the places that it points to."""
    lines = source.split("\n")
    found = set(re.findall(r"\b(picture-\d+\.\w+):\d", error.diagnostic))
    for line, column in re.findall(r"main\.typ:(\d+):(\d+)", error.diagnostic):
        before = lines[int(line) - 1][: int(column)]
        found.update(re.findall(r"/\*((?:formula|picture)-[\w.]+)\*/", before)[-1:])
    return found


@functools.cache
def _fonts() -> Any:
    """The project's fonts and matplotlib's, whichever fonts the machine has: reports look the same everywhere."""
    import typst

    matplotlib = importlib.util.find_spec("matplotlib").submodule_search_locations[0]
    paths = [HERE / "fonts", Path(matplotlib) / "mpl-data" / "fonts" / "ttf"]
    return typst.Fonts(include_system_fonts=False, font_paths=[str(path) for path in paths])


def facts(document: parts.Document) -> str:
    """When the run finished and how long it took, in words; "" where the notebook says neither."""
    language, facts = Language(document.language), []
    if document.finished:
        facts.append(say("Run finished on {day}", day=language.day(document.finished, time=True)))
    if document.duration is not None:
        facts.append(say("took {duration}", duration=in_words(document.duration)))
    return " · ".join(map(language.told, facts))


def in_words(seconds: float) -> Said:
    """``seconds`` (0 or more) as a reader says them: "3.9 s", "2 min 54 s" or "1 h 2 min"."""
    if seconds < 59.95:
        return say("{seconds:.1f} s", seconds=seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return say("{hours} h {minutes} min", hours=hours, minutes=minutes)
    return say("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
