"""Evolution of channels over a training: what each answers to most at every moment that is kept, and what of it. After
Zeiler and Fergus, ECCV 2014, Figure 4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.errors import BadInput
from cnnviz.progress import StudyWatcher, Ticker
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.models.model import LoadedModel
    from cnnviz.training.record.result import RecordedRun

IMAGES = 30  # of a corpus that are searched
CHANNELS, MOMENTS = 6, 24  # that are followed where nothing is chosen, and at most
_TOGETHER = 8  # images in a pass: the maps of a first layer are large


@dataclass(frozen=True, slots=True)
class FollowedChannels:
    """The strongest activation of each channel at each moment, over a few images.

    `channels`: (K,); `steps`: (T,). `values`: (T, K), NaN where a channel answers everything alike, and then no place
    is the strongest. `images`: (T, K) places in `image_ids`, -1 for none; `rows`, `cols`: (T, K) of the unit; `boxes`:
    (T, K, 4) top, left, bottom, right of its receptive field within the input, half open. `patches[t][k]`: uint8
    (h, w, C), what the unit sees, gray beyond the image; `projections[t][k]`: float32 (C, h, w), signed, what
    `reconstruct` gives of the unit by `rule`; None for no unit."""

    layer: str
    channels: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    images: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    boxes: np.ndarray
    patches: tuple[tuple[np.ndarray | None, ...], ...]
    projections: tuple[tuple[np.ndarray | None, ...], ...]
    image_ids: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class _Peaks:
    """(N, C) of each image and channel: the largest value, where it is, and the smallest."""

    values: np.ndarray
    places: np.ndarray
    least: np.ndarray
    width: int


def choose_moments(steps: Iterable[int], most: int = MOMENTS) -> list[int]:
    """At most `most` of the kept moments, first and last among them, evenly spread in their order."""
    kept = sorted(steps)
    if len(kept) <= most:
        return kept
    return [kept[row] for row in np.unique(np.linspace(0, len(kept) - 1, most).round().astype(int))]


def follow_channels(
    run: RecordedRun,
    layer: str,
    channels: Sequence[int] | None,
    images: Corpus,
    steps: Sequence[int] | None = None,
    device: str = "auto",
    name: str = "",
    progress: StudyWatcher | None = None,
) -> FollowedChannels:
    """Load the network at each moment and look for what the channels of `layer` answer to most.

    `channels`: None for CHANNELS of them, the strongest at the last moment of those with different strongest images.
    `images`: at most IMAGES are searched. `steps`: of the kept moments; None for `choose_moments`. `name`: of the
    network, where the run does not tell. Raises BadInput where no weights are kept or a channel does not exist, and as
    loading does."""
    kept = choose_moments(run.snapshots) if steps is None else sorted(steps)
    if not kept:
        raise BadInput(f"The run {run.name} keeps no weights: there is no moment to look at.")
    corpus, ticker = images.take(IMAGES), Ticker(len(kept), progress)
    chosen, found = channels, dict[int, list[dict[str, Any]]]()
    received: list[np.ndarray] = []
    for step in reversed(kept):  # the last decides which channels are worth following
        model = load_moment(run, step, device, name)
        received = received or [model.received_from(corpus, place) for place in range(len(corpus))]
        peaks = _find_peaks(model, received, layer)
        if chosen is None:
            chosen = choose_channels(peaks.values, peaks.least)
        _check_channels(layer, chosen, peaks.values.shape[1])
        found[step] = _look(model, received, layer, chosen, peaks)
        ticker.tick("moments")
    from cnnviz.attribution.reconstruct import suggest_rule

    return _collect(layer, chosen or [], [found[step] for step in kept], kept, tuple(corpus.ids), suggest_rule(model))


def load_moment(run: RecordedRun, step: int, device: str = "auto", name: str = "") -> LoadedModel:
    """The network of a run as it was at one of its `snapshots`. `name`: as for `follow_channels`. Raises as `load`."""
    from cnnviz.models.load import load

    weights = run.name_weights(step) if run.is_bundled else run.snapshots[step]
    return load(name or run.architecture or None, weights, device)


def _find_peaks(model: LoadedModel, received: list[np.ndarray], layer: str) -> _Peaks:
    import torch

    from cnnviz.probes.capture import capture

    parts = []
    width = 1
    for start in range(0, len(received), _TOGETHER):
        batch = model.preprocessing.normalise(torch.from_numpy(np.stack(received[start : start + _TOGETHER])))
        maps = capture(model, batch, [layer])[layer]
        width, flat = maps.shape[3], maps.reshape(*maps.shape[:2], -1)
        flat = np.where(np.isfinite(flat), flat, -np.inf)
        parts.append((flat.max(2), flat.argmax(2), flat.min(2)))
    values, places, least = (np.concatenate(one) for one in zip(*parts, strict=True))
    return _Peaks(values, places, least, width)


def choose_channels(values: np.ndarray, least: np.ndarray, count: int = CHANNELS) -> list[int]:
    """`count` channels, ascending: the strongest of each strongest image first, then the strongest of the rest. What
    answers everything alike is taken last. `values`, `least`: (N, C), the largest and smallest of each image."""
    top, image = values.max(0), values.argmax(0)
    order = sorted(range(len(top)), key=lambda c: (not top[c] > least[:, c].min(), -top[c], c))
    first = {int(image[channel]): channel for channel in reversed(order)}
    varied = sorted(first.values(), key=order.index)
    return sorted([*varied, *(one for one in order if one not in varied)][:count])


def _check_channels(layer: str, channels: Sequence[int], count: int) -> None:
    if wrong := [channel for channel in channels if not 0 <= channel < count]:
        raise BadInput(
            f"Layer {layer!r} has {plural(count, 'channel')}, got channel {wrong[0]}. Choose 0 to {count - 1}."
        )


def _look(
    model: LoadedModel, received: list[np.ndarray], layer: str, channels: Sequence[int], peaks: _Peaks
) -> list[dict[str, Any]]:
    """What is kept of each channel at one moment."""
    import torch

    from cnnviz.attribution.reconstruct import reconstruct_batch, suggest_rule
    from cnnviz.index.crops.cut import cut_windows
    from cnnviz.tracing.receptive_field import receptive_field

    found: list[dict[str, Any]] = [{} for _ in channels]
    field = receptive_field(model, layer)
    for one, channel in zip(found, channels, strict=True):
        image = int(peaks.values[:, channel].argmax())
        value = float(peaks.values[image, channel])
        if not value > peaks.least[:, channel].min():
            continue
        row, col = divmod(int(peaks.places[image, channel]), peaks.width)
        one |= {"channel": channel, "value": value, "image": image, "row": row, "col": col}
        one |= {"box": field.box(row, col), "full": field.box(row, col, clip=False)}
    alive = [one for one in found if one]
    if not alive:
        return found
    seen, boxes = [received[one["image"]] for one in alive], [one["full"] for one in alive]
    batch = model.preprocessing.normalise(torch.from_numpy(np.stack(seen)))
    units = [(one["channel"], one["row"], one["col"]) for one in alive]
    signals = reconstruct_batch(model, batch, layer, units, suggest_rule(model))
    sent = cut_windows(list(signals.transpose(0, 2, 3, 1)), boxes, 0)
    for one, patch, signal in zip(alive, cut_windows(seen, boxes), sent, strict=True):
        one |= {"patch": patch, "projection": np.ascontiguousarray(signal.transpose(2, 0, 1))}
    return found


def _collect(
    layer: str,
    channels: Sequence[int],
    found: list[list[dict[str, Any]]],
    steps: list[int],
    ids: tuple[str, ...],
    rule: str,
) -> FollowedChannels:
    def table(key: str, missing: Any) -> np.ndarray:
        return np.array([[one.get(key, missing) for one in row] for row in found])

    def nested(key: str) -> tuple[tuple[np.ndarray | None, ...], ...]:
        return tuple(tuple(one.get(key) for one in row) for row in found)

    return FollowedChannels(
        layer,
        np.array(channels),
        np.array(steps),
        table("value", np.nan).astype(float),
        table("image", -1),
        table("row", -1),
        table("col", -1),
        table("box", (0, 0, 0, 0)),
        nested("patch"),
        nested("projection"),
        ids,
        rule,
    )
