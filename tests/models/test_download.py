"""Weights from a server on this computer: put in place whole and if they fit, or not at all.

How the file itself comes is tested with `helpers.data.download`.
"""

import errno
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.models import WeightsError, architectures, backbone, download
from helpers.models.download import fetch


@pytest.fixture
def served(server, small_state, tmp_path, small) -> architectures.Architecture:
    """The small network, with weights at an address of the server."""
    torch.save(small_state, tmp_path / "served.pth")
    content = (tmp_path / "served.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    name = f"small_ra-{digest[:8]}.pth"
    server.files[name] = content
    url = f"{server.url}/some_small_{digest[:8]}/{name}"
    return replace(architectures.get(small), urls=(url,), hub_repository="")


def test_a_download_is_put_in_place_and_found(served, server, root, capsys, small):
    file = fetch(served, root=root, progress=False)
    assert file.path.parent == root / "weights" and file.path.name == f"{small}{served.urls[0][-13:]}"
    assert [file.path.read_bytes()] == list(server.files.values())
    assert list((root / "weights").iterdir()) == [file.path]
    assert backbone(small, weights="imagenet", root=root).pretrained
    assert fetch(served, root=root) == file
    assert len(server.requests) == 1
    assert "Nothing to fetch" in capsys.readouterr().err


def test_mirrors_are_tried_in_order_and_without_a_length(served, server, root, answer):
    server.answers = [answer(status=404), answer(announced=lambda length: None)]
    elsewhere = replace(served, urls=(served.urls[0].replace(server.url, "http://unused.invalid"),))
    mirrors = [f"{server.url}/a", f"{server.url}/b/"]
    assert fetch(elsewhere, root=root, urls=mirrors, progress=False).path.is_file()
    name = served.urls[0].rpartition("/")[2]
    assert [request[0] for request in server.requests] == [f"/a/{name}", f"/b/{name}"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"content": b"<html>please log in</html>"}, "is another file"),
        ({"status": 404}, "the server answered 404"),
        ({"stalls": True}, r"said nothing for 0\.2 seconds"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(faults, message, served, server, root, small, answer):
    server.answers = [answer(**faults)]
    with pytest.raises(WeightsError, match=message) as caught:
        fetch(served, root=root, timeout=0.2, progress=False)
    assert "(nothing was kept). Try again" in str(caught.value) and f"weights/{small}.pth" in str(caught.value)
    assert list((root / "weights").iterdir()) == []


def test_the_next_fetch_goes_on_where_one_broke_off(served, server, root, small, answer):
    server.answers = [answer(sent=1000), answer(status=500), answer()]
    with pytest.raises(WeightsError, match=r"answered 500 .*kept, and the next try goes on from there"):
        fetch(served, root=root, progress=False)
    assert not backbone(small, root=root).pretrained
    file = fetch(served, root=root, progress=False)
    assert [request[1] for request in server.requests] == [None, "bytes=1000-", "bytes=1000-"]
    assert list((root / "weights").iterdir()) == [file.path]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_download_that_does_not_fit_the_network_is_not_kept(wrapped, served, server, small, root, tmp_path):
    foreign = {f"stem.{name}": tensor for name, tensor in torch.load(tmp_path / "served.pth").items()}
    torch.save({"model": foreign} if wrapped else foreign, tmp_path / "foreign.pth")
    content = (tmp_path / "foreign.pth").read_bytes()
    name = f"foreign-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.files[name] = content
    with pytest.raises(WeightsError, match="doesn't fit the network"):
        fetch(replace(served, urls=(f"{server.url}/{name}",)), root=root, progress=False)
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
    with pytest.raises(WeightsError, match="Hugging Face can't be reached"):
        fetch(architectures.get(small), root=root, progress=False)


def test_errors_of_hugging_faces_client_are_one_line(hub_client, small, root):
    # Those of the libraries below it, such as httpx's, are no OSErrors.
    hub_client(Exception("The read operation\ntimed out"))
    with pytest.raises(WeightsError, match=r"client says: The read operation timed out\. Try again"):
        fetch(architectures.get(small), root=root, progress=False)


def test_a_full_disk_is_told_as_such(hub_client, small, root):
    hub_client(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(WeightsError, match="No space left on device"):
        fetch(architectures.get(small), root=root, progress=False)


def test_what_cannot_be_found_after_the_fetch_is_an_error(monkeypatch, small, root):
    monkeypatch.setattr(download, "_fetch_from_hub", lambda architecture: None)
    with pytest.raises(WeightsError, match="aren't where they are looked for"):
        fetch(architectures.get(small), root=root, progress=False)


@pytest.mark.parametrize(
    ("name", "urls", "message"),
    [
        ("deit_tiny_patch16_224", ["http://unused.invalid"], "there is no --url: leave it out"),
        ("convnextv2_small", [], "no ImageNet weights are published for convnextv2_small"),
    ],
)
def test_what_cannot_be_downloaded_so_is_refused(name, urls, message, root):
    with pytest.raises(WeightsError, match=message):
        fetch(architectures.get(name), root=root, urls=urls, progress=False)


def test_backbone_downloads_when_asked_to(served, root, monkeypatch, small):
    monkeypatch.setattr(architectures, "get", lambda name: served)
    assert backbone(small, weights="download", root=root).pretrained
