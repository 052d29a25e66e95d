"""What autograd keeps of a forward pass until the backward pass, in bytes, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


@contextmanager
def record_saved(module: nn.Module, ignored: Collection[Tensor] = ()) -> Iterator[dict[str, int]]:
    """Yield a dict that forward passes inside fill: the innermost sub-module that was running → bytes that autograd
    keeps for its gradient, "" outside of all. A tensor that several layers keep is counted once, at the first of them;
    the memory of `ignored`, of weights, not at all.

    What is kept stays alive until the end, so that no memory is counted twice. The caller holds the model's lock."""
    saved: dict[str, int] = {}
    running: list[str] = [""]
    seen = {tensor.untyped_storage().data_ptr() for tensor in ignored}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor.detach())
            saved[running[-1]] = saved.get(running[-1], 0) + storage.nbytes()
        return tensor

    def enter(name: str) -> Any:
        return lambda _module, _inputs: running.append(name)

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        running.pop()

    with ExitStack() as hooks:
        for name, child in module.named_modules():
            hooks.callback(child.register_forward_pre_hook(enter(name)).remove)
            hooks.callback(child.register_forward_hook(leave).remove)
        hooks.enter_context(saved_tensors_hooks(keep, lambda tensor: tensor))
        yield saved
