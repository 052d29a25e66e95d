"""Two tables and what they make in either order, by convolution or by correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CHOSEN
from cnnviz.figures.base.scene import PAPER, Scene, Text
from cnnviz.figures.base.text import text_width
from cnnviz.figures.playground.cells import CellStyle, draw_grid, uniform_cells

if TYPE_CHECKING:
    from cnnviz.studies.convolution.commutation import Commutation

NARROW = 800.0  # pixels; two rows


def swap_scene(a: np.ndarray, b: np.ndarray, found: Commutation, flip: bool, width: float = 1070.0) -> Scene:
    """a and b, and what they make in either order; `flip`: by convolution, else by correlation."""
    beside = width >= NARROW
    sign = "∗" if flip else "⋆"
    tables = (("a", a), ("b", b), (f"a {sign} b", found.first), (f"b {sign} a", found.second))
    columns = 4 if beside else 2
    column, high = width / columns, 290.0 if beside else 250.0
    scene = Scene(width, high * 4 / columns + 60)
    for at, (name, values) in enumerate(tables):
        x, y = column * (at % columns), high * (at // columns)
        side = min(56.0, (column - 24) / values.shape[1], (high - 60) / values.shape[0])
        scene.add(Text(x + column / 2, y + 20, name, 22, bold=True))
        fill = PAPER if at < 2 else "#eef3fb"
        cells = uniform_cells(values.shape, CellStyle(fill, bold=at > 1))
        draw_grid(scene, values, x + (column - side * values.shape[1]) / 2, y + 44, side, cells)
    if flip:
        words = "equal: convolution commutes" if found.equal else "not equal"
    elif found.equal:
        words = "equal here: these tables are symmetric"
    else:
        words = "not equal: each is the other turned by 180°" if found.turned else "not equal"
    scene.add(
        Text(width / 2, scene.height - 26, words, min(26.0, width / text_width(words, 1.1, True)), CHOSEN, bold=True)
    )
    return scene
