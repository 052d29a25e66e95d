"""A dense block: its connections and channels, where each layer concatenates, beside a block that adds."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.errors import BadInput


@dataclass(frozen=True, slots=True)
class DenseWiring:
    """A block of `layers` layers of `growth` new maps on `inputs` maps.

    `connections`: direct ones between the block's input, its layers and what follows, L(L+1)/2. `reads`: channels
    that each layer reads. `output`: channels of the block. Height and width of the maps stay."""

    layers: int
    inputs: int
    growth: int

    @property
    def connections(self) -> int:
        return self.layers * (self.layers + 1) // 2

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(self.inputs + at * self.growth for at in range(self.layers))

    @property
    def output(self) -> int:
        return self.inputs + self.layers * self.growth

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(from, to) of every connection between nodes 0 to `layers`; 0 stands for the block's input."""
        return tuple((a, b) for b in range(1, self.layers + 1) for a in range(b))


def dense_wiring(layers: int, inputs: int, growth: int) -> DenseWiring:
    """A dense block. Source: Huang, Liu, van der Maaten, Weinberger, CVPR 2017 (arXiv:1608.06993), section 3.

    As the paper counts, node 0 is the block's input and each of the L layers reads all nodes before it: 1 + 2 + … + L
    connections. Raises BadInput for counts below 1."""
    if min(layers, inputs, growth) < 1:
        raise BadInput(f"Layers, inputs and growth must be at least 1, got {layers}, {inputs} and {growth}.")
    return DenseWiring(layers, inputs, growth)


def halve(channels: int, side: int) -> tuple[int, int, float]:
    """(channels, side, share of the volume that is left) behind a transition with θ = 0.5 and 2×2 pooling.

    Source: section 3, "Pooling layers" and "Compression". Raises BadInput for a side below 2."""
    if side < 2 or channels < 2:
        raise BadInput(f"A transition halves at least 2 channels of 2×2, got {channels} of {side}×{side}.")
    kept, small = channels // 2, side // 2
    return kept, small, kept * small * small / (channels * side * side)
