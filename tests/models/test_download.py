"""Downloads of weights from a server on this computer: put in place whole, or nothing is left of them."""

import contextlib
import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from helpers.models import WeightsError, architectures, backbone
from helpers.models.download import fetch

SMALL = "mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights but those of installed packages."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder."""
    (tmp_path / "data/weights").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def small_state() -> dict[str, Tensor]:
    """What a file of weights for the small network holds."""
    return architectures.build(architectures.get(SMALL), seed=8).state_dict()


class Server:
    """Serves `content` at any address; may break off or fall silent before the end."""

    def __init__(self) -> None:
        self.content, self.sent, self.announced, self.silent = b"", None, True, False
        self.requests: list[str] = []
        self.stopped = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                if not server.content:
                    self.send_error(404)
                    return
                self.send_response(200)
                if server.announced:
                    self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(server.content[: server.sent])
                    if server.silent:
                        server.stopped.wait(30)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def served(server, small_state, tmp_path) -> architectures.Architecture:
    """The small network, with weights at an address of the server."""
    torch.save(small_state, tmp_path / "served.pth")
    server.content = (tmp_path / "served.pth").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    return replace(architectures.get(SMALL), urls=(f"{server.url}/some_small_{digest[:8]}/small_ra-{digest[:8]}.pth",))


def test_a_download_is_put_in_place_and_found(served, server, root, capsys):
    file = fetch(served, root=root, progress=False)
    assert file.path.parent == root / "weights" and file.path.name == f"{SMALL}{served.urls[0][-13:]}"
    assert file.path.read_bytes() == server.content
    assert backbone(SMALL, weights="imagenet", root=root).pretrained
    assert fetch(served, root=root) == file
    assert len(server.requests) == 1
    assert "Nothing to fetch" in capsys.readouterr().err


def test_a_download_without_a_length_or_from_a_mirror(served, server, root):
    server.announced = False
    elsewhere = replace(served, urls=(served.urls[0].replace(server.url, "http://unused.invalid"),))
    assert fetch(elsewhere, root=root, url=f"{server.url}/mirror/", progress=False).path.is_file()
    assert server.requests == [f"/mirror/{served.urls[0].rpartition('/')[2]}"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"sent": 1000}, "broke off after 1,000 of"),
        ({"sent": 1000, "announced": False}, "SHA-256"),
        ({"content": b"<html>please log in</html>"}, "is another file"),
        ({"content": b""}, "the server answered 404"),
        ({"sent": 1000, "silent": True}, "said nothing for 0.2 seconds"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(faults, message, served, server, root):
    for name, value in faults.items():
        setattr(server, name, value)
    with pytest.raises(WeightsError, match=message) as caught:
        fetch(served, root=root, timeout=0.2, progress=False)
    assert "Nothing was kept. Try again" in str(caught.value) and f"weights/{SMALL}.pth" in str(caught.value)
    assert list((root / "weights").iterdir()) == []


def test_weights_without_an_address_come_through_hugging_faces_client(root, small_state, tmp_path, monkeypatch):
    hub = tmp_path / "hub/models--timm--mobilenetv3_small_050.lamb_in1k"
    asked = []

    def client(repository: str, name: str, revision: str | None) -> None:
        asked.append((repository, name, revision))
        (hub / "snapshots/abc").mkdir(parents=True)
        (hub / "refs").mkdir()
        (hub / "refs/main").write_text("abc")
        save_file(small_state, hub / "snapshots/abc" / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
    small = replace(architectures.get(SMALL), urls=())
    assert fetch(small, root=root, progress=False).origin.startswith("ImageNet, from Hugging Face's cache (timm/")
    assert asked == [("timm/mobilenetv3_small_050.lamb_in1k", "model.safetensors", None)]
    assert backbone(SMALL, root=root).pretrained


def test_hugging_faces_client_offline_is_told_like_other_failures(root, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    small = replace(architectures.get(SMALL), urls=())
    with pytest.raises(WeightsError, match="Nothing was kept"):
        fetch(small, root=root, progress=False)


def test_backbone_downloads_when_asked_to(served, root, monkeypatch):
    monkeypatch.setattr(architectures, "get", lambda name: served)
    assert backbone(SMALL, weights="download", root=root).pretrained
