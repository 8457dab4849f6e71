"""Markdown to HTML, by one run of pandoc for all the texts of a page; formulas become MathML, which needs no script."""

import hashlib
import json
import re
from html import escape

# Reading each text as a notebook's cell keeps what one leaves open, such as a fence, out of the next one.
_FORMAT = "ipynb+raw_tex+footnotes+tex_math_dollars"
_OPTIONS = ["--mathml", "--wrap=none", "--syntax-highlighting=none", "--sandbox"]


def to_html(texts: list[str]) -> tuple[list[str], str]:
    """Converts Markdown as JupyterLab understands it: tables, task lists, formulas, footnotes, raw HTML.

    Args:
        texts: any number of texts.

    Returns:
        One fragment of HTML for each text, not cleaned of scripts or remote pictures, and their footnotes ("" if none).
        A text that pandoc fails on is shown as it was typed.
    """
    if not texts:
        return [], ""
    try:
        return _converted(texts)
    except RuntimeError:
        good = [_is_convertible(text) for text in texts] if len(texts) > 1 else [False]
    if all(good) or not any(good):
        return [_as_typed(text) for text in texts], ""
    fragments, footnotes = to_html([text if ok else "" for text, ok in zip(texts, good, strict=True)])
    shown = zip(fragments, texts, good, strict=True)
    return [fragment if ok else _as_typed(text) for fragment, text, ok in shown], footnotes


def _is_convertible(text: str) -> bool:
    try:
        _converted([text])
    except RuntimeError:
        return False
    return True


def _as_typed(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _converted(texts: list[str]) -> tuple[list[str], str]:
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
    if len(fragments) != len(texts):
        raise RuntimeError("pandoc's page doesn't hold every text")
    html = [_tidied(fragment, f"{token}-{i}-") for i, fragment in enumerate(fragments)]
    return html, f"<section{footnotes}" if footnotes else ""


def _tidied(fragment: str, cell: str) -> str:
    """A cell's fragment without the end of its div, its attached pictures named as the notebook names them."""
    head, _, _ = fragment.rpartition("</div>")
    return head.strip().replace(f'src="{cell}', 'src="attachment:')
