"""The graph of a network: which layer reads which, traced through one forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from cnnviz.errors import BadInput
from cnnviz.models.output import walk_tensors
from cnnviz.probes.forward import label_call
from cnnviz.tracing.multiply_adds import LAYERS, MultiplyAdds
from cnnviz.tracing.operations import FACTORIES, FunctionCall, Operation, describe, plain_name
from cnnviz.tracing.rf_call import find_tensors
from cnnviz.tracing.rf_intervals import Axis, collapse_axis, pixel_range
from cnnviz.tracing.rf_tensor import TensorField, image_field
from cnnviz.tracing.rf_tracker import FieldTracker

IMAGE = -1  # the source of what is computed from the image alone
_DISTANCE = ("−", "square", "sum")
_ORDER = "conv linear pool lrn norm activation dropout concat add multiply other".split()


@dataclass(frozen=True, slots=True)
class Node:
    """One layer, join or step of the forward pass.

    `id`: its place in the pass. `label`: the layer's name, "relu:2" for its second call, "layer1.0 +" for
    a join in the code of layer1.0. `module`: the layer's name, or the module whose code computed it.
    `call`: 1 for the first call of the layer, 2 for the second; 0 for a step without a layer of its own.
    `operation`: kind, detail, window and multiply-adds. `output`: shape of its first output for one
    image, (C, H, W) or (F,). `inputs`: shape of the first tensor it reads. `parents`: ids of the nodes
    that it reads, in order; empty if it reads the image. `parameters`: names of the learnable tensors
    that no earlier node uses. `receptive_field`: (h, w) pixels of the middle unit; None without one."""

    id: int
    label: str
    module: str
    call: int
    operation: Operation
    output: tuple[int, ...]
    inputs: tuple[int, ...]
    parents: tuple[int, ...]
    parameters: tuple[str, ...]
    receptive_field: tuple[int, int] | None

    @property
    def kind(self) -> str:
        """ "conv", "linear", "pool", "norm", "lrn", "activation", "dropout", "add", "multiply", "concat", "other"."""
        return self.operation.kind


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of the pass. `edges`: (from, to) ids; what reads the image has none."""

    nodes: tuple[Node, ...]

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) ids."""
        return tuple((parent, node.id) for node in self.nodes for parent in node.parents)


@dataclass(slots=True)
class _Open:
    """A node that is still being computed: the calls inside one layer, or a single bare call."""

    module: str
    call: int
    id: int | None = None
    operations: list[Operation] = field(default_factory=list)
    parents: dict[int, None] = field(default_factory=dict)  # in order
    inputs: tuple[int, ...] = ()
    parameters: dict[str, None] = field(default_factory=dict)


class _Tracer(TorchFunctionMode):
    """Inside `with`, notes for every storage which nodes its values come from.

    By storage, not by tensor: views are looked through and in-place operations reach all of them."""

    def __init__(
        self,
        names: set[str],
        parameters: dict[str, Tensor],
        image: Tensor,
        fields: FieldTracker,
        products: MultiplyAdds,
    ) -> None:
        super().__init__()
        self._products = products
        self._constant: dict[int, tuple[int, ...]] = {}  # storages that do not depend on the image: their multiply-adds
        self._costs: list[int] = []
        self._names = names  # of modules
        self.nodes: list[Node] = []
        self._fields = fields
        self._alive: dict[int, Any] = {}  # storages: an address must not be used again during the pass
        self._sources: dict[int, tuple[int, ...]] = {}
        self._credits: dict[int, tuple[str, ...]] = {}
        self._given: set[str] = set()  # parameters that a node has been credited with
        self._paths: list[str] = [""]
        self._open: _Open | None = None
        self._calls: Counter[str] = Counter()  # of layers by name, of bare steps by label
        for name, tensor in parameters.items():
            self._credits[self._key(tensor)] = (name,)
        self._sources[self._key(image)] = (IMAGE,)

    def _key(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        key = int(storage._cdata)
        self._alive[key] = storage
        return key

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        name = plain_name(func).partition(".")[0].rstrip("_")  # scripted functions call "relu_.default"
        inputs = list(find_tensors([*args, *kwargs.values()]))
        known = [tensor for tensor in inputs if self._sources.get(self._key(tensor))]
        used = tuple(dict.fromkeys(c for tensor in inputs for c in self._credits.get(self._key(tensor), ())))
        earlier = tuple(dict.fromkeys(c for tensor in inputs for c in self._constant.get(self._key(tensor), ())))
        sources, written = self._of(known), self._of(known[1:])  # before the call: it may give a tensor other memory
        result, macs = self._count(func, name, args, kwargs)
        outputs = inputs[:1] if name == "setitem" else list(find_tensors([result]))
        if not outputs:
            return result
        if name in FACTORIES or not known:
            self._set(outputs, (), () if name in FACTORIES else used)
            self._defer(outputs, earlier, macs)
            return result
        call = FunctionCall(name, tuple(args), kwargs, known, len(sources), bool(used), outputs[0])
        operation = describe(call)
        if operation is None:
            self._defer(outputs, earlier, macs)
            replaced = name == "copy" and len(known) > 1  # what the target held before is gone
            self._set(outputs, written if replaced else sources, used)
            return result
        if operation.kind == "dropout" and result is args[0] and not kwargs.get("inplace"):
            result = result.clone()  # in eval it returns its input, which other layers may read too
            outputs = [result]
        self._note(replace(operation, macs=macs + self._collect(earlier)), call, sources, used, outputs)
        return result

    def _count(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> tuple[Any, int]:
        """(what the call returns, its multiply-adds)."""
        before, self._products.in_layer = self._products.count, name in LAYERS
        try:
            result = func(*args, **kwargs)
        finally:
            self._products.in_layer = False
        return result, self._products.count - before

    def _defer(self, outputs: list[Tensor], earlier: tuple[int, ...], macs: int) -> None:
        """What a branch without the image costs is counted with the first node that uses it."""
        if macs:
            earlier = (*earlier, len(self._costs))
            self._costs.append(macs)
        for tensor in outputs:
            if earlier:
                self._constant[self._key(tensor)] = earlier

    def _collect(self, earlier: tuple[int, ...]) -> int:
        total = sum(self._costs[place] for place in earlier)
        for place in earlier:
            self._costs[place] = 0
        return total

    def _of(self, found: list[Tensor]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(s for tensor in found for s in self._sources[self._key(tensor)]))

    def _note(
        self,
        operation: Operation,
        call: FunctionCall,
        sources: tuple[int, ...],
        used: tuple[str, ...],
        outputs: list[Tensor],
    ) -> None:
        """An operation belongs to the layer that is running, or is a node of its own."""
        node = self._open or _Open(self._paths[-1], 0)
        if node.id is None:
            node.id, node.inputs = len(self.nodes), tuple(call.operands[0].shape[1:])
        node.operations.append(operation)
        node.parents.update(dict.fromkeys(s for s in sources if s not in (IMAGE, node.id)))
        node.parameters.update(dict.fromkeys(used))
        self._set(outputs, (node.id,), ())
        if node is not self._open:
            self._finish(node, outputs[0])

    def _set(self, outputs: Iterable[Tensor], sources: tuple[int, ...], credits: tuple[str, ...]) -> None:
        for tensor in outputs:
            key = self._key(tensor)
            self._sources[key] = sources
            if credits:
                self._credits[key] = credits

    def enter(self, name: str, leaf: bool) -> None:
        """A module starts."""
        self._paths.append(name)
        if leaf and self._open is None:
            self._calls[name] += 1
            self._open = _Open(name, self._calls[name])

    def leave(self, name: str, output: Any, own: Iterable[str]) -> None:
        """A module ends; `own`: names of the parameters that it holds itself."""
        self._paths.pop()
        node = self._open
        if node is None or node.module != name:
            return
        self._open = None
        found = list(walk_tensors(output))
        if node.id is None or not found:
            self._calls[name] -= 1
            return
        node.parameters.update(dict.fromkeys(own))
        self._set(found, (node.id,), ())
        self._finish(node, found[0])

    def _label(self, node: _Open, operation: Operation) -> str:
        if node.call:
            return node.module if node.call == 1 else label_call(node.module, node.call, self._names)
        label = f"{node.module} {operation.sign}" if node.module else operation.sign
        label += "()" * (label in self._names)
        self._calls[label] += 1
        return label if self._calls[label] == 1 else f"{label}:{self._calls[label]}"

    def _finish(self, node: _Open, output: Tensor) -> None:
        operation = _combine(node.operations, len(node.parents))
        fresh = tuple(name for name in node.parameters if name not in self._given)
        self._given.update(fresh)
        self.nodes.append(
            Node(
                id=len(self.nodes),
                label=self._label(node, operation),
                module=node.module,
                call=node.call,
                operation=operation,
                output=tuple(output.shape[1:]),
                inputs=node.inputs,
                parents=tuple(node.parents),
                parameters=fresh,
                receptive_field=_field_size(self._fields[output]),
            )
        )


def _combine(operations: list[Operation], parents: int) -> Operation:
    """One operation for all that a layer computes: the most telling, with the multiply-adds of all."""
    first = min(operations, key=lambda operation: _ORDER.index(operation.kind))
    if len(operations) == 1:
        return first
    detail = first.detail
    if first.kind == "add":  # a layer that only joins, step by step
        mean = any(operation.sign == "÷" for operation in operations)
        detail = f"{'mean' if mean else 'sum'} of {parents}"
    if tuple(operation.sign for operation in operations[:3]) == _DISTANCE:
        detail = f"{'− ' * (operations[-1].sign == 'neg')}squared distance to fixed codes"
        first = replace(first, sign="distance")
    return replace(first, detail=detail, macs=sum(operation.macs for operation in operations))


def _field_size(found: TensorField | None) -> tuple[int, int] | None:
    if found is None:
        return None
    rows, cols = (pixel_range(*_find_middle(axis), clip=False) for axis in found.axes)
    return rows[1] - rows[0], cols[1] - cols[0]


def _find_middle(axis: Axis) -> tuple[Axis, tuple[int, ...]]:
    """The axis, and where in its arrays the unit in the middle of the map stands, which has all channels."""
    flat = collapse_axis(axis, [dim for dim in range(axis.low.ndim) if dim != axis.dim])
    return flat, tuple(n // 2 for n in flat.low.shape)


def trace_graph(module: nn.Module, input_size: tuple[int, ...]) -> Graph:
    """Follow one forward pass over an empty image of `input_size` (C, H, W), operation by operation.

    Runs on the meta device, where nothing is computed and no memory needed; if a layer cannot, where the
    network is. Every call of a layer without sub-modules that computes is one node; so is every join
    (sum, product, concatenation) and functional step outside such layers. Views are looked through,
    in-place operations followed. The caller holds the model's lock.
    Raises BadInput for a network of the meta device that cannot run there."""
    state = _collect_state(module)
    try:
        with torch.no_grad():
            once = {id(tensor): torch.empty_like(tensor, device="meta") for tensor in state.values()}
            empty = {name: once[id(tensor)] for name, tensor in state.items()}
        return _follow(module, torch.empty((1, *input_size), device="meta"), empty)
    except Exception as error:  # a layer may look at values, in any way: then they must exist
        device = next((tensor.device for tensor in state.values()), torch.device("cpu"))
        if device.type == "meta":
            raise BadInput(f"The network cannot run without values: {error}. Build it on the CPU.") from error
        with torch.inference_mode(False):
            image = torch.zeros((1, *input_size), device=device)
        return _follow(module, image, None)


def _collect_state(module: nn.Module) -> dict[str, Tensor]:
    """Each tensor of each module once. A module with two names is listed under the first alone: were it under
    both, `functional_call` would put back what it had put in itself."""
    return {
        f"{path}.{name}" if path else name: tensor
        for path, child in module.named_modules()
        for name, tensor in [*child._parameters.items(), *child._buffers.items()]
        if tensor is not None
    }


def _follow(module: nn.Module, image: Tensor, state: dict[str, Tensor] | None) -> Graph:
    parameters = dict(module.named_parameters())
    seen = {name: (state or parameters)[name] for name in parameters}
    fields = FieldTracker()
    products = MultiplyAdds(seen.values())
    tracer = _Tracer(set(dict(module.named_modules())), seen, image, fields, products)
    # Outside inference mode, where composite operations would reach the tracker of fields whole.
    with ExitStack() as hooks, torch.inference_mode(False), torch.no_grad():
        for name, child in module.named_modules():
            if not name:
                continue
            own = [f"{name}.{key}" for key, _ in child.named_parameters(recurse=False)]
            own = [key for key in own if key in parameters]  # a tied tensor has one name
            leaf = next(child.children(), None) is None
            enter = child.register_forward_pre_hook(lambda _m, _i, name=name, leaf=leaf: tracer.enter(name, leaf))
            leave = child.register_forward_hook(
                lambda _m, _i, output, name=name, own=own: tracer.leave(name, output, own)
            )
            hooks.callback(enter.remove)
            hooks.callback(leave.remove)
        fields[image] = image_field(tuple(image.shape))
        with fields, products, tracer:
            if state is None:
                module(image)
            else:
                functional_call(module, state, (image,), tie_weights=False)
    return Graph(tuple(tracer.nodes))
