"""HTML tables on their way to paper: what pandas writes, and what nobody should."""

import io

import numpy as np
import pandas as pd
import pypdf
import pytest

from helpers.report import pdf
from helpers.report.document import Document, Output
from helpers.report.pdf import html_tables
from helpers.report.pdf.tables import Grid


def matrix(grid: Grid) -> list[list[str]]:
    """The texts by row and column; a cell that spans several places is in each of them. Fails where cells overlap."""
    rows = max(cell.y + cell.height for cell in grid.cells)
    texts = [[None] * grid.columns for _ in range(rows)]
    for cell in grid.cells:
        for y in range(cell.y, cell.y + cell.height):
            for x in range(cell.x, cell.x + cell.width):
                assert texts[y][x] is None
                texts[y][x] = cell.text
    return texts


def only_grid(html: str) -> Grid:
    (grid,), _ = html_tables.read(html)
    return grid


def text_of(html: str) -> str:
    document = Document("Title", [Output("text/html", html, 1)], {}, {}, duration=None, finished=None, failed=False)
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf.render(document))).pages)
    assert "could not be set" not in text
    return text


@pytest.fixture
def frame() -> pd.DataFrame:
    values = np.random.default_rng(0).random((6, 3)).round(3)
    return pd.DataFrame(values, index=[f"class {i}" for i in range(6)], columns=["precision", "recall", "f1"])


def test_a_data_frame_comes_through_whole(frame):
    grid = only_grid(frame.to_html())
    assert matrix(grid) == [["", *frame.columns]] + [
        [label, *(f"{value:.3f}" for value in row)] for label, row in zip(frame.index, frame.values, strict=True)
    ]
    assert (grid.head, grid.stub) == (1, 1)
    assert grid.align == ["left", "right", "right", "right"]


def test_a_named_index_shares_the_header_s_row(frame):
    grid = only_grid(frame.rename_axis("class").to_html())
    assert grid.head == 1
    assert matrix(grid)[0] == ["class", "precision", "recall", "f1"]
    assert matrix(grid)[1][0] == "class 0"


def test_spanning_headers_and_labels_cover_what_they_span():
    columns = pd.MultiIndex.from_product([["A", "B"], ["P", "R"]])
    index = pd.MultiIndex.from_product([["x", "y"], ["1", "2"]])
    grid = only_grid(pd.DataFrame(np.arange(16).reshape(4, 4), index=index, columns=columns).to_html())
    assert matrix(grid)[:2] == [["", "", "A", "A", "B", "B"], ["", "", "P", "R", "P", "R"]]
    assert [row[:2] for row in matrix(grid)[2:]] == [["x", "1"], ["x", "2"], ["y", "1"], ["y", "2"]]
    assert (grid.head, grid.stub) == (2, 2)


def test_a_styler_s_colours_weights_and_caption_are_kept(frame):
    styler = frame.style.map(lambda value: "background-color: #ff8000; color: white" if value > 0.5 else "")
    styler = styler.highlight_max(axis=0, props="font-weight: bold").set_caption("Shares by class").format("{:.3f}")
    grid = only_grid(styler.to_html())
    assert grid.caption == "Shares by class"
    cells = {(cell.y - 1, cell.x - 1): cell for cell in grid.cells if cell.y and cell.x}
    for (row, column), value in np.ndenumerate(frame.values):
        cell = cells[row, column]
        assert cell.text == f"{value:.3f}"
        assert (cell.fill, cell.color) == (("#ff8000", "#ffffff") if value > 0.5 else (None, None))
        assert cell.bold == (value == frame.values[:, column].max())


@pytest.mark.parametrize(
    ("css", "color"),
    [("red", "#ff0000"), ("rgba(0, 0, 255, 0.5)", "#8080ff"), ("transparent", None), ("url(x)", None), ("", None)],
)
def test_colours_on_white_paper(css, color):
    grid = only_grid(f"<table><tr><td style='background-color: {css}'>x</td></tr></table>")
    assert [cell.fill for cell in grid.cells] == [color]


@pytest.mark.parametrize(
    ("texts", "side"),
    [
        (["1", "-2.5", "1,234", "3e-4"], "right"),
        (["57.2 %", "nan", "–", ""], "right"),
        (["0.5 ± 0.1", "1 ± 2"], "right"),
        (["1", "two"], "left"),
        (["1-2", "3"], "left"),
        (["", ""], "left"),
    ],
)
def test_columns_of_numbers_are_right_aligned(texts, side):
    rows = "".join(f"<tr><th>x</th><td>{text}</td></tr>" for text in texts)
    assert only_grid(f"<table>{rows}</table>").align[1] == side


def test_the_middle_of_a_very_long_table_is_counted():
    text = text_of(pd.DataFrame({"value": range(5000)}).to_html())
    assert "… 4,840 more rows …" in " ".join(text.split())
    assert "149 149" in text and "4999 4999" in text and "150 150" not in text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<table><tr><td>a<td>b<tr><td>c", ["a", "b", "c"]),
        ("<table><tr><td colspan=99999>wide<td rowspan=99999>tall<tr><td>c</table>", ["wide", "tall", "c"]),
        ("<table><tr><td rowspan=2 colspan='-1'>a<td colspan='x'>b<tr><td colspan=3>c", ["a", "b", "c"]),
        ("<table><tr><td>out<table><tr><td>in</table></table>", ["out", "in"]),
        ("<table></table>text around", ["text around"]),
        ("<table><tr></tr></table><p>after</p><table><tr><td>next</td></tr></table>", ["after", "next"]),
        ("<table><tr><th>only</th><th>headers</th></tr></table>", ["only headers"]),
        ("<div>" * 2000 + "<table><tr><td>deep", ["deep"]),
        ("<table><tr><td>kept<script>dropped()</script><style>p{}</style></td></tr></table>", ["kept"]),
    ],
)
def test_malformed_tables_show_what_they_hold(html, expected):
    text = text_of(html)
    assert all(part in text for part in expected)
    assert "dropped" not in text


def test_line_breaks_stay_and_other_white_space_is_one_blank():
    grid = only_grid("<table><tr><td> a <b>b</b>\n  c<br>d<i>e</i><p>f</p></td></tr></table>")
    assert [cell.text for cell in grid.cells] == ["a b c\nde\nf"]
