"""Which layer's feature maps show the output of a block."""

from __future__ import annotations

import torch

from cnnviz.models.catalogue.meta_build import build_anywhere
from cnnviz.models.catalogue.registry import find
from cnnviz.models.model import layer_kinds
from cnnviz.studies.anatomy.anatomy import anatomy


def find_map_layers(name: str) -> dict[str, str]:
    """{block: the layer of an architecture whose maps show what the block puts out}: the block as a module, else its
    last convolution, pooling or linear layer, in front of norm and rectifier. A block without any of them is left out.

    Raises UnknownName for a name that the catalogue has not.

    Example:
        >>> find_map_layers("resnet20_cifar")["layer2.0"], find_map_layers("mobilenet_v2")["features.0"]
        ('layer2.0', 'features.0.0')
    """
    entry, found = find(name), anatomy(name)
    with torch.device("meta"):
        known = layer_kinds(build_anywhere(lambda: entry.builder(entry.classes)))
    layers = {}
    for block in found.blocks:
        inside = [found.rows[index].layer.partition(":")[0] for index in block.rows]
        shown = [layer for layer in (*inside, block.block) if layer in known]
        if shown:
            layers[block.block] = shown[-1]
    return layers
