"""Small data and networks that many tests share. No test needs the internet, a GPU or data that is not drawn here."""

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib
import pytest
import torch

from helpers.data import ImageData, Source
from helpers.train import Compute, choose_compute

# One thread: on networks as small as these two wait for each other longer than they compute, and a command's number of
# threads, which belongs to its results, is the same whatever --jobs.
os.environ["OMP_NUM_THREADS"] = "1"
# Trainings side by side happen here, one after the other: the tests themselves run side by side, and watch trainings.
os.environ["LOKY_MAX_CPU_COUNT"] = "1"
torch.set_num_threads(1)
matplotlib.use("agg")  # no windows, whatever the machine prefers
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so does what it starts; some tests send one.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: the quick ones fill the gaps between the processes at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


SOURCE = Source(name="random", title="Random colours", where="made by a test")


@pytest.fixture
def make_images() -> Callable[..., ImageData]:
    """Makes images whose mean colour tells the class, with noise: learnable in a few steps."""

    def make(
        per_class: int = 8, num_classes: int = 4, size: int = 8, *, channels: int = 3, seed: int = 0, split="train"
    ):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(num_classes).repeat(per_class)
        levels = torch.rand(num_classes, channels, generator=torch.Generator().manual_seed(7))
        noise = torch.rand(len(labels), channels, size, size, generator=generator)
        images = (levels[labels][:, :, None, None] * 0.7 + noise * 0.3) * 255
        names = tuple(f"class {number}" for number in range(num_classes))
        return ImageData(images.to(torch.uint8), labels, names, split, SOURCE)

    return make


@pytest.fixture
def cpu() -> Compute:
    """The processor in float32: the same on every machine, bit for bit between two runs on one."""
    return choose_compute("cpu", "float32")


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def malicious(tmp_path: Path) -> Iterator[Malicious]:
    """What no reader of files may unpickle: whoever does leaves a mark, and its test fails."""
    thing = Malicious(tmp_path / "was here")
    pickle.loads(pickle.dumps(thing))
    thing.mark.unlink()  # it does work where it is let
    yield thing
    assert not thing.mark.exists()


@dataclass(frozen=True)
class Answer:
    """How a server answers a request for a file: without arguments as it should.

    Attributes:
        status: 200, for the file or the part of it that was asked for; any other stands instead of it.
        reason: words of the server after the status.
        content: what it takes for the file.
        announced: what it says that the length is, from what it is; None: nothing.
        sent: after how many bytes the connection is cut.
        stalls: it stays open instead, but nothing more comes; without `sent` nothing at all.
        ranges: whether it knows that parts can be asked for.
        first: what it says that the first byte of a part is, from what it is.
    """

    status: int = 200
    reason: str | None = None
    content: bytes | None = None
    announced: Callable[[int], object] = str
    sent: int | None = None
    stalls: bool = False
    ranges: bool = True
    first: Callable[[int], int] = int


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` at this computer's ``url``, below any folder of it.

    Attributes:
        answers: how the next requests are answered, one after the other; the last holds for all that follow.
        requests: paths, and what was asked for in the header Range.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.answers = [Answer()]
        self.requests: list[tuple[str, str | None]] = []
        self.stopped = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        answers, asked = self.server.answers, self.headers.get("Range")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.requests.append((self.path, asked))
        content = self.server.files.get(self.path.rpartition("/")[2]) if answer.content is None else answer.content
        with contextlib.suppress(ConnectionError):
            if answer.stalls and answer.sent is None:
                self.server.stopped.wait(30)
            elif answer.status != 200 or content is None:
                self.send_response(answer.status if answer.status != 200 else 404, answer.reason)
                self.end_headers()
            else:
                self._send(answer, content, int(asked[len("bytes=") : -1]) if answer.ranges and asked else None)

    def _send(self, answer: Answer, content: bytes, start: int | None) -> None:
        body = content[start or 0 :]
        if not body:
            self.send_error(416)
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {answer.first(start)}-{len(content) - 1}/{len(content)}")
        if (length := answer.announced(len(body))) is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[: answer.sent])
        if answer.stalls:
            self.server.stopped.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A web server on this computer, whose answers a test chooses."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.stopped.set()
        server.shutdown()


@pytest.fixture
def answer() -> type[Answer]:
    """`Answer`, which tests can't import."""
    return Answer
