"""Dropout: masks on a network's own layers, what it answers under each, and their mean beside the scaled pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnviz.display import Summarised
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.interventions.scaling import scale_outputs
from cnnviz.models.model import LoadedModel
from cnnviz.models.variants.description import PREFIX, parse_variant
from cnnviz.probes.capture import as_maps, layer_shapes
from cnnviz.probes.classifier import find_top_layer, trace_completion_order
from cnnviz.probes.forward import count_calls
from cnnviz.probes.layer_io import capture_io
from cnnviz.progress import StudyWatcher, Ticker

ASSUMED = 0.5  # rate of dropout that is put into a network without any
AT_ONCE = 16  # passes in one batch
_WHOLE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)  # drop channels, not single units


@dataclass(frozen=True, slots=True)
class DropoutLayer:
    """A place where units are dropped. `layer`: behind whose output, the dropout module itself where there is one;
    `rate`: share of the units dropped, 0 … 1; `shape`: of the output for one image, (C, H, W) or (F,); `whole`: whole
    channels are dropped; `assumed`: the network has no dropout, and was not trained with this one."""

    layer: str
    rate: float
    shape: tuple[int, ...]
    whole: bool = False
    assumed: bool = False

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """One entry a random choice, with lengths that fit beside the output."""
        return (self.shape[0], *(1 for _ in self.shape[1:])) if self.whole else self.shape

    @property
    def units(self) -> int:
        """Random choices a mask makes: there are 2^units masks."""
        return math.prod(self.mask_shape)


def list_dropout_layers(model: LoadedModel) -> tuple[DropoutLayer, ...]:
    """The modules of dropout that run once in a pass and drop something, in order; () for a network without, also for
    one that calls dropout as a function. Their rate is that of the training, where the weights say that it was another
    than the network's own ("trained_as", a variant)."""
    modules, found = dict(model.module.named_modules()), []
    trained = _trained_rate(model)
    with model.lock, torch.inference_mode():
        calls = count_calls(model.module, torch.zeros(1, *model.input_size, device=model.device))
    for name, shape in trace_completion_order(model):
        child = modules[name]
        if isinstance(child, (nn.Dropout, *_WHOLE)) and 0 < child.p < 1 and calls[name] == 1:
            found.append(DropoutLayer(name, trained or float(child.p), tuple(shape[1:]), isinstance(child, _WHOLE)))
    return tuple(found)


def _trained_rate(model: LoadedModel) -> float | None:
    told = model.notes.get("trained_as")
    if not isinstance(told, str) or not told.startswith(PREFIX):
        return None
    try:
        percent = parse_variant(told.removeprefix(PREFIX)).dropout
    except CnnvizError:  # notes are text of others
        return None
    return percent / 100 if percent else None


def assume_dropout(model: LoadedModel, layer: str | None = None, rate: float = ASSUMED) -> DropoutLayer:
    """Dropout behind a layer of a network that has none there; by default behind the last maps. Raises UnknownName for
    a layer the network has not, BadInput for a rate that is none."""
    name, zeros = layer or find_top_layer(model), torch.zeros(1, *model.input_size, device=model.device)
    with model.lock, torch.inference_mode():
        shape = tuple(capture_io(model.module, zeros, [name])[name][1].shape[1:])
    return set_rate(DropoutLayer(name, rate, shape, assumed=True), rate)


def set_rate(layer: DropoutLayer, rate: float) -> DropoutLayer:
    """The same place with another rate. Raises BadInput unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise BadInput(f"The rate is the share of units dropped, above 0 and below 1, got {rate}.")
    return replace(layer, rate=rate)


def draw_mask(layer: DropoutLayer, seed: int, number: int, place: int = 0) -> np.ndarray:
    """bool, `layer.mask_shape`: which units stay in mask `number`, each with probability 1 − rate, independently.
    `place`: which of a network's dropout layers it is. The same for the same arguments, however many are drawn."""
    return np.random.default_rng([seed, number, place]).random(layer.mask_shape) >= layer.rate


def log10_masks(units: int) -> float:
    """log10 of 2^units, the number of different masks. Source: Srivastava et al., JMLR 15, 2014, section 1."""
    return units * math.log10(2)


@dataclass(frozen=True, slots=True, repr=False)
class DropoutPasses(Summarised):
    """What a network answers under masks. `logits` (T, classes): of mask 0 … T − 1; `scaled` (classes,): of the pass
    of evaluation, in which every unit stays; probabilities (T, classes) and (classes,) of both. float64."""

    logits: np.ndarray
    scaled: np.ndarray
    probabilities: np.ndarray
    scaled_probabilities: np.ndarray


def run_passes(
    model: LoadedModel,
    image: Any,
    layers: Sequence[DropoutLayer],
    passes: int,
    seed: int = 0,
    progress: StudyWatcher | None = None,
) -> DropoutPasses:
    """One image under masks 0 … `passes` − 1 on all of `layers`, as in training: units that stay are multiplied by
    1 / (1 − rate) ("inverted" dropout, as in PyTorch), so that evaluation has nothing to scale.

    `image`: as for `LoadedModel.batch`, one. Raises BadInput for no layers or passes."""
    if not layers or passes < 1:
        raise BadInput("Give at least one layer with dropout and one pass.")
    batch = model.batch(image)
    scaled = model.logits(batch)[0].astype(np.float64)
    ticker, found = Ticker(passes, progress), []
    size = min(AT_ONCE, model.most_at_once)
    for start in range(0, passes, size):
        numbers = range(start, min(start + size, passes))
        factors = {
            one.layer: torch.from_numpy(
                np.stack([draw_mask(one, seed, number, place) for number in numbers]) / (1 - one.rate)
            )
            for place, one in enumerate(layers)
        }
        repeated = model.lay_out(batch.repeat(len(numbers), 1, 1, 1))
        with model.lock, torch.inference_mode(), scale_outputs(model.module, factors):
            found.append(model.compute_logits(repeated).double().cpu().numpy())
        ticker.tick("masks", len(numbers))
    logits = np.concatenate(found)
    return DropoutPasses(logits, scaled, model.probabilities(logits), model.probabilities(scaled))


def capture_units(model: LoadedModel, image: Any, layer: DropoutLayer) -> np.ndarray:
    """(C, H, W) float32: the values of the layer in the pass of evaluation, before anything is dropped."""
    with model.lock, torch.inference_mode():
        _, found = capture_io(model.module, model.batch(image), [layer.layer])[layer.layer]
    return as_maps(found)[0].float().cpu().numpy()


def mask_maps(layer: DropoutLayer, keep: np.ndarray) -> np.ndarray:
    """(C, H, W) bool: a mask, `layer.mask_shape`, as `capture_units` shows the units that it keeps or drops."""
    whole = np.broadcast_to(keep, layer.shape)
    return as_maps(torch.from_numpy(whole.copy())[None])[0].numpy()


def list_places(model: LoadedModel) -> list[str]:
    """The layers behind which dropout may be put, in order: all worth looking at but the last, which answers."""
    return list(layer_shapes(model))[:-1] or list(layer_shapes(model))


@dataclass(frozen=True, slots=True, repr=False)
class MonteCarloError(Summarised):
    """How far the mean of T passes lies from two values. `counts` (K,): T. Root mean square over groups of T passes of
    the L2 distance over classes: `to_mean` (K,) from the mean of all, `to_scaled` (K,) from the scaled pass.
    `expected` (K,): σ/√T, where σ² is the sum over classes of the variance of one pass. `gap`: distance of the mean of
    all passes from the scaled pass, which no number of passes takes away."""

    counts: np.ndarray
    to_mean: np.ndarray
    to_scaled: np.ndarray
    expected: np.ndarray
    gap: float


def monte_carlo_error(passes: np.ndarray, scaled: np.ndarray) -> MonteCarloError:
    """The error of means of 1, 2, 4, … passes (up to an eighth of them), in disjoint groups. `passes` (T, classes), at
    least 16; `scaled` (classes,). Source: Gal and Ghahramani, ICML 2016 (arXiv:1506.02142), section 4."""
    many = len(passes)
    if many < 16:
        raise BadInput(f"Give at least 16 passes, got {many}: of fewer no error can be told.")
    mean = passes.mean(0)
    counts = 2 ** np.arange(int(math.log2(many // 8)) + 1)
    to_mean, to_scaled = [], []
    for count in counts:
        groups = passes[: many // count * count].reshape(-1, count, passes.shape[1]).mean(1)
        to_mean.append(np.sqrt(((groups - mean) ** 2).sum(1).mean()))
        to_scaled.append(np.sqrt(((groups - scaled) ** 2).sum(1).mean()))
    sigma = float(np.sqrt(passes.var(0, ddof=1).sum()))
    gap = float(np.sqrt(((mean - scaled) ** 2).sum()))
    return MonteCarloError(counts, np.array(to_mean), np.array(to_scaled), sigma / np.sqrt(counts), gap)
