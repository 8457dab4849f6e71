"""The page over all notebooks of a profile, from the files that earlier commands left."""

import json
from urllib.parse import unquote, urljoin, urlsplit

import html5lib
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers import record
from helpers.report import index, render
from helpers.report.document import read
from helpers.report.workspace import Settings
from tests.command import executed_cell
from tests.report.documents import document, figure

NASTY = "<script>alert('x')</script> & \"quoted\""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"/>'


def content(name, **changes):
    number = {"label": f"Accuracy {NASTY}", "value": 0.9, "std": None, "runs": 1, "reported": 0.8, "unit": "%"}
    shown = {"reported": "80.00 %", "value": "90.00 %", "difference": "+10.00 points"}
    other = {"label": "Time", "value": 3.0, "std": None, "runs": 1, "reported": None, "unit": "s"}
    none = {"reported": "–", "value": "3 s", "difference": "–"}
    made = {
        "notebook": name,
        "title": f"Title of {name} {NASTY}",
        "status": "ok",
        "error": None,
        "duration_seconds": 60.0,
        "finished": "2026-03-01T09:00:15+00:00",
        "stand_in": "",
        "provenance": {"Data set": "Fashion-MNIST"},
        "numbers": {"time": {**other, "shown": none}, "accuracy": {**number, "shown": shown}},
        "figures": {"curves": {"caption": "c", "alt": f"a line {NASTY}"}, "second": {"caption": "c", "alt": "second"}},
    }
    return made | changes


@pytest.fixture
def folders(tmp_path):
    reports, figures = tmp_path / "reports", tmp_path / "figures"
    failed = {"status": "failed", "error": {"name": "ValueError", "message": NASTY, "cell": 3}}
    contents = {"02_b": content("02_b", stand_in="STAND-IN DATA", **failed), "01_a": content("01_a")}
    contents["02_b"]["numbers"]["accuracy"]["shown"]["difference"] = "–"
    for name, made in contents.items():
        (figures / name).mkdir(parents=True)
        reports.mkdir(exist_ok=True)
        (reports / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
        (reports / f"{name}.html").touch()
    (reports / "01_a.pdf").touch()
    (figures / "01_a" / "curves.svg").write_text(SVG, encoding="utf-8")
    return reports, figures


def written(reports, figures):
    index.write_page(reports, figures, Settings("quick"))
    return (reports / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def text(folders):
    return written(*folders)


@pytest.fixture
def cards(text):
    return BeautifulSoup(text, "html.parser").find_all("li", class_="card")


def test_the_index_is_valid_and_self_contained_and_links_to_files_that_exist(folders, text, cards):
    parser = html5lib.HTMLParser()
    parser.parse(text)
    assert parser.errors == []
    soup = BeautifulSoup(text, "html.parser")
    assert soup.find_all(["script", "link", "iframe"]) == []
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in soup.find_all("img"))
    links = [{link["href"] for link in card.find_all("a")} for card in cards]
    assert links == [{"01_a.html", "01_a.pdf", "01_a.json"}, {"02_b.html", "02_b.json"}]
    assert all((folders[0] / path).is_file() for card in links for path in card)


def test_a_card_shows_state_data_duration_and_compared_numbers_first(text, cards):
    first, second = (card.get_text(" ", strip=True) for card in cards)
    assert "Complete Real data 1 min 0 s" in first
    assert "Failed Stand-in data" in second and f"ValueError : {NASTY}" in second
    assert [value.get_text() for value in cards[0].find_all("dd")] == ["Fashion-MNIST", "90.00 %", "3 s"]
    assert all(value.find("bdi", dir="ltr") for value in cards[0].find_all("dd")[1:])
    assert cards[0].h2.get_text() == f"Title of 01_a {NASTY}"
    notices = [notice.get_text() for notice in BeautifulSoup(text, "html.parser").find_all(class_="notice")]
    assert notices[0].startswith("Failed: 02_b.") and notices[1].startswith("STAND-IN DATA in 1 of 2")


def test_the_first_figure_is_the_picture_of_a_card_or_the_key_figure(folders, cards):
    assert cards[0].img["alt"] == f"a line {NASTY}" and cards[1].img is None
    reports, figures = folders
    named = content("01_a", key_figure="second", key_numbers=["time", "unknown"])
    (reports / "01_a.json").write_text(json.dumps(named), encoding="utf-8")
    (figures / "01_a" / "second.svg").write_text(SVG, encoding="utf-8")
    card = BeautifulSoup(written(reports, figures), "html.parser").find("li")
    assert card.img["alt"] == "second"
    assert [value.get_text() for value in card.find_all("dd")] == ["Fashion-MNIST", "3 s"]


def test_the_book_and_sweeps_are_linked_where_they_lie(folders):
    reports, figures = folders
    sweeps = [reports / "sweeps" / name for name in ("02_b", "50% of #A")]
    for folder in [*sweeps, reports / "sweeps" / "interrupted"]:
        folder.mkdir(parents=True)
    for path in (reports / "workbook.pdf", *(folder / "sweep.html" for folder in sweeps)):
        path.touch()
    text = written(reports, figures)
    found = BeautifulSoup(text, "html.parser").find("ul", class_="links").find_all("a")
    assert [link.get_text() for link in found] == ["The whole book (PDF)", "Sweep of 02_b", "Sweep of 50% of #A"]
    folder = reports.as_uri() + "/"
    paths = [unquote(urlsplit(urljoin(folder, link["href"])).path) for link in found]
    assert paths == [str(reports / "workbook.pdf"), *(str(folder / "sweep.html") for folder in sweeps)]


def test_one_table_holds_all_results_reported_earlier(text):
    rows = BeautifulSoup(text, "html.parser").find("table", class_="compared").select("tbody tr")
    shown = [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in rows]
    results = [f"Accuracy {NASTY}, %", "90.00", "+10.00"]
    titles = [f"Title of 01_a {NASTY}"], [f"Title of 02_b {NASTY} stand-in data"]
    assert shown == [titles[0], results, titles[1], [*results[:2], "–"]]
    assert "The same in all rows: Reported earlier (80.00)." in text


def test_the_finding_opens_the_conclusion_or_is_the_last_reading():
    def found(*texts: str) -> str:
        """Texts in capitals are headings, others readings."""
        read_out = [
            new_markdown_cell(f"## {text.title()}\n\nWords.")
            if text.isupper()
            else executed_cell(lambda text=text: record.reading(f"The **{text}** of @fig-f. More of it."))
            for text in texts
        ]
        return index.finding(read(new_notebook(cells=read_out)))

    assert found("first", "CONCLUSION", "result", "QUESTIONS", "last") == "The **result** of @fig-f."
    assert found("first", "last") == "The **last** of @fig-f."
    assert found("QUESTIONS") == ""
    asked = executed_cell(lambda: record.reading("Why is the interval 2 points wide?"))
    asked.metadata.tags = ["question"]
    assert index.finding(read(new_notebook(cells=[asked]))) == ""
    made = index.numbers(document(figure(), finding="The **first** of @fig-f. More."), name="01_a", profile="p")
    assert made["finding"] == "The first of Figure 1."


def test_pages_lead_to_their_neighbours_and_files_that_exist(folders):
    reports, figures = folders
    for name in ("01_a", "02_b"):
        page = render.html(document(), name=name, profile="quick")
        (reports / f"{name}.html").write_text(page, encoding="utf-8")
    written(reports, figures)
    first, second = (BeautifulSoup((reports / f"{name}.html").read_text(), "html5lib") for name in ("01_a", "02_b"))
    assert [link["href"] for link in first.select(".own a")] == ["01_a.pdf", "01_a.json"]
    assert [(link["rel"], link["href"]) for link in first.select(".neighbours a")] == [(["next"], "02_b.html")]
    assert second.select(".neighbours a")[0].get_text() == f"Previous: Title of 01_a {NASTY}"
    before = (reports / "01_a.html").stat().st_mtime_ns
    written(reports, figures)
    assert (reports / "01_a.html").stat().st_mtime_ns == before
