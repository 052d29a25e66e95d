"""Tables of layers of related networks: VGG's configurations side by side, and what ZFNet changes in AlexNet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz.errors import unknown
from cnnviz.studies.anatomy.anatomy import anatomy
from cnnviz.studies.anatomy.rows import LayerRow

CONFIGURATIONS = {  # column of the paper's table 1: (network, top-1 and top-5 error in % at one scale, table 3)
    "A": ("vgg11", 29.6, 10.4),
    "A-LRN": ("vgg11_lrn", 29.7, 10.5),
    "B": ("vgg13", 28.7, 9.9),
    "C": ("vgg16_c", 27.3, 8.8),
    "D": ("vgg16", 25.6, 8.1),
    "E": ("vgg19", 25.5, 8.0),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """One column of VGG's table. `stages`: of each stage, (layer, whether the column adds it to the one before).
    `parameters` with, `weights` without biases; `layers` with weights; errors in per cent, one network, one scale."""

    name: str
    network: str
    stages: tuple[tuple[tuple[str, bool], ...], ...]
    layers: int
    parameters: int
    weights: int
    macs: int
    top1: float
    top5: float


def vgg_configurations(columns: Sequence[str] = tuple(CONFIGURATIONS)) -> tuple[Configuration, ...]:
    """Columns of table 1, in its order, from the registered networks; additions are to the column given before.

    Source: Simonyan and Zisserman, ICLR 2015 (arXiv:1409.1556), tables 1 to 3. Raises UnknownName."""
    for column in columns:
        if column not in CONFIGURATIONS:
            unknown("configuration", column, CONFIGURATIONS)
    found: list[Configuration] = []
    before: list[list[str]] = []
    for column in [name for name in CONFIGURATIONS if name in columns]:
        network, top1, top5 = CONFIGURATIONS[column]
        built = anatomy(network)
        stages = _list_stages(built.rows)
        marked = [_mark_added(stage, before[at] if before else stage) for at, stage in enumerate(stages)]
        depth = sum(row.kind in ("conv", "linear") for row in built.rows)
        counts = (depth, built.parameters, built.weights, built.macs)
        found.append(Configuration(column, network, tuple(marked), *counts, top1, top5))
        before = stages
    return tuple(found)


def _list_stages(rows: Sequence[LayerRow]) -> list[list[str]]:
    """ "conv3-64" and "LRN" of each stage, which a pool ends."""
    stages: list[list[str]] = [[]]
    for row in rows:
        if row.kind == "conv" and row.kernel is not None:
            stages[-1].append(f"conv{row.kernel[0]}-{row.output[0]}")
        elif row.kind == "lrn":
            stages[-1].append("LRN")
        elif row.kind == "pool" and stages[-1]:
            stages.append([])
    return [stage for stage in stages if stage]


def _mark_added(stage: list[str], before: list[str]) -> tuple[tuple[str, bool], ...]:
    """Each layer, and whether the stage before has not as many of its kind."""
    left, marked = Counter(before), []
    for layer in stage:
        marked.append((layer, left[layer] < 1))
        left[layer] -= 1
    return tuple(marked)


@dataclass(frozen=True, slots=True)
class LayerChange:
    """The same layer in two networks. `before`, `after`: {property: value in words}; sizes are those of the output."""

    name: str
    before: dict[str, str]
    after: dict[str, str]

    def changed(self, what: str) -> bool:
        """Whether this property differs."""
        return self.before[what] != self.after[what]


PROPERTIES = ("kernel", "stride", "padding", "groups", "maps", "size", "parameters", "multiply-adds")
LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8")


def zfnet_changes() -> tuple[LayerChange, ...]:
    """Layer by layer, alexnet_2012 and zfnet as they are registered.

    Source: Zeiler and Fergus, ECCV 2014, section 4.1 and figure 3."""
    first, second = (
        [row for row in anatomy(name).rows if row.kind in ("conv", "pool", "linear")]
        for name in ("alexnet_2012", "zfnet")
    )
    pairs = zip(LAYERS, first, second, strict=True)
    return tuple(LayerChange(name, _describe(before), _describe(after)) for name, before, after in pairs)


def _describe(row: LayerRow) -> dict[str, str]:
    one = [str(pair[0]) if pair is not None else "" for pair in (row.kernel, row.stride, row.padding)]
    size = f"{row.output[1]}×{row.output[2]}" if len(row.output) == 3 else ""
    groups = str(row.groups) if row.kind == "conv" else ""
    costs = [f"{count:,}" if count else "" for count in (row.parameters, row.macs)]
    return dict(zip(PROPERTIES, (*one, groups, str(row.output[0]), size, *costs), strict=True))
