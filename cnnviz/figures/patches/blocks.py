"""Patches and reconstructions of one unit of an index, as a block of the wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.text import text_width
from cnnviz.figures.patches.sheet import LETTERS
from cnnviz.figures.patches.wall import Block, fit_tile, reconstruction_rgb

if TYPE_CHECKING:
    from cnnviz.index.result import UnitView

PATCHES = 9
HELD = 128  # pixels: a layer of a thousand units that see the whole input would fill the memory


def unit_block(unit: UnitView, rule: str | None, room: int) -> Block:
    """The nine strongest patches and, with a `rule`, their reconstructions. `room`: pixels that the caption of a
    printed sheet may be wide. Raises as `UnitView.patches` and `UnitView.reconstructions` do."""
    patches = [_limit_size(to_rgb(patch)) for patch in unit.patches(PATCHES)]
    low = None if rule is None else [_limit_size(reconstruction_rgb(s)) for s in unit.reconstructions(rule, PATCHES)]
    return Block(unit.channel, patches, low, _choose_caption(unit, room))


def _choose_caption(unit: UnitView, room: int) -> str:
    """As much about the unit as there is room for, its number at least."""
    number, best = str(unit.channel), unit.winners
    choices = [f"channel {number}", number]
    if best:
        low, high = (value_text(winner.value) for winner in (best[-1], best[0]))
        choices = [f"channel {number}: {high} to {low}", f"{number}: {high} to {low}", f"{number}: {high}", number]
    return next((text for text in choices if text_width(text, LETTERS) <= room), number)


def _limit_size(patch: np.ndarray) -> np.ndarray:
    return patch if max(patch.shape[:2]) <= HELD else fit_tile(patch, HELD)
