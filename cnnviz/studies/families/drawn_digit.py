"""A digit drawn by hand: strokes as text, and as an image of 28×28 pixels centred as MNIST's are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.errors import BadInput

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
GRID = len(ALPHABET)  # places along a side of the canvas
SIDE, BOX, PEN = 28, 20, 2.4  # pixels: of the image, of the digit in it, of a line
LONGEST = 4_000  # characters of a drawing
_FINE = 8  # drawn so many times as large, for smooth edges
Stroke = tuple[tuple[int, int], ...]


def parse_strokes(text: str) -> tuple[Stroke, ...]:
    """Strokes of (x, y) in 0..63 from text: two characters of ALPHABET a point, "." between strokes.

    Raises BadInput for anything else, and for more than LONGEST characters."""
    if len(text) > LONGEST:
        raise BadInput(f"A drawing has at most {LONGEST:,} characters, got {len(text):,}. Draw it anew.")
    strokes = []
    for part in filter(None, text.split(".")):
        if len(part) % 2 or any(letter not in ALPHABET for letter in part):
            raise BadInput(
                f"A stroke is two characters of 0-9, A-Z, a-z, - and _ for each point, got {part[:20]!r}. Draw it anew."
            )
        places = [ALPHABET.index(letter) for letter in part]
        strokes.append(tuple(zip(places[::2], places[1::2], strict=True)))
    return tuple(strokes)


def draw_strokes(strokes: Sequence[Stroke]) -> np.ndarray:
    """(28, 28) uint8, white on black; black for no strokes.

    As in MNIST the digit fits a box of 20×20 pixels and its centre of mass lies in the middle, as far as it stays
    inside. Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998, section III.A."""
    points = np.array([point for stroke in strokes for point in stroke], float)
    if not len(points):
        return np.zeros((SIDE, SIDE), np.uint8)
    low = points.min(0)
    scale = (BOX - PEN) / max(float((points.max(0) - low).max()), 1.0)
    scale = min(scale, 1.0)  # a dot stays a dot
    large = Image.new("L", (2 * SIDE * _FINE,) * 2)
    pen = ImageDraw.Draw(large)
    radius = PEN * _FINE / 2
    for stroke in strokes:
        line = [tuple(float(n) for n in ((np.array(p) - low) * scale + SIDE / 2) * _FINE) for p in stroke]
        pen.line(line, 255, round(2 * radius), joint="curve")
        for x, y in line:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return _centre(large)


def _centre(large: Image.Image) -> np.ndarray:
    """The part of a large drawing whose middle is its centre of mass, reduced to SIDE × SIDE."""
    weight = np.asarray(large, float)
    total, at = weight.sum(), np.arange(len(weight)) + 0.5
    x, y = float(weight.sum(0) @ at / total), float(weight.sum(1) @ at / total)
    left, top = (round(n - SIDE * _FINE / 2) for n in (x, y))
    cut = large.crop((left, top, left + SIDE * _FINE, top + SIDE * _FINE))
    return np.asarray(cut.reduce(_FINE), np.uint8)
