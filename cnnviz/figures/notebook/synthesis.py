"""Notebook HTML of a preferred input and of a layer's wall of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.base.mosaic import tiles_mosaic
from cnnviz.figures.base.text import size_text
from cnnviz.figures.notebook.parts import card, facts, picture, words
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.synthesis.result import PreferredInput
    from cnnviz.synthesis.wall import PreferredWall

SIDE = 336  # pixels of an image
MOST = 150  # images of a wall


def preferred_html(found: PreferredInput) -> str:
    """The pixels that were made, and what they reach."""
    high, wide = found.patch.shape[:2]
    large = enlarge(found.patch, whole_factor(max(high, wide), SIDE))
    beside = ""
    if found.best is not None:
        beside = f"{value_text(found.best.value)} ({found.best.image_id})"
    said = [
        ("activation", value_text(found.activation)),
        ("best of the index", beside),
        ("pixels made", f"{size_text((high, wide))} of {size_text(found.image.shape[:2])}, the others are gray"),
        ("made by", f"{plural(len(found.history), 'step')}, seed {found.settings.seed}"),
        ("ended early", found.stopped),
    ]
    shown = picture(rgb_png(large), (large.shape[1], large.shape[0]), f"Preferred input of {found.name}")
    return card(f"Preferred input of {found.name}", facts(said), shown, *(words(w, faint=True) for w in found.assumed))


def preferred_wall_html(wall: PreferredWall) -> str:
    """The images of a layer that are made so far."""
    made = [number for number, done in enumerate(wall.done) if done][:MOST]
    title = f"Preferred inputs of {wall.meta.get('model', 'a network')} · {wall.layer or 'classes'}"
    said = [
        ("channels", f"{int(wall.done.sum()):,} of {len(wall.channels):,} made, {len(made):,} shown"),
        ("pixels made", f"{size_text(wall.patches.shape[1:3])} each"),
    ]
    if not made:
        return card(title, facts(said))
    mosaic = tiles_mosaic(wall.patches[made], [wall.channels[number] for number in made], width=860, height=640)
    return card(title, facts(said), picture(mosaic.png, mosaic.size, title))
