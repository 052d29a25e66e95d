"""What is looked at: a unit of a layer on a photograph; and the image of a winner as the photograph looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np

from app.pickers import webcam
from app.url import address
from app.views.patches.indexing import IndexedLayer
from cnnviz.errors import CnnvizError
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """`image`: the photograph's name; `maps`: (C, H, W) of the layer on it; `unit`: the channel; `row`, `col`: the
    unit's place on its map."""

    image: str
    layer: str
    unit: int
    maps: np.ndarray = field(repr=False)
    row: int = 0
    col: int = 0

    @property
    def map(self) -> np.ndarray:
        """(H, W) the map of the channel."""
        return self.maps[self.unit]

    @property
    def value(self) -> float:
        """Of the unit."""
        return float(self.map[self.row, self.col])


def choose_unit(channel: int, row: int | None = None, col: int | None = None) -> None:
    """In a callback: look at this channel, at this unit of it or its strongest one."""
    address.choose("unit", channel)
    for key, value in (("row", row), ("col", col)):
        if value is None:
            address.reset(key)
        else:
            address.choose(key, value)


def choose_winner(layer: IndexedLayer, channel: int, number: int) -> None:
    """In a callback: look at the image of a channel's winner, 0 = the strongest, at the unit that won. Without the
    images, or where this one can no longer be read, at the channel on the image there is."""
    winners = layer.unit(channel).winners
    if number >= len(winners) or not layer.indexed.has_images:
        choose_unit(channel)
        return
    winner = winners[number]
    try:
        pixels = to_rgb(np.asarray(layer.indexed.images.image(winner.image)))
    except CnnvizError as error:
        webcam.report_problem(str(error))
        choose_unit(channel)
        return
    kept = webcam.keep(BytesIO(rgb_png(np.ascontiguousarray(pixels))), winner.image_id.replace("/", " · "))
    if not kept:
        choose_unit(channel)
        return
    choose_unit(channel, winner.row, winner.col)
