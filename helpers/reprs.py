"""How objects of the workbook look as the last line of a notebook's cell: a small table in HTML."""

from collections.abc import Iterable, Sequence
from html import escape

Row = tuple[str, str]
"""What something is called, and what it is."""


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of what something is called and what it is, as HTML."""
    # Names may be Persian: each cell runs in the direction of its own first letter.
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(label)}</th>'
        f'<td style="text-align:left" dir="auto">{escape(text)}</td></tr>'
        for label, text in rows
    )
    return f"<table><tbody>{cells}</tbody></table>"


class TableRepr:
    """Gives a subclass what JupyterLab, VS Code and Colab ask for; it only says what is to be seen."""

    def _rows(self) -> Sequence[Row]:
        """The table, from top to bottom, as plain text."""
        raise NotImplementedError

    def _below(self) -> str:
        """HTML for the room below the table, a picture say."""
        return ""

    def _repr_html_(self) -> str:
        return f"{table(self._rows())}{self._below()}"
