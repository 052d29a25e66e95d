"""Receptive-field tracking: one forward pass followed operation by operation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.probes.axes import find_main, find_record
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import lay_out_output
from cnnviz.tracing.rf_call import AtenCall, find_tensors
from cnnviz.tracing.rf_intervals import Axis, collapse_axis
from cnnviz.tracing.rf_rules import POINTWISE, find_fields
from cnnviz.tracing.rf_storage import StorageFields, find_storage
from cnnviz.tracing.rf_table import FieldTable
from cnnviz.tracing.rf_tensor import Shape, TensorField, blend, image_field, unite

_RELABEL = frozenset(
    "set resize resize_as squeeze unsqueeze transpose t as_strided swapaxes swapdims detach rename".split()
)  # in place: they change what a tensor shows of its memory, not the values


class FieldTracker(TorchDispatchMode):
    """Inside `with`, every ATen operation carries fields from its inputs to its outputs.

    Give the image's field first: `tracker[image] = image_field(shape)`. Values that leave PyTorch (`item`, `numpy`,
    `tolist`) may come back in anything: all that is computed later sees what they saw. Which code runs, in
    `if x.max() > 1`, is not counted."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keeps PyTorch from importing its compiler, which takes two seconds, at the first operation."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self._fields = StorageFields()
        self._left: TensorField | None = None  # what values saw that have left PyTorch
        self._exits = _Exits(self)
        self.deciding = False  # a value is being read to decide which code runs

    def __enter__(self) -> Self:
        super().__enter__()
        self._exits.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exits.__exit__(*error)
        super().__exit__(*error)

    def __getitem__(self, tensor: Tensor) -> TensorField | None:
        """The field of a tensor, None if it does not depend on the image."""
        field = self._fields[tensor]
        if self._left is None:
            return field
        left = unite([self._left], tuple(tensor.shape))
        return left if field is None else blend([field, left], tuple(tensor.shape))

    def __setitem__(self, tensor: Tensor, field: TensorField) -> None:
        self._fields[tensor] = field

    def leave(self, tensor: Tensor) -> None:
        """The values of a tensor leave PyTorch."""
        if (field := self._fields[tensor]) is not None:
            self._left = unite([f for f in (field, self._left) if f is not None], ())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        schema = _read_schema(func)
        name, written = schema.name, schema.written
        named = {**schema.defaults, **dict(zip(schema.defaults, args, strict=False)), **kwargs}
        with torch._C.DisableTorchFunction():
            if name == "_local_scalar_dense" and not self.deciding:
                self.leave(args[0])
            given = {find_storage(tensor) for tensor in find_tensors(named.values())}
            targets = [list(find_tensors([named[key]])) for key in written]
            for key in schema.replaced:
                del named[key]
        before = None if func.is_view else self._look(named)
        output = func(*args, **kwargs)
        if written and name.rstrip("_") in _RELABEL:
            return output
        with torch._C.DisableTorchFunction():
            changed = [tensor for group in targets for tensor in group]
            for tensor in find_tensors([output]):
                fresh = find_storage(tensor) not in given or find_storage(tensor) is None
                if fresh and all(tensor is not target for target in changed):
                    changed.append(tensor)
            if changed:
                self._carry(func, name.rstrip("_"), named, self._look(named) if before is None else before, changed)
        return output

    def _look(self, named: dict[str, Any]) -> list[tuple[Tensor, TensorField]]:
        with torch._C.DisableTorchFunction():
            tensors = {id(tensor): tensor for tensor in find_tensors(named.values())}
            return [(t, f) for t in tensors.values() if (f := self._fields[t]) is not None]

    def _carry(
        self,
        func: Any,
        name: str,
        named: dict[str, Any],
        inputs: list[tuple[Tensor, TensorField]],
        changed: list[Tensor],
    ) -> None:
        """Write the fields of the tensors that the operation has `changed`."""
        found: list[TensorField | None] = [None] * len(changed)
        if inputs:
            known = {id(tensor): field for tensor, field in inputs}
            shapes = [tuple(tensor.shape) for tensor in changed]
            packet = getattr(torch.ops.aten, name, func) if func.namespace == "aten" else func
            call = AtenCall(packet, name, named, inputs, shapes, lambda tensor: known.get(id(tensor)))
            found = find_fields(call, torch.Tag.pointwise in func.tags or name in POINTWISE or _is_pointwise(name))
        for tensor, field in zip(changed, found, strict=True):
            self._fields[tensor] = field


class _Exits(TorchFunctionMode):
    """Notes values that leave PyTorch for Python."""

    def __init__(self, tracker: FieldTracker) -> None:
        super().__init__()
        self._tracker = tracker

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__bool__":
            self._tracker.deciding = True
            try:
                return func(*args, **(kwargs or {}))
            finally:
                self._tracker.deciding = False
        if name in ("numpy", "tolist", "__array__", "__dlpack__", "data_ptr"):
            self._tracker.leave(args[0])
        return func(*args, **(kwargs or {}))


@lru_cache(maxsize=1024)
def _is_pointwise(name: str) -> bool:
    """Whether the operation of that name which returns a new tensor is marked as elementwise: those in place are
    often not."""
    found = getattr(torch.ops.aten, name, None)
    return found is not None and torch.Tag.pointwise in getattr(found, found.overloads()[0]).tags


class _Schema(NamedTuple):
    """What an operation declares. `defaults`: of its arguments, in order, None without one. `written`: the arguments
    that it writes into. `replaced`: those of them whose values it does not read, `out`."""

    name: str
    defaults: dict[str, Any]
    written: list[str]
    replaced: list[str]


@lru_cache(maxsize=1024)
def _read_schema(func: Any) -> _Schema:
    arguments = func._schema.arguments
    written = [a for a in arguments if a.alias_info and a.alias_info.is_write]
    return _Schema(
        func._schema.name.removeprefix("aten::"),
        {a.name: a.default_value if a.has_default_value() else None for a in arguments},
        [a.name for a in written],
        [a.name for a in written if a.kwarg_only],
    )


@dataclass(frozen=True, slots=True, eq=False)
class MapField:
    """The field of a layer's map. `shape`: (rows, cols). `axes`: of rank 2. `extent`: (rows, cols) of the map as its
    field has them: other than `shape` where the image's rows or columns run along what was read as channels."""

    shape: tuple[int, int]
    axes: tuple[Axis, Axis]
    extent: tuple[int, int]


def trace_layers(module: nn.Module, image: Tensor) -> dict[str, list[MapField | None]]:
    """{layer: field of the map of its (first) output tensor at each of its calls} of one pass over
    `image` (1, C, H, W), for every sub-module that runs; None for outputs that do not depend on the image. A unit
    sees what its channels see together.

    The caller holds the model's lock."""
    calls: dict[str, list[MapField | None]] = {}
    with torch.inference_mode(False):
        record = find_record(module, image)
    tracker = FieldTracker()

    def note(layer: str, child: nn.Module, output: Any) -> None:
        first = find_main(output)
        field = None if first is None else tracker[first]
        call = len(calls.get(layer, ())) + 1
        lay_out = partial(lay_out_output, record, layer, call, child=child)
        calls.setdefault(layer, []).append(None if field is None else _find_map(lay_out, field))

    # Outside inference mode, where composite operations would reach the tracker whole.
    with ExitStack() as hooks, torch.inference_mode(False), torch.no_grad(), tracker:
        for name, child in module.named_modules(remove_duplicate=False):
            if name:
                hook = child.register_forward_hook(lambda m, _i, output, name=name: note(name, m, output))
                hooks.callback(hook.remove)
        tracker[image] = image_field(tuple(image.shape))
        module(image)
    return calls


def _find_map(lay_out: Callable[[Tensor], Tensor], field: TensorField) -> MapField:
    """The field of a layer's map (rows, cols), laid out as it is shown: `lay_out`, and `as_maps`, move the numbers of
    elements."""
    if len(field.shape) < 2:
        rows, cols = unite([field], (1, 1)).axes
        return MapField((1, 1), (rows, cols), (1, 1))
    axes: list[Axis] = []
    shape, extent = (1, 1), [1, 1]
    plain = _is_map(lay_out, field.shape)
    for which, axis in enumerate(field.axes):
        if plain:
            found, shape = axis, (field.shape[2], field.shape[3])
        else:
            found, shape = _move_to_map(lay_out, axis, field.shape)
        if axis.dim is not None and len(axis) == 1 and found.dim is None:  # a map of a single unit keeps its stride
            found = replace(found, step=axis.step, dim=2 + which)
        lost = found.dim == 1 and found.low.shape[2:] == (1, 1)
        extent[which] = found.low.shape[1] if lost else shape[which]
        flat = collapse_axis(found, (0, 1))
        axes.append(flat.map_bounds(lambda bound: bound[0, 0], None if flat.dim is None else flat.dim - 2))
    return MapField(shape, (axes[0], axes[1]), (extent[0], extent[1]))


def _is_map(lay_out: Callable[[Tensor], Tensor], shape: Shape) -> bool:
    """Whether an output of this shape is a map (N, C, H, W) already."""
    if len(shape) != 4:
        return False
    with torch._C.DisableTorchFunction():
        empty = _make_empty(shape)
        maps = as_maps(lay_out(empty))
        return maps is empty or (maps.shape == empty.shape and maps.stride() == empty.stride())


@lru_cache(maxsize=64)
def _make_empty(shape: Shape) -> Tensor:
    return torch.empty(shape, device="meta")


def _move_to_map(lay_out: Callable[[Tensor], Tensor], axis: Axis, shape: Shape) -> tuple[Axis, tuple[int, int]]:
    """An axis of an output as the axis of its map, and the map's (rows, cols)."""
    table = FieldTable()
    numbers = torch.from_numpy(table.add(axis, axis.low.shape).copy()).expand(shape)
    maps = as_maps(lay_out(numbers))
    found = table.read(maps.numpy())
    assert found is not None
    return found, (maps.shape[2], maps.shape[3])
