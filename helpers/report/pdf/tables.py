"""Tables for paper: one plain form for tables of any origin, and its call of what tables.typ defines."""

from dataclasses import dataclass

from helpers.report.clean import printable
from helpers.report.document import Table
from helpers.report.pdf import typst_text


@dataclass(frozen=True)
class Cell:
    """One cell: its upper left corner is at column ``x`` and row ``y``; colours are "#rrggbb"."""

    x: int
    y: int
    text: str
    width: int = 1
    height: int = 1
    bold: bool = False
    fill: str | None = None
    color: str | None = None
    align: str | None = None


@dataclass(frozen=True)
class Grid:
    """A table of any origin.

    Attributes:
        cells: none overlaps another.
        columns: how many there are.
        head: how many rows at the top are its header.
        stub: how many columns at the left say what a row is; they are repeated where a wide table is split.
        align: "left", "center" or "right" for each column.
        caption: the table's own title, or "".
    """

    cells: list[Cell]
    columns: int
    head: int
    stub: int
    align: list[str]
    caption: str = ""


def recorded(table: Table) -> Grid:
    """The grid of a recorded table, whose first column says what each row is."""
    bold = set(table.bold)
    cells = [Cell(x, 0, text, bold=True) for x, text in enumerate(table.columns)]
    for y, row in enumerate(table.rows):
        cells += [Cell(x, y + 1, text, bold=(y, x) in bold) for x, text in enumerate(row)]
    stub = min(1, len(table.columns) - 1)
    return Grid(cells, columns=len(table.columns), head=1, stub=stub, align=list(table.align))


def typst(grid: Grid) -> str:
    """The call that sets the grid, without a leading "#"."""
    if grid.columns == 0:
        return "[]"
    cells = typst_text.array(_typst_cell(cell) for cell in grid.cells)
    longest = typst_text.array(typst_text.quoted(word) for word in _longest_words(grid))
    return (
        f"wb.data-table({grid.columns}, {grid.head}, {grid.stub}, {typst_text.array(grid.align)}, {longest}, {cells})"
    )


def _typst_cell(cell: Cell) -> str:
    options = {
        "w": str(cell.width) if cell.width > 1 else None,
        "h": str(cell.height) if cell.height > 1 else None,
        "bold": "true" if cell.bold else None,
        "fill": cell.fill and f'rgb("{cell.fill}")',
        "color": cell.color and f'rgb("{cell.color}")',
        "align": cell.align,
    }
    given = "".join(f", {name}: {value}" for name, value in options.items() if value)
    return f"wb.c({cell.x}, {cell.y}, {typst_text.words(cell.text)}{given})"


def _longest_words(grid: Grid) -> list[str]:
    longest = [""] * grid.columns
    for cell in grid.cells:
        if cell.width == 1:
            text = typst_text.breakable(printable(cell.text)).replace(typst_text.ZERO_WIDTH_SPACE, " ")
            longest[cell.x] = max([longest[cell.x], *text.split()], key=len)
    return longest


def plain(grid: Grid) -> str:
    """The grid's text, one line a row."""
    rows: dict[int, list[str]] = {}
    for cell in grid.cells:
        rows.setdefault(cell.y, []).append(cell.text)
    return "\n".join(" | ".join(row) for row in rows.values())
