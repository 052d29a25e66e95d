"""Receptive field on the image: the photograph and the gradient on one canvas that reaches into the padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.figures.base.colors import EMPTY, GUTTER, activation_rgb, sample_palette, viridis
from cnnviz.figures.base.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.base.overlay import to_rgb

Box = tuple[int, int, int, int]  # (top, left, bottom, right), half open, pixels of the image
SIDE = 640  # pixels of the longer side of a picture at most, unless the canvas itself is larger
BAR = 12  # pixels of height of the scale under the gradient, in a picture of SIDE
_STRIPES = EMPTY, (138, 147, 158)
FARTHEST = 1.0  # margin at most, in sides of the image: a field of 2,000 pixels would leave nothing of it
FAR = 0.5  # margin for units at the border, whose fields go on beyond it


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a picture shows of the image and around it. `image` (H, W) pixels; `corner` (row, col): the image's pixel
    at the picture's upper left, negative outside; `shape` (rows, cols) shown, in pixels of the image; `factor`: pixels
    of the picture for one of the image."""

    image: tuple[int, int]
    corner: tuple[int, int]
    shape: tuple[int, int]
    factor: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        return self.shape[1] * self.factor, self.shape[0] * self.factor

    @property
    def inner_columns(self) -> tuple[int, int]:
        """(left, right) of the image on the picture."""
        left, _top, wide, _high = self.frame((0, 0, *self.image))
        return max(int(left), 0), min(int(left + wide), self.size[0])

    @property
    def columns(self) -> tuple[int, int]:
        """First column of the image that is shown, and the one behind the last."""
        return min(max(self.corner[1], 0), self.image[1]), min(max(self.corner[1] + self.shape[1], 0), self.image[1])

    def frame(self, box: Box) -> tuple[float, float, float, float]:
        """(left, top, width, height) of a box on the picture; it may reach beyond it."""
        top, left, bottom, right = box
        start = (left - self.corner[1]) * self.factor, (top - self.corner[0]) * self.factor
        return *start, (right - left) * self.factor, (bottom - top) * self.factor

    def point(self, x: float, y: float) -> tuple[float, float]:
        """(row, col) in pixel indices of the image under a point of the picture, a pixel's middle being whole."""
        return y / self.factor + self.corner[0] - 0.5, x / self.factor + self.corner[1] - 0.5


def plan_canvas(image: tuple[int, int], middle: Box, corners: Box, side: int = SIDE) -> Canvas:
    """The canvas of one layer, the same for all of its units. `middle`: the field of the unit in the middle;
    `corners`: from the first pixel of the first unit's field to the last of the last one's.

    The margin shows the whole field of the middle unit where it is no wider than an image on each side; for units
    nearer to the border it ends at half an image."""
    margin = []
    for axis in (0, 1):
        length = image[axis]
        needed = max(-middle[axis], middle[axis + 2] - length, 0)
        border = max(-corners[axis], corners[axis + 2] - length, 0)
        wanted = max(min(border, round(FAR * length)), needed)
        margin.append(min(wanted + max(1, length // 28) * (wanted > 0), round(FARTHEST * length)))
    shape = image[0] + 2 * margin[0], image[1] + 2 * margin[1]
    return Canvas(image, (-margin[0], -margin[1]), shape, whole_factor(max(shape), side))


def zoom_canvas(image: tuple[int, int], free: Box, side: int = SIDE) -> Canvas:
    """The canvas of one field alone, with some pixels around it; square, and never larger than three images."""
    longest = max(free[2] - free[0], free[3] - free[1], 1)
    length = min(longest + 2 * max(1, longest // 12), 3 * max(image))
    corner = tuple((free[axis] + free[axis + 2] - length) // 2 for axis in (0, 1))
    return Canvas(image, (corner[0], corner[1]), (length, length), whole_factor(length, side))


def photo_picture(canvas: Canvas, received: np.ndarray, free: Box) -> bytes:
    """PNG of the image, uint8 (H, W, C), on the canvas; what of the field `free` lies outside is hatched."""
    return rgb_png(_lay_out(canvas, to_rgb(received), free))


def heat_picture(
    canvas: Canvas, weight: np.ndarray, free: Box, peak: float | None = None
) -> tuple[bytes, tuple[int, int]]:
    """PNG of the gradient (H, W) in viridis from 0 to its maximum, or to `peak`, laid like the photograph, and a scale
    under it. Also its (width, height)."""
    laid = _lay_out(canvas, activation_rgb(weight, peak), free)
    bar = np.full((3 * BAR, laid.shape[1], 3), GUTTER, np.uint8)
    left, right = canvas.inner_columns
    ramp = sample_palette(viridis(), max(right - left, 1))
    bar[BAR // 2 : BAR // 2 + BAR, left : left + len(ramp)] = ramp
    return rgb_png(np.concatenate([laid, bar])), (laid.shape[1], laid.shape[0] + 3 * BAR)


def _lay_out(canvas: Canvas, inner: np.ndarray, free: Box) -> np.ndarray:
    """(height, width, 3): the image's pixels enlarged, around them paper, hatched inside the field."""
    width, height = canvas.size
    pixels = np.full((height, width, 3), GUTTER, np.uint8)
    left, top, wide, high = (round(v) for v in canvas.frame(free))
    rows, cols = slice(max(top, 0), max(top + high, 0)), slice(max(left, 0), max(left + wide, 0))
    region = pixels[rows, cols]
    stripe = (np.add.outer(np.arange(region.shape[0]), np.arange(region.shape[1])) // 7) % 2
    pixels[rows, cols] = np.array(_STRIPES, np.uint8)[stripe]
    (row, col), (tall, broad) = canvas.corner, canvas.shape
    shown = inner[max(row, 0) : max(row + tall, 0), max(col, 0) : max(col + broad, 0)]
    large = enlarge(shown, canvas.factor)
    start = max(-row, 0) * canvas.factor, max(-col, 0) * canvas.factor
    pixels[start[0] : start[0] + large.shape[0], start[1] : start[1] + large.shape[1]] = large
    return pixels


def padding_label(canvas: Canvas, free: Box) -> tuple[float, float, float] | None:
    """(left, top, width) of a place for the word "padding" on the hatched part; None where there is no room."""
    room = 22 * max(canvas.size) / 480  # the height of a line when the picture is shown some 480 pixels wide
    left, top, wide, high = canvas.frame(free)
    left, right = max(left, 0.0), min(left + wide, canvas.size[0])
    top, bottom = max(top, 0.0), min(top + high, canvas.size[1])
    inside = canvas.frame((0, 0, *canvas.image))
    if right - left < 3.5 * room:
        return None
    if inside[1] - top >= room:
        return left + 6, top + 3, right - left - 6
    if bottom - (inside[1] + inside[3]) >= room:
        return left + 6, bottom - room, right - left - 6
    if inside[0] - left >= 3.5 * room:
        return left + 6, top + 3, inside[0] - left - 6
    start = inside[0] + inside[2]
    return (start + 6, top + 3, right - start - 6) if right - start >= 3.5 * room else None
