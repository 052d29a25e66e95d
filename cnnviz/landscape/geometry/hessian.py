"""Hessian-vector products of the loss: top eigenvalues (Lanczos) and trace (Hutchinson)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.device import halving
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.output import find_scores, to_logits
from cnnviz.training.loss import cross_entropy

Product = Callable[[Tensor], Tensor]
Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]


class Objective:
    """Mean cross-entropy over fixed images as a function of a network's parameters, with derivatives.

    `module`: a network that nobody else uses; it is put into eval mode, so that batch normalisation keeps its
    statistics and the loss is a function of the parameters alone, and its parameters need gradients from
    then on. `batches(size)`: called for every pass over the images, yields (images (n, C, H, W) preprocessed, labels
    (n,)) with n at most `size`; `count`: images in all; `batch`: the size to begin with, which becomes smaller where
    memory is short. `ending`: the function that the network ends in, see `models.output.find_ending`. Everything is
    computed in the module's own precision."""

    def __init__(self, module: nn.Module, batches: Batches, count: int, batch: int, ending: str = "") -> None:
        self.ending = ending
        self.module, self.batches, self.count, self.batch = module.eval(), batches, count, batch
        self.names = [name for name, _ in module.named_parameters()]
        self.parameters = [parameter.requires_grad_(True) for parameter in module.parameters()]
        self.size = sum(parameter.numel() for parameter in self.parameters)
        if not self.size or not count:
            raise BadInput(f"Derivatives need parameters and images, got {self.size} and {count}.")

    def gradient(self) -> tuple[float, list[Tensor]]:
        """The loss in nats, and its gradient by each parameter. Raises DeviceLost if memory is short for one image."""
        return halving(self._gradient, self.batch, self.parameters[0].device)

    def _gradient(self, batch: int) -> tuple[float, list[Tensor]]:
        loss, total = 0.0, [torch.zeros_like(p) for p in self.parameters]
        for part in self._parts(batch):
            gradients = torch.autograd.grad(part, self.parameters, materialize_grads=True)
            loss += float(part.detach())
            torch._foreach_add_(total, gradients)
        return loss, total

    def times(self, vector: Tensor) -> Tensor:
        """The Hessian times `vector` (size,), the parameters in order, flattened: the gradient of the
        gradient's component along it (Pearlmutter 1994). Raises DeviceLost if memory is short for one image."""
        return halving(lambda batch: self._times(vector, batch), self.batch, vector.device)

    def _times(self, vector: Tensor, batch: int) -> Tensor:
        along, total = self._split(vector), torch.zeros_like(vector)
        for part in self._parts(batch):
            gradients = torch.autograd.grad(part, self.parameters, create_graph=True, materialize_grads=True)
            parts = [(g * v).sum() for g, v in zip(gradients, along, strict=True)]
            component = sum(parts[1:], parts[0])
            if not component.requires_grad:  # a loss that is linear in the parameters
                continue
            products = torch.autograd.grad(component, self.parameters, materialize_grads=True)
            total += torch.cat([p.flatten() for p in products])
        return total

    def _parts(self, batch: int) -> Iterator[Tensor]:
        """Each batch's share of the mean loss. What there was no room for once is not tried again."""
        self.batch = batch
        with torch.enable_grad():
            for images, labels in self.batches(batch):
                logits = to_logits(find_scores(self.module(images), len(images)), self.ending)
                yield cross_entropy(logits, labels, self.ending).sum() / self.count

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split([p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


@dataclass(frozen=True, slots=True, repr=False)
class Extremes(Summarised):
    """Both ends of a symmetric matrix's spectrum.

    `largest` (k,), falling, and `smallest`: eigenvalues; `largest_error` (k,) and `smallest_error`: norms of
    the residuals, within which there is an eigenvalue. `products`: how many products it took."""

    largest: np.ndarray
    largest_error: np.ndarray
    smallest: float
    smallest_error: float
    products: int


def lanczos(
    product: Product, start: Tensor, count: int, steps: int, tolerance: float = 1e-3, tick: Callable[[], object] = bool
) -> Extremes:
    """The `count` largest eigenvalues and the smallest one of the symmetric matrix behind `product`.

    Lanczos' recurrence from the vector `start` with full reorthogonalisation (twice, against all earlier
    vectors), for at most `steps` products; it ends earlier when the residuals of all wanted ends are below
    `tolerance` times the largest absolute eigenvalue. Memory: `steps` vectors. An eigenvalue of higher
    multiplicity is found once. `tick` is called after each product.
    Source: Golub, Van Loan, Matrix Computations, section 10.3."""
    basis = start.new_empty((min(steps, len(start)), len(start)))
    vector = start / start.norm()
    diagonal: list[float] = []
    beside: list[float] = []
    for step, row in enumerate(basis):
        row.copy_(vector)
        image, known = product(row), basis[: step + 1]
        tick()
        diagonal.append(float(image @ row))
        for _ in range(2):
            image = image - known.T @ (known @ image)
        beside.append(float(image.norm()))
        found = _find_extremes(np.array(diagonal), np.array(beside), count)
        scale = max(abs(found.smallest), abs(found.largest[0]), 1e-300)
        worst = max(found.smallest_error, found.largest_error.max())
        enough = step + 1 >= min(2 * count, len(start)) and worst <= tolerance * scale
        if enough or beside[-1] <= 10 * torch.finfo(start.dtype).eps * scale:  # the second: nothing is left over
            break
        vector = image / beside[-1]
    return found


def _find_extremes(diagonal: np.ndarray, beside: np.ndarray, count: int) -> Extremes:
    matrix = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values, vectors = np.linalg.eigh(matrix)
    errors = np.abs(beside[-1] * vectors[-1])
    top = slice(None, -count - 1, -1)
    return Extremes(values[top], errors[top], float(values[0]), float(errors[0]), len(diagonal))


def hutchinson(
    product: Product, like: Tensor, probes: int, generator: torch.Generator, tick: Callable[[], object] = bool
) -> tuple[float, float]:
    """(trace, standard error of it) of the matrix behind `product`, from `probes` random vectors of ±1, at
    least 2. `like` gives their length, device and precision. Source: Hutchinson 1990."""
    samples = []
    for _ in range(probes):
        signs = (torch.randint(0, 2, (len(like),), generator=generator) * 2 - 1).to(like)
        samples.append(float(signs @ product(signs)))
        tick()
    return float(np.mean(samples)), float(np.std(samples, ddof=1) / np.sqrt(probes))
