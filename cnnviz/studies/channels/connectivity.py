"""Connectivity of channels: which channels feed a channel most strongly, and which it feeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np
from torch import Tensor, nn

from cnnviz.display import Summarised
from cnnviz.models.model import LoadedModel
from cnnviz.tracing.graph import Graph, trace_graph

Unit = tuple[str, int]  # layer, channel
_KEEPS = ("norm", "lrn", "activation", "dropout", "pool")  # kinds of step that leave every channel in its place


@dataclass(frozen=True, slots=True)
class Link:
    """One channel and the norm of the weights that join it to another. `layer`: "" for the image, None where
    the channel is no single layer's."""

    layer: str | None
    channel: int
    norm: float


@dataclass(frozen=True, slots=True, repr=False)
class Connectivity(Summarised):
    """The weights of a network as links between channels.

    `sources`: {layer with weights: what stands on each of its input channels}, in the order of the pass;
    `norms`: {layer: (outputs, inputs) float32, the L2 norm of each kernel, 0 between different groups};
    `joined`: {block that lays the outputs of others behind one another: whose channels these are}."""

    sources: dict[str, list[Unit | None]]
    norms: dict[str, np.ndarray]
    joined: dict[str, list[Unit | None]] = field(default_factory=dict)

    def inputs(self, layer: str, channel: int, most: int = 6) -> list[Link] | None:
        """The channels that enter (layer, channel) most strongly, strongest first; None unless the layer is a
        convolution, a linear layer, or a block that joins such."""
        layer, channel = self._meant(layer, channel)
        if layer not in self.norms or not 0 <= channel < len(self.norms[layer]):
            return None
        row = self.norms[layer][channel]
        order = [int(i) for i in np.argsort(-row, kind="stable")[:most] if row[i] > 0]
        return [_link(self.sources[layer][i], i, float(row[i])) for i in order]

    def outputs(self, layer: str, channel: int, most: int = 6) -> list[Link] | None:
        """The channels of following layers that (layer, channel) enters most strongly, strongest first; None
        where no layer with weights reads it directly."""
        layer, channel = self._meant(layer, channel)
        found = []
        for reader, sources in self.sources.items():
            if (layer, channel) in sources:
                column = self.norms[reader][:, sources.index((layer, channel))]
                found += [Link(reader, int(c), float(column[c])) for c in np.argsort(-column, kind="stable")[:most]]
        return sorted(found, key=lambda link: -link.norm)[:most] or None

    def _meant(self, layer: str, channel: int) -> Unit:
        units = self.joined.get(layer, [])
        return (units[channel] if channel < len(units) else None) or (layer, channel)


def _link(source: Unit | None, place: int, norm: float) -> Link:
    return Link(None, place, norm) if source is None else Link(*source, norm)


def trace_connectivity(model: LoadedModel) -> Connectivity:
    """Follow the network's graph backwards from every convolution and linear layer.

    Norms, activations, pooling and dropout leave a channel in its place; concatenations lay channels behind one
    another; the sum at the end of a residual block is the block's own output. Weights are taken as they are,
    without the scale of a norm behind them. A layer that is called twice is looked at in its first call."""
    with model.lock:
        graph = trace_graph(model.module, model.input_size)
    modules = dict(model.module.named_modules())
    sources: dict[str, list[Unit | None]] = {}
    norms: dict[str, np.ndarray] = {}
    ends = _find_block_outputs(graph)
    carried = _carry_units(graph, modules, ends)
    for node in graph.nodes:
        module = modules.get(node.module)
        if not isinstance(module, nn.Conv2d | nn.Linear) or node.call != 1:
            continue
        image: list[Unit | None] = [("", c) for c in range(node.inputs[0])]
        entering = carried[node.parents[0]] if node.parents else image
        found = _norms(module, len(entering))
        if found is not None:
            sources[node.module], norms[node.module] = entering, found
    joined = {node.module: carried[node.id] for node in graph.nodes if node.kind == "concat" and node.id in ends}
    return Connectivity(sources, norms, joined)


def _find_block_outputs(graph: Graph) -> set[int]:
    """Joins behind which nothing in the code of their block changes what a channel is: the block's output."""
    last: dict[str, int] = {}
    for node in graph.nodes:
        if node.kind not in _KEEPS:
            parts = node.module.split(".")
            last |= {".".join(parts[:n]): node.id for n in range(1, len(parts) + 1)}
    return {node.id for node in graph.nodes if node.module and not node.call and last.get(node.module) == node.id}


def _carry_units(graph: Graph, modules: dict[str, nn.Module], ends: set[int]) -> list[list[Unit | None]]:
    """For every node what stands on each channel of its output."""
    carried: list[list[Unit | None]] = []
    for node in graph.nodes:
        channels = node.output[0] if node.output else 1
        parents = [carried[p] for p in node.parents]
        together = [unit for parent in parents for unit in parent]
        if isinstance(modules.get(node.module), nn.Conv2d | nn.Linear):
            carried.append([(node.module, c) for c in range(channels)])
        elif node.kind == "concat" and len(together) == channels:
            carried.append(together)
        elif node.kind in _KEEPS and len(parents) == 1 and len(parents[0]) == channels:
            carried.append(parents[0])
        else:
            own = node.kind == "add" and node.id in ends  # a block's sum is its output; other joins are nobody's
            carried.append([(node.module, c) if own else None for c in range(channels)])
    return carried


def _norms(module: nn.Conv2d | nn.Linear, entering: int) -> np.ndarray | None:
    """(outputs, inputs) L2 norms; None where the inputs are not `entering` channels."""
    weight: Tensor = module.weight.detach().float().cpu()
    if isinstance(module, nn.Linear):
        if not entering or weight.shape[1] % entering:
            return None
        return weight.reshape(len(weight), entering, -1).norm(dim=2).numpy()  # a flattened map: channel by channel
    outputs, held = weight.shape[:2]
    found = weight.reshape(outputs, held, prod(weight.shape[2:])).norm(dim=2).numpy()
    if held * module.groups != entering:
        return None
    whole = np.zeros((outputs, entering), np.float32)
    size = outputs // module.groups
    for group in range(module.groups):
        whole[group * size : (group + 1) * size, group * held : (group + 1) * held] = found[
            group * size : (group + 1) * size
        ]
    return whole
