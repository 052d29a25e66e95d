"""How deep the networks of the ImageNet challenge are: their layers with weights, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.studies.anatomy.anatomy import anatomy

STRIP = (  # network, title, year
    ("alexnet_2012", "AlexNet", 2012),
    ("vgg19", "VGG-19", 2014),
    ("googlenet_2014", "GoogLeNet", 2014),
    ("resnet152_v1", "ResNet-152", 2015),
)


@dataclass(frozen=True, slots=True)
class DepthStrip:
    """One network. `layers`: the kind of each layer with weights on its longest path, "conv" or "linear", the image's
    side first; `blocks`: how many of them each block holds."""

    name: str
    title: str
    year: int
    layers: tuple[str, ...]
    blocks: tuple[int, ...]


def depth_strips() -> tuple[DepthStrip, ...]:
    """AlexNet, VGG-19, GoogLeNet and ResNet-152 of the catalogue.

    Source of the comparison: He et al., "Deep Residual Learning", talk at ICCV 2015 and CVPR 2016, "Revolution of
    depth". Depth counts convolutions and linear layers; side by side branches count once."""
    made = []
    for name, title, year in STRIP:
        found = anatomy(name)
        held = [block for block in found.blocks if block.depth]
        kinds = ["linear" if block.kind == "linear" else "conv" for block in held for _ in range(block.depth)]
        made.append(DepthStrip(name, title, year, tuple(kinds), tuple(block.depth for block in held)))
    return tuple(made)
