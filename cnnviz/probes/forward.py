"""Forward hooks on named layers that are always removed, early stop, and outputs with channels first."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from cnnviz.errors import BadInput, unknown
from cnnviz.models.output import describe_output
from cnnviz.probes.axes import PassRecord, find_main, find_record, lay_out_maps

Visitor = Callable[[str, Tensor], Any]


class ForwardStopped(Exception):
    """Raised inside a forward pass when all that was wanted has been seen."""


def split_call(layer: str) -> tuple[str, int | None]:
    """("layer1.0.relu", 2) for "layer1.0.relu:2", the second call of a module that is used twice;
    (layer, None) without a suffix, which means the last call. See `name_call` for modules whose own name ends so."""
    name, colon, call = layer.rpartition(":")
    return (name, int(call)) if colon and call.isdigit() else (layer, None)


def name_call(module: nn.Module, layer: str) -> tuple[str, int | None]:
    """`split_call` in this network: what is the name of a sub-module as it stands is that, also "conv:1"."""
    return _split_known(layer, dict(module.named_modules(remove_duplicate=False)))


def label_call(layer: str, call: int, names: Container[str]) -> str:
    """ "relu:2" for the second call of "relu"; "relu::2" where a sub-module, of `names`, is itself called "relu:2"."""
    label = f"{layer}:{call}"
    return f"{layer}::{call}" if label in names else label


def _split_known(layer: str, names: Container[str]) -> tuple[str, int | None]:
    if layer in names:
        return layer, None
    name, call = split_call(layer)
    return (name if name in names else name.removesuffix(":")), call


def find_modules(module: nn.Module, layers: list[str]) -> dict[str, nn.Module]:
    """{layer: sub-module}. Raises UnknownName for a layer the network has not."""
    found = dict(module.named_modules(remove_duplicate=False))
    names = {layer: _split_known(layer, found)[0] for layer in layers}
    for layer, name in names.items():
        if name not in found or not layer:
            unknown("layer", layer, [name for name in found if name])
    return {layer: found[name] for layer, name in names.items()}


def first_tensor(output: Any, layer: str) -> Tensor:
    """The tensor of a module's output: itself, or the first in tuples, lists, dicts and objects, nested too, that is
    more than a number. Raises BadInput if there is none, or if it holds complex numbers."""
    found = find_main(output)
    if found is None:
        raise BadInput(f"Layer {layer!r} returned {describe_output(output)}, which holds no tensor to be shown.")
    if found.is_complex():
        raise BadInput(f"Layer {layer!r} returned complex numbers, of which no map is shown. Name a layer behind it.")
    return found


@contextmanager
def visit_layers(module: nn.Module, layers: list[str], visit: Visitor) -> Iterator[dict[str, str]]:
    """Inside, every forward pass calls `visit(layer, output)` right after the layer has run, before
    anything can change the output in place. `layer:2` is visited at the second call only; a bare name
    at every call. Outputs come as maps (N, C, H, W), whatever the order of the layer's own axes, tokens and signals
    with W = 1; vectors as (N, C).

    Yields a dict {layer: why}, filled with the layers that ran and gave nothing that can be shown."""
    wanted = find_modules(module, layers)
    calls, faults = dict[str, int](), dict[str, str]()
    names = {layer: name_call(module, layer) for layer in layers}
    state = _Visiting()

    def hook_for(layer: str, child: nn.Module) -> Callable[..., None]:
        name, call = names[layer]

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if state.recording:
                return
            calls[layer] = calls.get(layer, 0) + 1
            if call not in (None, calls[layer]):
                return
            try:
                found = first_tensor(output, layer)
            except BadInput as error:
                faults[layer] = str(error)
                return
            visit(layer, lay_out_output(state.record, name, calls[layer], found, child))

        return hook

    def restart(_module: nn.Module, inputs: Any) -> None:
        calls.clear()
        if state.recording or not inputs or not isinstance(inputs[0], Tensor):
            return
        state.recording = True
        try:
            state.record = find_record(module, inputs[0])
        finally:
            state.recording = False

    with ExitStack() as hooks:
        hooks.callback(module.register_forward_pre_hook(restart).remove)
        for layer, child in wanted.items():
            hooks.callback(child.register_forward_hook(hook_for(layer, child)).remove)
        yield faults


class _Visiting:
    """The record of the network that is visited, and whether it is being made."""

    record: PassRecord | None = None
    recording = False


def run_until_seen(module: nn.Module, calls: list[str], batch: Tensor, visit: Visitor) -> None:
    """One forward pass that ends when each of these calls has been visited once, see `visit_layers`."""
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


@contextmanager
def open_partial_pass(module: nn.Module, layer: str, image: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yield a function that takes a batch (N, C, H, W) as far as `layer` and gives its output, with the graph of
    autograd where gradients are wanted. For many passes: what is known of the network is looked up once.

    Outputs and calls are those of `visit_layers`. `image` (1, C, H, W): one that the whole network takes; batches may
    have another size if what lies before the layer takes it. The caller holds the model's lock. Raises UnknownName for
    a layer the network has not, BadInput for one that does not run, not as often as asked, or gives no tensor."""
    child = find_modules(module, [layer])[layer]
    name, call = name_call(module, layer)
    record = find_record(module, image)
    last = record.calls[name] if call is None else call
    if not 0 < last <= record.calls[name]:
        raise BadInput(f"Layer {layer!r} did not run in the forward pass, or not as often as asked.")
    count, kept = 0, list[Tensor]()

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal count
        count += 1
        if call in (None, count):
            found = lay_out_output(record, name, count, first_tensor(output, layer), child)
            kept[:] = [found.clone() if record.reads else found]  # a later layer may work in place
        if count == last and not (call is None and record.reads):
            raise ForwardStopped

    def run(batch: Tensor) -> Tensor:
        nonlocal count
        count = 0
        try:
            module(batch)
        except ForwardStopped:
            pass
        if not kept:
            raise BadInput(f"Layer {layer!r} did not run for this image.")
        return kept.pop()

    with ExitStack() as hooks:
        hooks.callback(child.register_forward_hook(keep).remove)
        yield run


def lay_out_output(record: PassRecord | None, name: str, call: int, output: Tensor, child: nn.Module) -> Tensor:
    """The output of the sub-module `name` at its n-th `call`, as `visit_layers` hands it on."""
    known = record.axes.get(name, []) if record is not None else []
    axes = known[min(call, len(known)) - 1] if known else None
    return lay_out_maps(output, axes, "1d" in type(child).__name__)


def count_calls(module: nn.Module, batch: Tensor) -> dict[str, int]:
    """{name: calls} of every sub-module in one forward pass over `batch` (N, C, H, W).

    Counted once a network, with one image, and remembered."""
    return find_record(module, batch).calls
