"""The cover of the book and of a notebook's PDF: what a course wants to read on a report that is handed in."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from helpers.report import render
from helpers.report.clean import printable
from helpers.report.language import Language
from helpers.report.parameters import read_yaml
from helpers.report.workspace import Refused, configured, nearest


@dataclass(frozen=True)
class Cover:
    """The fields, each "" or empty where nothing is to be said."""

    above: str = ""  # the line at the top
    logo: str | bytes = ""  # a picture
    university: str = ""
    faculty: str = ""
    course: str = ""
    lecturer: str = ""
    term: str = ""
    assignment: str = ""
    title: str = ""  # of the book; the PDF of one notebook has that one's
    authors: tuple[tuple[str, str], ...] = ()  # name and student number
    date: str | datetime.date = ""

    def described(self, pictures: render.Pictures, title: str, language: Language) -> dict[str, Any]:
        """As workbook.typ takes it; its "given" tells whether there is more to say than the title."""
        about = {
            "title": title,
            "logo": pictures.add("", self.logo) if self.logo else "",
            "authors": [{"name": name, "number": number} for name, number in self.authors],
            "date": self.date if isinstance(self.date, str) else language.day(self.date.isoformat()),
        }
        return {**vars(self), **about, "given": self != Cover(title=self.title)}


def read(root: Path, file: Path | None = None) -> Cover:
    """The cover in the table ``[tool.workbook.cover]`` of ``root/pyproject.toml``, and over that in a YAML file.

    Every field is optional: a text, or a number or a date where that reads well; "logo" is the path of a picture,
    relative to the file that names it; "authors" is a list of names, or of tables with "name" and "number". What cannot
    be used is refused, with its reason.
    """
    cover = _with(Cover(), configured(root).get("cover", {}), root / "pyproject.toml")
    return _with(cover, read_yaml(file) or {}, file) if file else cover


def _with(cover: Cover, given: Any, file: Path) -> Cover:
    """The cover with the fields that the file gives."""
    if not isinstance(given, Mapping):
        raise Refused(f"{file.name}: the cover has to be fields and their texts, such as course: Deep learning")
    names = [each.name for each in fields(Cover)]
    for name, value in given.items():
        if name not in names:
            raise Refused(f"{file.name}: the cover has no field {name!r}{nearest(str(name), names)}")
        try:
            cover = replace(cover, **{name: _field(name, value, file.parent)})
        except (TypeError, ValueError, OSError) as error:
            raise Refused(f"{file.name}: the cover's {name} cannot be used: {error}") from error
    return cover


def _field(name: str, value: Any, folder: Path) -> Any:
    if name == "authors":
        return tuple(map(_author, value if isinstance(value, list) else [value]))
    if name == "date" and isinstance(value, datetime.date):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise TypeError(f"{value!r} is no text")
    text = printable("" if value is None else str(value)).strip()
    return _picture(folder / text) if name == "logo" and text else text


def _author(author: Any) -> tuple[str, str]:
    about = author if isinstance(author, Mapping) else {"name": author}
    name, number = (_field(key, about.get(key), Path()) for key in ("name", "number"))
    if not name or about.keys() - {"name", "number"}:
        raise TypeError(f"{author!r} is no name, and no table of a name and a number")
    return name, number


def _picture(path: Path) -> bytes:
    from PIL import Image

    content = path.read_bytes()
    if b"<svg" not in content[:1000]:
        with Image.open(path) as picture:
            picture.verify()
    return content
