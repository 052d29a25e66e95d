"""The operations of one pass, recorded once and called again without the network's own code.

Beside small feature maps, PyTorch's modules, autocast and the promises of `landscape.fusing` take as long as some
convolutions, and oneDNN lays the weights of each anew for every part of the images. A recorded pass is
one function that calls the same operations on the same tensors, and lays weights out once a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_aggregate, map_arg
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.device import out_of_memory

_VALUES = (  # without a tag of their own: results whose shape depends on values, and the way to NumPy and Python
    "aten.where.default", "aten.nonzero_numpy.default", "aten.repeat_interleave.self_Tensor",
    "aten.tensor_split.tensor_indices_or_sections", "aten._pack_padded_sequence.default", "aten.resolve_neg.default",
)  # fmt: skip
Pass = Callable[[Tensor, Tensor], Tensor]
_TAG = "_cnnviz_recorded"
_CONVOLUTIONS = {  # where their images and weights stand; behind the weights: bias, padding, stride, dilation, groups
    "mkldnn._convolution_pointwise.default": (0, 1),
    "mkldnn._convolution_pointwise.binary": (0, 2),
    "mkldnn._convolution_pointwise_.binary": (1, 2),
}


class Flat:
    """A recorded pass for images and labels of one shape. The tensors of the network are read where they are: set in
    place, they count from the next call on, those of convolutions after `pack`."""

    def __init__(self, graph: Graph, constants: list[Tensor], packings: list[_Packing]) -> None:
        self.graph, self.packings, self._constants = graph, packings, constants
        self._given = [node for node in graph.nodes if node.op == "placeholder"]
        self._steps = [(node, _read_last_by(node)) for node in graph.nodes if node.op == "call_function"]
        (self._answer,) = graph.output_node().args
        self.pack()

    def pack(self) -> None:
        """Lay the weights of convolutions out anew."""
        self._packed = []  # let go before the new ones are made
        self._packed = [packing() for packing in self.packings]

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """What the recorded pass gives for them, of the recorded shapes."""
        with torch.autocast(images.device.type, enabled=False):  # what it does to operands has been recorded
            values = dict(zip(self._given, (images, labels, *self._constants, *self._packed), strict=True))
            for node, last in self._steps:
                arguments, named = map_arg((node.args, node.kwargs), values.__getitem__)
                values[node] = node.target(*arguments, **named)
                for read in last:
                    del values[read]
            return values[self._answer]


def _read_last_by(node: Node) -> list[Node]:
    """What nobody reads after `node`."""
    return [read for read in node.all_input_nodes if max(read.users) == node]  # nodes compare by their order


def flattened(run: Pass, images: Tensor, labels: Tensor) -> Flat | None:
    """`run`, which gives one tensor, recorded on these images and checked on others. In inference mode.

    None where the operations depend on values, or the recorded ones give anything else, to the bit. What code of the
    network's own reads out of its weights unseen (through DLPack, or remembered from pass to pass) shows only at other
    weights: compare once more there, the record first."""
    wanted = [(some, run(some.clone(), labels)) for some in (images, images.flip(0))]
    for pack in (True, False):
        try:
            flat = _recorded(run, images, labels, pack)
            if all(same(flat(some.clone(), labels), want) for some, want in wanted):
                return flat
        except Exception as error:  # a stranger's network may mind being looked at in any way
            if out_of_memory(error):
                raise
    return None


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two results are equal to the bit, NaN included."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _recorded(run: Pass, images: Tensor, labels: Tensor, pack: bool) -> Flat:
    recorder = _Recorder(images, labels, pack)
    with recorder:
        output = run(recorder.images, recorder.labels)
    return recorder.finished(output)


class _Depends(Exception):
    """What the network does next depends on values."""


def _reads_values(func: Any, args: tuple) -> bool:
    """Whether the shape of the result depends on values, or the result leaves for NumPy or Python."""
    if func is torch.ops.aten.index.Tensor:
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.dynamic_output_shape in func.tags or str(func) in _VALUES


class _Recorder(TorchDispatchMode):
    """Writes the operations of one thread down as a graph. Tensors are known by a tag that they carry, so that none
    of them lives longer than it would."""

    def __init__(self, images: Tensor, labels: Tensor, pack: bool) -> None:
        super().__init__()
        self.images, self.labels = images.clone(), labels.clone()  # to be tagged, and perhaps written into
        self._graph, self._pack = Graph(), pack
        self._constants: dict[int, tuple[Node, Tensor]] = {}
        self._packings: dict[tuple, tuple[Node, _Packing]] = {}
        for number, tensor in enumerate((self.images, self.labels)):
            self._tag(tensor, self._graph.placeholder(f"input_{number}"))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if _reads_values(func, args):
            raise _Depends
        nodes = map_aggregate((args, kwargs), self._node)
        if self._pack and str(func) in _CONVOLUTIONS:
            nodes = (self._packed(args, nodes[0], *_CONVOLUTIONS[str(func)]), nodes[1])
        output = func(*args, **kwargs)
        if func._schema.is_mutable or not any(output is value for value in args):  # else there was nothing to do
            self._keep(output, self._graph.call_function(func, nodes[0], nodes[1]))
        return output

    def finished(self, output: Tensor) -> Flat:
        """The graph as a function that ends with `output`."""
        self._graph.output(self._node(output))
        constants = list(self._constants.values())
        packings = list(self._packings.values())
        order = [node for node, _ in constants] + [node for node, _ in packings]
        self._last_first(order)
        del self.images, self.labels  # they know this recorder, and it them
        for _, tensor in constants:
            tensor.__dict__.pop(_TAG, None)  # an operation may have returned a tensor of the network itself
        return Flat(self._graph, [tensor for _, tensor in constants], [packing for _, packing in packings])

    def _last_first(self, order: list[Node]) -> None:
        """Put the placeholders that came up on the way behind the two of images and labels, in this order."""
        before = list(self._graph.nodes)[1]
        for node in order:
            before.append(node)
            before = node

    def _tag(self, tensor: Tensor, node: Node) -> None:
        setattr(tensor, _TAG, (self, node))

    def _node(self, value: Any) -> Any:
        """The node of a tensor; a tensor that no operation made is one of the network's own."""
        if not isinstance(value, Tensor):
            return value
        recorder, node = getattr(value, _TAG, (None, None))
        if recorder is self:
            return node
        if id(value) not in self._constants:
            self._constants[id(value)] = (self._graph.placeholder(f"constant_{len(self._constants)}"), value)
        return self._constants[id(value)][0]

    def _keep(self, output: Any, node: Node) -> None:
        if isinstance(output, Tensor):
            self._tag(output, node)
        elif isinstance(output, list | tuple):
            for number, part in enumerate(output):
                self._keep(part, self._graph.call_function(_item, (node, number)))
        elif output is not None:
            raise _Depends

    def _packed(self, args: tuple, nodes: tuple, images: int, place: int) -> tuple:
        """The arguments of a convolution, its weights in oneDNN's own layout if they are the network's own."""
        weight, how = args[place], args[place + 2 : place + 6]
        if id(weight) not in self._constants:
            return nodes
        key = (id(weight), *map(repr, how))
        if key not in self._packings:
            placed = self._graph.placeholder(f"packed_{len(self._packings)}")
            self._packings[key] = (placed, _Packing(weight, how, list(args[images].shape)))
        return (*nodes[:place], self._packings[key][0], *nodes[place + 1 :])


class _Packing:
    """Weights of a convolution, laid out for images of one size when called."""

    def __init__(self, weight: Tensor, how: tuple, size: list[int]) -> None:
        self._weight, self._how, self._size = weight, how, size

    def __call__(self) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(self._weight, *self._how, self._size)


def _item(parts: Any, number: int) -> Any:
    return parts[number]
