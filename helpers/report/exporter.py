"""``jupyter nbconvert --to workbook-pdf notebook.ipynb``: a notebook as a report in PDF."""

from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Enum

from helpers import ROOT
from helpers.report import cover, document, render
from helpers.report.workspace import CODE, EDITIONS


class WorkbookPDFExporter(Exporter):
    """Sets an executed notebook as the report command does.

    ``--WorkbookPDFExporter.show_code=all`` shows the code of every cell, ``none`` of none;
    ``.edition=full`` prints cells tagged detail, too.
    """

    show_code = Enum(CODE, default_value="key", help="whose code the PDF shows").tag(config=True)
    edition = Enum(EDITIONS, default_value="hand-in", help="whether cells tagged detail are printed").tag(config=True)

    export_from_notebook = "Workbook PDF"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """The PDF of ``nb`` and the resources, whose metadata name the notebook where it has no title."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name", "")
        read = document.read(nb, name=name)
        return render.pdf(
            document.selected(read, code=self.show_code, edition=self.edition), cover.read(ROOT)
        ), resources
