"""Local response normalisation of one pixel's channels, by the formula of the paper and as PyTorch computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput


@dataclass(frozen=True, slots=True, repr=False)
class LocalResponse(Summarised):
    """One pixel. `before`, `after` (C,) float64. `sums` (C,): of the squares of the neighbours of each channel, itself
    among them. `denominators` (C,): (k + α · sum)^β. `first`, `last` (C,) int: the neighbours that enter, inclusive.
    `by_torch` (C,): what `torch.nn.LocalResponseNorm` makes of it with the same four numbers: it divides α by n."""

    before: np.ndarray
    after: np.ndarray
    sums: np.ndarray
    denominators: np.ndarray
    first: np.ndarray
    last: np.ndarray
    by_torch: np.ndarray


def local_response(before: np.ndarray, n: int, alpha: float, beta: float, k: float) -> LocalResponse:
    """b_i = a_i / (k + α · Σ a_j²)^β over j from i − n/2 to i + n/2, cut at the first and the last channel.

    `before` (C,): activations of the channels at one place. AlexNet: n 5, alpha 1e-4, beta 0.75, k 2. Raises BadInput
    for an even `n`, whose middle is no channel, or for negative numbers.
    Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3."""
    import torch
    import torch.nn.functional as F

    if n < 1 or n % 2 == 0 or min(alpha, beta, k) < 0 or k + alpha == 0:
        raise BadInput(f"Give an odd n from 1 and alpha, beta, k from 0, not both 0; got {n}, {alpha}, {beta}, {k}.")
    values, places = np.asarray(before, np.float64), np.arange(len(before))
    first, last = np.maximum(places - n // 2, 0), np.minimum(places + n // 2, len(values) - 1)
    total = np.concatenate([[0.0], np.cumsum(values**2)])
    sums = total[last + 1] - total[first]
    denominators = (k + alpha * sums) ** beta
    given = torch.from_numpy(values)[None, :, None]
    by_torch = F.local_response_norm(given, n, alpha=alpha, beta=beta, k=k)[0, :, 0].numpy()
    return LocalResponse(values, values / denominators, sums, denominators, first, last, by_torch)
