"""A network without training: random weights with the classes and the preprocessing of trained ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnviz.data.class_names import class_names
from cnnviz.models.catalogue.registry import find
from cnnviz.models.load import load, rescale_input
from cnnviz.models.zoo import download as pretrained

if TYPE_CHECKING:
    from cnnviz.models.model import LoadedModel


def load_untrained(
    name: str, weights: str, device: str = "auto", load_trained: Callable[[], LoadedModel] | None = None
) -> LoadedModel:
    """The network `name` with random weights, in place of `weights` (as for `load`).

    Class names and preprocessing are those of the trained weights, so that both can be compared on one image. Of
    "pretrained" they are published beside the file, which is not downloaded; else the trained network is asked:
    `load_trained()`, by default `load(name, weights, device)`. Raises as `load` does."""
    entry = find(name)
    if weights == "pretrained" and entry.pretrained is not None:
        trained = pretrained.find_weights(entry)
        names = trained.meta.get("categories") or class_names(entry.labels, entry.classes)
        expects, rescaled = trained.preprocessing, name in pretrained.SCALED_INPUT
    else:
        model = load(name, weights, device) if load_trained is None else load_trained()
        names, expects = model.class_names, model.preprocessing
        rescaled = getattr(model.module, "transform_input", False)
    twin = load(name, "random", device, class_names=names, preprocessing=expects)
    if rescaled:  # torchvision's ports rescale their input inside, which is preprocessing, too
        rescale_input(twin.module)
    return twin
