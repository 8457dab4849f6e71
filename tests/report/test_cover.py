"""The cover: where its fields come from, and how it stands before a report."""

import datetime
import io
from dataclasses import replace

import pypdf
import pytest
from PIL import Image

from helpers.report import render
from helpers.report.cover import Cover, read
from helpers.report.document import Markdown
from tests.report.documents import LOREM, document, pages_of

FIELDS = """
above: به نام خدا
logo: logo.png
university: University of Example
term: 1404
date: 2026-11-29
authors:
  - name: سارا مرادی
    number: 401123
  - Ali Rad
"""


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "logo.png")
    (tmp_path / "cover.yaml").write_text(FIELDS, encoding="utf-8")
    return tmp_path


def test_fields_come_from_pyproject_and_over_them_from_a_file(folder):
    assert read(folder) == Cover()
    (folder / "pyproject.toml").write_text('[tool.workbook.cover]\nterm = "spring"\ncourse = "Deep learning"\n')
    made = read(folder, folder / "cover.yaml")
    assert (made.course, made.term, made.date) == ("Deep learning", "1404", datetime.date(2026, 11, 29))
    assert made.authors == (("سارا مرادی", "401123"), ("Ali Rad", ""))
    assert made.logo == (folder / "logo.png").read_bytes()


def drawn(cover: Cover | None):
    content = render.pdf(document(*[Markdown(LOREM)] * 9, title="The report"), cover)
    return pages_of(pypdf.PdfReader(io.BytesIO(content)))


def test_a_cover_opens_a_report_and_its_head_lines_name_title_and_authors(folder):
    first, second, third = drawn(read(folder, folder / "cover.yaml"))
    assert all(
        word in first
        for word in ("University of Example", "The report", "401123", "Ali Rad", "1404", "29 November 2026")
    )
    assert LOREM[:20] in second and "1 / 2" in second
    assert "The report" in third and "Ali Rad" in third and "2 / 2" in third


def test_without_a_field_of_its_own_a_report_has_no_cover():
    assert drawn(replace(Cover(), title="The book")) == drawn(None)
    assert "The report" in drawn(None)[0] and LOREM[:20] in drawn(None)[0]
