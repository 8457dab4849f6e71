"""What comes from elsewhere does no harm: code in files, names of files and classes."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data, evaluate, plots, record
from helpers.report import document
from tests.command import executed_cell
from tests.report.documents import page, pdf_text


def load(tmp_path: Path, *classes: str) -> data.Splits:
    """Images of one colour a class, in folders."""
    for number, name in enumerate(classes):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        for index in range(5):
            Image.new("RGB", (8, 8), (10 * number, 50 * index, 0)).save(tmp_path / "set" / name / f"{index}.png")
    return data.load(f"folder:{tmp_path / 'set'}", own="cifar100", root=tmp_path / "data")


def test_code_in_a_cache_of_images_is_not_run(malicious, tmp_path):
    splits = load(tmp_path, "a", "b")
    (cache,) = (tmp_path / "data/cache").glob("*.npy")
    np.save(cache, np.array([malicious] * 10, dtype=object))
    assert torch.equal(load(tmp_path).train.images, splits.train.images)


# Names of files and classes

ODD = {
    # a folder's name: how it is shown, if not as it is
    "$(touch pwned)": None,
    "<img src=x onerror=alert(1)>": None,
    '#panic("typst") *bold* @ref <label> [#': None,
    r"$\frac{1}{$ \begin{align} $x_$": None,
    "[link](javascript:alert) ![p](x)": None,
    "{{ 7 * 7 }} {% x %} %s {x}": None,
    "گربهٔ ایرانی": None,
    "line\nbreak\r\ttab": r"line\nbreak\r\ttab",
    "\x1b[31mred\x07": r"\x1b[31mred\x07",
    "\u202egnp.exe": r"\u202egnp.exe",
}


def without_spaces(text: str) -> str:
    return re.sub(r"[\s\u200b\x02]", "", text)


def test_odd_names_neither_break_nor_inject(tmp_path):
    splits = load(tmp_path, *ODD)
    names = splits.class_names
    assert sorted(names) == sorted(shown_as or name for name, shown_as in ODD.items())
    logits = torch.eye(len(names))[splits.test.labels]

    def show():
        record.figure(plots.confusion(evaluate.confusion(logits, splits.test.labels), names), "confusion", names[0])
        record.table(evaluate.per_class(logits, splits.test.labels, names), "per_class", names[1])
        for name in names:
            record.reading(f"The class “{record.literal(name)}” is one of {len(names)}.")

    blocks = document.read(nbformat.v4.new_notebook(cells=[executed_cell(show)])).blocks
    soup = page(*blocks)
    assert not soup.select("img:not([src^='data:image/']), [onerror]")
    assert {*names} <= {cell.get_text() for cell in soup.find_all(["th", "td"])}
    printed = without_spaces(pdf_text(*blocks))
    for name in names:
        assert without_spaces(f"The class “{name}” is one of {len(names)}.") in without_spaces(soup.get_text())
        assert all(printed.count(without_spaces(word)) >= 2 for word in name.split())
    assert "couldnotbeset" not in printed


def test_messages_about_odd_files_are_safe_in_a_terminal(tmp_path):
    load(tmp_path, "a", "b\x1b[2J\n")
    (tmp_path / "set" / "b\x1b[2J\n/bad\u202e\x1b]0;title\x07.png").write_text("no image")
    with pytest.raises(data.DataError, match="not an image") as caught:
        load(tmp_path)
    assert str(caught.value).isprintable()
    assert r"b\x1b[2J\n/bad\u202e\x1b]0;title\x07.png" in str(caught.value)
