"""Principal component analysis of points in weight space: directions, coordinates, and what the plane leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.wording import plural

Direction = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, repr=False)
class Projection(Summarised):
    """Where points lie relative to a plane through the origin.

    `positions` (E, 2): least-squares coordinates; `distance` (E,) from the origin; `residual` (E,): distance
    from the plane over that from the origin, 0..1; `explained` (2,): share of the points' variance along each
    direction; `cosine` of the directions."""

    positions: np.ndarray
    distance: np.ndarray
    residual: np.ndarray
    explained: np.ndarray
    cosine: float


def project(rows: Mapping[str, Tensor], directions: Sequence[Direction]) -> Projection:
    """Points on the plane of two directions. `rows`: {name: (E, values)} differences to the origin; products
    are summed in float64. Raises BadInput for directions that are zero or parallel."""
    count = len(next(iter(rows.values())))
    products, squares, gram, total = np.zeros((count, 2)), np.zeros(count), np.zeros((2, 2)), 0.0
    for name, values in rows.items():
        points = values.double()
        along = torch.stack([_take_entry(direction, name, points) for direction in directions])
        products += (points @ along.T).numpy()
        squares += points.square().sum(1).numpy()
        gram += (along @ along.T).numpy()
        total += float((points - points.mean(0)).square().sum())
    lengths = np.sqrt(np.diag(gram))
    if not lengths.all() or abs(gram[0, 1]) > (1 - 1e-9) * lengths.prod():
        raise BadInput("The two directions are zero or parallel over these tensors: they span no plane.")
    positions = np.linalg.solve(gram, products.T).T
    outside = np.maximum(squares - (positions * products).sum(1), 0.0)
    residual = np.sqrt(outside / np.where(squares > 0, squares, 1.0))
    centred = products - products.mean(0)
    explained = (centred**2).sum(0) / lengths**2 / (total or 1.0)
    return Projection(positions, np.sqrt(squares), residual, explained, float(gram[0, 1] / lengths.prod()))


def principal_directions(rows: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> list[dict[str, Tensor]]:
    """The first two principal components of the points `rows` {name: (E, values)}, float32, of length 1 over
    all tensors together; the point that lies farthest along each has a positive coordinate.

    From the matrix of inner products of the centred points, summed in float64. Raises BadInput for points on
    one line."""
    count = len(next(iter(rows.values()), ()))
    gram = np.zeros((count, count))
    for row in rows.values():
        points = row.double()
        gram += (points @ points.T).numpy()
    centring = np.eye(count) - 1 / max(count, 1)
    values, vectors = np.linalg.eigh(centring @ gram @ centring)
    if count < 3 or values[-2] <= 1e-10 * values[-1]:
        raise BadInput(
            f"The {plural(count, 'snapshot')} lie on a straight line, which has no principal plane. Give at "
            "least three that "
            "differ, or look at the line between two networks (--interpolate)."
        )
    found = []
    for index in (-1, -2):
        mix = centring @ vectors[:, index] / np.sqrt(values[index])
        coordinates = gram @ mix
        mix *= np.sign(coordinates[np.abs(coordinates).argmax()])
        weights = torch.from_numpy(mix)
        found.append({name: (weights @ v.double()).float().view(shapes[name]) for name, v in rows.items()})
    return found


def _take_entry(direction: Direction, name: str, like: Tensor) -> Tensor:
    return direction[name].flatten().to(like) if name in direction else like.new_zeros(like.shape[1])
