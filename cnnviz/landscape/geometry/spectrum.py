"""Spectrum of the Hessian at a network's weights: extreme eigenvalues and trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.geometry.hessian import Objective, hutchinson, lanczos
from cnnviz.models.model import LoadedModel
from cnnviz.progress import StudyWatcher, Ticker

BATCH = 64  # images of one backward pass, fewer where memory is short: the products hold two graphs of it


@dataclass(frozen=True, slots=True, repr=False)
class Spectrum(Summarised):
    """Ends and trace of the Hessian of the mean cross-entropy by all parameters, nats over squared weights.

    `largest` (k,): eigenvalues, falling, and `largest_error` (k,), within which of each there is one;
    `smallest` and `smallest_error`; `trace` and its standard error over the random probes. `parameters`: rows of
    the matrix; `images`: over which the loss is the mean; `products`: with the matrix, that this took."""

    largest: np.ndarray
    largest_error: np.ndarray
    smallest: float
    smallest_error: float
    trace: float
    trace_error: float
    parameters: int
    images: int
    products: int

    @property
    def ratio(self) -> float:
        """|smallest / largest| eigenvalue: near 0 where the loss is nearly convex. Li et al. 2018, section 6."""
        return abs(self.smallest / self.largest[0]) if self.largest[0] else np.nan


def spectrum(
    model: LoadedModel,
    images: Any,
    labels: Any,
    count: int = 3,
    steps: int = 50,
    probes: int = 10,
    seed: int = 0,
    tolerance: float = 1e-2,
    progress: StudyWatcher | None = None,
) -> Spectrum:
    """The `count` largest and the smallest eigenvalue of the Hessian (at most `steps` Lanczos steps, fewer when
    all are known to `tolerance` of the largest), and its trace (`probes` random vectors).

    In float32, with batch normalisation's statistics frozen, on a private copy. `images`, `labels`: as for
    `Evaluator`. A product costs about two passes forward and two backward; memory holds `steps` copies of the
    parameters. For another point of a landscape give it `perturb(model, directions, alpha, beta)`.
    Sources: Lanczos 1950; Hutchinson 1990; both for networks, Yao, Gholami, Keutzer, Mahoney 2020,
    arXiv:1912.07145. Raises BadInput, Cancelled when `progress` returns False."""
    check_sizes(count, steps, probes)
    evaluator = Evaluator(model, images, labels, precision="float32")
    ticker = Ticker(steps + probes, progress)
    return compute_spectrum(build_objective(evaluator), count, steps, probes, seed, tolerance, ticker)


def build_objective(evaluator: Evaluator) -> Objective:
    """The evaluator's loss with derivatives, on a private copy of its network."""
    ending, most = evaluator.images.ending, min(BATCH, evaluator.count) if evaluator.model.trial.together else 1
    return Objective(evaluator.module(), evaluator.images.parts, evaluator.count, most, ending)


def compute_spectrum(
    objective: Objective, count: int, steps: int, probes: int, seed: int, tolerance: float, ticker: Ticker
) -> Spectrum:
    """As `spectrum`, of any objective."""
    generator, like = torch.Generator().manual_seed(seed), objective.parameters[0]
    start = torch.randn(objective.size, generator=generator).to(like)
    ends = lanczos(objective.times, start, count, steps, tolerance, _make_tick(ticker, "eigenvalues"))
    ticker.tick("eigenvalues", steps - ends.products)
    trace, error = hutchinson(objective.times, start, probes, generator, _make_tick(ticker, "trace"))
    extremes = ends.largest, ends.largest_error, ends.smallest, ends.smallest_error
    return Spectrum(*extremes, trace, error, objective.size, objective.count, ends.products + probes)


def _make_tick(ticker: Ticker, what: str) -> Callable[[], None]:
    return lambda: ticker.tick(what)


def check_sizes(count: int, steps: int, probes: int) -> None:
    """Raise BadInput for numbers of eigenvalues, Lanczos steps and probes that give nothing."""
    if count < 1 or steps < 2 * count or probes < 2:
        raise BadInput(
            f"Give count >= 1, steps >= 2 × count and probes >= 2, got count {count}, steps {steps}, probes {probes}."
        )
