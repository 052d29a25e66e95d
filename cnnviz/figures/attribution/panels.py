"""Attribution maps over the photograph: panels in rows, each with its colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from cnnviz.figures.base.charts import value_text
from cnnviz.figures.base.colors import (
    CATEGORIES,
    GUTTER,
    activation_rgb,
    from_hex,
    sample_palette,
    signed_palette,
    signed_rgb,
    viridis,
)
from cnnviz.figures.base.encode import rgb_png, whole_factor
from cnnviz.figures.base.overlay import EMPTY, ZERO, to_rgb, veil
from cnnviz.figures.equivariance.panels import Strip, fit_photo, place_pixels

TITLE, BAR, LINE, GAP = 24, 8, 20, 16  # pixels: over a panel, of a scale, of a line below it, between panels
ROOMY = 200  # pixels of a panel with room for both ends of its scale and a note between them, which else is below
OUTLIERS = 99.5  # percentile of the magnitudes that gets full colour: single pixels of gradients stand out far
_OTHER = "#b9c0ca"


@dataclass(frozen=True, slots=True)
class ImagePanel:
    """One picture of the scene. `pixels`: uint8 (h, w, 3), None while it is computed. `title`: over it. `scale`: "" for
    none, "positive" from 0, "signed" about 0, up to `peak`. `note`: in the middle below. `lines`: (colour, text) of a
    legend below, in place of a scale; the colour "" leaves the square out. `across`: what is written on the middle of
    the picture."""

    pixels: np.ndarray | None
    title: str
    scale: str = ""
    peak: float = 0.0
    note: str = ""
    lines: tuple[tuple[str, str], ...] = field(default=())
    across: str = ""


def panel_side(pixels: int, wanted: int) -> int:
    """The side of a panel, at most `wanted`, that shows an input of `pixels` at a whole multiple; larger ones are
    reduced to `wanted`."""
    return pixels * whole_factor(pixels, wanted) if pixels <= wanted else wanted


def find_peak(values: np.ndarray, clipped: bool) -> float:
    """The magnitude that gets full colour: the largest, or without the outliers of a gradient."""
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.size:
        return 0.0
    return float(np.percentile(sizes, OUTLIERS) if clipped else 0.0) or float(sizes.max())


def blend_over_photo(
    received: np.ndarray, values: np.ndarray, is_signed: bool, opacity: float, side: int, peak: float
) -> np.ndarray:
    """The map (h, w) over the photograph uint8 (H, W, C) in gray → uint8 (≤ side, ≤ side, 3).

    `opacity`: of the map, 0 … 1, the same everywhere, so that 0 keeps its colour. A map of fewer places than pixels
    is stretched by bilinear interpolation, as in Selvaraju et al. 2017; one of as many keeps them."""
    photo = fit_photo(to_rgb(received), side).astype(np.float32)
    height, width = photo.shape[:2]
    fine = resize_map(values, received.shape[:2], (height, width))
    colour = signed_rgb(fine, peak) if is_signed else activation_rgb(fine, peak)
    gray = photo.mean(axis=2, keepdims=True)
    return (opacity * colour + (1 - opacity) * gray).round().astype(np.uint8)


def resize_map(values: np.ndarray, pixels: tuple[int, int], shown: tuple[int, int]) -> np.ndarray:
    """(h, w) of an input of `pixels` → float32 of `shown` = (height, width)."""
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    smooth = values.shape[0] < pixels[0] or values.shape[1] < pixels[1]
    way = Image.Resampling.BILINEAR if smooth else Image.Resampling.BOX
    if not smooth and shown[0] >= values.shape[0]:
        way = Image.Resampling.NEAREST
    return np.asarray(image.resize((shown[1], shown[0]), way))


def map_panel(
    received: np.ndarray,
    values: np.ndarray,
    is_signed: bool,
    title: str,
    side: int,
    opacity: float = 1.0,
    clipped: bool = False,
    note: str = "",
    peak: float | None = None,
) -> ImagePanel:
    """A panel of one map over the photograph, with its scale; of a map that is 0 everywhere one that says so. `peak`:
    the magnitude of full colour, where other maps have a part in it."""
    if not (own := find_peak(values, clipped)):
        return veiled_panel(received, title, side, ZERO)
    peak = peak or own
    pixels = blend_over_photo(received, values, is_signed, opacity, side, peak)
    return ImagePanel(pixels, title, "signed" if is_signed else "positive", peak, note)


def photo_panel(received: np.ndarray, title: str, side: int, lines: tuple[tuple[str, str], ...] = ()) -> ImagePanel:
    """What the network sees, as it is."""
    return ImagePanel(fit_photo(to_rgb(received), side), title, lines=lines)


def veiled_panel(received: np.ndarray, title: str, side: int, across: str) -> ImagePanel:
    """In place of a map: why there is none to see, written on what is left of the photograph, so that nobody takes
    that for a map."""
    return ImagePanel(veil(fit_photo(to_rgb(received), side)), title, across=across)


def label_panel(
    received: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    title: str,
    side: int,
    opacity: float,
    most: int = 5,
) -> ImagePanel:
    """A map (H, W) of classes in the colours of categories, the `most` frequent ones in the legend."""
    photo = fit_photo(to_rgb(received), side).astype(np.float32)
    found, counts = np.unique(labels, return_counts=True)
    order = [int(c) for c in found[np.argsort(-counts, kind="stable")]]
    colours = {c: CATEGORIES[n] for n, c in enumerate(order[:most])}
    table = np.array([from_hex(colours.get(int(c), _OTHER)) for c in found], np.float32)
    fine = resize_map(np.searchsorted(found, labels), received.shape[:2], photo.shape[:2]).round().astype(int)
    pixels = opacity * table[fine] + (1 - opacity) * photo.mean(axis=2, keepdims=True)
    lines = [(colours[c], names[c]) for c in order[:most]]
    if len(order) > most:
        lines.append((_OTHER, f"{len(order) - most} more"))
    return ImagePanel(pixels.round().astype(np.uint8), title, lines=tuple(lines))


def cover_square(received: np.ndarray, box: tuple[int, int, int, int], gray: int = 128) -> np.ndarray:
    """The image with a gray square at (top, left, bottom, right)."""
    covered = received.copy()
    covered[box[0] : box[2], box[1] : box[3]] = gray
    return covered


def compose_panels(panels: Sequence[ImagePanel], columns: int, side: int) -> Strip:
    """Panels in rows of `columns`, each in a square of `side` pixels. A row's title line and the lines below are left
    out where none of its panels has any."""
    top, words, rows = 0, [], []
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        titled = TITLE if any(panel.title for panel in row) else 0
        below = max(_height_below(panel, side) for panel in row)
        rows.append((row, top + titled))
        for number, panel in enumerate(row):
            words += _place_words(panel, number * (side + GAP), top, titled, side)
        top += titled + side + below + 6
    canvas = np.full((top, columns * (side + GAP) - GAP, 3), GUTTER, np.uint8)
    for row, level in rows:
        for number, panel in enumerate(row):
            _paint_panel(canvas, panel, number * (side + GAP), level, side)
    return Strip(rgb_png(canvas), (canvas.shape[1], canvas.shape[0]), tuple(words))


def _height_below(panel: ImagePanel, side: int) -> int:
    lines = bool(panel.scale) + bool(panel.note and (side < ROOMY or not panel.scale))
    scale = 5 + BAR + LINE * lines if lines else 0
    return max(scale, 5 + LINE * len(panel.lines) if panel.lines else 0)


def _paint_panel(canvas: np.ndarray, panel: ImagePanel, left: int, top: int, side: int) -> None:
    if panel.pixels is None:
        canvas[top : top + side, left : left + side] = EMPTY
    else:
        place_pixels(canvas, panel.pixels, top, left, side)
    bar = top + side + 5
    if panel.scale:
        table = signed_palette()[1:] if panel.scale == "signed" else viridis()
        canvas[bar : bar + BAR, left : left + side] = sample_palette(table, side)
    for number, (colour, _text) in enumerate(panel.lines):
        if colour:
            level = bar + number * LINE
            canvas[level + 4 : level + 16, left : left + 12] = from_hex(colour)


def _place_words(
    panel: ImagePanel, left: int, top: int, titled: int, side: int
) -> list[tuple[float, float, float, str]]:
    """(left, top, width, text) of the letters of one panel."""
    below, found = top + titled + side + 5, []
    if panel.title:
        found.append((left, top, side, panel.title))
    if across := panel.across or ("being computed" if panel.pixels is None else ""):
        start = max(side // 2 - 4 * len(across), 4)
        found.append((left + start, top + titled + side // 2 - 9, side - start, across))
    if panel.scale == "signed" and side < ROOMY:
        found.append((left, below + BAR, side, f"±{value_text(panel.peak)}"))
    elif panel.scale:
        low, high = f"−{value_text(panel.peak)}" if panel.scale == "signed" else "0", value_text(panel.peak)
        found.append((left, below + BAR, 56, low))
        found.append((left + side - 8 * len(high), below + BAR, 8 * len(high) + GAP, high))
    if panel.note:
        start = side // 2 - 4 * len(panel.note) if panel.scale and side >= ROOMY else 0
        found.append((left + start, below + BAR + LINE * bool(panel.scale and not start), side - start, panel.note))
    for number, (colour, text) in enumerate(panel.lines):
        indent = 18 if colour else 0
        found.append((left + indent, below + number * LINE, side - indent, text))
    return [(float(a), float(b), float(c), text) for a, b, c, text in found]
