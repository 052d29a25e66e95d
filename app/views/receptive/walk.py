"""The walk of a unit over the map, from corner to corner, and of its field over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from app.components.motion.player import Motion, Reel, offer_motion
from app.components.picture import Frame, box_data, picture_data
from app.views.receptive import unit_place
from cnnviz.figures.receptive import cards
from cnnviz.figures.receptive.canvas import Canvas, photo_picture

if TYPE_CHECKING:
    from cnnviz.tracing.receptive_field import ReceptiveField

WALK, MOST = 7_000, 56  # milliseconds of a walk, and units of one


def offer_walk(
    row: Any, field: ReceptiveField, place: tuple[int, int], canvas: Canvas, received: np.ndarray, recipe: tuple
) -> None:
    """Let the unit walk along the diagonal of its map. `received`: what the network sees, uint8 (H, W, C); `recipe`
    names it and the layer."""
    units = diagonal(*field.shape)
    if len(units) < 2:
        return

    def make_reel() -> Reel:
        plain = picture_data(photo_picture(canvas, received, (0, 0, 0, 0)), canvas.size)
        frames = [{"field_photo": {"boxes": box_data(field_frames(field, canvas, unit))}} for unit in units]
        return Reel(frames, {"field_photo": {"src": plain["src"], "labels": []}})

    motion = Motion(
        "the unit",
        [f"unit ({one}, {other})" for one, other in units],
        units.index(place) if place in units else None,
        min(500, WALK // len(units)),
        first=0,
        stale=("row", "col", "field_heat", "field_card", "field_words"),
    )
    with row:
        offer_motion(motion, "motion", lambda at: unit_place.choose(*units[at]), (*recipe, canvas), make_reel)


def diagonal(rows: int, cols: int) -> list[tuple[int, int]]:
    """Units from the upper left corner of a map to the lower right one, evenly spaced, MOST at most."""
    count = min(max(rows, cols), MOST)
    along = [np.linspace(0, size - 1, count).round().astype(int).tolist() for size in (rows, cols)]
    return list(zip(*along, strict=True))


def field_frames(field: ReceptiveField, canvas: Canvas, place: tuple[int, int]) -> list[Frame]:
    """What a unit can see, on the canvas; before it the whole field, where a part of that is padding."""
    free, seen = field.box(*place, clip=False), field.box(*place)
    padded = [Frame(*canvas.frame(free), cards.FREE)] if free != seen else []
    return [*padded, Frame(*canvas.frame(seen), cards.THEORY)]
