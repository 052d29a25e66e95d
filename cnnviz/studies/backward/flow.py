"""How large the gradient is in every layer of a network: norms over the weights, and of the activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz.attribution.backward_pass import run_backward
from cnnviz.device import doubled
from cnnviz.display import Summarised
from cnnviz.errors import BadInput
from cnnviz.models.families.residual import ResidualBlock
from cnnviz.models.model import LoadedModel


@dataclass(frozen=True, slots=True, repr=False)
class GradientFlow(Summarised):
    """One backward pass of the mean cross-entropy over `images` images, `loss` nats. `layers`: the L convolutions and
    linear layers that ran, in their order. (L,) float64, L2 norms: `gradient` of ∂loss/∂W, `weight` of W, `signal` of
    ∂loss/∂h for the layer's output h over the whole batch."""

    network: str
    layers: tuple[str, ...]
    gradient: np.ndarray
    weight: np.ndarray
    signal: np.ndarray
    loss: float
    images: int

    @property
    def relative(self) -> np.ndarray:
        """(L,) ‖∂loss/∂W‖ / ‖W‖; NaN for weights that are all 0."""
        return np.divide(self.gradient, self.weight, out=np.full(len(self.layers), np.nan), where=self.weight > 0)


@dataclass(frozen=True, slots=True, repr=False)
class BlockGains(Summarised):
    """What the blocks y = ReLU(F(x) + h(x)) of a network do to the gradient on its way back, (B,) float64, input side
    first, each over ‖∂loss/∂y‖: `total` ‖∂loss/∂x‖; `mask` what the last ReLU lets through, g; `branch` ‖F′ᵀ g‖;
    `shortcut` ‖h′ᵀ g‖, NaN in a block without one. `error`: the largest ‖∂loss/∂x − F′ᵀ g − h′ᵀ g‖ / ‖∂loss/∂x‖."""

    network: str
    blocks: tuple[str, ...]
    total: np.ndarray
    mask: np.ndarray
    branch: np.ndarray
    shortcut: np.ndarray
    error: float

    @property
    def residual(self) -> bool:
        """True if any block has a shortcut."""
        return bool(np.isfinite(self.shortcut).any())

    @property
    def product(self) -> np.ndarray:
        """(B,) the gradient at the input of each block over that at the last block's output, the product of the totals
        from there down."""
        return np.cumprod(self.total[::-1])[::-1]


def gradient_flow(model: LoadedModel, batch: Tensor, labels: Tensor, statistics: str = "running") -> GradientFlow:
    """Norms of the gradient in every convolution and linear layer, see `run_backward` for the arguments and errors.

    Of a network that takes images one by one the first image alone counts. Source: Glorot and Bengio, AISTATS 2010."""
    layers = [name for name, child in model.module.named_modules() if _is_weighted(child)]
    if not layers:
        raise BadInput(f"{model.name} has no convolution and no linear layer, whose gradients could be shown.")
    batch, labels = batch[: model.most_at_once], labels[: model.most_at_once]
    with run_backward(model, batch, labels, layers, statistics) as found:
        ran = [name for name in layers if name in found.outputs and f"{name}.weight" in found.weights]
        weights = [found.weights[f"{name}.weight"] for name in ran]
        signals = found.gradients([*weights, *(found.outputs[name] for name in ran)])
        columns = (_norms(signals[: len(ran)]), _norms(weights), _norms(signals[len(ran) :]))
        return GradientFlow(model.name, tuple(ran), *columns, float(found.loss.detach()), len(batch))


def block_gains(model: LoadedModel, batch: Tensor, labels: Tensor, statistics: str = "running") -> BlockGains:
    """What every block of a residual network, or of its plain twin, does to the gradient; arguments and errors as of
    `gradient_flow`. Blocks that change the shape count, too. Raises BadInput for a network without such blocks.

    Source: He, Zhang, Ren, Sun, ECCV 2016 (arXiv:1603.05027), equation 5; here a ReLU follows the sum."""
    blocks = {name: child for name, child in model.module.named_modules() if isinstance(child, ResidualBlock)}
    if not blocks:
        raise BadInput(f"{model.name} has no residual blocks whose branch and shortcut could be told apart.")
    ends = {name: f"{name}.{block.last_norm}" for name, block in blocks.items()}
    skips = {name: _name_shortcut(name, block) for name, block in blocks.items()}
    watched = [*blocks, *ends.values(), *filter(None, skips.values())]
    batch, labels = batch[: model.most_at_once], labels[: model.most_at_once]
    rows, worst = [], 0.0
    with run_backward(model, batch, labels, watched, statistics) as found:
        paths = {
            name: [found.outputs[end] for end in (ends[name], skips[name]) if end in found.outputs] for name in blocks
        }
        wanted = [t for name in blocks for t in (found.inputs[name], found.outputs[name], *paths[name])]
        gradients = iter(found.gradients(wanted))  # all in one pass: each call walks the whole graph
        for name in blocks:
            at_x, at_y, *signals = [next(gradients) for _ in range(2 + len(paths[name]))]
            back = [
                torch.autograd.grad(path, found.inputs[name], signal, retain_graph=True)[0]
                for path, signal in zip(paths[name], signals, strict=True)
            ]
            total, out, mask, *parts = _norms([at_x, at_y, signals[0], *back])
            missing = _norms([at_x - sum(back)])[0]
            worst = max(worst, missing / max(total, 1e-300))
            rows.append((total / out, mask / out, parts[0] / out, parts[1] / out if len(parts) > 1 else np.nan))
    total, mask, branch, shortcut = np.array(rows).T
    return BlockGains(model.name, tuple(blocks), total, mask, branch, shortcut, worst)


def _is_weighted(child: nn.Module) -> bool:
    return isinstance(child, nn.modules.conv._ConvNd | nn.Linear)


def _name_shortcut(name: str, block: ResidualBlock) -> str:
    if block.downsample is not None:
        return f"{name}.downsample"
    return f"{name}.shortcut" if block.shortcut is not None else ""


def _norms(tensors: list[Tensor]) -> np.ndarray:
    """(n,) float64 L2 norms; of zeros, too."""
    return np.array([float(torch.linalg.vector_norm(doubled(t.detach()))) for t in tensors])
