"""A recorded forward pass that shows the outputs of layers, called again without the network's own code.

Beside what `replay` saves, a rectifier that alone reads a convolution can be computed within it: for maps of which
only what is above 0 matters, one reading and writing of them all is saved."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node

from cnnviz.engine.peaks import HUGE, Peaks, find_peaks
from cnnviz.engine.recorder import Packing, RecordedCall, Recorder
from cnnviz.engine.replay import is_same
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import ForwardStopped, visit_layers

Visit = Callable[[str, Tensor], Any]
Watch = Callable[[str, Tensor, bool], Any]  # also told whether it is behind the rectifier
_CONV = "mkldnn._convolution_pointwise.default"
_RELU = ("aten.relu.default", "aten.relu_.default")
_TAME = frozenset(  # operations that make no NaN of numbers that are finite and not huge
    "_convolution_pointwise conv1d conv2d conv3d linear addmm matmul batch_norm layer_norm group_norm instance_norm "
    "native_batch_norm native_layer_norm relu relu6 hardtanh leaky_relu silu gelu sigmoid hardsigmoid hardswish tanh "
    "softmax max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d mean add mul cat flatten view reshape "
    "permute transpose movedim unsqueeze squeeze slice select chunk split expand contiguous clone alias detach to "
    "_to_copy dropout pad constant_pad_nd channel_shuffle".split()
)


class ObservedCall(RecordedCall):
    """`calls`: the layers whose output it gives. `rectifier`: what alone reads that, where it can be computed within
    the convolution that this is."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.calls: list[str] = []
        readers = list(node.users)
        joins = (
            str(node.target) == _CONV
            and node.args[-3] == "none"
            and [str(r.target) in _RELU for r in readers] == [True]
        )
        self.rectifier = readers[0] if joins else None

    def compute_rectified(self, values: dict[Node, Any]) -> Tensor:
        """What the rectifier makes of it."""
        arguments, _named = self.read_arguments(values)
        return self.target(*arguments[:-3], "relu", [], "")


class ObservedPass:
    """A recorded pass for batches of one shape. The network's tensors must stay as they are; whoever calls holds its
    lock, in inference mode."""

    def __init__(self, graph: Graph, constants: list[Tensor], packings: list[Packing], shown: dict[str, Node]) -> None:
        (self._input, *given) = (node for node in graph.nodes if node.op == "placeholder")
        made = zip(given, (*constants, *(packing() for packing in packings)), strict=True)
        self._own = {node: tensor for node, tensor in made if node.users}  # packed ones are read in their place
        self._steps = [ObservedCall(node) for node in graph.nodes if node.op == "call_function"]
        at = {step.node: step for step in self._steps}
        for call, node in shown.items():
            at[node].calls.append(call)
        self.calls = set(shown)
        if not all(map(_is_tame, graph.nodes)):
            for step in self._steps:
                step.rectifier = None

    @property
    def joinable(self) -> set[str]:
        """Layers that a rectifier can be computed within."""
        return {call for step in self._steps if step.rectifier is not None for call in step.calls}

    def __call__(self, batch: Tensor, visit: Watch, joined: Collection[str] = ()) -> None:
        """Visit every layer's output, those of the layers in `joined` behind their rectifier. Convolutions that nobody
        watches are joined with theirs if any is; what relies on there being no NaN is done only then."""
        with torch.autocast(batch.device.type, enabled=False):  # what it does to operands has been recorded
            values: dict[Node, Any] = {self._input: batch, **self._own}
            done: dict[Node, Tensor] = {}
            for step in self._steps:
                rectifier = step.rectifier if joined and all(call in joined for call in step.calls) else None
                if step.node in done:
                    value = done.pop(step.node)
                elif rectifier is not None:
                    value = done[rectifier] = step.compute_rectified(values)
                else:
                    value = step(values)
                values[step.node] = value
                for call in step.calls:
                    visit(call, value, rectifier is not None)
                for read in step.last:
                    del values[read]

    def agrees(self, batch: Tensor, own: dict[str, Peaks]) -> bool:
        """Whether the peaks of what it shows are `own`, which the network's own code gave for this batch, to the bit;
        with rectifiers within convolutions those above 0."""
        try:
            return self._shows(batch, own, ()) and self._shows(batch, own, self.calls)
        except Exception:  # noqa: BLE001, what was recorded of a stranger's network may not fit other images
            return False

    def _shows(self, batch: Tensor, own: dict[str, Peaks], joined: Collection[str]) -> bool:
        seen: dict[str, bool] = {}

        def compare(call: str, maps: Tensor, rectified: bool) -> None:
            values, places = find_peaks(maps, rectified)
            wanted, at = own[call]
            if rectified:
                places, at, wanted = places.where(wanted > 0, -1), at.where(wanted > 0, -1), wanted.relu()
            seen[call] = is_same(values, wanted) and is_same(places, at)

        self(batch.clone(), compare, joined)
        return seen.keys() == own.keys() and all(seen.values())


def _is_tame(node: Node) -> bool:
    if node.op != "call_function" or node.target is operator.getitem:
        return True
    return str(node.target).split(".")[1].rstrip("_") in _TAME


def record_observed_pass(
    module: nn.Module, calls: list[str], batch: Tensor, bfloat16: bool
) -> tuple[ObservedPass, dict[str, Peaks]] | None:
    """The pass of `module` over batches of this shape up to the last of these calls, see `forward.visit_layers`; and
    the peaks of each over this batch. Trust it once it agrees on another batch, passed by the network's own code. The
    caller holds the model's lock, in inference mode, on a CPU.

    None where the operations depend on values or change tensors of the network, where somebody's hooks would no longer
    be called, or where numbers become so large that they may overflow: a rectifier within a convolution turns NaN into
    0. So it is joined only among operations that make no NaN of what is finite."""
    if any(child._forward_hooks or child._forward_pre_hooks for child in module.modules()):
        return None
    own, shown = dict[str, Peaks](), dict[str, Node]()
    recorder = Recorder(batch, pack=True, fixed=True)

    def note(call: str, output: Tensor) -> None:
        maps = as_maps(output)
        shown[call] = recorder.node(maps)
        if recorder.written is not None and recorder.written > shown[call]:
            raise ValueError("It may have been changed since, through a view.")
        with recorder.pause():
            own[call] = find_peaks(maps)

    try:
        with half_precision(batch.device, bfloat16), recorder:
            run_until_seen(module, calls, recorder.inputs[0], note)
        if not recorder.largest < HUGE:
            return None
        return ObservedPass(*recorder.finish(None), shown), own
    except Exception:  # noqa: BLE001, a stranger's network may mind being looked at in any way; there may be no room
        return None


def half_precision(device: torch.device, wanted: bool) -> AbstractContextManager:
    """Inside, convolutions and matrix products are computed in bfloat16, if that is wanted."""
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()


def run_until_seen(module: nn.Module, calls: list[str], batch: Tensor, visit: Visit) -> None:
    """One forward pass that ends when each of these calls has been visited, see `forward.visit_layers`."""
    remaining = len(calls)

    def see(call: str, output: Tensor) -> None:
        nonlocal remaining
        visit(call, output)
        remaining -= 1
        if remaining == 0:
            raise ForwardStopped

    with visit_layers(module, calls, see):
        try:
            module(batch)
        except ForwardStopped:
            pass
