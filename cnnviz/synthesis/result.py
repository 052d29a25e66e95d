"""What a synthesis gives: the image, the activation it reaches in the plain network, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cnnviz.display import Displayed
from cnnviz.synthesis.settings import SynthesisSettings
from cnnviz.wording import plural

Mixture = tuple[tuple[int, float], ...]  # channels and their weights


class StrongestUnit(Protocol):
    """A record of `PatchIndex.top`."""

    @property
    def image_id(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def box(self) -> tuple[int, int, int, int]: ...


class StrongestUnits(Protocol):
    """What is asked of a `PatchIndex`."""

    @property
    def meta(self) -> dict[str, Any]: ...
    def top(self, layer: str, channel: int) -> list[Any]:
        """The strongest units of a channel."""


@dataclass(frozen=True, slots=True, repr=False)
class PreferredInput(Displayed):
    """An image made for a unit, a channel, a mixture of channels, a class or a whole layer.

    `image`: uint8 (H, W, 3) of the network's input size, gray ones three times the same. `activation`: what the plain
    network gives for just this image, scaled and normalised as its preprocessing does, without a resize: the value
    of the unit, of the mean or the maximum of the map, or the logit. `history`: (steps,) float32, the same for the
    random view of each step. `layer`: None of a class. `mixture`: ((channel, weight), …), empty
    for the whole layer. `unit`: (row, col), None where the whole map counts. `box`: the pixels that were made, (top,
    left, bottom, right); all others are neutral gray. `copy`: which of several images of the channel. `best`: the
    channel's strongest record in the index that was given, else None. `stopped`: why it ended before its last step.
    `assumed`: what was taken for granted, in sentences."""

    image: np.ndarray
    activation: float
    history: np.ndarray
    layer: str | None
    mixture: Mixture
    unit: tuple[int, int] | None
    box: tuple[int, int, int, int]
    model: str
    fingerprint: str
    settings: SynthesisSettings
    copy: int = 0
    best: StrongestUnit | None = None
    stopped: str = ""
    assumed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        beside = f", {self.gain:.2f} times the best of the index" if self.gain is not None else ""
        early = f", {self.stopped}" if self.stopped else ""
        steps = plural(len(self.history), "step")
        return f"<preferred input of {self.name}: {self.activation:.4g} after {steps}{beside}{early}>"

    @property
    def name(self) -> str:
        """What it was made for, e.g. "layer3.0.conv2 · channel 17 · (4, 9)"."""
        kind = "class" if self.layer is None else "channel"
        parts = [f"{kind} {n}" if w == 1 else f"{w:g} × {kind} {n}" for n, w in self.mixture]
        words = [self.layer or self.model, " + ".join(parts) or "all channels"]
        return " · ".join([*words, str(self.unit)] if self.unit is not None and self.layer else words)

    @property
    def patch(self) -> np.ndarray:
        """uint8 (h, w, 3): the pixels that were made, without the gray around them."""
        top, left, bottom, right = self.box
        return self.image[top:bottom, left:right]

    @property
    def gain(self) -> float | None:
        """Its activation over that of the index's strongest record; None without one above 0."""
        return self.activation / self.best.value if self.best is not None and self.best.value > 0 else None


def as_mixture(channel: int | Mapping[int, float] | None) -> Mixture:
    """One channel, or weights of several, or None for all, as pairs in the order of their numbers."""
    if channel is None:
        return ()
    pairs = channel.items() if isinstance(channel, Mapping) else [(channel, 1.0)]
    return tuple(sorted((int(number), float(weight)) for number, weight in pairs))
