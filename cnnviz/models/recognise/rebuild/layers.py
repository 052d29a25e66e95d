"""Layers that the tensors of a weights file show: convolutions, norms, linear layers, and whether they are a chain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.models.checkpoint.match import role, shapes
from cnnviz.models.checkpoint.prefixes import TRAINING, is_bookkeeping
from cnnviz.wording import plural

if TYPE_CHECKING:
    from torch import Tensor

CONV, LINEAR, NORM, PRELU, OTHER = "convolution", "linear layer", "norm", "PReLU", "other"
_CHANNELS = 4  # of an image, at most
_BLOCK = re.compile(
    r"(layer|stage|block|group|unit)\w*\.\d+\.(conv|bn|norm|branch)\w*\d|(^|[._])(res|skip|shortcut|downsample)(\d|idual|_|\.)"
)  # names within blocks that have a connection around them


@dataclass(frozen=True, slots=True)
class FileLayer:
    """One layer of a file. `path`: the common part of its tensors' names. `kind`: CONV, LINEAR, NORM, PRELU or OTHER.
    `shape`: of its weight, (O, I, kh, kw), (O, I) or (C,). `keys`: {role: name in the file}."""

    path: str
    kind: str
    shape: tuple[int, ...]
    keys: dict[str, str]

    @property
    def is_weighted(self) -> bool:
        """True for a convolution or a linear layer."""
        return self.kind in (CONV, LINEAR)

    @property
    def container(self) -> str:
        """The path before its last part."""
        return self.path.rpartition(".")[0]

    @property
    def place(self) -> int | None:
        """Its number within the container, where names are numbers as in `nn.Sequential`."""
        last = self.path.rpartition(".")[2]
        return int(last) if last.isdigit() else None


@dataclass(frozen=True, slots=True)
class FoundLayers:
    """What a file's tensors are, in words. `reason`: why they are no chain; "" if they are one. `channels`: of the
    input; `classes`: outputs of the last linear layer, or of the last convolution; 0: unknown."""

    layers: tuple[FileLayer, ...]
    reason: str

    @property
    def convolutions(self) -> int:
        """Number of convolutions."""
        return sum(layer.kind == CONV for layer in self.layers)

    @property
    def linear(self) -> int:
        """Number of linear layers."""
        return sum(layer.kind == LINEAR for layer in self.layers)

    @property
    def channels(self) -> int:
        """Input channels of the first convolution."""
        return next((layer.shape[1] for layer in self.layers if layer.kind == CONV), 0)

    @property
    def classes(self) -> int:
        """Outputs of the last linear layer, else of the last convolution."""
        kinds = {layer.kind: layer.shape[0] for layer in self.layers}
        return kinds.get(LINEAR, kinds.get(CONV, 0))

    @property
    def sentence(self) -> str:
        """E.g. "12 convolutions, 2 linear layers, 3 input channels, 7 classes; not a chain, since …"."""
        if not self.convolutions:
            widths = [layer.shape for layer in self.layers if layer.kind == LINEAR]
            if not widths:
                return "no convolution and no linear layer"
            sizes = "-".join(map(str, [widths[0][1], *(shape[0] for shape in widths)]))
            return f"no convolution, {_count(self.linear, 'linear layer')}: a multilayer perceptron {sizes}"
        norms = sum(layer.kind == NORM for layer in self.layers)
        parts = [_count(self.convolutions, "convolution"), _count(norms, "norm") if norms else ""]
        parts += [_count(self.linear, "linear layer"), _count(self.channels, "input channel")]
        parts += [_count(self.classes, "class", "classes")]
        return ", ".join(filter(None, parts)) + (f"; not a chain, since {self.reason}" if self.reason else "")


def list_layers(tensors: Mapping[str, Tensor]) -> list[FileLayer]:
    """The layers of a file in its order; what belongs to a training alone is left out."""
    groups: dict[str, dict[str, str]] = {}
    sizes = shapes(tensors)
    for key in sizes:
        if is_bookkeeping(key) or TRAINING.match(key):
            continue
        part = role(key)
        path = key.rpartition(".")[0] if part else key
        groups.setdefault(path, {})[part or "other"] = key
    return [_describe(path, keys, sizes) for path, keys in groups.items()]


def _describe(path: str, keys: dict[str, str], sizes: Mapping[str, tuple[int, ...]]) -> FileLayer:
    first = keys.get("weight") or keys.get("running_var") or next(iter(keys.values()))
    shape = sizes[first]
    kind = OTHER
    if "weight" in keys and "running_var" not in keys and not keys.keys() - {"weight", "bias"}:
        kind = {4: CONV, 2: LINEAR, 1: NORM if "bias" in keys else PRELU}.get(len(shape), OTHER)
        bias = sizes[keys["bias"]] if "bias" in keys else (shape[0],)
        kind = kind if bias == (shape[0],) else OTHER
    elif "running_var" in keys and not keys.keys() - {"weight", "bias", "running_mean", "running_var"}:
        kind = NORM if len(shape) == 1 and all(sizes[key] == shape for key in keys.values()) else OTHER
    return FileLayer(path, kind, shape, keys)


def order_chain(layers: Sequence[FileLayer]) -> FoundLayers:
    """The layers in the order of a chain: as the file has them, by the numbers in their names, or convolutions before
    linear layers, the first that fits; norms stand behind the layer that they belong to."""
    orders = [list(layers), sorted(layers, key=_natural)]
    orders += [sorted(order, key=lambda layer: layer.kind == LINEAR) for order in orders]
    found = [_attach(order) for order in orders]
    return next((chain for chain in found if not chain.reason), found[0])


def _attach(layers: list[FileLayer]) -> FoundLayers:
    """Norms and slopes behind the layers that they follow, and why the result is no chain."""
    if odd := next((layer for layer in layers if layer.kind == OTHER), None):
        return FoundLayers(tuple(layers), f"{odd.path} has the shape {_show(odd.shape)}, no layer of a chain")
    weighted = [layer for layer in layers if layer.is_weighted]
    reason = _find_break(weighted)
    placed = layers
    if not reason and (_misfits(layers) or _are_crowded(layers)):
        placed = _pair_norms(layers, weighted)
        if misfit := _misfits(placed):
            reason = f"{misfit.path} has {plural(misfit.shape[0], 'channel')}, which no layer before it gives"
    return FoundLayers(tuple(placed if not reason else layers), reason)


def _find_break(weighted: list[FileLayer]) -> str:
    """Why convolutions and linear layers do not follow one another; "" if they do."""
    if not any(layer.kind == CONV for layer in weighted):
        return "it has no convolution"
    if weighted[0].kind != CONV:
        return f"it begins with the linear layer {weighted[0].path}"
    if weighted[0].shape[1] > _CHANNELS:
        return f"{weighted[0].path} takes {plural(weighted[0].shape[1], 'channel')}, and images have 1 to {_CHANNELS}"
    before: FileLayer | None = None
    for layer in weighted:
        if before is None:
            before = layer
            continue
        given, wanted = before.shape[0], layer.shape[1]
        if layer.kind == CONV and before.kind == LINEAR:
            return f"the convolution {layer.path} follows the linear layer {before.path}"
        fits = given == wanted
        if layer.kind == CONV and wanted == 1:  # depthwise; shapes of other groups are those of branches, too
            fits = layer.shape[0] % given == 0
        if layer.kind == LINEAR and before.kind == CONV:
            fits = wanted % given == 0
        if not fits:
            word = "input channels" if layer.kind == CONV else "inputs"
            return f"{layer.path} has {wanted} {word} and the tensors before it give {given}"
        before = layer
    blocks = [layer.path for layer in weighted if _BLOCK.search(layer.path)]
    if len(blocks) > 1:
        return f"names such as {blocks[0]} are those of blocks with connections around them"
    return ""


def _misfits(layers: list[FileLayer]) -> FileLayer | None:
    """The first norm or slope whose channels are not those of the layer before it; None if all fit."""
    width, inputs = 0, next((layer.shape[1] for layer in layers if layer.is_weighted), 0)
    for i, layer in enumerate(layers):
        if layer.is_weighted:
            width = layer.shape[0]
        elif layer.shape[0] not in (width or inputs, *([1] if layer.kind == PRELU else [])) and not _is_flat(layers, i):
            return layer
    return None


def _are_crowded(layers: list[FileLayer]) -> bool:
    """True if several norms, or several slopes, stand behind one layer and none behind another: they were defined
    together."""
    for kind in (NORM, PRELU):
        marks = "".join(
            "w" if layer.is_weighted else "n" for layer in layers if layer.is_weighted or layer.kind == kind
        )
        if "nn" in marks and "ww" in marks:
            return True
    return False


def _is_flat(layers: list[FileLayer], place: int) -> bool:
    """True if the norm at `place` normalises what the following linear layer receives."""
    after = next((layer for layer in layers[place + 1 :] if layer.is_weighted), None)
    return after is not None and after.kind == LINEAR and layers[place].shape[0] == after.shape[1]


def _pair_norms(layers: list[FileLayer], weighted: list[FileLayer]) -> list[FileLayer]:
    """Norms that were defined together, `bn1, bn2, …` after `conv1, conv2, …`: each behind the layer of its number,
    else behind the next one that has its channels."""
    behind: dict[str, list[FileLayer]] = {layer.path: [] for layer in weighted}
    for kind in (NORM, PRELU):
        free = list(weighted)
        for norm in [layer for layer in layers if layer.kind == kind]:
            fitting = [layer for layer in free if norm.shape[0] in (layer.shape[0], 1 if kind == PRELU else -1)]
            if not fitting:
                return layers
            named = [layer for layer in fitting if _number(layer) == _number(norm) and layer.kind == CONV]
            chosen = named[0] if named else fitting[0]
            free = free[free.index(chosen) + 1 :]
            behind[chosen.path].append(norm)
    return [part for layer in weighted for part in (layer, *behind[layer.path])]


def _number(layer: FileLayer) -> str:
    return "".join(re.findall(r"\d+", layer.path)[-1:])


def _natural(layer: FileLayer) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", layer.path)]


def _count(number: int, word: str, several: str = "") -> str:
    return f"{number} {word if number == 1 else several or word + 's'}"


def _show(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"
