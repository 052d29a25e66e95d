"""Passes of plain PyTorch over a copy of a network, watched without what cnnviz does it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def watched(modules: Mapping[str, nn.Module], note: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Inside, `note(name, inputs, output)` after each call of a module of a copy, without what cnnviz does it with."""
    own = [(child, vars(child).get("forward")) for child in modules.values()]

    def wrap(name: str, forward: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            output = forward(*args, **kwargs)
            note(name, args, output)
            return output

        return run

    for name, child in modules.items():
        vars(child)["forward"] = wrap(name, child.forward)
    try:
        yield
    finally:
        for child, forward in own:
            vars(child).pop("forward", None)
            vars(child).update({} if forward is None else {"forward": forward})


def run_plainly(plain: nn.Module, batch: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """{layer: output of its last call, "": the scores} of one pass."""
    kept: dict[str, Tensor] = {}
    modules = dict(plain.named_modules(remove_duplicate=False))

    def keep(layer: str, _inputs: Any, output: Any) -> None:
        if tensors := _list_tensors(output):
            kept[layer] = tensors[0].detach().clone()

    with torch.no_grad(), watched({layer: modules[layer] for layer in layers}, keep):
        scores = plain(batch)
    return {**kept, "": scores}


def _list_tensors(output: Any) -> list[Tensor]:
    """Those of real numbers in what a layer returned, which may be a tuple."""
    if isinstance(output, tuple | list):
        return [found for part in output for found in _list_tensors(part)]
    return [output] if isinstance(output, Tensor) and output.is_floating_point() and output.ndim else []


class _Seen(Exception):
    pass


def run_until(module: nn.Module, layer: str, batch: Tensor) -> Tensor:
    """The (first) output of a layer, where the pass ends; a number if it never runs."""

    def stop(_layer: str, _inputs: Any, output: Any) -> None:
        raise _Seen(_list_tensors(output)[0])

    try:
        with torch.no_grad(), watched({layer: module.get_submodule(layer)}, stop):
            module(batch)
    except _Seen as seen:
        return seen.args[0]
    return torch.zeros(())
