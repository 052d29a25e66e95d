"""Recording the operations of one forward pass as a graph, to call them again one by one."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_aggregate, map_arg
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.device import fuses_bfloat16

_VALUES = (  # without a tag of their own: results whose shape depends on values, and the way to NumPy and Python
    "aten.where.default aten.nonzero_numpy.default aten.repeat_interleave.self_Tensor aten.resolve_neg.default "
    "aten.tensor_split.tensor_indices_or_sections aten._pack_padded_sequence.default".split()
)
_PLAIN: tuple[Any, ...] = (None, [1, 1], [0, 0], [1, 1], 1)  # what a convolution is without more words: bias, stride …
_CASTS = ("aten.to.dtype", "aten._to_copy.default")
_TAG = "_cnnviz_recorded"
_CONVOLUTIONS = {  # where their images and weights stand; behind the weights: bias, padding, stride, dilation, groups
    "mkldnn._convolution_pointwise.default": (0, 1),
    "mkldnn._convolution_pointwise.binary": (0, 2),
    "mkldnn._convolution_pointwise_.binary": (1, 2),
}


class RecordedCall:
    """A recorded operation, and in `last` what nobody reads after it, itself included."""

    def __init__(self, node: Node) -> None:
        assert callable(node.target)
        self.node, self.target, self.arguments, self.named = node, node.target, node.args, node.kwargs
        self.last = [read for read in node.all_input_nodes if max(read.users) == node]  # nodes compare by their order
        self.last += [] if node.users else [node]
        direct = sum(isinstance(value, Node) for value in self.arguments)
        self._nested = direct < len(_find_nodes((self.arguments, self.named)))

    def read_arguments(self, values: dict[Node, Any]) -> tuple[Any, Any]:
        """The arguments by position and by name."""
        if self._nested:
            return map_arg((self.arguments, self.named), values.__getitem__)
        return [values[value] if value.__class__ is Node else value for value in self.arguments], self.named

    def __call__(self, values: dict[Node, Any]) -> Any:
        arguments, named = self.read_arguments(values)
        return self.target(*arguments, **named)


def _permute_to_memory_order(tensor: Tensor) -> Tensor:
    """Its axes in the order in which memory holds them: sums and extremes of all of it are then many times faster."""
    strides = tensor.stride()
    return tensor.permute(sorted(range(tensor.dim()), key=lambda axis: -strides[axis]))


def _find_nodes(value: Any) -> list[Node]:
    found: list[Node] = []
    map_arg(value, found.append)
    return found


class _DependsOnValues(Exception):
    """What the network does next depends on values."""


def _find_written(func: Any, args: tuple, kwargs: dict) -> list[Any]:
    """What an operation writes into."""
    if not func._schema.is_mutable:
        return []
    wanted = [(i, part.name) for i, part in enumerate(func._schema.arguments) if part.is_write]
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in wanted]


def _reads_values(func: Any, args: tuple) -> bool:
    """Whether the shape of the result depends on values, or the result leaves for NumPy or Python."""
    if func is torch.ops.aten.index.Tensor:
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.dynamic_output_shape in func.tags or str(func) in _VALUES


class Recorder(TorchDispatchMode):
    """Writes the operations of one thread down as a graph, what is to be called with `inputs`. Tensors are known by a
    tag that they carry, so that none of them lives longer than it would.

    `pack`: convolutions that sums or rectifiers were fused into get weights in oneDNN's own layout. `fixed`: the
    network's own tensors will not change, so that they are converted once; and all convolutions that can be are such
    convolutions of oneDNN's."""

    def __init__(self, *inputs: Tensor, pack: bool, fixed: bool = False) -> None:
        super().__init__()
        self.inputs = [tensor.clone() for tensor in inputs]  # to be tagged, and perhaps written into
        self._graph, self._pack, self._fixed = Graph(), pack, fixed
        self._paused = False
        self.written: Node | None = None  # the last operation so far that wrote into a tensor
        self.largest = 0.0  # of the magnitudes on the way; only where `fixed`
        self._given = len(inputs)
        self._constants: dict[int, tuple[Node, Tensor]] = {}
        self._packings: dict[tuple, tuple[Node, Packing]] = {}
        for number, tensor in enumerate(self.inputs):
            self._tag(tensor, self._graph.placeholder(f"input_{number}"))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        if _reads_values(func, args):
            raise _DependsOnValues
        if self._fixed and str(func) in _CASTS and self._is_own(args[0]):
            return func(*args, **kwargs)  # one more of the network's own
        if self._fixed and any(map(self._lies_in_own, _find_written(func, args, kwargs))):
            raise _DependsOnValues  # on how often it was called
        output = func(*args, **kwargs)
        if isinstance(output, Tensor) and not func._schema.is_mutable and any(output is value for value in args):
            return output  # there was nothing to do
        if self._fixed and self._pack:
            func, args, kwargs = convert_to_pointwise(func, args, kwargs)
        nodes = map_aggregate((args, kwargs), self._node)
        if self._pack and str(func) in _CONVOLUTIONS:
            nodes = (self._pack_weights(args, nodes[0], *_CONVOLUTIONS[str(func)]), nodes[1])
        node = self._graph.call_function(func, nodes[0], nodes[1])
        self._keep(output, node)
        self.written = node if func._schema.is_mutable else self.written
        return output

    def __exit__(self, kind: Any, *how: Any) -> None:
        super().__exit__(kind, *how)
        if kind is not None:
            self._forget()

    def _forget(self) -> None:
        """Leave nothing on tensors of the network: an operation may have returned one."""
        self.inputs = []  # they know this recorder, and it them
        for _, tensor in self._constants.values():
            tensor.__dict__.pop(_TAG, None)

    def node(self, tensor: Tensor) -> Node:
        """What gives this tensor."""
        return self._node(tensor)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Inside, nothing is recorded."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def finish(self, output: Tensor | None) -> tuple[Graph, list[Tensor], list[Packing]]:
        """The graph, ending with `output`, and what it takes after the inputs: tensors of the network, and those that
        are to be packed."""
        self._graph.output(self._node(output))
        constants = list(self._constants.values())
        packings = list(self._packings.values())
        order = [node for node, _ in constants] + [node for node, _ in packings]
        self._order_placeholders(order)
        self._forget()
        return self._graph, [tensor for _, tensor in constants], [packing for _, packing in packings]

    def _order_placeholders(self, order: list[Node]) -> None:
        """Put the placeholders that came up on the way behind those of the inputs, in this order."""
        before = list(self._graph.nodes)[self._given - 1]
        for node in order:
            before.append(node)
            before = node

    def _is_own(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor) and getattr(tensor, _TAG, (None,))[0] is not self

    def _lies_in_own(self, tensor: Any) -> bool:
        """Whether it is one of the network's own, or a view of one."""
        if not isinstance(tensor, Tensor) or self._is_own(tensor):
            return isinstance(tensor, Tensor)
        place = tensor.untyped_storage().data_ptr()
        return any(own.untyped_storage().data_ptr() == place for _, own in self._constants.values())

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
            if self._fixed and output.is_floating_point() and output.numel():
                ends = [abs(float(end)) for end in _permute_to_memory_order(output).aminmax()]
                if not all(map(math.isfinite, ends)):  # a NaN anywhere is both ends
                    raise _DependsOnValues
                self.largest = max(self.largest, *ends)
        elif isinstance(output, list | tuple):
            for number, part in enumerate(output):
                self._keep(part, self._graph.call_function(operator.getitem, (node, number)))
        elif output is not None:
            raise _DependsOnValues

    def _pack_weights(self, args: tuple, nodes: tuple, images: int, place: int) -> tuple:
        """The arguments of a convolution, its weights in oneDNN's own layout if they are the network's own."""
        weight, how = args[place], args[place + 2 : place + 6]
        if id(weight) not in self._constants:
            return nodes
        key = (id(weight), *map(repr, how))
        if key not in self._packings:
            placed = self._graph.placeholder(f"packed_{len(self._packings)}")
            self._packings[key] = (placed, Packing(weight, how, list(args[images].shape)))
        return (*nodes[:place], self._packings[key][0], *nodes[place + 1 :])


class Packing:
    """Weights of a convolution, laid out for images of one size when called."""

    def __init__(self, weight: Tensor, how: tuple, size: list[int]) -> None:
        self._weight, self._how, self._size = weight, how, size

    def __call__(self) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(self._weight, *self._how, self._size)


def convert_to_pointwise(func: Any, args: tuple, kwargs: dict) -> tuple[Any, tuple, dict]:
    """A convolution of two dimensions as the one of oneDNN's that can have a rectifier; any other call as it is."""
    if func is not torch.ops.aten.conv2d.default or kwargs:
        return func, args, kwargs
    images, weight, bias, stride, padding, dilation, groups = args + _PLAIN[len(args) - 2 :]
    taken = images.dtype == torch.float32 or (images.dtype == torch.bfloat16 and fuses_bfloat16())
    if not taken or images.dtype != weight.dtype or images.dim() != 4:
        return func, args, kwargs
    how = [_make_pair(padding), _make_pair(stride), _make_pair(dilation), groups]
    return torch.ops.mkldnn._convolution_pointwise.default, (images, weight, bias, *how, "none", [], ""), {}


def _make_pair(numbers: list[int]) -> list[int]:
    return [*numbers] * (2 // len(numbers))
