"""Reports in another language: a run's document with its texts from gettext catalogues; nothing runs again.

The catalogues of a language lie in ``notebooks/languages/<code>``: ``report.po`` with the report's own words, and one
for each notebook. Where an entry is missing, or the text has changed since, the English one stands, and is counted.
"""

import ast
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from helpers import PACKAGE
from helpers.phrases import Said, isolated, with_minus
from helpers.report.document import UNANSWERED, Document, Figure, Markdown, Provenance, Reading, Table
from helpers.report.document import read as document_of
from helpers.report.workspace import ENGLISH, LANGUAGES, Refused, Workspace, read

PERSIAN = "fa"
OWN = "report"
"""The catalogue of the report's own words."""
LEFT_TO_RIGHT = "\u200e"
# A number, maybe with its deviation or half interval; the same with it, in any language's digits.
_AMOUNT = re.compile(r"[+−]?[\d,.]+%?(?: ± [\d,.]+%?)?")
_WITH_SPREAD = re.compile(r"(?<![\d.,٫٬])(\u200e?[+−]?\d[\d.,٫٬]*[%٪]?) ± (\d[\d.,٫٬]*[%٪]?)")
SIGNS = "0123456789.,%"
"""An entry of every catalogue of own words: how numbers are written in running text."""
LISTED = (
    *(", ", "%", "points", "s", "images/s", "images", "runs", "runs and images", "training", "validation", "test"),
    *("ahead", "behind", "holds here", "does not hold here", "too close to tell", "not testable here", "yes", "no"),
    *("Data set", "Source", "Images", "Initial weights", "Device", "Precision", "Seed", "Parameters", "Versions"),
    *("Git commit", "Where", "Difference", "claim", "where", "this run", "verdict", "what would change it"),
    *("processor", "Drawn shapes", "drawn by helpers.data.shapes from the seed", "none", "random"),
)
"""What tables, sentences and provenance say that is written in no template."""
UNITS = ("%", "points", "s", "images/s", "MiB")
TELL = ("say", "told")
"""Functions whose first argument is a text of a report."""
TEMPLATES = (".lua", ".typ", ".html", ".css")
# Blocks of code, blank lines and headings' marks part a cell's Markdown into the texts that have an entry each.
_BETWEEN = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$|\n[ \t]*\n|^#+ )", re.DOTALL | re.MULTILINE)
_LINE_END = re.compile(r"\n(?![ \t]*(?:[-*+|>#]|\d+[.)] ))[ \t]*")
_WORDS = re.compile(r"[^\W\d_]{2,}.*\s+\S", re.DOTALL)
# Of a layer, a class of PyTorch's or a file, say.
_NAME = re.compile(r"\S*[\d_]\S*|\S+[A-Z]\S*")
_FIELD = re.compile(r"\{[^{}]*\}")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_OWN, _PLACE = re.compile(r"@\{([^{}\n]+)\}"), re.compile(r"@\[(\w+)\]")
_HEADER = 'msgid ""\nmsgstr ""\n"Language: {code}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'


class Language(string.Formatter):
    """How texts are told: "en" as they are, any other by its catalogues.

    Attributes:
        code: such as "fa".
        phrases: of texts that `record.say` made: template and values.
        missing: of all languages, the templates and texts that were told in English for want of an entry.
    """

    missing: ClassVar[set[str]] = set()

    def __init__(self, code: str = ENGLISH, notebook: str = OWN) -> None:
        self.code = code
        self.phrases: dict[str, Any] = {}
        self._entries = {**_entries(code, OWN), **_entries(code, notebook)}
        self._signs = str.maketrans(SIGNS, self._entries.get(SIGNS, SIGNS))

    @property
    def direction(self) -> str:
        """ "ltr" or "rtl"."""
        from babel import Locale

        return Locale.parse(self.code).text_direction

    def told(self, text: str) -> str:
        """A text of a report as it stands in this language."""
        template, values = text.phrase if isinstance(text, Said) else self.phrases.get(text, (text, None))
        if self.code == ENGLISH:
            return text
        found = self._found(template)
        with suppress(LookupError, ValueError, TypeError, AttributeError):  # an entry with other fields, a value of NaN
            if found is not None:
                return found if values is None else self._filled(found, values)
        self.missing.add(template)
        return text

    def known(self, text: str) -> str:
        """As `told`, for what may be a name, which has no entry: a cell of a table, or a value in a sentence."""
        return self.told(text) if text in self.phrases else self._entries.get(text, text)

    def label(self, text: str, told: Callable[[str], str] | None = None) -> str:
        """A heading or a cell of a table, by `known` if not given: words, a name or a number, maybe with a unit."""
        label, unit = _without_unit(text)
        label = (told or self.known)(label)
        return f"{label}{self.known(', ')}{self.known(unit)}" if unit else label

    def markdown(self, text: str) -> str:
        """A Markdown cell, text by text."""
        return "".join(self.told(part) if is_text else part for is_text, part in parts(text))

    def signs(self, number: str) -> str:
        """A number as it is written in running text."""
        # A sign stays on the left of its number, also between letters that run from right to left.
        before = LEFT_TO_RIGHT if self.direction == "rtl" and number[:1] in ("+", "-", "−", "±") else ""
        return before + number.translate(self._signs)

    def day(self, stamp: str, *, time: bool = False) -> str:
        """An ISO 8601 time in UTC as "22 November 2026", or in Persian as its calendar has it; also the time of day."""
        moment = datetime.fromisoformat(stamp)
        if self.code == PERSIAN:
            import jdatetime

            date = jdatetime.date.fromgregorian(date=moment.date(), locale="fa_IR")
            shown = self.signs(f"{date.day} {date:%B} {date.year}")
        else:
            from babel.dates import format_date

            shown = format_date(moment, "d MMMM y", locale=self.code)
        return f"{shown}{self.known(', ')}{self.signs(f'{moment:%H:%M}')} UTC" if time else shown

    def template(self, file: Path) -> str:
        """A template with its texts, which stand in it as "@{All notebooks}", in this language."""
        places = {"code": self.code.partition("_")[0], "direction": self.direction, "1": self.signs("1")}
        # A sentence that begins with a Latin name still runs from right to left.
        places["names"] = "rtl" if self.direction == "rtl" else "auto"
        text = _PLACE.sub(lambda found: places[found[1]], file.read_text(encoding="utf-8"))
        is_code = file.suffix in (".lua", ".typ")  # where they stand between quotation marks
        return _OWN.sub(lambda found: (_quoted if is_code else str)(self.told(found[1])), text)

    def format_field(self, value: Any, spec: str) -> str:
        return format(value, spec) if isinstance(value, str) else self.signs(with_minus(format(value, spec)))

    def _found(self, template: str) -> str | None:
        """The entry of a template, or those of the texts that it was put together from."""
        if template in self._entries or not _says(template):
            return self._entries.get(template, template)
        for start in sorted((start for start in self._entries if template.startswith(start)), key=len, reverse=True):
            rest = self._found(template[len(start) :]) if start else None
            if rest is not None:
                return self._entries[start] + rest
        return None

    def _filled(self, template: str, values: Mapping[str, Any]) -> str:
        said = self.vformat(template, (), {name: self._value(value) for name, value in values.items()})
        # Letters that run from right to left would put the deviation before its number.
        return _WITH_SPREAD.sub("\u2066\\1\u00a0±\u00a0\\2\u2069", said) if self.direction == "rtl" else said

    def _value(self, value: Any) -> Any:
        match value:
            case {"phrase": [template, values]}:
                found = self._found(template)
                if found is None:
                    self.missing.add(template)
                return self._filled(template if found is None else found, values)
            case {"listed": values}:
                return self._entries.get(", ", ", ").join(self.format_field(self._value(each), "") for each in values)
            case str():
                # By its entry only: a phrase may be nothing but a name, and would be its own value.
                told = self.label(value, lambda text: self._entries.get(text, text))
                told = self.signs(value) if _AMOUNT.fullmatch(value) else told
                return told if told != value else isolated(value)
        return value


def _quoted(text: str) -> str:
    return re.sub(r'([\\"])', r"\\\1", text)


def parts(markdown: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a Markdown cell, and of each whether it is a text."""
    for i, part in enumerate(_BETWEEN.split(markdown)):
        is_text = i % 2 == 0 and _LETTERS.search(part) is not None
        # Where a paragraph's lines end tells nobody anything.
        yield is_text, _LINE_END.sub(" ", part.strip()) if is_text else part


def translated(document: Document, code: str, notebook: str) -> Document:
    """The whole document in another language, by its notebook's catalogue; code and what cells printed stay.

    What a reader gets to see of it is selected afterwards.
    """
    if code == ENGLISH:
        return document
    language = Language(code, notebook)
    for block in document.blocks:
        language.phrases |= block.phrases
    return replace(
        document,
        title=language.told(document.title),
        finding=language.told(document.finding),
        blocks=[_translated(block, language) for block in document.blocks],
        numbers={
            name: {**number, "label": language.known(number["label"])} for name, number in document.numbers.items()
        },
        language=code,
    )


def _translated(block: Any, language: Language) -> Any:
    told, label = language.told, language.label
    match block:
        case Markdown():
            return replace(block, text=language.markdown(block.text))
        case Reading():
            return replace(block, text=told(block.text))
        case Figure():
            return replace(block, caption=told(block.caption), alt=told(block.caption))
        case Table():
            columns = [label(text, told) for text in block.columns]
            rows = [[label(text) for text in row] for row in block.rows]
            return replace(block, caption=told(block.caption), columns=columns, rows=rows)
        case Provenance():
            # The others say names and versions, or are phrases.
            tell = {"Initial weights": told}
            rows = [(told(label), tell.get(label, language.known)(text)) for label, text in block.rows]
            return replace(block, rows=rows, warning=told(block.warning))
    return block


def _without_unit(heading: str) -> tuple[str, str]:
    """A table's heading, and the unit that `helpers.record` has put behind it."""
    label, comma, unit = heading.rpartition(", ")
    return (label, unit) if comma and unit in UNITS else (heading, "")


@cache
def _entries(code: str, name: str) -> dict[str, str]:
    """What a catalogue has: text -> text, without what nobody has translated, or not since it changed."""
    path = LANGUAGES / code / f"{name}.po"
    if code == ENGLISH or not path.is_file():
        return {}
    from babel.messages.pofile import PoFileError, read_po

    try:
        with path.open("rb") as stream:
            catalogue = read_po(stream, locale=code, abort_invalid=True)
    except PoFileError as error:
        raise Refused(f"{path.name} in notebooks/languages/{code} isn't a catalogue: {error}") from error
    return {entry.id: entry.string for entry in catalogue if entry.id and entry.string and not entry.fuzzy}


# Catalogues


def write_catalogues(code: str, workspace: Workspace, names: Sequence[str]) -> Iterator[str]:
    """Brings a language's catalogues for the report's own words and for notebooks up to date; says what they lack."""
    from babel import localedata

    if code == ENGLISH or not localedata.exists(code):
        raise Refused(f"{code!r} is no other language than English that Babel knows, such as fa or de")
    yield _update(code, OWN, own_messages())
    for notebook in workspace.choose(names):
        runs = sorted(workspace.root.glob(f"reports/*/{notebook.stem}.ipynb"))
        texts = messages(notebook, [document_of(read(path), name=notebook.stem) for path in runs])
        said = _update(code, notebook.stem, texts, all_stay=not runs)
        yield said if runs else f"{said}; no run is here that says which old ones its tables need: all stay"


def messages(notebook: Path, executed: Iterable[Document] = ()) -> list[str]:
    """What a notebook's catalogue needs an entry for, in the order of the notebook.

    That are the texts of its Markdown, the texts of several words in its code, and what the tables of its runs say.
    """
    found: list[str] = []
    for cell in read(notebook)["cells"]:
        if cell["cell_type"] == "markdown" and cell["source"] != UNANSWERED:
            found += [part for is_text, part in parts(cell["source"]) if is_text]
        elif cell["cell_type"] == "code":
            found += _of_code(cell["source"])
    for document in executed:
        for table in (block for block in document.blocks if isinstance(block, Table)):
            texts = [_without_unit(text)[0] for row in (table.columns, *table.rows) for text in row]
            found += [text for text in texts if text not in table.phrases and _says(text)]
        for block in document.blocks:
            values = [value for _, values in block.phrases.values() for value in values.values()]
            found += [text for text in _values(values) if _WORDS.search(text)]
    own = {*own_messages()}
    return [text for text in dict.fromkeys(found) if text not in own]


def _values(given: Iterable[Any]) -> Iterator[str]:
    """Texts that stand in sentences and captions, and are no phrases themselves."""
    for value in given:
        match value:
            case str():
                yield value
            case {"phrase": [_, values]}:
                yield from _values(values.values())
            case {"listed": values}:
                yield from _values(values)


@cache
def own_messages() -> list[str]:
    """What the catalogue of the report's own words needs an entry for: texts in templates, and of calls in helpers."""
    found = [SIGNS, *LISTED]
    for file in sorted(Path(__file__).parent.iterdir()):
        if file.suffix in TEMPLATES:
            found += _OWN.findall(file.read_text(encoding="utf-8"))
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in TELL:
                found += _texts(node.args[0]) if node.args else []
    return [text for text in dict.fromkeys(found) if text == SIGNS or text in LISTED or _says(text)]


def _texts(node: ast.expr) -> list[str]:
    """A text, or the two that a condition chooses from."""
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _says(template: str) -> bool:
    """Whether there are words, not just a name, beside what is filled in."""
    words = _FIELD.sub("", template)
    if words == template:
        return _LETTERS.search(template) is not None and not _NAME.fullmatch(template)
    return re.search(r"[^\W\d_]", words) is not None


def _of_code(source: str) -> Iterator[str]:
    """Texts of several words; neither those that explain the code nor parts of f-strings, of which no run tells."""
    tree = ast.parse(source)
    explains = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    explains |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explains
        if is_text and _WORDS.search(node.value):
            yield node.value


def _update(code: str, name: str, texts: Iterable[str], *, all_stay: bool = False) -> str:
    """Writes a catalogue anew: an entry for each text, with the translations that there are; says what it lacks.

    Entries of texts that have changed a little keep their old translation, marked as fuzzy: they aren't used.
    """
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import read_po, write_po

    path = LANGUAGES / code / f"{name}.po"
    template = Catalog()
    for text in texts:
        template.add(text)
    catalogue = Catalog(locale=code, fuzzy=False)
    if path.is_file():
        with path.open("rb") as stream:
            catalogue = read_po(stream, locale=code)
    for entry in catalogue if all_stay else ():  # also those that are not translated yet, or no more
        template.add(entry.id)
    catalogue.update(template)
    catalogue.fuzzy = False
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(_HEADER.format(code=code).encode())
        write_po(stream, catalogue, width=120, no_location=True, omit_header=True, ignore_obsolete=True)
    entries = [entry for entry in catalogue if entry.id]
    missing = sum(not entry.string or entry.fuzzy for entry in entries)
    return f"{name}.po: {len(entries)} entries, {missing} without a translation"
