"""Factorised convolutions of Inception v2 and v3, and three ways to halve a grid, by their cost."""

from __future__ import annotations

from cnnviz.errors import BadInput
from cnnviz.studies.convolution.cost import Cost


def _cost(kernel: tuple[int, int], channels: int, filters: int, side: int) -> Cost:
    """A convolution that puts out side × side, without biases."""
    weights = kernel[0] * kernel[1] * channels * filters
    return Cost(weights, 0, weights * side * side, (filters, side, side))


def _require(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}.")


def stacked_threes(kernel: int, channels: int, side: int) -> tuple[tuple[str, Cost], ...]:
    """A kernel × kernel convolution, and the 3×3 convolutions with the same receptive field: (words, cost) each.

    `channels` in and out, `side`: pixels of the map; kernel odd, 3 or more. Biases are left out, as in the paper.
    Source: Szegedy et al., CVPR 2016 (arXiv:1512.00567), section 3.1, figure 5. Raises BadInput."""
    _require(channels=channels, side=side)
    if kernel < 3 or kernel % 2 == 0:
        raise BadInput(f"Layers of 3×3 see an odd square of 3×3 pixels or more, got {kernel}×{kernel}.")
    whole, three = _cost((kernel, kernel), channels, channels, side), _cost((3, 3), channels, channels, side)
    count, total = (kernel - 1) // 2, three
    for _ in range(count - 1):
        total = total + three
    return (f"{kernel}×{kernel}", whole), (" + ".join(["3×3"] * count), total)


def asymmetric_pair(kernel: int, channels: int, side: int) -> tuple[tuple[str, Cost], ...]:
    """An n×n convolution, and 1×n followed by n×1: (words, cost) each; see `stacked_threes`.

    Source: section 3.2, figure 6; in Inception v3 n = 7 on maps of 17×17. Raises BadInput."""
    _require(kernel=kernel, channels=channels, side=side)
    row, column = _cost((1, kernel), channels, channels, side), _cost((kernel, 1), channels, channels, side)
    whole = _cost((kernel, kernel), channels, channels, side)
    return (f"{kernel}×{kernel}", whole), (f"1×{kernel} + {kernel}×1", row + column)


def grid_reductions(kernel: int, channels: int, side: int) -> tuple[tuple[str, Cost], ...]:
    """Three ways from `channels` maps of side × side to twice as many of half the side: (words, cost) each.

    Convolution and then pooling; pooling and then convolution, which squeezes all through a bottleneck; and a
    convolution of stride 2 beside a pool, whose maps are concatenated. Source: section 5, figures 9 and 10, whose
    2d²k² and 2(d/2)²k² leave the kernel's area out. Raises BadInput for an odd side."""
    _require(kernel=kernel, channels=channels, side=side)
    if side % 2:
        raise BadInput(f"A grid is halved: its side must be even, got {side}.")
    half, square = side // 2, (kernel, kernel)
    late = _cost(square, channels, 2 * channels, side)
    early = _cost(square, channels, 2 * channels, half)
    beside = _cost(square, channels, channels, half)
    output = (2 * channels, half, half)
    return (
        ("convolution, then pool", Cost(late.weights, 0, late.macs, output)),
        ("pool, then convolution", early),
        ("convolution beside pool", Cost(beside.weights, 0, beside.macs, output)),
    )
