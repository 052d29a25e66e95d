"""cnnviz, a microscope for convolutional networks. Names are imported when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.data.corpora import corpus
    from cnnviz.landscape.directions import filter_directions
    from cnnviz.landscape.surface import loss_surface
    from cnnviz.models.load import load
    from cnnviz.models.loaded import LoadedModel
    from cnnviz.models.plugins import register
    from cnnviz.models.registry import architectures, build
    from cnnviz.probes.capture import capture
    from cnnviz.probes.deconvnet import reconstruct
    from cnnviz.probes.filters import first_layer_filters
    from cnnviz.probes.receptive import receptive_field
    from cnnviz.probes.topk import PatchIndex, index_patches
    from cnnviz.studies.anatomy import anatomy
    from cnnviz.studies.equivariance import equivariance

__version__ = "0.1.0"

_HOME = {
    "LoadedModel": "cnnviz.models.loaded",
    "PatchIndex": "cnnviz.probes.topk",
    "anatomy": "cnnviz.studies.anatomy",
    "architectures": "cnnviz.models.registry",
    "build": "cnnviz.models.registry",
    "capture": "cnnviz.probes.capture",
    "corpus": "cnnviz.data.corpora",
    "equivariance": "cnnviz.studies.equivariance",
    "filter_directions": "cnnviz.landscape.directions",
    "first_layer_filters": "cnnviz.probes.filters",
    "index_patches": "cnnviz.probes.topk",
    "load": "cnnviz.models.load",
    "loss_surface": "cnnviz.landscape.surface",
    "receptive_field": "cnnviz.probes.receptive",
    "reconstruct": "cnnviz.probes.deconvnet",
    "register": "cnnviz.models.plugins",
}  # public name → module that defines it

__all__ = [
    "LoadedModel",
    "PatchIndex",
    "anatomy",
    "architectures",
    "build",
    "capture",
    "corpus",
    "equivariance",
    "filter_directions",
    "first_layer_filters",
    "index_patches",
    "load",
    "loss_surface",
    "receptive_field",
    "reconstruct",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cnnviz' has no attribute {name!r}. Public names: {', '.join(__all__)}.")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
