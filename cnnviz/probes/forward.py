"""One guarded way to run a network up to a layer: hooks that are always removed, and an early stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cnnviz.errors import BadInput, unknown

Visitor = Callable[[str, Tensor], Any]


class ForwardStopped(Exception):
    """Raised inside a forward pass when all that was wanted has been seen."""


def split_call(layer: str) -> tuple[str, int | None]:
    """("layer1.0.relu", 2) for "layer1.0.relu:2", the second call of a module that is used twice;
    (layer, None) without a suffix, which means the last call."""
    name, colon, call = layer.rpartition(":")
    return (name, int(call)) if colon and call.isdigit() else (layer, None)


def modules_for(module: nn.Module, layers: list[str]) -> dict[str, nn.Module]:
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
def visiting(module: nn.Module, layers: list[str], visit: Visitor) -> Iterator[None]:
    """Inside, every forward pass calls `visit(layer, output)` right after the layer has run, before
    anything can change the output in place. `layer:2` is visited at the second call only; a bare name
    at every call."""
    wanted = modules_for(module, layers)
    calls: dict[str, int] = {}

    def hook_for(layer: str) -> Callable[..., None]:
        call = split_call(layer)[1]

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[layer] = calls.get(layer, 0) + 1
            if call in (None, calls[layer]):
                visit(layer, first_tensor(output, layer))

        return hook

    def restart(_module: nn.Module, _inputs: Any) -> None:
        calls.clear()

    with ExitStack() as hooks:
        hooks.callback(module.register_forward_pre_hook(restart).remove)
        for layer, child in wanted.items():
            hooks.callback(child.register_forward_hook(hook_for(layer)).remove)
        yield


_COUNTS: WeakKeyDictionary[nn.Module, dict[str, int]] = WeakKeyDictionary()


def call_counts(module: nn.Module, batch: Tensor) -> dict[str, int]:
    """{name: calls} of every sub-module in one forward pass over `batch` (N, C, H, W).

    Counted once a network, with one image, and remembered."""
    if module not in _COUNTS:
        names = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
        counts = dict.fromkeys(names, 0)
        with ExitStack() as hooks, torch.no_grad():
            for name, child in module.named_modules(remove_duplicate=False):
                if name:
                    hooks.callback(child.register_forward_hook(_counter(counts, name)).remove)
            module(batch[:1])
        _COUNTS[module] = counts
    return _COUNTS[module]


def _counter(counts: dict[str, int], name: str) -> Callable[..., None]:
    def count(*_: Any) -> None:
        counts[name] += 1

    return count
