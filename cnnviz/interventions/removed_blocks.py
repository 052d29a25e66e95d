"""Take blocks out of a network during a pass: a residual branch set to zero, any other block skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from cnnviz.errors import BadInput
from cnnviz.interventions.scaling import scale_outputs
from cnnviz.models.families.residual import ResidualBlock
from cnnviz.probes.forward import find_modules, first_tensor


def find_branch_end(block: nn.Module) -> str | None:
    """Name, within a block ReLU(F(x) + h(x)), of the layer that ends its branch F; None for a block without a
    shortcut, or one whose branch nobody has named."""
    if not isinstance(block, ResidualBlock) or (block.shortcut is None and block.downsample is None):
        return None
    return block.last_norm


@contextmanager
def remove_blocks(module: nn.Module, blocks: Sequence[str]) -> Iterator[None]:
    """Inside, forward passes run without these blocks. Of a residual block of cnnviz's families F is 0, so that it
    gives ReLU(h(x)): where h is the identity its own input, which a ReLU made. Any other block hands on its input,
    which takes one whose output has the shape of its input.

    The caller holds the model's lock. Raises UnknownName for a block the network has not; in the pass, BadInput for
    one that changes the shape.
    Source: Veit, Wilber, Belongie, NeurIPS 2016 (arXiv:1605.06431), section 4.1."""
    found = find_modules(module, list(blocks))
    ends = {name: end for name, block in found.items() if (end := find_branch_end(block)) is not None}
    with scale_outputs(module, {f"{name}.{end}": 0.0 for name, end in ends.items()}), ExitStack() as hooks:
        for name, block in found.items():
            if name not in ends:
                enter, leave = _make_bypass(name)
                hooks.callback(block.register_forward_pre_hook(enter, with_kwargs=True).remove)
                hooks.callback(block.register_forward_hook(leave).remove)
        yield


def _make_bypass(name: str) -> tuple[Callable[..., None], Callable[..., Tensor]]:
    """Hooks that keep what enters a block, which may work in place, and give it back as its output."""
    kept: list[Tensor] = []

    def enter(_module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept.append(first_tensor((*given, *named.values()), name).clone())

    def leave(_module: nn.Module, _given: Any, output: Any) -> Tensor:
        x = kept.pop()
        if not isinstance(output, Tensor) or output.shape != x.shape:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else type(output).__name__
            raise BadInput(
                f"Block {name!r} makes {shape} out of {tuple(x.shape[1:])}: nothing of its input's shape could stand "
                "in its place. Choose a block that keeps the shape, or one with a shortcut."
            )
        return x

    return enter, leave
