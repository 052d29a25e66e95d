"""Two tables in either order: convolution commutes, correlation turns its result by 180°."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.studies.convolution.convolution import convolve


@dataclass(frozen=True, slots=True, repr=False)
class Commutation(Summarised):
    """Two grids in either order, every overlap counted ("full"). `first`: a with b laid on; `second`: b with a laid on,
    both (rows, cols)."""

    first: np.ndarray
    second: np.ndarray

    @property
    def equal(self) -> bool:
        """Whether the order makes no difference."""
        return self.first.shape == self.second.shape and bool(np.allclose(self.first, self.second))

    @property
    def turned(self) -> bool:
        """Whether one is the other turned by 180°, as for correlation."""
        return self.first.shape == self.second.shape and bool(np.allclose(self.first, self.second[::-1, ::-1]))


def swap_operands(a: np.ndarray, b: np.ndarray, flip: bool) -> Commutation:
    """a over b and b over a. `flip`: the convolution of mathematics, which commutes; else correlation, whose results
    are each other turned by 180°. Raises BadInput for grids that are no tables.

    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.1."""

    def full(grid: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        pads = kernel.shape[0] - 1, kernel.shape[1] - 1
        return convolve(grid, kernel[None, None], None, 1, pads, flip=flip).output[0]

    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.ndim != 2 or right.ndim != 2:
        raise BadInput(f"Expected two tables of numbers, got shapes {left.shape} and {right.shape}.")
    return Commutation(full(left, right), full(right, left))
