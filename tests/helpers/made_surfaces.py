"""Surfaces with a formula for a loss, so that every height is known."""

import numpy as np

from cnnviz.landscape.results import Surface, Trajectory


def bowl(steps: int = 11, top: float = 12.0, ripple: float = 0.0, floor: float = 0.02, **meta) -> Surface:
    """loss = floor + top (α² + β²) / 2, with ripples; accuracy = exp(-loss); errors a tenth of both."""
    axis = np.linspace(-1, 1, steps)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    loss = floor + top * (a**2 + b**2) / 2 + ripple * (1 - np.cos(9 * a)) * (a**2 + b**2)
    accuracy = np.exp(-loss)
    notes = {"images": 100, "source": "made", "seed": 0, "statistics": "frozen", "precision": "float32", "cosine": 0.01}
    return Surface(axis, axis.copy(), loss, accuracy, loss / 10, accuracy / 10, {**notes, **meta})


def path_of(epochs: tuple[int, ...] = (0, 5, 10)) -> Trajectory:
    """A straight way from (1, 0.5) to the centre."""
    numbers = np.array(epochs)
    left = 1 - numbers / numbers[-1]
    return Trajectory(numbers, np.stack([left, left / 2], axis=1), left / 4, 0.1 + 2 * left, 1 - 0.9 * left)
