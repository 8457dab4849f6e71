"""Markdown to HTML, by one run of pandoc for all the texts of a page; formulas become MathML, which needs no script."""

import hashlib
import json
import re

# Reading each text as a notebook's cell keeps what one leaves open, such as a fence, out of the next one.
_FORMAT = "ipynb+raw_tex+footnotes+tex_math_dollars"
_OPTIONS = ["--mathml", "--wrap=none", "--syntax-highlighting=none", "--sandbox"]


def to_html(texts: list[str]) -> tuple[list[str], str]:
    """Converts Markdown as JupyterLab understands it: tables, task lists, formulas, footnotes, raw HTML.

    Args:
        texts: any number of texts.

    Returns:
        One fragment of HTML for each text, not cleaned of scripts or remote pictures, and their footnotes ("" if none).
    """
    if not texts:
        return [], ""
    import pypandoc

    # The fragments are cut apart at their names, which no text can foresee.
    token = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    cells = [
        {"cell_type": "markdown", "id": f"{token}-{i}", "metadata": {}, "source": text} for i, text in enumerate(texts)
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    page = pypandoc.convert_text(json.dumps(notebook), "html", format=_FORMAT, extra_args=_OPTIONS)
    page, _, footnotes = page.partition('<section id="footnotes"')
    fragments = re.split(rf'<div id="{token}-\d+" class="cell markdown"[^>]*>', page)[1:]
    html = [_tidied(fragment, f"{token}-{i}-") for i, fragment in enumerate(fragments)]
    return html, f"<section{footnotes}" if footnotes else ""


def _tidied(fragment: str, cell: str) -> str:
    """A cell's fragment without the end of its div, its attached pictures named as the notebook names them."""
    head, _, _ = fragment.rpartition("</div>")
    return head.strip().replace(f'src="{cell}', 'src="attachment:')
