"""A report in another language, from a run that is there."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers import ROOT, record
from helpers.report import language
from helpers.report.document import Code, Markdown, Provenance, Reading, Table, read
from helpers.report.workspace import Workspace
from tests.command import executed_cell, write_notebook
from tests.report.documents import figure, of_kind, page, pdf_text, table

NOTEBOOKS = ROOT / "notebooks"

ENTRIES = {
    "0123456789.,%": "۰۱۲۳۴۵۶۷۸۹٫٬٪",
    ", ": "، ",
    "%": "٪",
    "A title": "عنوان",
    "What it is: a network (@fig-x).": "چیست: یک شبکه (@fig-x).",
    "It reaches {accuracy:.1%} after {n:,} steps with {network}.": "{network} پس از {n:,} گام به {accuracy:.1%} می‌رسد.",
    " It is {how} of {others}.": " از {others} {how} است.",
    "ahead": "جلوتر",
    "accuracy": "دقت",
    "Means over {runs} runs.": "میانگین {runs} اجرا.",
    "{caption} In all rows {said}.": "{caption} در همه {said}.",
    "“{heading}” is “{text}”": "«{heading}» برابر «{text}»",
    "{network}, frozen": "{network}، ثابت",
    "seeds": "بذرها",
    "It falls by {loss:.2f}.": "{loss:.2f} کم می‌شود.",
    "It reaches {mean:.1%} ± {std:.1%}.": "به {mean:.1%} ± {std:.1%} می‌رسد.",
    "Broken {here}.": "شکسته {there}.",
}
STALE = '#, fuzzy\nmsgid "An old sentence."\nmsgstr "جمله‌ای کهنه."\n'


@pytest.fixture
def persian(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "LANGUAGES", tmp_path)
    monkeypatch.setattr(language.Language, "missing", set())
    (tmp_path / "fa").mkdir()
    entries = [f'msgid "{text}"\nmsgstr "{told}"\n' for text, told in ENTRIES.items()]
    (tmp_path / "fa" / "01_a.po").write_text("\n".join([*entries, STALE]), encoding="utf-8")
    language._entries.cache_clear()
    yield
    language._entries.cache_clear()


def executed(show, text="# A title\n\nWhat it is:\na network (@fig-x).\n\n```\nAn old\n\nsentence.\n```"):
    return read(new_notebook(cells=[new_markdown_cell(text), executed_cell(show)]))


def test_texts_templates_and_their_values_are_told_in_the_language_of_the_catalogue(persian):
    first = "It reaches {accuracy:.1%} after {n:,} steps with {network}."
    frozen = record.say("{network}, frozen", network="VGG16")
    frame = pd.DataFrame({"network": ["ResNet-18", "ahead", frozen], "accuracy": [0.5, 0.25, 0.75], "seeds": 2})

    def show():
        values = {"accuracy": np.float64(0.913), "n": 12000, "network": "VGG16", "how": "ahead", "others": ["A", "B"]}
        record.reading(first + " It is {how} of {others}.", **values)
        record.table(frame, "t", record.say("Means over {runs} runs.", runs=3), formats={"accuracy": "{:.1%}"})

    made = language.translated(executed(show), "fa", "01_a")
    assert made.title == "عنوان"
    code = "```\nAn old\n\nsentence.\n```"
    assert [block.text for block in of_kind(made, Markdown)] == [f"چیست: یک شبکه (@fig-x).\n\n{code}"]
    (said,) = [block.text for block in of_kind(made, Reading)]
    # The parts of a sentence that was put together each have an entry; names are set apart from the letters around.
    assert said == "\u2068VGG16\u2069 پس از ۱۲٬۰۰۰ گام به ۹۱٫۳٪ می‌رسد. از \u2068A\u2069، \u2068B\u2069 جلوتر است."
    (table,) = of_kind(made, Table)
    assert table.caption == "میانگین ۳ اجرا. در همه «بذرها» برابر «۲»." and table.columns == ["network", "دقت، ٪"]
    assert table.rows == [["ResNet-18", "50.0"], ["جلوتر", "25.0"], ["\u2068VGG16\u2069، ثابت", "75.0"]]


def test_numbers_keep_their_order_between_persian_words_and_what_cannot_be_filled_in_stays_english(persian):
    def show():
        record.reading("It falls by {loss:.2f}.", loss=-0.25)
        record.reading("It reaches {mean:.1%} ± {std:.1%}.", mean=0.913, std=0.012)
        record.reading("It falls by {loss:.2f}.", loss=float("nan"))
        record.reading("Broken {here}.", here="x")
        record.reading("{network}", network="VGG16")

    said = [block.text for block in of_kind(language.translated(executed(show), "fa", "01_a"), Reading)]
    assert said[:2] == ["\u200e−۰٫۲۵ کم می‌شود.", "به \u2066۹۱٫۳٪\u00a0±\u00a0۱٫۲٪\u2069 می‌رسد."]
    assert said[2:] == ["It falls by nan.", "Broken x.", "\u2068VGG16\u2069"]


def test_what_has_no_entry_or_a_stale_one_stays_english_and_is_counted(persian):
    ran = executed(lambda: record.reading("{n} are new.", n=2), "# A title\n\nAn old sentence.")
    made = language.translated(ran, "fa", "01_a")
    assert [made.blocks[0].text, made.blocks[-1].text] == ["An old sentence.", "2 are new."]
    assert language.Language.missing == {"An old sentence.", "{n} are new."}


def test_pages_in_persian_run_from_right_to_left_and_have_persian_words_and_numbers():
    shown = [Markdown("متن @fig-f و @tbl-t"), figure(caption="خط."), table(2, 2), Reading("نتیجه.")]
    blocks = [*shown, Code("x = 1\ny = 2", 1), Markdown("", tags=("answer",))]
    about = {"language": "fa", "finished": "2026-11-29T10:05:00+00:00", "title": "عنوان"}
    found = page(*blocks, **about)
    assert (found.html["lang"], found.html["dir"]) == ("fa", "rtl")
    assert found.select_one("a[href='#table-1']").get_text() == "جدول\u00a0۱"
    for words in ("شکل ۱.", "۸ آذر ۱۴۰۵، ۱۰:۰۵ UTC", "برداشت", "کد ۲ سطر", "هنوز پاسخی نوشته نشده است."):
        assert words in found.get_text()
    assert "@font-face" in str(found.style) and "font-src data:" in str(found.head)
    printed = pdf_text(*blocks, **about)
    assert "شکل" in printed and "جدول" in printed and "Figure" not in printed


def test_pages_in_persian_run_so_where_a_text_begins_with_a_latin_name_and_set_one_without_persian_apart():
    text = "## Dropout\n\nAdam بهتر است.\n\n- SGD\n\nIn English."
    cells = Table("t", "جدول", ["ادعا", "n"], [["Dropout واحدها", "+1.5"], ["Arc2", "2"]], ["left", "right"], [], 1)
    source = Provenance([("دستگاه", "AMD EPYC، ۱ رشته"), ("نسخه‌ها", "torch 2 (CPU)")], "")
    made = page(source, Markdown(text), cells, Code("x = 1", 1), language="fa")
    assert {tag.name for tag in made.main.find_all(dir="ltr")} == {"span", "pre"} and not made.main.find_all(dir="auto")
    apart = [tag.get_text() for tag in made.main.find_all("span", dir="ltr")]
    assert apart == ["torch 2 (CPU)", "Dropout", "Dropout", "SGD", "In English.", "n", "+1.5", "Arc2", "2"]


def catalogues():
    """Those that are there, and those that each notebook needs that is not one's own."""
    names = [language.OWN, *(path.stem for path in NOTEBOOKS.glob("0[1-8]*.ipynb"))]
    folders = [*(NOTEBOOKS / "languages").iterdir()]
    return sorted({*(NOTEBOOKS / "languages").glob("*/*.po"), *(f / f"{name}.po" for f in folders for name in names)})


# What a translation has to keep: values, references, works, code, simple formulas.
KEPT = re.compile(r"\{\w+|@(?:fig|tbl)-\w+|\[@[^\]]+\]|`[^`]+`|\$\w+(?:\.\w+)*\$|%[ds]\b")


@pytest.mark.parametrize("path", catalogues(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_catalogues_are_complete_and_their_entries_fit(path):
    with path.open("rb") as stream:
        entries = {entry.id: entry for entry in read_po(stream, locale=path.parent.name) if entry.id}
    notebook = NOTEBOOKS / f"{path.stem}.ipynb"
    wanted = language.messages(notebook) if notebook.is_file() else language.own_messages()
    assert not {*wanted} - {*entries}, "run: python -m helpers.report --catalogues " + path.parent.name
    for text, entry in entries.items():
        assert entry.string and not entry.fuzzy, text
        said = [{*KEPT.findall(re.sub(r"\$[^$]*\\[^$]*\$", "", each))} for each in (text, entry.string)]
        assert said[0] == said[1], text
        assert not re.search(r"[يك]|\\u200c|[\u0600-\u06ff],", entry.string), text


def test_the_glossary_has_the_words_of_the_catalogues():
    said = "".join(path.read_text(encoding="utf-8").replace('"\n"', "") for path in catalogues())
    rows = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("\n| ")[2:]
    words = [re.split(r"،| \(", row.split(" | ")[1])[0] for row in rows]
    assert len(words) > 40 and not [word for word in words if word not in said]


def test_a_catalogue_has_each_text_of_the_notebook_and_of_its_tables_and_keeps_what_is_translated(persian, tmp_path):
    code = '''"""Not this."""
said = "ahead of all" if good else "far behind"
record.reading("It reaches {accuracy:.1%} after {n:,} steps with {network}.", accuracy=f"{1} is no text")
print(frame["accuracy"])'''
    text = "# A title\n\nWhat it is: a network\n(@fig-x).\n\n- An older sentence."
    assert language.messages(write_notebook(tmp_path, "01_a", code, text=text)) == [
        *("A title", "What it is: a network (@fig-x).", "- An older sentence.", "ahead of all", "far behind"),
        "It reaches {accuracy:.1%} after {n:,} steps with {network}.",
    ]
    _, told = language.write_catalogues("fa", Workspace(tmp_path), [])
    assert told.startswith("01_a.po: 21 entries, 4 without a translation; no run is here")
    frame = pd.DataFrame({"network": ["ResNet-18", "the linear one"]})
    run = tmp_path / "reports" / "quick" / "01_a.ipynb"
    run.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[executed_cell(lambda: record.table(frame, "t", "Networks."))]), run)
    _, told = language.write_catalogues("fa", Workspace(tmp_path), [])
    assert told == "01_a.po: 8 entries, 5 without a translation"
    language._entries.cache_clear()
    again = language.Language("fa", "01_a")
    assert again.told("A title") == "عنوان" and again.told("far behind") == "far behind"
