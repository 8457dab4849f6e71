"""Draws the README's picture: two pages of a report, side by side, straight from its PDF.

    python docs/make_pictures.py reports/quick/02_transfer_a_to_b.pdf 1 9

Typst, which sets the reports, also turns their pages into pixels, so nothing more has to be installed.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import typst

OUTPUT = Path(__file__).resolve().parent / "report.png"
PAGE = """
#set page(width: auto, height: auto, margin: 6mm, fill: rgb("#d9dde3"))
#stack(dir: ltr, spacing: 6mm, ..{pages}.map(page =>
  box(stroke: 0.4pt + gray, fill: white, image("report.pdf", page: page, width: 120mm))))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="a report's PDF")
    parser.add_argument("pages", type=int, nargs="+", help="page numbers, from 1")
    options = parser.parse_args()
    pages = "(" + "".join(f"{page}, " for page in options.pages) + ")"
    with TemporaryDirectory() as folder:
        (Path(folder) / "main.typ").write_text(PAGE.replace("{pages}", pages))
        shutil.copy(options.report, Path(folder) / "report.pdf")
        typst.compile(f"{folder}/main.typ", output=str(OUTPUT), format="png", ppi=110.0)
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
