"""Convolution step by step on small grids: the window, its products, their sum written out. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.wording import plural

GRID, KERNEL = ((0, 1, 2), (3, 4, 5), (6, 7, 8)), ((0, 1), (2, 3))  # the lecture's first example: 19, 25, 37, 43
SHARPEN_GRID = (
    (60, 113, 56, 139, 85),
    (73, 121, 54, 84, 128),
    (131, 99, 70, 129, 127),
    (80, 57, 115, 69, 134),
    (104, 126, 123, 95, 130),
)
SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))  # on the grid above with padding 1: the first value is 114


@dataclass(frozen=True, slots=True)
class OutputSize:
    """How many windows fit along an axis. `exact`: (n + 2p − d(k − 1) − 1) / s + 1 before rounding down. `size`: after.
    `unread`: pixels at the end that no window reads, 0 where the division is whole. `per_side`, `total`: the formula in
    both notations, with numbers: p a side, or p for both sides together."""

    size: int
    exact: Fraction
    unread: int
    per_side: str
    total: str

    @property
    def whole(self) -> bool:
        """True if the division leaves no remainder."""
        return self.exact.denominator == 1


def output_size(n: int, k: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> OutputSize:
    """Units along one axis of a convolution or pooling over `n` pixels; `padding` is that of each side.

    Raises BadInput if no window fits, or for a kernel, stride or dilation below 1 or a padding below 0.
    Source: Dumoulin and Visin, 2016 (arXiv:1603.07285), relationship 6 and 13."""
    if min(n, k, stride, dilation) < 1 or padding < 0:
        given = (n, k, stride, dilation, padding)
        raise BadInput(f"n, k, stride and dilation are 1 or more, padding 0 or more; got {given}.")
    reach = dilation * (k - 1) + 1
    room = n + 2 * padding - reach
    if room < 0:
        raise BadInput(
            f"A window that spans {plural(reach, 'pixel')} does not fit {plural(n, 'pixel')} with padding "
            f"{padding} a side."
        )
    size = room // stride + 1
    return OutputSize(
        size,
        Fraction(room, stride) + 1,
        room % stride,
        f"⌊({n} + 2·{padding} − {reach}) / {stride}⌋ + 1 = {size}",
        f"⌊({n} − {reach} + {2 * padding} + {stride}) / {stride}⌋ = {size}",
    )


def shrink_sizes(size: int, kernel: int, stride: int, padding: int, layers: int) -> list[int]:
    """The side of the map after 0, 1, … layers; shorter than `layers` + 1 where a window no longer fits.

    Raises BadInput for a size, kernel, stride or number of layers below 1 or a padding below 0."""
    if min(size, kernel, stride, layers) < 1 or padding < 0:
        raise BadInput(f"Sizes are 1 or more and padding 0 or more; got {(size, kernel, stride, layers, padding)}.")
    found = [size]
    while len(found) <= layers and found[-1] + 2 * padding >= kernel:
        found.append((found[-1] + 2 * padding - kernel) // stride + 1)
    return found


@dataclass(frozen=True, slots=True, repr=False)
class ConvolutionStep(Summarised):
    """One place of the window. `window`, `weights`, `products`: (C, kh, kw). `sums` (C,): of the products of each
    channel. `value`: their sum, plus the bias. `text`: the sum written out, "0·0 + 1·1 + 3·2 + 4·3 = 19"."""

    window: np.ndarray
    weights: np.ndarray
    products: np.ndarray
    sums: np.ndarray
    bias: float
    value: float
    text: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The sum of each channel's products written out."""
        parts = zip(self.window, self.weights, self.sums, strict=True)
        return tuple(_write_sum(window, weights, 0.0, float(value)) for window, weights, value in parts)

    @property
    def total(self) -> str:
        """The sums of the channels added up, and the bias: "19 + 37 = 56"."""
        terms = [*map(_number, map(float, self.sums)), *([_number(self.bias)] if self.bias else [])]
        return " + ".join(terms) + f" = {_number(self.value, bare=True)}"


@dataclass(frozen=True, slots=True, repr=False)
class ConvolvedGrid(Summarised):
    """A convolution of a small grid. `padded` (C, H', W'): what the window slides over. `kernels` (F, C / groups, kh,
    kw): as they are laid on, flipped already if asked for. `output` (F, rows, cols)."""

    padded: np.ndarray
    kernels: np.ndarray
    bias: np.ndarray
    output: np.ndarray
    stride: int
    dilation: int
    groups: int

    def step(self, row: int, col: int, filter_: int = 0) -> ConvolutionStep:
        """The window behind output (filter_, row, col). Raises BadInput outside the output."""
        filters, rows, cols = self.output.shape
        if not (0 <= filter_ < filters and 0 <= row < rows and 0 <= col < cols):
            raise BadInput(f"The output has {plural(filters, 'map')} of {rows}×{cols}, got ({filter_}, {row}, {col}).")
        weights = self.kernels[filter_]
        depth, high, wide = weights.shape
        first = filter_ // (filters // self.groups) * depth
        top, left = row * self.stride, col * self.stride
        down = slice(top, top + self.dilation * (high - 1) + 1, self.dilation)
        across = slice(left, left + self.dilation * (wide - 1) + 1, self.dilation)
        window = self.padded[first : first + depth, down, across]
        products, bias = window * weights, float(self.bias[filter_])
        value = float(self.output[filter_, row, col])
        text = _write_sum(window, weights, bias, value)
        return ConvolutionStep(window, weights, products, products.sum((1, 2)), bias, value, text)


def convolve(
    grid: np.ndarray,
    kernels: np.ndarray,
    bias: np.ndarray | None = None,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    groups: int = 1,
    flip: bool = False,
) -> ConvolvedGrid:
    """Slide kernels over a grid with zeros around it, as `torch.nn.Conv2d` does: a cross-correlation.

    `grid`: (H, W) or (C, H, W); `kernels`: (kh, kw), (C, kh, kw) for one filter, or (F, C / groups, kh, kw).
    `padding`: zeros on each side, or above and below, and left and right. `flip`: turn the kernels by 180° first,
    which makes it the convolution of mathematics. float64. Raises BadInput."""
    image, filters = np.asarray(grid, np.float64), np.asarray(kernels, np.float64)
    image = image[None] if image.ndim == 2 else image
    filters = filters.reshape((1,) * (4 - filters.ndim) + filters.shape)
    _check(image, filters, groups)
    added = np.zeros(len(filters)) if bias is None else np.broadcast_to(np.asarray(bias, np.float64), len(filters))
    pads = (padding, padding) if isinstance(padding, int) else padding
    for n, k, p in zip(image.shape[1:], filters.shape[2:], pads, strict=True):
        output_size(n, k, stride, p, dilation)
    filters = filters[..., ::-1, ::-1] if flip else filters
    padded = np.pad(image, ((0, 0), *((p, p) for p in pads)))
    spans = tuple(dilation * (k - 1) + 1 for k in filters.shape[2:])
    windows = sliding_window_view(padded, spans, axis=(1, 2))[:, ::stride, ::stride, ::dilation, ::dilation]
    parts = zip(np.split(windows, groups), np.split(filters, groups), strict=True)
    output = np.concatenate([np.einsum("crsij,fcij->frs", window, part) for window, part in parts])
    return ConvolvedGrid(padded, filters, added, output + added[:, None, None], stride, dilation, groups)


def pad_axes(shape: tuple[int, ...], kernel: tuple[int, ...], padding: int) -> tuple[int, int]:
    """Padding (above and below, left and right) of a grid (H, W) under a kernel (kh, kw): `padding`, but 0 across an
    axis along which both have one number. A row is padded at its ends; rows of zeros above and below it would only
    give outputs of 0."""
    rows, cols = (0 if n == k == 1 else padding for n, k in zip(shape, kernel, strict=True))
    return rows, cols


def correlate(grid: np.ndarray, kernel: np.ndarray, stride: int = 1, padding: int = 0, dilation: int = 1) -> np.ndarray:
    """(rows, cols) of a grid (H, W) and a kernel (kh, kw): sums of products without a flip. Raises as `convolve`."""
    return convolve(grid, kernel, None, stride, padding, dilation).output[0]


def full_convolution(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H + kh − 1, W + kw − 1): every overlap of two grids, the second flipped. It commutes:
    full_convolution(a, b) equals full_convolution(b, a); without the flip the one is the other turned by 180°."""
    return _full(first, np.asarray(second)[::-1, ::-1])


def full_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """As `full_convolution`, without the flip. It does not commute."""
    return _full(first, np.asarray(second))


def _full(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    (high, wide), grid = second.shape, np.asarray(first, np.float64)
    return correlate(np.pad(grid, ((high - 1, high - 1), (wide - 1, wide - 1))), second)


def count_visits(shape: tuple[int, int], k: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> np.ndarray:
    """(H, W) int: how many windows read each pixel. Without padding a corner is read once, the middle k² times.

    Raises BadInput as `output_size` does."""
    counts = []
    for n in shape:
        m = output_size(n, k, stride, padding, dilation).size
        read = (np.arange(m)[:, None] * stride - padding + dilation * np.arange(k)).ravel()
        counts.append(np.bincount(read[(read >= 0) & (read < n)], minlength=n))
    return np.outer(*counts)


def _check(image: np.ndarray, filters: np.ndarray, groups: int) -> None:
    if image.ndim != 3 or filters.ndim != 4 or not image.size or not filters.size:
        raise BadInput(
            f"Expected a grid (H, W) or (C, H, W) and kernels of 2 to 4 axes, got {image.shape}, {filters.shape}."
        )
    if groups < 1 or len(image) % groups or len(filters) % groups or filters.shape[1] * groups != len(image):
        raise BadInput(
            f"{plural(len(filters), 'filter')} of depth {filters.shape[1]} in {plural(groups, 'group')} do not "
            f"fit {plural(len(image), 'channel')}. "
            "Channels and filters are divided by the groups, and a filter is as deep as its group."
        )


def _write_sum(window: np.ndarray, weights: np.ndarray, bias: float, value: float) -> str:
    terms = [f"{_number(x)}·{_number(w)}" for x, w in zip(window.ravel(), weights.ravel(), strict=True)]
    return " + ".join([*terms, *([_number(bias)] if bias else [])]) + f" = {_number(value, bare=True)}"


def _number(value: float, bare: bool = False) -> str:
    text = f"{value:.6g}".replace("-", "−")
    return f"({text})" if value < 0 and not bare else text
