"""Sharpness of a minimum: the highest loss in a box and in a ball of filter norms around it, and its curvature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cnnviz.errors import BadInput
from cnnviz.landscape.evaluate.evaluator import Evaluator
from cnnviz.landscape.geometry.hessian import Objective
from cnnviz.landscape.geometry.spectrum import Spectrum, build_objective, check_sizes, compute_spectrum
from cnnviz.models.model import LoadedModel
from cnnviz.progress import StudyWatcher, Ticker

CAVEAT = (
    "Sharpness is a property of the weights, not a forecast: in modern settings it hardly correlates with "
    "generalisation, and sometimes the sharper network generalises better (Andriushchenko et al. 2023, "
    "arXiv:2302.07011). Scaling the weights of a layer that batch normalisation or a ReLU follows changes the "
    "Hessian and the box, but not the network (Dinh et al. 2017, arXiv:1703.04933); filter norms allow for that."
)
Offset = list[Tensor]


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Losses in nats, over `spectrum.images` images.

    `loss`: at the weights. `box_loss`: the highest found with each weight w moved by at most `epsilon` (|w| + 1),
    and `keskar` = 100 (box_loss - loss) / (1 + loss), percent. `filter_loss`: the highest found with each filter
    moved by at most `radius` of its norm, the rest fixed. Both are found by ascent: lower bounds.
    `spectrum`: of the Hessian. See CAVEAT before comparing networks."""

    loss: float
    epsilon: float
    box_loss: float
    keskar: float
    radius: float
    filter_loss: float
    spectrum: Spectrum

    @property
    def filter_rise(self) -> float:
        """The highest loss found within the filter norms, above that at the weights."""
        return self.filter_loss - self.loss

    def as_dict(self) -> dict[str, Any]:
        """Plain values and arrays, for JSON."""
        return asdict(self) | {"filter_rise": self.filter_rise, "ratio": self.spectrum.ratio, "caveat": CAVEAT}


def sharpness(
    model: LoadedModel,
    images: Any,
    labels: Any,
    epsilon: float = 1e-3,
    radius: float = 0.002,
    ascent: int = 10,
    count: int = 3,
    steps: int = 50,
    probes: int = 10,
    seed: int = 0,
    progress: StudyWatcher | None = None,
) -> Sharpness:
    """The sharpness of `model` over `images` and `labels` (as for `Evaluator`), in float32, statistics frozen.

    `epsilon`: of the box C_ε of Keskar et al., in the full space (their A is the identity); they use 1e-3 and
    5e-4. `radius`: of the ball in filter norms, in the unit of a filter-normalised direction's steps: the
    worst direction in place of a random one, and far worse: for a trained ResNet-20, 0.01 already means 17 nats.
    Each maximum is sought by `ascent` steps of projected gradient ascent, where Keskar et al. allow ten of
    L-BFGS-B; on that network ten steps come within 2 % of what twenty find. `count`, `steps`, `probes`,
    `seed`: as for `spectrum`. Costs 2 ascent + 1 gradients and up to steps + probes Hessian products over all
    images.
    Sources: Keskar, Mudigere, Nocedal, Smelyanskiy, Tang, ICLR 2017, arXiv:1609.04836, metric 2.1; Li et
    al. 2018, section 4; of the same family, Kwon et al., ICML 2021, arXiv:2102.11600.
    Raises BadInput for sizes that are not positive, Cancelled when `progress` returns False."""
    if not (epsilon > 0 and radius > 0 and math.isfinite(epsilon + radius) and ascent >= 1):
        raise BadInput(f"epsilon, radius and ascent must be positive, got {epsilon}, {radius} and {ascent}.")
    check_sizes(count, steps, probes)
    evaluator = Evaluator(model, images, labels, precision="float32")
    ticker = Ticker(2 * ascent + 1 + steps + probes, progress)
    objective = build_objective(evaluator)
    weights = [p.detach().clone() for p in objective.parameters]
    start = objective.gradient()
    ticker.tick("gradient")
    box_step, ball_step = make_box_step(weights, epsilon), make_ball_step(weights, radius)
    box = find_highest(objective, weights, start, box_step, ascent, lambda: ticker.tick("ε-sharpness"))
    ball = find_highest(objective, weights, start, ball_step, ascent, lambda: ticker.tick("filter norms"))
    _set_parameters(objective, weights)
    found = compute_spectrum(objective, count, steps, probes, seed, 1e-2, ticker)
    loss = start[0]
    return Sharpness(loss, epsilon, box, 100 * (box - loss) / (1 + loss), radius, ball, found)


Step = Callable[[Offset, list[Tensor], float], Offset]


def find_highest(
    objective: Objective,
    weights: list[Tensor],
    start: tuple[float, list[Tensor]],
    step: Step,
    ascent: int,
    tick: Callable[[], object] = bool,
) -> float:
    """The highest loss that `ascent` steps find around `weights`. `start`: loss and gradient there; `step(offset,
    gradient, size)`: the offset moved uphill by `size` of the region, and brought back into it.

    The first step has the size of the region, which is exact for a loss that is linear in it; a step that does
    not rise is taken back and halved."""
    (loss, gradient), offset, size = start, [torch.zeros_like(w) for w in weights], 1.0
    for _ in range(ascent):
        tried = step(offset, gradient, size)
        _set_parameters(objective, [w + d for w, d in zip(weights, tried, strict=True)])
        found, slope = objective.gradient()
        if math.isfinite(found) and found > loss:
            loss, gradient, offset = found, slope, tried
        else:
            size /= 2
        tick()
    return loss


def make_box_step(weights: list[Tensor], epsilon: float) -> Step:
    """Ascent within |d| <= epsilon (|w| + 1), weight by weight: by the gradient's sign, then clipped."""
    widths = [epsilon * (w.abs() + 1) for w in weights]

    def step(offset: Offset, gradient: list[Tensor], size: float) -> Offset:
        moved = zip(offset, gradient, widths, strict=True)
        return [torch.clamp(d + size * width * g.sign(), -width, width) for d, g, width in moved]

    return step


def make_ball_step(weights: list[Tensor], radius: float) -> Step:
    """Ascent within ‖d‖ <= radius ‖w‖ for each filter (first index of tensors of two dimensions and more); other
    tensors stay. By each filter's normalised gradient, then scaled back."""
    limits = [radius * _compute_norms(w) if w.dim() > 1 else torch.zeros_like(w) for w in weights]

    def step(offset: Offset, gradient: list[Tensor], size: float) -> Offset:
        moved = []
        for d, g, limit in zip(offset, gradient, limits, strict=True):
            if d.dim() > 1:
                d = d + size * limit * g / _compute_norms(g).clamp_min(1e-30)
                d = d * (limit / _compute_norms(d).clamp_min(1e-30)).clamp_max(1.0)
            moved.append(d)
        return moved

    return step


def _compute_norms(tensor: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.dim())), keepdim=True)


def _set_parameters(objective: Objective, values: list[Tensor]) -> None:
    """Give the private network these parameters."""
    with torch.no_grad():
        torch._foreach_copy_(objective.parameters, values)
