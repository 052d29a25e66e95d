"""Which channels a rectifier silences: counted in the passes of a training, whoever wrote its loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_RECTIFIERS: frozenset[Any] = frozenset(
    {torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, torch._C._nn.relu6, torch._C._nn.relu6_, F.relu, F.relu6}
)


class _Silence(TorchFunctionMode):
    """Counts, for each call of a rectifier, the channels whose outputs are all 0. `inside()`: the name of the module
    that runs, None while nothing is counted."""

    def __init__(self, inside: Callable[[], str | None]) -> None:
        super().__init__()
        self.counts: dict[str, tuple[int, int]] = {}
        self._inside, self._calls, self._deep = inside, dict[str, int](), False

    def begin(self) -> None:
        """Count the calls of a pass from the first again."""
        self._calls.clear()

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = None if self._deep or func not in _RECTIFIERS else self._inside()
        if name is None:
            return func(*args, **(kwargs or {}))
        self._deep = True  # F.relu calls torch.relu
        try:
            output = func(*args, **(kwargs or {}))
        finally:
            self._deep = False
        call = self._calls[name] = self._calls.get(name, 0) + 1
        self._count(name if call == 1 else f"{name}:{call}", output)
        return output

    def _count(self, name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() >= 2:
            with torch.no_grad():
                alive = (output > 0).transpose(0, 1).flatten(1).any(1)
                self.counts[name] = int((~alive).sum()), len(alive)


@contextmanager
def count_silent_channels(module: nn.Module) -> Iterator[dict[str, tuple[int, int]]]:
    """Yield a dict filled by the next training passes: rectifier → (channels that are 0 for the whole batch, channels).

    A rectifier is named by the module that calls it, `relu1` or, of a functional call, the module around it; a second
    call is `layer1.0:2`. Passes in eval mode, and rectifiers of other networks, are not counted. What watches the calls
    is there while `module` runs and at no other time, so that it never stands between the modes of others."""
    running: list[str] = []
    mode = _Silence(lambda: running[-1] if running and module.training else None)

    def enter(*_: Any) -> None:
        mode.begin()
        mode.__enter__()

    def leave(*_: Any) -> None:
        mode.__exit__(None, None, None)

    with ExitStack() as stack:
        stack.callback(module.register_forward_pre_hook(enter).remove)
        for name, part in module.named_modules():
            before = part.register_forward_pre_hook(lambda *_, name=name: running.append(name or "network"))
            after = part.register_forward_hook(lambda *_: _drop_last(running), always_call=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        stack.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield mode.counts


def _drop_last(names: list[str]) -> None:
    """A hook that returned what it drops would replace the module's output."""
    names.pop()
