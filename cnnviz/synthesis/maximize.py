"""Preferred inputs: images synthesised to activate a unit, a channel, a class or a layer as strongly as they can."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnviz.data.corpus import Corpus
from cnnviz.device import on_one_core, usable_precision
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.probes.capture import as_maps
from cnnviz.probes.forward import open_partial_pass
from cnnviz.progress import Progress, StudyWatcher
from cnnviz.synthesis.amplitudes import find_amplitudes
from cnnviz.synthesis.ascent import NEUTRAL, ONE_CORE, Ascent
from cnnviz.synthesis.objective import check_mixtures, weight_matrix
from cnnviz.synthesis.parameters import FourierImage, ImageParameters, PhaseImage
from cnnviz.synthesis.result import Mixture, PreferredInput, StrongestUnit, StrongestUnits, as_mixture
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.synthesis.views import margin_of
from cnnviz.synthesis.window import FieldWindow, find_window, whole_window
from cnnviz.tracing.receptive_field import receptive_field
from cnnviz.wording import plural

Channel = int | Mapping[int, float] | None
MARKS = (8, 16, 24, 32, 48, 64, 96, 128, 192)  # steps after which the images are looked at, and the best of them kept


def maximize_activation(
    model: LoadedModel,
    layer: str | None,
    channel: Channel,
    steps: int = 256,
    seed: int = 0,
    *,
    index: StrongestUnits | None = None,
    start: np.ndarray | None = None,
    amplitudes: Corpus | None = None,
    seconds: float | None = None,
    progress: StudyWatcher | None = None,
    **settings: Any,
) -> PreferredInput:
    """The image that activates a channel as strongly as can be reached in so many steps.

    `layer`: its name, or None for the logits, the scores before the softmax. `channel`: its number, a mixture such as
    {3: 0.7, 8: 0.3}, or None for all of the layer. `settings`: see `SynthesisSettings`; by default the unit in the
    middle of the channel's map is maximised, on the pixels of its receptive field, all others are neutral gray.
    `start`: an image, uint8 (h, w, 3), laid on the middle of what is made, instead of noise. `amplitudes`: the images
    whose amplitudes "maco" keeps, instead of the packaged photographs. `index`: a `PatchIndex`,
    whose strongest record is put beside it. `seconds`: after which it ends early and says so. The network is in eval
    mode and never changed; the same seed gives the same bits on the same computer.
    Raises UnknownName for a layer the network has not, BadInput for a channel, a unit or a setting that there is not,
    and for a layer that does not depend on the image in a differentiable way; Cancelled if `progress` returns False.
    Source: Erhan et al. 2009; Olah, Mordvintsev, Schubert, Feature Visualization, Distill 2017.

    Example:
        >>> import cnnviz
        >>> model = cnnviz.load("lenet5", device="cpu")
        >>> found = cnnviz.maximize_activation(model, "conv2", 7, steps=32)
        >>> found.image.shape, len(found.history), found.unit
        ((28, 28, 3), 32, (5, 5))
    """
    known = SynthesisSettings(steps=steps, seed=seed, **settings)
    if known.copies != 1:
        raise BadInput("Several copies are several results: ask `maximize_activations` for them.")
    return maximize_activations(
        model,
        layer,
        [channel],
        known,
        index=index,
        start=start,
        amplitudes=amplitudes,
        seconds=seconds,
        progress=progress,
    )[0]


def maximize_activations(
    model: LoadedModel,
    layer: str | None,
    channels: Sequence[Channel],
    settings: SynthesisSettings | None = None,
    *,
    index: StrongestUnits | None = None,
    start: np.ndarray | None = None,
    amplitudes: Corpus | None = None,
    seconds: float | None = None,
    progress: StudyWatcher | None = None,
) -> list[PreferredInput]:
    """`maximize_activation` for several channels in one batch, with `settings.copies` different images of each, beside
    each other. Raises as that does."""
    found: list[PreferredInput] = []
    options: dict[str, Any] = {"seconds": seconds, "progress": progress}
    for better in refine_activations(
        model, layer, channels, settings, index=index, start=start, amplitudes=amplitudes, **options
    ):
        found = better
    return found


def refine_activations(
    model: LoadedModel,
    layer: str | None,
    channels: Sequence[Channel],
    settings: SynthesisSettings | None = None,
    *,
    index: StrongestUnits | None = None,
    start: np.ndarray | None = None,
    amplitudes: Corpus | None = None,
    seconds: float | None = None,
    progress: StudyWatcher | None = None,
) -> Iterator[list[PreferredInput]]:
    """Yield what `maximize_activations` has after the steps of `MARKS` and at the end, each time the best so
    far, with the activation that the plain network gives for it. Who has seen enough closes the iterator.

    The network is locked for a quarter of a second at a time, and never while the caller has the turn."""
    if not channels:
        raise BadInput("Expected at least one channel, got none.")
    asked, began = settings or SynthesisSettings(), time.monotonic()
    mixtures = [as_mixture(channel) for channel in channels for _copy in range(asked.copies)]
    with on_one_core(math.prod(model.input_size[1:]) <= ONE_CORE):
        ascent, made = _prepare(model, layer, mixtures, asked, start, amplitudes)
    until = float("inf") if seconds is None else began + seconds
    if index is not None and index.meta.get("model_fingerprint") != model.fingerprint:
        raise BadInput(
            f"The index is of another network than {model.name} with {model.origin} weights: it was made with "
            f"{index.meta.get('model', 'another')}, {index.meta.get('weights', 'other')} weights. Give its own network."
        )
    assumed = _list_assumed(model, asked, made)
    blank = _blank_results(model, layer, ascent, mixtures)
    kept = [replace(one, best=_find_best(index, layer, one.mixture), assumed=assumed) for one in blank]

    def watch(done: int) -> None:
        left = (time.monotonic() - began) / done * (made.steps - done)
        if progress is not None and progress(Progress(done, made.steps, "steps", left)) is False:
            raise Cancelled(f"Stopped after {done} of {plural(made.steps, 'step')}. Nothing was changed.")

    for done, history in ascent.run(MARKS, until, watch):
        images, values = ascent.finish()
        early = done < made.steps and time.monotonic() >= until
        stopped = f"{seconds:g} s were over after {done} of {plural(made.steps, 'step')}" if early else ""
        for number, old in enumerate(kept):
            new = replace(old, history=history[:, number], stopped=stopped)
            if not len(old.history) or values[number] >= old.activation:
                image = np.broadcast_to(images[number], (*images.shape[1:3], 3)).copy()
                new = replace(new, image=image, activation=float(values[number]))
            kept[number] = new
        yield list(kept)


def _blank_results(
    model: LoadedModel, layer: str | None, ascent: Ascent, mixtures: list[Mixture]
) -> list[PreferredInput]:
    """Results without an image."""
    copies, fingerprint = ascent.settings.copies, model.fingerprint
    return [
        PreferredInput(
            image=np.zeros((*model.input_size[1:], 3), np.uint8),
            activation=-math.inf,
            history=np.zeros(0, np.float32),
            layer=layer,
            mixture=mixture,
            unit=ascent.unit,
            box=ascent.window.box,
            model=model.name,
            fingerprint=fingerprint,
            settings=ascent.settings,
            copy=number % copies,
        )
        for number, mixture in enumerate(mixtures)
    ]


def _prepare(
    model: LoadedModel,
    layer: str | None,
    mixtures: list[Mixture],
    asked: SynthesisSettings,
    start: np.ndarray | None,
    amplitudes: Corpus | None,
) -> tuple[Ascent, SynthesisSettings]:
    """The ascent, and its settings with defaults put in."""
    channels, rows, cols = _map_shape(model, layer)
    check_mixtures(mixtures, channels, layer)
    unit = None
    if asked.objective == "unit":
        unit = asked.unit if asked.unit is not None else (rows // 2, cols // 2)
        if not (0 <= unit[0] < rows and 0 <= unit[1] < cols):
            raise BadInput(
                f"Layer {layer!r} has a map of {rows}×{cols} units, got {unit}. "
                f"Choose a row in 0..{rows - 1} and a column in 0..{cols - 1}."
            )
    window = _find_window(model, layer, unit)
    made = replace(asked, precision=usable_precision(asked.precision, str(model.device))).for_size(window.size)
    height, width = (side + 2 * margin_of(made) for side in window.size)
    colours = 3 if model.input_size[0] == 3 else 1
    generators = [torch.Generator().manual_seed(made.seed * 1000 + copy) for copy in range(made.copies)]
    noise = torch.stack([torch.randn(colours, height, width, generator=generator) for generator in generators])
    noise = noise.repeat(len(mixtures) // made.copies, 1, 1, 1).to(model.device)
    image = None if start is None else _lay_start(start, noise.shape).to(model.device)
    parameters: ImageParameters
    if made.parameterisation == "fourier":
        parameters = FourierImage(noise, image)
    else:
        parameters = PhaseImage(noise, find_amplitudes((height, width), colours, amplitudes), image)
    weights = weight_matrix(mixtures, channels, model.device)
    return Ascent(model, layer, weights, window, unit, made, parameters, generators), made


def count_channels(model: LoadedModel, layer: str | None) -> int:
    """Channels of a layer, or the outputs of the network where `layer` is None."""
    return _map_shape(model, layer)[0]


def _map_shape(model: LoadedModel, layer: str | None) -> tuple[int, int, int]:
    """(C, H, W) of what a layer gives for an image of the network's size; of the logits (classes, 1, 1)."""
    blank = torch.zeros(1, *model.input_size, device=model.device)
    with model.lock, torch.no_grad():
        if layer is None:
            return model.compute_logits(model.lay_out(blank)).shape[1], 1, 1
        with open_partial_pass(model.module, layer, blank) as run:
            channels, rows, cols = as_maps(run(model.lay_out(blank.clone()))).shape[1:]
    return channels, rows, cols


def _find_window(model: LoadedModel, layer: str | None, unit: tuple[int, int] | None) -> FieldWindow:
    if layer is None or unit is None:
        return whole_window(model.input_size[1:], unit)
    with model.lock:
        return find_window(model, layer, receptive_field(model, layer), unit)


def _lay_start(start: np.ndarray, shape: torch.Size) -> Tensor:
    """An image uint8 (h, w, 3) in the middle of images of `shape` (N, C, H, W) in 0..1, gray around it."""
    pixels = np.asarray(start)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise BadInput(f"start must be an image, uint8 of shape (h, w, 3), got {pixels.dtype} {pixels.shape}.")
    count, colours, height, width = shape
    if colours != pixels.shape[2]:
        gray = np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None] if colours == 1 else pixels
        pixels = np.broadcast_to(gray, (*gray.shape[:2], colours))
    cut = [max(have - most, 0) // 2 for have, most in zip(pixels.shape, (height, width), strict=False)]
    pixels = pixels[cut[0] : cut[0] + height, cut[1] : cut[1] + width]
    canvas = torch.full(tuple(shape), NEUTRAL)
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    laid = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)
    canvas[:, :, top : top + pixels.shape[0], left : left + pixels.shape[1]] = laid
    return canvas


def _find_best(index: StrongestUnits | None, layer: str | None, mixture: Mixture) -> StrongestUnit | None:
    """The strongest record of a single channel."""
    if index is None or layer is None or len(mixture) != 1:
        return None
    return next(iter(index.top(layer, mixture[0][0])), None)


def _list_assumed(model: LoadedModel, asked: SynthesisSettings, made: SynthesisSettings) -> tuple[str, ...]:
    said = []
    if model.untrained:
        said.append("The weights are random: the image shows what the architecture prefers, and nothing learnt.")
    if made.precision != asked.precision:
        said.append("Computed in float32: bfloat16 is slow on this processor.")
    if model.input_size[0] not in (1, 3):
        said.append("The network takes neither gray nor colour images: each of its channels is given the same image.")
    return (*said, *model.notes.get("assumed", ()))
