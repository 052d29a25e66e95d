"""Batch norm as in training during a pass: by the statistics of the batch, without updating the running ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from cnnviz.tracing.operations import plain_name

_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class BatchStatisticsMode(TorchFunctionMode):
    """Inside `with`, every batch norm, as a module or as a function, normalises by mean and variance of the batch that
    it is given, as in training. The running statistics are neither read nor updated, dropout stays off, and the network
    itself is not edited. Thread-local. `calls`: how many batch norms were met.

    TorchScript code keeps its own. A channel with a single value has no variance, and PyTorch raises ValueError.
    Source: Ioffe and Szegedy, ICML 2015 (arXiv:1502.03167), algorithm 1."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if plain_name(func) != "batch_norm" or len(args) > len(
            _ARGUMENTS
        ):  # torch.batch_norm, called below it, has more
            return func(*args, **(kwargs or {}))
        self.calls += 1
        given = {**dict(zip(_ARGUMENTS, args, strict=False)), **(kwargs or {})}
        return func(**{**given, "running_mean": None, "running_var": None, "training": True})
