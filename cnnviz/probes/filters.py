"""First-layer filters as pictures: kernels in image space, as RGB tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cnnviz.display import Displayed, Summarised
from cnnviz.errors import BadInput
from cnnviz.models.model import LoadedModel
from cnnviz.probes.axes import find_record
from cnnviz.probes.classifier import WEIGHTED
from cnnviz.wording import plural

CONTRASTS = ("common", "each")


@dataclass(frozen=True, slots=True, repr=False)
class FirstLayerFilters(Displayed, Summarised):
    """Kernels of the first layer. Source of the view: Krizhevsky et al. 2012, Fig. 3.

    `layer`: its name. `weights`: (F, C, kh, kw) float32. `tiles`: (F, kh, kw, 3 or 1) uint8, in which a
    weight of 0 is 128 and the largest magnitude reaches 1 or 255; three-channel kernels are RGB pictures,
    others show one channel or the mean over channels. `scale`: (F,) magnitude that full contrast
    stands for; one value for all under "common" contrast."""

    layer: str
    weights: np.ndarray
    tiles: np.ndarray
    scale: np.ndarray


def first_layer_filters(
    model: LoadedModel, contrast: str = "common", channel: int | None = None, full: float | None = None
) -> FirstLayerFilters:
    """Kernels of the convolution that sees the image first, or of a fully connected first layer (reshaped to the
    input): first in the forward pass, wherever it is defined.

    `contrast`: "common", one scale for all filters, so that weak filters look weak; "each", every filter
    fills the range. `channel`: show this input channel alone. `full`: the magnitude of full contrast under "common",
    where the filters of another network have a part in it; larger weights are drawn as if they had it. Raises BadInput
    for other values and for a network that begins with neither kind of layer.

    Example:
        >>> import cnnviz
        >>> filters = cnnviz.first_layer_filters(cnnviz.load("lenet5", device="cpu"))
        >>> filters.layer, filters.weights.shape, filters.tiles.shape
        ('conv1', (6, 1, 5, 5), (6, 5, 5, 1))
    """
    if contrast not in CONTRASTS:
        raise BadInput(f"contrast is one of {', '.join(CONTRASTS)}, got {contrast!r}.")
    layer, weights = _first_weights(model)
    if full is not None and not full >= 0:
        raise BadInput(f"full is a magnitude, 0 or more, got {full!r}.")
    if channel is not None and not 0 <= channel < weights.shape[1]:
        raise BadInput(f"channel must be in 0..{weights.shape[1] - 1}, got {channel}.")
    shown = weights if channel is None else weights[:, channel : channel + 1]
    tiles, scale = tile_kernels(shown, contrast, full)
    return FirstLayerFilters(layer, weights, tiles, scale)


def tile_kernels(
    kernels: np.ndarray, contrast: str = "common", full: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kernels (F, C, kh, kw) as `tiles` and `scale` of `FirstLayerFilters`; `contrast` and `full` as there."""
    shown = kernels if kernels.shape[1] in (1, 3) else kernels.mean(axis=1, keepdims=True)
    magnitude = np.abs(shown).max(axis=(1, 2, 3))
    scale = magnitude if contrast == "each" else np.full_like(magnitude, magnitude.max() if full is None else full)
    unit = np.clip(shown / np.where(scale > 0, scale, 1)[:, None, None, None], -1, 1)
    return np.rint(128 + 127 * np.nan_to_num(unit)).astype(np.uint8).transpose(0, 2, 3, 1), scale


def _first_weights(model: LoadedModel) -> tuple[str, np.ndarray]:
    channels, height, width = model.input_size
    modules = dict(model.module.named_modules(remove_duplicate=False))
    for name in _list_run(model):
        module = modules[name]
        if isinstance(module, nn.Conv2d) and module.in_channels == channels:
            return name, module.weight.detach().float().cpu().numpy()
        if isinstance(module, nn.Linear) and module.in_features == channels * height * width:
            weights = module.weight.detach().float().cpu().numpy()
            return name, weights.reshape(-1, channels, height, width)
        if isinstance(module, WEIGHTED):
            break
    raise BadInput(
        f"{model.name} has no first layer in image space: expected a convolution over "
        f"{plural(channels, 'channel')} or a "
        f"linear layer over {channels}×{height}×{width} inputs before any other layer with weights."
    )


def _list_run(model: LoadedModel) -> list[str]:
    """Names of the sub-modules that are given something of the image, as they end; as they are defined, where the
    network does not run."""
    try:
        with model.lock:
            return [*find_record(model.module, torch.zeros(1, *model.input_size, device=model.device)).first]
    except BadInput:
        raise
    except (RuntimeError, ValueError, TypeError):
        return [name for name, _ in model.module.named_modules()]
