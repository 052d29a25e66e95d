"""Parameters, multiply-adds and memory of convolutions, fully connected layers and Inception modules."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.convolution import output_size
from cnnviz.wording import plural

FLOAT = 4  # bytes of a float32


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one layer and one image. `weights` without, `parameters` with biases; `macs`: multiply-adds (multiplications,
    without the biases); `output` (C, H, W), (F,), or with as many axes as the layer has; `activations`: values of
    the output."""

    weights: int
    biases: int
    macs: int
    output: tuple[int, ...]

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def parameter_bytes(self) -> int:
        """As float32."""
        return FLOAT * self.parameters

    @property
    def activations(self) -> int:
        return math.prod(self.output)

    @property
    def activation_bytes(self) -> int:
        """As float32."""
        return FLOAT * self.activations

    def __add__(self, other: Cost) -> Cost:
        """Both layers; the output is that of the second."""
        return Cost(self.weights + other.weights, self.biases + other.biases, self.macs + other.macs, other.output)


def conv_cost(
    channels: int,
    filters: int,
    kernel: int,
    height: int = 1,
    width: int = 1,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    bias: bool = True,
    dilation: int = 1,
) -> Cost:
    """A convolution over (channels, height, width). `padding` None keeps the size at stride 1 (odd kernels).

    Weights depend on neither size, stride, padding nor dilation. Raises BadInput for counts that do not fit."""
    return conv_cost_nd(channels, filters, kernel, (height, width), stride, padding, groups, bias, dilation)


def conv_cost_nd(
    channels: int,
    filters: int,
    kernel: int,
    sizes: tuple[int, ...],
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    bias: bool = True,
    dilation: int = 1,
) -> Cost:
    """A convolution over (channels, *sizes) whose kernel has `kernel` weights along every axis: one axis for a signal,
    two for an image, three for a volume. The rest as for `conv_cost`."""
    if min(channels, filters, groups) < 1 or channels % groups or filters % groups:
        raise BadInput(
            f"{plural(channels, 'channel')} and {plural(filters, 'filter')} cannot be divided into "
            f"{plural(groups, 'group')}."
        )
    around = dilation * (kernel - 1) // 2 if padding is None else padding
    output = tuple(output_size(n, kernel, stride, around, dilation).size for n in sizes)
    weights = kernel ** len(sizes) * channels // groups * filters
    return Cost(weights, filters if bias else 0, weights * math.prod(output), (filters, *output))


def dense_cost(inputs: int, outputs: int, bias: bool = True) -> Cost:
    """A fully connected layer. Raises BadInput for counts below 1."""
    if min(inputs, outputs) < 1:
        raise BadInput(f"A fully connected layer needs inputs and outputs, got {inputs} and {outputs}.")
    return Cost(inputs * outputs, outputs if bias else 0, inputs * outputs, (outputs,))


@dataclass(frozen=True, slots=True)
class ModuleCost:
    """A module of parallel branches that are concatenated. `branches`: (name, cost of all its layers). `depth`:
    channels of the output; a pooling branch without a projection hands on all it was given."""

    branches: tuple[tuple[str, Cost], ...]
    depth: int

    @property
    def macs(self) -> int:
        return sum(cost.macs for _, cost in self.branches)

    @property
    def weights(self) -> int:
        return sum(cost.weights for _, cost in self.branches)


def inception_cost(
    channels: int = 256,
    side: int = 28,
    filters: tuple[int, int, int] = (128, 192, 96),
    reduce: tuple[int, int, int] | None = None,
) -> ModuleCost:
    """An Inception module on (channels, side, side): `filters` 1×1, 3×3 and 5×5 convolutions and a 3×3 max pooling.

    `reduce`: 1×1 filters before the 3×3, before the 5×5, and behind the pooling; None is the naive module.
    Source: Szegedy et al., CVPR 2015 (arXiv:1409.4842), figure 2. Raises BadInput."""
    one, three, five = filters
    branches = [("1×1", conv_cost(channels, one, 1, side, side))]
    if reduce is None:
        branches += [(f"{k}×{k}", conv_cost(channels, f, k, side, side)) for k, f in ((3, three), (5, five))]
        branches.append(("pool", Cost(0, 0, 0, (channels, side, side))))
    else:
        for k, f, before in ((3, three, reduce[0]), (5, five, reduce[1])):
            narrow = conv_cost(channels, before, 1, side, side)
            branches.append((f"1×1, {k}×{k}", narrow + conv_cost(before, f, k, side, side)))
        branches.append(("pool, 1×1", conv_cost(channels, reduce[2], 1, side, side)))
    return ModuleCost(tuple(branches), sum(cost.output[0] for _, cost in branches))
