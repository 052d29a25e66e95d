"""Write the skeleton of a plugin for a file that is no chain: the layers that its tensors show, the pass to fill in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnviz.models.recognise.rebuild.chains import describe_layers
from cnnviz.models.recognise.rebuild.layers import CONV, LINEAR, NORM, FileLayer, list_layers

if TYPE_CHECKING:
    from torch import Tensor

_FILE = '''"""{sentence}.

Write the forward pass, correct strides and paddings, which tensors do not show, and the size of the input; then name
this file to cnnviz: `cnnviz show my_net --plugin FILE`, or in CNNVIZ_PLUGINS. Weights are matched by their order."""

import cnnviz
import torch
from torch import Tensor, nn


@cnnviz.register("my_net", input_size=({channels}, {side}, {side}), classes={classes})
class MyNet(nn.Module):
    def __init__(self, num_classes: int = {classes}) -> None:
        super().__init__()
{layers}

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("write the forward pass: from x, images (N, {channels}, H, W), to the scores")
'''


def write_skeleton(tensors: Mapping[str, Tensor]) -> str:
    """Python source of a class with the layers that the tensors show, in the file's order; its forward pass is left to
    fill in. Convolutions are padded so that maps keep their size; what is no known layer is a plain parameter."""
    found, layers = describe_layers(tensors), list_layers(tensors)
    weighted = [layer for layer in layers if layer.is_weighted]
    channels = found.channels or 3
    width = channels
    lines, names = [], set[str]()
    for layer in layers:
        name = _name(layer.path, names)
        head = layer is weighted[-1] if weighted else False
        lines.append(f"        self.{name} = {_write_layer(layer, width, head)}  # {layer.path or 'the whole file'}")
        width = layer.shape[0] if layer.kind == CONV else width
    return _FILE.format(
        sentence=found.sentence[:1].upper() + found.sentence[1:],
        channels=channels,
        side=28 if channels == 1 else 32,
        classes=weighted[-1].shape[0] if weighted else 1,
        layers="\n".join(lines) or "        pass",
    )


def _write_layer(layer: FileLayer, width: int, head: bool) -> str:
    bias = "" if "bias" in layer.keys else ", bias=False"
    outputs = "num_classes" if head else str(layer.shape[0])
    if layer.kind == CONV:
        inputs, kernel = layer.shape[1], layer.shape[2:]
        groups = layer.shape[0] if inputs == 1 and layer.shape[0] == width > 1 else 1
        size = str(kernel[0]) if kernel[0] == kernel[1] else str(tuple(kernel))
        same = tuple((side - 1) // 2 for side in kernel)
        padding = "" if not any(same) else f", padding={same[0] if same[0] == same[1] else same}"
        grouped = f", groups={groups}" if groups > 1 else ""
        return f"nn.Conv2d({inputs * groups}, {outputs}, {size}{padding}{grouped}{bias})"
    if layer.kind == LINEAR:
        return f"nn.Linear({layer.shape[1]}, {outputs}{bias})"
    if layer.kind == NORM:
        return f"nn.BatchNorm2d({layer.shape[0]}{'' if 'weight' in layer.keys else ', affine=False'})"
    return f"nn.Parameter(torch.zeros({', '.join(map(str, layer.shape))}))"


def _name(path: str, taken: set[str]) -> str:
    """A Python name for a path of the file, different from those before."""
    stem = re.sub(r"\W+", "_", path).strip("_") or "layer"
    stem = f"layer{stem}" if stem[0].isdigit() else stem
    name, number = stem, 2
    while name in taken or name in ("forward", "training", "half", "float", "double", "type", "train", "eval"):
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name
