"""The preferred inputs of all channels of a layer, batch by batch, with a file from which the work goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.display import Displayed
from cnnviz.errors import BadInput, Cancelled
from cnnviz.models.model import LoadedModel
from cnnviz.progress import Progress, StudyWatcher
from cnnviz.store import is_there, load_arrays, save_arrays
from cnnviz.synthesis.maximize import count_channels, maximize_activations
from cnnviz.synthesis.result import PreferredInput
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.wording import plural

BATCH = 8  # channels at once
EVERY = 20.0  # seconds between two writings of the file
_KIND = "preferred inputs"


@dataclass(frozen=True, slots=True, repr=False)
class PreferredWall(Displayed):
    """Preferred inputs of the channels of one layer.

    `patches` uint8 (N, h, w, 3): the pixels that were made. `activations` (N,) float32: what the plain network gives,
    NaN of those that are not made yet. `channels`: their numbers. `box`: of the patches in the input, (top, left,
    bottom, right). `layer`: None of the classes. `meta`: network, fingerprint, settings."""

    layer: str | None
    channels: tuple[int, ...]
    patches: np.ndarray
    activations: np.ndarray
    box: tuple[int, int, int, int]
    meta: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        made = int(self.done.sum())
        state = "" if made == len(self.channels) else f", {made} of them made"
        of = f"{self.meta.get('model', '?')} · {self.layer or 'classes'}"
        return f"<preferred inputs of {of}: {plural(len(self.channels), 'channel')}{state}>"

    @property
    def done(self) -> np.ndarray:
        """(N,) True where there is an image."""
        return ~np.isnan(self.activations)

    def save(self, path: str | Path) -> Path:
        """Write arrays and JSON into one .npz file, atomically."""
        arrays = {"patches": self.patches, "activations": self.activations}
        known = {"kind": _KIND, "layer": self.layer, "channels": list(self.channels), "box": list(self.box)}
        save_arrays(path, arrays, {**self.meta, **known})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PreferredWall:
        """Read what `save` wrote. Raises BadInput for a file that is missing, damaged or of another kind."""
        arrays, meta = load_arrays(path)
        try:
            if meta.pop("kind") != _KIND:
                raise KeyError("kind")
            channels, (top, left, bottom, right) = tuple(int(c) for c in meta.pop("channels")), meta.pop("box")
            wall = cls(
                meta.pop("layer"),
                channels,
                arrays["patches"],
                arrays["activations"],
                (int(top), int(left), int(bottom), int(right)),
                meta,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} holds no preferred inputs of a layer ({error}).") from None
        expected = (len(channels), bottom - top, right - left, 3)
        if wall.patches.shape != expected or wall.patches.dtype != np.uint8 or wall.activations.shape != expected[:1]:
            raise BadInput(f"{path} is damaged: its images and its channels do not belong together. Delete it.")
        return wall


def name_wall(model: LoadedModel, layer: str | None, settings: SynthesisSettings) -> str:
    """A file's name for a layer's wall, of the network's fingerprint, the layer and the settings."""
    text = json.dumps([model.fingerprint, layer, settings.as_dict()], sort_keys=True)
    return f"preferred-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def maximize_layer(
    model: LoadedModel,
    layer: str | None,
    channels: Sequence[int] | None = None,
    settings: SynthesisSettings | None = None,
    *,
    out: str | Path | None = None,
    progress: StudyWatcher | None = None,
    show: Callable[[PreferredWall], None] | None = None,
) -> PreferredWall:
    """The preferred inputs of `channels` of a layer, by default all, eight at once.

    `out`: a file that is written every 20 seconds and when the work ends or is stopped; where it exists already and is
    of the same network, layer, channels and settings, the work goes on from there, with the same outcome. `show`: is
    given the wall whenever there is more on it, to be read and not to be kept: it goes on changing. Raises as
    `maximize_activation` does; Cancelled if `progress` returns False, with what was made in the file; BadInput for a
    file of something else, and for `copies` other than 1."""
    made = settings or SynthesisSettings()
    if made.copies != 1:
        raise BadInput(f"A wall holds one image a channel, got copies = {made.copies}.")
    numbers = tuple(range(count_channels(model, layer)) if channels is None else channels)
    meta = {"model": model.name, "weights": model.origin, "fingerprint": model.fingerprint, "settings": made.as_dict()}
    wall = _open(out, model, layer, numbers, meta)
    if wall is not None and show is not None:
        show(wall)
    parts = [range(start, min(start + BATCH, len(numbers))) for start in range(0, len(numbers), BATCH)]
    began = written = time.monotonic()
    fresh = 0  # channels made in this call

    def watch(part: range, fresh: int) -> StudyWatcher:
        def tell(inner: Progress) -> bool | None:
            now = inner.share * len(part)
            left = (time.monotonic() - began) / max(fresh + now, 1e-9) * (len(numbers) - part.start - now)
            done = Progress(part.start + int(now), len(numbers), "channels", left, part=now % 1)
            return None if progress is None else progress(done)

        return tell

    for part in parts:
        if wall is not None and wall.done[part].all():
            continue
        try:
            found = maximize_activations(model, layer, [numbers[i] for i in part], made, progress=watch(part, fresh))
        except Cancelled:
            kept = _write(wall, out)
            raise Cancelled(f"Stopped after {part.start} of {plural(len(numbers), 'channel')}. {kept}") from None
        wall = _empty(layer, numbers, found[0], meta) if wall is None else wall
        wall.patches[part.start : part.stop] = [result.patch for result in found]
        wall.activations[part.start : part.stop] = [result.activation for result in found]
        fresh += len(part)
        if show is not None:
            show(wall)
        if time.monotonic() - written > EVERY:
            _write(wall, out)
            written = time.monotonic()
    assert wall is not None
    _write(wall, out)
    return wall


def _open(
    out: str | Path | None, model: LoadedModel, layer: str | None, numbers: tuple[int, ...], meta: dict[str, Any]
) -> PreferredWall | None:
    """What a file holds of this very work; None if there is none yet."""
    if not numbers:
        raise BadInput("Expected at least one channel, got none.")
    if out is None or not is_there(Path(out)):
        return None
    wall = PreferredWall.load(out)
    same = json.loads(json.dumps(meta)) == {key: wall.meta.get(key) for key in meta}
    if not same or wall.layer != layer or wall.channels != numbers:
        raise BadInput(f"{out} holds other preferred inputs, of {wall!r}. Name another file, or delete that one.")
    return wall


def _empty(layer: str | None, numbers: tuple[int, ...], first: PreferredInput, meta: dict[str, Any]) -> PreferredWall:
    patches = np.full((len(numbers), *first.patch.shape), 128, np.uint8)
    return PreferredWall(layer, numbers, patches, np.full(len(numbers), np.nan, np.float32), first.box, meta)


def _write(wall: PreferredWall | None, out: str | Path | None) -> str:
    """What is said of where the images are."""
    if wall is None or out is None:
        return "Nothing was kept."
    wall.save(out)
    return f"What was made is in {out}: called again, the work goes on from there."
