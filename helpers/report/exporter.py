"""``jupyter nbconvert --to workbook-pdf notebook.ipynb``: a notebook as a report in PDF."""

from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Enum, Unicode

from helpers import ROOT
from helpers.report import cover, document, render
from helpers.report.language import translated
from helpers.report.workspace import CODE, EDITIONS, chosen_language


class WorkbookPDFExporter(Exporter):
    """Sets an executed notebook as the report command does.

    ``--WorkbookPDFExporter.show_code=all`` shows the code of every cell, ``none`` of none;
    ``.edition=full`` prints cells tagged detail, too, and ``.language=fa`` counts before [tool.workbook] language.
    """

    show_code = Enum(CODE, default_value="key", help="whose code the PDF shows").tag(config=True)
    edition = Enum(EDITIONS, default_value="hand-in", help="whether cells tagged detail are printed").tag(config=True)
    language = Unicode(help="of its texts, from notebooks/languages").tag(config=True)

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
        code = chosen_language(ROOT, self.language)
        # Its catalogue is called as the notebook was before papermill executed it.
        source = Path(nb.metadata.get("papermill", {}).get("input_path") or name).stem
        whole = translated(document.read(nb, name=name), code, source)
        shown = document.selected(whole, code=self.show_code, edition=self.edition)
        return render.pdf(shown, cover.read(ROOT)), resources
