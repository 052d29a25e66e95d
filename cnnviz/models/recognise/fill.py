"""Fill a network of the catalogue, or a chain, with the tensors of a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cnnviz.errors import CnnvizError
from cnnviz.models.catalogue.architecture import Architecture
from cnnviz.models.catalogue.registry import build, find
from cnnviz.models.chains.chain import is_chain, parse_chain
from cnnviz.models.checkpoint.match import LoadReport, apply, compare, match
from cnnviz.models.recognise import recognise
from cnnviz.models.recognise.rebuild.chains import describe_layers
from cnnviz.models.recognise.rebuild.layers import FileLayer
from cnnviz.models.recognise.shapes import sized_shapes

if TYPE_CHECKING:
    from torch import Tensor, nn


def fill(entry: Architecture, tensors: Mapping[str, Tensor], classes: int | None) -> tuple[nn.Module, LoadReport]:
    """The network with the tensors of a file, and how they were matched. Raises BadCheckpoint if they do not fit."""
    module = skeleton(entry, classes)
    named, renamed = name_tensors(tensors, entry)
    report = match(named, module)
    apply(named, module, report, entry.name)
    return module, report if renamed is None else replace(report, renamed=renamed)


def compare_to(entry: Architecture, tensors: Mapping[str, Tensor], classes: int | None) -> LoadReport:
    """How the tensors of a file match a network, which is not made."""
    named, renamed = name_tensors(tensors, entry)
    report = compare(named, sized_shapes(entry.name, classes))
    return report if renamed is None else replace(report, renamed=renamed)


def fits(tensors: Mapping[str, Tensor], name: str) -> bool:
    """True if the tensors are those of the network `name`, with its number of classes or another."""
    try:
        return not compare_to(find(name), tensors, count_classes(tensors, name)).problems()
    except CnnvizError:
        return False


def computes(name: str, other: str, tensors: Mapping[str, Tensor]) -> bool:
    """True if two networks, filled with the tensors, give the same scores for the same images."""
    import torch

    size = find(name).input_size
    if size != find(other).input_size:
        return False
    images = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    try:
        made = [fill(find(n), tensors, count_classes(tensors, n))[0].eval() for n in (name, other)]
        with torch.inference_mode():
            one, two = (module(images) for module in made)
    except (CnnvizError, RuntimeError):
        return False
    return bool(one.shape == two.shape and torch.allclose(one, two, rtol=1e-4, atol=1e-5))


def count_classes(tensors: Mapping[str, Tensor], name: str) -> int | None:
    """The number of classes of a file for the network `name`, by its last layer; None if it can't be said."""
    if is_chain(name):
        return describe_layers(tensors).classes or None
    return recognise.count_classes(tensors, name)


def name_tensors(
    tensors: Mapping[str, Tensor], entry: Architecture
) -> tuple[dict[str, Tensor], list[tuple[str, str]] | None]:
    """The tensors under the names of a chain's layers, which are found by their order, and (name in the file, name in
    the network) of those that changed; for any other network the tensors as they are, and None."""
    if not is_chain(entry.name):
        return dict(tensors), None
    chain, found = parse_chain(entry.name), describe_layers(tensors)
    ours = [name for name, step in zip(chain.layer_names, chain.steps, strict=True) if step.has_tensors]
    if len(ours) != len(found.layers):
        return dict(tensors), None
    pairs = {
        key: f"{name}.{part}" for name, layer in zip(ours, found.layers, strict=True) for key, part in _keys(layer)
    }
    named = {pairs.get(key, key): tensor for key, tensor in tensors.items()}
    return named, [(key, ours) for key, ours in pairs.items() if key != ours]


def _keys(layer: FileLayer) -> list[tuple[str, str]]:
    return [(key, part) for part, key in layer.keys.items()]


def skeleton(entry: Architecture, classes: int | None) -> nn.Module:
    """The network as a file may fill it: without memory for its tensors, where none is a constant."""
    import torch

    with torch.device("meta"):
        module = build(entry.name, classes)
    constants = {key for key, _ in module.named_buffers()} - module.state_dict().keys()
    real = constants or any(map(_is_constant, module.modules()))
    return build(entry.name, classes) if real else module  # no file holds constants: make them for real


def _is_constant(module: nn.Module) -> bool:
    """True if a layer keeps a tensor that is neither parameter nor buffer, bare or in a list, tuple or dict."""
    from torch import Tensor

    kept: list[object] = [v for key, v in vars(module).items() if key not in ("_parameters", "_buffers", "_modules")]
    for value in tuple(kept):
        if isinstance(value, list | tuple | dict):
            kept += value.values() if isinstance(value, dict) else value
    return any(isinstance(value, Tensor) and value.is_meta for value in kept)
