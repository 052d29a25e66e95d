"""Forward hooks on named layers that are always removed, early stop, and outputs with channels first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput, unknown

Visitor = Callable[[str, Tensor], Any]
_ELEMENTWISE = ("torch.nn.modules.activation", "torch.nn.modules.dropout")  # whose modules keep the axes


class ForwardStopped(Exception):
    """Raised inside a forward pass when all that was wanted has been seen."""


def split_call(layer: str) -> tuple[str, int | None]:
    """("layer1.0.relu", 2) for "layer1.0.relu:2", the second call of a module that is used twice;
    (layer, None) without a suffix, which means the last call."""
    name, colon, call = layer.rpartition(":")
    return (name, int(call)) if colon and call.isdigit() else (layer, None)


def find_modules(module: nn.Module, layers: list[str]) -> dict[str, nn.Module]:
    """{layer: sub-module}. Raises UnknownName for a layer the network has not."""
    found = dict(module.named_modules(remove_duplicate=False))
    for layer in layers:
        if split_call(layer)[0] not in found or not layer:
            unknown("layer", layer, [name for name in found if name])
    return {layer: found[split_call(layer)[0]] for layer in layers}


def first_tensor(output: Any, layer: str) -> Tensor:
    """The tensor of a module's output: itself, or the first tensor of a tuple, list or dict."""
    if isinstance(output, Tensor):
        return output
    items = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else []
    for item in items:
        if isinstance(item, Tensor):
            return item
    raise BadInput(f"Layer {layer!r} returned {type(output).__name__}, which holds no tensor.")


@contextmanager
def visit_layers(module: nn.Module, layers: list[str], visit: Visitor) -> Iterator[None]:
    """Inside, every forward pass calls `visit(layer, output)` right after the layer has run, before
    anything can change the output in place. `layer:2` is visited at the second call only; a bare name
    at every call. Channels are handed on as axis 1, whatever the layer's own order: see `move_channels_first`."""
    wanted = find_modules(module, layers)
    calls: dict[str, int] = {}

    def hook_for(layer: str) -> Callable[..., None]:
        call = split_call(layer)[1]

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[layer] = calls.get(layer, 0) + 1
            if call in (None, calls[layer]):
                visit(layer, move_channels_first(module, layer, first_tensor(output, layer)))

        return hook

    def restart(_module: nn.Module, _inputs: Any) -> None:
        calls.clear()

    with ExitStack() as hooks:
        hooks.callback(module.register_forward_pre_hook(restart).remove)
        for layer, child in wanted.items():
            hooks.callback(child.register_forward_hook(hook_for(layer)).remove)
        yield


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


def move_channels_first(module: nn.Module, layer: str, output: Tensor) -> Tensor:
    """The output of a sub-module with its channels as axis 1: a view (N, C, H, W) of the (N, H, W, C) that linear
    layers and layer norms make of maps, in ConvNeXt and Swin for instance, and blocks that are built of them; of any
    other the output itself."""
    if output.ndim < 4:
        return output
    name = split_call(layer)[0]
    moved = name in find_channels_last(module) or _is_built_of(_find_widths(module).get(name), output)
    return output.movedim(-1, 1) if moved else output


_LAST: WeakKeyDictionary[nn.Module, frozenset[str]] = WeakKeyDictionary()


def find_channels_last(module: nn.Module) -> frozenset[str]:
    """Names of the sub-modules that work on the last axis: linear layers, layer norms, and in an `nn.Sequential` the
    activations and dropouts behind them. LayerNorm2d, which turns the axes itself, is none of them."""
    if module not in _LAST:
        named = dict(module.named_modules(remove_duplicate=False))
        uses = Counter(id(child) for child in named.values())
        found = {id(child) for child in named.values() if _works_on_the_last_axis(child)}
        for child in reversed(named.values()):  # what is inside comes first
            if type(child).forward is nn.Sequential.forward:
                _follow_sequence(child, found, uses)
        _LAST[module] = frozenset(name for name, child in named.items() if id(child) in found)
    return _LAST[module]


def _works_on_the_last_axis(child: nn.Module) -> bool:
    if isinstance(child, nn.LayerNorm):
        return "2d" not in type(child).__name__ and len(child.normalized_shape) == 1  # over (C, H, W): keeps the order
    return isinstance(child, nn.Linear)


def _follow_sequence(sequence: nn.Module, found: set[int], uses: Counter[int]) -> None:
    """Add to `found` what stands behind its members in `sequence`, and the sequence itself if it ends with one. A
    module that is used elsewhere too may see other axes there."""
    last = False
    for child in sequence.children():
        each = type(child).__module__ in _ELEMENTWISE or isinstance(child, nn.Identity)
        if last and each and uses[id(child)] == 1:
            found.add(id(child))
        last = id(child) in found
    if last:
        found.add(id(sequence))


_WIDTHS: WeakKeyDictionary[nn.Module, dict[str, tuple[frozenset[int], bool]]] = WeakKeyDictionary()
_FIRST = tuple(f"torch.nn.modules.{part}" for part in ("conv", "batchnorm", "instancenorm", "pooling"))


def _find_widths(module: nn.Module) -> dict[str, tuple[frozenset[int], bool]]:
    """{name of a block: (channels of the linear layers and layer norms that stand in it, whether it has norms and
    nothing that works on axis 1)}, for blocks that have some; a sequence has those of its last member."""
    if module not in _WIDTHS:
        named, known = dict(module.named_modules(remove_duplicate=False)), dict[int, frozenset[int]]()
        for child in reversed(named.values()):  # what is inside comes first
            inside = list(child.children())
            if type(child).forward is nn.Sequential.forward and inside:
                known[id(child)] = known.get(id(inside[-1]), frozenset())
            else:
                known[id(child)] = frozenset(w for one in inside if (w := _count_channels(one)))
        blocks = {name: child for name, child in named.items() if known[id(child)]}
        _WIDTHS[module] = {
            name: (known[id(child)], _is_normed(child) and not any(map(_works_on_axis_1, child.modules())))
            for name, child in blocks.items()
        }
    return _WIDTHS[module]


def _count_channels(child: nn.Module) -> int:
    if not _works_on_the_last_axis(child):
        return 0
    if isinstance(child, nn.Linear):
        return child.out_features
    assert isinstance(child, nn.LayerNorm)
    return child.normalized_shape[0]


def _is_normed(child: nn.Module) -> bool:
    return any(isinstance(each, nn.LayerNorm) and _works_on_the_last_axis(each) for each in child.modules())


def _works_on_axis_1(child: nn.Module) -> bool:
    return type(child).__module__ in _FIRST or isinstance(child, nn.GroupNorm) or "2d" in type(child).__name__


def _is_built_of(block: tuple[frozenset[int], bool] | None, output: Tensor) -> bool:
    """True for (N, H, W, C) of a block with layers of C channels: axis 1 is none of theirs, or none works on it."""
    widths, last = block or (frozenset(), False)
    return output.shape[-1] in widths and (last or output.shape[1] not in widths)


_COUNTS: WeakKeyDictionary[nn.Module, dict[str, int]] = WeakKeyDictionary()


def count_calls(module: nn.Module, batch: Tensor) -> dict[str, int]:
    """{name: calls} of every sub-module in one forward pass over `batch` (N, C, H, W).

    Counted once a network, with one image, and remembered."""
    if module not in _COUNTS:
        names = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
        counts = dict.fromkeys(names, 0)
        with ExitStack() as hooks, torch.no_grad():
            for name, child in module.named_modules(remove_duplicate=False):
                if name:
                    hooks.callback(child.register_forward_hook(_count_into(counts, name)).remove)
            module(batch[:1])
        _COUNTS[module] = counts
    return _COUNTS[module]


def _count_into(counts: dict[str, int], name: str) -> Callable[..., None]:
    def count(*_: Any) -> None:
        counts[name] += 1

    return count
