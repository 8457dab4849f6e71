"""Draws the README's two pictures from finished reports: pages of a notebook's PDF, and the index in a browser.

    python docs/make_pictures.py                       # from reports/quick
    python docs/make_pictures.py reports/full --notebook 06_fashion_mnist

It stands in docs/, beside the pictures that it writes: nothing else there is made, and no report needs it. The PDF's
pages are its first one and that of the notebook's key figure; Typst, which set them, also turns them into pixels. The
browser is Chromium.
"""

import argparse
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps

DOCS = Path(__file__).resolve().parent
SIZE = (1240, 872)
"""Pixels of each picture: two of them stand side by side in a README that is some 830 CSS pixels wide."""
MARGIN = 28
WINDOW = 1400
"""CSS pixels that the browser is wide."""
GROUND = "#d9dde3"
LARGEST = 200 * 1024
"""Bytes of a picture."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGE = """
#set page(width: auto, height: auto, margin: 0mm, fill: white)
#image("report.pdf", page: {page}, width: 150mm)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="?", default=DOCS.parent / "reports" / "quick")
    parser.add_argument("--notebook", default="02_transfer_a_to_b", help="whose PDF is shown (%(default)s)")
    parser.add_argument("--to", type=Path, default=DOCS, help="the folder for the pictures (docs)")
    options = parser.parse_args(arguments)
    report = options.reports / f"{options.notebook}.pdf"
    index = options.reports / "index.html"
    for path in (report, report.with_suffix(".json"), index):
        if not path.is_file():
            raise SystemExit(f"error: there is no {path}; make the reports first: python -m helpers.report")
    with TemporaryDirectory() as folder:
        pages = [pdf_page(report, page, Path(folder)) for page in (1, key_page(report))]
        screen = screenshot(index, Path(folder))
    save(framed(pages), options.to / "report.png")
    save(framed([screen]), options.to / "index.png")


def key_page(report: Path) -> int:
    """The page, from 1, with the caption of the notebook's key figure."""
    from pypdf import PdfReader

    about = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    figure = about["figures"].get(about["key_figure"])
    if figure is None:
        raise SystemExit(f"error: {report.stem} names no key figure (record.provenance); choose another")
    caption = without_spaces(figure["caption"])
    for number, page in enumerate(PdfReader(report).pages, 1):
        if caption in without_spaces(page.extract_text()):
            return number
    raise SystemExit(f"error: the caption of the key figure is on no page of {report}; make the reports again")


def without_spaces(text: str) -> str:
    return re.sub(r"\s+", "", text)


def pdf_page(report: Path, page: int, folder: Path) -> Image.Image:
    """A page, larger than it is needed."""
    import typst

    shutil.copy(report, folder / "report.pdf")
    (folder / "page.typ").write_text(PAGE.format(page=page), encoding="utf-8")
    typst.compile(folder / "page.typ", output=folder / "page.png", format="png", ppi=220.0)
    return Image.open(folder / "page.png").convert("RGB")


def screenshot(page: Path, folder: Path) -> Image.Image:
    """The top of a page of HTML, of a picture's shape without its margins."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit("error: the second picture needs Chromium (Debian, Ubuntu: apt-get install chromium)")
    width, height = WINDOW, round(WINDOW * (SIZE[1] - 2 * MARGIN) / (SIZE[0] - 2 * MARGIN))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
    options += ["--force-device-scale-factor=2", "--blink-settings=preferredColorScheme=1"]
    target = [f"--window-size={width},{height}", f"--screenshot={folder}/screen.png", page.resolve().as_uri()]
    done = subprocess.run([program, *options, *target], capture_output=True, text=True, timeout=120)
    if not (folder / "screen.png").is_file():
        raise SystemExit(f"error: Chromium drew no picture of {page}: {done.stderr.strip()[-500:]}")
    return Image.open(folder / "screen.png").convert("RGB")


def framed(parts: Sequence[Image.Image]) -> Image.Image:
    """The parts side by side on a ground, in one picture."""
    picture = Image.new("RGB", SIZE, GROUND)
    room = (SIZE[0] - MARGIN * (len(parts) + 1)) // len(parts), SIZE[1] - 2 * MARGIN
    for i, part in enumerate(parts):
        scaled = ImageOps.expand(ImageOps.contain(part, room, Image.Resampling.LANCZOS), 1, "#b3b9c2")
        left = MARGIN + i * (room[0] + MARGIN) + (room[0] - scaled.width) // 2
        picture.paste(scaled, (left, (SIZE[1] - scaled.height) // 2))
    return picture


def save(picture: Image.Image, path: Path) -> None:
    """Writes a PNG of as many colours as its size allows."""
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            break
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
