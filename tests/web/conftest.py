"""Pages opened in a real browser, as a reader sees them: at a width, in light or dark, on the screen or on paper."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 180
"""How long one answer may take; a page takes one or two."""


class BrowserError(Exception):
    """Chromium doesn't start, doesn't answer, or cannot do what it was told."""


class Browser:
    """One tab of headless Chromium, told what to do by its DevTools protocol through a pipe: no driver is needed.

    Args:
        program: Chromium, or a browser made of it.
        profile: an empty folder for what it writes.
    """

    def __init__(self, program: str, profile: Path) -> None:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--no-first-run", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        # Chromium reads its commands from file 3 and writes its answers to file 4.
        shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', "sh", program, *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        # Killed in the end, it leaves its temporary files, too, in the profile's folder.
        environment = os.environ | {"TMPDIR": str(profile)}
        self._process = subprocess.Popen(shell, **pipes, env=environment, start_new_session=True)
        self._received = b""
        self._commands = 0
        self._session: str | None = None

    def start(self) -> None:
        """Opens the tab.

        Raises:
            BrowserError: if the program is there, but doesn't start.
        """
        target = self._tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, page: str, folder: Path, *, width: int = 1400, scheme: str = "light", media: str = "screen") -> None:
        """Shows a page's text, kept as a file in ``folder``, as it looks ``width`` CSS pixels wide."""
        path = folder / "page.html"
        path.write_text(page, encoding="utf-8")
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._tell("Emulation.setEmulatedMedia", media=media, features=features)
        problem = self._tell("Page.navigate", url=path.as_uri()).get("errorText")
        if problem:
            raise BrowserError(f"Chromium cannot open {path}: {problem}")
        self.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page, waited for if it is a promise."""
        answer = self._tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(answer["exceptionDetails"]["exception"].get("description", "the script failed"))
        return answer["result"].get("value")

    def print(self) -> bytes:
        """The page on A4 paper, as PDF."""
        self._tell("Emulation.setEmulatedMedia", media="print")
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True, "printBackground": False}
        return base64.b64decode(self._tell("Page.printToPDF", **paper)["data"])

    def close(self) -> None:
        """Ends the browser and all of its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._commands += 1
        command = {"id": self._commands, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\0")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BrowserError("Chromium has ended") from None
        while (answer := self._read()).get("id") != self._commands:
            pass
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        """The next message, an answer or an event."""
        last = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            if not select.select([self._process.stdout], [], [], max(0, last - time.monotonic()))[0]:
                raise BrowserError(f"no answer of Chromium in {SECONDS} s")
            piece = os.read(self._process.stdout.fileno(), 1 << 20)
            if not piece:
                raise BrowserError("Chromium has ended")
            self._received += piece
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, where there is one that starts and may read what tests write, which Ubuntu's snap may not."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    folder = tmp_path_factory.mktemp("chromium")
    browser = Browser(program, folder)
    try:
        try:
            browser.start()
            browser.open("<title>It works.</title>", folder)
        except BrowserError as error:
            pytest.skip(f"{program} is of no use here: {error}")
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, where npm has installed it."""
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm ci --prefix tests/web")
    return AXE.read_text(encoding="utf-8")
