"""Pages opened in a real browser, as a reader sees them: at a width, in light or dark, on the screen or on paper."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No window is narrow enough: the page is in a frame and tells the one around it what its script found, which shows it.
FRAME = """<meta charset="utf-8"><meta name="color-scheme" content="light dark">
<iframe width="{width}" height="900" style="border: 0" srcdoc="{page}"></iframe>
<script>onmessage = told => document.body.textContent = JSON.stringify(told.data)</script>"""
ASK = "<script>onload = async () => parent.postMessage(await ({script})(), '*')</script>"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs Chromium over a page, where there is one that starts and may read what tests write."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    folder = tmp_path_factory.mktemp("chromium")

    def run(page: str, *options: str) -> str:
        (folder / "page.html").write_text(page, encoding="utf-8")
        fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        command = [program, *fixed, f"--user-data-dir={folder / 'profile'}", *options, (folder / "page.html").as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False).stdout

    if "It works." not in run("<p>It works.", "--dump-dom"):
        pytest.skip(f"{program} is of no use here")
    return run


@pytest.fixture(scope="session")
def found(chromium: Callable[..., str]) -> Callable[..., Any]:
    """What a JavaScript function returns in a page whose details are unfolded."""

    def find(page: str, script: str, *, width: int = 1400, dark: bool = False) -> Any:
        # The page's own policy lets no script run.
        page = re.sub(r"<meta http-equiv[^>]*>", "", page).replace("<details", "<details open")
        framed = FRAME.format(width=width, page=escape(page + ASK.format(script=script)))
        options = ["--window-size=1500,1000", "--virtual-time-budget=60000", "--dump-dom"]
        shown = chromium(framed, *options, *["--blink-settings=preferredColorScheme=0"] * dark)
        return json.loads(unescape(re.search(r"<body>(.*)</body>", shown, re.DOTALL)[1]))

    return find


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, where npm has installed it."""
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm ci --prefix tests/web")
    return AXE.read_text(encoding="utf-8")
