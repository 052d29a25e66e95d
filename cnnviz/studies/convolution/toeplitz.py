"""Convolution as a matrix (Toeplitz): mostly zeros, and few numbers, each at many places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.studies.convolution.convolution import output_size
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True, repr=False)
class Toeplitz(Summarised):
    """y = matrix @ x for one channel, x and y row by row. `matrix` (M, N) float64. `weight` (M, N) int: which weight of
    the kernel, row by row, stands at each place, -1 for a forced zero: equal numbers are tied. `kernel`: as given.
    `inputs`, `outputs`: the shapes that N and M come from."""

    matrix: np.ndarray
    weight: np.ndarray
    kernel: np.ndarray
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def dense(self) -> int:
        """Weights of a fully connected layer between the same units: M · N."""
        return self.matrix.size

    @property
    def local(self) -> int:
        """Weights of a locally connected layer, which shares none: the places that are not forced to 0."""
        return int((self.weight >= 0).sum())

    @property
    def shared(self) -> int:
        """Weights of the convolution: those of the kernel that any output uses."""
        return len(np.unique(self.weight[self.weight >= 0]))


def build_toeplitz(
    kernel: np.ndarray,
    inputs: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
) -> Toeplitz:
    """The matrix of a 1-D kernel (k,) over `inputs` values, or of a 2-D kernel (kh, kw) over `inputs` (H, W).

    `padding`: zeros on each side, in 2-D also a pair: above and below, left and right. Applied without a flip.
    In one dimension it is a Toeplitz matrix, in two a block Toeplitz one with Toeplitz blocks (stride 1). Raises
    BadInput as `output_size` does, and for shapes that do not fit."""
    given = np.asarray(kernel, np.float64)
    shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
    if given.ndim != len(shape) or given.ndim not in (1, 2):
        raise BadInput(
            f"A kernel of {plural(given.ndim, 'axis')} does not fit inputs {shape}: k and n, or (kh, kw) and (H, W)."
        )
    pads = (padding,) * given.ndim if isinstance(padding, int) else padding
    axes = zip(shape, given.shape, pads, strict=True)
    sizes = tuple(output_size(n, k, stride, p, dilation).size for n, k, p in axes)
    label = np.full((*sizes, *shape), -1)
    for place in np.ndindex(*sizes):
        for number, tap in enumerate(np.ndindex(*given.shape)):
            at = tuple(p * stride - pad + dilation * t for p, t, pad in zip(place, tap, pads, strict=True))
            if all(0 <= a < n for a, n in zip(at, shape, strict=True)):
                label[place + at] = number
    label = label.reshape(int(np.prod(sizes)), int(np.prod(shape)))
    matrix = np.where(label >= 0, given.ravel()[np.maximum(label, 0)], 0.0)
    return Toeplitz(matrix, label, given, shape, sizes)
