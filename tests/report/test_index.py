"""The page over all notebooks of a profile, from what their last runs left."""

from dataclasses import replace
from urllib.parse import unquote, urljoin, urlsplit

import html5lib
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers import record
from helpers.report import index, render
from helpers.report.document import Document, Failure, Provenance, read
from helpers.report.workspace import Settings
from tests.command import executed_cell
from tests.report.documents import EVERY_KIND, FAILURE, NASTY, ODD_TABLE, document, figure


def made(name: str, *blocks, warning: str = "", difference: str = "+10.00 points", **fields) -> Document:
    number = {"label": f"Accuracy {NASTY}", "value": 0.9, "std": None, "runs": 1, "reported": 0.8, "unit": "%"}
    shown = {"reported": "80.00 %", "value": "90.00 %", "difference": difference}
    other = {"label": "Time", "value": 3.0, "std": None, "runs": 1, "reported": None, "unit": "s"}
    none = {"reported": "–", "value": "3 s", "difference": "–"}
    source = Provenance([("Data set", "Fashion-MNIST")], warning, stand_in=bool(warning))
    about = {"duration": 60.0, "finished": "2026-03-01T09:00:15+00:00", "title": f"Title of {name} {NASTY}"}
    numbers = {"time": {**other, "shown": none}, "accuracy": {**number, "shown": shown}}
    return document(source, *blocks, numbers=numbers, **about | fields)


DOCUMENTS = {
    "01_a": made("01_a", *[replace(figure(name=name), alt=f"{name} {NASTY}") for name in ("curves", "second")]),
    "02_b": made("02_b", Failure("ValueError", NASTY, "", 3), warning="STAND-IN DATA", difference="–"),
}


def written(reports, documents: dict[str, Document]) -> BeautifulSoup:
    for name in documents:
        (reports / f"{name}.json").touch()
    index.write_page(reports, documents, Settings("quick"))
    text = (reports / "index.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    return BeautifulSoup(text, "html.parser")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Reports of the two, a book and sweeps."""
    folder = tmp_path_factory.mktemp("reports")
    for file in (
        *("workbook.pdf", "01_a.pdf", "02_b.last-good.html", "sweeps/interrupted/points.json"),
        *("sweeps/02_b/sweep.html", "sweeps/50% of #A/sweep.html"),
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    for name, each in DOCUMENTS.items():
        page = render.html(each, name=name, profile="quick")
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def over(folder):
    return written(folder, DOCUMENTS)


def test_a_page_that_lists_nothing_says_so(tmp_path):
    assert "No notebook has been run at this profile yet" in written(tmp_path, {}).get_text()


def test_a_card_tells_state_data_numbers_and_files_that_exist(over):
    first, second = over.find_all("li", class_="card")
    assert "Complete Real data 1 min 0 s" in first.get_text(" ", strip=True)
    said = second.get_text(" ", strip=True)
    assert "Failed Stand-in data" in said and f"ValueError : {NASTY}" in said
    assert [value.get_text() for value in first.find_all("dd")] == ["Fashion-MNIST", "90.00 %", "3 s"]
    assert all(value.find("bdi", dir="ltr") for value in first.find_all("dd")[1:])
    assert first.h2.get_text() == f"Title of 01_a {NASTY}"
    assert [link["href"] for link in first.select(".files a")] == ["01_a.html", "01_a.pdf", "01_a.json"]
    notices = [notice.get_text() for notice in over.find_all(class_="notice")]
    assert notices[0].startswith("Failed: 02_b.") and notices[1].startswith("STAND-IN DATA in 1 of 2")


def test_the_first_figure_is_the_picture_of_a_card_or_the_key_figure(over, tmp_path):
    first, second = over.find_all("li", class_="card")
    assert first.img["alt"].startswith("curves <script>") and first.img["src"].startswith("data:image/svg+xml;base64,")
    assert second.img is None and second.select_one(".thumbnail").get_text() == "no figure"
    key = replace(DOCUMENTS["01_a"], key_figure="second", key_numbers=("time", "unknown"))
    card = written(tmp_path, {"01_a": key}).find("li", class_="card")
    assert card.img["alt"].startswith("second ")
    assert [value.get_text() for value in card.find_all("dd")] == ["Fashion-MNIST", "3 s"]


def test_the_book_and_sweeps_are_linked_where_they_lie(over, folder):
    found = over.find("ul", class_="links").find_all("a")
    assert [link.get_text() for link in found] == ["The whole book (PDF)", "Sweep of 02_b", "Sweep of 50% of #A"]
    paths = [unquote(urlsplit(urljoin(folder.as_uri() + "/", link["href"])).path) for link in found]
    files = ("workbook.pdf", "sweeps/02_b/sweep.html", "sweeps/50% of #A/sweep.html")
    assert paths == [str(folder / file) for file in files]


def test_one_table_holds_all_results_reported_earlier(over):
    rows = over.find("table", class_="compared").select("tbody tr")
    shown = [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in rows]
    results = [f"Accuracy {NASTY}, %", "80.00", "90.00", "+10.00"]
    titles = [f"Title of 01_a {NASTY}"], [f"Title of 02_b {NASTY} stand-in data"]
    assert shown == [titles[0], results, titles[1], [*results[:3], "–"]]


def test_numbers_are_strict_json_with_all_that_was_recorded():
    number = {"label": "Accuracy", "value": 0.5, "std": float("nan"), "runs": 3, "reported": 0.6}
    about = {"numbers": {"accuracy": {"name": "accuracy", **number}}, "parameters": {"RATE": float("inf"), "LIST": [1]}}
    about |= {"key_figure": "curves", "key_numbers": ("accuracy",)}
    content = index.numbers(document(ODD_TABLE, EVERY_KIND[0], FAILURE, **about), name="01_a", profile="quick")
    told = {
        "error": {"name": "ValueError", "message": FAILURE.message, "cell": 3},
        "parameters": {"RATE": None, "LIST": [1]},
        "numbers": {"accuracy": number | {"std": None}},
        "key_figure": "curves",
        "key_numbers": ["accuracy"],
        "stand_in": EVERY_KIND[0].warning,
    }
    assert content == content | told and content["tables"]["scores"]["values"] == ODD_TABLE.values


def test_the_finding_opens_the_conclusion_or_is_the_last_reading():
    def found(*cells) -> str:
        return index.finding(read(new_notebook(cells=list(cells))))

    readings = [f"The **{which}** vs. X of @fig-f. More of it." for which in ("first", "result", "last")]
    first, result, last, asked = (executed_cell(lambda text=text: record.reading(text)) for text in [*readings, "Why?"])
    asked.metadata.tags = ["question"]
    conclusion, questions = (new_markdown_cell(f"## {title}\n\nWords.") for title in ("Conclusion", "Questions"))
    assert found(first, conclusion, result, questions, last) == "The **result** vs. X of @fig-f."
    assert found(first, last, asked) == "The **last** vs. X of @fig-f."
    assert found(questions, asked) == ""
    content = index.numbers(document(figure(), finding="The **first** of @fig-f. More."), name="01_a", profile="p")
    assert content["finding"] == "The first of Figure 1."


def test_pages_lead_to_their_neighbours_and_files_that_exist(over, folder):
    first, second = (BeautifulSoup((folder / f"{name}.html").read_text(), "html5lib") for name in DOCUMENTS)
    assert [link["href"] for link in first.select(".own a")] == ["01_a.pdf", "01_a.json"]
    assert [(link["rel"], link["href"]) for link in first.select(".neighbours a")] == [(["next"], "02_b.html")]
    assert [link.get_text() for link in second.select(".own a")] == ["Numbers", "Last good page"]
    assert second.select(".neighbours a")[0].get_text() == f"Previous: Title of 01_a {NASTY}"
    before = (folder / "01_a.html").read_bytes(), (folder / "01_a.html").stat().st_mtime_ns
    written(folder, DOCUMENTS)
    assert ((folder / "01_a.html").read_bytes(), (folder / "01_a.html").stat().st_mtime_ns) == before


@pytest.mark.parametrize("content", ["{", '{"nbformat": 4, "nbformat_minor": 5, "cells": [{}]}'])
def test_what_runs_left_is_gathered_in_the_order_of_numbers_and_what_is_damaged_says_so(tmp_path, content):
    for name in ("10_last", "2_second", "my_own", ".04_y.running"):
        nbformat.write(new_notebook(cells=[new_markdown_cell(f"# Title of {name}")]), tmp_path / f"{name}.ipynb")
    (tmp_path / "01_damaged.ipynb").write_text(content)
    found = index.gathered(tmp_path, "en")
    assert [*found] == ["01_damaged", "2_second", "10_last", "my_own"]
    assert found["2_second"].title == "Title of 2_second" and not found["2_second"].failure
    said = str(found["01_damaged"].failure)
    assert "its executed notebook cannot be read" in said and str(tmp_path) not in said
