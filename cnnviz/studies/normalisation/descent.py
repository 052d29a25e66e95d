"""Feature scaling: gradient descent on a least-squares problem, with features as they are and standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.wording import plural


@dataclass(frozen=True, slots=True, repr=False)
class LeastSquares(Summarised):
    """L(w) = Σ (x·w − y)² / 2n. `features` (n, 2), `targets` (n,); all float64. `hessian` (2, 2): XᵀX / n, the same
    everywhere. `best` (2,): the minimum. `curvatures` (2,): eigenvalues of the Hessian, the smaller first."""

    features: np.ndarray
    targets: np.ndarray
    hessian: np.ndarray
    best: np.ndarray
    curvatures: np.ndarray

    @property
    def condition(self) -> float:
        """λmax / λmin: how elongated the bowl is; its axes are as the root of it."""
        return float(self.curvatures[1] / self.curvatures[0])

    @property
    def largest_rate(self) -> float:
        """2 / λmax: gradient descent with a constant rate comes to the minimum below it, and leaves it beyond."""
        return float(2 / self.curvatures[1])

    def loss(self, weights: np.ndarray) -> np.ndarray:
        """Of weights (…, 2)."""
        residuals = np.asarray(weights) @ self.features.T - self.targets
        mean: np.ndarray = (residuals**2).mean(axis=-1) / 2
        return mean


def least_squares(features: np.ndarray, targets: np.ndarray) -> LeastSquares:
    """The problem of `features` (n, 2) and `targets` (n,). Raises BadInput if the features depend on each other, so
    that no minimum is the only one."""
    hessian = features.T @ features / len(features)
    curvatures = np.linalg.eigvalsh(hessian)
    if curvatures[0] <= 1e-12 * curvatures[1]:
        raise BadInput("One feature is a multiple of the other: many weights are equally good. Give other features.")
    best = np.linalg.solve(hessian, features.T @ targets / len(features))
    return LeastSquares(features, targets, hessian, best, curvatures)


def made_problems(ratio: float, seed: int, count: int = 100) -> tuple[LeastSquares, LeastSquares]:
    """The same made data twice: with the second feature `ratio` times as widely spread as the first, and with both
    standardised to mean 0 and deviation 1. Targets are centred. Random, by the seed."""
    random = np.random.default_rng(seed)
    plain = random.standard_normal((count, 2))
    targets = plain @ np.array((1.0, 1.0)) + 0.1 * random.standard_normal(count)
    plain -= plain.mean(axis=0)
    scaled = plain * np.array((1.0, ratio))
    targets -= targets.mean()
    return least_squares(scaled, targets), least_squares(scaled / scaled.std(axis=0), targets)


def descend(problem: LeastSquares, rate: float, start: np.ndarray, steps: int = 30) -> np.ndarray:
    """(steps + 1, 2): the weights of gradient descent w ← w − η H (w − w*) from `start`, η the learning rate."""
    path = [np.asarray(start, float)]
    for _ in range(steps):
        path.append(path[-1] - rate * problem.hessian @ (path[-1] - problem.best))
    return np.stack(path)


def descend_batches(
    problem: LeastSquares, rate: float, start: np.ndarray, steps: int, batch: int, seed: int
) -> np.ndarray:
    """(steps + 1, 2): the weights of stochastic gradient descent, each step by the gradient of `batch` points that are
    drawn at random, with replacement; a batch of as many points as there are takes them all, without noise.

    Raises BadInput for a batch below 1 or above the number of points."""
    count = len(problem.features)
    if not 1 <= batch <= count:
        raise BadInput(f"A batch has 1 to {plural(count, 'point')}, got {batch}.")
    if batch == count:
        return descend(problem, rate, start, steps)
    random, path = np.random.default_rng(seed), [np.asarray(start, float)]
    for _ in range(steps):
        chosen = random.integers(0, count, batch)
        x, y = problem.features[chosen], problem.targets[chosen]
        path.append(path[-1] - rate * x.T @ (x @ path[-1] - y) / batch)
    return np.stack(path)


def gradient_noise(problem: LeastSquares, weights: np.ndarray, batch: int) -> np.ndarray:
    """(2, 2) covariance of the gradient of `batch` points drawn at random with replacement: that of one point's
    gradients over all points, divided by the batch. Source: Robbins and Monro 1951; Bottou, Curtis, Nocedal, SIAM
    Review 2018, section 4."""
    each = problem.features * (problem.features @ weights - problem.targets)[:, None]
    noise: np.ndarray = np.cov(each.T, bias=True) / batch
    return noise
