"""cnnviz, a microscope for convolutional networks. Names are imported when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.attribution.reconstruct import reconstruct
    from cnnviz.data.open import corpus
    from cnnviz.index.search.build import PatchIndex, index_patches
    from cnnviz.landscape.plane.directions import filter_directions
    from cnnviz.landscape.plane.surface import loss_surface
    from cnnviz.models.catalogue.plugins import register
    from cnnviz.models.catalogue.registry import architectures, build
    from cnnviz.models.load import load
    from cnnviz.models.model import LoadedModel
    from cnnviz.probes.capture import capture
    from cnnviz.probes.filters import first_layer_filters
    from cnnviz.studies.anatomy.anatomy import anatomy
    from cnnviz.studies.equivariance.shift import equivariance
    from cnnviz.synthesis.maximize import maximize_activation
    from cnnviz.tracing.receptive_field import receptive_field
    from cnnviz.training.record.recorder import record

__version__ = "0.2.0"

_HOME = {
    "LoadedModel": "cnnviz.models.model",
    "PatchIndex": "cnnviz.index.search.build",
    "anatomy": "cnnviz.studies.anatomy.anatomy",
    "architectures": "cnnviz.models.catalogue.registry",
    "build": "cnnviz.models.catalogue.registry",
    "capture": "cnnviz.probes.capture",
    "corpus": "cnnviz.data.open",
    "equivariance": "cnnviz.studies.equivariance.shift",
    "filter_directions": "cnnviz.landscape.plane.directions",
    "first_layer_filters": "cnnviz.probes.filters",
    "index_patches": "cnnviz.index.search.build",
    "load": "cnnviz.models.load",
    "loss_surface": "cnnviz.landscape.plane.surface",
    "maximize_activation": "cnnviz.synthesis.maximize",
    "receptive_field": "cnnviz.tracing.receptive_field",
    "reconstruct": "cnnviz.attribution.reconstruct",
    "record": "cnnviz.training.record.recorder",
    "register": "cnnviz.models.catalogue.plugins",
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
    "maximize_activation",
    "receptive_field",
    "reconstruct",
    "record",
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
