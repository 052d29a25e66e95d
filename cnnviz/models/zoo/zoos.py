"""Networks by prefix: `timm:NAME`, `pytorchcv:NAME`, `torchvision:NAME`; and the descriptions `variant:NAME.CHANGES`
and `chain:STEPS`.

The packages give shapes, addresses and preprocessing; cnnviz downloads and reads the files itself and runs nothing
that is pickled in them."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from cnnviz.errors import CnnvizError, import_package, unknown
from cnnviz.models.zoo import chains, pytorchcv, timm, torchvision, variants

if TYPE_CHECKING:
    from cnnviz.models.catalogue.architecture import Architecture
    from cnnviz.models.zoo.public_weights import PublicWeights

ZOOS = {"timm": timm, "pytorchcv": pytorchcv, "torchvision": torchvision}  # prefix, the package's name → its adapter
BUILT_IN = {"chain": chains, "variant": variants}  # what has a prefix and needs no package
_PREFIX = re.compile(r"[A-Za-z_]\w+:")  # more than one letter: C:\ is no zoo


def is_prefixed(name: str) -> bool:
    """True if `name` has the form PREFIX:NAME, whatever the prefix."""
    return _PREFIX.match(name) is not None


def find(name: str) -> Architecture:
    """The entry of "timm:resnet18" and the like; a tag after the name chooses among several weights
    ("timm:resnet18.a1_in1k", "torchvision:resnet50.IMAGENET1K_V2").

    Raises UnknownName with the closest names, CnnvizError with the command if the package is not
    installed, BadInput if it is no image classifier."""
    zoo, _, rest = name.partition(":")
    if zoo == "variant":  # of a network of one's own, which may be registered again
        return variants.architecture(rest)
    return _find(zoo, rest)


@lru_cache(4096)  # a description may be anybody's
def _find(zoo: str, rest: str) -> Architecture:
    return _adapter(zoo).architecture(rest)


def names(zoo: str) -> list[str]:
    """The networks that a zoo offers, sorted, without prefix. Raises as `find`."""
    return _adapter(zoo).names()


def weights(key: str) -> PublicWeights:
    """The public weights behind `Architecture.pretrained`, e.g. "timm:resnet18.a1_in1k"."""
    zoo, _, rest = key.partition(":")
    return _adapter(zoo).weights(rest)


def is_installed(zoo: str) -> bool:
    """True if the zoo's package can be imported."""
    return find_spec(zoo) is not None


def how_to_install(zoo: str) -> str:
    """The command that installs a zoo, as a phrase for messages."""
    return f'pip install "cnnviz[{zoo}]", or pip install {zoo}'


def _adapter(zoo: str) -> ModuleType:
    if zoo in BUILT_IN:
        return BUILT_IN[zoo]
    if zoo not in ZOOS:
        unknown("zoo", zoo, ZOOS)
    if not is_installed(zoo):
        raise CnnvizError(f"{zoo}:… needs the package {zoo}, which is not installed. Use {how_to_install(zoo)}.")
    import cnnviz.torchvision_import  # noqa: F401  timm asks for torchvision

    # whole, before its parts are asked for, so that a second thread waits for the first
    import_package(zoo, f"{zoo}:… is built by {zoo}")
    return ZOOS[zoo]
