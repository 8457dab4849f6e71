"""Downloads of weights from a server on this computer: put in place whole, or nothing is left of them."""

import contextlib
import errno
import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.models import WeightsError, architectures, backbone, download
from helpers.models.download import fetch


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
def served(server, small_state, tmp_path, small) -> architectures.Architecture:
    """The small network, with weights at an address of the server."""
    torch.save(small_state, tmp_path / "served.pth")
    server.content = (tmp_path / "served.pth").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    url = f"{server.url}/some_small_{digest[:8]}/small_ra-{digest[:8]}.pth"
    return replace(architectures.get(small), urls=(url,), hub_repository="")


def test_a_download_is_put_in_place_and_found(served, server, root, capsys, small):
    file = fetch(served, root=root, progress=False)
    assert file.path.parent == root / "weights" and file.path.name == f"{small}{served.urls[0][-13:]}"
    assert file.path.read_bytes() == server.content
    assert backbone(small, weights="imagenet", root=root).pretrained
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
def test_a_failed_download_leaves_nothing_and_says_what_to_do(faults, message, served, server, root, small):
    for name, value in faults.items():
        setattr(server, name, value)
    with pytest.raises(WeightsError, match=message) as caught:
        fetch(served, root=root, timeout=0.2, progress=False)
    assert "Nothing was kept. Try again" in str(caught.value) and f"weights/{small}.pth" in str(caught.value)
    assert list((root / "weights").iterdir()) == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_download_that_does_not_fit_the_network_is_not_kept(wrapped, served, server, small, root, tmp_path):
    foreign = {f"stem.{name}": tensor for name, tensor in torch.load(tmp_path / "served.pth").items()}
    torch.save({"model": foreign} if wrapped else foreign, tmp_path / "foreign.pth")
    server.content = (tmp_path / "foreign.pth").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(WeightsError, match=r"doesn't fit the network \(.*Nothing was kept"):
        fetch(replace(served, urls=(f"{server.url}/foreign-{digest[:8]}.pth",)), root=root, progress=False)
    assert len(server.requests) == 1
    assert list((root / "weights").iterdir()) == []
    assert not backbone(small, root=root).pretrained


def test_of_timms_addresses_only_its_own_releases_are_taken():
    # The first as torchvision names its tensors, the second inside {"model": …}.
    for name in ("regnetx_004_tv", "deit_tiny_patch16_224"):
        found = architectures.get(name)
        assert found.urls == () and found.hub_repository.startswith(f"timm/{name}")
    assert "pytorch-image-models" in architectures.get("legacy_seresnet18").urls[0]


@pytest.fixture
def hub_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[object], list]:
    """Puts a state dict into Hugging Face's cache as its client does, or fails as that does; keeps what was asked."""

    def install(answer: object) -> list:
        asked = []

        def client(repository: str, name: str, revision: str | None) -> str:
            asked.append((repository, name, revision))
            if isinstance(answer, Exception):
                raise answer
            folder = tmp_path / f"hub/models--{repository.replace('/', '--')}"
            for part in ("blobs", "refs", "snapshots/abc"):
                (folder / part).mkdir(parents=True)
            (folder / "refs/main").write_text("abc")
            save_file(answer, folder / "blobs/123")
            (folder / "snapshots/abc" / name).symlink_to("../../blobs/123")
            return str(folder / "snapshots/abc" / name)

        monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
        return asked

    return install


def test_hugging_face_goes_before_addresses(hub_client, small, small_state, root):
    asked = hub_client(small_state)
    network = architectures.get(small)
    assert network.hub_repository and network.urls
    assert fetch(network, root=root, progress=False).origin.startswith("ImageNet, from Hugging Face's cache (timm/")
    assert asked == [("timm/mobilenetv3_small_050.lamb_in1k", "model.safetensors", None)]
    assert backbone(small, root=root).pretrained


def test_what_hugging_face_has_for_another_network_is_not_kept(hub_client, small, small_state, root, tmp_path):
    hub_client({f"stem.{name}": tensor for name, tensor in small_state.items()})
    with pytest.raises(WeightsError, match="doesn't fit the network"):
        fetch(architectures.get(small), root=root, progress=False)
    assert [path.name for path in (tmp_path / "hub").rglob("*") if not path.is_dir()] == ["main"]
    assert not backbone(small, root=root).pretrained


def test_hugging_faces_client_offline_is_told_like_other_failures(small, root):
    with pytest.raises(WeightsError, match=r"Hugging Face can't be reached.*Nothing was kept"):
        fetch(architectures.get(small), root=root, progress=False)


def test_errors_of_hugging_faces_client_are_one_line(hub_client, small, root):
    # Those of the libraries below it, such as httpx's, are no OSErrors.
    hub_client(Exception("The read operation\ntimed out"))
    with pytest.raises(WeightsError, match=r"client says: The read operation timed out\. Nothing was kept"):
        fetch(architectures.get(small), root=root, progress=False)


def test_a_full_disk_is_told_as_such(hub_client, small, root):
    hub_client(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(WeightsError, match="the disk is full"):
        fetch(architectures.get(small), root=root, progress=False)


def test_what_cannot_be_found_after_the_fetch_is_an_error(monkeypatch, small, root):
    monkeypatch.setattr(download, "_fetch_from_hub", lambda architecture: None)
    with pytest.raises(WeightsError, match="aren't where they are looked for"):
        fetch(architectures.get(small), root=root, progress=False)


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("deit_tiny_patch16_224", "http://unused.invalid", "there is no --url: leave it out"),
        ("convnextv2_small", None, "no ImageNet weights are published for convnextv2_small"),
    ],
)
def test_what_cannot_be_downloaded_so_is_refused(name, url, message, root):
    with pytest.raises(WeightsError, match=message):
        fetch(architectures.get(name), root=root, url=url, progress=False)


def test_backbone_downloads_when_asked_to(served, root, monkeypatch, small):
    monkeypatch.setattr(architectures, "get", lambda name: served)
    assert backbone(small, weights="download", root=root).pretrained
