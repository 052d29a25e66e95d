"""Build a network of the catalogue with other channels, another head or other activations, as `description` says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from cnnviz.errors import BadInput
from cnnviz.models.catalogue.architecture import Architecture, published, registered
from cnnviz.models.families.blocks import he_normal
from cnnviz.models.variants.changes import (
    find_hidden_activations,
    refuse_called_dropout,
    remove_norms,
    replace_activations,
    set_dropout,
)
from cnnviz.models.variants.description import Head, HiddenLayer, NetworkVariant
from cnnviz.wording import plural

Found = TypeVar("Found")


def build_variant(num_classes: int, variant: NetworkVariant) -> nn.Module:
    """The network with random weights. Raises BadInput where it does not allow the changes."""
    entry = registered()[variant.base]
    module = _change_shapes(entry.builder(num_classes), num_classes, variant)
    own = variant.base not in published()
    if variant.activation:
        hidden = _try_own(entry, variant, find_hidden_activations) if own else None
        replace_activations(module, variant.activation, variant.name, variant.base, hidden)
    if not variant.norm:
        remove_norms(module, variant.name, variant.base)
    if variant.dropout is not None:
        if own:
            _try_own(entry, variant, refuse_called_dropout)
        set_dropout(module, variant.dropout, variant.name, variant.base)
    return module


def _change_shapes(module: nn.Module, num_classes: int, variant: NetworkVariant) -> nn.Module:
    if variant.channels:
        _replace_stem(module, variant)
    if variant.head:
        _replace_head(module, variant, variant.head, num_classes)
    return module


def _try_own(entry: Architecture, variant: NetworkVariant, try_out: Callable[..., Found]) -> Found:
    """What a trial tells of a network whose code is the user's own: built a second time, with weights."""
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        module = _change_shapes(entry.builder(entry.classes), entry.classes, variant)
        channels = variant.channels or entry.input_size[0]
        return try_out(module, (channels, *entry.input_size[1:]), variant.name, variant.base)


def _replace_stem(module: nn.Module, variant: NetworkVariant) -> None:
    name, conv = next(((n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d)), ("", None))
    if conv is None:
        raise BadInput(f"{variant.name}: {variant.base} has no convolution, whose input channels could change.")
    if conv.groups != 1 or conv.in_channels == variant.channels:
        raise BadInput(f"{variant.name}: {variant.base} itself takes {plural(conv.in_channels, 'channel')}.")
    assert variant.channels and isinstance(conv.padding, tuple)
    size, stride = (conv.kernel_size[0], conv.kernel_size[1]), (conv.stride[0], conv.stride[1])
    padding, bias = (conv.padding[0], conv.padding[1]), conv.bias is not None
    new = nn.Conv2d(variant.channels, conv.out_channels, size, stride, padding, bias=bias)
    he_normal(new)
    module.set_submodule(name, new)


def _replace_head(module: nn.Module, variant: NetworkVariant, head: Head, num_classes: int) -> None:
    """Layers that are as published stay; in the place of the first other one comes the rest of the head."""
    container, chain = find_head(module)
    if not chain or chain[-1][1].out_features != num_classes:
        raise BadInput(f"{variant.name}: {variant.base} does not end in a linear layer.")
    own = [HiddenLayer(linear.out_features) for _, linear in chain[:-1]]
    if list(head.hidden) == own and not head.norm:
        raise BadInput(f"{variant.name} is {variant.base} itself. Leave the layers out of its name.")
    kept = 0
    while not head.norm and kept < min(len(own), len(head.hidden)) and own[kept] == head.hidden[kept]:
        kept += 1
    name, replaced = chain[kept]
    new = _build_head(replaced.in_features, Head(head.hidden[kept:], head.norm), num_classes)
    module.set_submodule(name, new)
    siblings = list(container.named_children())
    place = [child for child, _ in siblings].index(name.rpartition(".")[2])
    for child, _ in siblings[place + 1 :] if isinstance(container, nn.Sequential) else ():
        delattr(container, child)


def find_head(module: nn.Module) -> tuple[nn.Module, list[tuple[str, nn.Linear]]]:
    """The module that holds the network's last linear layer, and (name, layer) of the linear layers in it that nothing
    but they and layers without weights follow; of a module that is no sequence, the last alone. None: ([], module)."""
    named = dict(module.named_modules())
    last = next((name for name, child in reversed(named.items()) if list(child.parameters(recurse=False))), "")
    if not isinstance(named[last], nn.Linear):
        return module, []
    container = named[last.rpartition(".")[0]]
    chain: list[tuple[str, nn.Linear]] = []
    for name, child in reversed(list(container.named_children())):
        path = f"{last.rpartition('.')[0]}.{name}".removeprefix(".")
        if isinstance(child, nn.Linear) and (not chain or isinstance(container, nn.Sequential)):
            chain.insert(0, (path, child))
        elif list(child.parameters()):
            break
    return container, chain


def _build_head(inputs: int, head: Head, num_classes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.BatchNorm1d(inputs)] if head.norm else []
    for layer in head.hidden:
        layers.append(nn.Linear(inputs, layer.width, bias=layer.bias))
        layers += [nn.BatchNorm1d(layer.width)] if layer.norm else []
        layers += [nn.ReLU(inplace=True), nn.Dropout()]
        inputs = layer.width
    layers.append(nn.Linear(inputs, num_classes))
    found = nn.Sequential(*layers) if len(layers) > 1 else layers[0]
    he_normal(found, "fan_in")
    return found
