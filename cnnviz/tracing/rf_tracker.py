"""Receptive-field tracking: one forward pass followed operation by operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from cnnviz.probes.axes import find_main, find_record
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import lay_out_output
from cnnviz.tracing.rf_call import AtenCall
from cnnviz.tracing.rf_layout_rules import slice_places
from cnnviz.tracing.rf_rules import FACTORIES, POINTWISE, RULES
from cnnviz.tracing.rf_tensor import Shape, TensorField, blend, fit, image_field, over_map, unite, write_slice


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where a view comes from, so that a write into the view reaches its base. `dim`: the sliced
    dimension, None if the view is the base itself. `places`: the kept indices; None: unknown layout."""

    base: Tensor
    dim: int | None
    places: np.ndarray | None


class FieldTracker(TorchDispatchMode):
    """Inside `with`, every ATen operation carries fields from its inputs to its outputs.

    Give the image's field first: `tracker.fields[image] = image_field(shape)`."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._origins: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        named = _name_arguments(func, args, kwargs)
        inputs = list(find_tensors(named.values()))
        tracked = [(t, f, tuple(t.shape)) for t in inputs if (f := self.fields.get(t)) is not None]
        output = func(*args, **kwargs)
        outputs = list(find_tensors([output]))
        self._note_views(func, name, named, inputs, outputs)
        written = [a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
        if name.endswith("_") or written:
            targets = list(find_tensors(named[key] for key in written))
            self._write(func, name.rstrip("_"), named, tracked, targets)
            outputs = [tensor for tensor in outputs if all(tensor is not target for target in targets)]
        if tracked and name not in FACTORIES and not name.endswith("_"):
            self._carry(func, name, named, tracked, outputs)
        return output

    def _carry(self, func: Any, name: str, named: dict[str, Any], tracked: list[Any], outputs: list[Tensor]) -> None:
        shapes = [tuple(t.shape) for t in outputs]
        if not outputs:
            return
        found = self._result(func, name, named, tracked, shapes)
        several = found if isinstance(found, list) else [found] * len(outputs)
        for tensor, field, shape in zip(outputs, several, shapes, strict=True):
            self.fields[tensor] = fit(field, shape)

    def _result(
        self, func: Any, name: str, named: dict[str, Any], tracked: list[Any], shapes: list[Shape]
    ) -> TensorField | list[TensorField]:
        fields, sizes = [f for _, f, _ in tracked], [s for _, _, s in tracked]
        if torch.Tag.pointwise in func.tags or name in POINTWISE or _is_pointwise(name):
            return blend(fields, sizes, shapes[0])
        main = tracked[0][0] if name in _JOINING else named["mat1"] if name == "addmm" else _first_tensor(named)
        if name not in RULES or main is None or main not in self.fields:
            return unite(fields)
        call = AtenCall(name, named, self.fields[main], tuple(main.shape), shapes, self.fields.get)
        result = RULES[name](call)
        others = [] if name in _JOINING else [f for t, f, _ in tracked if t is not main]
        if not others or isinstance(result, list):
            return result
        return blend([result, unite(others)], [shapes[0], ()], shapes[0])

    def _write(self, func: Any, name: str, named: dict[str, Any], tracked: list[Any], targets: list[Tensor]) -> None:
        """In-place operations: the written tensors, `targets`, and those they are views of, see the result."""
        if name == "copy":
            tracked = [entry for entry in tracked if entry[0] is not targets[0]]
        for target in targets:
            shape = tuple(target.shape)
            if not tracked or name in FACTORIES:
                self.fields.pop(target, None)
                continue
            if name == "copy":
                result: Any = blend([f for _, f, _ in tracked], [s for _, _, s in tracked], shape)
            else:
                result = self._result(func, name, named, tracked, [shape])
            self.fields[target] = fit(result if isinstance(result, TensorField) else unite(result), shape)
            if any(t is not target for t, _, _ in tracked):
                self._write_base(target)

    def _write_base(self, view: Tensor) -> None:
        origin, field = self._origins.get(view), self.fields[view]
        if origin is None:
            return
        shape = tuple(origin.base.shape)
        places = np.arange(0) if origin.places is None else origin.places
        new = unite([field]) if origin.places is None else field
        before = self.fields.get(origin.base)
        self.fields[origin.base] = fit(write_slice(before, shape, origin.dim, places, new), shape)
        self._write_base(origin.base)

    def _note_views(
        self, func: Any, name: str, named: dict[str, Any], inputs: list[Tensor], outputs: list[Tensor]
    ) -> None:
        is_view = any(r.alias_info and not r.alias_info.is_write for r in func._schema.returns)
        if not is_view or not inputs:
            return
        base = inputs[0]
        dim: int | None = None
        places: np.ndarray | None = None
        if name == "slice":
            dim = named["dim"] % base.ndim
            places = slice_places({**named, "dim": dim}, tuple(base.shape))
        elif name in ("alias", "detach"):
            places = np.arange(0)
        for view in outputs:
            if view is not base:
                self._origins[view] = _Origin(base, dim, places)


_JOINING = ("cat", "stack")  # many inputs, none of them the main one


@lru_cache(maxsize=1024)
def _is_pointwise(name: str) -> bool:
    """Whether the operation of that name which returns a new tensor is marked as elementwise: those in place are
    often not."""
    found = getattr(torch.ops.aten, name, None)
    return found is not None and torch.Tag.pointwise in getattr(found, found.overloads()[0]).tags


def _first_tensor(named: dict[str, Any]) -> Tensor | None:
    return next((value for value in named.values() if isinstance(value, Tensor)), None)


def _name_arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the schema's names; what was not given has its default."""
    schema = func._schema.arguments
    named = {a.name: a.default_value if a.has_default_value() else None for a in schema}
    named.update({a.name: value for a, value in zip(schema, args, strict=False)})
    return {**named, **kwargs}


def find_tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list | dict):
            yield from find_tensors(value.values() if isinstance(value, dict) else value)


def trace_layers(module: nn.Module, image: Tensor) -> dict[str, list[TensorField | None]]:
    """{layer: field of its (first) output tensor at each of its calls} of one pass over `image`
    (1, C, H, W), for every sub-module that runs; None for outputs that do not depend on the image. A field
    without rows and columns is given to every unit of the layer's map.

    The caller holds the model's lock."""
    calls: dict[str, list[TensorField | None]] = {}
    with torch.inference_mode(False):
        record = find_record(module, image)
    tracker = FieldTracker()

    def note(layer: str, child: nn.Module, output: Any) -> None:
        first = find_main(output)
        field = None if first is None else tracker.fields.get(first)
        if field is not None and first is not None and first.ndim > 1:
            maps = lay_out_output(record, layer, len(calls.get(layer, ())) + 1, first, child)
            field = over_map(field, tuple(as_maps(maps).shape[2:]))
        calls.setdefault(layer, []).append(field)

    # Outside inference mode, where composite operations would reach the tracker whole.
    with ExitStack() as hooks, torch.inference_mode(False), torch.no_grad(), tracker:
        for name, child in module.named_modules(remove_duplicate=False):
            if name:
                hook = child.register_forward_hook(lambda m, _i, output, name=name: note(name, m, output))
                hooks.callback(hook.remove)
        tracker.fields[image] = image_field(tuple(image.shape))
        module(image)
    return calls
