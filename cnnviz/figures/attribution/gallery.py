"""Images with bars of their most probable classes, right and wrong ones in other colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.figures.base.colors import CATEGORIES, EMPTY, GUTTER, from_hex
from cnnviz.figures.base.encode import rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.equivariance.panels import Strip, fit_photo, place_pixels
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.probes.gallery import GalleryAnswer

RIGHT, WRONG, OTHER = CATEGORIES[2], CATEGORIES[4], CATEGORIES[5]
SIDE, BARS, GAP, LINE, HEAD = 112, 164, 20, 20, 24  # pixels: an image, its bars, between; a bar; the label above


def gallery_strip(answers: Sequence[GalleryAnswer], columns: int = 4) -> Strip:
    """A cell an image: the image, its label above, and beside it the classes with their probabilities. The bar of the
    label is green, that of another class which is first orange, all others pale; without labels none is coloured."""
    rows = -(-len(answers) // columns)
    wide, high = SIDE + 8 + BARS, HEAD + max(SIDE, 5 * LINE + 6) + 8
    size = (columns * (wide + GAP) - GAP, rows * (high + 8) - 8)
    canvas = np.full((size[1], size[0], 3), GUTTER, np.uint8)
    words: list[tuple[float, float, float, str]] = []
    for at, one in enumerate(answers):
        left, top = (at % columns) * (wide + GAP), (at // columns) * (high + 8)
        place_pixels(canvas, fit_photo(to_rgb(one.pixels), SIDE), top + HEAD, left, SIDE, at_top=True)
        words.append((float(left), float(top + 2), float(wide), one.label or one.image_id))
        for line, (name, share) in enumerate(one.top):
            y, x = top + HEAD + line * (LINE + 2), left + SIDE + 8
            long = max(round(share * BARS), 1)
            canvas[y : y + LINE, x : x + BARS] = (238, 240, 243)
            canvas[y : y + LINE, x : x + long] = pick_colour(one, name, line)
            words.append((float(x + 4), float(y + 1), float(BARS - 8), f"{name} {100 * share:.0f} %"))
    return Strip(rgb_png(canvas), size, tuple(words))


def pick_colour(answer: GalleryAnswer, name: str, rank: int) -> tuple[int, int, int]:
    """Of the bar of a class; `rank` 0 is the most probable one."""
    if answer.right is None:
        return EMPTY
    colour = RIGHT if answer.is_label(name) else WRONG if rank == 0 else None
    return _lighten(colour) if colour else EMPTY


def _lighten(colour: str) -> tuple[int, int, int]:
    red, green, blue = (round(part + 0.35 * (255 - part)) for part in from_hex(colour))
    return red, green, blue


def count_right(answers: Sequence[GalleryAnswer]) -> str:
    """ "9 of 12 images are answered rightly, 11 have their label among the five"; what can be said without labels."""
    judged = [one for one in answers if one.right is not None]
    if not judged:
        return f"{plural(len(answers), 'image')}; they have no labels that the network knows, so that none is judged"
    first = sum(bool(one.right) for one in judged)
    five = sum(any(one.is_label(name) for name, _ in one.top) for one in judged)
    return f"{first} of {plural(len(judged), 'image')} are answered rightly, {five} have their label among the five"
