"""Backpropagation by hand through one hidden layer of tanh units: forward, backward, and steps of gradient descent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from cnnviz.display import Summarised
from cnnviz.errors import BadInput


@dataclass(frozen=True, slots=True, repr=False)
class HandNetwork(Summarised):
    """ŷ = Σ_j w_j z_j with z_j = tanh(a_j), a_j = Σ_i v_ji x_i, and the loss ½ (ŷ − y)². float64: `x` (I,), `v` (J, I),
    `w` (J,), `y`. No biases; an input that is always 1 stands for one."""

    x: np.ndarray
    v: np.ndarray
    w: np.ndarray
    y: float

    def __post_init__(self) -> None:
        if self.v.ndim != 2 or self.x.shape != self.v.shape[1:] or self.w.shape != self.v.shape[:1]:
            raise BadInput(
                f"The weights v need one row for each hidden unit and one column for each input; got v of shape "
                f"{self.v.shape}, x of {self.x.shape}, w of {self.w.shape}."
            )


@dataclass(frozen=True, slots=True, repr=False)
class HandPass(Summarised):
    """One forward and one backward pass. `a`, `z` (J,): of the hidden units before and after tanh. `output` ŷ, `loss`.
    `delta` δ = ŷ − y. `of_w` (J,) = δ z_j. `deltas` (J,) δ_j = (1 − z_j²) w_j δ. `of_v` (J, I) = δ_j x_i. `error`,
    `difference_error`: the largest difference of `of_w` and `of_v` from autograd, and from central differences."""

    net: HandNetwork
    a: np.ndarray
    z: np.ndarray
    output: float
    loss: float
    delta: float
    of_w: np.ndarray
    deltas: np.ndarray
    of_v: np.ndarray
    error: float
    difference_error: float

    def step(self, rate: float) -> HandNetwork:
        """The network after one step of gradient descent, w ← w − η ∂L/∂w; `rate`: the learning rate η."""
        return replace(self.net, v=self.net.v - rate * self.of_v, w=self.net.w - rate * self.of_w)


def run_by_hand(net: HandNetwork) -> HandPass:
    """Forward and backward by the chain rule, each factor named. Source: Rumelhart, Hinton, Williams, Nature 1986."""
    a = net.v @ net.x
    z = np.tanh(a)
    output = float(net.w @ z)
    delta = output - net.y
    deltas = (1 - z**2) * net.w * delta
    of_w, of_v = delta * z, np.outer(deltas, net.x)
    true_v, true_w = _autograd(net)
    error = max(float(np.abs(of_w - true_w).max()), float(np.abs(of_v - true_v).max()))
    near_v, near_w = _differences(net)
    apart = max(float(np.abs(of_w - near_w).max()), float(np.abs(of_v - near_v).max()))
    return HandPass(net, a, z, output, delta**2 / 2, delta, of_w, deltas, of_v, error, apart)


def descend(net: HandNetwork, rate: float, steps: int) -> list[HandPass]:
    """The passes before each of `steps` steps and after the last one, steps + 1. Stops early where a value is no longer
    finite, as with a learning rate that is too large. Raises BadInput for a rate or a number below 0."""
    if rate < 0 or steps < 0:
        raise BadInput(f"The learning rate and the number of steps are 0 or more, got {rate:g} and {steps}.")
    passes = [run_by_hand(net)]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            after = passes[-1].step(rate)
            if not (np.isfinite(after.v).all() and np.isfinite(after.w).all() and np.abs(after.w).max() < 1e100):
                break
            passes.append(run_by_hand(after))
    return passes


def _autograd(net: HandNetwork) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode(False), torch.enable_grad():
        v, w = (torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in (net.v, net.w))
        loss = (w @ torch.tanh(v @ torch.tensor(net.x, dtype=torch.float64)) - net.y) ** 2 / 2
        of_v, of_w = torch.autograd.grad(loss, [v, w])
    return of_v.numpy(), of_w.numpy()


def _loss(net: HandNetwork) -> float:
    return float((net.w @ np.tanh(net.v @ net.x) - net.y) ** 2 / 2)


def _differences(net: HandNetwork, step: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of the loss by every weight."""
    of_v, of_w = np.zeros_like(net.v), np.zeros_like(net.w)
    for place in np.ndindex(*net.v.shape):
        moved = [net.v.copy(), net.v.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        of_v[place] = (_loss(replace(net, v=moved[0])) - _loss(replace(net, v=moved[1]))) / (2 * step)
    for j in range(len(net.w)):
        unit = np.eye(len(net.w))[j] * step
        of_w[j] = (_loss(replace(net, w=net.w + unit)) - _loss(replace(net, w=net.w - unit))) / (2 * step)
    return of_v, of_w
