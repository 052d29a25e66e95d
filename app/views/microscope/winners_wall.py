"""The winners of one channel in context: the whole image, what the unit sees of it, and the same projected back."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.components.wall import TileText, show_wall
from app.session.cache import picture_cache
from app.views.microscope.look import choose_winner
from app.views.patches.deferred import Deferred
from app.views.patches.indexing import IndexedLayer
from cnnviz.figures.base.atlas import Atlas, cells_atlas
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.patches.context import TITLES, WinnerPictures, winner_cells
from cnnviz.figures.patches.wall import EMPTY
from cnnviz.wording import plural

LEAST, MOST = 128, 192  # pixels of a cell's side as it is sent


def show(later: Deferred, layer: IndexedLayer, channel: int, rule: str) -> None:
    """All winners with their patches and reconstructions; a click on one leads to its image."""
    low = later.get(layer.name(channel, rule), lambda: layer.reconstructions(channel, rule), lead=True)
    atlas, texts = picture_cache().get(
        layer.name(channel, f"winners {rule} {low is not None}"), lambda: _draw(layer, channel, low)
    )

    def choose(number: int, _row: int | None, _col: int | None) -> None:
        choose_winner(layer, channel, number)

    words = f"The {plural(len(texts), 'winner')} of channel {channel} of {layer.layer} in context"
    show_wall(atlas, texts, words, "winners", on_pick=choose, foot=f"From left to right: {', '.join(TITLES).lower()}.")


def _draw(layer: IndexedLayer, channel: int, low: list[np.ndarray] | None) -> tuple[Atlas, list[TileText]]:
    unit, names = layer.unit(channel), layer.index.meta.get("labels") or {}
    best = unit.winners
    images: list[Any] = [to_rgb(image) for image in unit.images()] if layer.indexed.has_images else [None] * len(best)
    patches = layer.patches(channel) or [np.full((1, 1, 3), EMPTY, np.uint8)] * len(best)
    boxes = [winner.box for winner in best]
    projected: list[Any] = list(low or []) or [None] * len(best)
    seen = list(map(WinnerPictures, images, boxes, patches, projected, [()] * len(best)))
    texts = []
    for number, winner in enumerate(best):
        value, name = f"{number + 1}: {value_text(winner.value)}", names.get(str(winner.image), winner.image_id)
        place = f"{winner.image_id} at ({winner.row}, {winner.col})"
        texts.append(TileText(number, f"{value} · {name}", f"{value} · {name}", place))
    return cells_atlas(winner_cells(seen, _choose_side(layer))), texts


def _choose_side(layer: IndexedLayer) -> int:
    """Pixels of a cell that show a whole input at a whole multiple, or reduced."""
    longest = max(layer.network.input_size[1:])
    return min(MOST, longest * max(1, round(LEAST / longest)))
