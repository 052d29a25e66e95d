"""A stack of convolutions without a network: receptive field, cost, and the weight of each input pixel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.wording import plural

LONGEST, DEEPEST = 63, 20  # pixels of a field, and layers, that a drawing can show
LARGEST = {"kernel": 31, "stride": 8, "dilation": 16}


@dataclass(frozen=True, slots=True)
class StackLayer:
    """One layer along one axis. `pool`: it has no weights and no nonlinearity of its own."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    pool: bool = False

    @property
    def words(self) -> str:
        """3×3 · stride 2 · dilation 2."""
        name = f"{self.kernel}×{self.kernel}" + (" pool" if self.pool else "")
        extra = [f"{what} {n}" for what, n in (("stride", self.stride), ("dilation", self.dilation)) if n > 1]
        return " · ".join([name, *extra])


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers, the input's side first. Sizes are those of one axis, in pixels of the input.

    Source of the effective field: Luo, Li, Urtasun, Zemel, NeurIPS 2016, arXiv:1701.04128, section 2."""

    layers: tuple[StackLayer, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The receptive field above each layer."""
        size, jump, found = 1, 1, []
        for layer in self.layers:
            size += layer.dilation * (layer.kernel - 1) * jump
            jump *= layer.stride
            found.append(size)
        return tuple(found)

    @property
    def size(self) -> int:
        """The receptive field of the top unit."""
        return self.sizes[-1] if self.layers else 1

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels from unit to unit above each layer."""
        return tuple(int(n) for n in np.cumprod([layer.stride for layer in self.layers]))

    @property
    def taps(self) -> tuple[np.ndarray, ...]:
        """The units that the top unit depends on, level by level from the top to the input: sorted indices, where
        unit i reads the units i·stride + dilation·t, t < kernel, below. The last are pixels 0 … size - 1."""
        levels = [np.zeros(1, np.int64)]
        for layer in reversed(self.layers):
            reads = levels[-1][:, None] * layer.stride + layer.dilation * np.arange(layer.kernel)
            levels.append(np.unique(reads))
        return tuple(levels)

    @property
    def profile(self) -> np.ndarray:
        """(size,) float64, sum 1: the share of each input pixel in the top unit if every tap weighs the same and
        nothing is cut off. It is the convolution of all kernels, each spread by the stride below it."""
        weight, jump = np.ones(1), 1
        for layer in self.layers:
            kernel = np.zeros(layer.dilation * (layer.kernel - 1) * jump + 1)
            kernel[:: layer.dilation * jump] = 1 / layer.kernel
            weight = np.convolve(weight, kernel)
            jump *= layer.stride
        return weight

    @property
    def sigma(self) -> float:
        """Standard deviation of `profile`, pixels; √(n(k² − 1)/12) for n layers of k taps."""
        at, weight = np.arange(self.size), self.profile
        return float(np.sqrt(max(float(weight @ (at - weight @ at) ** 2), 0.0)))

    @property
    def nonlinearities(self) -> int:
        """One behind every convolution."""
        return sum(not layer.pool for layer in self.layers)

    def weights(self, channels: int) -> int:
        """Of the convolutions, from `channels` to as many, without biases."""
        return sum(layer.kernel**2 * channels**2 for layer in self.layers if not layer.pool)

    def macs(self, channels: int, side: int) -> int:
        """Multiply-adds for a map of `side` × `side`, padded so that stride alone reduces it. Raises BadInput."""
        if min(channels, side) < 1:
            raise BadInput(f"Expected channels and side of at least 1, got {channels} and {side}.")
        total = 0
        for layer in self.layers:
            side = -(-side // layer.stride)
            total += 0 if layer.pool else layer.kernel**2 * channels**2 * side**2
        return total

    @property
    def formula(self) -> str:
        """The weights as a multiple of C²: "27 C²"."""
        return f"{sum(layer.kernel**2 for layer in self.layers if not layer.pool)} C²"


def make_stack(layers: Sequence[StackLayer]) -> Stack:
    """A checked stack. Raises BadInput for none, too many, or a field too large to be drawn."""
    found = Stack(tuple(layers))
    if not 1 <= len(found.layers) <= DEEPEST:
        raise BadInput(f"A stack needs 1 to {DEEPEST} layers, got {len(found.layers)}. Write one a line, such as “3”.")
    if found.size > LONGEST:
        raise BadInput(
            f"This stack sees {plural(found.size, 'pixel')}; at most {LONGEST} can be drawn. Take fewer layers "
            "or less stride."
        )
    return found


def read_stack(text: str) -> Stack:
    """A stack as text, one layer a line or set apart by ";": kernel, stride, dilation, and "pool" for a pooling layer;
    "3", "3 2", "3 1 4" and "pool 2 2" are layers. Raises BadInput, which names the line."""
    lines = [line.strip() for line in text.replace(";", "\n").splitlines() if line.strip()]
    return make_stack([_read_layer(line, number) for number, line in enumerate(lines, 1)])


def write_stack(layers: Sequence[StackLayer]) -> str:
    """The text that `read_stack` reads."""
    return "\n".join(_write_layer(layer) for layer in layers)


def _write_layer(layer: StackLayer) -> str:
    numbers = [layer.kernel, layer.stride, layer.dilation]
    while len(numbers) > 1 and numbers[-1] == 1:
        numbers.pop()
    return " ".join([*(["pool"] if layer.pool else []), *map(str, numbers)])


def _read_layer(line: str, number: int) -> StackLayer:
    words = re.split(r"[\s,]+", line.lower())
    pool = "pool" in words
    numbers = [word for word in words if word and word != "pool"]
    if not 1 <= len(numbers) <= 3 or not all(re.fullmatch(r"\d{1,4}", word) for word in numbers):
        raise BadInput(
            f"Layer {number}, {line[:40]!r}, is none. Write its kernel, and if you like stride and dilation, as whole "
            "numbers: “3”, “3 2”, “3 1 4”, or “pool 2 2”."
        )
    values = [int(word) for word in numbers]
    for (what, most), value in zip(LARGEST.items(), values, strict=False):
        if not 1 <= value <= most:
            raise BadInput(f"Layer {number} has {what} {value}; it must lie in 1..{most}.")
    kernel, stride, dilation = [*values, 1, 1][:3]
    return StackLayer(kernel, stride, dilation, pool)


def _same(*kernels: int) -> tuple[StackLayer, ...]:
    return tuple(StackLayer(kernel) for kernel in kernels)


_POOL = StackLayer(2, 2, pool=True)
PRESETS: dict[str, tuple[StackLayer, ...]] = {
    "three 3×3": _same(3, 3, 3),
    "one 7×7": _same(7),
    "two 3×3": _same(3, 3),
    "one 5×5": _same(5),
    "VGG-16, blocks 1 and 2": (*_same(3, 3), _POOL, *_same(3, 3), _POOL),
    "dilated 1-2-4": tuple(StackLayer(3, 1, dilation) for dilation in (1, 2, 4)),
    "ResNet stem: 7×7 stride 2, pool": (StackLayer(7, 2), StackLayer(3, 2, pool=True)),
    "three 3×3, stride 2": tuple(StackLayer(3, 2) for _ in range(3)),
    "twenty 3×3": _same(*[3] * 20),
}
