"""Tables out of a cell's HTML output: what pandas' DataFrames and Stylers write, and whatever else there may be."""

from dataclasses import replace
from typing import TYPE_CHECKING

from helpers.report.pdf.tables import Cell, Grid

if TYPE_CHECKING:
    from bs4 import Tag

FIRST_ROWS, LAST_ROWS = 150, 10
"""Of a longer HTML table, only the first and last rows are printed."""
MOST_COLUMNS = 200

_MISSING = {"", "-", "–", "—", "nan", "none", "<na>", "nat", "…", "..."}

Style = dict[str, str]


def read(html: str) -> tuple[list[Grid], str]:
    """The tables in the HTML, in order, and the text that stands around them."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    styles = _style_sheet("\n".join(sheet.get_text() for sheet in soup.find_all("style")))
    for unseen in soup.find_all(["style", "script"]):
        unseen.decompose()
    outermost = [table for table in soup.find_all("table") if table.find_parent("table") is None]
    grids = [_grid(table.extract(), styles) for table in outermost]
    return [grid for grid in grids if grid.cells], _text(soup)


def _grid(table: "Tag", styles: dict[str, Style]) -> Grid:
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    head = _count_head_rows(rows)
    header = _one_row([replace(cell, bold=True) for cell in _placed(rows[:head], 0, styles)])
    body_rows = rows[head:]
    head = max((cell.y + 1 for cell in header), default=0)
    body = _body(body_rows, head, styles)
    columns = max((cell.x + cell.width for cell in header + body), default=0)
    return Grid(
        header + body,
        columns=columns,
        head=head,
        stub=max(0, min(max(1, _count_row_labels(body_rows)), columns - 1)),
        align=[_alignment([cell.text for cell in body if cell.x == x and cell.width == 1]) for x in range(columns)],
        caption=_text(table.caption) if table.caption else "",
    )


def _count_head_rows(rows: "list[Tag]") -> int:
    """How many rows at the top are the header: those in <thead>, else those of <th> alone."""
    in_head = [row.parent.name == "thead" for row in rows]
    if not any(in_head):
        in_head = [row.find("td", recursive=False) is None for row in rows]
    return in_head.index(False) if False in in_head else len(rows)


def _count_row_labels(rows: "list[Tag]") -> int:
    """How many cells at the left of the body say what a row is."""
    return min((len(row.find_all("th", recursive=False)) for row in rows[:1]), default=0)


def _body(rows: "list[Tag]", top: int, styles: dict[str, Style]) -> list[Cell]:
    """The cells of the rows from row ``top`` on; of many rows only the first and last ones, and a row that says so."""
    left_out = len(rows) - FIRST_ROWS - LAST_ROWS
    if left_out <= 1:
        return _placed(rows, top, styles)
    first = _placed(rows[:FIRST_ROWS], top, styles)
    last = _placed(rows[-LAST_ROWS:], top + FIRST_ROWS + 1, styles)
    columns = max((cell.x + cell.width for cell in first + last), default=1)
    note = Cell(0, top + FIRST_ROWS, f"… {left_out:,} more rows …", width=columns, align="center")
    return [*first, note, *last]


def _placed(rows: "list[Tag]", top: int, styles: dict[str, Style]) -> list[Cell]:
    """The rows' cells at their places, cut where they would overlap or reach below the last row."""
    cells: list[Cell] = []
    taken: set[tuple[int, int]] = set()
    for y, row in enumerate(rows):
        x = 0
        for tag in row.find_all(["td", "th"], recursive=False):
            while (x, y) in taken:
                x += 1
            if x >= MOST_COLUMNS:
                break
            width = _span(tag, "colspan", MOST_COLUMNS - x)
            width = next((w for w in range(1, width) if (x + w, y) in taken), width)
            height = _span(tag, "rowspan", len(rows) - y)
            taken.update((x + i, y + j) for i in range(width) for j in range(height))
            cells.append(_cell(tag, Cell(x, top + y, _text(tag), width, height), styles))
            x += width
    return cells


def _span(tag: "Tag", name: str, most: int) -> int:
    digits = str(tag.get(name, "")).strip()
    return max(1, min(int(digits[:6]) if digits.isdecimal() else 1, most))


def _one_row(header: list[Cell]) -> list[Cell]:
    """A header's two rows as one where every column has text in one of them, as pandas writes a named index."""
    if {cell.y for cell in header} != {0, 1} or any(cell.width > 1 or cell.height > 1 for cell in header):
        return header
    upper, lower = ({cell.x: cell for cell in header if cell.y == y} for y in (0, 1))
    if upper.keys() != lower.keys() or any(upper[x].text and lower[x].text for x in upper):
        return header
    return [replace(upper[x], text=upper[x].text or lower[x].text) for x in upper]


def _text(tag: "Tag") -> str:
    """The text as a browser shows it: white space is one blank, a line break or a new block a new line."""
    for block in tag.find_all(["br", "p", "div", "li"]):
        block.insert_before("\x00")
    lines = [" ".join(line.split()) for line in tag.get_text().split("\x00")]
    return "\n".join(filter(None, lines))


def _cell(tag: "Tag", cell: Cell, styles: dict[str, Style]) -> Cell:
    style = {**styles.get(str(tag.get("id", "")), {}), **_declarations(str(tag.get("style", "")))}
    weight = style.get("font-weight", "")
    bold = weight in ("bold", "bolder") or (weight.isdecimal() and int(weight[:4]) >= 600)
    align = style.get("text-align")
    return replace(
        cell,
        bold=bold or tag.find(["b", "strong"]) is not None,
        fill=_color(style.get("background-color") or style.get("background", "")),
        color=_color(style.get("color", "")),
        align=align if align in ("left", "center", "right") else None,
    )


def _alignment(texts: list[str]) -> str:
    return "right" if any(texts) and all(_is_number(text) for text in texts) else "left"


def _is_number(text: str) -> bool:
    if text.lower() in _MISSING:
        return True
    parts = text[:60].replace("−", "-").split("±")
    try:
        return all(float(part.strip(" %×").replace(",", "")) is not None for part in parts)
    except ValueError:
        return False


def _style_sheet(css: str) -> dict[str, Style]:
    """{id: declarations} of the rules that name cells by their id, which is how a Styler colours them."""
    import tinycss2

    styles: dict[str, Style] = {}
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if rule.type != "qualified-rule":
            continue
        declarations = _declarations(tinycss2.serialize(rule.content))
        for selector in tinycss2.serialize(rule.prelude).split(","):
            if selector.strip().startswith("#"):
                styles.setdefault(selector.strip()[1:], {}).update(declarations)
    return styles


def _declarations(css: str) -> Style:
    import tinycss2

    found = tinycss2.parse_blocks_contents(css, skip_comments=True, skip_whitespace=True)
    return {item.lower_name: tinycss2.serialize(item.value).strip() for item in found if item.type == "declaration"}


def _color(css: str) -> str | None:
    """The colour as "#rrggbb" on white paper; None for one that is transparent or isn't a plain colour."""
    import tinycss2.color3

    color = tinycss2.color3.parse_color(css)
    if color is None or color == "currentColor" or color.alpha == 0:
        return None
    channels = (max(0.0, min(1.0, color.alpha * channel + 1 - color.alpha)) for channel in color[:3])
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
