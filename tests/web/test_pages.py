"""The pages in Chromium: nothing that keeps a reader out, nothing cut off on a telephone or on paper."""

import pypdf
import pytest

from helpers.report import index, render
from helpers.report.document import Code, Markdown, Provenance, Reading, Table
from helpers.report.workspace import Settings
from tests.report.documents import EVERY_KIND, FAILURE, LONG, PERSIAN, document, figure, pages_of

pytestmark = pytest.mark.slow
FAILED = (EVERY_KIND[0], Markdown("## The data"), Code("1 / 0", 1), FAILURE)
IN_PERSIAN = (
    Provenance([("Data set", PERSIAN)], f"STAND-IN DATA: {PERSIAN}", stand_in=True),
    Markdown(
        f"{PERSIAN}\n\n## {PERSIAN}\n\n- {PERSIAN}\n\n> {PERSIAN}\n\n| a long word | b |\n|--|--|\n| دقت | English |"
    ),
    figure(1, size=(9, 3), caption=PERSIAN),
    Table("t", PERSIAN, [PERSIAN, "دقت"], [[PERSIAN, "1.5"], ["دقت", "2.5"]], ["left", "right"], [(1, 1)], 1),
    Reading(PERSIAN),
    *[Markdown(PERSIAN, tags=(tag,)) for tag in ("detail", "question", "answer")],
)
NAMES = ("complete", "failed", "persian", "index")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """HTML by name: a complete run, a failed one, one in Persian, and the index over them."""
    shown = {"reported": "60.0 %", "value": "50.0 %", "difference": "−10.0 points"}
    number = {"label": "Accuracy", "value": 0.5, "std": None, "reported": 0.6, "unit": "%", "shown": shown}
    about = {"duration": 65.2, "finished": "2026-03-01T09:00:15+00:00", "numbers": {"accuracy": number}}
    blocks = {"complete": EVERY_KIND, "failed": FAILED, "persian": IN_PERSIAN}
    documents = {name: document(*blocks[name], **about, title=name) for name in blocks}
    reports = tmp_path_factory.mktemp("reports")
    (reports / "sweeps" / LONG).mkdir(parents=True)
    for file in ("workbook.pdf", f"sweeps/{LONG}/sweep.html"):
        (reports / file).touch()
    for name, each in documents.items():
        (reports / f"{name}.html").write_text(render.html(each, name=name, profile="quick"), encoding="utf-8")
        for suffix in ("pdf", "json"):
            (reports / f"{name}.{suffix}").touch()
    index.write_page(reports, documents, Settings("quick"))
    return {name: (reports / f"{name}.html").read_text(encoding="utf-8") for name in NAMES}


# axe-core's rules for WCAG 2 A and AA and its best practices, with the one for targets of a finger, which is off.
CHECK = """async () => (await axe.run(document, {rules: {'target-size': {enabled: true}}})).violations.flatMap(
  rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 200)}\\n  ${node.failureSummary}`))"""


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
@pytest.mark.parametrize("name", NAMES)
def test_pages_keep_nobody_out(found, axe, pages, name, width, dark):
    problems = found(f"{pages[name]}<script>{axe}</script>", CHECK, width=width, dark=dark)
    assert not problems, "\n".join(problems)


TOO_WIDE = """() => [document.documentElement.scrollWidth].concat(
  [...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  return (box.right > innerWidth + 1 || box.left < -1) && !element.closest('.scroll, pre, .output, math, .skip');
}).map(element => element.outerHTML.slice(0, 200)))"""


@pytest.mark.parametrize("width", [1400, 320])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_the_screen(found, pages, name, width):
    assert found(pages[name], TOO_WIDE, width=width) == [width]


PAPER = 673  # CSS pixels between the margins of A4 paper
PARTLY_HIDDEN = """() => [...document.querySelectorAll('.scroll, pre, .output, table, p, li, td, th')]
  .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth
    || element.getBoundingClientRect().right > innerWidth + 1)
  .map(element => element.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_on_paper(found, pages, name):
    on_paper = pages[name].replace("@media print", "@media screen").replace("@media (max-width: 68rem)", "@media print")
    assert found(on_paper, PARTLY_HIDDEN, width=PAPER) == []


def test_what_is_printed(chromium, pages, tmp_path):
    chromium(pages["complete"], "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    text = " ".join(pages_of(pypdf.PdfReader(tmp_path / "page.pdf")))
    assert "r59" in text and "23.125" in text.replace("\n", "")
    only_on_screen = ("All notebooks", "Skip to the content", "class Model", "7 lines", "scroll to see", "More of it")
    assert not [words for words in only_on_screen if words in text]


def test_a_cell_of_a_table_runs_as_its_words_do(found, pages):
    ends = """() => [...document.querySelectorAll('.text th, .text td')].map(cell => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return cell.getBoundingClientRect().right - range.getBoundingClientRect().right < 20 })"""
    # The others fill their columns, or begin on the left.
    assert found(pages["persian"], ends) == [True, False, True, True]
