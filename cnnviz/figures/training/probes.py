"""A few test images with what a network answers to them: right or wrong, and how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.figures.base.colors import CATEGORIES, INK, from_hex
from cnnviz.figures.base.encode import fit_pixels, rgb_png
from cnnviz.figures.base.overlay import to_rgb
from cnnviz.figures.base.text import load_font, shorten

RIGHT, WRONG = CATEGORIES[0], CATEGORIES[4]
COLUMNS, SIDE, GAP = 5, 56, 10  # images a row; pixels of one, and between two
_BAR, _LINE, _FONT = 6, 18, 13  # pixels: height of a bar and of a line of words, letters
_TRACK = (227, 231, 236)


@dataclass(frozen=True, slots=True)
class ProbePicture:
    """`png`: twice as large as `size` = (width, height), in which it is shown; `right`: images that are answered
    right."""

    png: bytes
    size: tuple[int, int]
    right: int


def answers_picture(
    pixels: np.ndarray, labels: np.ndarray, logits: np.ndarray, names: Sequence[str] = ()
) -> ProbePicture:
    """Each image over a bar as long as the probability of the class that is answered, blue where it is the right one
    and red where it is not, and that class's name.

    `pixels`: (n, H, W, 1 or 3) uint8; `labels`: (n,); `logits`: (n, classes), NaN where the training has failed;
    `names`: of the classes."""
    count, scale = len(pixels), 2
    columns = min(COLUMNS, max(count, 1))
    rows = -(-count // columns)
    pitch = (SIDE + GAP, SIDE + _BAR + _LINE + GAP)
    size = (columns * pitch[0] - GAP, rows * pitch[1] - GAP)
    sheet = Image.new("RGB", (size[0] * scale, size[1] * scale), (255, 255, 255))
    shares = soften(logits)
    right = 0
    for number in range(count):
        row, column = divmod(number, columns)
        left, top = column * pitch[0] * scale, row * pitch[1] * scale
        image = fit_pixels(to_rgb(pixels[number]), SIDE * scale)
        sheet.paste(Image.fromarray(image), (left, top))
        if np.isfinite(shares[number]).all():
            answer = int(shares[number].argmax())
            right += answer == labels[number]
            name = names[answer] if answer < len(names) else str(answer)
            colour = RIGHT if answer == labels[number] else WRONG
            _draw_answer(sheet, (left, top + SIDE * scale), scale, name, float(shares[number].max()), colour)
    return ProbePicture(rgb_png(np.asarray(sheet)), size, right)


def soften(logits: np.ndarray) -> np.ndarray:
    """(n, classes) probabilities; NaN where a logit is no number."""
    with np.errstate(invalid="ignore", over="ignore"):
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _draw_answer(sheet: Image.Image, place: tuple[int, int], scale: int, name: str, share: float, colour: str) -> None:
    draw, (left, top) = ImageDraw.Draw(sheet), place
    wide, ink = SIDE * scale, from_hex(colour)
    draw.rectangle((left, top + 2, left + wide - 1, top + _BAR * scale), fill=_TRACK)
    draw.rectangle((left, top + 2, left + max(1, round(share * wide)) - 1, top + _BAR * scale), fill=ink)
    font, _bold = load_font(_FONT * scale)
    text = shorten(name, _FONT * scale, wide)
    draw.text((left, top + (_BAR + 2) * scale), text, fill=ink if colour == WRONG else INK, font=font)
